"""The mounts that this process sees, as an open table that tells by poll(2) when it changes."""

import os

from cachewarden.system.files import parse_mounts
from cachewarden.system.ports import Mount

_TABLE = "/proc/self/mountinfo"
_PART = 1 << 16


class MountTable:
    """An open mountinfo: after each change it is ready once for POLLPRI; for POLLIN it always is (proc(5)).

    It is of this process's own mount namespace, where a sandboxed service sees disks come and go as everybody else.
    """

    def __init__(self) -> None:
        """OSError where there is no /proc."""
        self._fd = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)

    def fileno(self) -> int:
        """To be polled for POLLPRI."""
        return self._fd

    def read(self) -> tuple[Mount, ...]:
        """All mounts as they are now, in the kernel's order."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        parts = []
        while part := os.read(self._fd, _PART):
            parts.append(part)
        return tuple(mount for _, mount in parse_mounts(b"".join(parts)))

    def close(self) -> None:
        """Ends it."""
        os.close(self._fd)
