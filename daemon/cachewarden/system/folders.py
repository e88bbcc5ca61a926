"""Open folders: every name is reached below a descriptor, component by component.

``openat2`` (Linux 5.6) makes the kernel refuse links and mount points, bind mounts of the same filesystem
included, which a comparison of ``st_dev`` cannot see. Older kernels get ``O_NOFOLLOW`` and the mount number that
``/proc/self/fdinfo`` tells.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from cachewarden.system.extents import allocation
from cachewarden.system.ports import Allocation, Node, WritableFolder

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOATIME | os.O_NOCTTY
_SYS_OPENAT2 = 437  # the same number on every architecture
_NO_CROSSING, _NO_MAGIC_LINKS, _NO_LINKS, _BENEATH = 1, 2, 4, 8


class _OpenHow(ctypes.Structure):
    """``struct open_how`` of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _Kernel:
    """``openat2`` by its number; remembers when the kernel or a sandbox does not have it."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        # Made once: the kernel only reads them, and making them took longer than the call.
        self._number, self._size = ctypes.c_long(_SYS_OPENAT2), ctypes.c_size_t(ctypes.sizeof(_OpenHow))
        self._hows: dict[tuple[int, int], _OpenHow] = {}
        self._missing = not self._works()

    def _works(self) -> bool:
        """Asked once, of what cannot fail: sandboxes answer EPERM for calls that they do not know."""
        try:
            os.close(self._openat2(-1, "/", os.O_PATH | os.O_CLOEXEC, 0))
        except OSError:
            return False
        return True

    def open_below(self, fd: int, name: str, flags: int) -> int:
        """A descriptor of a folder in ``fd``; OSError as ``openat2(2)`` says, with or without that call.

        ``name`` may be several, ``a/b/c``: the kernel refuses links and mounts at each of them.
        """
        if self._missing:
            return _open_way_by_mount_number(fd, name, flags)
        return self._openat2(fd, name, flags, _NO_CROSSING | _NO_MAGIC_LINKS | _NO_LINKS | _BENEATH)

    def _openat2(self, fd: int, name: str, flags: int, resolve: int) -> int:
        how = self._hows.get((flags, resolve))
        if how is None:
            how = self._hows[flags, resolve] = _OpenHow(flags, 0, resolve)
        found = self._call(self._number, fd, os.fsencode(name), ctypes.byref(how), self._size)
        if found < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), name)
        return int(found)


def _open_below_by_mount_number(fd: int, name: str, flags: int) -> int:
    found = os.open(name, flags, dir_fd=fd)
    try:
        if mount_number(found) != mount_number(fd):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    except OSError:
        os.close(found)
        raise
    return found


def _open_way_by_mount_number(fd: int, way: str, flags: int) -> int:
    *above, last = way.split("/")
    with ExitStack() as opened:
        for name in above:
            fd = _open_below_by_mount_number(fd, name, _OPEN)
            opened.callback(os.close, fd)
        return _open_below_by_mount_number(fd, last, flags)


def mount_number(fd: int) -> int:
    """The kernel's number of the mount that an open descriptor is on; OSError where it does not tell."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    raise OSError(errno.EXDEV, "the kernel does not tell mount numbers")


_kernel: list[_Kernel] = []


def _kernel_call() -> _Kernel:
    if not _kernel:
        _kernel.append(_Kernel())
    return _kernel[0]


def _open_below(fd: int, name: str) -> int:
    try:
        return _kernel_call().open_below(fd, name, _OPEN | os.O_NOATIME)
    except PermissionError:
        # O_NOATIME is for the owner of a folder only; the access time of a folder is no signal of ours.
        return _kernel_call().open_below(fd, name, _OPEN)


def _single(name: str) -> str:
    if not name or name in {".", ".."} or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not a single name", name)
    return name


