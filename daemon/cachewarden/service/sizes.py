"""What is recorded of sizes: one point per place and day, and what cachewarden itself freed on that day."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from cachewarden.decide.forecast import Past, forecast
from cachewarden.decide.ledger import by_device, key_of
from cachewarden.model.caches import Cache, Filesystem, Snapshot
from cachewarden.model.forecasts import Forecast, Size
from cachewarden.model.plans import CycleRecord
from cachewarden.model.policies import Settings
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant
from cachewarden.system.memory import Store

_DAY = 86_400 * NANOSECONDS
MOST_OF_ONE = 20
"""Caches of one owner of which a point is kept in a day: whoever renames one all the time must not fill the state.
A filesystem is kept only along with a cache on it, so there are no more of these."""
_LONGEST_PLACE = 200
_LOOK_BACK = 120
"""Days of points that a forecast may ask for."""


def of_cache(cache: Cache) -> str:
    """A cache's name in the state, with its owner: what one says of a path is nothing to another."""
    return f"{cache.owner.uid} {_short(cache.path)}"


def of_disk(disk: Filesystem) -> str:
    """A filesystem's name in the state: numbers of devices change with every start. No uid reads like that."""
    return f"disk {_short(disk.mount)}"


def _short(path: str) -> str:
    """It stands in every row, and users choose its length and its bytes."""
    if len(path) > _LONGEST_PLACE:
        import hashlib

        return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def past_of(store: Store, snapshot: Snapshot) -> Past:
    """The recorded points of what there is now."""
    known = store.sizes(snapshot.taken_at // _DAY - _LOOK_BACK)
    return Past(
        {key_of(each): known.get(of_cache(each.cache), ()) for each in snapshot.caches},
        {device: known.get(of_disk(each), ()) for device, each in by_device(snapshot).items()},
    )


def foretell(store: Store, snapshot: Snapshot, settings: Settings) -> Forecast:
    """What is to be expected, as far as there is a past."""
    return forecast(snapshot, settings, past_of(store, snapshot))


class Sizes:
    """Notes sizes in few writes: the first look of a day, and again only when something was freed or moved."""

    def __init__(self, store: Store) -> None:
        """Reads nothing yet."""
        self._store = store
        self._day = -1
        self._today: dict[str, Size] = {}
        self._unsaved: dict[str, Size] = {}

    def note(self, snapshot: Snapshot, record: CycleRecord) -> None:
        """Takes in what a cycle saw first, and what it took then. Writes nothing."""
        day = snapshot.taken_at // _DAY
        if day != self._day:
            known = self._store.sizes(day)
            self._day, self._unsaved = day, {}
            self._today = {place: point for place, points in known.items() for point in points if point.day == day}
        for place, size in self._new(snapshot, day):
            self._today[place] = self._unsaved[place] = size
        for place, freed, inodes in _freed(snapshot, record):
            before = self._today.get(place)
            if before and (freed or inodes):
                after = replace(
                    before, freed=Bytes(before.freed + freed), freed_inodes=Inodes(before.freed_inodes + inodes)
                )
                self._today[place] = self._unsaved[place] = after

    def save(self) -> None:
        """Writes what is new, if anything is."""
        if self._unsaved:
            self._store.save_sizes(self._unsaved, self._day)
            self._unsaved = {}

    def _new(self, snapshot: Snapshot, day: int) -> Iterator[tuple[str, Size]]:
        """Points of what has none today."""
        at = snapshot.taken_at
        disks = by_device(snapshot)
        spent: dict[str, int] = {}
        for place in self._today:
            uid = place.partition(" ")[0]
            spent[uid] = spent.get(uid, 0) + 1
        for cache in snapshot.caches:
            place, uid = of_cache(cache.cache), str(cache.cache.owner.uid)
            if place in self._today or spent.get(uid, 0) >= MOST_OF_ONE:
                continue
            spent[uid] = spent.get(uid, 0) + 1
            yield place, Size(day, at, cache.size)
            disk = disks.get(cache.device)
            if disk and of_disk(disk) not in self._today:
                yield of_disk(disk), _size_of(disk, day, at)


def _size_of(disk: Filesystem, day: int, at: Instant) -> Size:
    return Size(day, at, Bytes(disk.total - disk.free), Inodes(disk.inodes_total - disk.inodes_free))


def _freed(snapshot: Snapshot, record: CycleRecord) -> Iterator[tuple[str, int, int]]:
    """What a cycle took of each place, in bytes and inodes; negative for what a move brought to a disk."""
    disks = by_device(snapshot)
    devices = {key_of(each): each.device for each in snapshot.caches}
    freed: dict[int, int] = {}
    for outcome in record.outcomes:
        device = devices.get((outcome.cache.owner.uid, outcome.cache.path))
        if device is not None:
            freed[device] = freed.get(device, 0) + outcome.freed
        if outcome.moved is None:
            yield of_cache(outcome.cache), outcome.freed, 0
        elif outcome.moved.copied and (there := _disk_of(outcome.moved.destination, disks.values())):
            freed[there.device] = freed.get(there.device, 0) - outcome.moved.copied
    after = {each.device: each.inodes_free for each in record.after}
    for device, taken in freed.items():
        if disk := disks.get(device):
            inodes = after.get(device, disk.inodes_free) - disk.inodes_free
            yield of_disk(disk), taken, inodes if disk.inodes_total else 0


def _disk_of(path: str, disks: Iterable[Filesystem]) -> Filesystem | None:
    """The filesystem with the longest mount point above a path."""
    above = [each for each in disks if path.startswith(each.mount.rstrip("/") + "/")]
    return max(above, key=lambda each: len(each.mount), default=None)
