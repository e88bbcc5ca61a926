"""What one owner may say of own entries, and what of it may be noticed by anybody else."""

import math
import time
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

import makers
from cachewarden.decide import shelf
from cachewarden.decide.appraisal import Appraiser
from cachewarden.decide.worth import Circumstances, worth
from cachewarden.model import versions
from cachewarden.model.caches import Entry, Filesystem, Kind, Look, Owner, Share
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import CycleRecord, Outcome, Plan, Purge, RemovedEntry
from cachewarden.model.policies import Order
from cachewarden.model.relocations import Moved, MoveOrder
from cachewarden.model.units import Bytes, Instant, Seconds
from cachewarden.model.worth import Facts, Regain
from cachewarden.service.cycle import Cycle
from cachewarden.service.hooks import Hooks
from cachewarden.service.remembering import Remembering
from cachewarden.system.regrets import Gone, matches
from fakes import FakeClock, FakeStore, OneByOne
from makers import MIB, NOW, cache, entry, gone, marks, owner, plan, policy, settings, share, snapshot

LARGEST = 2**63 - 1
FIGURES = some.one_of(some.integers(0, 3), some.integers(LARGEST - 3, LARGEST), some.integers(0, LARGEST))
MOMENTS = some.integers(-LARGEST, LARGEST).map(Instant)
FACTS = some.builds(
    Facts,
    some.sampled_from(Regain),
    fetch=some.none() | FIGURES.map(Bytes),
    build=some.none() | FIGURES.map(Seconds),
    uses=FIGURES,
    installed=some.none() | some.booleans(),
    orphan=some.booleans(),
    standing=some.booleans(),
)
SHARES = some.builds(Share, FIGURES, FIGURES, FIGURES, FIGURES, FIGURES.map(Bytes), FIGURES.map(Bytes))
TOLD = some.builds(
    lambda facts, modified, used, size, frees, maybe, shares, kind: replace(
        entry("told", kind=kind), facts=facts, modified=modified, last_used=used, size=Bytes(size),
        frees=Bytes(frees), maybe=Bytes(maybe), shares=tuple(shares),
    ),
    some.none() | FACTS, MOMENTS, some.none() | MOMENTS, FIGURES, FIGURES, FIGURES, some.lists(SHARES, max_size=3),
    some.sampled_from(Kind),
)  # fmt: skip
"""All that the protocol lets a worker say."""


@given(TOLD, FIGURES, some.booleans(), some.booleans(), some.booleans())
def test_no_figure_makes_a_worth_that_is_no_number(
    told: Entry, speed: int, online: bool, superseded: bool, built: bool
) -> None:
    found = worth(told, Circumstances(NOW, speed, online), superseded=superseded, built=built)
    assert all(math.isfinite(each) for each in (found.value, found.cost, found.chance))
    assert found.value >= 0


@given(some.lists(TOLD, min_size=2, max_size=6), some.sampled_from(Order), some.randoms())
def test_whatever_is_said_there_is_one_order(told: list[Entry], order: Order, chance: object) -> None:
    entries = [replace(each, path=f"{number}") for number, each in enumerate(told)]
    seen = cache(*entries)
    found = [(seen, each) for each in entries]
    appraiser = Appraiser(snapshot(seen), settings())
    forwards, backwards = (appraiser.ordered(order, each, lambda _: ()) for each in (found, found[::-1]))
    assert forwards == backwards
    assert sorted(entry.path for _, entry in forwards) == sorted(each.path for each in entries)


def test_what_one_says_of_an_inode_does_not_make_anothers_entry_go_for_nothing() -> None:
    """bob's file has another name elsewhere: its going frees nothing, whatever eve says of that inode."""
    lie = replace(share(7, needed=1), held=2**62)
    eves = cache(entry("e", frees=1, shares=(lie,)), of=owner("eve", uid=1001), path="/home/eve/.cache/pip")
    bobs = cache(entry("b", frees=0, size=MIB, inodes=0, shares=(share(7),)))
    assert gone(plan(snapshot(eves, bobs, free=0), policy(free_space=marks("10%")))) == ["e"]


