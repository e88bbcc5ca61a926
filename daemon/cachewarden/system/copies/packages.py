"""conda's packages in a merge: of two with one name one stays whole, and what is new appears whole, by one rename.

conda takes a folder with ``info/index.json`` for a whole package and looks at nothing else (models/records.py): half
of one, or a mixture of two, breaks every later installation.
"""

import errno
import os
import stat
from collections.abc import Callable
from enum import Enum

from cachewarden.model.caches import COPYING
from cachewarden.system import durable
from cachewarden.system.copies import attributes, contents
from cachewarden.system.copies.hard_links import HardLinks
from cachewarden.system.copies.likeness import Likeness, is_open, status_of
from cachewarden.system.copies.meter import Meter
from cachewarden.system.copies.places import Chain, Place, Route, located
from cachewarden.system.copies.read_back import ReadBack
from cachewarden.system.copies.workroom import Workroom
from cachewarden.system.folders import OpenFolder

_MARKS = ("info/repodata_record.json", "info/index.json")
"""The first is written when a package is unpacked; the second is as old as the package."""
_TOGETHER, _MOST_BYTES = 64, 256 << 20
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP}


class Verdict(Enum):
    """What is to become of a folder: is none of this room's business, stays as it is there, or is replaced or made.

    ``NO_ROOM``: something else has its name there.
    """

    NO_PACKAGE = 0
    STAYS = 1
    NO_ROOM = 2
    TAKE = 3


class Packages:
    """Puts packages together apart, and lets them appear when they were read back from the device."""

    def __init__(
        self, top: OpenFolder, room: Workroom, alike: Likeness, meter: Meter, back: ReadBack, links: HardLinks
    ) -> None:
        """``top`` of the target, and ``room`` in it."""
        self._top = top
        self._room = room
        self._alike = alike
        self._meter = meter
        self._back = back
        self._links = links
        self._staged: list[tuple[str, Route, str]] = []
        self._bytes = 0
        self.inside = False
        """Whether one is being put together."""

    def judge(self, place: Place, name: str, source: OpenFolder, *, trusted: bool) -> tuple[Verdict, list[int]]:
        """What is to become of a folder of the source, and the bytes of each file of a package that both have.

        ``trusted``: contents at the target are known.
        """
        mine = _moment(source)
        here = None if place.empty else status_of(place.target_fd, name)
        take = Verdict.NO_PACKAGE if mine is None else Verdict.TAKE
        if here is None:
            return take, []
        if not stat.S_ISDIR(here.st_mode):
            return (Verdict.NO_PACKAGE if mine is None else Verdict.NO_ROOM), []
        try:
            target = place.target.folder(name)
        except PermissionError:
            return take, []
        with target:
            theirs = _moment(target)
            if theirs is None:
                return take, []
            # Without an index what the source has of it is half a package.
            if mine is None or theirs - mine >= self._alike.granularity:
                return Verdict.STAYS, []
            if mine - theirs >= self._alike.granularity:
                return Verdict.TAKE, []
            sizes: list[int] = []
            if self._equal(_pair(place, name, source, target), sizes, trusted=trusted):
                return Verdict.STAYS, sizes
            # Unpacked at one time, one of both lost something since: what is set aside goes file by file.
            half = not _has_all(source, target) and _has_all(target, source)
        return (Verdict.STAYS if half else Verdict.TAKE), []

    def _equal(self, place: Place, sizes: list[int], *, trusted: bool) -> bool:
        there = {node.name: node.stat for node in place.source.nodes()}
        here = {node.name: node.stat for node in place.target.nodes()}
        if there.keys() != here.keys():
            return False
        return all(self._one_equal(place, name, there[name], here[name], sizes, trusted=trusted) for name in there)

    def _one_equal(
        self, place: Place, name: str, there: os.stat_result, here: os.stat_result, sizes: list[int], *, trusted: bool
    ) -> bool:
        self._meter.ask()
        kind = stat.S_IFMT(there.st_mode)
        if kind != stat.S_IFMT(here.st_mode):
            return False
        if kind == stat.S_IFDIR:
            with place.source.folder(name) as source, place.target.folder(name) as target:
                return self._equal(_pair(place, name, source, target), sizes, trusted=trusted)
        sizes.append(contents.held(there) if kind == stat.S_IFREG else 0)
        if kind == stat.S_IFLNK:
            return place.source.link_target(name) == place.target.link_target(name)
        return kind == stat.S_IFREG and self._alike.of_files(place, name, there, here, trusted=trusted)

    def stage(self, place: Place, name: str, source: OpenFolder, fill: Callable[[Place], int]) -> None:
        """Copies a package to where nobody looks; ``fill`` fills a folder and returns the bytes that it wrote."""
        slot = self._room.slot()
        self.inside = True
        try:
            with self._room.folder().folder(slot) as target:
                inherits = attributes.inherits(target.fileno())
                route, shown = (COPYING, slot), (*place.shown, name)
                self._bytes += fill(Place(source, target, route, fresh=True, inherits=inherits, shown=shown))
        finally:
            self.inside = False
        self._staged.append((slot, place.route, name))
        if len(self._staged) >= _TOGETHER or self._bytes >= _MOST_BYTES:
            self.publish()

    def publish(self) -> None:
        """Gives those that were put together their names, when all of them are on the device and were read back."""
        if not self._staged:
            return
        self._back.finish()
        staged, self._staged, self._bytes = self._staged, [], 0
        with Chain(self._top) as chain:
            for slot, route, name in staged:
                parent = chain.at(route)
                try:
                    if self._publish(slot, parent, name):
                        self._room.remove(slot)
                except OSError as error:
                    raise located(error, f"{parent.path}/{name}") from error
                self._links.moved((COPYING, slot), (*route, name))

    def _publish(self, slot: str, parent: OpenFolder, name: str) -> bool:
        """Whether something had the name: it is in the slot now."""
        room = self._room.folder()
        mode = _made_movable(room, slot)
        here = status_of(parent.fileno(), name)
        if here is None:
            os.rename(slot, name, src_dir_fd=room.fileno(), dst_dir_fd=parent.fileno())
        else:
            if stat.S_ISDIR(here.st_mode):
                _made_movable(parent, name)
            if not durable.exchanged(room.fileno(), slot, parent.fileno(), name):
                in_three_steps(room.fileno(), slot, parent.fileno(), name)
        if mode is not None:
            with parent.folder(name) as done:
                os.fchmod(done.fileno(), mode)
        return here is not None


