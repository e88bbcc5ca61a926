"""Replays a trace: time goes on, installs hit or miss, and who chooses is asked when a look is due.

A policy's choice is the real ``decide``. It is asked at the end of each interval of ``watch.interval`` in which
something happened, when a schedule comes, and once a day otherwise; but only where it could do anything: marks that
are not crossed are judged by the sizes alone, which is the same decision for a hundredth of the time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from cachewarden.decide.planner import decide
from cachewarden.model.caches import Snapshot
from cachewarden.model.plans import Purge, State
from cachewarden.model.policies import ActionKind, Policy, Settings
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.settings import cron
from cachewarden.simulate.study import Study
from cachewarden.simulate.trace import Place
from cachewarden.simulate.world import Tally, World, place_of

_DAY = 86_400 * NANOSECONDS
_MOST_QUIET = 400
"""Looks between two events in which nothing happens: nothing that a policy waits for takes longer than a year."""
_MOST_QUIET_IN_ALL = 20_000
"""Of a whole replay: a trace of centuries must not take for ever."""


class Judge(Protocol):
    """Who chooses what goes."""

    def choose(self, world: World, now: Instant) -> Iterable[tuple[Place, str]]:
        """Entries, each with the name of the policy that takes it."""
        ...

    def waits(self) -> bool:
        """Whether time alone may bring it to act."""
        ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """``tally``, and ``peak``: the most bytes of the disk that stood after a look."""

    tally: Tally
    peak: int
    looks: int


def replay(studied: Study, judge: Judge, capacity: int) -> Replayed:
    """The whole trace, from empty caches on a disk of ``capacity`` bytes."""
    world = World(studied, capacity)
    peak = looks = quiet = 0
    before: Instant | None = None
    for window in studied.windows:
        if before is not None and quiet < _MOST_QUIET_IN_ALL and judge.waits():
            for moment in _quiet(before, window.look):
                _look(world, judge, moment)
                quiet += 1
        for step in window.steps:
            world.apply(step)
        _look(world, judge, window.look)
        peak, looks, before = max(peak, world.taken), looks + 1, window.look
    return Replayed(world.tally, peak, looks)


def _look(world: World, judge: Judge, now: Instant) -> None:
    for place, policy in list(judge.choose(world, now)):
        world.take(place, policy)


def _quiet(before: Instant, until: Instant) -> Iterator[Instant]:
    """Once a day, until something happens."""
    for number in range(1, _MOST_QUIET + 1):
        if before + number * _DAY >= until:
            return
        yield Instant(before + number * _DAY)


@dataclass(slots=True)
class ByPolicy:
    """The policies of a configuration, as the service would apply them. Moves are not made: nothing is elsewhere."""

    settings: Settings
    everything: bool = False
    """Whether a policy that acts takes all that may go, as people do who wipe a cache when the disk is full."""
    _since: dict[str, Instant] = field(default_factory=dict)

    def waits(self) -> bool:
        """Schedules, ages, and policies without marks."""
        return any(not _has_marks(each) or each.schedule or each.unused_for for each in self.settings.policies)

    def choose(self, world: World, now: Instant) -> Iterable[tuple[Place, str]]:
        """See ``Judge``."""
        due = self._due(now)
        able = [policy for policy in self.settings.policies if _able(policy, world, due)]
        if not able:
            return
        settings = replace(self.settings, policies=tuple(able))
        hollow = replace(world.snapshot(now, hollow=True), due=due)
        states = {each.policy: each.state for each in decide(hollow, settings).standings}
        acting = [each for each in able if not _has_marks(each) or states[each.name] is State.TRIGGERED]
        if not acting:
            return
        if self.everything:
            acting = [replace(each, free_space=None, free_inodes=None, size=None) for each in acting]
        yield from _taken(replace(world.snapshot(now), due=due), replace(settings, policies=tuple(acting)))

    def _due(self, now: Instant) -> frozenset[str]:
        due: set[str] = set()
        for policy in self.settings.policies:
            if policy.schedule is None:
                continue
            since = self._since.setdefault(policy.name, now)
            if since < now and cron.is_due(policy.schedule, since, now):
                due.add(policy.name)
                self._since[policy.name] = now
        return frozenset(due)


def _taken(snapshot: Snapshot, settings: Settings) -> Iterator[tuple[Place, str]]:
    for action in decide(snapshot, settings).actions:
        if isinstance(action, Purge):
            for chosen in action.entries:
                yield place_of(action.cache, chosen.entry), action.policy


def _has_marks(policy: Policy) -> bool:
    return bool(policy.free_space or policy.free_inodes or policy.size)


def _able(policy: Policy, world: World, due: frozenset[str]) -> bool:
    """Whether it could take anything: moves and reports take nothing, and kinds that never came are not there."""
    if policy.action is not ActionKind.PURGE or (policy.schedule and policy.name not in due):
        return False
    return not policy.kinds or not policy.kinds.isdisjoint(world.kinds)
