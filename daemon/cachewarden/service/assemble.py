"""Many owners' looks become one snapshot, and a snapshot becomes what it is after removals."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from cachewarden.decide.ledger import quota_key
from cachewarden.model.caches import (
    Cache,
    Entry,
    Filesystem,
    Kind,
    Look,
    MeasuredCache,
    Problem,
    Snapshot,
    is_private,
)
from cachewarden.model.plans import Outcome, Purge
from cachewarden.model.policies import Settings
from cachewarden.model.units import Bytes, Instant


def assemble(
    looks: Iterable[Look], problems: Iterable[Problem], settings: Settings, now: Instant, *, blind: bool = False
) -> Snapshot:
    """One snapshot; what one owner's environments record is kept in the caches that others share with them.

    ``blind``: an owner's environments could not be seen. What cannot be told to be unused counts as used, so the
    packages of shared caches stay.
    """
    looks = list(looks)
    caches: dict[tuple[int, str], MeasuredCache] = {}
    filesystems: dict[int, Filesystem] = {}
    used = Counter(name for seen in looks for name in set(seen.references))
    for seen in looks:
        own = set(seen.references)
        for cache in seen.caches:
            kept = cache if is_private(cache.cache) else _kept_for_others(cache, used, own, blind=blind)
            # By owner too: a worker that claims another's cache must not hide it.
            caches.setdefault((cache.cache.owner.uid, cache.cache.path), kept)
        for filesystem in seen.filesystems:
            if filesystem.device not in filesystems or filesystems[filesystem.device].read_only:
                filesystems[filesystem.device] = filesystem
    places = {path for _, path in caches}
    told = [*problems]  # ours: what a worker says it has hides none of them
    told += [each for each in _unclaimed(settings, tuple(caches.values()), looks) if each.path not in places]
    told += [problem for seen in looks for problem in _own_problems(seen, places)]
    return Snapshot(
        taken_at=now,
        caches=tuple(caches.values()),
        filesystems=tuple(filesystems.values()),
        problems=tuple(dict.fromkeys(told)),
        relocations=tuple(each for seen in looks for each in seen.relocations),
    )


def _own_problems(seen: Look, places: set[str]) -> list[Problem]:
    """What one owner may not have is no problem where the right one has it."""
    own = {cache.cache.path for cache in seen.caches}
    return [problem for problem in seen.problems if problem.path in own or problem.path not in places]


def _kept_for_others(cache: MeasuredCache, used: Mapping[str, int], own: set[str], *, blind: bool) -> MeasuredCache:
    """``used``: how many owners have a distribution in an environment; ``own``: those of the cache's owner."""
    if not (used or blind):
        return cache
    return replace(cache, entries=tuple(_with_hold(entry, used, own, blind=blind) for entry in cache.entries))


def _with_hold(entry: Entry, used: Mapping[str, int], own: set[str], *, blind: bool) -> Entry:
    if entry.kind is not Kind.PACKAGE or entry.hold is not None:
        return entry
    name = entry.path.rpartition("/")[2]
    if used.get(name, 0) > (name in own):
        return replace(entry, hold="in use by an environment of another user (recorded in its conda-meta)")
    if blind:
        return replace(entry, hold="the environments of another user could not be seen: they may use it")
    return entry


def _unclaimed(settings: Settings, caches: tuple[MeasuredCache, ...], looks: list[Look]) -> Iterable[Problem]:
    spoken_of = {problem.path for seen in looks for problem in seen.problems}
    for extra in settings.caches:
        known = any(each.cache.path == extra.path or extra.path in each.cache.source for each in caches)
        if not known and extra.path not in spoken_of:
            yield Problem(extra.path, "named under caches, but it is not there or belongs to nobody who is served")


def without(
    snapshot: Snapshot, purges: Iterable[Purge], outcomes: Iterable[Outcome], latest: Mapping[int, Filesystem]
) -> Snapshot:
    """The snapshot after removals: what went is left out, what failed is held for the rest of the cycle."""
    outcomes = tuple(outcomes)
    gone: dict[tuple[int, str], dict[str, int]] = {}
    failed: dict[tuple[int, str], dict[str, str]] = {}
    for outcome in outcomes:
        key = _key(outcome.cache)
        gone.setdefault(key, {}).update({entry.path: entry.freed for entry in outcome.removed})
        failed.setdefault(key, {}).update({failure.path: failure.error for failure in outcome.failures})
    tried: dict[tuple[int, str], set[str]] = {}
    for purge in purges:
        tried.setdefault(_key(purge.cache), set()).update(chosen.entry.path for chosen in purge.entries)
    return replace(
        snapshot,
        caches=tuple(
            _after(cache, gone.get(key, {}), failed.get(key, {}), tried.get(key, set()))
            for cache in _with_quotas(snapshot.caches, outcomes)
            for key in (_key(cache.cache),)
        ),
        filesystems=tuple(latest.get(each.device, each) for each in snapshot.filesystems),
    )


def _with_quotas(caches: tuple[MeasuredCache, ...], outcomes: Iterable[Outcome]) -> Iterable[MeasuredCache]:
    """As they are after removals. A quota is of all of an owner's caches on a filesystem."""
    told = {_key(outcome.cache): outcome.quota for outcome in outcomes if outcome.quota}
    latest = {quota_key(each): told[_key(each.cache)] for each in caches if _key(each.cache) in told}
    return (replace(each, quota=latest.get(quota_key(each), each.quota)) for each in caches)


def at_rest(snapshot: Snapshot, owners: Collection[int]) -> Snapshot:
    """Nothing more of these owners may go, where others have something that may: it was tried often enough."""
    others = (each for each in snapshot.caches if each.cache.owner.uid not in owners)
    if not owners or not any(entry.hold is None for cache in others for entry in cache.entries):
        return snapshot
    caches = tuple(
        replace(cache, entries=tuple(_resting(entry) for entry in cache.entries))
        if cache.cache.owner.uid in owners
        else cache
        for cache in snapshot.caches
    )
    return replace(snapshot, caches=caches)


def _resting(entry: Entry) -> Entry:
    return entry if entry.hold else replace(entry, hold="too much of its owner could not be removed in this cycle")


def _key(cache: Cache) -> tuple[int, str]:
    return cache.owner.uid, cache.path


def _after(
    cache: MeasuredCache, gone: Mapping[str, int], failed: Mapping[str, str], tried: set[str]
) -> MeasuredCache:
    left: list[Entry] = []
    less = 0
    for entry in cache.entries:
        if entry.path in gone:
            # More than its size when folders went with it, less when its files have names elsewhere.
            less += max(entry.size, gone[entry.path])
        elif entry.path in tried:
            why = failed.get(entry.path, "it was to go in this cycle already")
            left.append(replace(entry, hold=why))
        else:
            left.append(entry)
    if not gone and not failed:
        return replace(cache, entries=tuple(left))
    return replace(cache, size=Bytes(max(0, cache.size - less)), entries=tuple(left))
