"""pip: where its cache is, and what else there is to know of it. What is in it tells ``pip_measure``."""

import re

from cachewarden.ecosystems import pip_config
from cachewarden.ecosystems.base import (
    Context,
    Edit,
    Guard,
    InForce,
    Located,
    Measured,
    Surroundings,
)
from cachewarden.ecosystems.known import Known
from cachewarden.ecosystems.running import describe, first_running
from cachewarden.model.caches import OWN_NAMES, Cache, Kind
from cachewarden.system.ports import Folder

HTTP = ("http", "http-v2")
KNOWN = {*HTTP, "wheels", "selfcheck", "selfcheck.json"}
TOOL = re.compile(r"pip(-?\d+(\.\d+)*)?(\.pyz|\.py)?|__pip-runner__\.py|pip(x|-sync|-compile)|piptools|pipenv")
_USED = re.compile(
    r"(http(?:-v2)?/(?:[0-9a-f]/){5}[0-9a-f]{56})(?:\.body)?|(wheels/(?:[0-9a-f]{2}/){3}[0-9a-f]{50})/[^/]+\.whl"
)


class Pip:
    """The ``Ecosystem`` of pip."""

    name = "pip"
    kinds: tuple[Kind, ...] = (Kind.DEBRIS, Kind.INDEX, Kind.DOWNLOAD, Kind.BUILT_WHEEL)
    trees: tuple[str, ...] = ("http", "http-v2", "wheels")
    grows_in: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()

    def locate(self, surroundings: Surroundings) -> Located:
        """See ``pip_config``."""
        return pip_config.locate(surroundings)

    def recognise(self, folder: Folder) -> str | None:
        """A pip cache holds ``http``, ``http-v2``, ``wheels`` or ``selfcheck``, or nothing yet."""
        names = {node.name for node in folder.nodes()} - OWN_NAMES
        if names and not names & KNOWN:
            return "does not look like a pip cache: neither http, http-v2, wheels nor selfcheck is in it"
        return None

    def measure(self, cache: Cache, folder: Folder, context: Context, known: Known) -> Measured:
        """See ``pip_measure``."""
        from cachewarden.ecosystems import pip_measure

        return pip_measure.measure(cache, folder, context, known)

    def guard(self, cache: Cache, context: Context) -> Guard:
        """See ``pip_measure``."""
        from cachewarden.ecosystems import pip_measure

        return pip_measure.guard(cache, context)

    def in_force(self, surroundings: Surroundings) -> tuple[InForce, ...]:
        """See ``pip_repoint``."""
        from cachewarden.ecosystems import pip_repoint

        return pip_repoint.in_force(surroundings)

    def point(self, surroundings: Surroundings, old: str, new: str, *, keep: bool) -> Edit:  # noqa: ARG002 - one cache
        """See ``pip_repoint``."""
        from cachewarden.ecosystems import pip_repoint

        return pip_repoint.point(surroundings, old, new)

    def point_back(self, current: bytes, edit: Edit, old: str, new: str) -> bytes | None:  # noqa: ARG002 - one cache
        """See ``pip_repoint``."""
        from cachewarden.ecosystems import pip_repoint

        return pip_repoint.point_back(current, edit, new)

    def opened(self, path: str) -> str | None:
        """pip opens metadata and body of a response that it uses, and the wheel that it built once."""
        match = _USED.fullmatch(path)
        return match[1] or match[2] if match else None

    def busy(self, cache: Cache, context: Context) -> str | None:
        """Any pip of the owner: it may be building in ``wheels``, and reads the configuration when it starts."""
        process = first_running(context.processes.running(), TOOL, cache.owner.uid)
        return describe(process, TOOL) if process else None
