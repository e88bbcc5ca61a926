"""What there will be after the removals decided so far."""

from copy import copy

from cachewarden.model.caches import Entry, MeasuredCache, Snapshot
from cachewarden.model.units import Instant


class Ledger:
    """Free bytes and inodes per filesystem and bytes per cache, as they will be. Shared inodes count once."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Starts from what was measured."""
        self.free = {each.device: int(each.free) for each in snapshot.filesystems}
        self.inodes = {each.device: int(each.inodes_free) for each in snapshot.filesystems}
        self.size = {each.cache.path: int(each.size) for each in snapshot.caches}
        self.freed = 0
        self._gone: set[tuple[str, str]] = set()
        self._names_gone: dict[tuple[int, int], int] = {}

    def copy(self) -> "Ledger":
        """Books to try things out in."""
        other = copy(self)
        other.free, other.inodes, other.size = dict(self.free), dict(self.inodes), dict(self.size)
        other._gone, other._names_gone = set(self._gone), dict(self._names_gone)  # noqa: SLF001 - of its own kind
        return other

    def is_gone(self, cache: MeasuredCache, entry: Entry) -> bool:
        """Whether an earlier decision took it."""
        return (cache.cache.path, entry.path) in self._gone

    def would_free(self, entry: Entry) -> tuple[int, int]:
        """Bytes and inodes that its going adds: its own, and those it was the last name of."""
        freed, inodes = int(entry.frees), int(entry.frees_inodes)
        for share in entry.shares:
            if self._names_gone.get((share.device, share.inode), 0) + share.held >= share.needed:
                freed += share.frees
                inodes += 1
        return freed, inodes

    def take(self, cache: MeasuredCache, entry: Entry) -> tuple[int, int]:
        """Counts an entry as gone; returns the bytes and inodes that it adds."""
        freed, inodes = self.would_free(entry)
        for share in entry.shares:
            key = (share.device, share.inode)
            self._names_gone[key] = self._names_gone.get(key, 0) + share.held
        self._gone.add((cache.cache.path, entry.path))
        self.size[cache.cache.path] -= max(freed, self._leaves(entry))
        self.free[cache.device] = self.free.get(cache.device, 0) + freed
        self.inodes[cache.device] = self.inodes.get(cache.device, 0) + inodes
        self.freed += freed
        return freed, inodes

    def _leaves(self, entry: Entry) -> int:
        """Bytes that leave the cache, freed or not: a file linked from elsewhere leaves it without being freed."""
        staying = sum(
            share.frees
            for share in entry.shares
            if self._names_gone.get((share.device, share.inode), 0) < share.needed
        )
        return int(entry.size) - staying


def frees_of_all(cache: MeasuredCache) -> int:
    """Bytes that come back when every entry of the cache goes."""
    ledger = Ledger(Snapshot(taken_at=Instant(0), caches=(cache,)))
    return sum(ledger.take(cache, entry)[0] for entry in cache.entries)
