"""What a policy wants, place by place: when it starts, when it is content, and what is lacking."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cachewarden.decide.conditions import CacheSize, Condition, FreeInodes, FreeQuota, FreeSpace, ToFree
from cachewarden.decide.ledger import Change, Ledger, by_device, quota_key
from cachewarden.model.caches import Filesystem, MeasuredCache, Snapshot
from cachewarden.model.policies import Match, Policy, SpaceOf


@dataclass(frozen=True, slots=True)
class Goal:
    """A policy at one place: the caches it may take from and its conditions there, which must all hold."""

    policy: Policy
    place: str
    caches: tuple[MeasuredCache, ...]
    conditions: tuple[Condition, ...]

    @property
    def key(self) -> str:
        """As in ``Snapshot.engaged``."""
        return f"{self.policy.name}@{self.place}"

    def starts(self, ledger: Ledger, engaged: frozenset[str]) -> bool:
        """Whether to act now: all start marks are crossed, or it began in this cycle and is not done."""
        if self.key in engaged:
            return not self.content(ledger)
        return all(condition.triggered(ledger) for condition in self.conditions)

    def content(self, ledger: Ledger) -> bool:
        """Whether to stop: as all conditions must hold, the first to be met ends it."""
        return any(condition.reached(ledger) for condition in self.conditions)

    def advances(self, change: Change) -> bool:
        """Whether a removal helps; without a mark every removal is wanted for itself."""
        return not self.conditions or any(condition.advances(change) for condition in self.conditions)

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        """Bytes to the nearest mark in bytes and inodes to the one in inodes; either would content it."""
        if self.content(ledger):
            return 0, 0
        lacking = [condition.lacks(ledger) for condition in self.conditions]
        return (
            min((size for size, _ in lacking if size), default=0),
            min((inodes for _, inodes in lacking if inodes), default=0),
        )

    def distance(self, ledger: Ledger) -> float:
        """How far from acting: that of the condition that is furthest from it."""
        return max((condition.distance(ledger) for condition in self.conditions), default=0.0)

    def describe(self, ledger: Ledger, engaged: frozenset[str]) -> str:
        """Its conditions in words; empty without any."""
        begun = self.key in engaged
        return " and ".join(condition.describe(ledger, begun=begun) for condition in self.conditions)


def goals_of(policy: Policy, snapshot: Snapshot, caches: tuple[MeasuredCache, ...]) -> Iterator[Goal]:
    """The places that a policy looks at, by name, each with its conditions.

    ``caches``: those it is about, none of which ``cannot_be_judged``.
    """
    filesystems = by_device(snapshot)
    if policy.size is not None:
        for cache in caches:
            filesystem = filesystems.get(cache.device)
            size = CacheSize.of(cache, filesystem.total if filesystem else 0, policy.size)
            yield Goal(policy, cache.cache.path, (cache,), (size, *_of_filesystem(policy, filesystem, cache)))
    elif policy.free_space is not None and policy.free_space_of is SpaceOf.QUOTA:
        yield from _of_quotas(policy, filesystems, caches)
    elif policy.free_space is not None or policy.free_inodes is not None:
        for filesystem in sorted(filesystems.values(), key=lambda each: (each.mount, each.device)):
            there = tuple(cache for cache in caches if cache.device == filesystem.device)
            if there:
                yield Goal(policy, filesystem.mount, there, _of_filesystem(policy, filesystem, there[0]))
    elif caches:
        yield Goal(policy, "all", caches, () if policy.to_free is None else (ToFree(policy.to_free),))


def places_of(policy: Policy, snapshot: Snapshot) -> Iterator[Goal]:
    """As ``goals_of``, of all caches that match and whose marks mean something, in the order of their names."""
    filesystems = by_device(snapshot)
    caches = tuple(
        cache
        for cache in sorted(snapshot.caches, key=lambda cache: (cache.cache.path, cache.cache.owner.uid))
        if matches(policy.match, cache) and cannot_be_judged(policy, cache, filesystems) is None
    )
    return goals_of(policy, snapshot, caches)


def cannot_be_judged(policy: Policy, cache: MeasuredCache, filesystems: dict[int, Filesystem]) -> str | None:
    """Why a policy's marks mean nothing for a cache: one that is dropped would make the policy act too early."""
    marks = policy.size
    percent = marks is not None and (marks.start.percent is not None or marks.stop.percent is not None)
    if cache.device in filesystems or not (policy.free_space or policy.free_inodes or percent):
        return None
    return f"the filesystem it is on was not measured, and {policy.name} has marks on it"


def _of_quotas(
    policy: Policy, filesystems: dict[int, Filesystem], caches: tuple[MeasuredCache, ...]
) -> Iterator[Goal]:
    """One for each owner on each filesystem: nobody's quota is helped by what others lose."""
    by_owner: dict[tuple[int, int], list[MeasuredCache]] = {}
    for cache in caches:
        by_owner.setdefault(quota_key(cache), []).append(cache)
    for (_, device), own in sorted(by_owner.items()):
        filesystem = filesystems.get(device)
        if filesystem:
            place = f"{own[0].cache.owner.name}'s quota on {filesystem.mount}"
            yield Goal(policy, place, tuple(own), _of_filesystem(policy, filesystem, own[0]))


def _of_filesystem(policy: Policy, filesystem: Filesystem | None, cache: MeasuredCache) -> tuple[Condition, ...]:
    """``cache``: whose owner's quota counts, where it is about quotas."""
    found: list[Condition] = []
    if filesystem and policy.free_space and policy.free_space_of is SpaceOf.QUOTA:
        found.append(FreeQuota.of(cache, filesystem.mount, policy.free_space))
    elif filesystem and policy.free_space:
        found.append(FreeSpace.of(filesystem, policy.free_space))
    if filesystem and policy.free_inodes:
        found.append(FreeInodes.of(filesystem, policy.free_inodes))
    return tuple(found)


def matches(match: Match, cache: MeasuredCache) -> bool:
    """Whether all keys that are set hold."""
    where = cache.cache
    return (
        (not match.ecosystems or where.ecosystem in match.ecosystems)
        and (not match.owners or where.owner.name in match.owners)
        and (not match.paths or any(_glob(each, where.owner.home).fullmatch(where.path) for each in match.paths))
    )


_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@lru_cache(maxsize=256)
def _glob(pattern: str, home: str) -> re.Pattern[str]:
    """``*`` and ``?`` stay within a component, ``**`` does not, a leading ``~`` is the cache owner's home."""
    start = ""
    if pattern == "~" or pattern.startswith("~/"):
        start, pattern = re.escape(home.rstrip("/")), pattern[1:]
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.rstrip("/") or ("" if start else "/"))
    return re.compile(start + "".join(_WILDCARDS.get(part) or re.escape(part) for part in parts), re.DOTALL)
