"""What a place can do, found out by doing it, and what a machine does to places by itself."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_PROBE = ".cachewarden-probe"
_LONGEST = 250
_TMPFILES = ("/usr/lib/tmpfiles.d", "/run/tmpfiles.d", "/etc/tmpfiles.d")
_FSTAB = "/etc/fstab"
_MOST_TEXT = 1 << 20
_PURGING = re.compile(r"[dDevqQC]")
_OCTAL = re.compile(r"\\([0-7]{3})")
_STAMP = 1_600_000_000_123_456_789


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a filesystem keeps. ``granularity`` of times in nanoseconds; ``error`` when nothing can be made there."""

    symlinks: bool = True
    hard_links: bool = True
    modes: bool = True
    case: bool = True
    long_names: bool = True
    granularity: int = 1
    error: str = ""


def may_write(path: str) -> bool:
    """Whether this process may make names in a folder."""
    return os.access(path, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def may_enter(path: str) -> bool:
    """Whether this process may reach what is in a folder."""
    return os.access(path, os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def probe(folder: str) -> Abilities:
    """Tries everything in a folder of its own, which is gone afterwards."""
    try:
        with _playground(folder) as ground:
            return _try_all(ground)
    except OSError as error:
        return Abilities(error=error.strerror or str(error))


@contextmanager
def _playground(folder: str) -> Iterator[int]:
    ground = f"{folder}/{_PROBE}-{os.getpid()}"
    with suppress(OSError):
        _clear(ground)
    os.mkdir(ground, 0o700)
    fd = os.open(ground, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
        with suppress(OSError):
            _clear(ground)


def _clear(ground: str) -> None:
    for name in os.listdir(ground):
        os.unlink(f"{ground}/{name}")
    os.rmdir(ground)


def _try_all(ground: int) -> Abilities:
    fd = os.open("file", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=ground)
    try:
        os.write(fd, b"cachewarden")
        modes = _works(lambda: os.fchmod(fd, 0o755)) and stat.S_IMODE(os.fstat(fd).st_mode) == 0o755
        modes = modes and _works(lambda: os.fchmod(fd, 0o640)) and stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
        os.utime(fd, ns=(_STAMP, _STAMP))
        off = abs(os.fstat(fd).st_mtime_ns - _STAMP)
    finally:
        os.close(fd)
    return Abilities(
        symlinks=_works(lambda: os.symlink("file", "symlink", dir_fd=ground)),
        hard_links=_works(lambda: os.link("file", "link", src_dir_fd=ground, dst_dir_fd=ground)),
        modes=modes,
        case=not _exists("FILE", ground),
        long_names=_works(lambda: os.mkdir("n" * _LONGEST, dir_fd=ground))
        and _works(lambda: os.rmdir("n" * _LONGEST, dir_fd=ground)),
        granularity=1
        if off == 0
        else 1_000
        if off < 1_000
        else 1_000_000_000
        if off < 1_000_000_000
        else 2_000_000_000,
    )


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _exists(name: str, ground: int) -> bool:
    try:
        os.stat(name, dir_fd=ground, follow_symlinks=False)
    except OSError:
        return False
    return True


def can_link(file: str, folder: str) -> bool | None:
    """Whether a hard link to ``file`` can be made in ``folder``: by making one. ``None`` when that does not tell."""
    name = f"{folder}/{_PROBE}-link-{os.getpid()}"
    try:
        os.link(file, name, follow_symlinks=False)
    except OSError as error:
        return False if error.errno in {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP} else None
    os.unlink(name)
    return True


def purged_by_age(path: str, rules: Sequence[str] = _TMPFILES) -> tuple[str, str] | None:
    """The folder in which systemd-tmpfiles removes what is old, or all at a start, and the file that says so.

    ``rules`` are the folders with such files, the strongest last (tmpfiles.d(5)).
    """
    for kind, place, age, where in _tmpfiles(rules):
        if (kind == "D" or age not in {"", "-"}) and (path == place or path.startswith(place.rstrip("/") + "/")):
            return place, where
    return None


def _tmpfiles(rules: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    chosen: dict[str, str] = {}
    for folder in rules:
        with suppress(OSError):
            chosen |= {name: f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(".conf")}
    for where in chosen.values():
        for line in _lines(where):
            fields = line.split()
            if len(fields) >= 6 and _PURGING.match(fields[0]) and fields[1].startswith("/") and "*" not in fields[1]:
                yield fields[0][0], fields[1], fields[5], where


def planned_mounts() -> list[str]:
    """The mount points that fstab names, mounted or not."""
    found = []
    for line in _lines(_FSTAB):
        fields = line.split()
        if len(fields) >= 2 and not fields[0].startswith("#") and fields[1].startswith("/"):
            found.append(_OCTAL.sub(lambda match: chr(int(match[1], 8) & 0xFF), fields[1]))
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT).splitlines()
    except OSError:
        return []
