"""What earlier looks found, one small file for each owner beside the state, so that the next need not walk it again.

It is a copy of what the disk tells, and of no other worth: one that is missing, damaged, or of another version of the
program costs a walk. It is written only when something changed, and not where space is short.
"""

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from cachewarden import __version__
from cachewarden.ecosystems.known import Known
from cachewarden.model.caches import Entry, Look, MeasuredCache, Owner, Part
from cachewarden.model.errors import WorkerError
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.service.collecting import texts_of
from cachewarden.service.wire import decoder, encoder
from cachewarden.system import durable

VERIFY_EVERY = 86_400 * NANOSECONDS
"""All is walked again once a day: link counts change, and a file may be written, without any folder telling."""
_WRITE_EVERY = 300 * NANOSECONDS
"""Flash cards wear out; and what was missed by a kill is walked again, no more."""
_NAME = re.compile(r"looks-\d{1,10}\.z")
_LONGEST = 8 << 20
"""Bytes of one owner's file, packed; a cache of 10,000 entries takes some 0.8 MB."""
_LONGEST_PLAIN = 48 << 20
_MOST_ENTRIES = 64_000
_MOST_TEXT = 12 << 20
"""Of one owner: what is beyond would take the service's memory, and is walked each time."""
_MOST_FILES = 200
_SHARE = 50
"""Nothing is written where it would take more than one part in so many of what is free."""


@dataclass(frozen=True, slots=True)
class _File:
    """What is in a file; ``version`` is the program's: another one may know other marks."""

    version: str
    caches: tuple[MeasuredCache, ...]


KnownOf = Callable[[Owner], tuple[MeasuredCache, ...]]


def nothing_known(_: Owner) -> tuple[MeasuredCache, ...]:
    """All is to be walked."""
    return ()


class Earlier(Protocol):
    """What is known of owners' caches from earlier looks."""

    def of(self, owner: Owner, now: Instant) -> tuple[MeasuredCache, ...]:
        """The owner's caches, as far as they were walked within ``VERIFY_EVERY``."""
        ...

    def keep(self, owner: Owner, look: Look, now: Instant) -> None:
        """For the next time."""
        ...


class NothingEarlier:
    """For whoever looks at everything."""

    def of(self, owner: Owner, now: Instant) -> tuple[MeasuredCache, ...]:  # noqa: ARG002 - an Earlier
        """Nothing is known."""
        return ()

    def keep(self, owner: Owner, look: Look, now: Instant) -> None:
        """Forgets it."""


class EarlierLooks:
    """The files in ``folder``, which are the caller's own. Trouble with them is nobody's trouble."""

    def __init__(self, folder: str, *, free: Callable[[str], int], keeps: bool, most: int = _MOST_ENTRIES) -> None:
        """``free`` tells the bytes that are free where a path is; without ``keeps`` nothing is written.

        ``most``: entries of one owner that are kept.
        """
        self._most = most
        self._folder = folder
        self._free = free
        self._keeps = keeps
        self._kept: dict[int, int] = {}
        self._kept_at: dict[int, Instant] = {}

    def _path(self, owner: Owner) -> str:
        return os.path.join(self._folder, f"looks-{owner.uid}.z")

    def of(self, owner: Owner, now: Instant) -> tuple[MeasuredCache, ...]:
        """See ``Earlier``."""
        try:
            data = durable.read(self._path(owner), _LONGEST)
            caches = _read(data) if data else ()
        except (OSError, ValueError, RecursionError, WorkerError, zlib.error):
            return ()
        self._kept[owner.uid] = _print(caches)
        # A clock that was set back would make it true for long.
        return tuple(each for each in caches if each.verified and 0 <= now - each.verified < VERIFY_EVERY)

    def keep(self, owner: Owner, look: Look, now: Instant) -> None:
        """See ``Earlier``; what did not change is not written again."""
        # A clock that was set back would keep it from being written for long.
        if not self._keeps or 0 <= now - self._kept_at.get(owner.uid, Instant(0)) < _WRITE_EVERY:
            return
        caches = tuple(_fitting(look.caches, self._most))
        if self._kept.get(owner.uid) == _print(caches):
            return
        try:
            if not caches and not durable.is_there(self._path(owner)):
                return
            data = _written(caches)
            if len(data) > _LONGEST or not self._is_ours() or len(data) * _SHARE > self._free(self._folder):
                return
            self._make_room(os.path.basename(self._path(owner)))
            durable.write(self._path(owner), data)
        except OSError:
            return
        self._kept[owner.uid], self._kept_at[owner.uid] = _print(caches), now

    def _is_ours(self) -> bool:
        """Root with another user's HOME (sudo) must not write where that user leads it, nor make folders there."""
        nearest = self._folder
        while not durable.is_there(nearest) and nearest != "/":
            nearest = os.path.dirname(nearest)
        if not durable.is_own(nearest):
            return False
        durable.make_folders(self._folder)
        return True

    def _make_room(self, name: str) -> None:
        """Users come and go: of too many files the oldest one goes."""
        others = [each for each in files_of(self._folder) if each != name]
        if len(others) >= _MOST_FILES:
            oldest = min(others, key=lambda each: os.stat(os.path.join(self._folder, each)).st_mtime_ns)
            durable.remove(os.path.join(self._folder, oldest))


def files_of(folder: str) -> list[str]:
    """The names of such files in the state folder; none where it cannot be read."""
    try:
        return [name for name in durable.names(folder, 10_000) if _NAME.fullmatch(name)]
    except OSError:
        return []


def _fitting(caches: Iterable[MeasuredCache], most: int) -> Iterator[MeasuredCache]:
    """As many parts, each with all of its entries, as may be kept of one owner's caches; the same each time.

    An owner's worker may tell of any number of entries, with names of any length. Only the entries of parts are taken
    over later; the others are few and looked at each time.
    """
    left, text_left = most, _MOST_TEXT
    for cache in caches:
        known, parts, entries = Known(cache), list[Part](), list[Entry]()
        text_left -= len(cache.cache.path) + len(cache.cache.source)
        for part in {each.path: each for each in cache.parts}.values():
            own = known.entries(part.path)
            count = 1 + len(own) + sum(len(entry.shares) + len(entry.parts) for entry in own) // 8
            text = len(part.path) + len(part.mark)
            text += sum(len(entry.path) + sum(map(len, texts_of(entry))) for entry in own)
            if count <= left and text <= text_left:
                left, text_left = left - count, text_left - text
                parts.append(part)
                entries += own
        if parts:
            # Which disk it is on the marks tell: the service has numbers of its own for disks that only their owner
            # can ask.
            yield replace(cache, device=0, entries=tuple(entries), parts=tuple(parts))


def _print(caches: tuple[MeasuredCache, ...]) -> int:
    """What is the same while there is nothing to write."""
    return hash(tuple((each.cache.path, each.parts, each.verified) for each in caches))


def _written(caches: tuple[MeasuredCache, ...]) -> bytes:
    plain = json.dumps(encoder(_File)(_File(__version__, caches)), separators=(",", ":"))
    return zlib.compress(plain.encode("ascii"), 1)


def _read(data: bytes) -> tuple[MeasuredCache, ...]:
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(data, _LONGEST_PLAIN)
    if not unpacker.eof:
        raise ValueError("longer than it may be")
    found: _File = decoder(_File)(json.loads(plain))
    return found.caches if found.version == __version__ else ()
