"""Filesystems that put off what a removal gives back, and how they are made to say it now.

btrfs shows what was freed with its next transaction, up to 30 s later, XFS and ZFS some moments later. Whoever asks
before that finds the disk as full as it was, and would go on removing.
"""

import ctypes
import os
import time
from collections.abc import Callable

LATE = frozenset({"btrfs", "xfs", "bcachefs", "zfs", "overlay"})
_PAUSE, _PATIENCE = 0.02, 1.0


def settle(fd: int, shown: Callable[[], bool]) -> None:
    """Has the filesystem of an open folder do what it put off (syncfs(2)); OSError as that says.

    XFS goes on behind one's back for some milliseconds: it gets a second until the removal is ``shown``.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(ctypes.c_int(fd)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    until = time.monotonic() + _PATIENCE
    while not shown() and time.monotonic() < until:
        time.sleep(_PAUSE)
