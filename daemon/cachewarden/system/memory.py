"""What is remembered between cycles, as values, and the protocol of whatever keeps it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cachewarden.model.caches import Cache, Entry
from cachewarden.model.forecasts import Size
from cachewarden.model.plans import CycleRecord
from cachewarden.model.units import Bytes, Instant
from cachewarden.model.worth import Regain, Signal

if TYPE_CHECKING:
    from cachewarden.system.regrets import Regret, Removals

SIGHTING_LENGTH = 256
"""Characters of a path that count as one sighting, where there is a bound to their number: the tools' are shorter."""


def storable(text: str) -> str:
    """As the store keeps it: SQLite keeps UTF-8 only, bytes that are no text are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class PastCycle:
    """A line of the history."""

    id: str
    trigger: str
    started_at: Instant
    finished_at: Instant
    freed: Bytes
    actions: int
    failures: int


@dataclass(frozen=True, slots=True)
class PastRemoval:
    """An entry that went, when, why, and how it comes back (``None``: not known)."""

    cycle: str
    at: Instant
    policy: str
    ecosystem: str
    owner: str
    path: str
    name: str | None
    version: str | None
    freed: Bytes
    reason: str
    kind: str = ""
    regain: Regain | None = None


@dataclass(frozen=True, slots=True)
class PastMove:
    """A move, or a step of one, as it stood at the end of a cycle."""

    cycle: str
    at: Instant
    policy: str
    ecosystem: str
    owner: str
    source: str
    destination: str
    phase: str
    copied: Bytes
    freed: Bytes
    text: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a policy: when its schedule was last looked at, and what it tried in vain."""

    looked_at: Instant | None = None
    fruitless: str | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """When an entry was first seen and last known to be used, by what sign, and how often that was noticed."""

    first_seen: Instant
    last_used: Instant
    signal: Signal = Signal.WRITTEN
    uses: int = 0


class Store(Protocol):
    """The memory of the program."""

    trouble: str | None
    """Why it does not work, once it was found not to."""

    def cycles(self, limit: int) -> list[PastCycle]:
        """The latest first."""
        ...

    def removals(self, word: str, limit: int) -> list[PastRemoval]:
        """Of a path (absolute or within its cache) or a package name, the latest first."""
        ...

    def moves(self, limit: int) -> list[PastMove]:
        """The latest first."""
        ...

    def regrets(self, limit: int) -> "list[Regret]":
        """Removals that came back, the latest return first."""
        ...

    def removed(self) -> "list[Removals]":
        """What can be missed of all that is remembered as removed, by policy and kind."""
        ...

    def memories(self) -> dict[str, Memory]:
        """By policy."""
        ...

    def sightings(self, cache: str) -> dict[str, Sighting]:
        """By path within the cache."""
        ...

    def sizes(self, since: int) -> dict[str, list[Size]]:
        """By place, the oldest first; ``since`` is a day since 1970."""
        ...

    def save_cycle(self, record: CycleRecord) -> None:
        """A cycle and all that it removed."""
        ...

    def save_memories(self, memories: Mapping[str, Memory]) -> None:
        """Adds or replaces."""
        ...

    def save_sightings(self, cache: str, seen: Mapping[str, Sighting], gone: Iterable[str]) -> None:
        """Adds, replaces and forgets."""
        ...

    def save_sizes(self, sizes: Mapping[str, Size], today: int) -> None:
        """Adds or replaces a point of each place; forgets old points, and places without one for long."""
        ...

    def save_returns(self, found: Sequence[tuple[Cache, Entry]], now: Instant) -> None:
        """Notes which removals these entries undo; see ``regrets.matches``."""
        ...

    def forget_caches(self, known: Iterable[str], before: Instant, most: int) -> None:
        """Forgets the sightings of caches that are not ``known`` and in which nothing was seen since ``before``.

        Of the others that are not known it keeps the ``most`` recent ones of each owner.
        """
        ...
