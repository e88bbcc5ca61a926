"""Which entries were opened to be used, of all that the watches tell.

The kernel tells that a file was opened, and not by whom. Two rules keep apart what is no use:

- **Who lists folders looks.** Files below a folder that is open, or was opened or closed a moment ago, are not
  counted: a tool goes to its file by name. So neither our own looks, by whatever command, nor backups count.
- **Who opens very many looks.** When more than ``MOST`` entries were opened and not yet told, nothing counts until
  it is quiet again.

What is not counted by mistake is known by installs, or by access times, all the same; what is counted by mistake
would make everything look used.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

MOST_CACHES = 8
"""Caches of one owner that are watched."""
MOST_OPENED = 64
"""Entries in one message."""
LONGEST_ENTRY = 255
"""Characters of each, which are plain ASCII: names that pip and conda make are far shorter."""
LONGEST_PATH = 1200
"""Bytes of a cache's path in a message, escaped; of one with a longer path nothing is told."""
MOST_WATCHED = 32
"""Caches of one owner of which a watcher tells how it watches them."""
MOST = 200
"""Entries that were opened and not yet told of, so within ``HOLD`` and ``EVERY``; see docs/last-use.md."""
BEFORE = 0.5
"""Seconds that a listing may be told later than what was opened by who lists."""
AFTER = 5.0
"""Seconds that what was opened may be told later than the end of a listing: watchdog has a queue."""
LONGEST = 900.0
"""No folder stays open for longer, or its closing was not told."""
QUIET = 2.0
HOLD = 2.0
"""Seconds before something is told, in which a listing may still come to be known."""
EVERY = 10.0
"""Seconds between two tellings: use is counted once in five minutes."""


@dataclass(slots=True)
class _Listed:
    """A folder that is being listed, or was last: from when, until when that counts, whether it is open now.

    Not how often: the kernel tells only once of two that are opened or closed one right after the other.
    """

    since: float
    until: float
    open: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """What a watcher says: entries of a cache, by their paths in it, that were opened just now."""

    cache: str
    entries: tuple[str, ...]


def may_be_told(cache: str) -> bool:
    """Whether the path of a cache fits in a message."""
    return len(cache.encode("ascii", "backslashreplace")) <= LONGEST_PATH


class Opens:
    """What was opened and is to be told. Noted by threads, told by the main one; times are of one steady clock."""

    def __init__(self) -> None:
        """Nothing was opened yet."""
        self._lock = threading.Lock()
        self._listed: dict[str, _Listed] = {}
        self._opened: dict[tuple[str, str], float] = {}
        self._quiet_until = 0.0
        self._told = float("-inf")

    def listed(self, folder: str, now: float, *, opened: bool) -> None:
        """Somebody opened a folder (an absolute path), or closed it."""
        with self._lock:
            known = self._listed.get(folder)
            if known is None or (not known.open and now > known.until):
                known = self._listed[folder] = _Listed(now, now)
            known.open = opened
            known.until = now + AFTER

    def note(self, cache: str, entry: str, now: float) -> bool:
        """An entry of a cache was opened; whether it may have to be told, and when nothing had before."""
        with self._lock:
            if now < self._quiet_until:
                self._quiet_until = max(self._quiet_until, now + QUIET)
                return False
            if self._is_looked_at(cache, entry, now):
                return False
            first = not self._opened
            self._opened[cache, entry] = now
            if len(self._opened) > MOST:
                self._opened.clear()
                self._quiet_until = now + AFTER
                return False
            return first

    def wait(self, now: float) -> float | None:
        """Seconds until there may be something to tell; ``None`` when nothing was opened."""
        with self._lock:
            if not self._opened:
                return None
            first = min(self._opened.values())
            return max(0.0, first + HOLD - now, self._told + EVERY - now)

    def due(self, now: float) -> dict[str, list[str]]:
        """Entries by cache that were opened to be used, each told once."""
        with self._lock:
            if now < self._told + EVERY:
                return {}
            ripe = [(key, when) for key, when in self._opened.items() if when + HOLD <= now]
            found: dict[str, list[str]] = {}
            for (cache, entry), when in ripe:
                del self._opened[cache, entry]
                if not self._is_looked_at(cache, entry, when):
                    found.setdefault(cache, []).append(entry)
            if found:
                self._told = now
            return found

    def _is_looked_at(self, cache: str, entry: str, when: float) -> bool:
        for folder in _folders(cache, entry):
            known = self._listed.get(folder)
            if known is None or when < known.since - BEFORE:
                continue
            if when <= known.until or (known.open and when <= known.since + LONGEST):
                return True
        return False


def _folders(cache: str, entry: str) -> Iterator[str]:
    """Those above an entry of which listings are told."""
    for part in entry.split("/")[:2]:
        cache = f"{cache}/{part}"
        yield cache
