"""The attacks of one user on all others, part five: what a worker says that cannot be refused, for it could be true.

ann's worker has been taken over, as in part four. What it claims counts for ann alone, and hurts nobody's cycle.
"""

import dataclasses
import json
import mmap
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.disks import set_age
from builders.launched import (
    ENTRY,
    FILESYSTEM,
    LIMITS,
    Homes,
    cache_of,
    give,
    honest,
    in_a_child,
    launched,
    left,
    lying,
    run_cycle,
    tell_look,
)
from builders.siege import strange_lines
from builders.synthetic import pip_responses
from cachewarden.cli.render import json as screens
from cachewarden.model.caches import Cache, Entry, Filesystem, Identity, Kind, MeasuredCache, Owner, Share
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import Outcome, RemovedEntry
from cachewarden.model.policies import Match, Settings
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.service.hooks import Hooks
from cachewarden.service.wire import Channel, encoder
from cachewarden.service.worker import PurgeReply
from cachewarden.service.workers import look_at
from cachewarden.system.runas import Limits
from makers import marks, policy, settings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]

LARGEST = 2**63 - 1


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
        modified=Instant(-LARGEST), last_used=Instant(LARGEST),
        identity=Identity(LARGEST, LARGEST, Instant(-LARGEST)),
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
            disk = dataclasses.replace(FILESYSTEM, device=LARGEST, mount="\x1b[2J", total=Bytes(LARGEST))
            other = dataclasses.replace(disk, device=0, total=Bytes(0))
            tell_look(channel, *extremes(ann), filesystems=(disk, other))
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
        (disk,) = look_at(workers, bob, Hooks()).filesystems
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
        real = look_at(workers, bob, Hooks()).caches
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


def babble(channel: Channel) -> None:
    while True:
        channel.send("problems", [["/x", "y"]] * 100)


DISK: list[object] = encoder(Filesystem)(  # type: ignore[assignment]  # a list
    Filesystem(1, "/", "x", Bytes(1), Bytes(1), Inodes(1), Inodes(1), tracks_atime=True)
)


def gone_of(freed: float) -> list[object]:
    told: list[object] = encoder(RemovedEntry)(RemovedEntry("a", Kind.LOG, None, None, Bytes(0), ""))  # type: ignore[assignment]  # a list
    return [*told[:4], freed, *told[5:]]


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
        lambda channel: channel.send("gone", gone_of(-1)), "expected a number from 0 to 2^63",
    ),
    "more than there is": (
        lambda channel: channel.send("gone", gone_of(2**63)), "expected a number from 0 to 2^63",
    ),
    "no number": (
        lambda channel: channel.send("gone", gone_of(float("nan"))), "expected a number",
    ),
    "a look": (tell_look, "an unexpected word, 'filesystems'"),
    "done, with nothing": (lambda channel: channel.send("done"), "expected the 2 fields of PurgeReply"),
    "the end": (lambda channel: None, "it ended without an answer"),
    "a crash": (lambda channel: os.kill(os.getpid(), signal.SIGSEGV), "it ended without an answer"),
    "silence": (lambda channel: time.sleep(600), "it ended without an answer"),
    "a stop of itself": (lambda channel: os.kill(os.getpid(), signal.SIGSTOP), "it ended without an answer"),
    "no end": (babble, "an unexpected word, 'problems'"),
}  # fmt: skip


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

    with launched(lying(ann, lie), ann, bob, limits=LIMITS | {"purge": Limits(5.0)}) as workers:
        began = time.monotonic()
        record, log, store = run_cycle(workers, PURGE_ALL, tmp_path)
        assert time.monotonic() - began < 15
    (failure,) = next(outcome.failures for outcome in record.outcomes if outcome.cache.owner == ann)
    assert words in failure.error
    assert not [outcome.failures for outcome in record.outcomes if outcome.cache.owner == bob and outcome.failures]
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
            gone = [RemovedEntry(each.path, Kind.LOG, "other", None, Bytes(LARGEST), "lies") for each in made]
            purge_lie(channel, *gone, outcome=outcome)

    with launched(lying(ann, lie), ann, bob, limits=LIMITS) as workers:
        record, log, store = run_cycle(workers, PURGE_ALL, tmp_path)
    assert (left(bob), strange_lines(log), store.trouble) == ([], [], None)
    assert [cycle.freed for cycle in store.cycles(9)] == [LARGEST]
    assert (store.removals("other", 9), {gone.reason for gone in store.removals("six", 9)} & {"lies"}) == ([], set())
    assert sum(outcome.freed for outcome in record.outcomes if outcome.cache.owner == bob) < 2**20


