"""What it would cost to lose an entry: the order ``cheapest-first``.

In the manner of GreedyDual-Size-Frequency (Cherkasova 1998): the expected cost of getting an entry back, times the
chance that it is wanted, per byte that its going frees. Time takes the part of that method's inflation: an entry that
is not used loses worth day by day. docs/judgement.md has the sources of the constants and what they come to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cachewarden.model.caches import Entry, Kind
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.model.worth import Facts, Regain

LATENCY = 1.0
"""Seconds that one more request takes, whatever its size: names are resolved, a connection is made."""
UNPACKING = 10_000_000.0
"""Bytes a second that conda unpacks, an assumption: what an SD card of class 10 promises to write."""
BUILD_START = 30.0
"""Seconds that any build takes: pip makes an environment for it, and downloads what builds need."""
BUILD_PER_MB = 60.0
"""Seconds of compiling for each megabyte of a built wheel where nothing was measured: an assumption."""
IRRECOVERABLE = 86_400.0
"""Seconds, an assumption: somebody's day to find out where it came from, and it may be nowhere any more."""

SETTLING_DAYS = 0.5
"""Added to the days since the last use, so that minutes decide nothing: within half a day the rate hardly changes."""
INDEX = 0.1
"""A page is asked for anew after ten minutes anyway (the index says ``max-age=600``); it saves only its body."""
INSTALLED = 1.5
"""An environment has it: the project lives, and is set up again sooner than one that is gone."""
NOT_INSTALLED = 0.7
SUPERSEDED = 0.4
"""A newer version lies beside it: that is what an unpinned install takes."""
ORPHAN = 0.05
"""No interpreter here can use it."""
STANDING = 0.2
"""An archive whose package is unpacked, or a source whose wheel is built, is opened only once that is gone, too."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the cost depends on beside the entry. ``link_speed`` is in bytes a second."""

    now: Instant
    link_speed: int
    online: bool = True


class Worth(NamedTuple):
    """What an entry is worth, with every factor.

    ``cost``: seconds to get it back. ``frequency``: 1 and the uses noticed. ``idle``: days since the last use.
    ``weights``: name and factor of what else bears on the chance. ``freed``: bytes it is divided by.
    """

    cost: float
    frequency: int
    idle: float
    weights: tuple[tuple[str, float], ...]
    freed: int

    @property
    def rate(self) -> float:
        """How often a day it is used, as far as its past uses tell."""
        return self.frequency / (self.idle + SETTLING_DAYS)

    @property
    def chance(self) -> float:
        """How often a day it is wanted, with what else is known."""
        chance = self.rate
        for _, weight in self.weights:
            chance *= weight
        return chance

    @property
    def value(self) -> float:
        """Seconds a day that its going is expected to cost, for each byte freed."""
        return self.cost * self.chance / self.freed


def cost_seconds(facts: Facts, size: int, circumstances: Circumstances) -> float:
    """Seconds to get something of ``size`` bytes back.

    Waiting for the network counts as never while there is none: nobody can tell when it comes back.
    """
    if facts.regain is Regain.NOTHING:
        return 0.0
    if facts.regain is Regain.EXTRACT:
        return size / UNPACKING
    if facts.regain is Regain.NEVER:
        return IRRECOVERABLE
    fetch = size if facts.fetch is None else facts.fetch
    seconds = LATENCY + fetch / max(1, circumstances.link_speed)
    if facts.regain is Regain.BUILD:
        seconds += BUILD_START + size / 1_000_000 * BUILD_PER_MB if facts.build is None else facts.build
    return seconds if circumstances.online else seconds + IRRECOVERABLE


def worth(entry: Entry, circumstances: Circumstances, *, superseded: bool = False, built: bool = False) -> Worth:
    """Of an entry that may go. ``superseded``: a newer version of its package is in the same cache.

    ``built``: the wheel that was built of it is there, and pip takes that.
    """
    facts = entry.facts or usual(entry.kind)
    idle = max(0, circumstances.now - used(entry)) / (86_400 * NANOSECONDS)
    return Worth(
        cost=cost_seconds(facts, max(int(entry.size), int(entry.frees)), circumstances),
        frequency=1 + max(0, facts.uses),
        idle=idle,
        weights=tuple(_weights(entry, facts, superseded=superseded, built=built)),
        freed=_freed(entry),
    )


def used(entry: Entry) -> Instant:
    """When it was last used; where that is not known, when it was written."""
    return entry.modified if entry.last_used is None else entry.last_used


@lru_cache(maxsize=16)
def usual(kind: Kind) -> Facts:
    """Of an entry of which nothing is known but its kind."""
    if kind in {Kind.DEBRIS, Kind.LOG}:
        return Facts(Regain.NOTHING)
    return Facts(Regain.BUILD if kind is Kind.BUILT_WHEEL else Regain.DOWNLOAD)


def _weights(entry: Entry, facts: Facts, *, superseded: bool, built: bool) -> Iterable[tuple[str, float]]:
    if entry.kind is Kind.INDEX:
        yield "an index page is asked for anew anyway", INDEX
    if facts.installed:
        yield "an environment has it", INSTALLED
    elif facts.installed is False:
        yield "no environment has it now", NOT_INSTALLED
    if superseded:
        yield "a newer version is in the cache", SUPERSEDED
    if facts.orphan:
        yield "no interpreter here can use it", ORPHAN
    if facts.standing:
        yield "its package is unpacked beside it", STANDING
    if built:
        yield "the wheel that was built of it is in the cache", STANDING


def _freed(entry: Entry) -> int:
    """Bytes, its part of what it shares included: an inode of two entries is freed by both together.

    Of what may or may not come back, the half: nothing tells which.
    """
    freed = int(entry.frees) + int(entry.maybe) // 2
    for share in entry.shares:
        freed += share.frees * share.held // max(1, share.needed)
    return max(1, freed)
