"""The state folder belongs to the service's user, also where root was there first."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from cachewarden.model.caches import Owner

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def hand_over(path: str, service: Owner, names: Iterable[str]) -> None:
    """Makes the folder, or gives one of root's to ``service``, with the files of these names in it.

    Nothing but a folder that is empty or holds a state changes hands: ``path`` may be any that root named. The
    service may have been taken over: links are not followed, and only what is root's and has one name is given.
    What does not work stays as it is; the state then says so.
    """
    with suppress(OSError):
        os.makedirs(path, mode=0o700, exist_ok=True)
        fd = os.open(path, _FOLDER)
        try:
            known = {*names}
            if os.fstat(fd).st_uid == 0 and set(os.listdir(fd)) <= known:
                os.fchmod(fd, 0o700)
                os.fchown(fd, service.uid, service.gid)
            if os.fstat(fd).st_uid == service.uid:
                for name in known:
                    _hand_over_file(fd, name, service)
        finally:
            os.close(fd)


def _hand_over_file(folder: int, name: str, service: Owner) -> None:
    with suppress(OSError):
        fd = os.open(name, _FILE, dir_fd=folder)
        try:
            status = os.fstat(fd)
            if status.st_uid == 0 and stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                os.fchown(fd, service.uid, service.gid)
        finally:
            os.close(fd)
