"""What is known of the worth of conda's packages: when environments linked them, and where they come from.

conda takes a package by linking: neither the folder in the cache nor its archive need be opened again for that, so
access times are blind to it. But each environment records what was linked into it: ``conda-meta/<dist>.json`` is
written then (``core/link.py``), and ``conda-meta/history`` keeps a line for each change (``history.py``, and
libmamba's ``history.cpp``)::

    ==> 2026-01-01 12:00:00 <==
    # cmd: conda install zlib
    +defaults/linux-64::zlib-1.2.11-0      conda 4 and later, the channel's name or its URL; before: +zlib-1.2.11-0
    -defaults/linux-64::zlib-1.2.8-3
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from cachewarden.ecosystems.base import Context
from cachewarden.model.caches import ARCHIVE_ENDINGS, Cache, is_private, unpacked_of
from cachewarden.model.units import NANOSECONDS, Bytes, Instant
from cachewarden.model.worth import Facts, Regain, Signal
from cachewarden.system.ports import Files, Folder

_LONGEST_HISTORY = 4 << 20
_MOST_HISTORY = 32 << 20
"""Of all environments together; what is beyond tells by its records alone."""
_MOST_ENVIRONMENTS = 2000
MOST_USES = 1000
_LONGEST_URLS = 4 << 20
_LARGEST_DOWNLOAD = 100 * 1000**3
_HEAD = re.compile(r"==> (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) <==")
_NAMES_FROM_HERE = {"<unknown>", "local", "unknown", "@"}
"""Channels of packages that were installed from a file (conda's ``UNKNOWN_CHANNEL``), or built here."""
_SLACK = 3600 * NANOSECONDS
"""Histories are in local time without its zone: what happened in an hour that comes twice is not missed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a package comes from: ``remote`` is ``None`` where nothing tells, ``size`` that of its archive."""

    remote: bool | None = None
    size: Bytes | None = None


NOWHERE = Origin()


def origin_of(record: Mapping[str, object]) -> Origin:
    """By ``repodata_record.json``: its ``url``, without one its ``channel``, and its ``size``."""
    url, channel, size = record.get("url"), record.get("channel"), record.get("size")
    known = type(size) is int and 1 <= size <= _LARGEST_DOWNLOAD
    fetch = Bytes(size) if known and isinstance(size, int) else None
    if isinstance(url, str) and url:
        return Origin(is_remote(url), fetch)
    if isinstance(channel, str) and channel:
        return Origin(not _is_from_here(channel), fetch)
    return Origin(None, fetch)


def is_remote(url: str) -> bool:
    """Whether something can be had from there again: a path may be of anything that is gone by tomorrow."""
    return "://" in url and url[:5].lower() != "file:"


def _is_from_here(channel: str) -> bool:
    return channel in _NAMES_FROM_HERE or channel.startswith(("/", ".", "~")) or channel[:5].lower() == "file:"


@dataclass(slots=True)
class Addresses:
    """``urls.txt``, which conda and mamba append to with each download.

    ``whole`` is false where it could not be read to its beginning, or is not there: rattler keeps none.
    """

    remote: dict[str, bool] = field(default_factory=dict)
    whole: bool = False

    def of(self, distribution: str) -> bool | None:
        """Whether it has an address: no, where the list is whole and has none of it."""
        return self.remote.get(distribution, False if self.whole else None)


def addresses(folder: Folder) -> Addresses:
    """Those that a cache has listed; of a long list the end."""
    try:
        size = folder.node("urls.txt").stat.st_size
        data = folder.read("urls.txt", _LONGEST_URLS, max(0, size - _LONGEST_URLS))
    except OSError:
        return Addresses()
    found = Addresses(whole=size <= _LONGEST_URLS)
    for line in data.decode("utf-8", "replace").splitlines():
        name = line.strip().rpartition("/")[2]
        if name.endswith(ARCHIVE_ENDINGS):
            found.remote[distribution_of(name)] = is_remote(line)  # the last one counts: it is where it came from
    return found


def distribution_of(name: str) -> str:
    """``name-version-build`` of a package's folder or its archive."""
    return unpacked_of(name) or name


# ---------------------------------------------------------------------------------------------------------
# Links into environments


@dataclass(frozen=True, slots=True)
class Linked:
    """The links of one distribution: ``times`` when, oldest first, and whether an environment has it now."""

    times: tuple[Instant, ...]
    installed: bool | None

    def latest(self) -> Instant | None:
        """When an environment was given it last."""
        return self.times[-1] if self.times else None

    def uses_since(self, cached: int) -> int:
        """How often that was since it was cached, without the first time, for which it was."""
        return min(MOST_USES, max(0, sum(time >= cached - _SLACK for time in self.times) - 1))


class Links:
    """What the environments of an owner tell of the distributions of one cache."""

    def __init__(self, cache: Cache, context: Context, distributions: Collection[str]) -> None:
        """Reads each environment once: the names of its records, the times of those that matter, its history."""
        self._now = context.now
        self._times: dict[str, list[Instant]] = {}
        self._installed: set[str] = set()
        self._left = _MOST_HISTORY
        wanted = frozenset(distributions)
        files, prefixes = context.surroundings.files, context.located.environments if wanted else ()
        seen = [self._read(files, prefix, wanted) for prefix in prefixes[:_MOST_ENVIRONMENTS]]
        # A cache for everybody serves environments that this owner does not know of.
        self._all_seen = bool(seen) and all(seen) and len(seen) == len(prefixes) and is_private(cache)

    def of(self, distribution: str) -> Linked:
        """Of ``name-version-build``."""
        there = True if distribution in self._installed else (False if self._all_seen else None)
        return Linked(tuple(sorted(self._times.get(distribution, ()))), there)

    def _read(self, files: Files, prefix: str, wanted: frozenset[str]) -> bool:
        """Whether the environment could be seen; one that is not there is seen not to be."""
        meta = f"{prefix}/conda-meta"
        try:
            names = files.listing(meta)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except (OSError, ValueError):
            return False
        told = self._history(files, f"{meta}/history", wanted)
        for name in names:
            distribution = name.removesuffix(".json")
            if distribution == name or distribution not in wanted:
                continue
            self._installed.add(distribution)
            status = files.stat(f"{meta}/{name}")
            if status:
                # The record was written when it was linked: that is the last of the times, and an exact one.
                told.setdefault(distribution, [])[-1:] = [self._past(status.st_mtime_ns)]
        for distribution, times in told.items():
            self._times.setdefault(distribution, []).extend(times[-MOST_USES:])
        return True

    def _history(self, files: Files, path: str, wanted: frozenset[str]) -> dict[str, list[Instant]]:
        found: dict[str, list[Instant]] = {}
        try:
            text = files.read_text(path, min(_LONGEST_HISTORY, self._left))
        except (OSError, ValueError):
            return found
        self._left -= len(text)
        for moment, distribution in links_of_history(text, wanted):
            found.setdefault(distribution, []).append(self._past(moment))
        return found

    def _past(self, moment: int) -> Instant:
        """A clock that was wrong, or a hand, may have given a file any time."""
        return Instant(min(moment, self._now))


def links_of_history(text: str, wanted: Collection[str]) -> Iterator[tuple[Instant, str]]:
    """When each of the ``wanted`` distributions was linked, as a history has it; times are local ones."""
    head: str | None = None
    moment: Instant | None = None
    for line in text.splitlines():
        if line.startswith("==>"):
            match = _HEAD.fullmatch(line[:40].rstrip())
            head, moment = (match[1] if match else None), None
        elif head and line.startswith("+"):
            distribution = distribution_of(line[1:].rstrip().rpartition("::")[2].rpartition("/")[2])
            if distribution in wanted:
                moment = _instant(head) if moment is None else moment
                if moment is not None:
                    yield moment, distribution


def _instant(text: str) -> Instant | None:
    try:
        return Instant(int(datetime.fromisoformat(text).timestamp()) * NANOSECONDS)
    except (ValueError, OverflowError, OSError):
        return None


class Worth:
    """All of this for the entries of one cache. Equal facts are one object: there may be a hundred thousand."""

    def __init__(self, addresses: Addresses, links: Links) -> None:
        """What was read once for all of them."""
        self._addresses = addresses
        self._links = links
        self._known: dict[Facts, Facts] = {}

    def shared(self, facts: Facts) -> Facts:
        """The same facts, once in memory."""
        return self._known.setdefault(facts, facts)

    def of_package(self, distribution: str, origin: Origin, cached: int, *, archived: bool) -> Facts:
        """Of an extracted package, there since ``cached``; ``archived``: its archive stands."""
        facts = Facts(Regain.EXTRACT, Bytes(0)) if archived else self._fetched(distribution, origin, origin.size)
        return self._with_uses(facts, distribution, cached)

    def of_archive(self, distribution: str, origin: Origin, cached: int, size: int) -> Facts:
        """Of an archive of ``size`` bytes, there since ``cached``; ``origin`` as its package says, if that stands."""
        return self._with_uses(self._fetched(distribution, origin, Bytes(size)), distribution, cached)

    def _fetched(self, distribution: str, origin: Origin, size: Bytes | None) -> Facts:
        """What came from a file, and what nothing knows an address of, is not to be had again."""
        remote = self._addresses.of(distribution) if origin.remote is None else origin.remote
        return Facts(Regain.NEVER) if remote is False else Facts(Regain.DOWNLOAD, size)

    def _with_uses(self, facts: Facts, distribution: str, cached: int) -> Facts:
        linked = self._links.of(distribution)
        return self.shared(replace(facts, uses=linked.uses_since(cached), installed=linked.installed))

    def last_use(self, distribution: str | None, accessed: int, written: int) -> tuple[Instant, Signal]:
        """The latest of what tells of a use, and by what sign; without any, when it was written."""
        linked = self._links.of(distribution).latest() if distribution else None
        if linked is not None and linked > max(accessed, written):
            return linked, Signal.INSTALLED
        if accessed > written:
            return Instant(accessed), Signal.ACCESSED
        return Instant(written), Signal.WRITTEN
