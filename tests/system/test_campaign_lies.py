"""The attacks of one user on all others, part four: a worker that says what it likes.

ann's worker has been taken over: it lies to the service by every means that a channel has. bob's is the real one. It
may cost ann her cycle, and nobody else anything.
"""

import dataclasses
import json
import mmap
import os
import struct
import time
import typing
from collections.abc import Iterator
from enum import Enum
from types import UnionType

import pytest

from builders.launched import ENTRY, FILESYSTEM, LIMITS, Homes, launched, lying
from cachewarden.model.caches import Cache, Entry, Filesystem, MeasuredCache, Owner, Problem, Quota
from cachewarden.model.errors import WorkerError
from cachewarden.model.units import Bytes, Instant, Serial
from cachewarden.service.hooks import Hooks
from cachewarden.service.wire import Channel, encoder
from cachewarden.service.workers import look_at
from cachewarden.system.runas import Limits

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]

# ---------------------------------------------------------------------------------------------------------
# What is no look


def raw(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def message(word: object, value: object = None, version: object = 1) -> bytes:
    return raw(json.dumps([version, word, value]).encode())


CACHE = MeasuredCache(Cache("pip", "/home/x/.cache/pip", Owner(0, 0, "root", "/root"), "default"), 1, Bytes(1), ())
CACHE = dataclasses.replace(CACHE, quota=Quota(Bytes(2), Bytes(1)))


def head(path: str = CACHE.cache.path, entries: tuple[Entry, ...] = ()) -> bytes:
    cache = dataclasses.replace(CACHE, cache=dataclasses.replace(CACHE.cache, path=path), entries=entries)
    return message("cache", encoder(MeasuredCache)(cache))


GOOD_HEAD = head()
OUTSIDE = "an entry outside of its cache"


def entries(**changes: object) -> bytes:
    told = encoder(Entry)(dataclasses.replace(ENTRY, **changes))  # type: ignore[arg-type]  # lies are of any type
    return GOOD_HEAD + message("entries", [told]) + message("seen")


NO_LOOKS: dict[str, tuple[bytes, str]] = {
    **{
        f"an entry {path!r}": (entries(path=path), OUTSIDE)
        for path in ("../x", "/etc/passwd", "a//b", "", ".", "a/../b", "a/", "..")
    },
    **{
        f"a part {part!r}": (entries(parts=(part,)), OUTSIDE)
        for part in ("../x", "a/b", "", ".", "..", "/etc/passwd")
    },
    "a relative cache": (head("x"), "a cache without a place"),
    "a cache with entries": (head(entries=(ENTRY,)), "a cache without a place"),
    "entries of no cache": (message("entries", [encoder(Entry)(ENTRY)]), "an unexpected word, 'entries'"),
    "another word": (message("do this"), "an unexpected word, 'do this'"),
    "the word of a purge": (
        message("gone", ["a", "download", None, None, 1, "", None]),
        "an unexpected word, 'gone'",
    ),
    "no word": (message(["look"]), "a message without a word"),
    "half a message": (GOOD_HEAD[:-9], "the channel ended in the middle of a message"),
    "half a length": (b"\0\0", "the channel ended in the middle of a message"),
    "4 GiB announced": (b"\xff\xff\xff\xff[", "a message of 4294967295 bytes was announced, more than is allowed"),
    "nothing in it": (raw(b""), "a message is not JSON"),
    "no JSON": (raw(b"\xff\xfe{"), "a message is not JSON"),
    "deep JSON": (raw(b"[" * 1_000_000), "a message is not JSON"),
    "a number of a million digits": (raw(b'[1,"seen",' + b"9" * 1_000_000 + b"]"), "a message is not JSON"),
    "version 0": (message("seen", version=0), "a message has not the form of this version"),
    "version 1 as a text": (message("seen", version="1"), "a message has not the form of this version"),
    "an object": (raw(b'{"v": 1}'), "a message has not the form of this version"),
    "a reason that is none": (message("failed", [["\x1b[2J"] * 1000]), r"\[\["),
    "nothing at all": (b"", "it ended without an answer"),
}


@pytest.mark.parametrize("kind", NO_LOOKS)
def test_what_is_no_look_costs_its_owner_only(homes: Homes, kind: str) -> None:
    ann, bob = homes
    data, words = NO_LOOKS[kind]
    with launched(lying(ann, lambda channel, _: channel._stream.sendall(data)), ann, bob, limits=LIMITS) as workers:
        with pytest.raises(WorkerError, match=f"the worker of ann failed: .*{words}"):
            look_at(workers, ann, Hooks())
        assert len(look_at(workers, bob, Hooks()).caches) == 2


def test_half_a_message_and_then_silence_costs_one_time_limit(homes: Homes) -> None:
    ann, bob = homes

    def lie(channel: Channel, work: str) -> None:
        channel._stream.sendall(GOOD_HEAD[:-1])
        time.sleep(600)

    with launched(lying(ann, lie), ann, bob, limits=LIMITS | {"look": Limits(4.0)}) as workers:
        began = time.monotonic()
        with pytest.raises(WorkerError, match="the channel ended in the middle of a message"):
            look_at(workers, ann, Hooks())
        assert time.monotonic() - began < 15


# ---------------------------------------------------------------------------------------------------------
# Each field, wrong


WRONG: dict[object, tuple[object, ...]] = {
    int: (2**63, -1, 1.5, float("nan"), float("inf"), True, "1", [1], {}),
    Instant: (2**63, -(2**63) - 1, 1.5, float("nan"), False, "1", [1], {}),
    str: (7, True, ["a"], {}, "a\0b", "x" * 65_537),
    bool: (0, 1, "true", None, []),
    tuple: ({}, "ab", 7, None),
    Enum: ("no-kind", 7, ["package"], {}),
    object: ({}, "x", 7, [], None),
}


def wrong_for(wanted: object) -> Iterator[tuple[tuple[int, ...], object]]:
    """Where in a value of a type what can be wrong: the way there, and a value that must be refused."""
    if wanted is Instant:
        yield from (((), lie) for lie in WRONG[Instant])
        return
    if wanted == Serial:
        yield from (((), lie << 1 if lie == 1 << 63 else lie) for lie in (*WRONG[int], None))
        return
    wanted = getattr(wanted, "__supertype__", wanted)
    if isinstance(wanted, UnionType) or typing.get_origin(wanted) is typing.Union:
        inner = next(each for each in typing.get_args(wanted) if each is not type(None))
        yield from ((way, lie) for way, lie in wrong_for(inner) if lie is not None)
    elif typing.get_origin(wanted) is tuple:
        yield from (((), lie) for lie in WRONG[tuple])
        yield from (((0, *way), lie) for way, lie in wrong_for(typing.get_args(wanted)[0]))
    elif dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        yield from (((), lie) for lie in WRONG[object])
        hints = typing.get_type_hints(wanted, include_extras=True)
        for number, field in enumerate(dataclasses.fields(wanted)):
            yield from (((number, *way), lie) for way, lie in wrong_for(hints[field.name]))
    elif isinstance(wanted, type) and issubclass(wanted, Enum):
        yield from (((), lie) for lie in WRONG[Enum])
    else:
        yield from (((), lie) for lie in (*WRONG[wanted], None))


def with_lie(told: object, way: tuple[int, ...], lie: object) -> object:
    if not way:
        return lie
    assert isinstance(told, list)
    return [with_lie(each, way[1:], lie) if number == way[0] else each for number, each in enumerate(told)]


MESSAGES: dict[str, tuple[object, object]] = {
    "cache": (MeasuredCache, CACHE),
    "entries": (tuple[Entry, ...], (ENTRY,)),
    "filesystems": (tuple[Filesystem, ...], (FILESYSTEM,)),
    "problems": (tuple[Problem, ...], (Problem("/x", "y"),)),
    "references": (tuple[str, ...], ("a-1-0",)),
}


@pytest.mark.parametrize("word", MESSAGES)
def test_every_field_of_a_wrong_type_or_size_is_refused(homes: Homes, word: str) -> None:
    ann, bob = homes
    wanted, value = MESSAGES[word]
    told = encoder(wanted)(value)
    lies = [(way, lie) for way, lie in wrong_for(wanted) if with_lie(told, way, lie) != told]
    which = mmap.mmap(-1, 8)  # seen by the workers too

    def lie(channel: Channel, work: str) -> None:
        way, wrong = lies[int.from_bytes(which[:8], "big")]
        channel._stream.sendall(GOOD_HEAD + message(word, with_lie(told, way, wrong)))
        channel.send("seen")

    believed = []
    with launched(lying(ann, lie), ann, bob, limits=LIMITS) as workers:
        for number in range(len(lies)):
            which[:8] = number.to_bytes(8, "big")
            try:
                look_at(workers, ann, Hooks())
                believed.append(lies[number])
            except WorkerError:
                continue
        assert len(look_at(workers, bob, Hooks()).caches) == 2
    assert believed == []
