"""One cycle: look, decide, act, and again until the marks are reached or nothing is left to take."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cachewarden.decide.planner import decide, fingerprints
from cachewarden.model.caches import Filesystem, Look, Owner, Problem, Snapshot
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import CycleRecord, Outcome, Plan, Purge, Relocate, RemovedEntry, State
from cachewarden.model.policies import ActionKind, Settings
from cachewarden.model.units import NANOSECONDS, Bytes, Instant
from cachewarden.service.assemble import assemble, at_rest, without
from cachewarden.service.earlier import Earlier, NothingEarlier, nothing_known
from cachewarden.service.first_aid import Kit, urgent
from cachewarden.service.hooks import Hooks
from cachewarden.service.moves import Moves, begun, outcome_of, wants_attention
from cachewarden.service.remembering import Remembering
from cachewarden.service.rounds import credit, in_vain, less_to_free, what_is_next, whole
from cachewarden.system.collector import no_search_for_cycles
from cachewarden.system.ports import Clock, Space

if TYPE_CHECKING:
    from cachewarden.service.workers import Workers

_MOST_ROUNDS = 100
"""Each round but the last removes something or finds something that cannot be removed."""
_MOST_IN_VAIN = 10
"""Rounds in which nothing of an owner went, or next to nothing came of it, before others have their turn: whoever has
a hundred entries that cannot go, or says that each of them is as large as the disk, would keep it full for all."""


_AID = 20 * NANOSECONDS
"""So long first aid goes on: whoever keeps it waiting (a stopped worker, a dead mount) keeps all others waiting."""


@dataclass(slots=True)
class _Done:
    """What the rounds of a cycle add up to, and what purges that are under way removed so far."""

    id: str
    trigger: str
    started: Instant
    plans: list[Plan] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    current: dict[int, tuple[Purge, list[RemovedEntry]]] = field(default_factory=dict)
    until: Instant | None = None

    def so_far(self, now: Instant) -> CycleRecord:
        """What is to be remembered if this is the last that is heard of the cycle."""
        under_way = (
            Outcome(
                action.policy, "purge", action.cache, tuple(gone), Bytes(sum(entry.freed for entry in gone)),
                incomplete=True,
            )
            for action, gone in self.current.values()
        )  # fmt: skip
        return CycleRecord(self.id, self.trigger, self.started, now, Plan(), (*self.outcomes, *under_way))


class Cycle:
    """Runs the stages for all owners. One at a time: the caller holds the lock."""

    def __init__(
        self,
        workers: "Workers",
        clock: Clock,
        remembering: Remembering,
        hooks: Hooks,
        online: Callable[[], bool] = lambda: True,
        earlier: Earlier | None = None,
    ) -> None:
        """``hooks`` are asked and told while it goes on; ``online`` tells whether there is a way to a network.

        ``earlier``: what looks before this one found, in this process or another.
        """
        self._earlier = earlier or NothingEarlier()
        self._online = online
        self._workers = workers
        self._clock = clock
        self._remembering = remembering
        self._hooks = hooks
        self._latest: dict[int, Filesystem] = {}
        self._moves = Moves(workers, hooks)
        self._kit = Kit()
        self._aided: dict[int, Filesystem] = {}
        self.seen: Snapshot | None = None
        """The last snapshot, before anything was removed."""
        self.looks: dict[int, Look] = {}
        """What it was put together from, by uid."""

    @property
    def owners(self) -> Iterable[Owner]:
        """Who was looked at."""
        return self._moves.owners.values()

    def look(self, settings: Settings, *, anew: bool = True, still: Mapping[int, Look] | None = None) -> Snapshot:
        """What is there now, of every owner that the settings name. A lost worker costs its owner's part.

        Not ``anew``: what is unchanged since an earlier look is as that one found it, link counts above all.
        ``still``: looks by uid that hold, instead of new ones.
        """
        self._aided = {}
        begun = self._clock.now()
        blind = False
        problems: list[Problem] = []
        owners = list(_chosen(self._workers.owners(), settings, problems))
        self._moves.owners = {owner.name: owner for owner in owners}
        looks = self.looks = {owner.uid: still[owner.uid] for owner in owners if still and owner.uid in still}
        unseen = [owner for owner in owners if owner.uid not in looks]
        hooks = replace(
            self._hooks,
            beat=self._beat_looking,
            hurries=lambda: self._hooks.hurries() and self._has_to_act(looks.values(), settings),
        )
        with no_search_for_cycles():
            known = nothing_known if anew else lambda owner: self._earlier.of(owner, begun)
            for owner, seen in self._workers.look_at_all(unseen, hooks, known):
                if isinstance(seen, WorkerError):
                    problems.append(Problem(owner.home, str(seen)))
                    blind = True
                else:
                    looks[owner.uid] = seen
                    self._earlier.keep(owner, seen, self._clock.now())
        # They come as they come; what is decided must not depend on that.
        in_order = [looks[owner.uid] for owner in owners if owner.uid in looks]
        snapshot = assemble(in_order, problems, settings, self._clock.now(), blind=blind)
        # Else the plan would make good once more what first aid made good meanwhile.
        disks = tuple(self._aided.get(each.device, each) for each in snapshot.filesystems)
        snapshot = replace(snapshot, filesystems=disks)
        self.seen = self._remembering.recall(replace(snapshot, online=self._online()), settings)
        return self.seen

    def _has_to_act(self, looks: Iterable[Look], settings: Settings) -> bool:
        """Whether a disk is short, and what was seen so far has something to go from it."""
        if self._aided:
            return True
        seen = assemble(looks, (), settings, self._clock.now(), blind=True)
        return bool(decide(seen, urgent(settings)).actions)

    def _beat_looking(self) -> None:
        self._hooks.beat()
        self._hooks.while_looking()

    def heard(self, owner: Owner, path: str, entries: Iterable[str]) -> None:
        """Somebody says that an owner opened entries of the cache at ``path`` just now.

        Only what the last look saw of that owner counts, and the time is ours.
        """
        for each in self.seen.caches if self.seen else ():
            if each.cache.owner.uid == owner.uid and each.cache.path == path:
                known = set(entries).intersection(entry.path for entry in each.entries)
                self._remembering.opened(each.cache, known, self._clock.now())
                self._kit.drop(owner.uid, path, known)

    def leave(self) -> None:
        """The program ends: what was only heard is written down."""
        self._remembering.leave()

    def plan(self, settings: Settings, *, anew: bool = True) -> tuple[Snapshot, Plan]:
        """What a cycle would do now. Nothing is done; ``anew`` as in ``look``."""
        self._moves.begin()
        return self._moves.cleared(self.look(settings, anew=anew), settings)

    def _first_look(self, settings: Settings) -> Snapshot:
        """What is unchanged is not walked again, unless something is to be done: what is acted on is known anew.

        So is what keeps a policy from acting: an environment that is gone may be all that held a package.
        """
        begun = self._clock.now()
        seen = self.look(settings, anew=False)
        is_new = all(each.verified is None or each.verified >= begun for each in seen.caches)
        return seen if is_new or _wants_nothing(decide(seen, settings), settings) else self.look(settings)

    def run(self, settings: Settings, trigger: str, *, prepare: bool = False, anew: bool = False) -> CycleRecord:
        """Looks, decides, acts; and looks again at the disks, since a full ext4 hides the first bytes freed.

        ``prepare``: first aid may be called for later on. ``anew``: there will be something to do.
        """
        started = self._clock.now()
        self._moves.begin()
        first = self.look(settings) if anew else self._first_look(settings)
        done = _Done(_new_id(), trigger, started)
        last = self._rounds(self._settled(first, settings, done), settings, done)
        done.outcomes.extend(self._moves.refused())
        record = CycleRecord(
            id=done.id,
            trigger=trigger,
            started_at=started,
            finished_at=self._clock.now(),
            plan=whole(done.plans),
            outcomes=tuple(done.outcomes),
            before=first.filesystems,
            after=last.filesystems,
            problems=first.problems,
        )
        self._remembering.learn(first, record, settings)
        if prepare:
            self._kit.pack(last, settings)
        return record

    def rest(
        self, settings: Settings, trigger: str, known: Mapping[int, Look], *, prepare: bool = False
    ) -> CycleRecord | None:
        """A cycle in which nothing is to be done, by what is ``known`` and looks at all others.

        ``None`` when anything may be: that takes a whole cycle, which looks at everybody.
        """
        started = self._clock.now()
        self._moves.begin()
        first = self.look(settings, anew=False, still=known)
        if first.due or any(map(wants_attention, first.relocations)) or not self._hooks.may_go_on():
            return None
        with no_search_for_cycles():
            plan = decide(first, settings)
        if not _wants_nothing(plan, settings):
            return None
        disks = first.filesystems
        now = self._clock.now()
        record = CycleRecord(_new_id(), trigger, started, now, plan, (), disks, disks, first.problems)
        if self.looks.keys() - known.keys():
            self._remembering.learn(first, record, settings)
        if prepare:
            self._kit.pack(first, settings)
        return record

    def hold_on(self) -> None:
        """Nothing happened since the last cycle: first aid can go by what that left."""
        self._kit.hold_on(self._clock.now())

    def aid(self, settings: Settings, trigger: str, spaces: Mapping[str, Space]) -> CycleRecord | None:
        """Removes at once, without a look, what the last one found to be cheap, as the policies have it.

        ``spaces``: by mount point, the filesystems that are short now. ``None`` when nothing could be tried. It says
        nothing of shortfalls: the cycle that has to follow does. May be called while another looks.
        """
        started = self._clock.now()
        first = self._kit.unpack(spaces, started, settings.watch.interval)
        if first is None:
            return None
        done = _Done(_new_id(), trigger, started, until=Instant(started + _AID))
        last = self._rounds(first, urgent(settings), done)
        if not done.outcomes:
            return None
        plan = replace(whole(done.plans), shortfalls=(), skips=())
        outcomes = tuple(done.outcomes)
        self._kit.tried([each for each in plan.actions if isinstance(each, Purge)], outcomes)
        self._aided |= {each.device: each for each in last.filesystems}
        before, after = first.filesystems, last.filesystems
        record = CycleRecord(done.id, trigger, started, self._clock.now(), plan, outcomes, before, after)
        self._remembering.aided(first, record)
        return record

    def _settled(self, snapshot: Snapshot, settings: Settings, done: _Done) -> Snapshot:
        """What was begun is finished first, and disks that came or went are followed; then it all looks different."""
        outcomes = self._moves.settle(snapshot.relocations)
        done.outcomes.extend(outcomes)
        changed = any(each.moved and not each.moved.busy for each in outcomes)
        return self.look(settings) if changed and self._hooks.may_go_on() else snapshot

    @property
    def owes_turns(self) -> bool:
        """Whether somebody's moves wait for a turn that others had in the last cycle."""
        return self._moves.owes_turns

    def _begin(self, done: _Done, under_way: Outcome) -> None:
        """In the history before it begins: a machine that is switched off in the middle still shows it."""
        now = self._clock.now()
        self._remembering.begin(
            CycleRecord(done.id, done.trigger, done.started, now, Plan(), (*done.outcomes, under_way))
        )

    def _rounds(self, snapshot: Snapshot, settings: Settings, done: _Done) -> Snapshot:
        vain: Counter[int] = Counter()
        for _ in range(_MOST_ROUNDS):
            snapshot, plan = self._moves.cleared(snapshot, settings)
            move, purges = what_is_next(plan)
            done.plans.append(replace(plan, actions=(move,) if move else tuple(purges)))
            if move:
                snapshot = self._move(move, replace(snapshot, engaged=plan.engaged), settings, done)
            elif not purges:
                return snapshot
            else:
                before = {each.device: each for each in snapshot.filesystems}
                outcomes = self._act(purges, done)
                self._remembering.judge(fingerprints(plan, snapshot), outcomes)
                vain.update(in_vain(snapshot, purges, outcomes, self._latest))
                snapshot = replace(without(snapshot, purges, outcomes, self._latest), engaged=plan.engaged)
                snapshot = at_rest(snapshot, {uid for uid, rounds in vain.items() if rounds >= _MOST_IN_VAIN})
                settings = less_to_free(settings, credit(before, outcomes, self._latest))
            if not self._may_go_on(done):
                break
        # What is lacking must be said as it is, not as it would be after more removals.
        nothing = tuple(replace(cache, entries=()) for cache in snapshot.caches)
        done.plans.append(decide(replace(snapshot, caches=nothing), settings))
        return snapshot

    def _move(self, move: Relocate, snapshot: Snapshot, settings: Settings, done: _Done) -> Snapshot:
        """One at a time. Afterwards the disks are looked at again: nothing that was known of them still holds."""
        cache = move.cache
        self._begin(done, Outcome(move.policy, "relocate", cache, incomplete=True, moved=begun(move)))
        moved = self._moves.move(move)
        done.outcomes.append(outcome_of(move, moved))
        changed = moved.copied or not moved.error
        known = self.look(settings) if changed and self._hooks.may_go_on() else snapshot
        known = replace(known, due=snapshot.due, engaged=snapshot.engaged)
        known = replace(known, unmovable=snapshot.unmovable, waiting=snapshot.waiting)
        return self._moves.after(known, move, moved, settings)

    def _act(self, purges: list[Purge], done: _Done) -> list[Outcome]:
        """The outcomes, in the order of the plan."""
        self._latest = {}
        done.current.clear()
        outcomes: dict[int, Outcome] = {}

        def gone(action: Purge, entry: RemovedEntry) -> None:
            """A note of what went now and then: a service that is killed has not forgotten it."""
            done.current.setdefault(id(action), (action, []))[1].append(entry)
            now = self._clock.now()
            self._remembering.note(lambda: done.so_far(now), now)
            self._hooks.progress(entry)

        hooks = replace(self._hooks, may_go_on=lambda: self._may_go_on(done))
        for action, outcome, filesystem in self._workers.purge_all(purges, hooks, gone):
            done.current.pop(id(action), None)
            done.outcomes.append(outcome)
            outcomes[id(action)] = outcome
            if filesystem:
                self._latest[filesystem.device] = filesystem
        return [outcomes[id(action)] for action in purges if id(action) in outcomes]

    def _may_go_on(self, done: _Done) -> bool:
        return self._hooks.may_go_on() and (done.until is None or self._clock.now() < done.until)


def _new_id() -> str:
    """Of a cycle. Drawn as late as that: the module asks what kind of machine this is."""
    from uuid import uuid4

    return uuid4().hex


def _wants_nothing(plan: Plan, settings: Settings) -> bool:
    """Whether no policy acts, nor would if it could: what keeps it from that may be over. Reports act on nothing."""
    telling = {policy.name for policy in settings.policies if policy.action is ActionKind.REPORT}
    wanting = any(each.state is State.TRIGGERED and each.policy not in telling for each in plan.standings)
    return not (plan.actions or plan.shortfalls or wanting)


def _chosen(owners: tuple[Owner, ...], settings: Settings, problems: list[Problem]) -> Iterable[Owner]:
    if settings.owners is None:
        return owners
    known = {owner.name for owner in owners}
    problems.extend(
        Problem(name, "named under owners, but this machine has no such user that can be served")
        for name in settings.owners
        if name not in known
    )
    return [owner for owner in owners if owner.name in settings.owners]
