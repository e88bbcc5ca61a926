"""Which folders somebody lists, by inotify(7).

watchdog tells of files that are opened, and keeps to itself that folders are. Yet that tells the two apart who open
files of a cache: whoever looks through it (a backup, a search, our own look) lists its folders first, and a tool that
uses an entry goes to its file by name.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_CLOSE, _OPEN, _MOVED_HERE, _CREATED = 0x10, 0x20, 0x80, 0x100
_ONLY_FOLDERS, _NO_LINKS = 0x0100_0000, 0x0200_0000
_LOST, _IS_FOLDER = 0x4000, 0x4000_0000
_HEAD = struct.Struct("iIII")
_PART = 1 << 16


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder was opened or closed (``opened``), or has come into being (``new``). ``path`` as it was followed."""

    path: str
    opened: bool = False
    new: bool = False


class Listings:
    """An inotify of its own: of the folders that are followed, and of those in them."""

    def __init__(self) -> None:
        """OSError where the kernel gives none (``max_user_instances``)."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_CLOEXEC), "inotify")
        self._paths: dict[int, str] = {}

    def follow(self, path: str) -> None:
        """Adds a folder; OSError where there is none, for a link, and where the kernel gives no more watches."""
        mask = _OPEN | _CLOSE | _CREATED | _MOVED_HERE | _ONLY_FOLDERS | _NO_LINKS
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask))
        self._paths[self._checked(number, path)] = path

    def read(self) -> Iterator[Listing]:
        """Waits for the next ones. What the kernel had to leave out counts as a listing of all that is followed."""
        data = os.read(self._fd, _PART)
        while data:
            number, mask, _, length = _HEAD.unpack_from(data)
            name = os.fsdecode(data[_HEAD.size : _HEAD.size + length].rstrip(b"\0"))
            data = data[_HEAD.size + length :]
            if mask & _LOST:
                yield from (Listing(path) for path in set(self._paths.values()))
            elif mask & _IS_FOLDER and number in self._paths:
                path = f"{self._paths[number]}/{name}" if name else self._paths[number]
                yield Listing(path, opened=bool(mask & _OPEN), new=bool(mask & (_CREATED | _MOVED_HERE)))

    def close(self) -> None:
        """Ends it."""
        os.close(self._fd)

    def _checked(self, number: int, what: str) -> int:
        if number < 0:
            code = ctypes.get_errno() or errno.EIO
            raise OSError(code, os.strerror(code), what)
        return int(number)
