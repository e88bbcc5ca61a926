"""The steps of a move. Each is in the journal before it is taken, and can be taken again after a kill at any instant.

At every instant the place that the configuration names holds a whole cache: the other one is filled beside it, read
back from its disk, and only then named; what was there is set aside by one rename before it is removed.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from cachewarden.ecosystems.base import Context, Ecosystem, Surroundings
from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import MARKER, OWN_NAMES, Cache
from cachewarden.model.errors import RefusedError
from cachewarden.model.relocations import (
    INCOMING,
    RESTING,
    SET_ASIDE,
    Heading,
    Method,
    MoveProgress,
    Phase,
    Presence,
    Relocation,
)
from cachewarden.model.units import NANOSECONDS, Bytes, Instant
from cachewarden.relocate import places
from cachewarden.relocate.clearing import Broom, Sums
from cachewarden.relocate.records import Records
from cachewarden.relocate.sharing import share
from cachewarden.relocate.switching import Switch, link_undone, tell
from cachewarden.system import durable
from cachewarden.system.copying import CopyProgress, CopyStoppedError, Way, copy_tree
from cachewarden.system.folders import OpenFolder, open_folder
from cachewarden.system.places import may_write
from cachewarden.system.removal import StoppedError

_MOST_STEPS = 30
_WHOLE = (Presence.HERE, Presence.FULL)
"""With these, what was copied is there; whether more fits is another question."""
_SECOND_PASSES = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 300, 86_400
_GIVE_UP = 5
"""Tries of a copy that nobody asked for by hand, before what was copied is cleared away."""


class WaitError(Exception):
    """Nothing can be done about it now; the text says what is waited for."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a mover works with, for one ecosystem of one owner.

    ``expected`` are files and bytes of the copy, for the progress.
    """

    surroundings: Surroundings
    ecosystem: Ecosystem
    context: Context
    records: Records
    switch: Switch
    may_go_on: Callable[[], bool]
    progress: Callable[[MoveProgress], None]
    expected: tuple[int, int] = (0, 0)


class Mover:
    """Takes one move as far as it goes now."""

    def __init__(self, record: Relocation, tools: Tools) -> None:
        """``record`` as it is in the journal."""
        self.record = record
        self.sums = Sums()
        self._verified = False
        self._tools = tools
        self._files = tools.surroundings.files
        self._broom = Broom(tools.may_go_on, self.sums)

    def save(self, record: Relocation) -> None:
        """Into the journal first: what it says is about to be done."""
        self._tools.records.save(record)
        self.record = record

    def run(self) -> Relocation:
        """Step by step to where it rests.

        WaitError when something must happen first, StoppedError when it was asked to stop: both leave a record from
        which it goes on. RefusedError and OSError when a step failed; it was undone or can be taken again.
        """
        steps = {
            Phase.COPYING: self._copy, Phase.SWITCHING: self._switch, Phase.REMOVING: self._remove,
            Phase.LEAVING: self._leave, Phase.CANCELLING: self._cancel,
        }  # fmt: skip
        for _ in range(_MOST_STEPS):
            if self.record.phase in RESTING:
                return self.record
            self.save(steps[self.record.phase](self.record))
        raise WaitError("it does not come to an end")

    # -- what is where ------------------------------------------------------------------------------------------

    def presence(self) -> Presence:
        """Of the destination, now."""
        return places.presence(self._files, self.record)

    def _landing(self, record: Relocation) -> str:
        """Where the data of this heading are put together: never where a tool would see half of them."""
        if record.heading is Heading.OUT:
            return record.new
        above = os.path.dirname(record.old)
        return record.old + INCOMING if may_write(above) else record.old

    def _aside(self, record: Relocation) -> str:
        return (record.old if record.heading is Heading.OUT else record.new) + SET_ASIDE

    # -- copying ------------------------------------------------------------------------------------------------

    def _copy(self, record: Relocation) -> Relocation:
        seen = self.presence()
        if record.heading is Heading.BACK:
            if seen in (Presence.MISSING, Presence.FAILING):
                return replace(record, phase=Phase.LEAVING, go_back=True, why=f"its disk is {seen.value}")
            if record.leave_data:
                return replace(record, phase=Phase.SWITCHING)
        else:
            self._make_target(record, seen)
            record = self.record
        self._wait_for_tools(record)
        if not durable.is_folder(record.source):
            return replace(record, phase=Phase.SWITCHING)
        if record.verified:
            self.save(replace(record, verified=False))
        try:
            self._copy_passes(record)
        except StoppedError:
            self.save(replace(self.record, verified=self._verified, why="it was stopped"))
            raise
        # Whatever is waited for now: all that is there was read back.
        record = replace(self.record, verified=True)
        self.save(record)
        self._wait_for_tools(record)
        return replace(record, phase=Phase.SWITCHING, why="", tries=0)

    def _copy_passes(self, record: Relocation) -> None:
        """The first brings everything, the others what changed while that took."""
        landing = self._landing(record)
        durable.make_folders(landing)
        trust = record.verified
        # What an earlier run left that was killed counts only when all of it was compared in this one.
        self._verified = trust or not set(self._files.listing(landing)) - OWN_NAMES
        for _ in range(_SECOND_PASSES):
            with open_folder(record.source) as source, open_folder(landing) as target:
                same = target.stat()
                changed = self._pass(source, target, Way.MERGE if self._merges(record) else Way.MIRROR, trust=trust)
            self._must_be_the_same(landing, same)
            trust = self._verified = True
            if not changed:
                break
        if record.shared_group and record.heading is Heading.OUT:
            self.sums.notes.extend(share(landing, record.shared_group))

    def _merges(self, record: Relocation) -> bool:
        return (record.returns or record.adopts) and record.heading is Heading.OUT

    def _pass(self, source: OpenFolder, target: OpenFolder, way: Way, *, trust: bool) -> int:
        files, size = self._tools.expected

        def progress(now: CopyProgress) -> None:
            self._tools.progress(MoveProgress("copying", now.files, Bytes(now.bytes), files, Bytes(size)))

        try:
            done = copy_tree(
                source, target, way=way, trust=trust, granularity=self.record.granularity, leave=OWN_NAMES,
                may_go_on=self._tools.may_go_on, progress=progress,
            )  # fmt: skip
        except CopyStoppedError as stopped:
            self.sums.copied += stopped.bytes
            raise
        self.sums.copied += done.bytes
        self.sums.notes.extend(f"not kept there: {each}" for each in done.lost)
        return done.files + done.removed

    def _must_be_the_same(self, path: str, opened: os.stat_result) -> None:
        """What was copied to is what the path means: a disk may have been taken away under an open folder."""
        status = self._files.stat(path)
        if status is None or (status.st_dev, status.st_ino) != (opened.st_dev, opened.st_ino):
            raise WaitError(f"{path} is no longer what was copied to: was its disk unmounted?")

    def _make_target(self, record: Relocation, seen: Presence) -> None:
        """The folder with its marker, on the disk that was judged fit; never on a bare mount point."""
        if seen in _WHOLE:
            return  # a full one says so itself when more does not fit
        if seen is not Presence.MISSING:
            raise WaitError(f"the disk of {record.new} is {seen.value}")
        if record.returns:
            raise WaitError(f"the disk of {record.new} is not here")
        place = places.judge(self._tools.surroundings, record.new, _above(self._files.stat, record.old), ())
        if isinstance(place, str):
            raise WaitError(place)
        if record.mount and place.mount.mount != record.mount:
            raise WaitError(f"{record.mount}, the disk that was meant, is not mounted")
        if place.exists == record.new:
            durable.sweep(record.new, MARKER)
        if place.exists == record.new and set(self._files.listing(record.new)) - OWN_NAMES:
            if places.marker_of(self._files, record.new).get("ecosystem") != record.ecosystem:
                raise WaitError(f"{record.new} is no longer empty")
            record = replace(record, adopts=True)
            self.save(record)
        durable.make_folders(record.new, 0o755 if record.shared_group else 0o700)
        places.write_marker(record.new, record)

    def _wait_for_tools(self, record: Relocation) -> None:
        cache = Cache(record.ecosystem, record.source, self._tools.surroundings.owner, "")
        if busy := self._tools.ecosystem.busy(cache, self._tools.context):
            raise WaitError(busy)

    # -- switching ----------------------------------------------------------------------------------------------

    def _switch(self, record: Relocation) -> Relocation:
        if record.heading is Heading.BACK:
            return self._switch_back(record)
        if self.presence() not in _WHOLE:
            self._untell(record)
            return replace(record, phase=Phase.COPYING, verified=False, why="its disk went away before the switch")
        try:
            self._tell(record)
        except RefusedError as error:
            self._untell(self.record)
            self.save(replace(self.record, phase=Phase.AWAY if record.returns else Phase.CANCELLING, why=str(error)))
            raise
        return replace(self.record, phase=Phase.REMOVING)

    def _tell(self, record: Relocation) -> None:
        """The edit is in the journal, with the original, before it is made. One that was made already is known."""
        switch = self._tools.switch
        if record.method is Method.CONFIG and not switch.is_written(record):
            if record.written and switch.uses(record.new):
                return  # it was written, and somebody has edited something else in that file since
            record = switch.prepare(record)
            self.save(record)
        tell(switch, record)

    def _untell(self, record: Relocation) -> None:
        if record.method is Method.SYMLINK:
            link_undone(record)
        elif record.config and record.written:
            self._tools.switch.backward(record)

    def _switch_back(self, record: Relocation) -> Relocation:
        """What is new at the old place joins what came back; then the names change, in one step."""
        if not record.leave_data:
            self._land(record)
        if record.method is Method.SYMLINK or record.config:
            tell(self._tools.switch, record)
        return replace(record, phase=Phase.REMOVING)

    def _land(self, record: Relocation) -> None:
        incoming, aside = record.old + INCOMING, record.old + SET_ASIDE
        if durable.is_folder(incoming):
            durable.remove(f"{incoming}/{MARKER}")
            if durable.is_folder(record.old):
                with open_folder(record.old) as newer, open_folder(incoming) as target:
                    self._pass(newer, target, Way.MERGE, trust=True)
            if durable.is_there(record.old):
                durable.exchange(incoming, record.old, aside)
            else:
                durable.rename(incoming, record.old)
        if durable.is_folder(record.old):
            durable.remove(f"{record.old}/{MARKER}")
        for rest in (incoming, aside):
            self._broom.clear(rest)

    # -- removing -----------------------------------------------------------------------------------------------

    def _remove(self, record: Relocation) -> Relocation:
        if record.heading is Heading.BACK:
            return self._remove_there(record)
        if (seen := self.presence()) not in _WHOLE:
            return replace(record, phase=Phase.LEAVING, why=f"its disk is {seen.value}")
        if not record.keep:
            self._wait_for_tools(record)  # one that began before the switch still stores at the old place
            self._set_aside(record)
        return replace(self.record, phase=Phase.SETTLED, why="", returns=False, adopts=False, clearing=False, tries=0)

    def _set_aside(self, record: Relocation) -> None:
        """What is at the old place: late writes of it are kept, then it goes."""
        aside = self._aside(record)
        rests = (aside, aside + "2")
        in_place = False
        if record.method is Method.CONFIG and durable.is_folder(record.old):
            if not durable.is_folder(aside):
                self._try_rename(record.old, aside)
            in_place = durable.is_folder(record.old)
        for rest in (*rests, *([record.old] if in_place else [])):
            if durable.is_folder(rest):
                self._keep_late(record, rest)
        self.save(replace(record, clearing=True))
        if in_place:
            self._broom.in_place(record.old)
        for rest in rests:
            self._broom.clear(rest)

    def _try_rename(self, old: str, new: str) -> None:
        """In one step, where the folder above may be written and it is no mount point."""
        with suppress(OSError):
            durable.rename(old, new)

    def _keep_late(self, record: Relocation, folder: str) -> None:
        with open_folder(folder) as source, open_folder(record.new) as target:
            self._pass(source, target, Way.MERGE, trust=True)

    def _remove_there(self, record: Relocation) -> Relocation:
        """What is left at the destination after the way back."""
        over = replace(record, phase=Phase.OVER)
        if record.leave_data:
            return over
        aside = self._aside(record)
        seen = self.presence()
        if seen in (Presence.MISSING, Presence.FAILING) and not durable.is_folder(aside):
            if record.verified:  # nothing of it was removed yet
                raise WaitError(f"the disk of {record.new} is not here: what is left there goes when it is")
            return over
        if seen is Presence.READ_ONLY:
            self.sums.notes.append(f"{record.new} is read-only: what is there stays")
            return over
        if durable.is_folder(record.new):
            self.save(replace(record, verified=False))
            self._try_rename(record.new, aside)
            if durable.is_folder(record.new):
                self._broom.in_place(record.new)
        if durable.is_folder(aside):
            self._broom.folder(aside)
        return over

    # -- disks that come and go -----------------------------------------------------------------------------------

    def _leave(self, record: Relocation) -> Relocation:
        """The tool uses the old place again. What was set aside there and is whole comes back, the rest goes."""
        aside = record.old + SET_ASIDE
        if record.heading is Heading.BACK and self._landing(record) == record.old and durable.is_folder(record.old):
            self._broom.in_place(record.old)
        if record.method is Method.SYMLINK and durable.is_folder(aside) and not record.clearing:
            link_undone(record)
        if record.method is Method.SYMLINK or record.config:
            tell(self._tools.switch, replace(record, heading=Heading.BACK))
        if durable.is_folder(aside) and not record.clearing and not durable.is_there(record.old):
            durable.rename(aside, record.old)
        for rest in (aside, record.old + INCOMING):
            self._broom.clear(rest)
        return replace(record, phase=Phase.AWAY, heading=Heading.OUT, verified=False, clearing=False)

    def _cancel(self, record: Relocation) -> Relocation:
        """A copy that was not switched to goes; what was there before it stays."""
        over, aside = replace(record, phase=Phase.OVER), record.new + SET_ASIDE
        self._untell(record)
        if record.leave_data:
            return over
        seen = self.presence()
        if seen is Presence.MISSING and not durable.is_folder(aside):
            if record.mount in self._files.mounts():
                return over
            raise WaitError(
                f"the disk of {record.new} is not here: what was copied goes when it is, or give it up with"
                " `cachewarden restore --leave-data`"
            )
        if record.returns or record.adopts or seen in (Presence.READ_ONLY, Presence.FAILING):
            return over
        if not durable.is_folder(aside):
            self._try_rename(record.new, aside)
        own = Broom(self._tools.may_go_on, Sums())  # what it wrote itself is nothing that was freed
        if durable.is_folder(aside):
            own.folder(aside)
        else:
            own.in_place(record.new)
        return over


def _above(ask: Callable[[str], os.stat_result | None], path: str) -> str:
    while path != "/" and ask(path) is None:
        path = os.path.dirname(path)
    return path


def put_off(record: Relocation, error: OSError | RefusedError, now: Instant) -> Relocation:
    """After a failure: the next try by itself comes later each time; in the end the copy is cleared away."""
    why = reason(error) if isinstance(error, OSError) else str(error)
    tries = record.tries + 1
    now = max(now, Instant(time.time_ns()))  # the worker may have begun hours ago
    pause = min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE)
    gives_up = tries >= _GIVE_UP and record.phase is Phase.COPYING and record.heading is Heading.OUT
    phase = Phase.CANCELLING if gives_up and not record.returns else record.phase
    return replace(record, why=why, tries=tries, phase=phase, not_before=Instant(now + pause * NANOSECONDS))
