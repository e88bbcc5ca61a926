"""The steps of a move. Each is in the journal before it is taken, and can be taken again after a kill at any instant.

At every instant the place that the configuration names holds a whole cache: the other one is filled beside it, read
back from its disk, and only then named; what was there is set aside by one rename before it is removed.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import COPYING, MARKER, OWN_NAMES
from cachewarden.model.errors import RefusedError
from cachewarden.model.relocations import RESTING, Heading, Method, Phase, Presence, Relocation
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.relocate import places
from cachewarden.relocate.carrying import Carrier, Course, Tools, WaitError
from cachewarden.relocate.clearing import Broom, Sums
from cachewarden.relocate.records import LONGEST_PAUSE
from cachewarden.relocate.switching import is_ours, link_undone, tell, tidy
from cachewarden.system import durable
from cachewarden.system.places import PROBE

_MOST_STEPS = 30
_WHOLE = (Presence.HERE, Presence.FULL)
"""With these, what was copied is there; whether more fits is another question."""
_FIRST_PAUSE = 300
_GIVE_UP = 5
"""Tries of a copy that nobody asked for by hand, before what was copied is cleared away."""


class Mover:
    """Takes one move as far as it goes now."""

    def __init__(self, record: Relocation, tools: Tools) -> None:
        """``record`` as it is in the journal."""
        self.sums = Sums()
        self._tools = tools
        self._files = tools.surroundings.files
        self._course = Course(record, tools.records)
        self._carrier = Carrier(self._course, tools, self.sums)
        self._broom = Broom(tools.may_go_on, self.sums)

    @property
    def record(self) -> Relocation:
        """As it is in the journal now."""
        return self._course.record

    def save(self, record: Relocation) -> Relocation:
        """Into the journal first: what it says is about to be done."""
        return self._course.save(record)

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
            after = steps[self.record.phase](self.record)
            if (after.phase, after.heading) != (self.record.phase, self.record.heading):
                after = replace(after, tries=0, not_before=Instant(0))  # what failed before is behind it
            if after.phase is Phase.OVER:
                self._clear_workrooms(after)
            self.save(after)
        raise WaitError("it does not come to an end")

    def presence(self) -> Presence:
        """Of the destination, now."""
        return places.presence(self._files, self.record)

    # -- copying ------------------------------------------------------------------------------------------------

    def _copy(self, record: Relocation) -> Relocation:
        seen = self.presence()
        if record.heading is Heading.BACK:
            if record.leave_data:
                self._clear(record.incoming, record.landing)
                return replace(record, phase=Phase.SWITCHING, landing=0)
            if seen in (Presence.MISSING, Presence.FAILING):
                return replace(record, phase=Phase.LEAVING, go_back=True, why=f"its disk is {seen.value}")
        else:
            record = self._make_target(record, seen)
        self._carrier.wait_for_tools(record.source)
        if not durable.is_folder(record.source):
            return self._without_source(record)
        if record.heading is Heading.OUT and (record.returns or record.adopts):
            self.save(replace(record, found=True))
        record = self._carrier.bring()
        # Whatever is waited for now: all that is there was read back.
        self._carrier.wait_for_tools(record.source)
        return replace(record, phase=Phase.SWITCHING, why="")

    def _without_source(self, record: Relocation) -> Relocation:
        """Nothing was ever stored, or it went while it was copied: a part of it is not to be taken for the cache."""
        whole = record.whole or ((record.returns or record.adopts) and not record.found)
        if record.heading is Heading.OUT and (whole or not self._contents(record.new)):
            return replace(record, phase=Phase.SWITCHING, why="")
        raise WaitError(f"{record.source} is gone, and only a part of it was copied: was its disk unmounted?")

    def _make_target(self, record: Relocation, seen: Presence) -> Relocation:
        """The folder with its marker, on the disk that was judged fit; never on a bare mount point."""
        if seen in _WHOLE:
            return record  # a full one says so itself when more does not fit
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
        if place.exists == record.new and self._contents(record.new):
            if places.marker_of(self._files, record.new).get("ecosystem") != record.ecosystem:
                raise WaitError(f"{record.new} is no longer empty")
            record = self.save(replace(record, adopts=True))
        durable.make_folders(record.new, 0o755 if record.shared_group else 0o700)
        places.write_marker(record.new, record)
        return record

    def _contents(self, folder: str) -> list[str]:
        """What is in it and is not ours; what a trial left that was killed is."""
        names = set(self._files.listing(folder)) - OWN_NAMES
        return [each for each in names if not each.startswith(PROBE)]

    # -- switching ----------------------------------------------------------------------------------------------

    def _switch(self, record: Relocation) -> Relocation:
        if record.heading is Heading.BACK:
            return self._switch_back(record)
        told = self._tools.switch.may_be_told(record)
        if self.presence() not in _WHOLE:
            why = "its disk went away before the switch"
            if told:  # and what was stored there since is nowhere else
                return replace(record, phase=Phase.LEAVING, why=why)
            self._untell(record)
            return replace(record, phase=Phase.COPYING, verified=False, whole=False, why=why)
        try:
            self._tell(record)
        except RefusedError as error:
            self._untell(self.record)
            record = self.record
            away = record.afresh(Phase.AWAY, Heading.OUT)
            cancelled = replace(record, phase=Phase.CANCELLING, tries=0, not_before=Instant(0))
            self.save(replace(away if record.returns or told else cancelled, why=str(error)))
            raise
        return replace(self.record, phase=Phase.REMOVING)

    def _tell(self, record: Relocation) -> None:
        """The edit is in the journal, with the original, before it is made. One that was made already is known."""
        switch = self._tools.switch
        if record.method is Method.SYMLINK:
            if (inode := durable.inode(record.old)) and not is_ours(record.aside, record.set_aside):
                record = self.save(replace(record, set_aside=inode))
        elif not switch.is_written(record):
            if switch.is_named(record):
                return  # it was written, and somebody has edited something else in that file since
            record = self.save(switch.prepare(record))
        tell(switch, record)

    def _untell(self, record: Relocation) -> None:
        if record.method is Method.SYMLINK:
            link_undone(record)
        elif record.config and record.written:
            self._tools.switch.backward(record)

    def _switch_back(self, record: Relocation) -> Relocation:
        """What is new at the old place joins what came back; then the names change, in one step."""
        if durable.leads(record.old) not in (None, record.new):
            raise RefusedError(f"{record.old} is a link to {durable.leads(record.old)} now: remove it first")
        if record.leave_data:
            self._clear(record.incoming, record.landing)
            self._put_back(record)
        else:
            self._carrier.wait_for_tools(record.new, record.old)
            record = self._carrier.land()
        self._land(record)
        if record.method is Method.SYMLINK or record.config:
            tell(self._tools.switch, self.record)
        return replace(self.record, phase=Phase.REMOVING, set_aside=0, landing=0, clearing=False)

    def _put_back(self, record: Relocation) -> None:
        """What was set aside comes back, where its place was not taken yet."""
        if is_ours(record.aside, record.set_aside) and not record.clearing and not durable.is_there(record.old):
            durable.rename(record.aside, record.old)

    def _land(self, record: Relocation) -> None:
        """After the names have changed: what was at the old place goes, and nothing of it is lost."""
        if durable.is_folder(record.old):
            durable.remove(f"{record.old}/{MARKER}")
        for rest in (record.incoming, record.aside):
            if is_ours(rest, record.set_aside) and not record.clearing:
                self._carrier.join(rest, record.old, trust=record.verified)
                record = self.save(replace(record, clearing=True))
            self._clear(rest, record.set_aside)

    def _clear(self, path: str, inode: int) -> None:
        """A folder that is to go, or a link of ours; all else with that name is somebody's."""
        if is_ours(path, inode):
            self._broom.folder(path)
        elif durable.leads(path) == self.record.new:
            durable.remove(path)

    # -- removing -----------------------------------------------------------------------------------------------

    def _remove(self, record: Relocation) -> Relocation:
        if record.heading is Heading.BACK:
            return self._remove_there(record)
        if (seen := self.presence()) not in _WHOLE:
            return replace(record, phase=Phase.LEAVING, why=f"its disk is {seen.value}")
        if not record.keep:
            if not record.clearing:
                self._carrier.wait_for_tools(record.old)  # one that began before still stores at the old place
            self._set_aside(record)
        return replace(self.record.afresh(Phase.SETTLED, Heading.OUT), returns=False, adopts=False)

    def _set_aside(self, record: Relocation) -> None:
        """What is at the old place: late writes of it are kept, then it goes."""
        by_name = record.method is Method.CONFIG
        ours = is_ours(record.aside, record.set_aside)
        if by_name and durable.is_folder(record.old) and not ours and not record.clearing:
            record = self.save(replace(record, set_aside=durable.inode(record.old)))
            self._try_rename(record.old, record.aside)
        tidy(record)
        in_place = by_name and is_ours(record.old, record.set_aside)
        rest = record.old if in_place else record.aside
        if is_ours(rest, record.set_aside):
            self._let_go(rest, record.new, in_place=in_place)
        self._clear(record.aside, 0)

    def _let_go(self, rest: str, target: str, *, in_place: bool) -> None:
        """What was stored after the last pass of the copy is added to ``target``; then the rest may go.

        What is half removed adds nothing. In place there is no such thing: what goes is in the trash at once.
        """
        if in_place or not self.record.clearing:
            trust = self.record.verified
            self.save(replace(self.record, verified=False))
            self._carrier.join(rest, target, trust=trust)
            self.save(replace(self.record, verified=True, clearing=True))
        if in_place:
            self._broom.in_place(rest)
        else:
            self._broom.folder(rest)

    def _try_rename(self, old: str, new: str) -> None:
        """In one step, where the folder above may be written and it is no mount point."""
        with suppress(OSError):
            durable.rename(old, new)

    def _is_set_aside(self, record: Relocation) -> bool:
        return places.is_set_aside(self._files, record)

    def _remove_there(self, record: Relocation) -> Relocation:
        """What is left at the destination after the way back. What was stored there last comes along first."""
        over, aside = replace(record, phase=Phase.OVER), record.aside_there
        if record.leave_data and not record.clearing:
            if self._is_set_aside(record) and not durable.is_there(record.new):
                durable.rename(aside, record.new)
            return over
        if not self._is_set_aside(record):
            seen = self.presence()
            if seen in (Presence.MISSING, Presence.FAILING):
                if record.leave_data or (seen is Presence.MISSING and record.mount in self._files.mounts()):
                    return over
                raise WaitError(f"the disk of {record.new} is not here: what is left there goes when it is")
            if not record.clearing:
                self._carrier.wait_for_tools(record.new)
            if seen is Presence.READ_ONLY:
                self._carrier.join(record.new, record.old, trust=record.verified)
                self.sums.notes.append(f"{record.new} is read-only: what is there stays")
                return over
            if not record.clearing:
                record = self.save(replace(record, set_aside=durable.inode(record.new)))
                self._try_rename(record.new, aside)
        in_place = not self._is_set_aside(record)
        self._let_go(record.new if in_place else aside, record.old, in_place=in_place)
        return over

    def _clear_workrooms(self, record: Relocation) -> None:
        """What a copy that was killed had put apart, in a cache that stays."""
        there = (record.new,) if self.presence() in _WHOLE else ()
        for room in (f"{each}/{COPYING}" for each in (record.old, *there)):
            if durable.is_folder(room):
                with suppress(OSError):  # it is in nobody's way
                    self._broom.folder(room)

    # -- disks that come and go -----------------------------------------------------------------------------------

    def _leave(self, record: Relocation) -> Relocation:
        """The tool uses the old place again. What was set aside there and is whole comes back, the rest goes."""
        if record.method is Method.SYMLINK and not record.clearing:
            link_undone(record)
        if record.method is Method.SYMLINK or record.config:
            tell(self._tools.switch, replace(record, heading=Heading.BACK))
        tidy(record)
        self._put_back(record)
        if is_ours(record.aside, record.set_aside) and not record.clearing and durable.is_folder(record.old):
            self._carrier.join(record.aside, record.old, trust=False)
            record = self.save(replace(record, clearing=True))
        self._clear(record.aside, record.set_aside)
        self._clear(record.incoming, record.landing)
        return replace(record.afresh(Phase.AWAY, Heading.OUT), why=record.why)

    def _cancel(self, record: Relocation) -> Relocation:
        """A copy that was not switched to goes; what was there before it stays."""
        over, aside = replace(record, phase=Phase.OVER), record.aside_there
        self._untell(record)
        if record.leave_data and not self._is_set_aside(record):
            return over  # what is half removed is nothing to be left
        if not self._is_set_aside(record):
            seen = self.presence()
            if seen is Presence.MISSING:
                if record.mount in self._files.mounts():
                    return over
                raise WaitError(
                    f"the disk of {record.new} is not here: what was copied goes when it is, or give it up with"
                    " `cachewarden restore --leave-data`"
                )
            if record.returns or record.adopts or seen in (Presence.READ_ONLY, Presence.FAILING):
                return over
            record = self.save(replace(record, set_aside=durable.inode(record.new)))
            self._try_rename(record.new, aside)
        own = Broom(self._tools.may_go_on, Sums())  # what it wrote itself is nothing that was freed
        if self._is_set_aside(record):
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
    pause = min(_FIRST_PAUSE * 2**tries, LONGEST_PAUSE)
    gives_up = tries >= _GIVE_UP and record.phase is Phase.COPYING and record.heading is Heading.OUT
    if gives_up and not record.returns:
        return replace(record, why=why, tries=0, phase=Phase.CANCELLING, not_before=Instant(0))
    return replace(record, why=why, tries=tries, not_before=Instant(now + pause * NANOSECONDS))
