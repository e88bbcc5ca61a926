"""Small files that must be whole whatever happens: written beside, made durable, and renamed into place.

Paths are those of the caller's own rights: whoever calls has made sure that nobody else laid the way
(``Files.trusted_path``). The last component is never followed.
"""

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cachewarden.model.errors import BusyError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TEMPORARY = ".cachewarden-new"
"""The ending of what is being written: it is nobody's after a kill."""
_EXCHANGE = 2
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_AT_FDCWD = -100


def read(path: str, limit: int) -> bytes | None:
    """A regular file; ``None`` when it is not there, EINVAL when it is none, EFBIG beyond ``limit`` bytes."""
    try:
        fd = os.open(path, _READ)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
    return data


def write(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replaces a file, which keeps its mode, group and extended attributes; a new one gets ``mode``.

    When it returns the file is on the disk; when it raises OSError the old one is as it was.
    """
    folder, name = os.path.split(path)
    fd = os.open(folder or "/", _FOLDER)
    try:
        temporary = f"{name[:200]}{TEMPORARY}"
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=fd)
        try:
            _fill(fd, name, temporary, data, mode)
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=fd)
            raise
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(folder: str, name: str = "") -> None:
    """Removes what a kill in the middle of a ``write`` left: of one file, or of all in a folder of ours."""
    left = (
        [f"{name[:200]}{TEMPORARY}"] if name else [each for each in names(folder, 1000) if each.endswith(TEMPORARY)]
    )
    for each in left:
        with suppress(OSError):
            os.unlink(f"{folder}/{each}")


def _fill(folder: int, name: str, temporary: str, data: bytes, mode: int) -> None:
    new = os.open(temporary, _NEW, 0o600, dir_fd=folder)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(new, view) :]
        _take_after(folder, name, new, mode)
        os.fsync(new)
    finally:
        os.close(new)


def _take_after(folder: int, name: str, new: int, mode: int) -> None:
    """What replaces a file is to be as readable, and as private, as that was."""
    try:
        old = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        os.fchmod(new, mode)
        return
    try:
        status, own = os.fstat(old), os.fstat(new)
        if status.st_gid != own.st_gid:
            with suppress(PermissionError):  # a group that the owner has left
                os.fchown(new, -1, status.st_gid)
        where = f"/proc/self/fd/{old}"
        for attribute in _attributes(where):
            with suppress(OSError):
                os.setxattr(new, attribute, os.getxattr(where, attribute))
        os.fchmod(new, stat.S_IMODE(status.st_mode))
    finally:
        os.close(old)


def _attributes(where: str) -> list[str]:
    try:
        return os.listxattr(where)
    except OSError:
        return []


def is_there(path: str) -> bool:
    """Whether anything has this name, a dangling link included."""
    return os.path.lexists(path)


def is_folder(path: str) -> bool:
    """Whether the name is a folder itself, no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def inode(path: str) -> int:
    """Of a folder itself, no link to one; 0 for anything else."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return 0
    return status.st_ino if stat.S_ISDIR(status.st_mode) else 0


def is_own(path: str) -> bool:
    """Whether it belongs to the user of this process; a link to it does not count. OSError as the kernel gives."""
    return os.lstat(path).st_uid == os.geteuid()


def leads(path: str) -> str | None:
    """What a symbolic link says; ``None`` for anything else."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def remove(path: str) -> None:
    """Removes a file or link for good; fine when it is gone already."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Makes what was named, renamed and removed in a folder durable."""
    try:
        fd = os.open(path or "/", _FOLDER)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(path: str, mode: int = 0o700) -> list[str]:
    """Makes a folder and those above it that are missing; returns what was made, the topmost first."""
    made: list[str] = []
    missing: list[str] = []
    current = path.rstrip("/") or "/"
    while not os.path.lexists(current):
        missing.append(current)
        current = os.path.dirname(current)
    for each in reversed(missing):
        try:
            os.mkdir(each, 0o700)
        except FileExistsError:
            continue
        if mode != 0o700:
            os.chmod(each, mode)  # whatever the umask is
        made.append(each)
        sync_folder(os.path.dirname(each))
    if not os.path.isdir(path):
        raise OSError(errno.ENOTDIR, "not a folder", path)
    return made


def names(folder: str, most: int) -> list[str]:
    """Up to ``most`` sorted names; none where there is no folder."""
    try:
        return sorted(os.listdir(folder))[:most]
    except (FileNotFoundError, NotADirectoryError):
        return []


def rename(old: str, new: str) -> None:
    """Renames within a folder, durably; EEXIST where something has the name."""
    if os.path.lexists(new):
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    os.rename(old, new)
    sync_folder(os.path.dirname(new))


def exchange(one: str, other: str, spare: str) -> None:
    """Lets two names change places, in one step (renameat2(2)) where the filesystem can.

    Else in three by way of ``spare``: a kill between them leaves ``one`` or ``other`` there.
    """
    if exchanged(_AT_FDCWD, one, _AT_FDCWD, other):
        sync_folder(os.path.dirname(one))
    else:
        rename(other, spare)
        rename(one, other)
        rename(spare, one)


def exchanged(folder: int, name: str, other: int, other_name: str) -> bool:
    """Lets two names below open folders change places, in one step; no where the filesystem cannot (nfs).

    Not durable by itself.
    """
    call = ctypes.CDLL(None, use_errno=True).renameat2
    if call(folder, os.fsencode(name), other, os.fsencode(other_name), ctypes.c_uint(_EXCHANGE)) == 0:
        return True
    if (code := ctypes.get_errno()) in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), name)


def link(target: str, name: str) -> None:
    """Makes a symbolic link, durably."""
    os.symlink(target, name)
    sync_folder(os.path.dirname(name))


@contextmanager
def alone(folder: str) -> Iterator[None]:
    """Nobody else works on what is recorded in ``folder`` meanwhile; BusyError when somebody does."""
    fd = os.open(folder, _FOLDER)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError("another cachewarden moves a cache of this user; try again later") from None
        yield
    finally:
        os.close(fd)
