"""The attacks of one user on all others, part four: a worker that says what it likes.

ann's worker has been taken over: it lies to the service by every means that a channel has. bob's is the real one. It
may cost ann her cycle, and nobody else anything.
"""

import dataclasses
import json
import mmap
import os
import shutil
import signal
import socket
import struct
import time
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import UnionType

import pytest

from builders.launched import Body, give, honest, launched, run_cycle, two_homes
from builders.siege import fill_conda, fill_pip, strange_lines
from cachewarden.cli.render import json as screens
from cachewarden.model.caches import (
    Cache,
    Entry,
    Filesystem,
    Identity,
    Kind,
    MeasuredCache,
    Owner,
    Problem,
    Share,
)
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import Outcome, RemovedEntry
from cachewarden.model.policies import Match, Settings
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.service.wire import Channel, encoder
from cachewarden.service.worker import PurgeReply
from cachewarden.service.workers import Hooks
from cachewarden.system.runas import Limits
from makers import marks, policy, settings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]

LIMITS = {"look": Limits(2.0), "purge": Limits(2.0), "watch": Limits(None, threads=True)}
Homes = tuple[Owner, Owner]
LARGEST = 2**63 - 1
ENTRY = Entry(
    path="http-v2/a", kind=Kind.DOWNLOAD, name="six", version="1.0", size=Bytes(1), frees=Bytes(1), frees_inodes=Inodes(1),
    modified=Instant(5), last_used=Instant(6), identity=Identity(1, 2, Instant(3)), rank=40, hold="x", parts=("b",), tree=False,
    shares=(Share(1, 9, 2, 1, Bytes(1)),),
)  # fmt: skip
FILESYSTEM = Filesystem(1, "/home", "ext4", Bytes(9), Bytes(9), Inodes(9), Inodes(9), tracks_atime=True)


@pytest.fixture
def homes() -> Iterator[Homes]:
    """bob's caches are real."""
    with two_homes() as (ann, bob):
        fill_pip(Path(bob.home, ".cache/pip"))
        fill_conda(Path(bob.home, ".conda/pkgs"))
        shutil.rmtree(Path(bob.home, ".conda/pkgs/.cachewarden-trash"))  # it goes by itself, whatever the policies
        give(bob)
        yield ann, bob


def left(owner: Owner) -> list[str]:
    """What is in both caches of an owner, but for what always stays."""
    stays = {"urls.txt"}
    return [path.name for path in Path(owner.home).rglob("*") if path.is_file() and path.name not in stays]


def cache_of(owner: Owner, path: str = "", entries: tuple[Entry, ...] = ()) -> MeasuredCache:
    return MeasuredCache(Cache("pip", path or f"{owner.home}/.cache/pip", owner, "default"), 1, Bytes(1), entries)


def tell_look(channel: Channel, *caches: MeasuredCache, filesystems: tuple[Filesystem, ...] = ()) -> None:
    for cache in caches:
        channel.send("cache", encoder(MeasuredCache)(dataclasses.replace(cache, entries=())))
        channel.send("entries", encoder(tuple[Entry, ...])(cache.entries))
    channel.send("filesystems", encoder(tuple[Filesystem, ...])(filesystems))
    channel.send("seen")


def lying(ann: Owner, lie: Callable[[Channel, str], None]) -> Body:
    """ann's worker lies, the others are honest."""

    def body(owner: Owner, stream: socket.socket, work: str) -> None:
        if owner.uid == ann.uid:
            channel = Channel(stream)
            while (request := channel.receive()) and request[0] not in {"look", "go"}:
                pass
            lie(channel, work)
        else:
            honest(owner, stream, work)

    return body


# ---------------------------------------------------------------------------------------------------------
# What is no look


