"""What an earlier look found of a cache, for a look that walks only what changed.

An entry, or a branch of entries, is as it was while its ``mark`` is: a digest of which folders there are (device,
inode) and when their names last changed (mtime, ctime). What no folder tells, such as a link count, is as of the
look that walked it; ``plan``, ``list`` and every removal walk it again.
"""

import json
import os
from collections.abc import Collection, Container, Iterable
from dataclasses import replace

from cachewarden.model.caches import Entry, MeasuredCache, Part
from cachewarden.model.units import NANOSECONDS, Bytes

_NEW = 600 * NANOSECONDS
"""A package that is being extracted, or a folder whose time may not move with the next change: kernels count times
in steps of some milliseconds, and the clock of a file server may be minutes off."""


_MOST_TEXT = 3 << 20
_REST_OF_A_PART = 64


class Known:
    """The parts of one cache, and their entries."""

    def __init__(self, cache: MeasuredCache | None) -> None:
        """Nothing is known without a cache."""
        self._parts = {part.path: part for part in cache.parts} if cache else {}
        self._entries: dict[str, list[Entry]] = {}
        for entry in cache.entries if cache and cache.parts else ():
            if part := _part_of(entry.path, self._parts):
                self._entries.setdefault(part, []).append(entry)

    def part(self, path: str) -> Part | None:
        """The part at a path relative to the root of the cache."""
        return self._parts.get(path)

    def size(self, path: str) -> Bytes:
        """Of a part that there is."""
        return self._parts[path].size

    def entries(self, path: str) -> list[Entry]:
        """Of the part at ``path``, as the files alone tell: who holds them is asked anew."""
        return [_alone(entry) for entry in self._entries.get(path, ())]

    def entry(self, path: str) -> Entry | None:
        """Of a part that is one entry."""
        own = self.entries(path)
        return own[0] if len(own) == 1 and own[0].path == path else None


class Settled:
    """Whether what changed last at some time will show it when it changes again."""

    def __init__(self, now: int) -> None:
        """``now`` is when the look began, in ns."""
        self._before = now - _NEW

    def is_settled(self, changed: int) -> bool:
        """``changed`` in ns; what is said to have changed in the future never is."""
        return changed < self._before


def mark_of(folders: Iterable[tuple[str, os.stat_result]], *more: str) -> str:
    """The mark of a part with these folders (or files), by their paths, in an order that is always the same."""
    import hashlib

    digest = hashlib.blake2b(digest_size=12)
    for path, status in folders:
        line = f"{path}\0{status.st_dev} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}\0"
        digest.update(line.encode("utf-8", "surrogatepass"))
    digest.update("\0".join(more).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def told(parts: Iterable[Part]) -> tuple[Part, ...]:
    """As many as one message holds: what is beyond is walked the next time."""
    found: list[Part] = []
    left = _MOST_TEXT
    for part in parts:
        # A character may take twelve bytes there, and others than the owner may have chosen it (shared caches).
        left -= len(json.dumps(part.path)) + _REST_OF_A_PART
        if left < 0:
            break
        found.append(part)
    return tuple(found)


def _alone(entry: Entry) -> Entry:
    return entry if entry.hold == entry.own_hold else replace(entry, hold=entry.own_hold)


def others(parts: tuple[Part, ...], paths: Collection[str]) -> tuple[Part, ...]:
    """Without those to which any of the entries at ``paths`` belongs."""
    if not paths:
        return parts
    named = {part.path for part in parts}
    left_out = {_part_of(path, named) for path in paths}
    return tuple(part for part in parts if part.path not in left_out)


def _part_of(path: str, parts: Container[str]) -> str | None:
    """Parts are not nested: the first one upwards is the only one."""
    while path:
        if path in parts:
            return path
        path = path.rpartition("/")[0]
    return None
