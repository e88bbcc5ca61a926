"""Whether a package of a conda cache is in use, and whether conda or its kin are at work.

Four kinds of evidence, since each alone is wrong (facts: ``conda clean`` knows link counts only): names of the
files (hard links), the records in ``conda-meta``, symbolic links, and running tools with their locks.
"""

import re
import stat
from collections.abc import Iterator

from cachewarden.ecosystems.base import Context
from cachewarden.ecosystems.running import describe, first_running
from cachewarden.model.caches import Cache, is_private
from cachewarden.system.ports import Files, Folder, Process

_TOOL = re.compile(
    r"(_?conda|mamba|micromamba|conda-standalone|pixi|rattler-build|conda[-_](build|env|pack|mambabuild|lock)"
    r"|anaconda-navigator|boa|constructor)(\.exe|\.py)?"
)
_RUNNER = re.compile(r"(conda|mamba|micromamba)(\.exe)?")
_DEEPEST = 48
_SHALLOWEST = 2
"""``/``, ``/usr`` and the like are no environments, whatever environments.txt says: all would be walked."""
_RECORD = ".json"


class Use:
    """The evidence for one cache. Reads environments once; asks for processes anew each time."""

    def __init__(self, cache: Cache, context: Context) -> None:
        """Nothing is read before it is asked for."""
        self._cache = cache
        self._context = context
        self._records: dict[str, list[str]] | None = None
        self._unread: str | None = None
        self._links: dict[str, str] | None = None
        self._running: tuple[Process, ...] | None = None
        self._busy: str | None = None

    def busy(self) -> str | None:
        """Why nothing but logs may go from the cache now."""
        found = self._context.processes.running()
        if found is not self._running:  # guards ask for each entry, and are told the same for a moment
            self._running, self._busy = found, self._busy_with(found)
        return self._busy

    def _busy_with(self, found: tuple[Process, ...]) -> str | None:
        running = [process for process in found if not _only_waits(process)]
        # A cache that is not private serves everybody: anybody's conda counts. Root's counts everywhere (sudo conda).
        uids = {self._cache.owner.uid, 0} if is_private(self._cache) else {None}
        for uid in uids:
            if process := first_running(running, _TOOL, uid):
                return describe(process, _TOOL)
        return None

    def open_in_it(self, path: str) -> bool:
        """Whether a process of the owner has a file open that is ``path`` (relative to the cache) or below it."""
        whole = f"{self._cache.path}/{path}"
        opened = self._context.processes.open_files(self._cache.owner.uid)
        return any(each == whole or each.startswith(whole + "/") for each in opened)

    def recorded(self, distribution: str) -> str | None:
        """Which environment's ``conda-meta`` has a record of ``name-version-build``."""
        prefixes = self._recorded().get(distribution)
        return f"in use by {prefixes[-1]} (recorded in its conda-meta)" if prefixes else None

    def users(self, distribution: str) -> str:
        """The environments that record a distribution, in one word that is another one when they are others."""
        return "\0".join(self._recorded().get(distribution, ()))

    def _recorded(self) -> dict[str, list[str]]:
        if self._records is None:
            files = self._context.surroundings.files
            environments = self._context.located.environments
            self._records = {}
            for prefix in environments:
                for name in records_of(files, prefix):
                    self._records.setdefault(name, []).append(prefix)
            self._unread = next((each for prefix in environments if (each := _unreadable(files, prefix))), None)
        return self._records

    def linked(self, path: str) -> str | None:
        """Which environment has a symbolic link into the package folder ``path`` (relative to the cache)."""
        if self._links is None:
            self._links = dict(_links(self._context, self._cache.path))
        prefix = self._links.get(path)
        return f"in use by {prefix} (symbolic links point into it)" if prefix else None

    def unprovable(self) -> str | None:
        """Why no package can be proved unused, however unused it looks."""
        places = self._context.located.softlinks
        if not places:
            self._recorded()
            return self._unread
        return f"environments may be linked to it by symlink (enabled by {places[0]}): it cannot be proved unused"


def _only_waits(process: Process) -> bool:
    """``conda run`` touches no cache, and stays as long as what it has started: often for weeks."""
    words = iter(process.arguments)
    if not any(_RUNNER.fullmatch(word.rpartition("/")[2]) for word in words):
        return False
    return next((word for word in words if not word.startswith("-")), None) == "run"


def _unreadable(files: Files, prefix: str) -> str | None:
    """Why an environment that is there may use any package: what it uses cannot be seen (sudo may have made it)."""
    try:
        files.listing(f"{prefix}/conda-meta")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"the environment {prefix} cannot be read ({error.strerror}): it may use it"
    return None


def records_of(files: Files, prefix: str) -> Iterator[str]:
    """The distributions (``name-version-build``) that an environment records."""
    for name in files.names(f"{prefix}/conda-meta"):
        if name.endswith(_RECORD):
            yield name.removesuffix(_RECORD)


def _links(context: Context, root: str) -> Iterator[tuple[str, str]]:
    """``(first folder below the cache root, environment)`` for each symbolic link of the environments into it."""
    files = context.surroundings.files
    inside = root.rstrip("/") + "/"
    environments = {
        files.real_path(prefix): prefix for prefix in context.located.environments if prefix.count("/") >= _SHALLOWEST
    }
    for real, prefix in environments.items():
        try:
            with files.open_folder(real) as folder:
                barred = {root.rstrip("/"), *(other for other in environments if other != real)}
                for target in _targets(folder, real, barred, 0):
                    resolved = files.real_path(target)
                    for candidate in (target, resolved):
                        if candidate.startswith(inside):
                            for path in _prefixes(candidate.removeprefix(inside)):
                                yield path, prefix
        except OSError:
            continue  # an environment that is gone or cannot be read has no say here; records are asked besides


def _prefixes(path: str) -> Iterator[str]:
    """Every folder on the way: the nested layout of mamba keeps packages some levels down."""
    parts = path.split("/")
    for count in range(1, min(len(parts), 9) + 1):
        yield "/".join(parts[:count])


def _targets(folder: Folder, path: str, barred: set[str], depth: int) -> Iterator[str]:
    """Absolute targets of the links below ``folder``; ``barred`` folders are looked at on their own or not at all."""
    for node in folder.nodes():
        below = f"{path}/{node.name}"
        try:
            if stat.S_ISLNK(node.stat.st_mode):
                target = folder.link_target(node.name)
                yield target if target.startswith("/") else f"{path}/{target}"
            elif stat.S_ISDIR(node.stat.st_mode) and below not in barred and depth < _DEEPEST:
                with folder.folder(node.name) as inner:
                    yield from _targets(inner, below, barred, depth + 1)
        except OSError:
            continue
