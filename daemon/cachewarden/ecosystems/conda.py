"""conda, mamba and micromamba: where their package caches are. What is in them tells ``conda_measure``."""

from cachewarden.ecosystems import conda_config
from cachewarden.ecosystems.base import Context, Edit, Guard, InForce, Located, Measured, Surroundings
from cachewarden.ecosystems.known import Known
from cachewarden.ecosystems.trees import is_folder
from cachewarden.model.caches import ARCHIVE_ENDINGS, OWN_NAMES, Cache, Kind
from cachewarden.system.ports import Folder

SCHEMES = {"http", "https", "file", "ftp", "s3", "oci"}
_MARKS = {"urls.txt", "urls"}
_NESTED = 6


class Conda:
    """The ``Ecosystem`` of conda's package caches."""

    name = "conda"
    kinds: tuple[Kind, ...] = (Kind.DEBRIS, Kind.LOG, Kind.INDEX, Kind.TARBALL, Kind.PACKAGE)
    trees: tuple[str, ...] = ()
    grows_in: tuple[str, ...] = ("cache",)
    deep: tuple[str, ...] = tuple(sorted(SCHEMES))

    def locate(self, surroundings: Surroundings) -> Located:
        """See ``conda_config``."""
        return conda_config.locate(surroundings)

    def recognise(self, folder: Folder) -> str | None:
        """``urls.txt`` or an extracted package, also in the nested layout of mamba; or nothing yet.

        A tarball, a ``cache`` or a ``.trash`` alone proves nothing: other folders have those too.
        """
        names = {node.name for node in folder.nodes()} - OWN_NAMES
        if not names or names & _MARKS or _holds_package(folder, 0):
            return None
        return "does not look like a conda package cache: neither urls.txt nor a package is in it"

    def measure(self, cache: Cache, folder: Folder, context: Context, known: Known) -> Measured:
        """See ``conda_measure``."""
        from cachewarden.ecosystems import conda_measure

        return conda_measure.measure(cache, folder, context, known)

    def guard(self, cache: Cache, context: Context) -> Guard:
        """See ``conda_measure``."""
        from cachewarden.ecosystems import conda_measure

        return conda_measure.guard(cache, context)

    def in_force(self, surroundings: Surroundings) -> tuple[InForce, ...]:
        """See ``conda_repoint``."""
        from cachewarden.ecosystems import conda_repoint

        return conda_repoint.in_force(surroundings)

    def point(self, surroundings: Surroundings, old: str, new: str, *, keep: bool) -> Edit:
        """See ``conda_repoint``."""
        from cachewarden.ecosystems import conda_repoint

        return conda_repoint.point(surroundings, old, new, keep=keep)

    def point_back(self, current: bytes, edit: Edit, old: str, new: str) -> bytes | None:
        """See ``conda_repoint``."""
        from cachewarden.ecosystems import conda_repoint

        return conda_repoint.point_back(current, edit, old, new)

    def opened(self, path: str) -> str | None:
        """An archive is opened to be extracted. Packages are linked, which opens nothing: see ``conda_worth``."""
        return path if "/" not in path and path.endswith(ARCHIVE_ENDINGS) else None

    def busy(self, cache: Cache, context: Context) -> str | None:
        """See ``conda_measure``."""
        from cachewarden.ecosystems import conda_measure

        return conda_measure.busy(cache, context)


def _holds_package(folder: Folder, depth: int) -> bool:
    """Whether a package is in it, or below the folders of mamba's schemes and channels."""
    for node in folder.nodes():
        if not is_folder(node):
            continue
        if _has_index(folder, node.name):
            return True
        if (depth or node.name in SCHEMES) and depth < _NESTED:
            with folder.folder(node.name) as inner:
                if _holds_package(inner, depth + 1):
                    return True
    return False


def _has_index(folder: Folder, name: str) -> bool:
    try:
        with folder.folder(name) as inner, inner.folder("info") as info:
            info.node("index.json")
            return True
    except OSError:
        return False
