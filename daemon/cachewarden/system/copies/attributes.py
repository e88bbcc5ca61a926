"""What a file or folder has beside its contents, and what of it a target would not take."""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from cachewarden.system.copies.places import Place

_DEFAULT_ACL = "system.posix_acl_default"
_OURS_TO_REMOVE = ("user.", "system.posix_acl_")
"""Others come by themselves when a file is made (a label of SELinux), and are not ours to take away."""
_TWINS = "trusted.SGI_ACL_"
"""xfs shows root its ACLs under this name too; elsewhere it would be an attribute like any other (attr.conf(5))."""
_REFUSED = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.E2BIG, errno.ERANGE}
_MOST_EXAMPLES = 20


class Losses:
    """What the target could not take; the first 20 as examples."""

    def __init__(self) -> None:
        """None yet."""
        self.examples: list[str] = []

    def tell(self, path: str, what: str, why: str | None) -> None:
        """Notes one; ``why`` as the kernel says it."""
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(f"{path}: {what}: {why}")

    def refused(self, error: OSError, path: str, what: str) -> None:
        """Notes what the target refused; raises what is no refusal but trouble (no room, a failing disk)."""
        if error.errno not in _REFUSED:
            raise error
        self.tell(path, what, error.strerror)


def names_of(fd: int) -> list[str]:
    """The extended attributes of what is open, ACLs included; none where the filesystem has no such thing."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.ENOSYS}:
            return []
        raise
    return [name for name in names if not name.startswith(_TWINS)] if names else names


def inherits(fd: int) -> bool:
    """Whether what is made in the folder gets an ACL from it."""
    return _DEFAULT_ACL in names_of(fd)


def copy_extended(source: int, names: Sequence[str], target: int, place: Place, file: str, losses: Losses) -> None:
    """Gives ``target`` the named attributes of ``source``. To be called while the owner may write to it."""
    for name in names:
        try:
            value = os.getxattr(source, name)
        except OSError as error:
            if error.errno != errno.ENODATA:  # gone meanwhile
                losses.refused(error, place.below(file), name)
            continue
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            _not_taken(error, target, name, value, place, file, losses)


def _not_taken(error: OSError, target: int, name: str, value: bytes, place: Place, file: str, losses: Losses) -> None:
    try:
        if os.getxattr(target, name) == value:
            return  # a label that it got by itself
    except OSError:
        pass  # it has none: that is what is told
    if error.errno == errno.ENOSPC and os.fstatvfs(target).f_bavail > 0:
        # ext4 says so too when the attributes of one file do not fit into one block.
        losses.tell(place.below(file), name, error.strerror)
    else:
        losses.refused(error, place.below(file), name)


def remove_extended(target: int, keep: Sequence[str], place: Place, file: str, losses: Losses) -> None:
    """Removes those of users and ACLs that are not in ``keep``."""
    for name in names_of(target):
        if name not in keep and name.startswith(_OURS_TO_REMOVE):
            try:
                os.removexattr(target, name)
            except OSError as error:
                if error.errno != errno.ENODATA:
                    losses.refused(error, place.below(file), name)


def set_owner(
    target: int, has: tuple[int, int], wanted: os.stat_result, place: Place, file: str, losses: Losses
) -> None:
    """Gives it to the user and the group of ``wanted``, or to the group alone, as far as the process may."""
    if has == (wanted.st_uid, wanted.st_gid):
        return
    try:
        os.fchown(target, wanted.st_uid, wanted.st_gid)
    except OSError as error:
        losses.refused(error, place.below(file), f"owner {wanted.st_uid}:{wanted.st_gid}")
        if wanted.st_gid != has[1]:
            _set_group(target, wanted.st_gid)


def _set_group(target: int, gid: int) -> None:
    try:
        os.fchown(target, -1, gid)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise


def set_mode(target: int, has: int, wanted: int, place: Place, file: str, losses: Losses) -> None:
    """Sets all twelve bits; the kernel drops setgid in silence for a group that is not the process's.

    Where a sandbox refuses the setid bits, the other nine are set all the same.
    """
    if has == wanted and not wanted & stat.S_ISGID:
        return
    try:
        os.fchmod(target, wanted)
    except OSError as error:
        losses.refused(error, place.below(file), f"mode {wanted:04o}")
        if wanted & (stat.S_ISUID | stat.S_ISGID):
            with suppress(OSError):  # that the mode is not kept was told
                os.fchmod(target, wanted & ~(stat.S_ISUID | stat.S_ISGID))
        return
    if wanted & stat.S_ISGID and not os.fstat(target).st_mode & stat.S_ISGID:
        losses.tell(place.below(file), f"mode {wanted:04o}", os.strerror(errno.EPERM))


def set_times(target: int, wanted: os.stat_result, place: Place, file: str, losses: Losses) -> None:
    """Access and modification, in nanoseconds; the last thing that is done to it."""
    try:
        os.utime(target, ns=(wanted.st_atime_ns, wanted.st_mtime_ns))
    except OSError as error:
        losses.refused(error, place.below(file), "times")
