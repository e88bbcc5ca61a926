"""What a cycle recalls from the store and what it leaves there, in few and small writes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from cachewarden.model.caches import Cache, Entry, MeasuredCache, Snapshot
from cachewarden.model.plans import CycleRecord, Outcome
from cachewarden.model.policies import Settings
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.model.worth import Facts, Signal
from cachewarden.service.sizes import Sizes
from cachewarden.settings import cron
from cachewarden.system.memory import SIGHTING_LENGTH, Memory, Sighting, Store

if TYPE_CHECKING:
    from cachewarden.service.tracing import Tracing

_DAY = 86_400 * NANOSECONDS
FORGET_AFTER = 180 * _DAY
"""Sightings of caches that are gone for so long are of no use: users come and go, and name many places."""
MOST_SIGHTINGS = 300_000
"""Entries of one owner that are remembered; what is beyond is known by what the files themselves tell."""
MOST_ABSENT = 20
"""Caches of one owner that are remembered while they are not there, as a disk that is unplugged."""
_LONGEST_PLACE = 200
FIRST_NOTE = 1 * NANOSECONDS
MOST_NEWS = 20_000
"""New entries of one owner that are compared with what was removed: a thousand take some 0.1 s."""
SIGHTINGS_EVERY = 300 * NANOSECONDS
"""At most one write of sightings in this time: flash cards wear out (cargo keeps the same pace)."""
MOST_OPENED = 100_000
"""Entries of all owners that are remembered as opened until they are written down."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """When an entry was opened last, and how often, counted anew after ``SIGHTINGS_EVERY``."""

    last: Instant
    counted: Instant
    times: int


class Remembering:
    """Keeps what policies remember in memory too, so that a store that does not work costs only the restart."""

    def __init__(
        self, store: Store, tracing: "Callable[[], Tracing] | None" = None, most_opened: int = MOST_OPENED
    ) -> None:
        """Reads the memories once. ``tracing`` makes what traces, once the settings want that."""
        self._store = store
        self._make_tracing = tracing
        self._tracing: Tracing | None = None
        self._most_opened = most_opened
        self._memories = store.memories()
        self._sizes = Sizes(store)
        self._saved_at = Instant(0)
        self._failures: set[tuple[str, str, str]] = set()
        self._noted_at = Instant(0)
        self._tidied_at = Instant(0)
        self._present: set[str] = set()
        self._pause = FIRST_NOTE
        self._saved = ""
        self._opened: dict[str, dict[str, _Opened]] = {}

    def opened(self, cache: Cache, entries: Iterable[str], now: Instant) -> None:
        """Somebody used these entries, by their paths. They are written down with the sightings."""
        own = self._opened.setdefault(_place(cache), {})
        room = self._most_opened - sum(map(len, self._opened.values()))
        for path in entries:
            before = own.get(path)
            if before:
                again = now - before.counted >= SIGHTINGS_EVERY
                own[path] = _Opened(now, now if again else before.counted, before.times + again)
            elif room > 0:
                room -= 1
                own[path] = _Opened(now, now, 1)

    def leave(self) -> None:
        """Writes down what was opened since the last time: the program ends."""
        for place, opened in self._opened.items():
            known = self._store.sightings(place)
            seen = {
                path: Sighting(before.first_seen, each.last, Signal.OPENED, before.uses + each.times)
                for path, each in opened.items()
                if (before := known.get(path)) and each.last - before.last_used >= SIGHTINGS_EVERY
            }
            self._store.save_sightings(place, seen, ())
        self._opened.clear()

    def recall(self, snapshot: Snapshot, settings: Settings) -> Snapshot:
        """Adds what the past says: schedules that are due, removals in vain, later signs of use."""
        now = self._noted_at = snapshot.taken_at
        due: set[str] = set()
        coming: dict[str, str] = {}
        for policy in settings.policies:
            if policy.schedule is None:
                continue
            since = self._memories.get(policy.name, Memory()).looked_at
            if since is None:
                self._remember(policy.name, looked_at=now)  # first met: its schedule starts to count
            elif cron.is_due(policy.schedule, since, now):
                due.add(policy.name)
            coming[policy.name] = cron.next_in_words(policy.schedule, now)
        fruitless = {name: each.fruitless for name, each in self._memories.items() if each.fruitless}
        caches = tuple(self._recall_use(cache) for cache in snapshot.caches)
        return replace(snapshot, caches=caches, due=frozenset(due), fruitless=fruitless, next_times=coming)

    def _recall_use(self, cache: MeasuredCache) -> MeasuredCache:
        place = _place(cache.cache)
        seen, opened = self._store.sightings(place), self._opened.get(place, {})
        if not seen and not opened:
            return cache
        shared: dict[Facts, Facts] = {}
        entries = (_with_use(entry, seen.get(entry.path), opened.get(entry.path), shared) for entry in cache.entries)
        return replace(cache, entries=tuple(entries))

    def judge(self, tried: Mapping[str, str], outcomes: Iterable[Outcome]) -> None:
        """A policy that freed nothing is not to try the same again; one that was only busy may."""
        for policy, fingerprint in tried.items():
            own = [outcome for outcome in outcomes if outcome.policy == policy]
            in_vain = own and not any(
                outcome.freed or outcome.maybe or outcome.held_open or outcome.incomplete for outcome in own
            )
            busy = any(failure.busy for outcome in own for failure in outcome.failures)
            self._remember(policy, fruitless=fingerprint if in_vain and not busy else None)

    def _remember(self, policy: str, *, looked_at: Instant | None = None, fruitless: str | None = None) -> None:
        before = self._memories.get(policy, Memory())
        self._memories[policy] = Memory(looked_at or before.looked_at, fruitless)

    def note(self, so_far: Callable[[], CycleRecord], now: Instant) -> None:
        """Saves a cycle that is under way: after a second, two, four …, for each time all of it is written."""
        if now - self._noted_at < self._pause:
            return
        self.begin(so_far())
        self._noted_at, self._pause = now, self._pause * 2

    def begin(self, record: CycleRecord) -> None:
        """Saves at once that something long begins; it is saved again at its end, whatever comes of it."""
        self._store.save_cycle(record)
        self._saved = record.id

    def learn(self, snapshot: Snapshot, record: CycleRecord, settings: Settings) -> None:
        """Saves what changed. A cycle in which nothing happened writes nothing."""
        self._noted_at, self._pause = record.finished_at, FIRST_NOTE
        for name in snapshot.due:
            self._remember(name, looked_at=record.started_at, fruitless=self._memories[name].fruitless)
        known = {policy.name for policy in settings.policies}
        saved = self._store.memories()
        self._store.save_memories(
            {name: each for name, each in self._memories.items() if name in known and saved.get(name) != each}
        )
        if self._is_news(record) or record.id == self._saved:
            self._store.save_cycle(record)
        self._sizes.note(snapshot, record)
        if record.finished_at - self._saved_at >= SIGHTINGS_EVERY or record.freed:
            self._saved_at = record.finished_at
            self._sizes.save()
            gone = {(_place(each.cache), entry.path) for each in record.outcomes for entry in each.removed}
            tracing = self._begin_tracing(settings, record.started_at)
            left: dict[int, int] = {}
            news: list[tuple[Cache, Entry]] = []
            unasked: dict[int, int] = {}
            for cache in snapshot.caches:
                uid = cache.cache.owner.uid
                # No tool makes paths so long, but a worker may say them.
                weight = sum(1 + len(entry.path) // SIGHTING_LENGTH for entry in cache.entries)
                left[uid] = left.get(uid, MOST_SIGHTINGS) - weight
                if left[uid] >= 0:
                    before = self._store.sightings(_place(cache.cache))
                    fresh = ((cache.cache, entry) for entry in cache.entries if _is_new(entry, before))
                    found = list(islice(fresh, unasked.setdefault(uid, MOST_NEWS)))
                    unasked[uid] -= len(found)
                    news += found
                    if tracing:
                        root = _place(cache.cache)
                        removed = {path for place, path in gone if place == root}
                        tracing.look(cache, before, removed, record.started_at)
                    self._save_sightings(cache, before, record.started_at, gone)
            self._store.save_returns(news, record.started_at)
            if tracing:
                tracing.flush(record.finished_at)
            if not self._store.trouble:
                self._opened.clear()
            self._tidy({_place(cache.cache) for cache in snapshot.caches}, record.finished_at)

    def _begin_tracing(self, settings: Settings, now: Instant) -> "Tracing | None":
        if self._tracing is None and self._make_tracing and settings.watch.trace:
            self._tracing = self._make_tracing()
        return self._tracing if self._tracing and self._tracing.begin(settings.watch, now) else None

    def aided(self, snapshot: Snapshot, record: CycleRecord) -> None:
        """Saves what first aid removed, of which ``snapshot`` knows only a part of what there is."""
        self._noted_at, self._pause = record.finished_at, FIRST_NOTE
        if not any(outcome.removed for outcome in record.outcomes):
            return
        self._store.save_cycle(record)
        self._sizes.note(snapshot, record)
        self._sizes.save()
        for outcome in record.outcomes:
            self._store.save_sightings(_place(outcome.cache), {}, [each.path for each in outcome.removed])

    def _tidy(self, present: set[str], now: Instant) -> None:
        """Once a day, and whenever caches come or go: whoever renames one all the time must not fill the state."""
        if present != self._present or now - self._tidied_at >= _DAY:
            self._present, self._tidied_at = present, now
            self._store.forget_caches(present, Instant(now - FORGET_AFTER), MOST_ABSENT)

    def _is_news(self, record: CycleRecord) -> bool:
        """Something went, something new failed, or a person asked for it: the same failure again is no history."""
        failures = {
            (outcome.policy, failure.path, failure.error)
            for outcome in record.outcomes
            for failure in outcome.failures
        }
        new = failures - self._failures
        self._failures = failures
        removed = any(outcome.removed or _is_a_step(outcome) for outcome in record.outcomes)
        return removed or bool(new) or record.trigger.endswith("by hand")

    def _save_sightings(
        self, cache: MeasuredCache, before: Mapping[str, Sighting], now: Instant, gone: set[tuple[str, str]]
    ) -> None:
        root = _place(cache.cache)
        opened = self._opened.get(root, {})
        seen: dict[str, Sighting] = {}
        for entry in cache.entries:
            if (root, entry.path) in gone:
                continue
            known = before.get(entry.path)
            used = entry.last_used or entry.modified
            if known is None or used - known.last_used >= SIGHTINGS_EVERY:
                noticed = opened.get(entry.path)
                times = (known.uses if known else 0) + (noticed.times if noticed else 1 if known else 0)
                seen[entry.path] = Sighting(known.first_seen if known else now, used, entry.signal, times)
        there = {entry.path for entry in cache.entries if (root, entry.path) not in gone}
        self._store.save_sightings(root, seen, before.keys() - there)


def _is_new(entry: Entry, before: Mapping[str, Sighting]) -> bool:
    """Whether it may be something that had been removed: it was not there, or was written since. In this very cycle
    it may have been removed again, which does not undo that it was wanted."""
    from cachewarden.system.regrets import may_be_back

    known = before.get(entry.path)
    fresh = known is None or entry.modified - known.last_used >= SIGHTINGS_EVERY
    return fresh and may_be_back(entry)


def _with_use(entry: Entry, before: Sighting | None, opened: _Opened | None, shared: dict[Facts, Facts]) -> Entry:
    """The latest that is known of its use, of how it is now, of what was seen before, and of what was heard since."""
    last, signal = entry.last_used, entry.signal
    if before and before.last_used > (entry.modified if last is None else last):
        last, signal = before.last_used, before.signal
    if opened and opened.last > (entry.modified if last is None else last):
        last, signal = opened.last, Signal.OPENED
    uses, facts = (before.uses if before else 0) + (opened.times if opened else 0), entry.facts
    if facts and uses > facts.uses:
        more = replace(facts, uses=uses)
        facts = shared.setdefault(more, more)
    if (last, signal) == (entry.last_used, entry.signal) and facts is entry.facts:
        return entry
    return replace(entry, last_used=last, signal=signal, facts=facts)


def _is_a_step(outcome: Outcome) -> bool:
    """A move that came further; one that waits for the same thing again is no news."""
    return bool(outcome.moved and not outcome.moved.error)


def _place(cache: Cache) -> str:
    """A cache's name in the sightings, with its owner: what one says of a path is nothing to another."""
    path = cache.path
    if len(path) > _LONGEST_PLACE:  # it stands in every row
        import hashlib

        path = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{cache.owner.uid} {path}"
