"""What a worker that moves caches is asked for: relocate, restore, settle what is open, or say how it would go."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

from cachewarden.ecosystems.base import Ecosystem
from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import Cache
from cachewarden.model.errors import BusyError, RefusedError
from cachewarden.model.relocations import (
    DISK_FULL,
    RESTING,
    Errand,
    Heading,
    Method,
    Moved,
    MoveOrder,
    Phase,
    Presence,
    Prospect,
    Relocation,
)
from cachewarden.model.units import Bytes, human_bytes
from cachewarden.relocate import places, preflight
from cachewarden.relocate.carrying import WaitError
from cachewarden.relocate.clearing import Sums
from cachewarden.relocate.estate import Estate, is_later, seen_now
from cachewarden.relocate.mover import Mover, put_off
from cachewarden.system import durable
from cachewarden.system.census import Census
from cachewarden.system.removal import StoppedError

_WORDS = {
    Presence.HERE: "here", Presence.MISSING: "not here", Presence.READ_ONLY: "read-only", Presence.FULL: "full",
    Presence.FAILING: "failing",
}  # fmt: skip


def run(estate: Estate, order: MoveOrder) -> tuple[Moved, ...]:
    """Carries an errand out; what came of it, never an exception."""
    try:
        if order.errand is Errand.CHECK:
            return (_relocate(estate, order),)
        with estate.records.alone():
            if order.errand is Errand.SETTLE:
                return tuple(_settle(estate, order))
            return (_relocate(estate, order) if order.errand is Errand.RELOCATE else _restore(estate, order),)
    except BusyError as error:
        return (_nothing(order, str(error), busy=True),)
    except StoppedError:
        text = "stopped before anything was done"
        return (Moved(order.cache, order.to, Phase.OVER, text, stopped=True),)
    except OSError as error:
        return (_nothing(order, f"the journal of moves cannot be kept: {error.filename or ''}: {reason(error)}"),)


def _nothing(
    order: MoveOrder, why: str, *, busy: bool = False, refused: bool = True, prospect: Prospect | None = None
) -> Moved:
    source = prospect.source if prospect else order.cache
    destination = prospect.destination if prospect else order.to
    return Moved(source, destination, Phase.OVER, why, error=why, busy=busy, refused=refused, prospect=prospect)


# -- out ---------------------------------------------------------------------------------------------------------


def _relocate(estate: Estate, order: MoveOrder) -> Moved:
    ecosystem = estate.ecosystem(order.ecosystem)
    if ecosystem is None:
        return _nothing(order, f"there is no ecosystem {order.ecosystem!r}")
    cache = _which(estate, ecosystem, order)
    if isinstance(cache, str):
        return _nothing(order, cache)
    open_move = next((each for each in estate.records.all() if cache.path in (each.old, each.new)), None)
    if open_move:
        return _again(estate, ecosystem, order, open_move)
    others = tuple(each.path for each in estate.caches) + tuple(
        place for each in estate.records.all() for place in (each.old, each.new)
    )
    scene = preflight.Scene(
        estate.surroundings,
        ecosystem,
        cache,
        estate.contexts[ecosystem.name],
        others,
        estate.may_go_on,
        estate.placed,
    )
    found = preflight.check(scene, order, trying=order.errand is Errand.RELOCATE)
    if isinstance(found, Prospect):
        return _nothing(order, found.refusal, busy=found.busy, prospect=found)
    if order.errand is Errand.CHECK:
        return Moved(cache.path, found.place.path, Phase.OVER, "it can be moved", prospect=found.prospect)
    record = Relocation(
        id=uuid.uuid4().hex, ecosystem=ecosystem.name, old=cache.path, new=found.place.path, method=order.method,
        phase=Phase.COPYING, heading=Heading.OUT, granularity=found.granularity,
        begun=estate.contexts[ecosystem.name].now, policy=order.policy, keep=order.keep,
        shared_group=order.shared_group, mount=found.place.mount.mount,
    )  # fmt: skip
    estate.records.save(record)
    mover = Mover(record, estate.tools(ecosystem, (found.prospect.files, found.prospect.contents)))
    return replace(_go(estate, mover), prospect=found.prospect)


def _which(estate: Estate, ecosystem: Ecosystem, order: MoveOrder) -> Cache | str:
    """The cache that is meant: the named one, or the one that the tool uses now."""
    own = [each for each in estate.caches if each.ecosystem == ecosystem.name]
    real = estate.surroundings.files.real_path
    if order.cache:
        wanted = real(order.cache)
        found = next((each for each in own if each.path in (order.cache, wanted)), None)
        return found or f"{order.cache} is not a {ecosystem.name} cache of {estate.surroundings.owner.name}"
    using = {real(each.path): each for each in ecosystem.in_force(estate.surroundings) if each.path is not None}
    if not using:
        return f"{ecosystem.name} keeps no cache: it is off, or {ecosystem.name} is not used here"
    there = [each for each in own if each.path in using]
    if len(there) > 1:
        listed = ", ".join(each.path for each in there)
        return f"{ecosystem.name} uses more than one cache: say which with --cache PATH ({listed})"
    if there:
        return there[0]
    first = next(iter(using))
    return Cache(ecosystem.name, first, estate.surroundings.owner, using[first].where)


def _again(estate: Estate, ecosystem: Ecosystem, order: MoveOrder, record: Relocation) -> Moved:
    """The same command once more finishes what it began; another one has to wait for that."""
    to = estate.surroundings.files.real_path(order.to)
    if record.new not in (to, order.to):
        state = "was moved" if record.phase is Phase.SETTLED else "is being moved"
        return _nothing(
            order, f"{record.old} {state} to {record.new}: take that back first with `cachewarden restore`"
        )
    here = places.presence(estate.surroundings.files, record)
    gone = here is Presence.MISSING and record.mount not in estate.surroundings.files.mounts()
    unfit = gone or here not in (Presence.HERE, Presence.MISSING)
    if here is not Presence.HERE and (record.phase is Phase.AWAY or (order.by_policy and unfit)):
        words = f"the disk of {record.new} is {_WORDS[here]}: {record.ecosystem} uses {record.old}"
        return replace(_nothing(order, words), phase=record.phase)
    if order.by_policy:
        # What is open is settled before any policy has its turn: nothing more can be done about it in this cycle.
        return _nothing(order, f"it is being moved ({record.phase.value}: {record.why or 'under way'})", busy=True)
    if record.phase is Phase.SETTLED and (order.errand is Errand.CHECK or here in (Presence.HERE, Presence.FULL)):
        absent = f"it was moved to {record.new}, which is {_WORDS[here]}"
        words = "it is there already" if here in (Presence.HERE, Presence.FULL) else absent
        return Moved(record.old, record.new, record.phase, words)
    if order.errand is Errand.CHECK:
        return Moved(record.old, record.new, record.phase, "the move is under way, and goes on")
    return _attend(estate, ecosystem, record)


# -- back --------------------------------------------------------------------------------------------------------


def _restore(estate: Estate, order: MoveOrder) -> Moved:
    ecosystem = estate.ecosystem(order.ecosystem)
    found = [each for each in estate.records.all() if each.ecosystem == order.ecosystem]
    if order.cache:
        real = estate.surroundings.files.real_path(order.cache)
        found = [each for each in found if {order.cache, real} & {each.old, each.new}]
    if not found or ecosystem is None:
        damaged = ", ".join(estate.records.damaged())
        more = f"; a record cannot be read: {damaged}" if damaged else ""
        return _nothing(order, f"no {order.ecosystem} cache of {estate.surroundings.owner.name} was moved{more}")
    if len(found) > 1:
        listed = ", ".join(each.old for each in found)
        return _nothing(order, f"more than one was moved: say which with --cache PATH ({listed})")
    return _bring_back(estate, ecosystem, found[0], order)


def _bring_back(estate: Estate, ecosystem: Ecosystem, record: Relocation, order: MoveOrder) -> Moved:
    here = places.presence(estate.surroundings.files, record) not in (Presence.MISSING, Presence.FAILING)
    expected = (0, 0)
    if _is_unused(estate, ecosystem, record):
        record = replace(record, phase=Phase.CANCELLING, leave_data=order.leave_data, why="taken back")
    elif record.phase is Phase.CANCELLING or record.heading is Heading.BACK:
        record = replace(record, leave_data=record.leave_data or order.leave_data)
    elif not here and not order.leave_data:
        return _nothing(
            order, f"the disk of {record.new} is not here: plug it in, or give up what is on it with --leave-data"
        )
    else:
        if record.phase not in RESTING:
            if record.phase is Phase.COPYING or order.leave_data:
                # Its tool uses the old place, or is to: to wait for the way out to be finished could be for ever.
                record = replace(record, phase=Phase.LEAVING, go_back=not order.leave_data, why="taken back")
            finished = _attend(estate, ecosystem, record)
            record = next((each for each in estate.records.all() if each.id == record.id), record)
            if finished.error or record.phase not in RESTING:
                return finished
        if not order.leave_data:
            counted = estate.count(record.new)
            expected = (counted.files, counted.contents)
            if why := _no_room(estate, record, counted):
                return _nothing(order, why)
        record = replace(
            record.afresh(Phase.COPYING if here else Phase.SWITCHING, Heading.BACK), leave_data=order.leave_data,
            go_back=False,
        )  # fmt: skip
    estate.records.save(record)
    return _go(estate, Mover(record, estate.tools(ecosystem, expected)))


def _is_unused(estate: Estate, ecosystem: Ecosystem, record: Relocation) -> bool:
    """Whether all that is at the destination was copied to it."""
    if record.heading is Heading.BACK or record.returns:
        return False
    told = estate.tools(ecosystem).switch.may_be_told
    return record.phase is Phase.COPYING or (record.phase is Phase.SWITCHING and not told(record))


def _no_room(estate: Estate, record: Relocation, counted: Census) -> str:
    """What is at the destination must fit onto the disk that it came from."""
    files = estate.surroundings.files
    path = record.old
    while path != "/" and files.stat(path) is None:
        path = path.rpartition("/")[0] or "/"
    free = files.space(path).free
    if counted.allocated <= free:
        return ""
    return (
        f"{human_bytes(counted.allocated)} are to come back, and {files.mount_of(path).mount} has {human_bytes(free)}"
        " free: purge first, or leave what is there with --leave-data"
    )


# -- what is open ------------------------------------------------------------------------------------------------


def _settle(estate: Estate, order: MoveOrder) -> Iterator[Moved]:
    for record in estate.records.all():
        ecosystem = estate.ecosystem(record.ecosystem)
        now = estate.contexts[record.ecosystem].now if ecosystem else 0
        if ecosystem is None or (order.by_policy and is_later(record, now)):
            continue
        if not estate.may_go_on():
            return
        if seen_now(estate.surroundings, record, later=False).wants or _is_full(estate, record):
            moved = _attend(estate, ecosystem, record)
            if moved.text:
                yield moved


def _is_full(estate: Estate, record: Relocation) -> bool:
    return record.phase is Phase.SETTLED and places.presence(estate.surroundings.files, record) is Presence.FULL


def _attend(estate: Estate, ecosystem: Ecosystem, record: Relocation) -> Moved:
    """Takes a move on from where it is, by what its disk does now."""
    found = places.presence(estate.surroundings.files, record)
    tools = estate.tools(ecosystem, _expected(estate, record))
    if record.phase is Phase.SETTLED:
        if record.go_back and found in (Presence.HERE, Presence.FULL):
            return _go_back(estate, ecosystem, record)
        if found is Presence.FULL and record.why != DISK_FULL:
            # Policies may purge it first: the next look decides.
            estate.records.save(replace(record, why=DISK_FULL))
            return Moved(record.old, record.new, record.phase, "")
        if found is Presence.HERE:
            record = replace(record, why="")  # it was full for a while
            estate.records.save(record)
        else:
            record = replace(record.afresh(Phase.LEAVING, Heading.OUT), why=f"its disk is {_WORDS[found]}")
    elif record.phase is Phase.AWAY and found is Presence.HERE:
        told = any(tools.switch.uses(each) for each in (record.old, record.new))
        if not told and record.method is Method.CONFIG:
            estate.records.save(replace(record, phase=Phase.OVER))
            text = (
                f"{record.ecosystem} was told to use another place meanwhile: {record.new} is forgotten, not removed"
            )
            return Moved(record.old, record.new, Phase.OVER, text)
        record = replace(record.afresh(Phase.COPYING, Heading.OUT), returns=True)
    if record.phase in RESTING:
        return Moved(record.old, record.new, record.phase, "")
    estate.records.save(record)
    moved = _go(estate, Mover(record, tools))
    if moved.phase is Phase.SETTLED and record.go_back and not moved.error:
        return _go_back(estate, ecosystem, record)
    return moved


def _go_back(estate: Estate, ecosystem: Ecosystem, record: Relocation) -> Moved:
    """It was on its way back when its disk went away; what is refused now is for a person to ask for again."""
    settled = next((each for each in estate.records.all() if each.id == record.id), record)
    moved = _bring_back(estate, ecosystem, settled, MoveOrder(Errand.RESTORE, record.ecosystem))
    if settled in estate.records.all():
        estate.records.save(replace(settled, go_back=False))
    return moved


def _expected(estate: Estate, record: Relocation) -> tuple[int, int]:
    """Files and bytes that a copy has before it, where somebody may wait for it."""
    if record.phase is not Phase.COPYING or estate.patience or not durable.is_folder(record.source):
        return 0, 0
    try:
        counted = estate.count(record.source)
    except OSError:
        return 0, 0  # the copy itself says what is wrong
    return counted.files, counted.contents


def _go(estate: Estate, mover: Mover) -> Moved:
    """As far as it goes, and what is to be said of it."""
    begun = mover.record
    error, busy, refused, stopped = "", False, False, False
    try:
        mover.run()
    except WaitError as wait:
        error, busy = str(wait), True
        _note(mover, error)
    except StoppedError:
        stopped = True
    except (OSError, RefusedError) as failure:
        where = f"{failure.filename}: " if isinstance(failure, OSError) and failure.filename else ""
        error = where + (reason(failure) if isinstance(failure, OSError) else str(failure))
        refused = isinstance(failure, RefusedError)
        error = _undo(estate, mover, failure, error)
    sums, record = mover.sums, mover.record
    return Moved(
        begun.old, begun.new, record.phase, error or _told(begun, record, sums, stopped=stopped),
        Bytes(sums.copied), Bytes(sums.freed), error, busy, refused, stopped, tuple(sums.notes[:20]),
    )  # fmt: skip


def _note(mover: Mover, why: str) -> None:
    if mover.record.why != why:
        try:
            mover.save(replace(mover.record, why=why))
        except OSError:
            return  # only the reason is not remembered


def _undo(estate: Estate, mover: Mover, failure: OSError | RefusedError, error: str) -> str:
    """After a failure: what was refused is cleared away at once, the rest is tried again later."""
    if mover.record.phase is Phase.CANCELLING:
        try:
            mover.run()
        except (WaitError, StoppedError, OSError, RefusedError):
            return f"{error}; what was copied is cleared away later"
        return error
    now = next(iter(estate.contexts.values())).now
    try:
        mover.save(put_off(mover.record, failure, now))
    except OSError as second:
        return f"{error}; and the journal cannot be kept: {reason(second)}"
    return error


def _told(begun: Relocation, record: Relocation, sums: Sums, *, stopped: bool) -> str:
    if stopped:
        return f"stopped while {record.phase.value}: `cachewarden run`, or the same command, goes on from there"
    what = {
        Phase.SETTLED: f"moved to {record.new}",
        Phase.AWAY: f"{record.ecosystem} uses {record.old} until {record.new} is back ({record.why})",
        Phase.OVER: f"back at {record.old}",
    }.get(record.phase, record.phase.value)
    if begun.phase is Phase.CANCELLING and record.phase is Phase.OVER:
        what = f"the move to {record.new} was taken back"
    elif begun.returns and record.phase is Phase.SETTLED:
        what = f"{record.new} is here again, and {record.ecosystem} uses it"
    figures = [
        f"{human_bytes(size)} {word}" for size, word in ((sums.copied, "copied"), (sums.freed, "freed")) if size
    ]
    return f"{what}{': ' if figures else ''}{', '.join(figures)}"
