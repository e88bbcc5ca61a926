"""A folder that only root can make, made for its owner: by descriptors, on a way about which root alone decides.

Done as uid 0 with CAP_CHOWN and no other capability: what the modes do not let root write to is not written to.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from cachewarden.model.caches import Owner
from cachewarden.model.errors import RefusedError
from cachewarden.system.trust import is_roots_folder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BETWEEN, _LAST = 0o755, 0o700
_BEGUN = ".cachewarden-begun"
_LONGEST_NAME = 50
_NO_FOLDER = {errno.ELOOP, errno.ENOTDIR, errno.EACCES}


def give_folder(path: str, owner: Owner, *, elsewhere: bool) -> bool:
    """Makes what is missing of an absolute path and gives the last folder to ``owner``; ``False`` if all is there.

    Nothing that is there is changed. Those between stay root's (0755); the last is the owner's alone (0700) before
    it has its name: after a crash nothing half made is there. ``elsewhere``: not on the disk of ``/``.

    RefusedError where somebody else than root decides about a step of the way, or where the filesystem keeps no
    owners; OSError as the kernel says. Then nothing of it is left.
    """
    *above, last = _names(path)
    with ExitStack() as opened, _exact_modes():
        parent = _entered(opened, os.open("/", _FOLDER), "/")
        device, way = os.fstat(parent).st_dev, ""
        while above and (inner := _open(opened, parent, above[0], f"{way}/{above[0]}")) is not None:
            parent, way = inner, f"{way}/{above.pop(0)}"
        if not above and _is_there(last, parent):
            return False
        if elsewhere and os.fstat(parent).st_dev == device:
            raise RefusedError(f"no disk is mounted at {way or '/'}")
        _make(opened, parent, way, above, last, owner)
    return True


def _names(path: str) -> list[str]:
    names = path.removeprefix("/").split("/")
    if not path.startswith("/") or any(name in {"", ".", ".."} or "\0" in name for name in names):
        raise RefusedError(f"{path!r} is no plain path")
    return names


@contextmanager
def _exact_modes() -> Iterator[None]:
    """A folder has its mode from the beginning: one that was made and not yet opened up would stay shut for good."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def _open(opened: ExitStack, parent: int, name: str, way: str) -> int | None:
    """A step of the way, when it is there and root's alone."""
    try:
        return _entered(opened, os.open(name, _FOLDER, dir_fd=parent), way)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FOLDER:
            raise _not_roots(way) from error
        raise


def _entered(opened: ExitStack, descriptor: int, way: str) -> int:
    opened.callback(os.close, descriptor)
    if not is_roots_folder(descriptor):
        raise _not_roots(way)
    return descriptor


def _not_roots(way: str) -> RefusedError:
    return RefusedError(f"{way} is a link, or no folder that root owns and nobody else may write to")


def _is_there(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _make(opened: ExitStack, parent: int, way: str, between: list[str], last: str, owner: Owner) -> None:
    made: list[tuple[str, int]] = []
    try:
        for name in between:
            with suppress(FileExistsError):  # another worker was quicker: it is looked at as every step is
                os.mkdir(name, _BETWEEN, dir_fd=parent)
                made.append((name, parent))
            way += f"/{name}"
            inner = _open(opened, parent, name, way)
            if inner is None:
                raise RefusedError(f"{way} went away while it was made")
            parent = inner
        _give(last, parent, owner)
    except BaseException:
        for name, where in reversed(made):
            with suppress(OSError):
                os.rmdir(name, dir_fd=where)
        raise


def _give(name: str, parent: int, owner: Owner) -> None:
    """What is given away is, by its descriptor, what was made just now in a folder that is root's alone."""
    begun = f"{_BEGUN}-{name[:_LONGEST_NAME]}"
    with suppress(FileNotFoundError):
        os.rmdir(begun, dir_fd=parent)  # left by one that was killed
    os.mkdir(begun, _LAST, dir_fd=parent)
    try:
        _hand_over(begun, parent, owner)
        if _is_there(name, parent):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        os.rename(begun, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with suppress(OSError):
            os.rmdir(begun, dir_fd=parent)
        raise


def _hand_over(begun: str, parent: int, owner: Owner) -> None:
    descriptor = os.open(begun, _FOLDER, dir_fd=parent)
    try:
        os.fchown(descriptor, owner.uid, owner.gid)
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if status.st_uid != owner.uid or stat.S_IMODE(status.st_mode) & 0o777 != _LAST:
        raise RefusedError("the filesystem there keeps neither owners nor modes")
