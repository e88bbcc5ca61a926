"""What there will be after the removals decided so far."""

from collections.abc import Container
from typing import NamedTuple

from cachewarden.model.caches import Entry, Filesystem, MeasuredCache, Snapshot

CacheKey = tuple[int, str]
"""An owner's uid and a path: what one owner's worker says of a path never touches another owner's cache."""
Inode = tuple[int, int, int]
"""Of which owner's caches, device, inode: what one says of an inode is nothing to what another's removals free."""


class Change(NamedTuple):
    """What one removal changes: bytes and inodes that the filesystem gets back, bytes that leave the cache.

    A file that is hard-linked elsewhere leaves its cache without being freed. ``maybe``: see ``Entry``.
    """

    freed: int
    inodes: int
    leaves: int
    maybe: int = 0


def key_of(cache: MeasuredCache) -> CacheKey:
    """Names a cache within a snapshot."""
    return cache.cache.owner.uid, cache.cache.path


def quota_key(cache: MeasuredCache) -> tuple[int, int]:
    """Names an owner's quota within a snapshot: the uid, and the device that the cache is on."""
    return cache.cache.owner.uid, cache.device


def by_device(snapshot: Snapshot) -> dict[int, Filesystem]:
    """The filesystems; of several mounts of one (bind mounts) the first by name, however they were found."""
    return {each.device: each for each in sorted(snapshot.filesystems, key=lambda each: each.mount, reverse=True)}


class Ledger:
    """Free bytes and inodes per filesystem and bytes per cache, as they will be. Shared inodes count once.

    Where only bounds are known, the books hope for the upper one: so less is taken than may be needed, the disk is
    asked, and the rest is taken then (the next round). The other way round too much would be gone for good.
    ``quota``: what is left of an owner's on a filesystem.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        """Starts from what was measured."""
        filesystems = by_device(snapshot)
        self.free = {device: int(each.free) for device, each in filesystems.items()}
        self.inodes = {device: int(each.inodes_free) for device, each in filesystems.items()}
        self.quota = {quota_key(each): int(each.quota.free) for each in snapshot.caches if each.quota}
        self.size = {key_of(each): int(each.size) for each in snapshot.caches}
        self.freed = 0
        self._gone: dict[CacheKey, set[str]] = {key_of(each): set() for each in snapshot.caches}
        self._names_gone: dict[Inode, int] = {}
        self._names_here = {
            (key_of(cache), inode): names
            for cache in snapshot.caches
            for inode, names in _linked_elsewhere(cache).items()
        }

    @property
    def caches_share(self) -> bool:
        """Whether there are inodes with names outside of their cache, perhaps in another one."""
        return bool(self._names_here)

    def gone_of(self, cache: MeasuredCache) -> Container[str]:
        """The paths of the entries that earlier decisions took."""
        return self._gone[key_of(cache)]

    def take(self, cache: MeasuredCache, entry: Entry) -> Change:
        """Counts an entry as gone; returns what that adds: its own, and the inodes it has the last names of."""
        key = key_of(cache)
        change = self._change(key, entry, pending=True)
        self._gone[key].add(entry.path)
        self._book(key, cache.device, entry, change, 1)
        return change

    def part_of(self, cache: MeasuredCache, entry: Entry) -> Change:
        """What an entry that is gone has had a part in: without it, this much less would have changed."""
        return self._change(key_of(cache), entry, pending=False)

    def put_back(self, cache: MeasuredCache, entry: Entry, change: Change) -> None:
        """Undoes a ``take``, given what it returned."""
        key = key_of(cache)
        self._gone[key].remove(entry.path)
        self._book(key, cache.device, entry, change, -1)

    def move(self, cache: MeasuredCache) -> int:
        """Counts a whole cache as gone; returns the bytes that this frees at least."""
        gone = self.gone_of(cache)
        freed = sum(self.take(cache, entry).freed for entry in cache.entries if entry.path not in gone)
        self.size[key_of(cache)] = 0
        return freed

    def _change(self, key: CacheKey, entry: Entry, *, pending: bool) -> Change:
        freed, inodes, maybe = int(entry.frees), int(entry.frees_inodes), int(entry.maybe)
        linked_elsewhere, here, perhaps = int(entry.size) - freed, 0, 0
        names_gone, names_here = self._names_gone, self._names_here
        for share in entry.shares:
            inode, size = (key[0], share.device, share.inode), share.frees
            names = share.held if pending else 0
            linked_elsewhere -= size + share.maybe
            if names_gone.get(inode, 0) + names >= share.needed:
                freed += size
                inodes += 1
                perhaps += share.maybe
            elif names_here and names_here.get((key, inode)) == names:
                here += size + share.maybe
        return Change(freed, inodes, freed + perhaps + here + max(0, linked_elsewhere), maybe + perhaps)

    def _book(self, key: CacheKey, device: int, entry: Entry, change: Change, sign: int) -> None:
        names_gone, names_here = self._names_gone, self._names_here
        for share in entry.shares:
            inode, names = (key[0], share.device, share.inode), sign * share.held
            names_gone[inode] = names_gone.get(inode, 0) + names
            if names_here and (key, inode) in names_here:
                names_here[key, inode] -= names
        self.size[key] -= sign * change.leaves
        hoped = sign * (change.freed + change.maybe)
        self.free[device] = self.free.get(device, 0) + hoped
        owners = key[0], device
        if owners in self.quota:
            self.quota[owners] += hoped
        self.inodes[device] = self.inodes.get(device, 0) + sign * change.inodes
        self.freed += hoped


def _linked_elsewhere(cache: MeasuredCache) -> dict[Inode, int]:
    """How many names each inode has in the entries of a cache, of the inodes that have others elsewhere."""
    uid = cache.cache.owner.uid
    missing: dict[Inode, int] = {}
    for entry in cache.entries:
        for share in entry.shares:
            inode = (uid, share.device, share.inode)
            missing[inode] = missing.get(inode, share.needed) - share.held
    names: dict[Inode, int] = {}
    if any(count > 0 for count in missing.values()):
        for share in (share for entry in cache.entries for share in entry.shares):
            inode = (uid, share.device, share.inode)
            if missing[inode] > 0:
                names[inode] = names.get(inode, 0) + share.held
    return names
