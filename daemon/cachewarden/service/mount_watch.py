"""Disks that come and go: which changes of the mounts are a reason to look.

The kernel tells of every change, at once and without being asked. Most are nobody's business here: containers,
sessions, other services. Those matter that touch a place where a cache is, was, or is to be.
"""

from collections.abc import Iterable
from typing import Protocol

from cachewarden.decide.relocation import destination
from cachewarden.model.caches import Snapshot
from cachewarden.model.policies import Settings
from cachewarden.model.relocations import Phase
from cachewarden.system.ports import Mount

_MOST_PLACES = 2000
_PASSING = (
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "nsfs", "overlay", "proc",
    "ramfs", "securityfs", "squashfs", "sysfs", "tmpfs",
)  # fmt: skip
"""Types of what comes and goes by itself, and is no disk: where a move waits for one, these are not it."""


class Table(Protocol):
    """What is mounted; ``system.mount_table`` has the real one."""

    def fileno(self) -> int: ...
    def read(self) -> tuple[Mount, ...]: ...
    def close(self) -> None: ...


class MountWatch:
    """What was mounted when it was asked last, and the places that matter, as the looks found them."""

    def __init__(self, table: Table) -> None:
        """Takes the table over, as it is now."""
        self._table = table
        self._known = frozenset(table.read())
        self._places: dict[str, None] = {}
        self._waits = False

    def fileno(self) -> int:
        """To be polled for changes."""
        return self._table.fileno()

    def follow(self, snapshot: Snapshot, settings: Settings) -> None:
        """After a look. Places that are gone stay known: a disk that holds one may come back."""
        for place in _places(snapshot, settings):
            self._places.pop(place, None)
            self._places[place] = None
        for place in list(self._places)[:-_MOST_PLACES]:
            del self._places[place]
        self._waits = any(each.phase not in (Phase.SETTLED, Phase.OVER) for each in snapshot.relocations)

    def changed(self) -> bool:
        """Whether what is mounted differs from the last time in something that matters."""
        now = frozenset(self._table.read())
        differing, self._known = now ^ self._known, now
        return any(self._matters(mount) for mount in differing)

    def _matters(self, mount: Mount) -> bool:
        if self._waits and mount.type not in _PASSING:
            return True
        return any(_within(place, mount.mount) for place in self._places)

    def close(self) -> None:
        """Ends it."""
        self._table.close()


def _places(snapshot: Snapshot, settings: Settings) -> Iterable[str]:
    """Where caches are, where policies would move them, and from and to where they were moved."""
    moving = [policy for policy in settings.policies if policy.to]
    for each in snapshot.caches:
        yield each.cache.path
        yield from (destination(policy, each.cache) for policy in moving)
    yield from ((policy.to or "").partition("{")[0].rstrip("/") for policy in moving)
    for move in snapshot.relocations:
        yield from (move.old, move.new)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
