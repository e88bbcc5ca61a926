"""What a policy wants, place by place: when it starts, when it is content, and what is lacking."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cachewarden.decide.ledger import Ledger
from cachewarden.model.caches import Filesystem, MeasuredCache, Snapshot
from cachewarden.model.policies import Marks, Match, Policy
from cachewarden.model.units import human_bytes


class Condition(Protocol):
    """One condition at one place."""

    def triggered(self, ledger: Ledger) -> bool:
        """Beyond the start mark."""
        ...

    def reached(self, ledger: Ledger) -> bool:
        """At the stop mark."""
        ...

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        """Bytes and inodes that are wanting to the stop mark."""
        ...

    def advances(self, freed: int, inodes: int, size: int) -> bool:
        """Whether a removal with these figures brings the stop mark nearer."""
        ...

    def describe(self, ledger: Ledger) -> str:
        """``free space 1.2 GiB (8%) of /home, acts below 10%``."""
        ...


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Bytes that an ordinary user can get on a filesystem."""

    filesystem: Filesystem
    marks: Marks

    def triggered(self, ledger: Ledger) -> bool:
        return ledger.free[self.filesystem.device] < self.marks.start.of(self.filesystem.total)

    def reached(self, ledger: Ledger) -> bool:
        return ledger.free[self.filesystem.device] >= self.marks.stop.of(self.filesystem.total)

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return max(0, self.marks.stop.of(self.filesystem.total) - ledger.free[self.filesystem.device]), 0

    def advances(self, freed: int, inodes: int, size: int) -> bool:  # noqa: ARG002 - the protocol's
        return freed > 0

    def describe(self, ledger: Ledger) -> str:
        free, total = ledger.free[self.filesystem.device], self.filesystem.total
        share = f" ({100 * free / total:.3g}%)" if total else ""
        return f"free space {human_bytes(free)}{share} of {self.filesystem.mount}, acts below {_bytes(self.marks)}"


@dataclass(frozen=True, slots=True)
class FreeInodes:
    """Inodes that an ordinary user can get; a filesystem that makes them on demand never lacks any."""

    filesystem: Filesystem
    marks: Marks

    def triggered(self, ledger: Ledger) -> bool:
        total = self.filesystem.inodes_total
        return total > 0 and ledger.inodes[self.filesystem.device] < self.marks.start.of(total)

    def reached(self, ledger: Ledger) -> bool:
        total = self.filesystem.inodes_total
        return not total or ledger.inodes[self.filesystem.device] >= self.marks.stop.of(total)

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        if self.reached(ledger):
            return 0, 0
        return 0, self.marks.stop.of(self.filesystem.inodes_total) - ledger.inodes[self.filesystem.device]

    def advances(self, freed: int, inodes: int, size: int) -> bool:  # noqa: ARG002 - the protocol's
        return inodes > 0

    def describe(self, ledger: Ledger) -> str:
        if not self.filesystem.inodes_total:
            return f"{self.filesystem.mount} makes inodes on demand"
        free = ledger.inodes[self.filesystem.device]
        return f"{free} free inodes of {self.filesystem.mount}, acts below {self.marks.start}"


@dataclass(frozen=True, slots=True)
class CacheSize:
    """The allocated bytes of one cache; percent are of its filesystem."""

    cache: MeasuredCache
    total: int
    marks: Marks

    def triggered(self, ledger: Ledger) -> bool:
        return ledger.size[self.cache.cache.path] > self.marks.start.of(self.total)

    def reached(self, ledger: Ledger) -> bool:
        return ledger.size[self.cache.cache.path] <= self.marks.stop.of(self.total)

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return max(0, ledger.size[self.cache.cache.path] - self.marks.stop.of(self.total)), 0

    def advances(self, freed: int, inodes: int, size: int) -> bool:  # noqa: ARG002 - the protocol's
        return size > 0

    def describe(self, ledger: Ledger) -> str:
        size = human_bytes(ledger.size[self.cache.cache.path])
        return f"{self.cache.cache.path} holds {size}, acts above {_bytes(self.marks)}"


@dataclass(slots=True)
class ToFree:
    """A number of bytes asked for by hand."""

    wanted: int
    before: int

    def triggered(self, ledger: Ledger) -> bool:
        return not self.reached(ledger)

    def reached(self, ledger: Ledger) -> bool:
        return ledger.freed - self.before >= self.wanted

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return max(0, self.wanted - (ledger.freed - self.before)), 0

    def advances(self, freed: int, inodes: int, size: int) -> bool:  # noqa: ARG002 - the protocol's
        return freed > 0

    def describe(self, ledger: Ledger) -> str:  # noqa: ARG002 - the protocol's
        return f"{human_bytes(self.wanted)} to be freed"


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

    def advances(self, freed: int, inodes: int, size: int) -> bool:
        """Whether a removal helps; without a mark every removal is wanted for itself."""
        return not self.conditions or any(each.advances(freed, inodes, size) for each in self.conditions)

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        """Bytes and inodes to the nearest stop mark."""
        if not self.conditions or self.content(ledger):
            return 0, 0
        return min(each.lacks(ledger) for each in self.conditions)

    def describe(self, ledger: Ledger) -> str:
        """Its conditions in words."""
        return "; ".join(condition.describe(ledger) for condition in self.conditions)


def goals_of(policy: Policy, snapshot: Snapshot, ledger: Ledger) -> Iterator[Goal]:
    """The places that a policy looks at, each with its conditions."""
    caches = tuple(cache for cache in snapshot.caches if matches(policy.match, cache))
    filesystems = {each.device: each for each in snapshot.filesystems}
    if policy.size is not None:
        for cache in caches:
            filesystem = filesystems.get(cache.device)
            size = CacheSize(cache, filesystem.total if filesystem else 0, policy.size)
            yield Goal(policy, cache.cache.path, (cache,), (size, *_of_filesystem(policy, filesystem)))
    elif policy.free_space is not None or policy.free_inodes is not None:
        for device, filesystem in filesystems.items():
            there = tuple(cache for cache in caches if cache.device == device)
            if there:
                yield Goal(policy, filesystem.mount, there, _of_filesystem(policy, filesystem))
    elif caches:
        wanted = (ToFree(policy.to_free, ledger.freed),) if policy.to_free is not None else ()
        yield Goal(policy, "all", caches, wanted)


def _of_filesystem(policy: Policy, filesystem: Filesystem | None) -> tuple[Condition, ...]:
    found: list[Condition] = []
    if filesystem and policy.free_space:
        found.append(FreeSpace(filesystem, policy.free_space))
    if filesystem and policy.free_inodes:
        found.append(FreeInodes(filesystem, policy.free_inodes))
    return tuple(found)


def matches(match: Match, cache: MeasuredCache) -> bool:
    """Whether all keys that are set hold."""
    return (
        (not match.ecosystems or cache.cache.ecosystem in match.ecosystems)
        and (not match.owners or cache.cache.owner.name in match.owners)
        and (not match.paths or any(_glob(each, cache.cache.owner.home).fullmatch(cache.cache.path)
                                    for each in match.paths))
    )  # fmt: skip


@lru_cache(maxsize=256)
def _glob(pattern: str, home: str) -> re.Pattern[str]:
    """``*`` and ``?`` stay within a component, ``**`` does not, a leading ``~`` is the cache owner's home."""
    if pattern == "~" or pattern.startswith("~/"):
        pattern = home + pattern[1:]
    parts = re.split(r"(\*\*|\*|\?)", pattern.rstrip("/") or "/")
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _bytes(marks: Marks) -> str:
    start = marks.start
    return human_bytes(start.absolute) if start.absolute is not None else str(start)
