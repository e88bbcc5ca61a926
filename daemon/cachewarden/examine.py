"""What an owner's own files tell about what stands in the way, looked at with the owner's rights.

Only facts: ``service/remedies`` makes findings of them, since a worker may lie, and a remedy is what root types.
"""

import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cachewarden.ecosystems.base import Located, Surroundings
from cachewarden.ecosystems.trees import DEEPEST, is_folder, reason
from cachewarden.model.caches import Cache
from cachewarden.model.findings import Fact, FactKind
from cachewarden.system.ports import Files, Folder
from cachewarden.system.sharing import Shared

MOST_FACTS = 200
LookAtShared = Callable[[Cache], Shared | None]
"""What is broken in a cache that is shared with a group, ``None`` for one that is not; OSError as the disk gives."""


def examine(
    surroundings: Surroundings, caches: Iterable[Cache], located: Iterable[Located], look_at_shared: LookAtShared
) -> tuple[Fact, ...]:
    """Facts about one owner, each once."""
    located = list(located)
    found = [
        *_home(surroundings),
        *_strange_keys(located),
        *_taken_over(surroundings, located),
        *_in_caches(surroundings, caches, look_at_shared),
    ]
    return tuple(dict.fromkeys(found))[:MOST_FACTS]


def _home(surroundings: Surroundings) -> Iterator[Fact]:
    files, home = surroundings.files, surroundings.owner.home
    status = files.stat(home)
    if status is None or not stat.S_ISDIR(status.st_mode):
        yield Fact(FactKind.HOME_MISSING, home)
        return
    try:
        with files.open_folder(files.real_path(home)):
            return
    except OSError as error:
        yield Fact(FactKind.HOME_CLOSED, home, reason(error))


def _strange_keys(located: Iterable[Located]) -> Iterator[Fact]:
    for each in located:
        for strange in each.strange:
            yield Fact(FactKind.STRANGE_KEY, strange.place, strange.key, strange.nearest)


def _taken_over(surroundings: Surroundings, located: Iterable[Located]) -> Iterator[Fact]:
    """A cache root that is somebody else's: most often sudo was there first. Not what a link leads to."""
    files, uid, home = surroundings.files, surroundings.owner.uid, surroundings.owner.home.rstrip("/")
    for candidate in (candidate for each in located for candidate in each.candidates):
        if not candidate.path.startswith(f"{home}/"):
            continue  # the machine-wide place of somebody else
        status = files.stat(candidate.path)
        if status and status.st_uid != uid and files.real_path(candidate.path) == candidate.path:
            yield Fact(FactKind.TAKEN_OVER, candidate.path, uid=status.st_uid)


@dataclass(slots=True)
class _Census:
    """Whose files are in a cache, and how many folders."""

    uid: int
    folders: int = 0
    others: Counter[int] = field(default_factory=Counter)
    example: str = ""

    def count(self, folder: Folder, depth: int = 0) -> None:
        """All below an open folder, as far as it can be read."""
        self.folders += 1
        for node in folder.nodes():
            if node.stat.st_uid != self.uid:
                self.others[node.stat.st_uid] += 1
                self.example = self.example or f"{folder.path}/{node.name}"
            if is_folder(node) and depth < DEEPEST:
                self._enter(folder, node.name, depth)

    def _enter(self, folder: Folder, name: str, depth: int) -> None:
        try:
            inner = folder.folder(name)
        except OSError:
            return  # a mount, or not readable: it counted as one
        with inner:
            self.count(inner, depth + 1)


def _in_caches(surroundings: Surroundings, caches: Iterable[Cache], look_at_shared: LookAtShared) -> Iterator[Fact]:
    folders = 0
    for cache in caches:
        census = _census(surroundings.files, cache)
        folders += census.folders if cache.ecosystem == "pip" else 1
        shared = _shared(cache, look_at_shared)
        if shared:  # the files of members are no strangers there: those that shut others out are told
            yield from _of_shared(cache, shared)
        elif census.others:
            ((uid, _),) = census.others.most_common(1)
            total = census.others.total()
            yield Fact(FactKind.FOREIGN_FILES, cache.path, census.example, count=total, uid=uid)
    yield Fact(FactKind.FOLDERS, surroundings.owner.home, count=folders)


def _shared(cache: Cache, look_at_shared: LookAtShared) -> Shared | None:
    try:
        return look_at_shared(cache)
    except OSError:
        return None  # told as a problem of the look


def _of_shared(cache: Cache, shared: Shared) -> Iterator[Fact]:
    yield Fact(FactKind.SHARED, cache.path, cache.ecosystem, gid=shared.gid)
    if not shared.faults.acls:
        yield Fact(FactKind.SHARED_WITHOUT_ACLS, cache.path, gid=shared.gid)
    for kind, count in shared.faults.counts.items():
        yield Fact(kind, cache.path, shared.faults.examples[kind], count=count, gid=shared.gid)


def _census(files: Files, cache: Cache) -> _Census:
    census = _Census(cache.owner.uid)
    try:
        with files.open_folder(cache.path) as folder:
            census.count(folder)
    except OSError:
        return census  # what cannot be opened is told as a problem of the look
    return census
