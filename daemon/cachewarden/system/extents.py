"""What a file's blocks are worth to the filesystem when it goes: ``FIEMAP`` tells what is shared and compressed.

``FS_IOC_FIEMAP`` (linux/fiemap.h) by its number. Of a file that others share extents with (reflinks, snapshots) only
what is its own comes back for sure; of a compressed extent the kernel tells no user how large it is on the disk.
"""

import errno
import fcntl
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from cachewarden.system.ports import Allocation

MAY_SHARE = frozenset({"btrfs", "xfs", "bcachefs", "overlay"})
"""Types of filesystems on which files can share extents. Of what lies below an overlay nobody is told."""
_FIEMAP = 0xC020660B  # _IOWR('f', 11, struct fiemap), the same on every architecture
_LAST, DELAYED, ENCODED, INLINE, SHARED = 0x1, 0x4, 0x8, 0x200, 0x2000
_HEAD, _EXTENT = struct.Struct("=QQIIII"), struct.Struct("=QQQ16xI12x")
_AT_ONCE = 128
_MOST_CALLS = 512
"""65,536 extents: 8 GiB of a compressed file."""
_SECTOR = 4096
_NO_EXTENTS = {errno.EOPNOTSUPP, errno.ENOTTY}
"""Of a filesystem without the call, an overlay on tmpfs for one: there blocks are all there is to go by."""


class Extent(NamedTuple):
    """Where it is on the disk, its bytes in the file, and ``FIEMAP_EXTENT_*``."""

    physical: int
    length: int
    flags: int


@dataclass(slots=True)
class _Sum:
    """``doubtful``: bytes of the extents that are not plainly the file's own; ``shared``: those that may come back

    whole. ``encoded``: bytes of the compressed ones by where they start, ``own`` of these nobody shares; ``starts``
    are all places where extents start.
    """

    doubtful: int = 0
    shared: int = 0
    own: set[int] = field(default_factory=set)
    encoded: dict[int, int] = field(default_factory=dict)
    starts: set[int] = field(default_factory=set)

    def take(self, physical: int, length: int, flags: int) -> None:
        if flags & INLINE:
            # btrfs keeps it among its metadata, which gives room back to files now and then only.
            size = -(-length // _SECTOR) * _SECTOR
            self.doubtful += size
            self.shared += size
            return
        if not flags & DELAYED:
            self.starts.add(physical)
        if flags & (SHARED | ENCODED | DELAYED):
            self.doubtful += length
        if flags & ENCODED:
            self.encoded[physical] = self.encoded.get(physical, 0) + length
            if not flags & SHARED:
                self.own.add(physical)
        elif flags & (SHARED | DELAYED):
            self.shared += length

    def allocation(self, blocks: int) -> Allocation:
        plain = max(0, blocks - self.doubtful)
        sure = plain + _SECTOR * len(self.own)
        return Allocation(sure, max(sure, plain + self.shared + self._encoded_at_most()))

    def _encoded_at_most(self) -> int:
        """Extents do not overlap, and one is only kept compressed when that saves a sector at least."""
        total, following = 0, None
        for start in sorted(self.starts, reverse=True):
            if (length := self.encoded.get(start)) is not None:
                most = max(_SECTOR, length - _SECTOR)
                total += most if following is None else min(most, following - start)
            following = start
        return total


def weigh(extents: Iterable[Extent], blocks: int) -> Allocation:
    """The bounds for a file with these extents and so many allocated bytes."""
    total = _Sum()
    for extent in extents:
        total.take(*extent)
    return total.allocation(blocks)


def allocation(fd: int, blocks: int) -> Allocation:
    """The bounds for an open regular file with so many allocated bytes; OSError where the kernel does not tell.

    Nothing is written out for it. ``most`` is too low only where a part of a larger extent was overwritten (btrfs).
    """
    found: list[Extent] = []
    buffer = bytearray(_HEAD.size + _AT_ONCE * _EXTENT.size)
    start = 0
    for _ in range(_MOST_CALLS):
        _HEAD.pack_into(buffer, 0, start, 2**64 - 1 - start, 0, 0, _AT_ONCE, 0)
        try:
            fcntl.ioctl(fd, _FIEMAP, buffer)
        except OSError as error:
            if error.errno in _NO_EXTENTS:
                return Allocation(blocks, blocks)
            raise
        count = _HEAD.unpack_from(buffer)[3]
        flags = _LAST
        if not start and count == 1:
            only = Extent(*_EXTENT.unpack_from(buffer, _HEAD.size)[1:])
            # Nearly all files are like this.
            return Allocation(blocks, blocks) if only.flags == _LAST else weigh([only], blocks)
        for number in range(count):
            logical, *extent = _EXTENT.unpack_from(buffer, _HEAD.size + number * _EXTENT.size)
            _, length, flags = extent
            found.append(Extent(*extent))
            start = logical + length
        if count < _AT_ONCE or flags & _LAST:
            return weigh(found, blocks)
    return Allocation(0, blocks)
