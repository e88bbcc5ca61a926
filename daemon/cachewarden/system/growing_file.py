"""A file that grows line by line up to a limit, and begins anew beside its past."""

import os
import stat
from contextlib import suppress

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TAIL = 64 * 1024
"""More than any line of ours."""
BEFORE = ".1"
"""The ending of the past that is kept: one file of it."""


class GrowingFile:
    """Lines in ``path``, at most ``limit`` bytes of them, and once as many in ``path.1``. Nothing is kept open."""

    def __init__(self, path: str, limit: int) -> None:
        """Touches nothing."""
        self.path = path
        self._limit = limit

    @property
    def limit(self) -> int:
        """In bytes, of one of the two files."""
        return self._limit

    def last_line(self) -> str:
        """The last whole line, without its end; empty where there is none, or the file cannot be read."""
        try:
            fd = os.open(self.path, _FLAGS & ~os.O_CREAT)
        except OSError:
            return ""
        try:
            lines = _tail(fd).split(b"\n")
        except OSError:
            return ""
        finally:
            os.close(fd)
        return lines[-2].decode("ascii", "replace") if len(lines) > 1 else ""

    def begin(self) -> None:
        """What is there becomes the past, and the next line is the first."""
        with suppress(FileNotFoundError):
            os.replace(self.path, self.path + BEFORE)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more stay within the limit; OSError when it cannot be told."""
        try:
            return os.stat(self.path, follow_symlinks=False).st_size + size <= self._limit
        except FileNotFoundError:
            return size <= self._limit

    def append(self, data: bytes) -> None:
        """Whole lines; all of them or, with OSError, none. What a kill left of a line is taken away first."""
        fd = os.open(self.path, _FLAGS, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError("not a regular file")
            size = os.fstat(fd).st_size
            if rest := len(_tail(fd).rpartition(b"\n")[2]):
                size -= rest
                os.ftruncate(fd, size)
            _write(fd, data, size)
        finally:
            os.close(fd)


def _tail(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    return os.pread(fd, _TAIL, max(0, size - _TAIL))


def _write(fd: int, data: bytes, size: int) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, size)
        raise
