"""Reading ahead: a disk answers many questions at once sooner than one after the other."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from cachewarden.system.copies.contents import open_to_read

TOGETHER = 64
"""Files; so many descriptors are open for them."""
_BEGINNING = 128 << 10
"""Bytes of each file: all of most files, and together no burden for the memory of a small machine."""


def ask_for(fd: int) -> None:
    """Has the kernel begin to read; returns at once."""
    os.posix_fadvise(fd, 0, _BEGINNING, os.POSIX_FADV_WILLNEED)


class Ahead:
    """Files of one folder that the kernel reads already when their turn comes."""

    def __init__(self, folder: int) -> None:
        """None is open yet."""
        self._folder = folder
        self._open: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes what nobody took."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def begin(self, names: Iterable[str]) -> None:
        """Opens them and asks for their contents. What cannot be opened is an error when it is taken."""
        for name in names:
            with suppress(OSError):
                self._open[name] = fd = open_to_read(self._folder, name)
                ask_for(fd)

    def take(self, name: str) -> int:
        """A descriptor of the file, the caller's from now on; OSError as ``open(2)``."""
        fd = self._open.pop(name, None)
        return open_to_read(self._folder, name) if fd is None else fd
