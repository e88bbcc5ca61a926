"""Whether a path means what its owner meant: nobody else may have laid the way to it.

A worker of root that reads a configuration, or follows a link, which another user wrote does that user's will with
root's rights. So every step of a way, links included, must belong to the owner or to root, and must not be open for
others to replace: neither for everybody nor for a group. The owner's own group counts as the owner. The folder at the
end may be a group's: a cache that several share is one, and who may write there decides about nothing but it.
"""

import errno
import os
import stat
from collections.abc import Mapping

from cachewarden.model.caches import Owner
from cachewarden.system import acl
from cachewarden.system.ports import Mount

_MOST_LINKS = 40
_CAN_HANG = ("fuse", "nfs", "cifs", "smb", "ceph", "9p", "afs", "glusterfs", "autofs")
"""Types that a user can mount, or whose server may be gone: asking could be refused, or block for ever."""


def may_hang(type_: str) -> bool:
    """Whether a filesystem of this type may keep everybody waiting who asks it something."""
    return type_.startswith(_CAN_HANG)


def is_roots_alone(path: str, mounts: Mapping[str, Mount]) -> bool:
    """Whether nobody but root decides what an absolute path leads to, and asking about it cannot block.

    Every folder above it is root's, no link, and writable by nobody else; none, nor the path itself, is on a
    filesystem that may hang. Of the path itself nothing else is asked: it may be a user's home.
    """
    steps = [path.rstrip("/")]
    while steps[-1]:
        steps.append(steps[-1].rpartition("/")[0])
    steps[-1] = "/"
    if any(step in mounts and may_hang(mounts[step].type) for step in steps):
        return False
    return all(is_roots_folder(step) for step in reversed(steps[1:]))


def is_roots_folder(where: str | int) -> bool:
    """Whether a path, not followed, or an open descriptor is a folder that root owns and nobody else may write to."""
    try:
        status = os.fstat(where) if isinstance(where, int) else os.lstat(where)
        # With an access list, what looks like the rights of the group is the most that anybody named in it has.
        of_root = status.st_gid == 0 and not (status.st_mode & stat.S_IWGRP and _has_access_list(where))
    except OSError:
        return False
    others = status.st_mode & (stat.S_IWOTH | (0 if of_root else stat.S_IWGRP))
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not others


def _has_access_list(where: str | int) -> bool:
    try:
        names = os.listxattr(where) if isinstance(where, int) else os.listxattr(where, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.ENOTSUP, errno.ENOSYS}:
            return False
        raise
    return "system.posix_acl_access" in names


def trusted_way(path: str, owner: Owner) -> str:
    """The path with all links resolved; EPERM, with the step that is not to be trusted; else the kernel's errors.

    ``folder/.`` asks about what is, or is going to be, in a folder: no group may write to it then.
    """
    pending = path.rstrip("/").split("/")[::-1]
    current, links = "/", 0
    while pending:
        name = pending.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            current = os.path.dirname(current)
            continue
        step = os.path.join(current, name)
        status = os.lstat(step)
        is_end = not pending and stat.S_ISDIR(status.st_mode)
        check_step(step, status, owner, group=not is_end)
        if not stat.S_ISLNK(status.st_mode):
            current = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(step)
        if target.startswith("/"):
            current = "/"
        pending.extend(target.split("/")[::-1])
    return current


def check_step(
    step: str, status: os.stat_result, owner: Owner, *, group: bool = True, where: str | int | None = None
) -> None:
    """EPERM when somebody else than ``owner`` or root decides about ``step``; ``where`` is what was opened there.

    Without ``group`` a group may: what is in a folder is not asked about then.
    """
    if status.st_uid not in {0, owner.uid} and not _leads_home(step, owner):
        raise OSError(
            errno.EPERM, f"{step} belongs to uid {status.st_uid}, whose word does not count for {owner.name}"
        )
    # A link's own mode means nothing; in a sticky folder only the owner of a name can replace it.
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return
    if status.st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, f"{step} can be written by everybody: its word counts for nobody")
    if not group or not status.st_mode & stat.S_IWGRP or _leads_home(step, owner):
        return
    if others := _other_writers(step if where is None else where, status.st_gid, owner):
        raise OSError(errno.EPERM, f"{step} can be written by {others}: its word does not count for {owner.name}")


def _other_writers(where: str | int, gid: int, owner: Owner) -> str:
    """Who may write beside owner and root, in words, where the mode has the right to write for a group or a list."""
    try:
        # An open file has no links to follow, and the call refuses to be told so.
        data = os.getxattr(where, acl.ACCESS, follow_symlinks=isinstance(where, int))
        users, groups = acl.writers(acl.unpacked(data), gid)
    except ValueError:
        return "those whom an access list names that cannot be read"
    except OSError as error:
        if error.errno not in {errno.ENODATA, errno.ENOTSUP, errno.ENOSYS}:
            raise
        users, groups = set(), {gid}
    found = [f"uid {each}" for each in sorted(users - {0, owner.uid})]
    return ", ".join(found + [f"members of group {each}" for each in sorted(groups - {0, owner.gid})])


def _leads_home(step: str, owner: Owner) -> bool:
    """What lies above a home is trusted with the home: whoever owns that decides about every login anyway."""
    home = owner.home.rstrip("/")
    return home.startswith(step + "/")
