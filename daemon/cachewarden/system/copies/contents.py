"""The bytes of files: moved by the fastest means, summed up, holes left as holes."""

import errno
import fcntl
import os
import zlib
from collections.abc import Callable, Iterator

from cachewarden.system.copies.places import Tick

PIECE = 1 << 20
_PART = 256 << 10
"""What is read at once: more than that leaves the processor's caches before it is written."""
_TICK = 4 << 20
_FICLONE = 0x40049409  # linux/fs.h; the same on all architectures that Debian has, but mips and powerpc
_UNFIT = {errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENOTTY, errno.EPERM}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

Reader = Callable[[int, list[memoryview], int], int]
"""As ``os.preadv``: descriptor, where to, offset."""


class ChangedError(Exception):
    """The file became another while it was read."""


def open_to_read(folder: int, name: str) -> int:
    """A descriptor of a file; its access time stays where that may be asked for. OSError as ``open(2)``."""
    try:
        return os.open(name, _READ | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, _READ, dir_fd=folder)  # O_NOATIME is for the owner of a file only


def is_sparse(status: os.stat_result) -> bool:
    """Whether fewer blocks are allocated than its size needs."""
    return status.st_blocks * 512 < status.st_size


def held(status: os.stat_result) -> int:
    """Bytes of contents, holes not counted."""
    return min(status.st_size, status.st_blocks * 512)


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """At ``offset``; OSError when not all of it can be written."""
    written = os.pwrite(fd, data, offset)
    while written < len(data):
        written += os.pwrite(fd, memoryview(data)[written:], offset + written)


class Summer:
    """Makes checksums of files that are to have a known size; reads little more than that."""

    def __init__(self, read: Reader = os.preadv, tick: Tick = lambda _: None) -> None:
        """``tick`` is told every few MiB."""
        self._read = read
        self._tick = tick
        self._memory = memoryview(bytearray(PIECE))

    def sum(self, fd: int, size: int, *, sparse: bool) -> tuple[int, int]:
        """Length and CRC-32 of what is open.

        With ``sparse`` the sum is over the pieces that are not all zero, and does not depend on where the holes are:
        only sums that were made in the same way are comparable.
        """
        if sparse:
            return self._sparse(fd, size)
        offset = total = told = 0
        while offset <= size:
            part = self._memory[: min(_PART, size + 1 - offset)]
            got = self._read(fd, [part], offset)
            total = zlib.crc32(part[:got], total)
            offset += got
            if not got or (got < len(part) and offset == size):
                break
            if offset - told >= _TICK:
                self._tick(offset - told)
                told = offset
        return offset, total

    def _sparse(self, fd: int, size: int) -> tuple[int, int]:
        total = 0
        for offset, length in _pieces_with_data(fd, size):
            got = self._read(fd, [self._memory[:length]], offset)
            total = _add_piece(total, offset, self._memory[:got])
            if offset % _TICK == 0:
                self._tick(_TICK)
        return os.fstat(fd).st_size, total


def _add_piece(total: int, offset: int, data: memoryview) -> int:
    if not bytes(data).strip(b"\0"):
        return total
    return zlib.crc32(data, zlib.crc32(offset.to_bytes(8, "little"), total))


def _pieces_with_data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of the aligned pieces of a file in which anything is allocated."""
    offset = 0
    while offset < size:
        found = _seek_data(fd, offset)
        if found is None:
            return
        offset = found - found % PIECE
        yield offset, min(PIECE, size - offset)
        offset += PIECE


def _runs(fd: int, offset: int, end: int) -> Iterator[tuple[int, int]]:
    """Begin and end of what is allocated between two offsets."""
    while offset < end:
        found = _seek_data(fd, offset)
        if found is None or found >= end:
            return
        offset = min(os.lseek(fd, found, os.SEEK_HOLE), end)
        yield found, offset


def _seek_data(fd: int, offset: int) -> int | None:
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


class Mover:
    """Moves contents between two filesystems, and remembers by which means that does not work."""

    def __init__(self, tick: Tick) -> None:
        """``tick`` is told every few MiB."""
        self._tick = tick
        self._means = [_clone, _copy_in_kernel]
        self._memory = memoryview(bytearray(PIECE))
        self._summer = Summer(tick=lambda _: tick(0))

    def move(self, source: int, target: int, status: os.stat_result) -> int:
        """Copies a file of any size; its checksum. ChangedError when it has not the size that ``status`` says.

        OSError of the target and of the source alike.
        """
        size = status.st_size
        if is_sparse(status):
            return self._sparse(source, target, size)
        while self._means:
            try:
                self._means[0](source, target, size, self._tick)
            except OSError as error:
                if error.errno not in _UNFIT:
                    raise
                del self._means[0]
                os.ftruncate(target, 0)
            else:
                length, total = self._summer.sum(source, size, sparse=False)
                return _of_length(total, length, size)
        return self._plain(source, target, size)

    def _plain(self, source: int, target: int, size: int) -> int:
        os.posix_fadvise(source, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        whole = self._memory[:_PART]
        offset = total = told = 0
        while got := os.preadv(source, [whole], offset):
            part = whole[:got]
            total = zlib.crc32(part, total)
            write_all(target, part, offset)
            offset += got
            if offset > size:
                break
            if offset - told >= _TICK:
                self._tick(offset - told)
                told = offset
        return _of_length(total, offset, size)

    def _sparse(self, source: int, target: int, size: int) -> int:
        total = 0
        os.ftruncate(target, size)
        for offset, length in _pieces_with_data(source, size):
            got = os.preadv(source, [self._memory[:length]], offset)
            _of_length(0, got, length)
            data = self._memory[:got]
            total = _add_piece(total, offset, data)
            for begin, end in _runs(source, offset, offset + length):
                write_all(target, data[begin - offset : end - offset], begin)
            if offset % _TICK == 0:
                self._tick(_TICK)
        return total


def _of_length(total: int, length: int, expected: int) -> int:
    if length != expected:
        raise ChangedError
    return total


def _clone(source: int, target: int, size: int, tick: Tick) -> None:  # noqa: ARG001 - one signature for all means
    fcntl.ioctl(target, _FICLONE, source)


def _copy_in_kernel(source: int, target: int, size: int, tick: Tick) -> None:
    """Works between filesystems of one type that have it (nfs, cifs, fuse): EXDEV otherwise since Linux 5.19."""
    offset = 0
    while offset < size:
        got = os.copy_file_range(source, target, min(_TICK, size - offset), offset, offset)
        if not got:
            raise ChangedError
        offset += got
        tick(got)
