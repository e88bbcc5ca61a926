"""What entries give back where blocks do not tell: on filesystems whose files share extents or are compressed.

A second walk over the files of entries, only there; elsewhere it costs nothing. Whoever may not open a file, or has
no time left, knows bounds all the same: nothing for sure, and at most what it takes up.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cachewarden.ecosystems.trees import BLOCK, DEEPEST, TooDeepError, is_file, is_folder
from cachewarden.model.caches import Entry, MeasuredCache, Share
from cachewarden.model.units import Bytes
from cachewarden.system.ports import Allocation, Folder, Node, Opened

SECONDS = 20.0
"""For one cache; an extent that thousands share takes btrfs long."""
XFS_INODE = 512
"""Bytes of an inode (mkfs.xfs(8)); XFS gives inodes back by the chunk of 64, so that these are never sure."""
Inode = tuple[int, int]


@dataclass(slots=True)
class _Sum:
    """Of one entry. ``less``: bytes of blocks that are not sure to come back; ``more``: those that may instead.

    ``shared``: inodes with names in other entries; ``met``: names so far of those that have several.
    """

    shared: frozenset[Inode]
    less: int = 0
    more: int = 0
    met: dict[Inode, int] = field(default_factory=dict)


class Bounds:
    """Bounds for the entries of one cache. ``unasked`` counts files for which no time was left."""

    def __init__(
        self,
        root: Folder,
        inode_bytes: int = 0,
        clock: Callable[[], float] = time.monotonic,
        known: frozenset[str] = frozenset(),
    ) -> None:
        """``root`` is the open cache; ``inode_bytes`` come back with an inode, perhaps; the ``known`` have bounds."""
        self._given = known
        self._root = root
        self._inode_bytes = inode_bytes
        self._clock = clock
        self._until = clock() + SECONDS
        self._known: dict[Inode, Allocation] = {}
        self._chain: list[tuple[str, Folder]] = []
        self.unasked = 0
        self.unsure: set[str] = set()
        """Entries whose bounds the next look has to ask for: they were not asked for, or not to be had."""

    def cache(self, cache: MeasuredCache) -> MeasuredCache:
        """With ``frees`` and ``maybe`` of all entries as they are."""
        try:
            found = {entry.path: self._entry(entry) for entry in sorted(cache.entries, key=lambda each: each.path)}
        finally:
            self._close(0)
        return replace(cache, entries=tuple(found[entry.path] for entry in cache.entries))

    def _close(self, keep: int) -> None:
        while len(self._chain) > keep:
            self._chain.pop()[1].__exit__(None, None, None)

    def _entry(self, entry: Entry) -> Entry:
        if (not entry.frees and not entry.shares) or entry.path in self._given:
            return entry
        if entry.hold:  # it does not go: nobody needs to know it better
            if entry.hold != entry.own_hold:
                self.unsure.add(entry.path)  # whoever is at work may be done by then
            return replace(entry, frees=Bytes(0), maybe=entry.frees)
        total, unasked = _Sum(frozenset((share.device, share.inode) for share in entry.shares)), self.unasked
        try:
            folder = self._folder_of(entry.path)
            for name in (entry.path.rpartition("/")[2], *entry.parts):
                self._name(folder, name, entry, total)
        except FileNotFoundError:
            return entry  # it is gone, or going: nobody will take it as it was measured
        except OSError:
            total.less = total.more = entry.frees
            self.unsure.add(entry.path)
        if self.unasked > unasked:
            self.unsure.add(entry.path)
        sure = max(0, entry.frees - total.less)
        # Where blocks tell too much there is always something that may come back: by that ``act`` knows of it.
        most = sure + (total.more or total.less) + self._inode_bytes * entry.frees_inodes
        return replace(
            entry,
            frees=Bytes(sure),
            maybe=Bytes(most - sure),
            shares=tuple(self._share(share) for share in entry.shares),
        )

    def _share(self, share: Share) -> Share:
        known = self._known.get((share.device, share.inode))
        sure = share.frees if known is None else min(share.frees, known.sure)
        most = share.frees if known is None else known.most
        return replace(share, frees=Bytes(sure), maybe=Bytes(max(0, most - sure) + self._inode_bytes))

    def _folder_of(self, path: str) -> Folder:
        """The open folder that holds a path; entries come in the order of their paths, so most of them are open."""
        names = path.split("/")[:-1]
        keep = 0
        for (name, _), wanted in zip(self._chain, names, strict=False):
            if name != wanted:
                break
            keep += 1
        self._close(keep)
        for name in names[keep:]:
            above = self._chain[-1][1] if self._chain else self._root
            self._chain.append((name, above.folder(name)))
        return self._chain[-1][1] if self._chain else self._root

    def _name(self, folder: Folder, name: str, entry: Entry, total: _Sum) -> None:
        try:
            node = folder.node(name)
        except FileNotFoundError:
            return
        if is_folder(node) and entry.tree:
            with folder.folder(name) as inner:
                self._tree(inner, total, 0)
        elif is_file(node):
            self._file(folder, node, total)

    def _tree(self, folder: Folder, total: _Sum, depth: int) -> None:
        if depth > DEEPEST:
            raise TooDeepError
        for node in folder.nodes():
            if is_folder(node):
                with folder.folder(node.name) as inner:
                    self._tree(inner, total, depth + 1)
            elif is_file(node):
                self._file(folder, node, total)

    def _file(self, folder: Folder, node: Node, total: _Sum) -> None:
        key = node.stat.st_dev, node.stat.st_ino
        if node.stat.st_nlink > 1:
            total.met[key] = total.met.get(key, 0) + 1
            if key in total.shared:
                self._ask(folder, node, key)
                return
            if total.met[key] != node.stat.st_nlink:
                return  # counted with the last name; never when others are elsewhere
        size = node.stat.st_blocks * BLOCK
        known = self._ask(folder, node, key)
        total.less += size - min(size, known.sure)
        total.more += known.most - min(size, known.sure)

    def _ask(self, folder: Folder, node: Node, key: Inode) -> Allocation:
        size = node.stat.st_blocks * BLOCK
        if not size:
            return Allocation(0, 0)
        if node.stat.st_nlink == 1:
            return self._allocation(folder, node.name, size)
        if key not in self._known:
            self._known[key] = self._allocation(folder, node.name, size)
        return self._known[key]

    def _allocation(self, folder: Folder, name: str, size: int) -> Allocation:
        if self._clock() > self._until:
            self.unasked += 1
            return Allocation(0, size)
        try:
            return folder.allocation(name)
        except OSError:
            return Allocation(0, size)


def without_opened(cache: MeasuredCache, opened: tuple[Opened, ...]) -> MeasuredCache:
    """What processes have open does not come back with its last name: it is not in ``frees``."""
    start = cache.cache.path.rstrip("/") + "/"
    held: dict[str, dict[Inode, int]] = {}
    for each in opened:
        if each.path.startswith(start) and each.stat.st_nlink == 1:
            inode = each.stat.st_dev, each.stat.st_ino
            held.setdefault(each.path[len(start) :], {})[inode] = each.stat.st_blocks * BLOCK
    if not held:
        return cache
    return replace(cache, entries=tuple(_without(entry, held) for entry in cache.entries))


def _without(entry: Entry, held: dict[str, dict[Inode, int]]) -> Entry:
    parent = entry.path.rpartition("/")[0]
    names = {entry.path, *(f"{parent}/{part}" if parent else part for part in entry.parts)}
    found: dict[Inode, int] = {}
    for path, inodes in held.items():
        if path in names or (entry.tree and path.startswith(entry.path + "/")):
            found.update(inodes)
    size = sum(found.values())
    if not size:
        return entry
    return replace(entry, frees=Bytes(max(0, entry.frees - size)), held_open=Bytes(size))
