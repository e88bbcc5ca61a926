"""A whole cycle with workers that behave: rounds, failures, relocation, memory."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

import makers
from cachewarden.model.caches import Filesystem, Kind, Look, MeasuredCache, Owner, Problem
from cachewarden.model.errors import WorkerError
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import CycleRecord, Failure, Outcome, Purge, RemovedEntry, State
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings
from cachewarden.model.units import Bytes, Instant, Seconds
from cachewarden.service.cycle import NOT_AVAILABLE, Cycle
from cachewarden.service.remembering import Remembering
from cachewarden.service.workers import Hooks
from fakes import FakeClock, FakeStore

MIB = makers.MIB
BELOW_TEN = Marks(Amount(percent=10), Amount(percent=15))
FREE = Policy("keep-free", ActionKind.PURGE, free_space=BELOW_TEN)


class FakeWorkers:
    """One filesystem whose first freed bytes may vanish into root's reserve, and removals that may fail."""

    def __init__(
        self, looks: dict[str, Look], *, reserve: int = 0, stuck: Iterable[str] = (), busy: bool = False
    ) -> None:
        self.looks = looks
        self.reserve = reserve
        self.stuck = set(stuck)
        self.busy = busy
        self.lost: set[str] = set()
        self.asked: list[list[str]] = []

    def owners(self) -> tuple[Owner, ...]:
        return tuple(makers.owner(name, uid=1000 + number) for number, name in enumerate(self.looks))

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        if owner.name in self.lost:
            raise WorkerError(f"the worker of {owner.name} failed: it ended without an answer")
        return self.looks[owner.name]

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        return ()

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        return ()

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        self.asked.append([chosen.entry.path for chosen in action.entries])
        removed, failures = [], []
        for chosen in action.entries:
            entry = chosen.entry
            if entry.path in self.stuck:
                failures.append(Failure(entry.path, "Operation not permitted", busy=self.busy))
            else:
                gone = RemovedEntry(entry.path, entry.kind, entry.name, entry.version, entry.frees, chosen.reason)
                removed.append(gone)
                hooks.progress(gone)
        freed = sum(gone.freed for gone in removed)
        name = action.cache.owner.name
        self.looks[name] = self._after(self.looks[name], {gone.path for gone in removed}, freed)
        outcome = Outcome(action.policy, "purge", action.cache, tuple(removed), Bytes(freed), tuple(failures))
        return outcome, self.looks[name].filesystems[0]

    def _after(self, look: Look, gone: set[str], freed: int) -> Look:
        hidden = min(freed, self.reserve)
        self.reserve -= hidden
        caches = tuple(
            replace(cache, entries=tuple(entry for entry in cache.entries if entry.path not in gone))
            for cache in look.caches
        )
        disks = tuple(replace(disk, free=Bytes(disk.free + freed - hidden)) for disk in look.filesystems)
        return replace(look, caches=caches, filesystems=disks)


def world(*caches: MeasuredCache, free: int = 0, problems: tuple[Problem, ...] = ()) -> dict[str, Look]:
    return {"ann": Look(caches, (makers.filesystem(free=free),), problems)}


def downloads(count: int, *, size: int = MIB) -> MeasuredCache:
    return makers.cache(*(makers.entry(f"d{number:03}", frees=size) for number in range(count)))


def run(
    workers: FakeWorkers, *policies: Policy, store: FakeStore | None = None, trigger: str = "interval"
) -> CycleRecord:
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(store or FakeStore()), Hooks())
    return cycle.run(Settings(policies=policies), trigger)


def test_a_full_disk_is_brought_to_until_and_no_further() -> None:
    record = run(FakeWorkers(world(downloads(400), free=0)), FREE)
    assert (record.freed, record.after[0].free, record.plan.shortfall) == (150 * MIB, 150 * MIB, 0)


def test_what_vanishes_into_the_reserve_is_made_up_for_in_another_round() -> None:
    workers = FakeWorkers(world(downloads(400), free=0), reserve=50 * MIB)
    record = run(workers, FREE)
    assert (len(workers.asked), record.freed, record.after[0].free) == (2, 200 * MIB, 150 * MIB)


def test_a_reserve_that_swallows_everything_ends_in_a_shortfall_not_in_a_loop() -> None:
    workers = FakeWorkers(world(downloads(20), free=0), reserve=1000 * MIB)
    record = run(workers, FREE)
    assert (record.freed, record.plan.shortfall) == (20 * MIB, 150 * MIB)


