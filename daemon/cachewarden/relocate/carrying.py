"""Bringing a cache's data to the other place, and what was written late; nothing here names a place to a tool."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from cachewarden.ecosystems.base import Context, Ecosystem, Surroundings
from cachewarden.model.caches import MARKER, OWN_NAMES, Cache
from cachewarden.model.relocations import Heading, Method, MoveProgress, Relocation
from cachewarden.model.units import Bytes
from cachewarden.relocate.clearing import Sums
from cachewarden.relocate.records import Records
from cachewarden.relocate.sharing import share
from cachewarden.relocate.switching import Switch, is_ours
from cachewarden.system import durable
from cachewarden.system.copying import CopyProgress, CopyStoppedError, Way, copy_tree
from cachewarden.system.folders import OpenFolder, open_folder
from cachewarden.system.places import may_write
from cachewarden.system.removal import StoppedError

_PASSES = 3


class WaitError(Exception):
    """Nothing can be done about it now; the text says what is waited for."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a mover works with, for one ecosystem of one owner.

    ``may_go_on`` is asked everywhere, ``enough`` only between files that were copied: others are to have their turn.
    ``expected`` are files and bytes of the copy, for the progress.
    """

    surroundings: Surroundings
    ecosystem: Ecosystem
    context: Context
    records: Records
    switch: Switch
    may_go_on: Callable[[], bool]
    enough: Callable[[], bool]
    progress: Callable[[MoveProgress], None]
    expected: tuple[int, int] = (0, 0)


class Course:
    """A move as it is in the journal."""

    def __init__(self, record: Relocation, records: Records) -> None:
        """``record`` as it was read."""
        self.record = record
        self._records = records

    def save(self, record: Relocation) -> Relocation:
        """Into the journal first: what it says is about to be done."""
        self._records.save(record)
        self.record = record
        return record


class Carrier:
    """Copies for one move; what came of it is added to ``sums``."""

    def __init__(self, course: Course, tools: Tools, sums: Sums) -> None:
        """``course`` is written to before anything is done."""
        self._course = course
        self._tools = tools
        self._files = tools.surroundings.files
        self._sums = sums
        self._compared = False

    def landing(self, record: Relocation) -> str:
        """Where the data of this heading are put together: never where a tool would see half of them.

        At the old place itself only by configuration, which names another one meanwhile: where nothing can be made
        beside it, or where it still holds what was moved (``keep``), linked into environments.
        """
        if record.heading is Heading.OUT:
            return record.new
        if record.method is Method.SYMLINK:
            return record.incoming
        kept = record.keep and durable.is_folder(record.old)
        return record.old if kept or not may_write(os.path.dirname(record.old)) else record.incoming

    def bring(self) -> Relocation:
        """All of the source, read back; the record then says so. StoppedError keeps what is there."""
        record = self._course.record
        trust = record.verified
        if trust:
            self._course.save(replace(record, verified=False))
        landing = self._make_landing()
        # What a run that was killed left counts only when all of it was compared in this one.
        self._compared = trust or not set(self._files.listing(landing)) - OWN_NAMES
        try:
            self._passes(landing, trust=trust)
        except StoppedError:
            self._course.save(replace(self._course.record, verified=self._compared, why="it was stopped"))
            raise
        return self._course.save(replace(self._course.record, verified=True, whole=True))

    def _make_landing(self) -> str:
        record = self._course.record
        landing = self.landing(record)
        durable.make_folders(landing)
        if landing == record.incoming and not is_ours(landing, record.landing):
            if not durable.is_folder(landing) or self._files.listing(landing):
                raise WaitError(f"{landing} is there, and is nothing of this move: look at it, and remove it")
            self._course.save(replace(record, landing=durable.inode(landing)))
        return landing

    def _passes(self, landing: str, *, trust: bool) -> None:
        """The first brings everything, the others what changed while that took."""
        record = self._course.record
        source_before = self._files.stat(record.source)
        for _ in range(_PASSES):
            with open_folder(record.source) as source, open_folder(landing) as target:
                same = target.stat()
                self._must_be_the_same(record.source, source_before or source.stat())
                changed = self._pass(source, target, self._way(record, landing), trust=trust)
            self._must_be_the_same(landing, same)
            trust = self._compared = True
            if not changed:
                break
        if record.shared_group and record.heading is Heading.OUT:
            self._sums.notes.extend(share(landing, record.shared_group))

    def _way(self, record: Relocation, landing: str) -> Way:
        """What is at the landing already may be worth something of its own."""
        keeps = record.returns or record.adopts if record.heading is Heading.OUT else landing == record.old
        return Way.MERGE if keeps else Way.MIRROR

    def join(self, source: str, target: str, *, trust: bool) -> None:
        """What was written late, or elsewhere, is added to a whole cache; what is newer counts."""
        with open_folder(source) as opened, open_folder(target) as into:
            self._pass(opened, into, Way.MERGE, trust=trust)

    def _pass(self, source: OpenFolder, target: OpenFolder, way: Way, *, trust: bool) -> int:
        files, size = self._tools.expected

        def progress(now: CopyProgress) -> None:
            self._tools.progress(MoveProgress("copying", now.files, Bytes(now.bytes), files, Bytes(size)))

        try:
            done = copy_tree(
                source, target, way=way, trust=trust, granularity=self._course.record.granularity, leave=OWN_NAMES,
                may_go_on=self._tools.may_go_on, progress=progress, pause=self._tools.enough,
            )  # fmt: skip
        except CopyStoppedError as stopped:
            self._sums.copied += stopped.bytes
            raise
        self._sums.copied += done.bytes
        self._sums.notes.extend(f"not kept there: {each}" for each in done.lost)
        return done.files + done.removed

    def _must_be_the_same(self, path: str, opened: os.stat_result) -> None:
        """What was copied is what the path means: a disk may have been taken away under an open folder."""
        status = self._files.stat(path)
        if status is None or (status.st_dev, status.st_ino) != (opened.st_dev, opened.st_ino):
            raise WaitError(f"{path} is no longer what it was: was its disk unmounted?")

    def land(self) -> Relocation:
        """What came back takes the old place's name, with what is new there. The record then says what is to go."""
        record = self._course.record
        if not is_ours(record.incoming, record.landing):
            return record
        durable.remove(f"{record.incoming}/{MARKER}")
        if durable.is_folder(record.old):
            trust = record.verified
            record = self._course.save(replace(record, verified=False))
            self.join(record.old, record.incoming, trust=trust)
            record = self._course.save(replace(record, verified=True, set_aside=durable.inode(record.old)))
        if durable.is_there(record.old):
            durable.exchange(record.incoming, record.old, record.aside)
        else:
            durable.rename(record.incoming, record.old)
        return record

    def wait_for_tools(self, *folders: str) -> None:
        """WaitError while a tool of the owner may be at work in one of them."""
        for folder in folders:
            cache = Cache(self._course.record.ecosystem, folder, self._tools.surroundings.owner, "")
            if busy := self._tools.ecosystem.busy(cache, self._tools.context):
                raise WaitError(busy)
