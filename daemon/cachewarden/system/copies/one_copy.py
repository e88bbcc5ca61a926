"""One file, link or further name brought into an open folder: whole under its name, or not at all."""

import errno
import os
import stat
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from cachewarden.system.copies import attributes, contents
from cachewarden.system.copies.attributes import Losses
from cachewarden.system.copies.contents import ChangedError, Mover
from cachewarden.system.copies.places import TEMPORARY, Place, Route, Tick, located

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o600
_SPECIAL_BITS = 0o7000
_ATTEMPTS = 3
_SMALL = contents.PIECE
_T = TypeVar("_T")
_UNLINKABLE = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOENT, errno.ENOSYS}


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written, with what must be read back. ``sum`` as ``contents.checksum`` gives it."""

    route: Route
    name: str
    size: int
    sum: int
    sparse: bool


class FileCopier:
    """Copies single files. What a new file gets by itself is asked once for each kind of folder."""

    def __init__(self, losses: Losses, tick: Tick) -> None:
        """``tick`` is told every few MiB of a large file."""
        self._losses = losses
        self._mover = Mover(tick)
        self._births: dict[tuple[int, int, int], tuple[int, int, int]] = {}

    def copy(
        self, place: Place, name: str, again: Callable[[os.stat_result], bool]
    ) -> tuple[Written, os.stat_result] | None:
        """Copies a regular file over what has its name; ``None`` when nothing was to be copied.

        That is when the source has it no more, or when ``again``, asked about a file with several names, says that
        it is dealt with. EBUSY when it changes each of three times that it is tried, EINVAL when it is not a
        regular file.
        """
        try:
            source = contents.open_to_read(place.source_fd, name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise located(error, place.source_path(name)) from error
        try:
            for _ in range(_ATTEMPTS):
                status = os.fstat(source)
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, "not a regular file", place.source_path(name))
                if status.st_nlink > 1 and again(status):
                    return None
                with suppress(ChangedError):
                    return self._attempt(place, name, source, status), status
        finally:
            os.close(source)
        raise OSError(errno.EBUSY, "it changed whenever it was copied", place.source_path(name))

    def _attempt(self, place: Place, name: str, source: int, status: os.stat_result) -> Written:
        size, sparse = status.st_size, contents.is_sparse(status)
        small = size <= _SMALL and not sparse
        data = os.pread(source, size + 1, 0) if small else b""
        if small and (len(data) != size or _has_changed(source, status)):
            raise ChangedError
        names = attributes.names_of(source)
        target, birth = self._create(place, status, simple=not names)
        try:
            try:
                if small:
                    contents.write_all(target, data, 0)
                    total = zlib.crc32(data)
                else:
                    total = self._mover.move(source, target, status)
                    if _has_changed(source, status):
                        raise ChangedError
                self._dress(place, name, source, names, status, target, birth)
            finally:
                os.close(target)  # before the rename: a network's filesystem may say only here that it is full
            os.rename(TEMPORARY, name, src_dir_fd=place.target_fd, dst_dir_fd=place.target_fd)
        except BaseException:
            remove_temporary(place)
            raise
        return Written(place.route, name, size, total, sparse)

    def _create(self, place: Place, wanted: os.stat_result, *, simple: bool) -> tuple[int, tuple[int, int, int]]:
        """The temporary file, with the mode, uid and gid that it got.

        It gets its final mode at once if nothing else keeps it from being what it shall be: whoever may read it
        then may read the source.
        """
        mode = stat.S_IMODE(wanted.st_mode)
        known = self._births.get((*place.kind, _PRIVATE))
        simple = simple and not mode & _SPECIAL_BITS and not place.inherits
        if not simple or known is None or known[1:] != (wanted.st_uid, wanted.st_gid):
            mode = _PRIVATE
        fd = _without_stale(place, lambda: os.open(TEMPORARY, _NEW, mode, dir_fd=place.target_fd))
        key = (*place.kind, mode)
        birth = self._births.get(key)
        if birth is None or place.inherits:
            status = os.fstat(fd)
            birth = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
            if not place.inherits:
                self._births[key] = birth
        return fd, birth

    def _dress(
        self, place: Place, name: str, source: int, names: list[str], wanted: os.stat_result, target: int,
        birth: tuple[int, int, int],
    ) -> None:  # fmt: skip
        """All attributes, in the order that lets none undo another: a new owner drops setuid, an ACL the mode."""
        losses = self._losses

        def where() -> str:
            return place.below(name)

        attributes.set_owner(target, birth[1:], wanted, where, losses)
        if place.inherits:
            attributes.remove_extended(target, names, where, losses)
        has = birth[0]
        if names:
            attributes.copy_extended(source, names, target, where, losses)
            has = -1
        attributes.set_mode(target, has, stat.S_IMODE(wanted.st_mode), where, losses)
        attributes.set_times(target, wanted, where, losses)

    def link(self, place: Place, name: str, text: str, wanted: os.stat_result) -> None:
        """A symbolic link that says ``text``, with the times and the owner of ``wanted``."""
        fd = place.target_fd
        _without_stale(place, lambda: os.symlink(text, TEMPORARY, dir_fd=fd))
        try:
            status = os.stat(TEMPORARY, dir_fd=fd, follow_symlinks=False)
            if (status.st_uid, status.st_gid) != (wanted.st_uid, wanted.st_gid):
                try:
                    os.chown(TEMPORARY, wanted.st_uid, wanted.st_gid, dir_fd=fd, follow_symlinks=False)
                except OSError as error:
                    self._losses.refused(error, place.below(name), f"owner {wanted.st_uid}:{wanted.st_gid}")
            self.set_times(place, TEMPORARY, wanted)
            os.rename(TEMPORARY, name, src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            remove_temporary(place)
            raise

    def set_times(self, place: Place, name: str, wanted: os.stat_result) -> None:
        """Sets those of a name, not followed."""
        times = (wanted.st_atime_ns, wanted.st_mtime_ns)
        try:
            os.utime(name, ns=times, dir_fd=place.target_fd, follow_symlinks=False)
        except OSError as error:
            self._losses.refused(error, place.below(name), "times")

    def further_name(self, place: Place, name: str, folder: int, first: str) -> bool:
        """Makes ``name`` one more name of ``first`` in an open folder; no where this target cannot (told)."""
        try:
            _without_stale(
                place,
                lambda: os.link(
                    first, TEMPORARY, src_dir_fd=folder, dst_dir_fd=place.target_fd, follow_symlinks=False
                ),
            )
        except OSError as error:
            if error.errno not in _UNLINKABLE:
                raise
            if error.errno != errno.ENOENT:
                self._losses.tell(place.below(name), "hard link", error.strerror)
            return False
        try:
            os.rename(TEMPORARY, name, src_dir_fd=place.target_fd, dst_dir_fd=place.target_fd)
        except BaseException:
            remove_temporary(place)
            raise
        remove_temporary(place)  # a rename between two names of one file does nothing
        return True


def _without_stale(place: Place, make: Callable[[], _T]) -> _T:
    """Makes what is to have the temporary name; once more without what an interrupted copy left there."""
    try:
        return make()
    except FileExistsError:
        os.unlink(TEMPORARY, dir_fd=place.target_fd)
        return make()


def remove_temporary(place: Place) -> None:
    """What is not whole goes; if even that fails, the next copy removes it."""
    with suppress(OSError):
        os.unlink(TEMPORARY, dir_fd=place.target_fd)


def _has_changed(source: int, before: os.stat_result) -> bool:
    now = os.fstat(source)
    return (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns)
