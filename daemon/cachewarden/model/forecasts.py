"""How large things were, how fast they grow, and what is to be expected of that."""

from dataclasses import dataclass

from cachewarden.model.caches import Cache, Filesystem
from cachewarden.model.units import Bytes, Inodes, Instant

A_YEAR = 365.0
"""Days. What is further away than that, nobody can tell from a month of points."""
_UNITS = (("month", 30.44, 61.0), ("week", 7.0, 13.5), ("day", 1.0, 0.0))
"""Name, days, and the number of days from which on it is used."""


@dataclass(frozen=True, slots=True)
class Size:
    """A point: what a place held at the first look of a day, and what we took from then on until its end.

    ``day`` is counted from 1970 in UTC.
    Of a filesystem ``held`` is what an ordinary user can not get any more, and ``inodes`` likewise (0 where they are
    made on demand); of a cache its size, and no inodes. ``freed`` is negative where a move of ours brought something.
    """

    day: int
    at: Instant
    held: Bytes
    inodes: Inodes = Inodes(0)
    freed: Bytes = Bytes(0)
    freed_inodes: Inodes = Inodes(0)


@dataclass(frozen=True, slots=True)
class Growth:
    """Units per day (bytes or inodes), with the bounds between which the rate is with 90 % confidence."""

    per_day: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trend:
    """What was recorded of a place: on how many days, and the growth, ``None`` when these are too few."""

    days: int
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class When:
    """Days from now; ``None`` is never: at such a rate it does not come to it."""

    earliest: float | None = None
    expected: float | None = None
    latest: float | None = None


@dataclass(frozen=True, slots=True)
class DiskForecast:
    """A filesystem. ``fills`` as if nothing were removed; ``fills_anyway`` in spite of the policies.

    Both are ``None`` when it is not known; ``left`` is the trend of all that no policy with marks bounds.
    """

    filesystem: Filesystem
    trend: Trend
    left: Trend
    fills: When | None = None
    fills_anyway: When | None = None


@dataclass(frozen=True, slots=True)
class CacheForecast:
    """How a cache grows between cleanings."""

    cache: Cache
    trend: Trend


@dataclass(frozen=True, slots=True)
class PolicyForecast:
    """When a policy's marks are reached, at the ``place`` where that is expected first; ``None``: not known yet."""

    policy: str
    place: str
    days: int
    acts: When | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """All of it, as seen at ``made_at``."""

    made_at: Instant
    disks: tuple[DiskForecast, ...] = ()
    caches: tuple[CacheForecast, ...] = ()
    policies: tuple[PolicyForecast, ...] = ()


def in_words(when: When) -> str:
    """``in about 3 weeks (2 to 5)``; only of what is expected at all."""
    expected = when.expected
    if expected is None:
        raise ValueError("what is not expected has no day")
    if expected < 1:
        return "within a day"
    name, length = _unit(expected)
    number = round(expected / length)
    earliest = max(1, round((when.earliest or 0) / length))
    about = f"in about {number} {name}{'s' * (number > 1)}"
    if when.latest is None or when.latest > A_YEAR:
        return f"{about} ({earliest} at the earliest)" if earliest < number else about
    latest = round(when.latest / length)
    return f"{about} ({earliest} to {latest})" if earliest < latest else about


def _unit(days: float) -> tuple[str, float]:
    return next((name, length) for name, length, least in _UNITS if days >= least)
