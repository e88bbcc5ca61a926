"""Readings to the nouns of the model, with the rules that hold between keys."""

from dataclasses import dataclass

from cachewarden.model.policies import ActionKind, Amount, ExtraCache, Marks, Match, Offline, Order, Policy, SpaceOf
from cachewarden.model.relocations import Method
from cachewarden.model.units import Bytes, Seconds
from cachewarden.settings import keys
from cachewarden.settings.nodes import Mark, Report
from cachewarden.settings.shapes import Key, Reading, either
from cachewarden.settings.vocabulary import KINDS_OF


@dataclass(frozen=True, slots=True)
class Named:
    """A policy and where its name stands, for the message about a second one of that name."""

    policy: Policy
    mark: Mark
    path: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one file says; ``None`` for what it does not mention. ``owners`` is empty for ``auto``."""

    interval: Seconds | None = None
    react: bool | None = None
    horizon: Seconds | None = None
    trace: bool | None = None
    trace_names: bool | None = None
    owners: tuple[str, ...] | None = None
    caches: tuple[ExtraCache, ...] = ()
    newer_than: Seconds | None = None
    packages: tuple[str, ...] = ()
    versions: int | None = None
    link_speed: Bytes | None = None
    offline: Offline | None = None
    policies: tuple[Named, ...] = ()


def part(top: Reading, report: Report) -> Part:
    """A file's content; what has problems is left out and they are in ``report``."""
    watch, keep = top.get(keys.WATCH), top.get(keys.KEEP)
    policies = (_policy(reading, report) for reading in top.get(keys.POLICIES) or ())
    caches = (_cache(reading) for reading in top.get(keys.CACHES) or ())
    return Part(
        interval=watch.get(keys.INTERVAL) if watch else None,
        react=watch.get(keys.REACT) if watch else None,
        horizon=watch.get(keys.HORIZON) if watch else None,
        trace=watch.get(keys.TRACE) if watch else None,
        trace_names=watch.get(keys.TRACE_NAMES) if watch else None,
        owners=top.get(keys.OWNERS),
        caches=tuple(cache for cache in caches if cache is not None),
        newer_than=keep.get(keys.NEWER_THAN) if keep else None,
        packages=(keep.get(keys.PACKAGES) if keep else None) or (),
        versions=keep.get(keys.VERSIONS) if keep else None,
        link_speed=top.get(keys.LINK_SPEED),
        offline=top.get(keys.OFFLINE_KEY),
        policies=tuple(named for named in policies if named is not None),
    )


def _cache(reading: Reading) -> ExtraCache | None:
    ecosystem, path = reading.get(keys.CACHE_ECOSYSTEM), reading.get(keys.CACHE_PATH)
    return ExtraCache(ecosystem, path) if ecosystem and path else None


def _policy(reading: Reading, report: Report) -> Named | None:
    name, action = reading.get(keys.NAME), reading.get(keys.ACTION)
    match = reading.get(keys.MATCH)
    _check_relocation(reading, action, report)
    _check_kinds(reading, match, report)
    policy = Policy(
        name=name or "",
        action=action or ActionKind.REPORT,
        match=_match(match),
        free_space=_rising(reading.get(keys.FREE_SPACE), keys.FREE_BELOW, keys.FREE_UNTIL, report),
        free_space_of=_space_of(reading.get(keys.FREE_SPACE)),
        free_inodes=_rising(reading.get(keys.FREE_INODES), keys.INODES_BELOW, keys.INODES_UNTIL, report),
        size=_falling(reading.get(keys.SIZE), report),
        schedule=reading.get(keys.SCHEDULE),
        unused_for=reading.get(keys.UNUSED_FOR),
        kinds=frozenset(reading.get(keys.KINDS_KEY) or ()),
        order=reading.get(keys.ORDER) or Order.CHEAPEST_FIRST,
        to=reading.get(keys.TO),
        method=reading.get(keys.METHOD_KEY) or Method.CONFIG,
        otherwise=reading.get(keys.OTHERWISE_KEY) or ActionKind.REPORT,
    )
    return Named(policy, reading.mark_of(keys.NAME), reading.path_of(keys.NAME)) if name else None


def _space_of(reading: Reading | None) -> SpaceOf:
    return (reading.get(keys.FREE_OF) if reading else None) or SpaceOf.FILESYSTEM


def _match(reading: Reading | None) -> Match:
    if reading is None:
        return Match()
    return Match(
        ecosystems=reading.get(keys.MATCH_ECOSYSTEM) or (),
        owners=reading.get(keys.MATCH_OWNER) or (),
        paths=reading.get(keys.MATCH_PATH) or (),
    )


def _check_relocation(reading: Reading, action: ActionKind | None, report: Report) -> None:
    if action is None:
        return
    if action is ActionKind.RELOCATE:
        if not reading.has(keys.TO):
            problem = f"expected {keys.TO.shape.expected}, got nothing"
            report.add(reading.mark_of(keys.ACTION), reading.path_of(keys.TO), problem)
        return
    for key in (keys.TO, keys.METHOD_KEY, keys.OTHERWISE_KEY):
        if reading.has(key):
            problem = f"expected this key only with action: relocate, got action: {action}"
            report.add(reading.mark_of(key), reading.path_of(key), problem)


def _check_kinds(reading: Reading, match: Reading | None, report: Report) -> None:
    ecosystems = (match.get(keys.MATCH_ECOSYSTEM) if match else None) or tuple(KINDS_OF)
    known = [kind for ecosystem in ecosystems for kind in KINDS_OF[ecosystem]]
    for kind in reading.get(keys.KINDS_KEY) or ():
        if kind not in known:
            problem = f"expected kinds of {either(ecosystems)} ({either(tuple(dict.fromkeys(known)))}), got {kind}"
            report.add(reading.mark_of(keys.KINDS_KEY), reading.path_of(keys.KINDS_KEY), problem)


def _rising(reading: Reading | None, start: Key[Amount], stop: Key[Amount], report: Report) -> Marks | None:
    return _marks(reading, start, stop, -1, report)


def _falling(reading: Reading | None, report: Report) -> Marks | None:
    return _marks(reading, keys.SIZE_ABOVE, keys.SIZE_UNTIL, 1, report)


def _marks(reading: Reading | None, start: Key[Amount], stop: Key[Amount], side: int, report: Report) -> Marks | None:
    """``side``: 1 when acting lowers the amount, -1 when it raises it. A share and a size cannot be compared here."""
    first = reading.get(start) if reading else None
    if reading is None or first is None:
        return None
    last = reading.get(stop) or first
    if (_difference(first, last) or 0) * side < 0:
        bound = "at most" if side > 0 else "at least"
        problem = (
            f"expected {bound} the value of {start.name} ({reading.written(start)}), got {reading.written(stop)}"
        )
        report.add(reading.mark_of(stop), reading.path_of(stop), problem)
    return Marks(first, last)


def _difference(first: Amount, last: Amount) -> float | None:
    if first.percent is not None and last.percent is not None:
        return first.percent - last.percent
    if first.absolute is not None and last.absolute is not None:
        return first.absolute - last.absolute
    return None
