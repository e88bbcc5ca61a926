"""Which entries a policy may take, in which order, and why the others stay."""

from collections.abc import Callable
from fnmatch import fnmatchcase

from cachewarden.model.caches import Entry, Kind, MeasuredCache
from cachewarden.model.policies import Keep, Order, Policy
from cachewarden.model.units import Instant, human_span, seconds_between

Candidate = tuple[MeasuredCache, Entry]
_ANONYMOUS_IS_FINE = {Kind.DEBRIS, Kind.LOG, Kind.INDEX}

SORTING: dict[Order, Callable[[Candidate], tuple[int | str, ...]]] = {
    Order.CHEAPEST_FIRST: lambda c: (c[1].rank, c[1].last_used or c[1].modified, c[0].cache.path, c[1].path),
    Order.LEAST_RECENTLY_USED: lambda c: (c[1].last_used or c[1].modified, c[1].rank, c[0].cache.path, c[1].path),
    Order.OLDEST: lambda c: (c[1].modified, c[1].rank, c[0].cache.path, c[1].path),
    Order.LARGEST: lambda c: (-c[1].frees, c[1].rank, c[0].cache.path, c[1].path),
}
"""Each a total order: the order in which entries were found never matters."""


def concerns(policy: Policy, entry: Entry) -> bool:
    """Whether an entry is of the sort that the policy speaks of at all."""
    if policy.kinds and entry.kind not in policy.kinds:
        return False
    return not policy.packages or names_match(policy.packages, entry)


def names_match(globs: tuple[str, ...], entry: Entry) -> bool:
    """Globs on ``name`` or ``name==version``, with the spellings of a name taken as one (PEP 503)."""
    if entry.name is None:
        return False
    name = _normal(entry.name)
    for glob in globs:
        wanted, equals, version = glob.partition("==")
        if fnmatchcase(name, _normal(wanted)) and (not equals or fnmatchcase(entry.version or "", version)):
            return True
    return False


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def why_it_stays(policy: Policy, keep: Keep, entry: Entry, now: Instant) -> str | None:
    """The reason why the policy must not take an entry that it speaks of."""
    if entry.hold is not None:
        return entry.hold
    if keep.packages:
        if names_match(keep.packages, entry):
            return "its package is to be kept (keep.packages)"
        if entry.name is None and entry.kind not in _ANONYMOUS_IS_FINE:
            return "its package is unknown, and some are to be kept (keep.packages)"
    age = seconds_between(entry.modified, now)
    if age < keep.newer_than:
        return f"written {human_span(max(age, 0))} ago, kept for {human_span(keep.newer_than)} (keep.newer_than)"
    unused = seconds_between(entry.last_used or entry.modified, now)
    if policy.unused_for is not None and unused < policy.unused_for:
        return f"used {human_span(max(unused, 0))} ago, the policy waits for {human_span(policy.unused_for)}"
    return None


def why_it_goes(entry: Entry, now: Instant) -> str:
    """``download, last used 40d ago``."""
    unused = seconds_between(entry.last_used or entry.modified, now)
    return f"{entry.kind.value}, last used {human_span(max(unused, 0))} ago"
