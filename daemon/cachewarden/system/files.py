"""Configuration files by path, and what is known of mounts: the shipped ``Files``."""

import errno
import os
import re
import stat
from collections.abc import Iterator

from cachewarden.model.caches import Owner, Quota
from cachewarden.model.units import Bytes, Inodes
from cachewarden.system.folders import OpenFolder, mount_number, open_folder
from cachewarden.system.ports import Mount, Space
from cachewarden.system.quotas import quota_of
from cachewarden.system.settling import LATE, settle
from cachewarden.system.trust import check_step, is_roots_alone, trusted_way

_OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")


class RealFiles:
    """Reads with the rights of this process; the kernel says what is allowed.

    For an ``owner`` only what that owner or root wrote counts: see ``trust``.
    """

    def __init__(self, owner: Owner | None = None) -> None:
        """Without an owner every path is believed: for the program's own configuration."""
        self._owner = owner

    def trusted_path(self, path: str) -> str:
        """As ``real_path``, but it must exist, and EPERM when somebody else laid the way to it."""
        return trusted_way(path, self._owner) if self._owner else os.path.realpath(path, strict=True)

    def read_text(self, path: str, limit: int) -> str:
        """A regular file, UTF-8 with surrogates; EFBIG when larger than ``limit``, EINVAL when not regular.

        EPERM when it is not the owner's nor root's.
        """
        path = self.trusted_path(path)
        # Looked at first: opening a device can have effects, and O_NONBLOCK does not help against those.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            if self._owner:
                check_step(path, status, self._owner, where=fd)  # of what is open: the name may mean another by now
            data = file.read(limit + 1)
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        return data.decode("utf-8", "surrogateescape")

    def names(self, path: str) -> list[str]:
        """Sorted names of a folder; empty when it cannot be listed."""
        try:
            return self.listing(path)
        except (OSError, ValueError):
            return []

    def listing(self, path: str) -> list[str]:
        """Sorted names of a folder."""
        return sorted(os.listdir(path))

    def stat(self, path: str) -> os.stat_result | None:
        """Following links; ``None`` when nothing can be reached there."""
        try:
            return os.stat(path)
        except (OSError, ValueError):
            return None

    def real_path(self, path: str) -> str:
        """Absolute, links resolved as far as it exists."""
        try:
            return os.path.realpath(path)
        except RecursionError:  # a thousand links: the kernel follows 40, so nothing can be reached there
            return os.path.abspath(path)

    def may_write(self, path: str) -> bool:
        """By its permissions alone: the sandbox of a service mounts read-only what its owner's tools can write."""
        status = self.stat(path)
        return status is not None and (_bits_allow(status) or os.access(path, os.W_OK))  # access knows of ACLs

    def open_folder(self, path: str) -> OpenFolder:
        """See ``folders.open_folder``."""
        return open_folder(path)

    def mount_of(self, path: str) -> Mount:
        """The mount whose number the kernel gives for ``path``."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            number = mount_number(fd)
        finally:
            os.close(fd)
        for own, mount in _mounts():
            if own == number:
                return mount
        raise OSError(errno.ENOENT, "no mount holds this path", path)

    def mounts(self) -> dict[str, Mount]:
        """All mounts that are seen here, by mount point; of several at one point the last, which hides the others."""
        return {mount.mount: mount for _, mount in _mounts()}

    def is_roots_alone(self, path: str) -> bool:
        """See ``trust.is_roots_alone``."""
        return is_roots_alone(path, self.mounts())

    def space(self, path: str) -> Space:
        """Of the filesystem that holds ``path``: ``free`` is ``f_bavail``, what an ordinary user can get."""
        found = os.statvfs(path)
        return Space(
            total=Bytes(found.f_blocks * found.f_frsize),
            free=Bytes(found.f_bavail * found.f_frsize),
            inodes_total=Inodes(found.f_files),
            inodes_free=Inodes(found.f_favail),
        )

    def settle(self, path: str, free: int) -> None:
        """After removals: waits for ``free`` bytes to show, where that is late; see ``settling``."""
        if self.mount_of(path).type not in LATE:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            settle(fd, lambda: self.space(path).free >= free)
        finally:
            os.close(fd)

    def quota(self, path: str, uid: int) -> Quota | None:
        """See ``quotas``."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return quota_of(fd, uid)
        finally:
            os.close(fd)


def _bits_allow(status: os.stat_result) -> bool:
    """Whether the mode lets this process write; to root nothing is barred."""
    uid = os.geteuid()
    if status.st_uid == uid or uid == 0:
        return bool(uid == 0 or status.st_mode & stat.S_IWUSR)
    if status.st_gid in {os.getegid(), *os.getgroups()}:
        return bool(status.st_mode & stat.S_IWGRP)
    return bool(status.st_mode & stat.S_IWOTH)


def _mounts() -> Iterator[tuple[int, Mount]]:
    with open("/proc/self/mountinfo", "rb") as file:
        yield from parse_mounts(file.read())


def parse_mounts(table: bytes) -> Iterator[tuple[int, Mount]]:
    """Mounts with the kernel's numbers, in its order. A line that is none is passed over."""
    for line in table.split(b"\n"):
        try:
            yield parse_mount(line)
        except (ValueError, IndexError):
            continue


def parse_mount(line: bytes) -> tuple[int, Mount]:
    """A line of mountinfo (proc(5)): number, parent, device, root, mount point, options … - type source options.

    Bytes, parted at spaces alone: users choose names, and the kernel escapes no other white space that Unicode has.
    ValueError or IndexError for what is no such line.
    """
    fields = line.split(b" ")
    options = set(fields[5].split(b","))
    rest = fields[fields.index(b"-", 6) + 1 :]
    super_options = set(rest[2].split(b",")) if len(rest) > 2 else set()
    return int(fields[0]), Mount(
        mount=_unescaped(fields[4]),
        type=os.fsdecode(rest[0]),
        tracks_atime=b"noatime" not in options | super_options,
        read_only=b"ro" in options | super_options,
        disk_read_only=b"ro" in super_options,
        device=os.fsdecode(fields[2]),
        root=_unescaped(fields[3]),
        source=_unescaped(rest[1]) if len(rest) > 1 else "",
        relatime=b"relatime" in options | super_options,
    )


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_OCTAL_ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field))