def in_three_steps(folder: int, name: str, other: int, other_name: str) -> None:
    """Where ``durable.exchanged`` cannot. For an instant nothing has ``other_name``: conda would unpack it again."""
    os.rename(other_name, f"old-{name}", src_dir_fd=other, dst_dir_fd=folder)
    os.rename(name, other_name, src_dir_fd=folder, dst_dir_fd=other)
    os.rename(f"old-{name}", name, src_dir_fd=folder, dst_dir_fd=folder)


def _moment(folder: OpenFolder) -> int | None:
    """When a package was unpacked, in nanoseconds; ``None`` for what is none."""
    for mark in _MARKS:
        try:
            return os.stat(mark, dir_fd=folder.fileno(), follow_symlinks=False).st_mtime_ns
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
    return None


def _has_all(folder: OpenFolder, other: OpenFolder) -> bool:
    """Whether it has all names that the other has, whatever they are of."""
    for node in other.nodes():
        if status_of(folder.fileno(), node.name) is None:
            return False
        if stat.S_ISDIR(node.stat.st_mode):
            try:
                with folder.folder(node.name) as mine, other.folder(node.name) as theirs:
                    if not _has_all(mine, theirs):
                        return False
            except OSError:
                return False
    return True


def _pair(place: Place, name: str, source: OpenFolder, target: OpenFolder) -> Place:
    return Place(source, target, (*place.route, name), fresh=False, inherits=False)


def _made_movable(folder: OpenFolder, name: str) -> int | None:
    """The mode of a folder that its owner could not have moved elsewhere (rename(2): EACCES), and now can."""
    status = folder.node(name).stat
    if is_open(status):
        return None
    folder.open_up(name)
    return stat.S_IMODE(status.st_mode)
