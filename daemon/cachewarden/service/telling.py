"""What is found, in the messages that tell it: by a worker to the service, and of earlier looks to a worker."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cachewarden.model.caches import Entry, Filesystem, Look, MeasuredCache, Problem
from cachewarden.model.errors import WorkerError
from cachewarden.model.relocations import RelocationSeen
from cachewarden.service.wire import encoder, frame

CHUNK = 500
"""Entries per message: a few hundred kilobytes."""
SEEN = "seen"
"""The last word of a look."""
_LONGEST_TEXT = 4000
_MOST_PROBLEMS = 5000


def tell_look(seen: Look) -> Iterator[bytes]:
    """In pieces, so that a cache of a million entries needs no message of its size."""
    yield from tell_caches(seen.caches)
    tell_filesystem, tell_problem = encoder(Filesystem), encoder(Problem)
    yield frame("filesystems", [tell_filesystem(each) for each in seen.filesystems])
    told = (Problem(tame(each.path), tame(each.reason)) for each in seen.problems[:_MOST_PROBLEMS])
    yield from _pieces("problems", [tell_problem(each) for each in told])
    yield frame("relocations", encoder(tuple[RelocationSeen, ...])(seen.relocations))
    yield from _pieces("references", seen.references)
    yield frame(SEEN)


def tell_caches(caches: Sequence[MeasuredCache]) -> Iterator[bytes]:
    """Each cache, then its entries."""
    tell_cache, tell_entry = encoder(MeasuredCache), encoder(Entry)
    for cache in caches:
        yield frame("cache", tell_cache(replace(cache, entries=())))
        for start in range(0, len(cache.entries), CHUNK):
            yield from _pieces("entries", [tell_entry(entry) for entry in cache.entries[start : start + CHUNK]])


def _pieces(word: str, values: Sequence[object]) -> Iterator[bytes]:
    """A list; in smaller parts where names are so long that it would be too long a message."""
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK]
        try:
            yield frame(word, list(part))
        except WorkerError:
            if len(part) < 2:
                raise
            half = len(part) // 2
            yield from _pieces(word, part[:half])
            yield from _pieces(word, part[half:])


def tame(text: str) -> str:
    """A problem quotes what was found, which may be of any length and hold anything."""
    return text.replace("\0", "\\0")[:_LONGEST_TEXT]
