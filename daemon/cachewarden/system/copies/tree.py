"""The walk over both trees of a copy, folder by folder."""

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice

from cachewarden.system.copies import attributes, contents
from cachewarden.system.copies.ahead import TOGETHER, Ahead
from cachewarden.system.copies.attributes import Losses
from cachewarden.system.copies.hard_links import HardLinks
from cachewarden.system.copies.likeness import Likeness, is_open, status_of
from cachewarden.system.copies.lists import LISTS, united
from cachewarden.system.copies.meter import Meter
from cachewarden.system.copies.one_copy import FileCopier, remove_temporary
from cachewarden.system.copies.packages import Packages, Verdict
from cachewarden.system.copies.places import TEMPORARY, Place, Route, check_depth, located
from cachewarden.system.copies.read_back import ReadBack
from cachewarden.system.copies.workroom import Position, at_file, behind_folder
from cachewarden.system.folders import OpenFolder
from cachewarden.system.removal import Removal, StoppedError, TreeRemover

_AT_ONCE = 4096
_ONLY_OURS = 0o700

Item = os.DirEntry[str]


class TreeCopier:
    """Makes one tree like another; counts names that are no folders, bytes of contents, and names removed."""

    def __init__(
        self,
        alike: Likeness,
        leave: frozenset[str],
        meter: Meter,
        back: ReadBack,
        links: HardLinks,
        packages: Packages,
    ) -> None:
        """``leave``: names at the top that are not looked at."""
        self._packages = packages
        self._known: Position = ()
        self._behind: tuple[Route, str | None] = ((), None)
        self._alike = alike
        self._mirror = alike.mirror
        self._leave = leave
        self._meter = meter
        self._back = back
        self._links = links
        self._losses = Losses()
        self._copier = FileCopier(self._losses, meter.part)
        self._top: OpenFolder | None = None
        self.files = self.bytes = self.same = self.removed = 0

    @property
    def lost(self) -> tuple[str, ...]:
        """Examples of what the target would not take."""
        return tuple(self._losses.examples)

    @property
    def position(self) -> Position:
        """All before it was dealt with."""
        route, name = self._behind
        here = at_file(route, name) if name is not None else behind_folder(route) if route else ()
        return max(here, self._known)

    def copy(self, source: OpenFolder, target: OpenFolder, known: Position) -> None:
        """Raises as ``copy_tree``; what was written is not yet read back.

        Up to ``known`` contents are not compared.
        """
        self._top = target
        self._known = known
        self._folder(Place(source, target, (), fresh=False, inherits=attributes.inherits(target.fileno())))
        self._packages.publish()

    def _folder(self, place: Place) -> None:
        """Its files, then what is deeper, then its own attributes, which all that would change."""
        wanted, before = place.source.stat(), place.target.stat()
        spotless = place.fresh and not place.inherits
        self._prepare(place, before)
        for name in self._files_of(place):
            self._deeper(place, name)
        if place.fresh or self._mirror:
            self._dress(place, wanted, spotless=spotless)
        elif place.mode != stat.S_IMODE(before.st_mode):
            os.fchmod(place.target_fd, place.mode)

    def _prepare(self, place: Place, before: os.stat_result) -> None:
        if place.inherits and (self._mirror or place.fresh):
            attributes.remove_extended(place.target_fd, (), place, "", self._losses)
            place.inherits = False
        if place.fresh:
            return
        if not is_open(before):
            os.fchmod(place.target_fd, stat.S_IMODE(before.st_mode) | stat.S_IRWXU)
        if self._mirror:
            place.empty = self._remove_others(place)
        else:
            remove_temporary(place)

    def _remove_others(self, place: Place) -> bool:
        """What the source does not have goes before anything is copied: that may need the room. Whether all went."""
        empty = True
        for node in place.target.nodes():
            if not self._is_left(place, node.name):
                self._meter.ask()
                if node.name == TEMPORARY or status_of(place.source_fd, node.name) is None:
                    self._remove(place, node.name)
                else:
                    empty = False
        return empty

    def _is_left(self, place: Place, name: str) -> bool:
        return not place.route and name in self._leave

    def _remove(self, place: Place, name: str) -> None:
        removal = Removal()
        TreeRemover(self._top, self._meter.may_go_on).remove(place.target, name, removal)
        for path, error in removal.failures:
            raise located(error, path)
        self.removed += 1

    def _files_of(self, place: Place) -> list[str]:
        """Copies what is in a folder and is no folder; returns the names of its folders."""
        deeper: list[str] = []
        for items in _listing(place, in_order=self._alike.reads):
            wanted = [each for each in items if each.name != TEMPORARY and not self._is_left(place, each.name)]
            with Ahead(place.source_fd) as ahead:
                if place.empty:
                    ahead.begin(each.name for each in wanted if each.is_file(follow_symlinks=False))
                for item in wanted:
                    self._meter.ask()
                    if item.is_dir(follow_symlinks=False):
                        deeper.append(item.name)
                    else:
                        self._one(place, item, ahead)
                        self._passed(place.route, item.name)
        return deeper

    def _passed(self, route: Route, name: str | None) -> None:
        """One more was dealt with: here is a place to rest, if that was any progress and no package is half done."""
        if not self._packages.inside:
            self._behind = (route, name)
            if self.files or self._alike.compared:
                self._meter.rest()

    def _deeper(self, place: Place, name: str) -> None:
        route = (*place.route, name)
        check_depth(route, place.source_path(name))
        try:
            source = place.source.folder(name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise located(error, place.source_path(name)) from error
        with source:
            if not self._mirror and not self._packages.inside and self._package(place, name, source):
                self._passed(route, None)
                return
            try:
                before = self._make(place, name)
                target = place.target.folder(name)
            except _KeptError:
                return
            except OSError as error:
                raise located(error, place.target_path(name)) from error
            with target:
                fresh = before is None
                inherits = place.inherits if fresh else attributes.inherits(target.fileno())
                shown = (*place.shown, name)
                self._folder(Place(source, target, route, fresh=fresh, inherits=inherits, before=before, shown=shown))

    def _package(self, place: Place, name: str, source: OpenFolder) -> bool:
        """Whether a folder is one of conda's packages; then it was dealt with as a whole."""
        trusted = behind_folder((*place.route, name)) <= self._known
        try:
            verdict, same = self._packages.judge(place, name, source, trusted=trusted)
            if verdict is Verdict.TAKE:
                self._packages.stage(place, name, source, self._filled)
        except OSError as error:
            raise located(error, place.target_path(name)) from error
        if verdict is Verdict.NO_ROOM:
            self._losses.tell(place.below(name), "folder", os.strerror(errno.ENOTDIR))
        self.same += len(same)
        for size in same:
            self._meter.done(size)
        return verdict is not Verdict.NO_PACKAGE

    def _filled(self, place: Place) -> int:
        """Fills the folder of a package; what was written of one that does not become whole does not count."""
        files, size = self.files, self.bytes
        try:
            self._folder(place)
        except StoppedError:
            self.files, self.bytes = files, size
            raise
        return self.bytes - size

    def _make(self, place: Place, name: str) -> os.stat_result | None:
        """Makes a folder of the target; what it was when there is one. _KeptError where another thing must stay."""
        here = None if place.empty else status_of(place.target_fd, name)
        if here and not stat.S_ISDIR(here.st_mode):
            if not self._mirror:
                self._losses.tell(place.below(name), "folder", os.strerror(errno.ENOTDIR))
                raise _KeptError
            self._remove(place, name)
            here = None
        if here is None:
            try:
                os.mkdir(name, _ONLY_OURS, dir_fd=place.target_fd)
            except FileExistsError:  # names that differ by case alone are one name there
                return os.stat(name, dir_fd=place.target_fd, follow_symlinks=False)
        elif not is_open(here):
            place.target.open_up(name)
        return here

    def _dress(self, place: Place, wanted: os.stat_result, *, spotless: bool) -> None:
        """``spotless``: it has nothing but what its making gave it."""
        target, losses = place.target_fd, self._losses
        names = attributes.names_of(place.source_fd)
        status = os.fstat(target)
        attributes.set_owner(target, (status.st_uid, status.st_gid), wanted, place, "", losses)
        if not spotless:
            attributes.remove_extended(target, names, place, "", losses)
        attributes.copy_extended(place.source_fd, names, target, place, "", losses)
        has = stat.S_IMODE(status.st_mode) if spotless and not names else -1
        attributes.set_mode(target, has, stat.S_IMODE(wanted.st_mode), place, "", losses)
        attributes.set_times(target, wanted, place, "", losses)

    def _one(self, place: Place, item: Item, ahead: Ahead) -> None:
        try:
            if item.is_symlink():
                self._link(place, item)
            elif item.is_file(follow_symlinks=False):
                self._file(place, item, ahead)
            elif status_of(place.source_fd, item.name):
                raise OSError(errno.EINVAL, "neither a file, a folder nor a link", place.source_path(item.name))
        except OSError as error:
            raise located(error, place.target_path(item.name)) from error

    def _file(self, place: Place, item: Item, ahead: Ahead) -> None:
        if not place.empty and (self._is_united(place, item) or self._stands(place, item)):
            return
        try:
            source = ahead.take(item.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise located(error, place.source_path(item.name)) from error
        try:
            done = self._copier.copy(place, item.name, source, lambda status: self._further(place, item, status))
        finally:
            os.close(source)
        if done:
            written, status = done
            self._back.add(written)
            self._wrote(place, item, status, contents.held(status))

    def _link(self, place: Place, item: Item) -> None:
        there = status_of(place.source_fd, item.name)
        if there is None:
            return
        text = os.readlink(item.name, dir_fd=place.source_fd)
        here = None if place.empty else status_of(place.target_fd, item.name)
        if here and stat.S_ISLNK(here.st_mode) and os.readlink(item.name, dir_fd=place.target_fd) == text:
            if self._has_its_names(there, here):
                self._is_same(place, item, there, here)
                return
        elif here and not self._gives_way(place, item.name, there, here):
            return
        if not self._further(place, item, there):
            self._copier.link(place, item.name, text, there)
            self._wrote(place, item, there, 0)

    def _is_united(self, place: Place, item: Item) -> bool:
        """Whether it is a list of lines that both have; then the target's got what it lacked."""
        if self._mirror or place.route or item.name not in LISTS:
            return False
        data = united(place, item.name)
        if data:
            written = self._copier.text(place, item.name, data)
            self._back.add(written)
            self.files += 1
            self.bytes += written.size
        elif data is not None:
            self.same += 1
        if data is not None:
            self._meter.done(len(data))
        return data is not None

    def _stands(self, place: Place, item: Item) -> bool:
        """Whether nothing is to be copied: the target has it, or what must stay, or the source lost it."""
        here = status_of(place.target_fd, item.name)
        if here is None:
            return False
        there = status_of(place.source_fd, item.name)
        if there is None:
            return True
        trusted = bool(self._known) and at_file(place.route, item.name) <= self._known
        if not self._alike.of_files(place, item.name, there, here, trusted=trusted):
            return not self._gives_way(place, item.name, there, here)
        if not self._has_its_names(there, here):
            return False
        self._is_same(place, item, there, here)
        return True

    def _has_its_names(self, there: os.stat_result, here: os.stat_result) -> bool:
        """Whether the target's is one with what the source's is one with, as far as that was met."""
        first = self._links.first(there) if self._mirror else None
        return not first or os.path.samestat(first[0].node(first[1]).stat, here)

    def _gives_way(self, place: Place, name: str, there: os.stat_result, here: os.stat_result) -> bool:
        """Whether what the target has under this name is to be replaced; a folder is removed first."""
        if not stat.S_ISDIR(here.st_mode):
            return self._mirror or self._alike.wins(there, here)
        if self._mirror:
            self._remove(place, name)
        else:
            self._losses.tell(place.below(name), "file", os.strerror(errno.EISDIR))
        return self._mirror

    def _further(self, place: Place, item: Item, status: os.stat_result) -> bool:
        """Whether what has several names is in the target already, and has this name there now too."""
        first = self._links.first(status)
        if not first or not self._copier.further_name(place, item.name, first[0].fileno(), first[1]):
            return False
        self.files += 1
        self._meter.done(0)
        return True

    def _is_same(self, place: Place, item: Item, there: os.stat_result, here: os.stat_result) -> None:
        if self._mirror and self._alike.exact and _times(there) != _times(here):
            self._copier.set_times(place, item.name, there)
        size = 0 if self._links.first(there) else contents.held(there)
        self._links.note(there, item.inode(), place.route, item.name)
        self.same += 1
        self._meter.done(size)

    def _wrote(self, place: Place, item: Item, status: os.stat_result, size: int) -> None:
        self._links.note(status, item.inode(), place.route, item.name)
        self.files += 1
        self.bytes += size
        self._meter.done(size)


def _name(item: Item) -> str:
    return item.name


class _KeptError(Exception):
    """The target has something else under this name, which must stay."""


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_atime_ns, status.st_mtime_ns


def _listing(place: Place, *, in_order: bool) -> Iterator[list[Item]]:
    """What is in the source's folder, by dozens; thousands in the order of inodes, as they may lie on the disk.

    ``in_order``: all in the order of names, in which it can be told how far a walk came.
    """
    try:
        with os.scandir(place.source_fd) as found:
            while items := list(found if in_order else islice(found, _AT_ONCE)):
                items.sort(key=_name if in_order else os.DirEntry.inode)
                for begin in range(0, len(items), TOGETHER):
                    yield items[begin : begin + TOGETHER]
    except OSError as error:
        raise located(error, place.source.path) from error
