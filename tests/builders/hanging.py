"""A filesystem that never answers, as a dead network mount: whoever asks it waits until killed. Root only."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LAZY = 2


@contextmanager
def hanging_mount(path: Path) -> Iterator[Path]:
    """``path`` as a FUSE mount whose server has taken the connection and says nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    path.mkdir(exist_ok=True)
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"nobody", os.fsencode(path), b"fuse", 0, options.encode()) != 0:
        code = ctypes.get_errno()
        os.close(fd)
        raise OSError(code, os.strerror(code), str(path))
    try:
        yield path
    finally:
        libc.umount2(os.fsencode(path), _LAZY)
        os.close(fd)  # ends every request that still waits
