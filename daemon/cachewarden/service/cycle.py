"""One cycle: look, decide, act, and again until the marks are reached or nothing is left to take."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cachewarden.decide.planner import decide, fingerprints
from cachewarden.model.caches import Filesystem, Owner, Problem, Snapshot
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import CycleRecord, Outcome, Plan, Purge, Relocate, RemovedEntry
from cachewarden.model.policies import Settings
from cachewarden.model.units import NANOSECONDS, Bytes, Instant
from cachewarden.service.assemble import assemble, at_rest, without
from cachewarden.service.first_aid import Kit, urgent
from cachewarden.service.moves import Moves, begun, outcome_of
from cachewarden.service.remembering import Remembering
from cachewarden.service.talking import Hooks
from cachewarden.service.workers import Workers
from cachewarden.system.collector import no_search_for_cycles
from cachewarden.system.ports import Clock, Space

_MOST_ROUNDS = 100
"""Each round but the last removes something or finds something that cannot be removed."""
_MOST_IN_VAIN = 10
"""Rounds in which nothing of an owner went, or next to nothing came of it, before others have their turn: whoever has
a hundred entries that cannot go, or says that each of them is as large as the disk, would keep it full for all."""
_LITTLE = 4
"""A disk that gains less than one part in so many of what was hoped for gains little: somebody else writes, too."""


_AID = 20 * NANOSECONDS
"""So long first aid goes on: whoever keeps it waiting (a stopped worker, a dead mount) keeps all others waiting."""


@dataclass(slots=True)
class _Done:
    """What the rounds of a cycle add up to, and what a purge that is under way removed so far."""

    id: str
    trigger: str
    started: Instant
    plans: list[Plan] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    current: list[RemovedEntry] = field(default_factory=list)
    until: Instant | None = None

    def so_far(self, action: Purge, now: Instant) -> CycleRecord:
        """What is to be remembered if this is the last that is heard of the cycle."""
        freed = Bytes(sum(entry.freed for entry in self.current))
        under_way = Outcome(action.policy, "purge", action.cache, tuple(self.current), freed, incomplete=True)
        return CycleRecord(self.id, self.trigger, self.started, now, Plan(), (*self.outcomes, under_way))


class Cycle:
    """Runs the stages for all owners. One at a time: the caller holds the lock."""

    def __init__(
        self,
        workers: Workers,
        clock: Clock,
        remembering: Remembering,
        hooks: Hooks,
        online: Callable[[], bool] = lambda: True,
    ) -> None:
        """``hooks`` are asked and told while it goes on; ``online`` tells whether there is a way to a network."""
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

    def look(self, settings: Settings) -> Snapshot:
        """What is there now, of every owner that the settings name. A lost worker costs its owner's part."""
        looks = []
        blind = False
        self._aided = {}
        hooks = replace(self._hooks, beat=self._beat_looking)
        problems: list[Problem] = []
        owners = list(_chosen(self._workers.owners(), settings, problems))
        self._moves.owners = {owner.name: owner for owner in owners}
        for owner in owners:
            if not self._hooks.may_go_on():
                break
            try:
                with no_search_for_cycles():
                    looks.append(self._workers.look(owner, hooks))
            except WorkerError as error:
                problems.append(Problem(owner.home, str(error)))
                blind = True
        snapshot = assemble(looks, problems, settings, self._clock.now(), blind=blind)
        # Else the plan would make good once more what first aid made good meanwhile.
        disks = tuple(self._aided.get(each.device, each) for each in snapshot.filesystems)
        snapshot = replace(snapshot, filesystems=disks)
        self.seen = self._remembering.recall(replace(snapshot, online=self._online()), settings)
        return self.seen

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

    def plan(self, settings: Settings) -> tuple[Snapshot, Plan]:
        """What a cycle would do now. Nothing is written anywhere."""
        self._moves.begin()
        return self._moves.cleared(self.look(settings), settings)

    def run(self, settings: Settings, trigger: str, *, prepare: bool = False) -> CycleRecord:
        """Looks, decides, acts; and looks again at the disks, since a full ext4 hides the first bytes freed.

        ``prepare``: first aid may be called for later on.
        """
        started = self._clock.now()
        self._moves.begin()
        first = self.look(settings)
        done = _Done(uuid.uuid4().hex, trigger, started)
        last = self._rounds(self._settled(first, settings, done), settings, done)
        done.outcomes.extend(self._moves.refused())
        record = CycleRecord(
            id=done.id,
            trigger=trigger,
            started_at=started,
            finished_at=self._clock.now(),
            plan=_whole(done.plans),
            outcomes=tuple(done.outcomes),
            before=first.filesystems,
            after=last.filesystems,
            problems=first.problems,
        )
        self._remembering.learn(first, record, settings)
        if prepare:
            self._kit.pack(last, settings)
        return record

    def aid(self, settings: Settings, trigger: str, spaces: Mapping[str, Space]) -> CycleRecord | None:
        """Removes at once, without a look, what the last one found to be cheap, as the policies have it.

        ``spaces``: by mount point, the filesystems that are short now. ``None`` when nothing could be tried. It says
        nothing of shortfalls: the cycle that has to follow does. May be called while another looks.
        """
        started = self._clock.now()
        first = self._kit.unpack(spaces, started, settings.watch.interval)
        if first is None:
            return None
        done = _Done(uuid.uuid4().hex, trigger, started, until=Instant(started + _AID))
        last = self._rounds(first, urgent(settings), done)
        if not done.outcomes:
            return None
        plan = replace(_whole(done.plans), shortfalls=(), skips=())
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
            move, purges = _next(plan)
            done.plans.append(replace(plan, actions=(move,) if move else tuple(purges)))
            if move:
                snapshot = self._move(move, replace(snapshot, engaged=plan.engaged), settings, done)
            elif not purges:
                return snapshot
            else:
                before = {each.device: each for each in snapshot.filesystems}
                outcomes = self._act(purges, done)
                self._remembering.judge(fingerprints(plan, snapshot), outcomes)
                vain.update(_in_vain(snapshot, purges, outcomes, self._latest))
                snapshot = replace(without(snapshot, purges, outcomes, self._latest), engaged=plan.engaged)
                snapshot = at_rest(snapshot, {uid for uid, rounds in vain.items() if rounds >= _MOST_IN_VAIN})
                settings = _less_to_free(settings, _credit(before, outcomes, self._latest))
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
        outcomes: list[Outcome] = []
        self._latest = {}
        for action in purges:
            if not self._may_go_on(done):
                break
            done.current.clear()
            outcome, filesystem = self._workers.purge(action, self._telling(action, done))
            outcomes.append(outcome)
            done.outcomes.append(outcome)
            if filesystem:
                self._latest[filesystem.device] = filesystem
        return outcomes

    def _telling(self, action: Purge, done: _Done) -> Hooks:
        """The hooks, with a note of what went now and then: a service that is killed has not forgotten it."""

        def progress(entry: RemovedEntry) -> None:
            done.current.append(entry)
            now = self._clock.now()
            self._remembering.note(lambda: done.so_far(action, now), now)
            self._hooks.progress(entry)

        return replace(self._hooks, progress=progress, may_go_on=lambda: self._may_go_on(done))

    def _may_go_on(self, done: _Done) -> bool:
        return self._hooks.may_go_on() and (done.until is None or self._clock.now() < done.until)