class Liars(OneByOne):
    """bob's worker is honest; eve's says of each entry that it went and freed all that it was to free."""

    def __init__(self, bobs: Look, eves: Look, really: int = 0) -> None:
        self.looks = {"bob": bobs, "eve": eves}
        self.free = 0
        self.really = really

    def owners(self) -> tuple[Owner, ...]:
        return owner("bob", uid=1000), owner("eve", uid=1001)

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        return replace(self.looks[owner.name], filesystems=(self._disk(),))

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        return ()

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        return ()

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        return ()

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        removed = tuple(
            RemovedEntry(each.entry.path, each.entry.kind, None, None, each.entry.frees, "")
            for each in action.entries
        )
        freed = Bytes(sum(each.freed for each in removed))
        self.free += freed if action.cache.owner.name == "bob" else self.really
        return Outcome(action.policy, "purge", action.cache, removed, freed), self._disk()

    def _disk(self) -> Filesystem:
        return makers.filesystem(free=self.free)


@pytest.mark.parametrize("really", [0, 4096], ids=["nothing", "one block each time"])
@pytest.mark.parametrize(("frees", "maybe"), [(2**62, 0), (4096, 2**62)], ids=["frees", "maybe"])
def test_who_promises_whole_disks_and_frees_nothing_keeps_no_disk_full(really: int, frees: int, maybe: int) -> None:
    """Each of a thousand entries would be enough by itself, and goes before all others."""
    lie = replace(entry(frees=frees), facts=Facts(Regain.NOTHING), maybe=Bytes(maybe))
    lies = [replace(lie, path=f"e{number:04}") for number in range(1000)]
    eves = cache(*lies, of=owner("eve", uid=1001), path="/home/eve/.cache/pip")
    bobs = cache(*(entry(f"b{number}", frees=200 * MIB) for number in range(2)), path="/home/bob/.cache/pip")
    bobs = replace(bobs, cache=replace(bobs.cache, owner=owner("bob", uid=1000)))
    workers = Liars(Look((bobs,)), Look((eves,)), really)
    record = Cycle(workers, FakeClock(NOW), Remembering(FakeStore()), Hooks()).run(
        settings(policy("free", free_space=marks("10%"))), "a test"
    )
    assert workers.free >= 100 * MIB
    assert not record.plan.shortfalls


def test_names_and_versions_without_end_are_not_kept_in_memory_for_good() -> None:
    tracemalloc.start()
    try:
        for number in range(200):
            versions.version_key(f"1.{number}.{'9' * 60_000}")
            shelf.normal(f"{number}{'X' * 60_000}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * MIB


def test_paths_of_which_each_fills_the_state_are_not_remembered() -> None:
    """Two thousand of 64 KiB fit into one look: 128 MiB in the state, for each of the owner's caches."""
    long, usual = (f"{number}{'x' * 60_000}" for number in range(1300)), (f"{number}" for number in range(1300))
    store = FakeStore()
    for where, paths in (("/home/eve/a", long), ("/home/bob/b", usual)):
        uid = 1001 if "eve" in where else 1000
        seen = snapshot(cache(*(entry(path) for path in paths), of=owner(where.split("/")[2], uid=uid), path=where))
        record = CycleRecord("c", "a test", NOW, NOW, Plan(), ())
        remembering = Remembering(store)
        remembering.learn(remembering.recall(seen, settings()), record, settings())
    assert (len(store.sightings("1001 /home/eve/a")), len(store.sightings("1000 /home/bob/b"))) == (0, 1300)


def test_very_many_of_one_name_that_come_back_take_no_time_that_grows_with_their_square() -> None:
    number = 20_000
    ours = cache().cache
    back = [(ours, replace(entry(f"new{each}"), modified=NOW)) for each in range(number)]
    removed = [
        Gone(each, Instant(NOW - 1), "ann", ours.path, f"old{each}", "download", "numpy", "1.26.4", noted=False)
        for each in range(number)
    ]
    began = time.process_time()
    assert len(list(matches(back, (), removed, NOW))) == number
    assert time.process_time() - began < 5
