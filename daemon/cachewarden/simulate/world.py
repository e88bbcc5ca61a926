"""The caches of a replay: what is in them, and what an install does to them.

An install gets what it needs whatever the room: the look that follows takes it back. What an environment shares the
files of (a conda package in use) cannot go and takes no room here: its bytes are the environment's.
"""

from dataclasses import dataclass, field, replace

from cachewarden.model.caches import Cache, Entry, Filesystem, Identity, Kind, MeasuredCache, Owner, Snapshot
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant
from cachewarden.model.worth import Regain, Signal
from cachewarden.settings.vocabulary import KINDS_OF
from cachewarden.simulate.cost import facts
from cachewarden.simulate.study import Step, Study
from cachewarden.simulate.trace import Gone, Item, Lost, Place, Want

DEVICE = 1
MOUNT = "/"
_FOLDERS = {"pip": ".cache/pip", "conda": ".conda/pkgs"}
_FIRST_UID = 1000
_RANKS = {name: {kind: 10 * rank for rank, kind in enumerate(kinds)} for name, kinds in KINDS_OF.items()}

CacheName = tuple[str, int]
"""Ecosystem and owner."""


@dataclass(slots=True)
class Known:
    """An entry that the trace named. Times are seconds; ``taken_by`` is the policy that removed it last."""

    item: Item
    here: bool = False
    cached: int = 0
    used: int = 0
    uses: int = 0
    signal: Signal = Signal.OPENED
    installed: bool | None = None
    taken_by: str | None = None

    @property
    def held(self) -> bool:
        """Whether an environment shares its files, so that it cannot go."""
        return self.installed is True and self.item.kind is Kind.PACKAGE

    @property
    def takes(self) -> int:
        """Bytes of the disk that its going gives back."""
        return self.item.frees if self.here and not self.held else 0


@dataclass(slots=True)
class Regret:
    """What came of one policy's removals."""

    removed: int = 0
    freed: int = 0
    again: int = 0
    fetched: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Tally:
    """What came of a replay: wants, those met by the cache, those of what was never there before; and by policy."""

    wants: int = 0
    hits: int = 0
    first: int = 0
    regrets: dict[str, Regret] = field(default_factory=dict)

    @property
    def whole(self) -> Regret:
        """All policies together."""
        found = Regret()
        for each in self.regrets.values():
            found.removed += each.removed
            found.freed += each.freed
            found.again += each.again
            found.fetched += each.fetched
            found.seconds += each.seconds
        return found


