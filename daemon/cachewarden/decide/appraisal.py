"""What entries are worth and in which order they go, with all that a snapshot and the settings say."""

import heapq
import itertools
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from cachewarden.decide.choice import SORTING, Candidate, SortKey, cheapest_first, why_it_stays
from cachewarden.decide.ledger import CacheKey, key_of
from cachewarden.decide.partners import Partners
from cachewarden.decide.shelf import Shelf
from cachewarden.decide.worth import Circumstances, Worth, usual, worth
from cachewarden.model.caches import Entry, MeasuredCache, Snapshot
from cachewarden.model.policies import Offline, Order, Policy, Settings
from cachewarden.model.worth import Regain

Gone = Callable[[MeasuredCache], Container[str]]
"""The paths that earlier decisions took of a cache."""
_NEEDS_NETWORK = {Regain.DOWNLOAD, Regain.BUILD}


class Alone(NamedTuple):
    """What an entry is ``worth`` once ``others``, paths in its cache, are gone."""

    worth: Worth
    others: Sequence[str]


class Appraiser:
    """Answers for one snapshot; the versions in a cache are sorted once."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        """Nothing is computed before it is asked for."""
        self._now = snapshot.taken_at
        self._keep = settings.keep
        self._keeps_downloads = settings.offline is Offline.KEEP_DOWNLOADS and not snapshot.online
        self._circumstances = Circumstances(snapshot.taken_at, settings.link_speed, snapshot.online)
        self._shelves: dict[CacheKey, Shelf] = {}
        self._partners: dict[CacheKey, Partners] = {}
        self._values: dict[int, tuple[Entry, float]] = {}
        """By ``id``, which stays an entry's own while the entry is kept here."""

    def worth(self, cache: MeasuredCache, entry: Entry) -> Worth:
        """Of one entry, with every factor."""
        shelf = self._shelf(cache)
        superseded, built = shelf.superseded(entry), bool(shelf.built_of(entry))
        return worth(entry, self._circumstances, superseded=superseded, built=built)

    def alone(self, cache: MeasuredCache, entry: Entry) -> Alone | None:
        """What it is worth without those that make it cheap, if there are any."""
        others = self._partners_in(cache).of(entry)
        without = self._worth_alone(cache, entry) if others else None
        return Alone(without, others) if without and without.value > self.worth(cache, entry).value else None

    def ordered(self, order: Order, found: list[Candidate], gone: Gone) -> list[Candidate]:
        """What goes first comes first; by cost, each as it is once those before it, and the ``gone``, are gone."""
        if sorting := SORTING.get(order):
            return sorted(found, key=sorting)
        ranked = sorted(found, key=self._key)
        caches = {id(cache): cache for cache, _ in found}.values()
        partners = {key_of(cache): known for cache in caches if (known := self._partners_in(cache))}
        if not partners:
            return ranked
        repricing = _Repricing(partners, gone, self._key_alone)
        for candidate in ranked:
            repricing.add(candidate, self._key(candidate))
        return repricing.finished()

    def why_it_stays(self, policy: Policy, cache: MeasuredCache, entry: Entry) -> str | None:
        """The reason why the policy must not take an entry that it speaks of."""
        shelf = self._shelf(cache) if self._keep.versions else None
        if reason := why_it_stays(policy, self._keep, entry, self._now, shelf):
            return reason
        if self._keeps_downloads and (entry.facts or usual(entry.kind)).regain in _NEEDS_NETWORK:
            return "there is no network to get it back from now (offline: keep-downloads)"
        return None

    def _key(self, candidate: Candidate) -> SortKey:
        return cheapest_first(self._value(candidate), candidate)

    def _key_alone(self, candidate: Candidate) -> SortKey:
        """Of an entry whose partners are gone."""
        return cheapest_first(self._worth_alone(*candidate).value, candidate)

    def _worth_alone(self, cache: MeasuredCache, entry: Entry) -> Worth:
        superseded = self._shelf(cache).superseded(entry)
        return worth(self._partners_in(cache).alone(entry), self._circumstances, superseded=superseded)

    def _value(self, candidate: Candidate) -> float:
        """Computed once, however many policies ask."""
        known = self._values.get(id(candidate[1]))
        if known is None:
            known = self._values[id(candidate[1])] = candidate[1], self.worth(*candidate).value
        return known[1]

    def _shelf(self, cache: MeasuredCache) -> Shelf:
        key = key_of(cache)
        if key not in self._shelves:
            self._shelves[key] = Shelf(cache)
        return self._shelves[key]

    def _partners_in(self, cache: MeasuredCache) -> Partners:
        key = key_of(cache)
        if key not in self._partners:
            self._partners[key] = Partners(cache, self._shelf(cache))
        return self._partners[key]


class _Repricing:
    """Takes candidates in the order of what they are worth, and makes those wait that what went before made dearer.

    Nothing gets cheaper by what goes, so whoever waits has its place further back, and each waits once at most.
    """

    def __init__(self, partners: dict[CacheKey, Partners], gone: Gone, alone: Callable[[Candidate], SortKey]) -> None:
        """``alone`` tells where a candidate stands whose partners are gone."""
        self._partners = partners
        self._gone = gone
        self._alone = alone
        self._order: list[Candidate] = []
        self._taken: set[tuple[CacheKey, str]] = set()
        self._waiting: list[tuple[SortKey, int, Candidate]] = []
        self._number = itertools.count()
        self._first: dict[int, int] = {}
        """By ``id`` of a list of others: how many at its beginning are gone."""

    def add(self, candidate: Candidate, key: SortKey) -> None:
        """The next one by its own ``key``."""
        while self._waiting and self._waiting[0][0] < key:
            self._take(heapq.heappop(self._waiting)[2])
        if self._is_alone(candidate):
            heapq.heappush(self._waiting, (max(key, self._alone(candidate)), next(self._number), candidate))
        else:
            self._take(candidate)

    def finished(self) -> list[Candidate]:
        """All of them, in their order."""
        self._order += [heapq.heappop(self._waiting)[2] for _ in range(len(self._waiting))]
        return self._order

    def _take(self, candidate: Candidate) -> None:
        self._order.append(candidate)
        self._taken.add((key_of(candidate[0]), candidate[1].path))

    def _is_alone(self, candidate: Candidate) -> bool:
        cache, entry = candidate
        key = key_of(cache)
        partners = self._partners.get(key)
        others = partners.of(entry) if partners else ()
        if not others:
            return False
        # Goes on where it stopped: a worker may tell of a thousand sources of the same thousand wheels.
        first, gone = self._first.get(id(others), 0), self._gone(cache)
        while first < len(others) and (others[first] in gone or (key, others[first]) in self._taken):
            first += 1
        self._first[id(others)] = first
        return first == len(others)