def raw(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def message(word: object, value: object = None, version: object = 1) -> bytes:
    return raw(json.dumps([version, word, value]).encode())


GOOD_CACHE = ["pip", "/home/x/.cache/pip", [0, 0, "root", "/root"], "default"]
GOOD_HEAD = message("cache", [GOOD_CACHE, 1, 4096, []])
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
    "a relative cache": (message("cache", [["pip", "x", GOOD_CACHE[2], "y"], 1, 1, []]), "a cache without a place"),
    "a cache with entries": (
        message("cache", [GOOD_CACHE, 1, 1, [encoder(Entry)(ENTRY)]]),
        "a cache without a place",
    ),
    "entries of no cache": (message("entries", [encoder(Entry)(ENTRY)]), "an unexpected word, 'entries'"),
    "another word": (message("do this"), "an unexpected word, 'do this'"),
    "the word of a purge": (message("gone", ["a", "download", None, None, 1, ""]), "an unexpected word, 'gone'"),
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
            workers.look(ann, Hooks())
        assert len(workers.look(bob, Hooks()).caches) == 2


def test_half_a_message_and_then_silence_costs_one_time_limit(homes: Homes) -> None:
    ann, bob = homes

    def lie(channel: Channel, work: str) -> None:
        channel._stream.sendall(GOOD_HEAD[:-1])
        time.sleep(600)

    with launched(lying(ann, lie), ann, bob, limits=LIMITS | {"look": Limits(0.5)}) as workers:
        began = time.monotonic()
        with pytest.raises(WorkerError, match="the channel ended in the middle of a message"):
            workers.look(ann, Hooks())
        assert time.monotonic() - began < 5


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
    wanted = getattr(wanted, "__supertype__", wanted)
    if isinstance(wanted, UnionType) or typing.get_origin(wanted) is typing.Union:
        inner = next(each for each in typing.get_args(wanted) if each is not type(None))
        yield from ((way, lie) for way, lie in wrong_for(inner) if lie is not None)
    elif typing.get_origin(wanted) is tuple:
        yield from (((), lie) for lie in WRONG[tuple])
        yield from (((0, *way), lie) for way, lie in wrong_for(typing.get_args(wanted)[0]))
    elif dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        yield from (((), lie) for lie in WRONG[object])
        hints = typing.get_type_hints(wanted)
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
    "cache": (MeasuredCache, MeasuredCache(Cache("pip", "/x", Owner(1, 1, "a", "/"), "y"), 1, Bytes(1), ())),
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
                workers.look(ann, Hooks())
                believed.append(lies[number])
            except WorkerError:
                continue
        assert len(workers.look(bob, Hooks()).caches) == 2
    assert believed == []


# ---------------------------------------------------------------------------------------------------------
# What may be believed, and harms nobody


def purge_lie(channel: Channel, *gone: RemovedEntry, outcome: Outcome | None = None) -> None:
    for each in gone:
        channel.send("gone", encoder(RemovedEntry)(each))
    cache = Cache("pip", "/etc", Owner(0, 0, "root", "/root"), "x")
    channel.send("done", encoder(PurgeReply)(PurgeReply(outcome or Outcome("x", "y", cache), FILESYSTEM)))


def extremes(owner: Owner) -> tuple[MeasuredCache, ...]:
    """All that the types allow, in one look."""
    text = "\x1b[2J\n\u202e\udcff" * 1000
    entry = dataclasses.replace(
        ENTRY, name=text, version=text, size=Bytes(LARGEST), frees=Bytes(LARGEST), frees_inodes=Inodes(LARGEST),
        modified=Instant(-LARGEST), last_used=Instant(LARGEST), identity=Identity(LARGEST, LARGEST, Instant(-LARGEST)),
        rank=LARGEST, hold=None, prune=LARGEST, shares=(Share(0, 0, 0, LARGEST, Bytes(LARGEST)),) * 3,
    )  # fmt: skip
    made = tuple(dataclasses.replace(entry, path=f"x/{number}", leftover=number % 2 == 0) for number in range(6))
    cache = Cache(text, f"/{text}", Owner(0, 0, "root", "/root"), text)
    return (
        MeasuredCache(cache, LARGEST, Bytes(LARGEST), made),
        MeasuredCache(dataclasses.replace(cache, path=f"{owner.home}/x", ecosystem="pip"), 0, Bytes(LARGEST), made),
    )


PURGE_ALL = settings(policy("all"))
SIZES = settings(policy("sizes", size=marks(1)), policy("space", free_space=marks("90%")))


@pytest.mark.parametrize("by", [PURGE_ALL, SIZES], ids=["everything", "marks"])
def test_figures_beyond_all_bounds_cost_nobody_the_cycle_or_its_memory(
    homes: Homes, tmp_path: Path, by: Settings
) -> None:
    ann, bob = homes

    def lie(channel: Channel, work: str) -> None:
        if work == "look":
            disk = dataclasses.replace(
                FILESYSTEM, device=LARGEST, mount="\x1b[2J", total=LARGEST, free=0, inodes_total=0
            )
            tell_look(channel, *extremes(ann), filesystems=(disk, dataclasses.replace(disk, device=0, total=0)))
        else:
            gone = [RemovedEntry(f"x/{n}", Kind.LOG, "\n", "\n", Bytes(LARGEST), "\n") for n in range(0, 6, 2)]
            purge_lie(channel, *gone)

    with launched(lying(ann, lie), ann, bob, limits=LIMITS) as workers:
        record, log, store = run_cycle(workers, by, tmp_path)
    assert (left(bob), strange_lines(log), store.trouble) == ([], [], None)
    assert [cycle.id for cycle in store.cycles(9)] == [record.id]
    assert len(store.removals("six", 9)) == 1
    json.loads(screens.text(screens.done(record), pretty=False))


Claim = Callable[[Owner, Owner, Filesystem], tuple[tuple[MeasuredCache, ...], tuple[Filesystem, ...]]]


def real_disk(bob: Owner) -> Filesystem:
    """The one that bob's caches are on, as his worker tells it."""
    with launched(honest, bob) as workers:
        (disk,) = workers.look(bob, Hooks()).filesystems
    return disk


def full(disk: Filesystem, **changes: object) -> Filesystem:
    return dataclasses.replace(disk, free=Bytes(0), inodes_free=Inodes(0), **changes)  # type: ignore[arg-type]  # by name


DISKS: dict[str, Callable[[Filesystem], Filesystem]] = {
    "bob's": full,
    "bob's, mounted elsewhere": lambda disk: full(disk, mount="/proc"),
    "bob's, mounted nowhere": lambda disk: full(disk, mount="/nonexistent"),
    "another, in its place": lambda disk: full(disk, device=disk.device + 1),
    "bob's, and tiny": lambda disk: full(disk, total=Bytes(1), inodes_total=Inodes(1)),
    "bob's, and huge": lambda disk: dataclasses.replace(disk, total=Bytes(LARGEST), inodes_total=Inodes(LARGEST)),
    "bob's, read only": lambda disk: dataclasses.replace(disk, read_only=True),
}


@pytest.mark.parametrize("kind", DISKS)
def test_what_one_says_of_a_disk_has_no_cache_of_another_purged_or_kept(
    homes: Homes, tmp_path: Path, kind: str
) -> None:
    """The disk has room: bob's caches stay. Where a policy wants more than there is they go."""
    ann, bob = homes
    disk = real_disk(bob)
    told = DISKS[kind](disk)
    cache = dataclasses.replace(cache_of(ann), device=told.device)
    body = lying(ann, lambda channel, work: tell_look(channel, cache, filesystems=(told,)))
    before = left(bob)
    with launched(body, ann, bob, limits=LIMITS) as workers:
        for mark, stays in ((max(1, disk.free // 2), before), (disk.free * 2, [])):
            run_cycle(workers, settings(policy("space", free_space=marks(mark))), tmp_path)
            assert left(bob) == stays


@pytest.mark.parametrize("twice", [False, True], ids=["once", "and again"])
def test_one_who_claims_the_cache_of_another_has_nothing_of_it(homes: Homes, tmp_path: Path, twice: bool) -> None:
    ann, bob = homes
    with launched(honest, bob) as workers:
        real = workers.look(bob, Hooks()).caches
    asked = mmap.mmap(-1, 8)

    def lie(channel: Channel, work: str) -> None:
        if work == "look":
            tell_look(channel, *(real * (2 if twice else 1)))
        else:
            asked[0] = 1
            purge_lie(channel)

    before = left(bob)
    with launched(lying(ann, lie), ann, bob, limits=LIMITS) as workers:
        for_ann = settings(policy("hers", match=Match(owners=("ann",))))
        record, log, _ = run_cycle(workers, for_ann, tmp_path)
        assert left(bob) == before, "what is hers by her word alone is removed with her rights"
        assert asked[0] == 1
        assert {outcome.cache.owner.name for outcome in record.outcomes} == {"ann"}
        record, log, _ = run_cycle(workers, PURGE_ALL, tmp_path)
    assert left(bob) == []
    assert f"all: removed 8 entries of {bob.home}/.cache/pip" in log


PURGES: dict[str, tuple[Callable[[Channel], object], str]] = {
    "what nobody asked for": (
        lambda channel: purge_lie(channel, RemovedEntry("b", Kind.LOG, None, None, Bytes(1), "")),
        "it says that something went that nobody asked for",
    ),
    "the same twice": (
        lambda channel: purge_lie(channel, *[RemovedEntry("a", Kind.LOG, None, None, Bytes(1), "")] * 2),
        "it says that something went that nobody asked for",
    ),
    "an absolute path": (
        lambda channel: purge_lie(channel, RemovedEntry("/etc/passwd", Kind.LOG, None, None, Bytes(1), "")),
        "it says that something went that nobody asked for",
    ),
    "less than nothing": (
        lambda channel: channel.send("gone", ["a", "log", None, None, -1, ""]), "expected a number from 0 to 2^63",
    ),
    "more than there is": (
        lambda channel: channel.send("gone", ["a", "log", None, None, 2**63, ""]), "expected a number from 0 to 2^63",
    ),
    "no number": (
        lambda channel: channel.send("gone", ["a", "log", None, None, float("nan"), ""]), "expected a number",
    ),
    "a look": (lambda channel: tell_look(channel), "an unexpected word, 'filesystems'"),
    "done, with nothing": (lambda channel: channel.send("done"), "expected the 2 fields of PurgeReply"),
    "the end": (lambda channel: None, "it ended without an answer"),
    "a crash": (lambda channel: os.kill(os.getpid(), signal.SIGSEGV), "it ended without an answer"),
    "silence": (lambda channel: time.sleep(600), "it ended without an answer"),
    "a stop of itself": (lambda channel: os.kill(os.getpid(), signal.SIGSTOP), "it ended without an answer"),
    "no end": (lambda channel: babble(channel), "an unexpected word, 'problems'"),
}  # fmt: skip


def babble(channel: Channel) -> None:
    while True:
        channel.send("problems", [["/x", "y"]] * 100)


@pytest.mark.parametrize("kind", PURGES)
def test_what_is_no_purge_costs_its_owner_only(homes: Homes, tmp_path: Path, kind: str) -> None:
    ann, bob = homes
    tell, words = PURGES[kind]
    entry = dataclasses.replace(ENTRY, path="a", hold=None)

    def lie(channel: Channel, work: str) -> None:
        if work == "look":
            tell_look(channel, cache_of(ann, entries=(entry,)))
        else:
            tell(channel)

    with launched(lying(ann, lie), ann, bob, limits=LIMITS | {"purge": Limits(1.0)}) as workers:
        began = time.monotonic()
        record, log, store = run_cycle(workers, PURGE_ALL, tmp_path)
        assert time.monotonic() - began < 6
    (failure,) = next(outcome.failures for outcome in record.outcomes if outcome.cache.owner == ann)
    assert words in failure.error
    assert (left(bob), strange_lines(log), len(store.cycles(9))) == ([], [], 1)


def test_forged_figures_of_what_was_freed_are_told_as_they_are_and_cost_no_history(
    homes: Homes, tmp_path: Path
) -> None:
    ann, bob = homes
    made = tuple(dataclasses.replace(ENTRY, path=str(number), hold=None) for number in range(3))
    outcome = Outcome("x", "y", cache_of(ann).cache, freed=Bytes(LARGEST), incomplete=True)

    def lie(channel: Channel, work: str) -> None:
        if work == "look":
            tell_look(channel, cache_of(ann, entries=made))
        else:
            gone = [RemovedEntry(each.path, Kind.LOG, "a", None, Bytes(LARGEST), "") for each in made]
            purge_lie(channel, *gone, outcome=outcome)

    with launched(lying(ann, lie), ann, bob, limits=LIMITS) as workers:
        record, log, store = run_cycle(workers, PURGE_ALL, tmp_path)
    assert (left(bob), strange_lines(log), store.trouble) == ([], [], None)
    assert [cycle.freed for cycle in store.cycles(9)] == [LARGEST]
    assert sum(outcome.freed for outcome in record.outcomes if outcome.cache.owner == bob) < 2**20


@pytest.mark.parametrize("stopped", [False, True], ids=["sleeping", "stopped by its owner"])
def test_one_whose_workers_hang_in_every_cache_costs_one_time_limit(
    homes: Homes, tmp_path: Path, stopped: bool
) -> None:
    """A user may name a thousand caches, by configuration alone; each could cost its own time limit."""
    ann, bob = homes
    caches = [cache_of(ann, f"{ann.home}/{n}", (dataclasses.replace(ENTRY, hold=None),)) for n in range(30)]

    def lie(channel: Channel, work: str) -> None:
        if work == "look":
            tell_look(channel, *caches)
        elif stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            time.sleep(600)

    with launched(lying(ann, lie), ann, bob, limits=LIMITS | {"purge": Limits(1.0)}) as workers:
        began = time.monotonic()
        record, log, _ = run_cycle(workers, PURGE_ALL, tmp_path)
        took = time.monotonic() - began
    assert left(bob) == []
    assert took < 5
    assert len([each for each in record.outcomes if each.cache.owner == ann]) == 30
