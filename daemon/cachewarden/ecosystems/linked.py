"""Inodes with several names, of a whole cache: which have all their names in it, and which in more than one entry.

A package that is linked into an environment has a second name for each of its files, so that a cache of a million
files has a million of them. They are kept in arrays, 20 bytes each, and not as objects of some 400.
"""

from array import array
from collections.abc import Collection
from dataclasses import dataclass, field

from cachewarden.ecosystems.trees import BLOCK, Tally
from cachewarden.model.caches import Share
from cachewarden.model.units import Bytes

Inode = tuple[int, int]
_BITS = 25
"""Of the hash of an inode: 4 MiB, of which only touched pages are taken. ext4 and XFS number close together."""
_MOST_BLOCKS = (1 << 32) - 1
"""2 TiB: what no file of a package takes."""


@dataclass(slots=True)
class Unmet:
    """Inodes of one entry that have names beyond it, by their device; the columns of a table."""

    device: int
    inodes: "array[int]" = field(default_factory=lambda: array("Q"))
    needed: "array[int]" = field(default_factory=lambda: array("I"))
    met: "array[int]" = field(default_factory=lambda: array("I"))
    blocks: "array[int]" = field(default_factory=lambda: array("I"))

    def shares(self, positions: Collection[int]) -> tuple[Share, ...]:
        """Those at some positions."""
        return tuple(
            Share(self.device, self.inodes[each], self.needed[each], self.met[each], Bytes(self.blocks[each] * BLOCK))
            for each in positions
        )


@dataclass(slots=True)
class Judged:
    """Of one entry: ``outside`` counts inodes with names that are nowhere in the cache, ``shares`` are those that go
    with other entries; ``alone``: no inode of it is in another entry."""

    outside: int = 0
    shares: tuple[Share, ...] = ()
    alone: bool = True


class LinkTable:
    """Takes the tallies of all entries of a cache one by one, then judges each."""

    def __init__(self) -> None:
        """Empty."""
        self._bits = bytearray(1 << _BITS - 3)
        self._again: set[Inode] = set()
        self._met: dict[Inode, int] | None = None
        self._taken: list[Unmet] = []

    def take(self, tally: Tally) -> tuple[Unmet, ...]:
        """Moves the shared inodes of ``tally``, which is whole, into the table; those that are met are its own."""
        tables: dict[int, Unmet] = {}
        for (device, inode), links in tally.shared.items():
            if links.met >= links.needed:
                tally.single += links.size
                tally.single_inodes += 1
                continue
            table = tables.get(device)
            if table is None:
                table = tables[device] = Unmet(device)
            table.inodes.append(inode)
            table.needed.append(links.needed)
            table.met.append(links.met)
            table.blocks.append(min(links.size // BLOCK, _MOST_BLOCKS))
            self._mark(device, inode)
        tally.shared = {}
        taken = tuple(tables.values())
        self._taken.extend(taken)
        self._met = None
        return taken

    def _mark(self, device: int, inode: int) -> None:
        """Notes an inode; one whose place is taken may have been met before, in another entry."""
        place = (inode ^ device * 0x9E3779B1) & (1 << _BITS) - 1
        bit = 1 << (place & 7)
        if self._bits[place >> 3] & bit:
            self._again.add((device, inode))
        else:
            self._bits[place >> 3] |= bit

    def judge(self, unmet: Collection[Unmet]) -> Judged:
        """What ``take`` gave of one entry, once all have been taken."""
        judged = Judged()
        met = self._met_again()
        for table in unmet:
            own: list[int] = []
            for position, inode in enumerate(table.inodes) if met else ():
                total = met.get((table.device, inode))
                if total is None or total == table.met[position]:
                    continue
                judged.alone = False
                if total >= table.needed[position]:
                    own.append(position)
            judged.outside += len(table.inodes) - len(own)
            judged.shares += table.shares(own)
        return judged

    def overlap(self) -> int:
        """Bytes that the sizes of all entries count more than once, where entries share inodes."""
        met = self._met_again()
        seen: set[Inode] = set()
        twice = 0
        for table in self._taken if met else ():
            for inode, blocks in zip(table.inodes, table.blocks, strict=True):
                key = table.device, inode
                if key not in met:
                    continue
                if key in seen:
                    twice += blocks * BLOCK
                seen.add(key)
        return twice

    def met(self, inodes: Collection[Inode]) -> dict[Inode, int]:
        """How many names of some inodes are in the cache."""
        found: dict[Inode, int] = {}
        for table in self._taken:
            for inode, met in zip(table.inodes, table.met, strict=True):
                key = table.device, inode
                if key in inodes:
                    found[key] = found.get(key, 0) + met
        return found

    def _met_again(self) -> dict[Inode, int]:
        """The names of inodes that may be in several entries: few, and a few that are not."""
        if self._met is None:
            self._met = self.met(self._again) if self._again else {}
        return self._met
