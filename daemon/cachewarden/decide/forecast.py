"""From recorded sizes to growth per day, and from that to the days on which disks fill and policies act.

The rate is the median of the slopes between all pairs of points (Theil 1950), its bounds are those of Sen (1968): a
wild point moves neither. They hold where levels sway around a line. Sizes are rather sums of daily changes, and then
are less certain than that: the wider of Sen's bounds and of those of the mean change is taken.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from cachewarden.decide.conditions import CacheSize, Condition, FreeInodes, FreeSpace
from cachewarden.decide.draft import Draft
from cachewarden.decide.goals import Goal, places_of
from cachewarden.decide.ledger import CacheKey, Ledger, by_device, key_of
from cachewarden.decide.purging import eligible
from cachewarden.model.caches import Filesystem, MeasuredCache, Snapshot
from cachewarden.model.forecasts import (
    CacheForecast,
    DiskForecast,
    Forecast,
    Growth,
    PolicyForecast,
    Size,
    Trend,
    When,
)
from cachewarden.model.policies import ActionKind, Policy, Settings
from cachewarden.model.units import NANOSECONDS

A_WEEK = 7
"""Fewer points, of which there is one a day, make no trend."""
WINDOW = 30
"""Days that a trend is made of. What was before says little of tomorrow, and a change is to be noticed."""
_DAY = 86_400 * NANOSECONDS
_Z = 1.6449
"""Of the normal distribution, for 90 % within."""
_LEAST = 4
"""Points without which there is no variance of changes."""
_OUT_OF_PROPORTION = 3
"""Times the next largest change."""

Point = tuple[float, float]
"""A time in days and an amount."""


@dataclass(frozen=True, slots=True)
class Past:
    """The points of what is there now, oldest first: of caches by key, of filesystems by device."""

    caches: Mapping[CacheKey, Sequence[Size]] = field(default_factory=dict)
    disks: Mapping[int, Sequence[Size]] = field(default_factory=dict)


def growth(points: Sequence[Point]) -> Growth | None:
    """The rate with its bounds; ``None`` unless there are four points, each later than the one before."""
    if len(points) < _LEAST or any(after[0] <= before[0] for before, after in pairwise(points)):
        return None
    smooth = without_jump(points)
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(smooth)
        for later in smooth[index + 1 :]
    )
    number = len(smooth)
    spread = _Z * math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    last = max(0, math.floor((len(slopes) - spread) / 2) - 1)
    least, most = _drift(smooth)
    if smooth[-1][1] < points[-1][1] - points[0][1]:
        most = max(most, _drift(points)[1])  # a large install may come again
    return Growth(median(slopes), min(slopes[last], least), max(slopes[-1 - last], most))


def without_jump(points: Sequence[Point]) -> list[Point]:
    """The points, from 0 on, without the one change that is out of all proportion, if there is one.

    Such a jump is somebody's own cleaning, or a copy: no rate can be told from it. Two of them are left as they are.
    """
    first = points[0][1]
    rates = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(points)]
    usual = median(rates)
    bound = _OUT_OF_PROPORTION * sorted(abs(rate - usual) for rate in rates)[-2]
    found, moved = [(points[0][0], 0.0)], 0.0
    for rate, (before, after) in zip(rates, pairwise(points), strict=True):
        moved += (min(max(rate, usual - bound), usual + bound) - rate) * (after[0] - before[0])
        found.append((after[0], after[1] - first + moved))
    return found


def _drift(points: Sequence[Point]) -> tuple[float, float]:
    """Between which rates an amount grows whose daily changes, not its levels, are by chance.

    The mean change and its error from their variance, with what neighbours have in common (a level that sways around
    a line falls after it rose). Student's factor is Peiser's approximation.
    """
    spans = [after[0] - before[0] for before, after in pairwise(points)]
    whole = sum(spans)
    mean = (points[-1][1] - points[0][1]) / whole
    left = [after[1] - before[1] - mean * (after[0] - before[0]) for before, after in pairwise(points)]
    free = len(left) - 1
    variance = sum(each * each for each in left) + 2 * sum(one * after for one, after in pairwise(left))
    error = math.sqrt(max(0.0, variance) * len(left) / free) / whole
    factor = _Z * (1 + (_Z * _Z + 1) / (4 * free))
    return mean - factor * error, mean + factor * error


def trend_of(points: Sequence[Point]) -> Trend:
    """No growth is said from fewer than ``A_WEEK`` points."""
    return Trend(len(points), growth(points) if len(points) >= A_WEEK else None)


def recent(sizes: Sequence[Size], now: int) -> list[Size]:
    """Those of the last ``WINDOW`` days, or the last ``A_WEEK`` where these are fewer; none from the future."""
    past = [size for size in sizes if size.at <= now]
    late = [size for size in past if size.at > now - WINDOW * _DAY]
    return late if len(late) >= A_WEEK else past[-A_WEEK:]


def between_cleanings(sizes: Sequence[Size]) -> list[Point]:
    """What it would hold if we had taken nothing since the first point."""
    found: list[Point] = []
    freed = 0
    for size in sizes:
        found.append((size.at / _DAY, size.held + freed))
        freed += size.freed
    return found


def inodes_between_cleanings(sizes: Sequence[Size]) -> list[Point]:
    """As ``between_cleanings``."""
    found: list[Point] = []
    freed = 0
    for size in sizes:
        found.append((size.at / _DAY, size.inodes + freed))
        freed += size.freed_inodes
    return found


def without_caches(disk: Sequence[Size], caches: Iterable[Sequence[Size]]) -> list[Point]:
    """What a filesystem held besides its caches; what we take leaves both, and needs no adding back."""
    cached: dict[int, int] = {}
    for sizes in caches:
        for size in sizes:
            cached[size.day] = cached.get(size.day, 0) + size.held
    return [(size.at / _DAY, size.held - cached.get(size.day, 0)) for size in disk]


def reaches(distance: float, rate: Growth) -> When:
    """When a growth has gone so far; at once when there is nothing left to go."""
    if distance <= 0:
        return When(0.0, 0.0, 0.0)
    return When(*(distance / each if each > 0 else None for each in (rate.high, rate.per_day, rate.low)))


def forecast(snapshot: Snapshot, settings: Settings, past: Past) -> Forecast:
    """What is to be expected of every filesystem with a past, every cache, and every policy with marks."""
    now = snapshot.taken_at
    known = Past(
        {key: recent(sizes, now) for key, sizes in past.caches.items()},
        {device: recent(sizes, now) for device, sizes in past.disks.items()},
    )
    disks = sorted(by_device(snapshot).values(), key=lambda each: (each.mount, each.device))
    return Forecast(
        now,
        tuple(_disk(each, snapshot, settings, known) for each in disks),
        tuple(CacheForecast(each.cache, _of_cache(each, known)) for each in snapshot.caches),
        tuple(found for policy in settings.policies if (found := _policy(policy, snapshot, known))),
    )


def _of_cache(cache: MeasuredCache, past: Past) -> Trend:
    return trend_of(between_cleanings(past.caches.get(key_of(cache), ())))


def _disk(disk: Filesystem, snapshot: Snapshot, settings: Settings, past: Past) -> DiskForecast:
    sizes = past.disks.get(disk.device, ())
    trend, rooms = trend_of(between_cleanings(sizes)), _rooms(disk, snapshot, settings)
    left = trend_of(without_caches(sizes, (past.caches.get(key, ()) for key in rooms)))
    if trend.growth is None or left.growth is None or disk.read_only or not disk.total:
        return DiskForecast(disk, trend, left)
    fills = reaches(disk.free, trend.growth)
    # What policies bound grows no further than they let it: the rest is for all else, and for what they leave.
    distance = disk.free - sum(rooms.values())
    return DiskForecast(disk, trend, left, fills, reaches(distance, left.growth) if distance > 0 else fills)


def _rooms(disk: Filesystem, snapshot: Snapshot, settings: Settings) -> dict[CacheKey, int]:
    """Of the caches on a filesystem that policies bound: how many bytes they may still grow.

    Less than nothing where a policy that acts on little free space can remove some of what is there now.
    """
    draft, rooms = Draft.of(snapshot, settings), dict[CacheKey, int]()
    for policy in settings.policies:
        if policy.action is not ActionKind.PURGE:
            continue
        for goal in _goals(policy, snapshot):
            if goal.caches[0].device != disk.device or len(goal.conditions) != 1:
                continue  # of several conditions one may never hold
            match goal.conditions[0]:
                case FreeSpace():
                    _add_removable(rooms, draft, goal)
                case CacheSize(cache=cache, start=start):
                    room = max(0, start - cache.size)
                    if room <= disk.free:
                        rooms[key_of(cache)] = min(room, rooms.get(key_of(cache), room))
                case _:
                    pass
    return rooms


def _add_removable(rooms: dict[CacheKey, int], draft: Draft, goal: Goal) -> None:
    for cache in goal.caches:
        rooms[key_of(cache)] = min(0, rooms.get(key_of(cache), 0))
    for cache, entry in eligible(draft, goal)[0]:
        rooms[key_of(cache)] -= draft.ledger.take(cache, entry).freed


def _goals(policy: Policy, snapshot: Snapshot) -> list[Goal]:
    """The places at which a policy has marks."""
    return [goal for goal in places_of(policy, snapshot) if goal.conditions]


def _policy(policy: Policy, snapshot: Snapshot, past: Past) -> PolicyForecast | None:
    """``None`` for a policy without marks, or about nothing that is there."""
    found = [_goal(goal, Ledger(snapshot), past) for goal in _goals(policy, snapshot)]
    known = [each for each in found if each.acts is not None]
    return min(known or found, key=_soonness, default=None)


def _soonness(found: PolicyForecast) -> tuple[float, float, int]:
    if found.acts is None:
        return math.inf, math.inf, -found.days
    return _or_never(found.acts.expected), _or_never(found.acts.earliest), 0


def _goal(goal: Goal, ledger: Ledger, past: Past) -> PolicyForecast:
    """All its conditions must hold: the last to be reached decides."""
    found = [_condition(condition, ledger, past) for condition in goal.conditions]
    days = min(number for number, _ in found)
    whens = [when for _, when in found if when is not None]
    if len(whens) < len(found):
        return PolicyForecast(goal.policy.name, goal.place, days)
    acts = When(
        _last(when.earliest for when in whens),
        _last(when.expected for when in whens),
        _last(when.latest for when in whens),
    )
    return PolicyForecast(goal.policy.name, goal.place, days, acts)


def _condition(condition: Condition, ledger: Ledger, past: Past) -> tuple[int, When | None]:
    """On how many days its amount was recorded, and when its start mark is crossed (``None``: not known)."""
    match condition:
        case FreeSpace():
            device = condition.filesystem.device
            trend = trend_of(between_cleanings(past.disks.get(device, ())))
            distance, applies = ledger.free[device] - condition.start, condition.start > 0
        case FreeInodes():
            device = condition.filesystem.device
            trend = trend_of(inodes_between_cleanings(past.disks.get(device, ())))
            distance, applies = ledger.inodes[device] - condition.start, condition.start > 0
        case CacheSize():
            trend = _of_cache(condition.cache, past)
            distance, applies = condition.start - ledger.size[key_of(condition.cache)], True
        case _:
            return 0, None
    if condition.triggered(ledger):
        return trend.days, When(0.0, 0.0, 0.0)
    if not applies:
        return trend.days, When()
    return trend.days, None if trend.growth is None else reaches(max(distance, 1), trend.growth)


def _or_never(days: float | None) -> float:
    return math.inf if days is None else days


def _last(whens: Iterable[float | None]) -> float | None:
    latest = max(_or_never(when) for when in whens)
    return None if math.isinf(latest) else latest
