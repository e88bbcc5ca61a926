"""What the administrator wants: the policy language as values."""

from dataclasses import dataclass, field
from enum import StrEnum

from cachewarden.model.caches import Kind
from cachewarden.model.relocations import Method
from cachewarden.model.units import Bytes, Inodes, Seconds


class ActionKind(StrEnum):
    """What a policy does when it acts."""

    PURGE = "purge"
    RELOCATE = "relocate"
    REPORT = "report"


class Order(StrEnum):
    """Which entry goes first."""

    CHEAPEST_FIRST = "cheapest-first"
    LEAST_RECENTLY_USED = "least-recently-used"
    OLDEST = "oldest"
    LARGEST = "largest"


class Offline(StrEnum):
    """What may go while this machine has no way to any network."""

    AS_USUAL = "as-usual"
    KEEP_DOWNLOADS = "keep-downloads"


LINK_SPEED = Bytes(2_000_000)
"""Bytes a second, an assumption: 16 Mbit/s, a slow line at home or a board on a weak wireless network."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An absolute number or a share of the filesystem (``percent``, 0 to 100); exactly one is set."""

    absolute: int | None = None
    percent: float | None = None

    def of(self, total: int) -> int:
        """The amount in units, ``percent`` taken of ``total`` and rounded up."""
        if self.absolute is not None:
            return self.absolute
        return -int(-total * (self.percent or 0.0) // 100)

    def __str__(self) -> str:
        """As written in a policy, sizes in bytes."""
        return f"{self.percent:g}%" if self.percent is not None else str(self.absolute)


@dataclass(frozen=True, slots=True)
class Marks:
    """Two marks: acting starts beyond ``start`` and stops at ``stop``."""

    start: Amount
    stop: Amount


class SpaceOf(StrEnum):
    """Whose free space a condition is about."""

    FILESYSTEM = "filesystem"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class Match:
    """Which caches a policy looks at; an empty field matches all."""

    ecosystems: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    """Globs over the cache's path; ``*`` does not cross a ``/``, ``**`` does."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule. Conditions that are set must all hold; no condition at all holds always.

    ``free_space`` and ``size`` marks are bytes or percent, ``free_inodes`` inodes or percent. ``packages`` and
    ``to_free`` exist for removal by hand and have no key in the policy language. ``free_space_of``: whose free space,
    that of the filesystem or that of the cache's owner by quota; percent are of the same.
    """

    name: str
    action: ActionKind
    match: Match = field(default_factory=Match)
    free_space: Marks | None = None
    free_inodes: Marks | None = None
    size: Marks | None = None
    schedule: str | None = None
    unused_for: Seconds | None = None
    kinds: frozenset[Kind] = frozenset()
    order: Order = Order.CHEAPEST_FIRST
    to: str | None = None
    method: Method = Method.CONFIG
    otherwise: ActionKind = ActionKind.REPORT
    packages: tuple[str, ...] = ()
    to_free: Bytes | None = None
    free_space_of: SpaceOf = SpaceOf.FILESYSTEM


@dataclass(frozen=True, slots=True)
class Keep:
    """What no policy may touch."""

    newer_than: Seconds = Seconds(3600)
    packages: tuple[str, ...] = ()
    versions: int = 0
    """So many of the newest versions of each package in each cache."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How often, whether events bring the next look forward, and how long before a disk fills that is warned of."""

    interval: Seconds = Seconds(300)
    react: bool = True
    horizon: Seconds = Seconds(604_800)
    trace: bool = False
    trace_names: bool = True


@dataclass(frozen=True, slots=True)
class ExtraCache:
    """A cache that cannot be found and is named in the configuration."""

    ecosystem: str
    path: str


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration. ``owners`` is ``None`` for ``auto``; ``files`` are those it was read from.

    ``link_speed`` is in bytes a second.
    """

    watch: Watch = field(default_factory=Watch)
    owners: tuple[str, ...] | None = None
    caches: tuple[ExtraCache, ...] = ()
    keep: Keep = field(default_factory=Keep)
    link_speed: Bytes = LINK_SPEED
    offline: Offline = Offline.AS_USUAL
    policies: tuple[Policy, ...] = ()
    files: tuple[str, ...] = ()


__all__ = [
    "LINK_SPEED", "ActionKind", "Amount", "Bytes", "ExtraCache", "Inodes", "Keep", "Marks", "Match", "Offline",
    "Order", "Policy", "Settings", "SpaceOf", "Watch",
]  # fmt: skip
