"""What a set of entries takes and gives back together: shared inodes count once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cachewarden.decide.ledger import Change, Ledger, by_device
from cachewarden.model.caches import Entry, Filesystem, Kind, MeasuredCache, Quota, Snapshot
from cachewarden.model.units import Bytes, Instant
from cachewarden.model.watching import Extent, Reach, Watched


@dataclass(frozen=True, slots=True)
class Figures:
    """``frees`` is what removing all that may go (hold ``None``) gives back; for the others see ``Entry``."""

    entries: int
    size: Bytes
    frees: Bytes
    maybe: Bytes = Bytes(0)
    held_open: Bytes = Bytes(0)


def quotas(snapshot: Snapshot) -> list[tuple[str, str, Quota]]:
    """Owner, mount point and quota, each once."""
    filesystems = by_device(snapshot)
    found = {
        (cache.cache.owner.name, filesystem.mount): cache.quota
        for cache in snapshot.caches
        if cache.quota and (filesystem := filesystems.get(cache.device))
    }
    return [(owner, mount, quota) for (owner, mount), quota in sorted(found.items(), key=lambda each: each[0])]


def of_cache(cache: MeasuredCache) -> Figures:
    """The whole cache; its size is that of its root, foreign files included."""
    freed = freed_by(cache, cache.entries)
    return Figures(len(cache.entries), cache.size, Bytes(freed.freed), Bytes(freed.maybe), held_open(cache.entries))


def by_kind(cache: MeasuredCache) -> Mapping[Kind, Figures]:
    """Each kind on its own, in the order of the policy language's words."""
    found: defaultdict[Kind, list[Entry]] = defaultdict(list)
    for entry in cache.entries:
        found[entry.kind].append(entry)
    return {kind: _of_entries(cache, found[kind]) for kind in Kind if kind in found}


def _of_entries(cache: MeasuredCache, entries: list[Entry]) -> Figures:
    """The folders that go with the last entry in them are freed with it, so they count."""
    freed = freed_by(cache, entries)
    size = max(size_of(entries), Bytes(freed.freed))
    return Figures(len(entries), size, Bytes(freed.freed), Bytes(freed.maybe), held_open(entries))


def freed_by(cache: MeasuredCache, entries: Iterable[Entry]) -> Change:
    """What the filesystem gets back when those of them go that may."""
    ledger = Ledger(Snapshot(taken_at=Instant(0), caches=(cache,)))
    changes = [ledger.take(cache, entry) for entry in entries if entry.hold is None]
    return Change(*(sum(each) for each in zip(*changes, strict=True))) if changes else Change(0, 0, 0)


def held_open(entries: Iterable[Entry]) -> Bytes:
    """What of those that may go comes back only when processes close it."""
    return Bytes(sum(entry.held_open for entry in entries if entry.hold is None))


def size_of(entries: Iterable[Entry]) -> Bytes:
    """Allocated bytes, each inode once. The folders that entries share are in none of their sizes."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for entry in entries:
        total += entry.size
        if entry.size <= entry.frees + entry.maybe + entry.held_open:
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