class World:
    """All caches of a trace, on one disk of ``capacity`` bytes on which nothing else is."""

    def __init__(self, studied: Study, capacity: int) -> None:
        """Empty."""
        self.capacity = capacity
        self.taken = 0
        """Bytes of the disk; more than its capacity between an install and a look."""
        self.tally = Tally()
        self.known: dict[Place, Known] = {}
        self.kinds: set[Kind] = set()
        """Of all that ever was in it."""
        self._sources = studied.sources
        self._makes: dict[Place, Place] = {source: made for made, source in studied.sources.items()}
        self._caches: dict[CacheName, dict[Place, Entry]] = {}
        self._sizes: dict[CacheName, int] = {}

    def apply(self, step: Step) -> None:
        """What an event does."""
        match step.event:
            case Want():
                self._want(step, step.event)
            case Gone(_, place):
                if known := self.known.get(place):
                    self._change(known, here=known.here, installed=False)
            case Lost(_, place, by_us):
                known = self.known.get(place)
                if known and not by_us:
                    known.taken_by = None
                    self._change(known, here=False, installed=False)

    def _want(self, step: Step, want: Want) -> None:
        if step.makes and (made := self.known.get(step.makes)) and made.here:
            return
        known = self.known.setdefault(step.place, Known(want.item))
        self.kinds.add(want.item.kind)
        self.tally.wants += 1
        if known.here:
            self.tally.hits += 1
            known.uses += 1
        else:
            known.cached, known.uses = want.at, 0
            self._miss(step, known)
        known.used, known.signal = want.at, want.signal or Signal.OPENED
        installed = known.installed if want.item.installed is None else want.item.installed
        self._change(known, here=True, installed=installed, item=want.item)

    def _miss(self, step: Step, known: Known) -> None:
        if not step.again or known.taken_by is None:
            self.tally.first += 1
            return
        regret = self.tally.regrets[known.taken_by]
        regret.again += 1
        regret.fetched += step.price.fetched
        regret.seconds += step.price.seconds

    def take(self, place: Place, policy: str) -> None:
        """Removes an entry for a policy."""
        known = self.known[place]
        regret = self.tally.regrets.setdefault(policy, Regret())
        regret.removed += 1
        regret.freed += known.takes
        known.taken_by = policy
        self._change(known, here=False, installed=known.installed)

    def _change(self, known: Known, *, here: bool, installed: bool | None, item: Item | None = None) -> None:
        """Keeps the books, and what the entries beside it say of themselves."""
        place = known.item.place
        name = (place[0], place[1])
        moved = here != known.here
        self.taken -= known.takes
        self._sizes[name] = self._sizes.get(name, 0) - (known.item.size if known.here else 0)
        known.item, known.here, known.installed = item or known.item, here, installed
        self.taken += known.takes
        self._sizes[name] += known.item.size if known.here else 0
        self._write(place)
        if moved:
            for other in (self._sources.get(place), self._makes.get(place)):
                if other is not None:
                    self._write(other)

    def _write(self, place: Place) -> None:
        known = self.known.get(place)
        if known is None:
            return
        entries = self._caches.setdefault((place[0], place[1]), {})
        if known.here:
            entries[place] = self._entry(place, known)
        else:
            entries.pop(place, None)

    def _entry(self, place: Place, known: Known) -> Entry:
        item, written = known.item, Instant(known.cached * NANOSECONDS)
        return Entry(
            path=place[2],
            kind=item.kind,
            name=item.name,
            version=item.version,
            size=Bytes(item.size),
            frees=Bytes(known.takes),
            frees_inodes=Inodes(1),
            modified=written,
            last_used=Instant(known.used * NANOSECONDS),
            identity=Identity(DEVICE, 1, written),
            rank=_RANKS[item.ecosystem][item.kind],
            hold="in use by an environment" if known.held else None,
            signal=known.signal,
            facts=replace(
                facts(item, self._regain(place, item)),
                uses=known.uses,
                installed=known.installed,
                standing=item.kind is Kind.TARBALL and self._is_here(self._makes.get(place)),
            ),
        )

    def _regain(self, place: Place, item: Item) -> Regain:
        """A package whose archive is here is unpacked again; a wheel whose source is here is built all the same."""
        source = self._sources.get(place)
        return Regain.EXTRACT if item.kind is Kind.PACKAGE and self._is_here(source) else item.regain

    def _is_here(self, place: Place | None) -> bool:
        known = self.known.get(place) if place else None
        return known is not None and known.here

    def snapshot(self, now: Instant, *, hollow: bool = False) -> Snapshot:
        """What a look would see; ``hollow``: sizes and disks alone, by which marks are judged."""
        caches = tuple(
            MeasuredCache(_cache(name), DEVICE, Bytes(self._sizes[name]), () if hollow else tuple(entries.values()))
            for name, entries in self._caches.items()
        )
        free = Bytes(self.capacity - self.taken)
        disk = Filesystem(
            DEVICE, MOUNT, "simulated", Bytes(self.capacity), free, Inodes(0), Inodes(0), tracks_atime=True
        )
        return Snapshot(now, caches, (disk,))


def place_of(cache: Cache, entry: Entry) -> Place:
    """Which entry of the trace it is."""
    return (cache.ecosystem, cache.owner.uid - _FIRST_UID, entry.path)


def _cache(name: CacheName) -> Cache:
    """The caches of a trace have the usual places."""
    ecosystem, number = name
    owner = f"user{number}"
    uid = _FIRST_UID + number
    home = f"/home/{owner}"
    return Cache(ecosystem, f"{home}/{_FOLDERS.get(ecosystem, ecosystem)}", Owner(uid, uid, owner, home), "the trace")