def test_an_entry_that_cannot_be_removed_is_replaced_by_the_next_in_the_same_cycle() -> None:
    workers = FakeWorkers(world(downloads(400), free=149 * MIB), stuck=["d000"])
    record = run(workers, replace(FREE, free_space=Marks(Amount(percent=15), Amount(percent=15))))
    assert [entry.path for outcome in record.outcomes for entry in outcome.removed] == ["d001"]


def test_an_owner_of_whom_nothing_can_go_does_not_keep_the_disk_full_for_all() -> None:
    stuck = [makers.entry(f"s{number:03}", frees=200 * MIB, used=100 * makers.DAY) for number in range(150)]
    anns = makers.cache(*stuck)
    bobs = makers.cache(makers.entry("b", frees=200 * MIB), path="/home/bob", of=makers.owner("bob", uid=1001))
    disk = makers.filesystem(free=0)
    looks = {"ann": Look((anns,), (disk,)), "bob": Look((bobs,), (disk,))}
    workers = FakeWorkers(looks, stuck=[entry.path for entry in stuck])
    record = run(workers, FREE)
    assert (workers.asked[-1], len(workers.asked), record.plan.shortfall) == (["b"], 11, 0)


def test_an_owner_alone_has_all_rounds_there_are() -> None:
    stuck = [f"d{number:03}" for number in range(50)]
    workers = FakeWorkers(world(downloads(60, size=200 * MIB), free=0), stuck=stuck)
    record = run(workers, FREE)
    assert (workers.asked[-1], record.plan.shortfall) == (["d050"], 0)


def test_a_cycle_with_nothing_to_do_has_no_outcome_and_stores_nothing() -> None:
    store = FakeStore()
    record = run(FakeWorkers(world(downloads(3), free=900 * MIB)), FREE, store=store)
    assert (record.outcomes, store.saved_cycles, record.plan.standings[0].state) == ((), [], State.SATISFIED)


