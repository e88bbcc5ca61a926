"""Which entries a policy may take, in which order, and why the others stay."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache

from cachewarden.decide.shelf import NO_PACKAGE, Shelf, normal
from cachewarden.decide.worth import used
from cachewarden.model.caches import Entry, MeasuredCache
from cachewarden.model.policies import Keep, Order, Policy
from cachewarden.model.units import Instant, exact_span, human_span, seconds_between
from cachewarden.model.worth import Signal

Candidate = tuple[MeasuredCache, Entry]
_PRECISION = ((604_800, 86_400), (86_400, 3_600), (3_600, 60))
"""From so many seconds on, so many are one step."""


SortKey = tuple[float | str, ...]
Sorting = Callable[[Candidate], SortKey]
SORTING: dict[Order, Sorting] = {
    Order.LEAST_RECENTLY_USED: lambda c: (used(c[1]), c[1].rank, c[0].cache.path, c[1].path, c[0].cache.owner.uid),
    Order.OLDEST: lambda c: (c[1].modified, c[1].rank, c[0].cache.path, c[1].path, c[0].cache.owner.uid),
    Order.LARGEST: lambda c: (-c[1].frees, c[1].rank, c[0].cache.path, c[1].path, c[0].cache.owner.uid),
}
"""Each a total order: the order in which entries were found never matters; for ``cheapest-first`` see below."""


def concerns(policy: Policy, entry: Entry) -> bool:
    """Whether an entry is of the sort that the policy speaks of at all."""
    if policy.kinds and entry.kind not in policy.kinds:
        return False
    return not policy.packages or names_match(policy.packages, entry)


def names_match(globs: tuple[str, ...], entry: Entry) -> bool:
    """Globs on ``name`` or ``name==version``, with the spellings of a name taken as one (PEP 503)."""
    if entry.name is None:
        return False
    name, version = normal(entry.name), (entry.version or "").lower()
    return any(
        wanted(name) and (wanted_version is None or bool(wanted_version(version)))
        for wanted, wanted_version in map(_matchers, globs)
    )


_Matcher = Callable[[str], object]


@lru_cache(maxsize=256)
def _matchers(glob: str) -> tuple[_Matcher, _Matcher | None]:
    """Of the name, and of the version if there is one in the glob."""
    name, equals, version = (part.strip() for part in glob.partition("=="))
    versions = re.compile(translate(version.lower())).match if equals else None
    return re.compile(translate(normal(name))).match, versions


def cheapest_first(value: float, candidate: Candidate) -> SortKey:
    """Where an entry stands in the order of ``worth``, given what it is worth for each byte that it frees."""
    cache, entry = candidate
    return value, entry.rank, used(entry), cache.cache.path, entry.path, cache.cache.owner.uid


def why_it_stays(policy: Policy, keep: Keep, entry: Entry, now: Instant, shelf: Shelf | None = None) -> str | None:
    """The reason why the policy must not take an entry that it speaks of.

    ``shelf``: the versions in its cache, which have to be known where some are to be kept.
    """
    if entry.hold is not None:
        return entry.hold
    if keep.packages and (reason := _kept_package(keep.packages, entry)):
        return reason
    if keep.versions and shelf and (reason := _kept_version(keep.versions, entry, shelf)):
        return reason
    age = seconds_between(entry.modified, now)
    if keep.newer_than and age < keep.newer_than:
        return f"written {_ago(age)}, kept for {_exactly(keep.newer_than)} (keep.newer_than)"
    if policy.unused_for is not None and seconds_between(used(entry), now) < policy.unused_for:
        return f"{_last_used(entry, now)}, the policy waits for {_exactly(policy.unused_for)}"
    return None


def why_it_goes(entry: Entry, now: Instant) -> str:
    """``download, last used 5w5d ago``."""
    return f"{entry.kind.value}, {_last_used(entry, now)}"


def _kept_package(globs: tuple[str, ...], entry: Entry) -> str | None:
    if names_match(globs, entry):
        return "its package is to be kept (keep.packages)"
    if entry.kind in NO_PACKAGE:
        return None
    if entry.name is None:
        return "its package is unknown, and some are to be kept (keep.packages)"
    if entry.version is None and names_match(_without_versions(globs), entry):
        return "its version is unknown, and some of its package are to be kept (keep.packages)"
    return None


def _kept_version(count: int, entry: Entry, shelf: Shelf) -> str | None:
    if entry.kind in NO_PACKAGE:
        return None
    newest = "the newest version" if count == 1 else f"the {count} newest versions"
    if entry.name is None or entry.version is None:
        return f"its version is unknown, and {newest} of each package are to be kept (keep.versions)"
    if shelf.among_newest(entry, count):
        return f"it is {newest if count == 1 else f'one of {newest}'} of its package here (keep.versions)"
    return None


@lru_cache(maxsize=16)
def _without_versions(globs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(glob.partition("==")[0] for glob in globs)


def _last_used(entry: Entry, now: Instant) -> str:
    known = entry.last_used is not None and (entry.signal is not Signal.WRITTEN or entry.last_used > entry.modified)
    return f"{'last used' if known else 'written'} {_ago(seconds_between(used(entry), now))}"


@lru_cache(maxsize=64)
def _exactly(seconds: int) -> str:
    return exact_span(seconds)


@lru_cache(maxsize=2048)
def _span(seconds: int) -> str:
    return human_span(seconds)


def _ago(seconds: int) -> str:
    """To the precision that matters: days after a week. A clock that was wrong leaves dates in the future."""
    span = abs(seconds)
    for limit, unit in _PRECISION:
        if span >= limit:
            span -= span % unit
            break
    return f"{_span(span)} ago" if seconds >= 0 else f"{_span(span)} in the future"
