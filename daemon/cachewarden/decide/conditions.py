"""The conditions of the policy language: when each starts, when it is met, what is lacking, and that in words.

Where a filesystem cannot tell how large it is (``total`` 0) or makes inodes on demand, no mark of it applies.
"""

from dataclasses import dataclass
from typing import Protocol

from cachewarden.decide.ledger import Change, Ledger, key_of, quota_key
from cachewarden.model.caches import Filesystem, MeasuredCache
from cachewarden.model.policies import Amount, Marks
from cachewarden.model.units import human_bytes

_BEYOND_ALL = 2**64
"""More than the kernel can count."""


class Condition(Protocol):
    """One condition at one place."""

    @property
    def applies(self) -> bool:
        """Whether there is anything that its marks can be of."""
        ...

    def triggered(self, ledger: Ledger) -> bool:
        """Beyond the start mark."""
        ...

    def reached(self, ledger: Ledger) -> bool:
        """At the stop mark."""
        ...

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        """Bytes and inodes that are wanting to the stop mark."""
        ...

    def advances(self, change: Change) -> bool:
        """Whether such a change brings the stop mark nearer."""
        ...

    def distance(self, ledger: Ledger) -> float:
        """How far from the start mark: 1 at the mark, more when further away from acting."""
        ...

    def describe(self, ledger: Ledger, *, begun: bool) -> str:
        """``free space 1.2 GiB (8%) of /home, acts below 10%``; ``begun``: it acted already in this cycle."""
        ...


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Bytes that an ordinary user can get on a filesystem. ``start`` and ``stop`` are the marks in bytes."""

    filesystem: Filesystem
    marks: Marks
    start: int
    stop: int

    @classmethod
    def of(cls, filesystem: Filesystem, marks: Marks) -> "FreeSpace":
        return cls(filesystem, marks, *_rising(marks, filesystem.total))

    @property
    def applies(self) -> bool:
        return self.filesystem.total > 0

    def triggered(self, ledger: Ledger) -> bool:
        return ledger.free[self.filesystem.device] < self.start

    def reached(self, ledger: Ledger) -> bool:
        return ledger.free[self.filesystem.device] >= self.stop

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return max(0, self.stop - ledger.free[self.filesystem.device]), 0

    def advances(self, change: Change) -> bool:
        return change.freed > 0

    def distance(self, ledger: Ledger) -> float:
        return _ratio(ledger.free[self.filesystem.device], self.start)

    def describe(self, ledger: Ledger, *, begun: bool) -> str:
        mount, total = self.filesystem.mount, self.filesystem.total
        if not self.applies:
            return f"{mount} does not tell its size"
        free = ledger.free[self.filesystem.device]
        goes_on = begun and not self.triggered(ledger)
        mark = f"goes on until {_size(self.marks.stop)}" if goes_on else f"acts below {_size(self.marks.start)}"
        return f"free space {human_bytes(free)} ({_share(free, total)}) of {mount}, {mark}"


@dataclass(frozen=True, slots=True)
class FreeQuota:
    """Bytes that are left of an owner's quota on a filesystem. ``start`` and ``stop`` are the marks in bytes.

    ``key`` is the ledger's. Without a quota no mark applies.
    """

    owner: str
    mount: str
    key: tuple[int, int]
    limit: int
    marks: Marks
    start: int
    stop: int

    @classmethod
    def of(cls, cache: MeasuredCache, mount: str, marks: Marks) -> "FreeQuota":
        limit = int(cache.quota.limit) if cache.quota else 0
        return cls(cache.cache.owner.name, mount, quota_key(cache), limit, marks, *_rising(marks, limit))

    @property
    def applies(self) -> bool:
        return self.limit > 0

    def triggered(self, ledger: Ledger) -> bool:
        return ledger.quota.get(self.key, 0) < self.start

    def reached(self, ledger: Ledger) -> bool:
        return ledger.quota.get(self.key, 0) >= self.stop

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return max(0, self.stop - ledger.quota.get(self.key, 0)), 0

    def advances(self, change: Change) -> bool:
        return change.freed > 0

    def distance(self, ledger: Ledger) -> float:
        return _ratio(ledger.quota.get(self.key, 0), self.start)

    def describe(self, ledger: Ledger, *, begun: bool) -> str:
        if not self.applies:
            return f"{self.owner} has no quota on {self.mount}, or none that could be asked for"
        free = ledger.quota.get(self.key, 0)
        goes_on = begun and not self.triggered(ledger)
        mark = f"goes on until {_size(self.marks.stop)}" if goes_on else f"acts below {_size(self.marks.start)}"
        return (
            f"{human_bytes(free)} left ({_share(free, self.limit)}) of {self.owner}'s quota on {self.mount}, {mark}"
        )


@dataclass(frozen=True, slots=True)
class FreeInodes:
    """Inodes that an ordinary user can get. ``start`` and ``stop`` are the marks in inodes."""

    filesystem: Filesystem
    marks: Marks
    start: int
    stop: int

    @classmethod
    def of(cls, filesystem: Filesystem, marks: Marks) -> "FreeInodes":
        return cls(filesystem, marks, *_rising(marks, filesystem.inodes_total))

    @property
    def applies(self) -> bool:
        return self.filesystem.inodes_total > 0

    def triggered(self, ledger: Ledger) -> bool:
        return ledger.inodes[self.filesystem.device] < self.start

    def reached(self, ledger: Ledger) -> bool:
        return ledger.inodes[self.filesystem.device] >= self.stop

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return 0, max(0, self.stop - ledger.inodes[self.filesystem.device])

    def advances(self, change: Change) -> bool:
        return change.inodes > 0

    def distance(self, ledger: Ledger) -> float:
        return _ratio(ledger.inodes[self.filesystem.device], self.start)

    def describe(self, ledger: Ledger, *, begun: bool) -> str:
        mount, total = self.filesystem.mount, self.filesystem.inodes_total
        if not self.applies:
            return f"{mount} makes inodes on demand"
        free = ledger.inodes[self.filesystem.device]
        goes_on = begun and not self.triggered(ledger)
        mark = f"goes on until {self.marks.stop}" if goes_on else f"acts below {self.marks.start}"
        return f"{free:,} free inodes ({_share(free, total)}) of {mount}, {mark}"


@dataclass(frozen=True, slots=True)
class CacheSize:
    """The allocated bytes of one cache. ``start`` and ``stop`` are the marks in bytes, percent of its filesystem."""

    cache: MeasuredCache
    marks: Marks
    start: int
    stop: int

    @classmethod
    def of(cls, cache: MeasuredCache, total: int, marks: Marks) -> "CacheSize":
        return cls(cache, marks, *_falling(marks, total))

    @property
    def applies(self) -> bool:
        return self.start != _BEYOND_ALL

    def triggered(self, ledger: Ledger) -> bool:
        return ledger.size[key_of(self.cache)] > self.start

    def reached(self, ledger: Ledger) -> bool:
        return ledger.size[key_of(self.cache)] <= self.stop

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return max(0, ledger.size[key_of(self.cache)] - self.stop), 0

    def advances(self, change: Change) -> bool:
        return change.leaves > 0

    def distance(self, ledger: Ledger) -> float:
        return _ratio(self.start, ledger.size[key_of(self.cache)])

    def describe(self, ledger: Ledger, *, begun: bool) -> str:
        path = self.cache.cache.path
        if not self.applies:
            return f"the filesystem of {path} does not tell its size"
        size = human_bytes(ledger.size[key_of(self.cache)])
        goes_on = begun and not self.triggered(ledger)
        mark = f"goes on until {_size(self.marks.stop)}" if goes_on else f"acts above {_size(self.marks.start)}"
        return f"{path} holds {size}, {mark}"


@dataclass(frozen=True, slots=True)
class ToFree:
    """A number of bytes asked for by hand; all that the plan frees counts."""

    wanted: int

    @property
    def applies(self) -> bool:
        return True

    def triggered(self, ledger: Ledger) -> bool:
        return not self.reached(ledger)

    def reached(self, ledger: Ledger) -> bool:
        return ledger.freed >= self.wanted

    def lacks(self, ledger: Ledger) -> tuple[int, int]:
        return max(0, self.wanted - ledger.freed), 0

    def advances(self, change: Change) -> bool:
        return change.freed > 0

    def distance(self, ledger: Ledger) -> float:
        return _ratio(ledger.freed, self.wanted)

    def describe(self, ledger: Ledger, *, begun: bool) -> str:  # noqa: ARG002 - the protocol's
        return f"{human_bytes(self.wanted)} to be freed"


def _rising(marks: Marks, total: int) -> tuple[int, int]:
    """Start and stop where acting raises the amount; both 0, which nothing is below, where no mark applies.

    A share and a size may stand in one pair: it never stops before it starts.
    """
    if not total:
        return 0, 0
    start = marks.start.of(total)
    return start, max(start, marks.stop.of(total))


def _falling(marks: Marks, total: int) -> tuple[int, int]:
    """Start and stop where acting lowers the amount; percent of an unknown total are beyond everything."""
    if not total and (marks.start.percent is not None or marks.stop.percent is not None):
        return _BEYOND_ALL, _BEYOND_ALL
    start = marks.start.of(total)
    return start, min(start, marks.stop.of(total))


def _ratio(amount: int, mark: int) -> float:
    return amount / mark if mark else float("inf")


def _share(part: int, total: int) -> str:
    """Rounded down: just below a mark it must not read as the mark."""
    return f"{1000 * part // total / 10:g}%"


def _size(amount: Amount) -> str:
    return human_bytes(amount.absolute) if amount.absolute is not None else str(amount)