def _next(plan: Plan) -> tuple[Relocate | None, list[Purge]]:
    """What comes first: a move, or the removals before the first move."""
    first = next(iter(plan.actions), None)
    if isinstance(first, Relocate):
        return first, []
    purges: list[Purge] = []
    for action in plan.actions:
        if isinstance(action, Relocate):
            break
        purges.append(action)
    return None, purges


def _in_vain(
    seen: Snapshot, purges: list[Purge], outcomes: list[Outcome], latest: Mapping[int, Filesystem]
) -> set[int]:
    """The owners of whose caches nothing went, or by whose removals a disk gained little of what was hoped for.

    What an entry frees, and that it went, is its owner's word. What the disk gained is ours.
    """
    free = {each.device: each.free for each in seen.filesystems}
    devices = {(each.cache.owner.uid, each.cache.path): each.device for each in seen.caches}
    hoped: Counter[tuple[int, int | None]] = Counter()
    for action in purges:
        uid = action.cache.owner.uid
        hoped[uid, devices.get((uid, action.cache.path))] += action.frees + action.maybe
    went = {outcome.cache.owner.uid for outcome in outcomes if outcome.removed}
    vain = {outcome.cache.owner.uid for outcome in outcomes} - went
    for (uid, device), hope in hoped.items():
        if device in latest and device in free and (latest[device].free - free[device]) * _LITTLE < hope:
            vain.add(uid)
    return vain


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


def _credit(before: Mapping[int, Filesystem], outcomes: list[Outcome], latest: Mapping[int, Filesystem]) -> int:
    """What a round freed. Where only bounds are known, what the disks gained decides, as far as the bounds allow."""
    sure = sum(outcome.freed for outcome in outcomes)
    gained = sum(each.free - before[device].free for device, each in latest.items() if device in before)
    return min(max(sure, gained), sure + sum(outcome.maybe for outcome in outcomes))


def _less_to_free(settings: Settings, freed: int) -> Settings:
    """What was asked for by hand, less what an earlier round freed."""
    policies = tuple(
        policy if policy.to_free is None else replace(policy, to_free=Bytes(max(0, policy.to_free - freed)))
        for policy in settings.policies
    )
    return replace(settings, policies=policies)


def _whole(plans: list[Plan]) -> Plan:
    """All rounds as one plan: every action, the first standings (why it acted), the last shortfalls and skips."""
    if not plans:
        return Plan()
    taken = {
        f"{action.cache.path}/{chosen.entry.path}"
        for plan in plans
        for action in plan.actions
        if isinstance(action, Purge)
        for chosen in action.entries
    }
    return Plan(
        actions=tuple(action for plan in plans for action in plan.actions),
        skips=tuple(skip for skip in plans[-1].skips if skip.path not in taken),
        shortfalls=plans[-1].shortfalls,
        standings=plans[0].standings if len(plans[0].standings) else plans[-1].standings,
        engaged=plans[-1].engaged,
    )