class OpenFolder:
    """A ``WritableFolder`` on a descriptor. ``path`` is for messages only."""

    __slots__ = ("_fd", "path")

    def __init__(self, fd: int, path: str) -> None:
        """Takes the descriptor over; it is closed at the end of ``with``."""
        self._fd = fd
        self.path = path

    def __enter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        """The descriptor, for what else is done in ``system``; it stays this object's."""
        return self._fd

    def stat(self) -> os.stat_result:
        """Of the folder itself."""
        return os.fstat(self._fd)

    def nodes(self) -> Iterator[Node]:
        """What is in it, in the order of the folder."""
        with os.scandir(self._fd) as found:
            for item in found:
                try:
                    yield Node(item.name, item.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue

    def node(self, name: str) -> Node:
        """One name, not followed."""
        return Node(name, os.stat(_single(name), dir_fd=self._fd, follow_symlinks=False))

    def status_of(self, path: str) -> os.stat_result:
        """Of a name some levels down, not followed; what is on the way may be a link."""
        if path.startswith("/"):
            raise OSError(errno.EINVAL, "not a relative path", path)
        return os.stat(path, dir_fd=self._fd, follow_symlinks=False)

    def folder(self, name: str) -> "OpenFolder":
        """A folder in it; ELOOP for a link, EXDEV for a mount point, ENOTDIR for a file."""
        return OpenFolder(_open_below(self._fd, _single(name)), f"{self.path}/{name}")

    def below(self, way: str) -> "OpenFolder":
        """A folder some levels down, ``a/b/c``, in one call; errors of any of its names as ``folder`` has them."""
        for name in way.split("/"):
            _single(name)
        return OpenFolder(_open_below(self._fd, way), f"{self.path}/{way}")

    def read(self, name: str, size: int, offset: int = 0) -> bytes:
        """Up to ``size`` bytes of a regular file; its access time stays."""
        fd = os.open(_single(name), _READ, dir_fd=self._fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", name)
            size = min(size, status.st_size - offset)  # else one more call finds that nothing is left
            parts: list[bytes] = []
            while size > 0 and (part := os.pread(fd, min(size, 1 << 20), offset)):
                parts.append(part)
                size -= len(part)
                offset += len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def allocation(self, name: str) -> Allocation:
        """What a regular file gives back when it goes; see ``extents``."""
        fd = os.open(_single(name), _READ, dir_fd=self._fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", name)
            return allocation(fd, status.st_blocks * 512)
        finally:
            os.close(fd)

    def link_target(self, name: str) -> str:
        """What a symbolic link says."""
        return os.readlink(_single(name), dir_fd=self._fd)

    def unlink(self, name: str) -> None:
        """Removes a name that is not a folder."""
        os.unlink(_single(name), dir_fd=self._fd)

    def remove_folder(self, name: str) -> None:
        """Removes an empty folder."""
        os.rmdir(_single(name), dir_fd=self._fd)

    def make_folder(self, name: str) -> None:
        """Makes a folder with mode 0700."""
        os.mkdir(_single(name), 0o700, dir_fd=self._fd)

    def move(self, name: str, target: WritableFolder, new_name: str) -> None:
        """Renames into ``target``, which must be of the same mount; EEXIST where something has the name."""
        if not isinstance(target, OpenFolder):
            raise TypeError("a folder of another world")
        try:
            target.node(new_name)
        except FileNotFoundError:
            os.rename(_single(name), _single(new_name), src_dir_fd=self._fd, dst_dir_fd=target._fd)  # noqa: SLF001 - own class
            return
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)

    @contextmanager
    def handle(self, name: str) -> Iterator[int]:
        """A descriptor (O_PATH) of a name in it that is no folder: no link is followed, no mount entered."""
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = _kernel_call().open_below(self._fd, _single(name), flags)
        try:
            yield fd
        finally:
            os.close(fd)

    def open_up(self, name: str) -> None:
        """Adds ``rwx`` for the owner to a folder in it, through a descriptor: never of a link or a mounted disk."""
        fd = _kernel_call().open_below(self._fd, _single(name), os.O_PATH | _OPEN)
        try:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            os.chmod(f"/proc/self/fd/{fd}", mode | stat.S_IRWXU)
        finally:
            os.close(fd)


def open_folder(path: str) -> OpenFolder:
    """Opens an absolute path without links in it, each component below the one before.

    Mounts on the way are fine (a home may be one); links are not: the caller resolved them and a new one is a
    race. OSError as ``open(2)`` says.
    """
    if not os.path.isabs(path):
        raise OSError(errno.EINVAL, "not an absolute path", path)
    fd = os.open("/", _OPEN)
    try:
        for name in path.split("/"):
            if name in {"", "."}:
                continue
            # A descriptor that cannot be read is enough to go on: homes are often 0711.
            found = os.open(_single(name), os.O_PATH | _OPEN, dir_fd=fd)
            os.close(fd)
            fd = found
        return OpenFolder(_reopen_for_reading(fd), path)
    finally:
        os.close(fd)


def _reopen_for_reading(fd: int) -> int:
    """A readable descriptor of the very folder that ``fd`` (O_PATH) is."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(".", flags | os.O_NOATIME, dir_fd=fd)
    except PermissionError:
        return os.open(".", flags, dir_fd=fd)  # as in _open_below
