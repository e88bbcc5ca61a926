"""Whether a path means what its owner meant: nobody else may have laid the way to it.

A worker of root that reads a configuration, or follows a link, which another user wrote does that user's will with
root's rights. So every step of a way, links included, must belong to the owner or to root, and must not be open for
everybody to replace.
"""

import errno
import os
import stat

from cachewarden.model.caches import Owner

_MOST_LINKS = 40


def trusted_way(path: str, owner: Owner) -> str:
    """The path with all links resolved; EPERM, with the step that is not to be trusted; else the kernel's errors."""
    pending = path.split("/")[::-1]
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
        check_step(step, status, owner)
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


def check_step(step: str, status: os.stat_result, owner: Owner) -> None:
    """EPERM when somebody else than ``owner`` or root decides about ``step``."""
    if status.st_uid not in {0, owner.uid} and not _leads_home(step, owner):
        raise OSError(
            errno.EPERM, f"{step} belongs to uid {status.st_uid}, whose word does not count for {owner.name}"
        )
    # A link's own mode means nothing; in a sticky folder only the owner of a name can replace it.
    open_to_all = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
    if open_to_all and not stat.S_ISLNK(status.st_mode):
        raise OSError(errno.EPERM, f"{step} can be written by everybody: its word counts for nobody")


def _leads_home(step: str, owner: Owner) -> bool:
    """What lies above a home is trusted with the home: whoever owns that decides about every login anyway."""
    home = owner.home.rstrip("/")
    return home.startswith(step + "/")
