"""A user's quota of blocks on a filesystem, asked of the kernel.

``quotactl_fd`` (Linux 5.14) by its number: it takes an open folder, so that no path to a device is needed, and one's
own quota can be asked for without any right (quotactl(2)). Older kernels tell none here.
"""

import ctypes
import struct

from cachewarden.model.caches import Quota
from cachewarden.model.units import Bytes

_SYS_QUOTACTL_FD = 443  # the same number on every architecture
_GET_USER_QUOTA = 0x800007 << 8  # QCMD(Q_GETQUOTA, USRQUOTA) of linux/quota.h
_BLOCK = 1024
"""``QIF_DQBLKSIZE``: limits are in these, usage is in bytes."""
_STRUCT = struct.Struct("=8QI4x")
"""``struct if_dqblk``: block limits hard and soft, bytes used, three of inodes, two of times, what is valid."""
_LIMITS_VALID, _SPACE_VALID = 1, 2


def quota_of(fd: int, uid: int) -> Quota | None:
    """The quota of ``uid`` on the filesystem of an open folder.

    ``None`` where the kernel, the filesystem or a sandbox has or tells none, and for a user without a limit.
    """
    call = ctypes.CDLL(None, use_errno=True).syscall
    buffer = ctypes.create_string_buffer(_STRUCT.size)
    done = call(
        ctypes.c_long(_SYS_QUOTACTL_FD), ctypes.c_uint(fd), ctypes.c_uint(_GET_USER_QUOTA), ctypes.c_uint(uid),
        ctypes.byref(buffer),
    )  # fmt: skip
    return None if done < 0 else parse(buffer.raw)


def parse(answer: bytes) -> Quota | None:
    """From ``struct if_dqblk``; ``None`` without a limit."""
    hard, soft, used, *_, valid = _STRUCT.unpack(answer)
    limits = [limit for limit in (hard, soft) if limit]
    if valid & (_LIMITS_VALID | _SPACE_VALID) != _LIMITS_VALID | _SPACE_VALID or not limits:
        return None
    return Quota(Bytes(min(limits) * _BLOCK), Bytes(used))
