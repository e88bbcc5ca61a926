"""Putting a look together from a worker's messages, believing nothing that cannot be.

All that is kept of it is bounded, and so is what may be done with each piece: the service must not run out of memory
or time because of one owner, whose worker may lie, or tell truly of a hundred thousand files that the owner has made.
"""

from collections.abc import Generator
from dataclasses import replace

from cachewarden.model.caches import Entry, Filesystem, Look, MeasuredCache, Owner, Problem
from cachewarden.model.errors import WorkerError
from cachewarden.model.relocations import RelocationSeen
from cachewarden.service.telling import SEEN
from cachewarden.service.wire import Message, decoder

_MOST_MESSAGES = 20_000
_MOST_ENTRIES = 2_000_000
"""The files that go with one, and the inodes that it shares, count as well."""
_MOST_PARTS = 300_000
"""Of all caches: of one, a message holds fewer than 50,000."""
_MOST_OTHERS = 200_000
_MOST_RELOCATIONS = 100
_MOST_TEXT = 1 << 27
"""Characters in all: one that is no Latin letter makes each of its text take four bytes."""
_NO_NAMES = {"", ".", ".."}


class Collector:
    """Takes the messages of one look."""

    def __init__(self, owner: Owner) -> None:
        """Whatever a worker says, what it has is its owner's."""
        self._owner = owner
        self._caches: list[tuple[MeasuredCache, list[Entry]]] = []
        self._filesystems: list[Filesystem] = []
        self._problems: list[Problem] = []
        self._references: list[str] = []
        self._relocations: list[RelocationSeen] = []
        self._count = self._text = self._parts = 0

    def collect(self) -> Generator[None, Message, Look]:
        """Is sent the messages until ``seen``; WorkerError for anything else than a look."""
        for _ in range(_MOST_MESSAGES):
            word, value = yield
            if word == SEEN:
                caches = tuple(replace(cache, entries=tuple(entries)) for cache, entries in self._caches)
                return Look(
                    caches, tuple(self._filesystems), tuple(self._problems), tuple(self._references),
                    tuple(self._relocations),
                )  # fmt: skip
            self._take(word, value)
        raise WorkerError("it does not come to an end")

    def _take(self, word: str, value: object) -> None:
        if word == "cache":
            cache: MeasuredCache = decoder(MeasuredCache)(value)
            if not cache.cache.path.startswith("/") or cache.entries:
                raise WorkerError("a cache without a place")
            self._weigh(cache.cache.path, cache.cache.source, cache.cache.ecosystem)
            self._weigh(*(text for part in cache.parts for text in (part.path, part.mark)))
            self._parts += len(cache.parts)
            if self._parts > _MOST_PARTS:
                raise WorkerError("more parts than any cache has")
            self._caches.append((replace(cache, cache=replace(cache.cache, owner=self._owner)), []))
        elif word == "entries" and self._caches:
            self._take_entries(decoder(tuple[Entry, ...])(value))
        elif word == "filesystems":
            filesystems: tuple[Filesystem, ...] = decoder(tuple[Filesystem, ...])(value)
            self._weigh(*(text for each in filesystems for text in (each.mount, each.type)))
            self._filesystems.extend(filesystems)
        elif word == "problems":
            problems: tuple[Problem, ...] = decoder(tuple[Problem, ...])(value)
            self._weigh(*(text for each in problems for text in (each.path, each.reason)))
            self._problems.extend(problems)
        elif word == "relocations":
            self._take_relocations(decoder(tuple[RelocationSeen, ...])(value))
        elif word == "references":
            references: tuple[str, ...] = decoder(tuple[str, ...])(value)
            self._weigh(*references)
            self._references.extend(references)
        else:
            raise WorkerError(f"an unexpected word, {word[:80]!r}")
        others = len(self._caches) + len(self._filesystems) + len(self._problems) + len(self._references)
        if others > _MOST_OTHERS:
            raise WorkerError("it does not come to an end")

    def _weigh(self, *texts: str) -> None:
        self._text += sum(map(len, texts))
        if self._text > _MOST_TEXT:
            raise WorkerError("it does not come to an end")

    def _take_relocations(self, moves: tuple[RelocationSeen, ...]) -> None:
        for each in moves:
            if not (each.old.startswith("/") and each.new.startswith("/")):
                raise WorkerError("a move without places")
            self._weigh(each.id, each.ecosystem, each.owner, each.old, each.new, each.why)
            self._relocations.append(replace(each, owner=self._owner.name))
        if len(self._relocations) > _MOST_RELOCATIONS:
            raise WorkerError("more moves than anybody makes")

    def _take_entries(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            _check(entry)
            self._count += 1 + len(entry.parts) + len(entry.shares)
            self._weigh(entry.path, *texts_of(entry))
        if self._count > _MOST_ENTRIES:
            raise WorkerError("more entries than any cache has")
        self._caches[-1][1].extend(entries)


def texts_of(entry: Entry) -> tuple[str, ...]:
    """All that an entry says beside its path, of whatever length that is."""
    return (entry.name or "", entry.version or "", entry.hold or "", entry.own_hold or "", *entry.parts)


def _check(entry: Entry) -> None:
    """An entry lies below its cache; the worker that removes it checks that with the kernel, again."""
    names = (*entry.path.split("/"), *entry.parts)
    if any(name in _NO_NAMES for name in names) or any("/" in part for part in entry.parts):
        raise WorkerError(f"an entry outside of its cache: {entry.path[:200]!r}")
