"""Small real disks (root), and what tests do to trees: age them, give them to somebody."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

MIB = 1024 * 1024

# The program and how it is told to be silent and to overwrite; the Debian package that has it.
_MAKERS = {
    "ext4": (("mkfs.ext4", "-q", "-F"), "e2fsprogs"),
    "xfs": (("mkfs.xfs", "-q", "-f"), "xfsprogs"),
    "btrfs": (("mkfs.btrfs", "-q", "-f"), "btrfs-progs"),
    "vfat": (("mkfs.vfat",), "dosfstools"),
}
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class DiskUnavailableError(RuntimeError):
    """This machine cannot make the disk: a tool, a right or the kernel's loop driver is missing."""


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=_SYSTEM_PATH)
    if found is None:
        raise DiskUnavailableError(f"{name}: not found; install the Debian package {package}")
    return found


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=240, env={"PATH": _SYSTEM_PATH, "LC_ALL": "C"}
    )
    if done.returncode != 0:
        raise DiskUnavailableError(f"{' '.join(command)}: rc={done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def why_no_loop_disks(fstype: str = "ext4") -> str | None:
    """The reason why LoopDisk cannot work here, to skip with; None if it should work."""
    if os.geteuid() != 0:
        return "loop disks need root"
    command, package = _MAKERS[fstype]
    try:
        _program(command[0], package)
        _run([_program("losetup", "mount"), "--find"])
    except DiskUnavailableError as error:
        return str(error)
    return None


class LoopDisk:
    """A filesystem of its own in a sparse image, mounted while the `with` block runs; root only.

    The mount point can be entered by everybody and belongs to root. `mount_options` as for mount -o ("noatime"),
    `mkfs_options` as for the filesystem's mkfs (["-m", "0"]: ext4 without root's reserve). Smallest sizes:
    ext4 2 MiB, btrfs 110 MiB, xfs 300 MiB. Raises DiskUnavailableError.
    """

    def __init__(
        self, size_mib: int, fstype: str = "ext4", mount_options: str = "", *, mkfs_options: Sequence[str] = ()
    ) -> None:
        if fstype not in _MAKERS:
            raise ValueError(f"fstype: expected one of {', '.join(_MAKERS)}, got {fstype!r}")
        self.size_mib = size_mib
        self.fstype = fstype
        self.mount_options = mount_options
        self.mkfs_options = tuple(mkfs_options)
        self.device = ""
        self._folder: Path | None = None
        self._cleanup = contextlib.ExitStack()

    @property
    def path(self) -> Path:
        """The mount point."""
        if self._folder is None:
            raise RuntimeError("the disk is not mounted: use it inside its with block")
        return self._folder / "disk"

    @property
    def ballast(self) -> Path:
        """The unrelated file that `fill` writes."""
        return self.path / "ballast.bin"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._set_up(undo)
            self._cleanup = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _set_up(self, undo: contextlib.ExitStack) -> None:
        if (reason := why_no_loop_disks(self.fstype)) is not None:
            raise DiskUnavailableError(reason)
        self._folder = Path(tempfile.mkdtemp(prefix="cachewarden-disk-"))
        undo.callback(shutil.rmtree, self._folder)
        self._folder.chmod(0o755)
        image = self._folder / "image"
        with image.open("wb") as file:
            file.truncate(self.size_mib * MIB)
        command, package = _MAKERS[self.fstype]
        _run([_program(command[0], package), *command[1:], *self.mkfs_options, str(image)])
        self.device = _run([_program("losetup", "mount"), "--find", "--show", str(image)])
        undo.callback(_run, [_program("losetup", "mount"), "--detach", self.device])
        self._mount(undo)

    def _mount(self, undo: contextlib.ExitStack) -> None:
        self.path.mkdir()
        self.mount()
        undo.callback(self._unmount)
        if self.fstype != "vfat":
            self.path.chmod(0o755)

    def _unmount(self) -> None:
        """Unmount whatever happens: a test's forgotten descriptor must not leave a mount behind."""
        umount = _program("umount", "mount")
        if not os.path.ismount(self.path):
            return  # the test took the disk away
        try:
            _run([umount, str(self.path)])
        except DiskUnavailableError:
            _run([umount, "--lazy", str(self.path)])

    def unmount(self) -> None:
        """Take the disk away, as when it is unplugged; `mount` brings it back."""
        unmount(self.path)

    def mount(self) -> None:
        """Bring back a disk that `unmount` took away."""
        options = ["-o", self.mount_options] if self.mount_options else []
        command = [_program("mount", "mount"), "-t", self.fstype, *options, self.device, str(self.path)]
        for pause in (0.2, 1.0, 3.0):
            try:
                _run(command)
            except DiskUnavailableError:
                time.sleep(pause)  # what was unmounted a moment ago may still be busy
            else:
                return
        _run(command)

    def free_bytes(self) -> int:
        """What an ordinary user can still write (f_bavail): ext4's reserve for root is not in it."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave_free: int, *, reserve_too: bool = False) -> Path:
        """Let the ballast file grow (or shrink) until an ordinary user can write `leave_free` bytes more.

        Exact to a few blocks. `reserve_too` fills root's reserve as well: then free_bytes() is 0, and deleting
        less than the reserve shows no gain at all.
        """
        descriptor = os.open(self.ballast, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(4):  # the ballast's own metadata takes room too, so measure again
                self._grow(descriptor, self.free_bytes() - leave_free)
            if reserve_too:
                _write_until_full(descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self.ballast

    def _grow(self, descriptor: int, surplus: int) -> None:
        size = os.fstat(descriptor).st_size
        if surplus > 0:
            os.posix_fallocate(descriptor, size, surplus)
        elif surplus < 0:
            os.ftruncate(descriptor, max(0, size + surplus))
        os.sync()  # btrfs and xfs free and count late


def unmount(path: Path, seconds: float = 60) -> None:
    """As a person does who is told that the disk is busy: a service may look at it right now. Root only."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            _run([_program("umount", "mount"), str(path)])
        except DiskUnavailableError as error:
            if "busy" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _write_until_full(descriptor: int) -> None:
    os.lseek(descriptor, 0, os.SEEK_END)
    for size in (MIB, 4096):
        with contextlib.suppress(OSError):  # ENOSPC is the aim
            while True:
                os.write(descriptor, b"\0" * size)


# ---------------------------------------------------------------------------------------------------------
# Trees


def _tree(path: Path) -> list[str]:
    """The path and all below it, children before their folders, links not followed."""
    found = [str(path)]
    if path.is_dir() and not path.is_symlink():
        for folder, folders, files in os.walk(path):
            found += [os.path.join(folder, name) for name in (*folders, *files)]
    return found[::-1]


def set_age(path: Path, seconds: float) -> None:
    """Make a file or a whole tree look last written and read `seconds` ago (ctime cannot be set)."""
    moment = time.time() - seconds
    for each in _tree(path):
        os.utime(each, (moment, moment), follow_symlinks=False)


def give_to(path: Path, uid: int, gid: int) -> None:
    """Give a whole tree to a user, links themselves and not their targets; root only."""
    for each in _tree(path):
        os.chown(each, uid, gid, follow_symlinks=False)
