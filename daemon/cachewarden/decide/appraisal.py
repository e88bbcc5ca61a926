"""What entries are worth and in which order they go, with all that a snapshot and the settings say."""

from cachewarden.decide.choice import SORTING, Candidate, Sorting, cheapest_first, why_it_stays
from cachewarden.decide.ledger import CacheKey, key_of
from cachewarden.decide.shelf import Shelf
from cachewarden.decide.worth import Circumstances, Worth, usual, worth
from cachewarden.model.caches import Entry, MeasuredCache, Snapshot
from cachewarden.model.policies import Offline, Order, Policy, Settings
from cachewarden.model.worth import Regain

_NEEDS_NETWORK = {Regain.DOWNLOAD, Regain.BUILD}


class Appraiser:
    """Answers for one snapshot; the versions in a cache are sorted once."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        """Nothing is computed before it is asked for."""
        self._now = snapshot.taken_at
        self._keep = settings.keep
        self._keeps_downloads = settings.offline is Offline.KEEP_DOWNLOADS and not snapshot.online
        self._circumstances = Circumstances(snapshot.taken_at, settings.link_speed, snapshot.online)
        self._shelves: dict[CacheKey, Shelf] = {}
        self._values: dict[int, tuple[Entry, float]] = {}
        """By ``id``, which stays an entry's own while the entry is kept here."""

    def worth(self, cache: MeasuredCache, entry: Entry) -> Worth:
        """Of one entry, with every factor."""
        shelf = self._shelf(cache)
        superseded, built = shelf.superseded(entry), shelf.is_built(entry)
        return worth(entry, self._circumstances, superseded=superseded, built=built)

    def sorting(self, order: Order) -> Sorting:
        """What the entries are sorted by: what goes first comes first."""
        return SORTING.get(order) or cheapest_first(self._value)

    def why_it_stays(self, policy: Policy, cache: MeasuredCache, entry: Entry) -> str | None:
        """The reason why the policy must not take an entry that it speaks of."""
        shelf = self._shelf(cache) if self._keep.versions else None
        if reason := why_it_stays(policy, self._keep, entry, self._now, shelf):
            return reason
        if self._keeps_downloads and (entry.facts or usual(entry.kind)).regain in _NEEDS_NETWORK:
            return "there is no network to get it back from now (offline: keep-downloads)"
        return None

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
