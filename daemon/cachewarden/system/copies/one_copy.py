"""One file, link or further name brought into an open folder: whole under its name, or not at all."""

import errno
import os
import stat
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from cachewarden.system.copies import attributes, contents
from cachewarden.system.copies.attributes import Losses
from cachewarden.system.copies.contents import ChangedError, Mover
from cachewarden.system.copies.places import TEMPORARY, Place, Route, Tick, located

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o600
_MODE, _SPECIAL_BITS = 0o7777, 0o7000
_ATTEMPTS = 3
_SMALL = 128 << 10
_T = TypeVar("_T")
_UNLINKABLE = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOENT, errno.ENOSYS}


class Written(NamedTuple):
    """A file that was written, with what must be read back. ``sum`` as ``contents.checksum`` gives it."""

    route: Route
    name: str
    size: int
    sum: int
    sparse: bool


class _Birth(NamedTuple):
    """What a new file has."""

    mode: int
    uid: int
    gid: int


class FileCopier:
    """Copies single files. What a new file gets by itself is asked once for each kind of folder."""

    def __init__(self, losses: Losses, tick: Tick) -> None:
        """``tick`` is told every few MiB of a large file."""
        self._losses = losses
        self._mover = Mover(tick)
        self._births: dict[tuple[int, int], dict[int, _Birth]] = {}

    def copy(
        self, place: Place, name: str, source: int, again: Callable[[os.stat_result], bool]
    ) -> tuple[Written, os.stat_result] | None:
        """Copies the open file ``source`` over what has its name.

        ``None`` when ``again``, asked about a file with several names, says that it is dealt with. EBUSY when it
        changes each of three times that it is tried, EINVAL when it is not a regular file.
        """
        for _ in range(_ATTEMPTS):
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", place.source_path(name))
            if status.st_nlink > 1 and again(status):
                return None
            try:
                if status.st_size > _SMALL or contents.is_sparse(status):
                    return self._large(place, name, source, status), status
                return self._small(place, name, source, status), status
            except ChangedError:
                continue
        raise OSError(errno.EBUSY, "it changed whenever it was copied", place.source_path(name))

    def _small(self, place: Place, name: str, source: int, status: os.stat_result) -> Written:
        """In one piece; nothing is made before that is read."""
        size = status.st_size
        try:
            data = os.pread(source, size + 1, 0)
        except OSError as error:
            raise located(error, place.source_path(name)) from error
        _check_unchanged(source, status)
        if len(data) != size:
            raise ChangedError
        self._bring(place, name, source, status, lambda target: contents.write_all(target, data, 0))
        return Written(place.route, name, size, zlib.crc32(data), sparse=False)

    def _large(self, place: Place, name: str, source: int, status: os.stat_result) -> Written:
        total = 0

        def fill(target: int) -> None:
            nonlocal total
            total = self._mover.move(source, target, status)
            _check_unchanged(source, status)

        self._bring(place, name, source, status, fill)
        return Written(place.route, name, status.st_size, total, contents.is_sparse(status))

    def text(self, place: Place, name: str, data: bytes) -> Written:
        """Replaces the contents of a small file of the target, which stays what it was in all else; durably."""
        old = contents.open_to_read(place.target_fd, name)

        def fill(target: int) -> None:
            contents.write_all(target, data, 0)
            os.fsync(target)

        try:
            self._bring(place, name, old, os.fstat(old), fill)
        finally:
            os.close(old)
        return Written(place.route, name, len(data), zlib.crc32(data), sparse=False)

    def _bring(
        self, place: Place, name: str, source: int, status: os.stat_result, fill: Callable[[int], None]
    ) -> None:
        """Makes the file, has its contents filled in, and gives it attributes, times last, and then its name."""
        names = attributes.names_of(source)
        target, birth = self._create(place, status, simple=not names)
        try:
            try:
                fill(target)
                if names or birth != (status.st_mode & _MODE, status.st_uid, status.st_gid) or place.inherits:
                    self._dress(place, name, source, names, status, target, birth)
                attributes.set_times(target, status, place, name, self._losses)
            finally:
                os.close(target)  # before the rename: a network's filesystem may say only here that it is full
            os.rename(TEMPORARY, name, src_dir_fd=place.target_fd, dst_dir_fd=place.target_fd)
        except BaseException:
            remove_temporary(place)
            raise

    def _create(self, place: Place, wanted: os.stat_result, *, simple: bool) -> tuple[int, _Birth]:
        """The temporary file, and what it has.

        It gets its final mode at once if nothing else keeps it from being what it shall be: whoever may read it
        then may read the source.
        """
        mode = wanted.st_mode & _MODE
        births = self._births.setdefault(place.kind, {})
        known = births.get(_PRIVATE)
        simple = simple and not mode & _SPECIAL_BITS and not place.inherits and known is not None
        if not simple or known is None or known.gid != wanted.st_gid or known.uid != wanted.st_uid:
            mode = _PRIVATE
        try:
            fd = os.open(TEMPORARY, _NEW, mode, dir_fd=place.target_fd)
        except FileExistsError:
            os.unlink(TEMPORARY, dir_fd=place.target_fd)
            fd = os.open(TEMPORARY, _NEW, mode, dir_fd=place.target_fd)
        birth = births.get(mode)
        if birth is None or place.inherits:
            status = os.fstat(fd)
            birth = _Birth(status.st_mode & _MODE, status.st_uid, status.st_gid)
            if not place.inherits:
                births[mode] = birth
        return fd, birth

    def _dress(
        self,
        place: Place,
        name: str,
        source: int,
        names: list[str],
        wanted: os.stat_result,
        target: int,
        birth: _Birth,
    ) -> None:
        """All but the times, in the order that lets none undo another: an owner drops setuid, an ACL the mode."""
        attributes.set_owner(target, (birth.uid, birth.gid), wanted, place, name, self._losses)
        if place.inherits:
            attributes.remove_extended(target, names, place, name, self._losses)
        attributes.copy_extended(source, names, target, place, name, self._losses)
        has = -1 if names or place.inherits else birth.mode
        attributes.set_mode(target, has, wanted.st_mode & _MODE, place, name, self._losses)

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
        fd = place.target_fd
        try:
            _without_stale(
                place,
                lambda: os.link(first, TEMPORARY, src_dir_fd=folder, dst_dir_fd=fd, follow_symlinks=False),
            )
        except OSError as error:
            if error.errno not in _UNLINKABLE:
                raise
            if error.errno != errno.ENOENT:
                self._losses.tell(place.below(name), "hard link", error.strerror)
            return False
        try:
            os.rename(TEMPORARY, name, src_dir_fd=fd, dst_dir_fd=fd)
        finally:
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


def _check_unchanged(source: int, before: os.stat_result) -> None:
    now = os.fstat(source)
    if now.st_mtime_ns != before.st_mtime_ns or now.st_size != before.st_size:
        raise ChangedError