FLOODS: dict[str, Callable[[int], tuple[str, object]]] = {
    "disks": lambda n: (
        "filesystems",
        [[n << 20 | each, *DISK[1:]] for each in range(5000)],
    ),
    "problems": lambda n: ("problems", [["x" * 50_000 + "\U0001f600", "y" * 15_000]] * 50),
    "references": lambda n: ("references", [f"{n}-{each}" for each in range(100_000)]),
    "files of one entry": lambda n: ("entries", [with_parts([f"{each:06}" for each in range(150_000)])]),
    "shared inodes": lambda n: ("entries", [with_shares([[1, each, 1, 1, 1, 0] for each in range(100_000)])]),
}
"""By what there is too much of: one message of it, by number."""


def with_parts(parts: list[str]) -> object:
    told: list[object] = encoder(Entry)(ENTRY)  # type: ignore[assignment]  # a list
    return [*told[:12], parts, *told[13:]]


def with_shares(shares: list[list[int]]) -> object:
    told: list[object] = encoder(Entry)(ENTRY)  # type: ignore[assignment]  # a list
    return [*told[:16], shares, *told[17:]]


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_costs_the_service_neither_its_memory_nor_its_time(homes: Homes, tmp_path: Path, kind: str) -> None:
    """Its watchdog waits for three minutes, and its unit has one gigabyte."""
    ann, bob = homes

    def lie(channel: Channel, work: str) -> None:
        channel.send("cache", encoder(MeasuredCache)(cache_of(ann)))
        for number in range(10_000):
            channel.send(*FLOODS[kind](number))

    def look() -> int:
        with launched(lying(ann, lie), ann, bob, limits=LIMITS | {"look": Limits(60.0)}) as workers:
            with pytest.raises(WorkerError, match=r"it does not come to an end|more entries than any cache has"):
                look_at(workers, ann, Hooks())
            assert len(look_at(workers, bob, Hooks()).caches) == 2
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    began = time.monotonic()
    assert in_a_child(look) < 700, "MiB"
    assert time.monotonic() - began < 120


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

    with launched(lying(ann, lie), ann, bob, limits=LIMITS | {"purge": Limits(5.0)}) as workers:
        began = time.monotonic()
        record, _, _ = run_cycle(workers, PURGE_ALL, tmp_path)
        took = time.monotonic() - began
    assert left(bob) == []
    assert took < 30, "each of the thirty would cost five seconds"
    assert len([each for each in record.outcomes if each.cache.owner == ann]) == 30


def test_hundreds_of_entries_that_cannot_go_do_not_keep_the_disk_full(homes: Homes, tmp_path: Path) -> None:
    """One user's, who forbids it to herself, and the first to go: what a policy wants is taken from the next then."""
    ann, bob = homes
    cache = Path(ann.home, ".cache/pip")
    pip_responses(cache, 300, size=20_000)
    set_age(cache, 1_000_000)
    give(ann)
    for folder, _, _ in os.walk(cache):
        os.chmod(folder, 0o555)
    before = len(left(bob))
    wanted = settings(policy("space", kinds=(Kind.DOWNLOAD,), to_free=20_000))
    with launched(honest, ann, bob) as workers:
        record, log, _ = run_cycle(workers, wanted, tmp_path)
    assert len(left(bob)) < before
    assert (record.plan.shortfalls, strange_lines(log)) == ((), [])
