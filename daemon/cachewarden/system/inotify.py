"""inotify(7) itself, for what watchdog keeps to itself: who lists folders, and what was lost."""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

RIGHTS, WRITTEN, CLOSED, OPENED = 0x4, 0x8, 0x10, 0x20
"""``WRITTEN``: closed after it was open for writing; ``CLOSED``: after any other opening."""
MOVED_AWAY, MOVED_HERE, CREATED, DELETED = 0x40, 0x80, 0x100, 0x200
SELF_DELETED, SELF_MOVED = 0x400, 0x800
ONLY_FOLDERS, NO_LINKS = 0x0100_0000, 0x0200_0000
LOST, GONE, IS_FOLDER = 0x4000, 0x8000, 0x4000_0000
_HEAD = struct.Struct("iIII")
_PART = 1 << 16


class Told(NamedTuple):
    """What happened: in the folder that was added as ``number``, to ``name`` (empty: to itself)."""

    number: int
    mask: int
    name: str


class Inotify:
    """One instance with its own queue."""

    def __init__(self) -> None:
        """OSError where the kernel gives none (``max_user_instances``)."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = _checked(self._libc.inotify_init1(os.O_CLOEXEC), "inotify")

    def add(self, path: str, mask: int) -> int:
        """Its number; that of a folder that is followed already is the same. OSError with the kernel's reason."""
        return _checked(self._libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask)), path)

    def remove(self, number: int) -> None:
        """Follows it no longer."""
        self._libc.inotify_rm_watch(self._fd, number)

    def read(self) -> Iterator[Told]:
        """Waits for the next ones. ``LOST`` in a mask: the kernel had to leave some out."""
        data = os.read(self._fd, _PART)
        while data:
            number, mask, _, length = _HEAD.unpack_from(data)
            name = os.fsdecode(data[_HEAD.size : _HEAD.size + length].rstrip(b"\0"))
            data = data[_HEAD.size + length :]
            yield Told(number, mask, name)

    def close(self) -> None:
        """Ends it."""
        os.close(self._fd)


def _checked(number: int, what: str) -> int:
    if number < 0:
        code = ctypes.get_errno() or errno.EIO
        raise OSError(code, os.strerror(code), what)
    return int(number)
