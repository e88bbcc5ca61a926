"""What a set of entries takes and gives back together: shared inodes count once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cachewarden.decide.ledger import Ledger
from cachewarden.model.caches import Entry, Filesystem, Kind, MeasuredCache, Snapshot
from cachewarden.model.units import Bytes, Instant
from cachewarden.model.watching import Extent, Reach, Watched


@dataclass(frozen=True, slots=True)
class Figures:
    """``frees`` is what removing all that may go (hold ``None``) gives back."""

    entries: int
    size: Bytes
    frees: Bytes


def of_cache(cache: MeasuredCache) -> Figures:
    """The whole cache; its size is that of its root, foreign files included."""
    return Figures(len(cache.entries), cache.size, freed_by(cache, cache.entries))


def by_kind(cache: MeasuredCache) -> Mapping[Kind, Figures]:
    """Each kind on its own, in the order of the policy language's words."""
    found: defaultdict[Kind, list[Entry]] = defaultdict(list)
    for entry in cache.entries:
        found[entry.kind].append(entry)
    return {kind: _of_entries(cache, found[kind]) for kind in Kind if kind in found}


def _of_entries(cache: MeasuredCache, entries: list[Entry]) -> Figures:
    """The folders that go with the last entry in them are freed with it, so they count."""
    frees = freed_by(cache, entries)
    return Figures(len(entries), max(size_of(entries), frees), frees)


def freed_by(cache: MeasuredCache, entries: Iterable[Entry]) -> Bytes:
    """What the filesystem gets back when those of them go that may."""
    ledger = Ledger(Snapshot(taken_at=Instant(0), caches=(cache,)))
    return Bytes(sum(ledger.take(cache, entry).freed for entry in entries if entry.hold is None))


def size_of(entries: Iterable[Entry]) -> Bytes:
    """Allocated bytes, each inode once. The folders that entries share are in none of their sizes."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for entry in entries:
        total += entry.size
        if entry.size <= entry.frees:
            continue  # nothing of it is linked elsewhere: its shares are folders above it
        for share in entry.shares:
            inode = (share.device, share.inode)
            total -= share.frees if inode in seen else 0
            seen.add(inode)
    return Bytes(max(0, total))


def watched(caches: Iterable[MeasuredCache], reach: Reach) -> Iterator[tuple[MeasuredCache, Watched]]:
    """How each cache is watched; what nothing is told of is not."""
    known = {(each.uid, each.path): each for each in reach.caches}
    for cache in caches:
        key = (cache.cache.owner.uid, cache.cache.path)
        yield cache, known.get(key) or Watched(*key, Extent.NOT, opens=False)


def access_times(filesystem: Filesystem) -> str:
    """When reading moves them: ``never``, at most ``daily``, ``always``."""
    if not filesystem.tracks_atime:
        return "never"
    return "daily" if filesystem.atime_daily else "always"
