"""A store for a policy that is made up by hand and has no past."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cachewarden.model.caches import Cache, Entry
from cachewarden.model.forecasts import Size
from cachewarden.model.plans import CycleRecord
from cachewarden.model.units import Instant
from cachewarden.system.memory import Memory, PastCycle, PastMove, PastRemoval, Sighting, Store

if TYPE_CHECKING:
    from cachewarden.system.regrets import Regret, Removals


class Forgetful:
    """Keeps history and sightings, but no memories: what was in vain by hand may be tried again at once."""

    def __init__(self, store: Store) -> None:
        """``store`` is the one that remembers."""
        self._store = store
        self.trouble = store.trouble

    def cycles(self, limit: int) -> list[PastCycle]:
        """As the store."""
        return self._store.cycles(limit)

    def removals(self, word: str, limit: int) -> list[PastRemoval]:
        """As the store."""
        return self._store.removals(word, limit)

    def moves(self, limit: int) -> list[PastMove]:
        """As the store."""
        return self._store.moves(limit)

    def regrets(self, limit: int) -> "list[Regret]":
        """As the store."""
        return self._store.regrets(limit)

    def removed(self) -> "list[Removals]":
        """As the store."""
        return self._store.removed()

    def memories(self) -> dict[str, Memory]:
        """None."""
        return {}

    def sightings(self, cache: str) -> dict[str, Sighting]:
        """As the store."""
        return self._store.sightings(cache)

    def sizes(self, since: int) -> dict[str, list[Size]]:
        """As the store."""
        return self._store.sizes(since)

    def save_cycle(self, record: CycleRecord) -> None:
        """As the store."""
        self._store.save_cycle(record)

    def save_memories(self, memories: Mapping[str, Memory]) -> None:
        """Not kept."""

    def save_sightings(self, cache: str, seen: Mapping[str, Sighting], gone: Iterable[str]) -> None:
        """As the store."""
        self._store.save_sightings(cache, seen, gone)

    def save_sizes(self, sizes: Mapping[str, Size], today: int) -> None:
        """As the store."""
        self._store.save_sizes(sizes, today)

    def save_returns(self, found: Sequence[tuple[Cache, Entry]], now: Instant) -> None:
        """As the store."""
        self._store.save_returns(found, now)

    def forget_caches(self, known: Iterable[str], before: Instant, most: int) -> None:
        """As the store."""
        self._store.forget_caches(known, before, most)
