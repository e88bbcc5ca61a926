"""Rights of a group on a whole tree: setgid, group-writable, and default ACLs, so that new folders stay so."""

import grp
import struct

from cachewarden.system.folders import OpenFolder

_DEFAULT = "system.posix_acl_default"
_HEAD, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_VERSION = 2
_USER_OBJ, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x04, 0x08, 0x10, 0x20
_NOBODY = 0xFFFFFFFF


def default_acl(gid: int, others: int) -> bytes:
    """What new files and folders get (linux/posix_acl_xattr.h): all for the owner, the group and ``gid``."""
    entries = (
        (_USER_OBJ, 7, _NOBODY), (_GROUP_OBJ, 7, _NOBODY), (_GROUP, 7, gid), (_MASK, 7, _NOBODY), (_OTHER, others, _NOBODY),
    )  # fmt: skip
    return _HEAD.pack(_VERSION) + b"".join(_ENTRY.pack(*each) for each in entries)


def share_tree(root: OpenFolder, group: str) -> None:
    """Gives ``group`` all that is below an open folder and the folder itself; KeyError for an unknown group.

    Everything must be this process's own. What has other names elsewhere is left alone: it may be an environment's.
    """
    _share(root, grp.getgrnam(group).gr_gid)


def _share(folder: OpenFolder, gid: int) -> None:
    raise NotImplementedError
