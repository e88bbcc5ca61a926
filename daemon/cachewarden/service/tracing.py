"""Records what installs use, as a trace that ``simulate`` replays; only where ``watch.trace`` says so.

Nobody is named in it: caches have numbers, and with ``watch.trace_names: false`` packages have hashes. What cannot be
written (a full disk) is left out of the trace, and nothing else depends on it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from cachewarden.model.caches import Cache, Entry, Kind, MeasuredCache, unpacked_of
from cachewarden.model.policies import Watch
from cachewarden.model.text import printable
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.model.worth import Facts
from cachewarden.simulate.trace import Event, Gone, Item, Lost, Place, Want, header, line, usual_regain
from cachewarden.system.growing_file import GrowingFile
from cachewarden.system.memory import Sighting

LIMIT = 16 * 1024 * 1024
"""Bytes of the trace; once as many are kept of what was before."""
EVERY = 300 * NANOSECONDS
"""At most one write in this time, as of all that is remembered."""
MOST_WAITING = 20_000
"""Events that wait for the next write; what is beyond is lost to the trace."""
_MOST_NUMBER = 100_000
_LONGEST = 512
_LARGEST = 2**53
_LONGEST_BUILD = 30 * 86_400
_ABOUT = "recorded by the service"
_AHEAD = 86_400
"""Seconds by which the last event may be in the future: beyond that the clock was wrong, and a new trace begins."""


class Tracing:
    """The trace in the making. In memory: what waits to be written, and which entries an environment has."""

    def __init__(self, file: GrowingFile) -> None:
        """Touches nothing yet."""
        self._file = file
        self._waiting: list[Event] = []
        self._installed: set[Place] = set()
        self._written_at = Instant(0)
        self._last: int | None = None
        self._begins = self._whole = False
        self._named = True

    def begin(self, watch: Watch, now: Instant) -> bool:
        """Whether anything is to be recorded; called at each look at the caches, before ``look``."""
        if not watch.trace:
            return False
        self._named = watch.trace_names
        if self._last is None:
            self._last = _time_of(self._file.last_line())
            self._begins = not self._last
        if self._last > now // NANOSECONDS + _AHEAD:
            self._new_file()
        self._whole, self._begins = self._begins, False
        return True

    def look(
        self, seen: MeasuredCache, before: Mapping[str, Sighting], removed: Collection[str], now: Instant
    ) -> None:
        """What is news in a cache. ``before``: what was known of it; ``removed``: what this cycle took."""
        number = _number(seen.cache)
        paths = {entry.path for entry in seen.entries}
        for entry in seen.entries:
            self._entry(seen.cache, entry, before.get(entry.path), paths, now)
        others = (path for path in before if path not in paths and path not in removed)
        lost = ((path, path in removed) for path in sorted({*others, *removed}))
        for path, by_us in lost:
            place = (seen.cache.ecosystem, number, self._key(path))
            self._installed.discard(place)
            self._add(Lost(_seconds(now), place, by_us=by_us))

    def _entry(
        self, cache: Cache, entry: Entry, known: Sighting | None, paths: Collection[str], now: Instant
    ) -> None:
        item = self._item(cache, entry)
        used = entry.last_used or entry.modified
        if known is None or self._whole or used - known.last_used >= EVERY:
            source_of = None
            if entry.kind is Kind.TARBALL:
                package = unpacked_of(entry.path)
                source_of = self._key(package) if package in paths else None
            self._add(Want(_seconds(Instant(min(used, now))), item, source_of, entry.signal))
        elif item.place in self._installed and item.installed is False:
            self._add(Gone(_seconds(now), item.place))
        if item.installed:
            self._installed.add(item.place)
        else:
            self._installed.discard(item.place)

    def _add(self, event: Event) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(event)

    def flush(self, now: Instant) -> None:
        """Writes what waits, unless something was written just now."""
        if not self._waiting or now - self._written_at < EVERY:
            return
        self._written_at = now
        events, self._waiting = self._waiting, []
        try:
            self._write(events)
        except OSError:
            self._last = None  # what is in the file is looked at again

    def _write(self, events: Iterable[Event]) -> None:
        ordered = sorted(events, key=lambda each: (each.at, not (isinstance(each, Want) and each.source_of)))
        lines = "".join(f"{line(each)}\n" for each in self._in_time(ordered)).encode("ascii")
        if not self._file.last_line():
            lines = f"{header(_ABOUT)}\n".encode("ascii") + lines
            # One owner's names may be more than a whole trace: the rest is lost, and not all traces from then on.
            lines = lines[: lines.rfind(b"\n", 0, self._file.limit) + 1]
        if self._file.has_room(len(lines)):
            self._file.append(lines)
        else:
            self._new_file()

    def _in_time(self, events: Iterable[Event]) -> Iterable[Event]:
        """A use that was noticed late counts from then: time never goes back in a trace."""
        for event in events:
            self._last = max(self._last or 0, event.at)
            yield replace(event, at=self._last)

    def _new_file(self) -> None:
        """The next look tells the new trace of everything that is there, what waits to be written included."""
        with suppress(OSError):
            self._file.begin()
        self._last, self._begins = 0, True
        self._waiting.clear()
        self._installed.clear()

    def _item(self, cache: Cache, entry: Entry) -> Item:
        facts = entry.facts or Facts(usual_regain(entry.kind))
        return Item(
            ecosystem=cache.ecosystem,
            owner=_number(cache),
            key=self._key(entry.path),
            kind=entry.kind,
            size=_bounded(entry.size, _LARGEST),
            frees=_bounded(entry.size if facts.installed else entry.frees, _LARGEST),
            name=self._word(entry.name, hide=not self._named),
            version=self._word(entry.version),
            regain=facts.regain,
            fetch=None if facts.fetch is None else _bounded(facts.fetch, _LARGEST),
            build=None if facts.build is None else _bounded(facts.build, _LONGEST_BUILD),
            installed=facts.installed,
            orphan=facts.orphan,
        )

    def _key(self, path: str) -> str:
        return path if self._named and _is_plain(path) else _hash(path)

    def _word(self, text: str | None, *, hide: bool = False) -> str | None:
        if not text:
            return None
        return _hash(text) if hide else text if _is_plain(text) else None


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and printable(text) == text


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _number(cache: Cache) -> int:
    """The same for the same cache of the same owner after a restart, and no more of them."""
    return int(_hash(f"{cache.owner.uid} {cache.path}"), 16) % _MOST_NUMBER


def _seconds(moment: Instant) -> int:
    return max(0, moment // NANOSECONDS)


def _bounded(number: int, most: int) -> int:
    return max(0, min(int(number), most))


def _time_of(text: str) -> int:
    """Of the last event; 0 where there is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return 0
    at = found.get("at") if isinstance(found, dict) else None
    return at if isinstance(at, int) and not isinstance(at, bool) and at > 0 else 0
