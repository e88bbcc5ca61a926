"""What a place can do, found out by doing it, and what a machine does to places by itself."""

import errno
import fcntl
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

PROBE = ".cachewarden-probe"
"""What the names of things begin with that are made to try what a place can do."""
_MADE = ("link", "symlink", "file")
_LONGEST = 250
_LONG = "n" * _LONGEST
_CONTENT = b"cachewarden"
_MOST_LEFT = 20
_TMPFILES = ("/usr/lib/tmpfiles.d", "/run/tmpfiles.d", "/etc/tmpfiles.d")
_FSTAB = "/etc/fstab"
_MOST_TEXT = 1 << 20
_PURGING = re.compile(r"[dDevqQCR]")
_AT_START = ("D", "R")
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
    """An open folder that was just made: others may write above it, so its name tells nothing and is not believed.

    Only names that were made here are removed, through the descriptor.
    """
    above = _open_above(folder)
    try:
        _sweep(folder, above)
        name = _new_name()
        os.mkdir(name, 0o700, dir_fd=above)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            _must_be_ours(fd, above)
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # it is in use, and no leftover
            try:
                yield fd
            finally:
                _clear(fd)
                _remove_made(above, name, fd)
        finally:
            os.close(fd)
    finally:
        os.close(above)


def _sweep(folder: str, above: int) -> None:
    """What a trial left that was killed goes, where it can be nothing else: whoever renamed a folder loses none."""
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if name.startswith(f"{PROBE}-")]
        for name in names[:_MOST_LEFT]:
            with suppress(OSError):
                _remove_left(above, name)


def _remove_left(above: int, name: str) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_uid == os.geteuid() and all(_is_left(each, fd) for each in os.listdir(fd)):
            _clear(fd)
            with suppress(OSError):
                os.rmdir(_LONG, dir_fd=fd)
            _remove_made(above, name, fd)
    finally:
        os.close(fd)


def _is_left(name: str, ground: int) -> bool:
    """Whether it is what a trial makes, to the byte."""
    if name == "symlink":
        return os.readlink(name, dir_fd=ground) == "file"
    if name == _LONG:
        return True  # only a folder without anything in it is removed
    if name not in _MADE:
        return False
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=ground)
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode) and os.read(fd, len(_CONTENT) + 1) in (b"", _CONTENT)
    finally:
        os.close(fd)


def _open_above(folder: str) -> int:
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _new_name() -> str:
    return f"{PROBE}-{os.urandom(8).hex()}"


def _must_be_ours(fd: int, above: int) -> None:
    """Some filesystems give all that is made to the owner of the disk, who is that of the folder above."""
    status = os.fstat(fd)
    if status.st_uid not in (os.geteuid(), os.fstat(above).st_uid) or os.listdir(fd):
        raise OSError(errno.EPERM, "somebody else put another folder in place of the one that was made to try")


def _clear(ground: int) -> None:
    for name in _MADE:
        with suppress(OSError):
            os.unlink(name, dir_fd=ground)


def _remove_made(above: int, name: str, fd: int) -> None:
    with suppress(OSError):
        if os.path.samestat(os.stat(name, dir_fd=above, follow_symlinks=False), os.fstat(fd)):
            os.rmdir(name, dir_fd=above)


def _try_all(ground: int) -> Abilities:
    fd = os.open("file", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=ground)
    try:
        os.write(fd, _CONTENT)
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
        long_names=_works(lambda: os.mkdir(_LONG, dir_fd=ground)) and _works(lambda: os.rmdir(_LONG, dir_fd=ground)),
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
    try:
        above = _open_above(folder)
    except OSError:
        return None
    try:
        return _can_link(file, above)
    finally:
        os.close(above)


def _can_link(file: str, above: int) -> bool | None:
    name = _new_name()
    try:
        linked = os.lstat(file)
        os.link(file, name, dst_dir_fd=above, follow_symlinks=False)
    except OSError as error:
        return False if error.errno in {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP} else None
    with suppress(OSError):
        if os.path.samestat(os.stat(name, dir_fd=above, follow_symlinks=False), linked):  # or it is a stranger's
            os.unlink(name, dir_fd=above)
    return True


def purged_by_age(path: str, rules: Sequence[str] = _TMPFILES) -> tuple[str, str] | None:
    """The folder in which systemd-tmpfiles removes what is old, or all at a start, and the file that says so.

    ``rules`` are the folders with such files, the strongest last. Their paths may have ``*``, ``?`` and ``[]``, which
    stand for no ``/`` and for no leading dot (tmpfiles.d(5), glob(7)).
    """
    for kind, pattern, age, where in _tmpfiles(rules):
        if (kind in _AT_START or age not in {"", "-"}) and (place := _matched(path, pattern)):
            return place, where
    return None


def _matched(path: str, pattern: str) -> str | None:
    """The path, or the folder above it, that a pattern means."""
    parts, wanted = _parts(path), _parts(pattern)
    if len(wanted) > len(parts):
        return None
    for part, glob in zip(parts, wanted, strict=False):
        hidden = part.startswith(".") and not glob.startswith(".")
        if part != glob and (hidden or not fnmatch.fnmatchcase(part, glob)):
            return None
    return "/" + "/".join(parts[: len(wanted)])


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _tmpfiles(rules: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    chosen: dict[str, str] = {}
    for folder in rules:
        with suppress(OSError):
            chosen |= {name: f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(".conf")}
    for where in chosen.values():
        for line in _lines(where):
            fields = [*line.split(), *"-----"][:6]
            place = fields[1].strip("\"'")
            if _PURGING.match(fields[0]) and place.startswith("/"):
                yield fields[0][0], place, fields[5], where


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
