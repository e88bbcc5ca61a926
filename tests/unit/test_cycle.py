"""A whole cycle with workers that behave: rounds, failures, relocation, memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest

import makers
from cachewarden.model.caches import Filesystem, Kind, Look, MeasuredCache, Owner, Problem, Quota
from cachewarden.model.errors import WorkerError
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import CycleRecord, Failure, Outcome, Purge, RemovedEntry, State
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings, SpaceOf
from cachewarden.model.relocations import (
    Errand,
    Heading,
    Method,
    Moved,
    MoveOrder,
    Phase,
    Presence,
    Prospect,
    RelocationSeen,
)
from cachewarden.model.units import Bytes, Inodes, Instant, Seconds
from cachewarden.service.cycle import Cycle
from cachewarden.service.earlier import KnownOf, nothing_known
from cachewarden.service.hooks import Hooks
from cachewarden.service.remembering import Remembering
from cachewarden.system.ports import Space
from fakes import FakeClock, FakeStore, OneByOne

MIB = makers.MIB
BELOW_TEN = Marks(Amount(percent=10), Amount(percent=15))
FREE = Policy("keep-free", ActionKind.PURGE, free_space=BELOW_TEN)


class FakeWorkers(OneByOne):
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
        self.orders: list[MoveOrder] = []
        self.refuses, self.waits, self.stops = "", "", False

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        self.orders.append(order)
        if order.errand is Errand.SETTLE:
            look = self.looks[owner.name]
            settled = tuple(replace(each, phase=Phase.SETTLED) for each in look.relocations)
            self.looks[owner.name] = replace(look, relocations=settled)
            return tuple(Moved(each.old, each.new, Phase.SETTLED, "moved") for each in look.relocations)
        if why := self.refuses or self.waits:
            return (Moved(order.cache, order.to, Phase.OVER, why, error=why, busy=bool(self.waits), refused=True),)
        if order.errand is Errand.CHECK:
            prospect = Prospect(order.ecosystem, order.cache, order.to, order.method, contents=Bytes(MIB))
            return (Moved(order.cache, order.to, Phase.OVER, "it can be moved", prospect=prospect),)
        if self.stops:
            return (Moved(order.cache, order.to, Phase.COPYING, "stopped", stopped=True),)
        return (self._moved(owner, order),)

    def _moved(self, owner: Owner, order: MoveOrder) -> Moved:
        look = self.looks[owner.name]
        (going,) = [each for each in look.caches if each.cache.path == order.cache]
        freed = sum(entry.frees for entry in going.entries)
        caches = tuple(each for each in look.caches if each is not going)
        disks = tuple(replace(disk, free=Bytes(disk.free + freed)) for disk in look.filesystems)
        self.looks[owner.name] = replace(look, caches=caches, filesystems=disks)
        return Moved(order.cache, order.to, Phase.SETTLED, "moved", copied=Bytes(freed), freed=Bytes(freed))

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
    workers = FakeWorkers(world(downloads(4), free=0))
    workers.refuses = "no disk is mounted there"
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(store), Hooks())
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


MOVE = Policy("move", ActionKind.RELOCATE, free_space=BELOW_TEN, to="/media/usb/{owner}")


@pytest.mark.parametrize(("otherwise", "freed"), [(ActionKind.PURGE, 150 * MIB), (ActionKind.REPORT, 0)])
def test_where_a_destination_is_unfit_the_policy_takes_otherwise(otherwise: ActionKind, freed: int) -> None:
    workers = FakeWorkers(world(downloads(400), free=0))
    workers.refuses = "no disk is mounted there"
    record = run(workers, replace(MOVE, otherwise=otherwise))
    refused = next(outcome for outcome in record.outcomes if outcome.action == "relocate")
    assert "no disk is mounted there; `otherwise: " + otherwise.value in refused.failures[0].error
    assert (record.freed, [order.errand for order in workers.orders]) == (freed, [Errand.CHECK])


def test_a_policy_moves_a_cache_and_the_disks_are_looked_at_again() -> None:
    workers = FakeWorkers(world(downloads(400), free=0))
    record = run(workers, MOVE)
    assert [(each.action, each.freed) for each in record.outcomes] == [("relocate", 400 * MIB)]
    assert [order.errand for order in workers.orders] == [Errand.CHECK, Errand.RELOCATE]
    assert (workers.orders[1].to, workers.orders[1].by_policy, record.plan.shortfall) == ("/media/usb/ann", True, 0)
    assert record.after[0].free == 400 * MIB


def test_a_second_cache_is_moved_only_while_the_first_did_not_free_enough() -> None:
    second = makers.cache(makers.entry("x", size=90 * MIB), path="/home/ann/b")
    policy = replace(MOVE, to="/media/usb/{owner}/{ecosystem}")
    record = run(FakeWorkers(world(downloads(400), second, free=0)), policy)
    assert [outcome.cache.path for outcome in record.outcomes] == ["/home/ann/.cache/pip"]


def test_a_move_that_has_to_wait_for_a_tool_is_not_replaced_by_a_purge() -> None:
    workers = FakeWorkers(world(downloads(400), free=0))
    workers.waits = "pip is running (process 812)"
    record = run(workers, replace(MOVE, otherwise=ActionKind.PURGE))
    assert (record.freed, record.outcomes) == (0, ())
    assert [skip.reason for skip in record.plan.skips] == ["pip is running (process 812)"]


def test_a_move_that_lets_others_have_their_turn_is_unfinished_and_tried_once_in_a_cycle() -> None:
    workers = FakeWorkers(world(downloads(400), free=0))
    workers.stops = True
    record = run(workers, MOVE)
    assert [(each.action, each.incomplete) for each in record.outcomes] == [("relocate", True)]
    assert [order.errand for order in workers.orders] == [Errand.CHECK, Errand.RELOCATE]


def test_a_move_stands_in_the_history_before_it_begins() -> None:
    store = FakeStore()
    run(FakeWorkers(world(downloads(400), free=0)), MOVE, store=store)
    first = store.saved_cycles[0].outcomes[0]
    assert (first.action, first.incomplete, first.moved and first.moved.phase) == ("relocate", True, Phase.COPYING)


def unfinished(**changes: object) -> RelocationSeen:
    seen = RelocationSeen(
        "1", "pip", "ann", "/home/ann/.cache/pip", "/media/usb/pip", Method.CONFIG, Phase.REMOVING, Heading.OUT,
        Presence.HERE, makers.NOW,
    )  # fmt: skip
    return replace(seen, **changes)  # type: ignore[arg-type]  # fields of the class by name


def test_what_was_begun_is_finished_before_any_policy() -> None:
    looks = {"ann": Look((downloads(5),), (makers.filesystem(free=900 * MIB),), relocations=(unfinished(),))}
    workers = FakeWorkers(looks)
    record = run(workers, FREE)
    assert [(each.policy, each.action) for each in record.outcomes] == [("finish-moves", "relocate")]
    assert [order.errand for order in workers.orders] == [Errand.SETTLE]


def test_each_move_that_was_finished_stands_under_its_own_ecosystem() -> None:
    conda = unfinished(ecosystem="conda", old="/home/ann/.conda/pkgs", new="/media/usb/conda")
    looks = {"ann": Look((), (makers.filesystem(free=900 * MIB),), relocations=(unfinished(), conda))}
    record = run(FakeWorkers(looks), FREE)
    assert [(each.cache.ecosystem, each.cache.path) for each in record.outcomes] == [
        ("pip", "/home/ann/.cache/pip"), ("conda", "/home/ann/.conda/pkgs"),
    ]  # fmt: skip


def test_a_worker_that_was_lost_or_names_a_place_of_somebody_else_counts_for_the_move_it_was_asked_about() -> None:
    class Strange(FakeWorkers):
        def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
            if self.lost:
                raise WorkerError("the worker of ann failed: it ended without an answer")
            return (Moved("/home/bob/.cache/pip", "/x", Phase.SETTLED, "moved"),)

    for lost in ({"ann"}, set()):
        workers = Strange({"ann": Look((), (makers.filesystem(free=900 * MIB),), relocations=(unfinished(),))})
        cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(FakeStore()), Hooks())
        cycle.look(Settings())
        workers.lost = lost
        moves = cycle._moves
        (outcome,) = moves.settle((unfinished(),))
        assert outcome.moved
        assert (outcome.cache.path, outcome.moved.destination) == ("/home/ann/.cache/pip", "/media/usb/pip")


def test_a_move_that_fails_as_before_does_not_stay_in_the_history_as_begun() -> None:
    class Failing(FakeWorkers):
        def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
            if order.errand is Errand.CHECK:
                return super().move(owner, order, hooks)
            return (Moved(order.cache, order.to, Phase.OVER, "no", error="PIP_CACHE_DIR is set", refused=True),)

    store = FakeStore()
    cycle = Cycle(Failing(world(downloads(4), free=0)), FakeClock(makers.NOW), Remembering(store), Hooks())
    for _ in range(3):
        last = cycle.run(Settings(policies=(MOVE,)), "interval")
        assert store.saved_cycles[-1] == last


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"phase": Phase.SETTLED}, False),
        ({"phase": Phase.SETTLED, "presence": Presence.MISSING}, True),
        ({"phase": Phase.SETTLED, "presence": Presence.FAILING}, True),
        ({"phase": Phase.SETTLED, "presence": Presence.READ_ONLY}, True),
        ({"phase": Phase.SETTLED, "presence": Presence.FULL}, True),
        ({"phase": Phase.AWAY, "presence": Presence.MISSING}, False),
        ({"phase": Phase.AWAY, "presence": Presence.HERE}, True),
        ({"phase": Phase.COPYING, "waits": True}, False),
    ],
)
def test_a_worker_is_asked_only_when_something_can_be_done(changes: dict[str, object], asked: bool) -> None:
    relocations = (unfinished(**changes),)
    workers = FakeWorkers({"ann": Look((), (makers.filesystem(free=900 * MIB),), relocations=relocations)})
    run(workers, FREE)
    assert bool(workers.orders) is asked


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


SHORT = {"/home": Space(Bytes(1000 * MIB), Bytes(50 * MIB), Inodes(10_000), Inodes(5000))}


class Aided:
    """A disk that a cycle left well above its mark; then it fills."""

    def __init__(self, workers: FakeWorkers, *, hooks: Hooks | None = None, clock: FakeClock | None = None) -> None:
        self.workers, self.store = workers, FakeStore()
        self.settings = Settings(policies=(FREE,))
        clock = clock or FakeClock(makers.NOW)
        self.cycle = Cycle(workers, clock, Remembering(self.store), hooks or Hooks())

    def before(self) -> "Aided":
        self.cycle.run(self.settings, "start", prepare=True)
        self.fill(50 * MIB)
        return self

    def fill(self, free: int) -> None:
        look = self.workers.looks["ann"]
        disks = tuple(replace(disk, free=Bytes(free)) for disk in look.filesystems)
        self.workers.looks["ann"] = replace(look, filesystems=disks)

    def aid(self) -> CycleRecord | None:
        return self.cycle.aid(self.settings, "/home filled up, first aid", SHORT)


def test_first_aid_frees_what_a_look_would_and_needs_none() -> None:
    aided = Aided(FakeWorkers(world(downloads(400), free=500 * MIB))).before()
    aided.workers.lost = {"ann"}  # who looked would see nothing
    record = aided.aid()
    assert record is not None
    assert (record.freed, record.plan.shortfall) == (100 * MIB, 0)
    assert aided.store.saved_cycles == [record]
    gone = {entry.path for outcome in record.outcomes for entry in outcome.removed}
    assert gone.isdisjoint(aided.store.sightings("1000 /home/ann/.cache/pip"))
    assert len(aided.store.sightings("1000 /home/ann/.cache/pip")) == 300


def test_before_the_first_look_there_is_no_first_aid() -> None:
    assert Aided(FakeWorkers(world(downloads(400), free=0))).aid() is None


def test_first_aid_tries_nothing_twice() -> None:
    stuck = [f"d{number:03}" for number in range(20)]
    aided = Aided(FakeWorkers(world(downloads(20), free=500 * MIB), stuck=stuck)).before()
    assert aided.aid() is not None
    assert aided.aid() is None
    assert sorted(path for asked in aided.workers.asked for path in asked) == stuck


def test_first_aid_says_nothing_of_a_shortfall_which_only_a_look_can_tell() -> None:
    record = Aided(FakeWorkers(world(downloads(3), free=500 * MIB))).before().aid()
    assert record is not None
    assert (record.freed, record.plan.shortfalls) == (3 * MIB, ())


def test_first_aid_asks_to_stop_whoever_keeps_it_waiting() -> None:
    clock, asked = FakeClock(makers.NOW), []

    class Hanging(FakeWorkers):
        def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
            asked.append(hooks.may_go_on())
            clock.time = Instant(clock.time + 21 * 10**9)
            asked.append(hooks.may_go_on())
            return Outcome(action.policy, "purge", action.cache, incomplete=True), None

    bobs = makers.cache(makers.entry("b"), path="/home/bob", of=makers.owner("bob", uid=1001))
    aided = Aided(Hanging(world(downloads(9), bobs, free=500 * MIB)), clock=clock).before()
    assert aided.aid() is not None
    assert asked == [True, False]


def test_what_was_opened_since_the_look_is_no_first_aid() -> None:
    aided = Aided(FakeWorkers(world(downloads(2), free=500 * MIB))).before()
    aided.cycle.heard(makers.owner(), "/home/ann/.cache/pip", ["d000"])
    aided.aid()
    assert aided.workers.asked == [["d001"]]


def test_what_first_aid_freed_during_a_look_is_not_freed_once_more_by_the_plan_of_that_look() -> None:
    """The look found the disk as it was before."""

    class Slow(FakeWorkers):
        def look(self, owner: Owner, hooks: Hooks) -> Look:
            seen = super().look(owner, hooks)
            hooks.beat()
            return seen

    records: list[CycleRecord | None] = []
    hooks = Hooks(while_looking=lambda: records.append(aided.aid()))
    aided = Aided(Slow(world(downloads(400), free=500 * MIB)), hooks=hooks)
    aided.before()
    records.clear()
    record = aided.cycle.run(aided.settings, "interval")
    freed = [each.freed for each in records if each]
    assert (freed, record.freed) == ([100 * MIB], 0)


class BoundedWorkers(FakeWorkers):
    """A disk that gets back less than the upper bound: one third of it, whatever the blocks say."""

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        outcome, _ = super().purge(action, hooks)
        name = action.cache.owner.name
        (disk,) = self.looks[name].filesystems
        asked = {chosen.entry.path: chosen.entry for chosen in action.entries}
        removed = tuple(replace(gone, maybe=asked[gone.path].maybe) for gone in outcome.removed)
        maybe = sum(gone.maybe for gone in removed)
        gained = Bytes(disk.free + maybe // 3)
        self.looks[name] = replace(self.looks[name], filesystems=(replace(disk, free=gained),))
        return replace(outcome, removed=removed, maybe=Bytes(maybe)), self.looks[name].filesystems[0]


def compressed(count: int) -> MeasuredCache:
    entries = (makers.entry(f"d{n:03}", frees=0, size=9 * MIB, inode=n) for n in range(count))
    return makers.cache(*(replace(each, frees=Bytes(1), maybe=Bytes(9 * MIB)) for each in entries))


def test_where_only_bounds_are_known_the_disk_is_asked_before_more_goes() -> None:
    workers = BoundedWorkers(world(compressed(40), free=100 * MIB))
    record = run(workers, makers.policy(free_space=makers.marks(127 * MIB)))
    assert [len(asked) for asked in workers.asked] == [3, 2, 2, 1, 1]
    assert record.after[0].free >= 127 * MIB
    assert record.after[0].free - 127 * MIB < 3 * MIB, "no entry more than is needed"
    assert record.plan.shortfalls == ()


def test_by_hand_what_the_disk_gained_counts_as_far_as_the_bounds_allow() -> None:
    workers = BoundedWorkers(world(compressed(40), free=100 * MIB))
    run(workers, makers.policy(to_free=27 * MIB))
    assert sum(map(len, workers.asked)) == 9
    workers = BoundedWorkers(world(downloads(40), free=100 * MIB))
    run(workers, makers.policy(to_free=5 * MIB))
    assert sum(map(len, workers.asked)) == 5


def test_a_quota_is_asked_again_between_the_rounds() -> None:
    class Quotas(FakeWorkers):
        """Only half of what goes was charged to its owner."""

        used = 95 * MIB

        def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
            outcome, disk = super().purge(action, hooks)
            self.used -= outcome.freed // 2
            return replace(outcome, quota=Quota(Bytes(100 * MIB), Bytes(self.used))), disk

    cache = replace(downloads(40), quota=Quota(Bytes(100 * MIB), Bytes(95 * MIB)))
    workers = Quotas(world(cache, free=500 * MIB))
    run(workers, replace(makers.policy(free_space=makers.marks(9 * MIB)), free_space_of=SpaceOf.QUOTA))
    assert [len(asked) for asked in workers.asked] == [4, 2, 1, 1]
    assert workers.used <= 91 * MIB


class Yesterday:
    """Earlier looks of which something is known of everybody."""

    def __init__(self, *caches: MeasuredCache) -> None:
        self.caches = caches
        self.kept: list[str] = []

    def of(self, owner: Owner, now: Instant) -> tuple[MeasuredCache, ...]:
        return self.caches

    def keep(self, owner: Owner, look: Look, now: Instant) -> None:
        self.kept.append(owner.name)


@pytest.mark.parametrize(("free", "looks"), [(900, [True]), (0, [True, False])])
def test_what_is_acted_on_is_walked_anew_and_what_is_not_is_taken_from_earlier(free: int, looks: list[bool]) -> None:
    old = replace(downloads(3), verified=Instant(makers.NOW - 1))
    workers, earlier = FakeWorkers(world(old, free=free * MIB)), Yesterday(old)
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(FakeStore()), Hooks(), earlier=earlier)
    record = cycle.run(Settings(policies=(FREE,)), "interval")
    assert [bool(known) for known in workers.known or ()] == looks
    assert bool(record.outcomes) is (free == 0)
    assert earlier.kept == ["ann"] * len(looks)


def test_a_full_disk_is_not_left_full_for_what_was_in_use_when_all_was_walked_last() -> None:
    """Link counts change without any folder telling: an environment that was removed holds nothing any more."""

    class Walkers(FakeWorkers):
        def look(self, owner: Owner, hooks: Hooks) -> Look:
            look = super().look(owner, hooks)
            return replace(look, caches=(then,)) if (self.known or [()])[-1] else look

    held = makers.entry(hold="in use: 3 of its files are hard-linked outside of the cache")
    then = replace(makers.cache(held), verified=Instant(makers.NOW - 1))
    workers = Walkers(world(replace(makers.cache(replace(held, hold=None)), verified=makers.NOW)))
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(FakeStore()), Hooks(), earlier=Yesterday(then))
    assert cycle.run(Settings(policies=(FREE,)), "interval").freed


def test_what_was_walked_in_this_very_look_is_not_walked_twice() -> None:
    new = replace(downloads(3), verified=makers.NOW)
    workers = FakeWorkers(world(new))
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(FakeStore()), Hooks(), earlier=Yesterday(new))
    assert cycle.run(Settings(policies=(FREE,)), "interval").outcomes
    assert len(workers.known or ()) == 1


def test_a_plan_is_of_a_new_walk_unless_that_is_not_wanted() -> None:
    workers = FakeWorkers(world(downloads(3)))
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(FakeStore()), Hooks(), earlier=Yesterday(downloads(3)))
    cycle.plan(Settings())
    cycle.plan(Settings(), anew=False)
    assert [bool(known) for known in workers.known or ()] == [False, True]


def rested(workers: FakeWorkers, known: dict[int, Look], *policies: Policy) -> tuple[CycleRecord | None, FakeStore]:
    store = FakeStore()
    cycle = Cycle(workers, FakeClock(makers.NOW), Remembering(store), Hooks())
    return cycle.rest(Settings(policies=policies), "interval", known), store


def test_who_is_known_is_not_looked_at_and_nothing_is_written_down() -> None:
    workers = FakeWorkers(world(downloads(3), free=500 * MIB))
    known = {1000: workers.looks["ann"]}
    workers.lost = {"ann"}
    record, store = rested(workers, known, FREE)
    assert record
    assert (record.problems, record.outcomes, record.after[0].free) == ((), (), 500 * MIB)
    assert (store.saved_cycles, store.saved_sizes, store.offered) == ([], [], [])


def test_who_is_not_known_is_looked_at() -> None:
    workers = FakeWorkers(world(downloads(3), free=500 * MIB))
    workers.lost = {"ann"}
    record, _ = rested(workers, {1001: Look()}, FREE)
    assert record
    assert [problem.path for problem in record.problems] == ["/home/ann"]


SCHEDULED = Policy("weekly", ActionKind.PURGE, schedule="0 4 * * sun")


@pytest.mark.parametrize("what", ["a full disk", "age", "no use", "shortfall", "move"])
def test_what_is_known_is_no_ground_for_doing_anything(what: str) -> None:
    policy, free, cache = FREE, 500 * MIB, downloads(3)
    relocations: tuple[RelocationSeen, ...] = ()
    if what == "a full disk":
        free = 10 * MIB
    elif what == "age":
        policy = Policy("old", ActionKind.PURGE, unused_for=Seconds(49 * makers.DAY))
    elif what == "no use":
        policy = Policy("all", ActionKind.PURGE)
    elif what == "shortfall":
        free, cache = 10 * MIB, makers.cache(makers.entry(hold="a pip is running"))
    else:
        relocations = (makers_move(),)
    look = Look((cache,), (makers.filesystem(free=free),), relocations=relocations)
    workers = FakeWorkers({"ann": look})
    record, store = rested(workers, {1000: look}, policy)
    assert record is None
    assert (workers.asked, workers.orders, store.saved_cycles) == ([], [], [])


def makers_move() -> RelocationSeen:
    return RelocationSeen(
        "1", "pip", "ann", "/home/ann/.cache/pip", "/media/x", Method.CONFIG, Phase.COPYING, Heading.OUT,
        Presence.HERE, makers.NOW,
    )  # fmt: skip


def test_a_schedule_that_is_due_takes_a_whole_cycle() -> None:
    workers, store = FakeWorkers(world(downloads(3), free=500 * MIB)), FakeStore()
    known = {1000: workers.looks["ann"]}
    clock = FakeClock(makers.NOW)
    cycle = Cycle(workers, clock, Remembering(store), Hooks())
    settings = Settings(policies=(SCHEDULED,))
    assert cycle.rest(settings, "interval", known)
    clock.time = makers.ago(-8 * makers.DAY)
    assert cycle.rest(settings, "interval", known) is None


def test_a_policy_that_only_reports_keeps_nobody_from_resting() -> None:
    workers = FakeWorkers(world(downloads(3), free=10 * MIB))
    record, _ = rested(workers, {1000: workers.looks["ann"]}, replace(FREE, action=ActionKind.REPORT))
    assert record
    assert [standing.state for standing in record.plan.standings] == [State.TRIGGERED]


@pytest.mark.parametrize("how", ["nobody looked", "nothing was decided"])
def test_first_aid_is_at_hand_however_long_nothing_happened(how: str) -> None:
    """It goes by no old look; a look that still holds is none."""
    clock = FakeClock(makers.NOW)
    aided = Aided(FakeWorkers(world(downloads(400), free=500 * MIB)), clock=clock)
    aided.cycle.run(aided.settings, "start", prepare=True)
    clock.time = makers.ago(-3000)
    assert aided.aid() is None
    if how == "nobody looked":
        assert aided.cycle.rest(aided.settings, "interval", aided.cycle.looks, prepare=True)
    else:
        aided.cycle.hold_on()
    record = aided.aid()
    assert record is not None
    assert record.freed == 100 * MIB


@pytest.mark.parametrize(
    ("hurries", "free", "acts"), [(True, 0, True), (True, 900, False), (False, 0, False)],
    ids=["a short disk", "no disk is short", "a person waits"],
)  # fmt: skip
def test_a_service_waits_no_longer_for_slow_looks_where_a_disk_is_short_and_something_may_go(
    hurries: bool, free: int, acts: bool
) -> None:
    asked = []

    class Slow(FakeWorkers):
        def look_at_all(
            self, owners: Sequence[Owner], hooks: Hooks, known: KnownOf = nothing_known
        ) -> Iterator[tuple[Owner, Look | WorkerError]]:
            yield from super().look_at_all(owners, hooks, known)
            asked.append(hooks.hurries())

    workers = Slow(world(downloads(20), free=free * MIB))
    hooks = Hooks(hurries=lambda: hurries)
    Cycle(workers, FakeClock(makers.NOW), Remembering(FakeStore()), hooks).look(Settings(policies=(FREE,)))
    assert asked == [acts]