def test_a_long_purge_is_noted_while_it_goes_on_and_a_short_one_is_not() -> None:
    class Ticking(FakeClock):
        def now(self) -> Instant:
            self.time = Instant(self.time + 10**9 // 20)
            return self.time

    saved = {}
    for count in (4, 400):
        store = FakeStore()
        workers = FakeWorkers(world(downloads(count), free=0))
        Cycle(workers, Ticking(makers.NOW), Remembering(store), Hooks()).run(Settings(policies=(FREE,)), "interval")
        saved[count] = [len(record.outcomes[0].removed) for record in store.saved_cycles]
        assert len({record.id for record in store.saved_cycles}) == 1
    assert saved[4] == [4]
    assert saved[400] == sorted(saved[400])
    assert 2 <= len(saved[400]) <= 5


def test_a_lost_worker_costs_its_owner_only() -> None:
    looks = world(downloads(400), free=0) | {"bob": Look()}
    workers = FakeWorkers(looks)
    workers.lost = {"bob"}
    record = run(workers, FREE)
    assert (record.freed, [problem.reason for problem in record.problems]) == (
        150 * MIB,
        ["the worker of bob failed: it ended without an answer"],
    )


def test_the_same_failure_in_every_cycle_is_one_line_of_history() -> None:
    policy = Policy("move", ActionKind.RELOCATE, free_space=BELOW_TEN, to="/media/usb/{owner}")
    store = FakeStore()
    cycle = Cycle(FakeWorkers(world(downloads(4), free=0)), FakeClock(makers.NOW), Remembering(store), Hooks())
    for _ in range(5):
        cycle.run(Settings(policies=(policy,)), "interval")
    assert len(store.saved_cycles) == 1


def test_a_lost_worker_keeps_the_packages_of_shared_caches() -> None:
    package = makers.entry("numpy-1.0-0", kind=Kind.PACKAGE)
    shared = makers.cache(package, path="/opt/miniforge3/pkgs", ecosystem="conda")
    looks = world(shared, free=0) | {"bob": Look()}
    workers = FakeWorkers(looks)
    workers.lost = {"bob"}
    assert run(workers, FREE).outcomes == ()
    workers.lost = set()
    assert run(workers, FREE).freed == MIB


def test_a_policy_that_freed_nothing_does_not_try_the_same_again() -> None:
    store = FakeStore()
    looks = world(makers.cache(makers.entry("d")), free=0)
    first = FakeWorkers(looks, stuck=["d"])
    run(first, FREE, store=store)
    second = FakeWorkers(looks, stuck=["d"])
    run(second, FREE, store=store)
    assert (first.asked, second.asked) == ([["d"]], [])


def test_it_tries_again_when_the_entry_changed() -> None:
    store = FakeStore()
    run(FakeWorkers(world(makers.cache(makers.entry("d")), free=0), stuck=["d"]), FREE, store=store)
    changed = FakeWorkers(world(makers.cache(makers.entry("d", inode=77)), free=0))
    run(changed, FREE, store=store)
    assert changed.asked == [["d"]]


def test_what_was_only_busy_is_tried_again() -> None:
    store = FakeStore()
    looks = world(makers.cache(makers.entry("d")), free=0)
    run(FakeWorkers(looks, stuck=["d"], busy=True), FREE, store=store)
    again = FakeWorkers(looks)
    run(again, FREE, store=store)
    assert again.asked == [["d"]]


@pytest.mark.parametrize(("otherwise", "freed"), [(ActionKind.PURGE, 150 * MIB), (ActionKind.REPORT, 0)])
def test_relocation_says_that_it_is_not_available_and_takes_otherwise(otherwise: ActionKind, freed: int) -> None:
    policy = Policy("move", ActionKind.RELOCATE, free_space=BELOW_TEN, to="/media/usb/{owner}", otherwise=otherwise)
    record = run(FakeWorkers(world(downloads(400), free=0)), policy)
    refused = next(outcome for outcome in record.outcomes if outcome.action == "relocate")
    assert refused.failures[0].error == f"{NOT_AVAILABLE}; `otherwise: {otherwise.value}` is taken"
    assert record.freed == freed


def test_what_was_asked_for_by_hand_is_freed_once_and_not_in_every_round() -> None:
    policy = Policy("by-hand", ActionKind.PURGE, to_free=Bytes(3 * MIB))
    workers = FakeWorkers(world(downloads(20), free=0), stuck=["d000"])
    record = run(workers, policy)
    assert (record.freed, record.plan.shortfall, workers.asked[1]) == (3 * MIB, 0, ["d003"])


def test_stopping_leaves_the_rest_undone_and_says_what_is_wanting() -> None:
    workers = FakeWorkers({"ann": Look((downloads(5), makers.cache(makers.entry("x"), path="/home/ann/b")),
                                       (makers.filesystem(free=0),))})  # fmt: skip
    hooks = Hooks(may_go_on=lambda: len(workers.asked) == 0)
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(FakeStore()), hooks)
    record = cycle.run(Settings(policies=(FREE,)), "interval")
    assert (len(workers.asked), record.plan.shortfall) == (1, 150 * MIB - record.freed)


def test_a_scheduled_policy_counts_from_when_it_was_first_met_and_acts_when_its_time_came() -> None:
    store = FakeStore()
    policy = Policy("nightly", ActionKind.PURGE, schedule="0 4 * * *", kinds=frozenset({Kind.DOWNLOAD}))
    workers = FakeWorkers(world(downloads(1), free=900 * MIB))
    clock = FakeClock(makers.NOW)
    settings = Settings(policies=(policy,))
    cycle = Cycle(workers, clock, Remembering(store), Hooks())
    assert cycle.run(settings, "start").outcomes == ()
    clock.time = Instant(makers.NOW + 24 * 3600 * 10**9)
    assert cycle.run(settings, "schedule").freed == MIB
    assert cycle.run(settings, "interval").outcomes == ()


def test_use_that_was_seen_earlier_counts_where_the_disk_has_forgotten_it() -> None:
    store = FakeStore()
    used = makers.cache(makers.entry("d", used=0))
    forgot = makers.cache(makers.entry("d", used=90 * makers.DAY))
    policy = Policy("old", ActionKind.PURGE, unused_for=Seconds(30 * makers.DAY))
    run(FakeWorkers(world(used, free=900 * MIB)), policy, store=store)
    assert run(FakeWorkers(world(forgot, free=900 * MIB)), policy, store=store).outcomes == ()
    assert run(FakeWorkers(world(forgot, free=900 * MIB)), policy, store=FakeStore()).freed == MIB


def test_owners_that_are_named_but_unknown_are_a_problem() -> None:
    cycle = Cycle(FakeWorkers(world(downloads(1))), FakeClock(makers.NOW), Remembering(FakeStore()), Hooks())
    snapshot = cycle.look(Settings(owners=("ann", "zoe")))
    assert [problem.path for problem in snapshot.problems] == ["zoe"]
