"""Replays of tiny traces, with figures that were worked out by hand: a megabyte is a second, a request another."""

from dataclasses import replace

import pytest

from builders.traces import DAY, MB, START, build, conda, full, gone, item, lost, room, studied, want
from cachewarden.decide.worth import UNPACKING
from cachewarden.model.caches import Kind
from cachewarden.model.policies import ActionKind, Amount, Keep, Marks, Match, Order, Policy, Settings
from cachewarden.model.units import Instant, Seconds
from cachewarden.model.worth import Regain
from cachewarden.simulate.replay import ByPolicy, Replayed, replay
from cachewarden.simulate.report import PURGE_ALL, report
from cachewarden.simulate.scenes import SCENES
from cachewarden.simulate.trace import Event, Trace, Want
from cachewarden.simulate.world import World

LRU, OLDEST, LARGEST = Order.LEAST_RECENTLY_USED, Order.OLDEST, Order.LARGEST


def played(*events: Event, megabytes: float, order: Order = LRU, everything: bool = False) -> Replayed:
    return replay(studied(events), ByPolicy(full(order), everything=everything), room(megabytes))


def lost_seconds(*events: Event, megabytes: float, order: Order = LRU) -> float:
    return played(*events, megabytes=megabytes, order=order).tally.whole.seconds


def test_nothing_is_lost_where_there_is_room() -> None:
    found = played(want(0, "a"), want(1, "b"), want(2, "a"), want(3, "b"), megabytes=2)
    assert (found.tally.wants, found.tally.first, found.tally.hits) == (4, 2, 2)
    assert (found.tally.whole.removed, found.tally.whole.seconds, found.peak) == (0, 0.0, 2 * MB)


def test_what_was_removed_and_is_wanted_again_costs_its_request_and_its_bytes() -> None:
    found = played(want(0, "a", 3), want(1, "b", 2), want(2, "a", 3), megabytes=4)
    whole = found.tally.whole
    assert (whole.removed, whole.freed, whole.again, whole.fetched, whole.seconds) == (2, 5 * MB, 1, 3 * MB, 4.0)
    assert list(found.tally.regrets) == ["full"]


def test_each_order_goes_its_own_way() -> None:
    events = (want(0, "a", 1), want(1, "b", 2), want(2, "a", 1), want(3, "c", 1))
    for order, gone_one in ((LRU, "b"), (OLDEST, "a"), (LARGEST, "b")):
        again = {key: lost_seconds(*events, want(4, key), megabytes=3, order=order) > 0 for key in "abc"}
        assert [key for key, missed in again.items() if missed] == [gone_one], order


def test_what_is_wanted_between_two_looks_is_there_whatever_the_room() -> None:
    found = played(want(0, "a", 9), want(0, "b", 9), want(0.001, "a", 9), megabytes=9)
    assert (found.tally.hits, found.looks, found.peak) == (1, 1, 9 * MB)


def test_a_wheel_is_built_from_a_source_that_is_downloaded_only_where_that_is_gone_too() -> None:
    first, again = build(0, "w", 60), build(3, "w", 60)
    assert lost_seconds(*first, *again, megabytes=2) == 0
    # 1 s for what the build asks for, 60 s of building; and 1 + 1 s for the source
    assert lost_seconds(*first, *again, megabytes=0) == pytest.approx(61 + 2)
    both = [*first, want(1, "w.tar.gz"), want(2, "x"), *again]
    assert lost_seconds(*both, megabytes=2) == pytest.approx(61)


def test_a_package_is_unpacked_again_from_its_archive_and_downloaded_with_it() -> None:
    events = [*conda(0, "p"), gone(1, "p"), *conda(3, "p")]
    unpacking = 3 * MB / UNPACKING
    assert lost_seconds(*events, megabytes=4) == 0
    assert lost_seconds(*events, megabytes=3, order=LARGEST) == pytest.approx(unpacking)
    assert lost_seconds(*events, megabytes=0) == pytest.approx(unpacking + 2)


def test_what_an_environment_holds_takes_no_room_and_stays() -> None:
    empty = {"package": 9, "tarball": 0}
    held = played(*conda(0, "p", **empty), want(1, "a"), *conda(2, "p", **empty), megabytes=1)
    assert (held.tally.hits, held.peak) == (1, MB)
    released = played(*conda(0, "p", package=9), gone(1, "p"), *conda(2, "p", package=9), megabytes=1)
    assert released.tally.whole.again == 2  # the package and, as it was used no later, its archive


def test_what_others_removed_is_no_fault_of_a_policy() -> None:
    found = played(want(0, "a"), lost(1, "a"), want(2, "a"), megabytes=1)
    assert (found.tally.first, found.tally.whole.again) == (2, 0)
    assert played(want(0, "a"), lost(1, "a", by_us=True), want(2, "a"), megabytes=1).tally.hits == 1


def test_wiping_everything_takes_all_when_the_disk_is_full_and_nothing_before() -> None:
    events = (want(0, "a"), want(1, "b"), want(2, "c"), want(3, "a"), want(4, "b"))
    some, wiped = played(*events, megabytes=2), played(*events, megabytes=2, everything=True)
    assert wiped.tally.whole.removed == 3
    assert wiped.tally.whole.again == 2
    assert some.tally.whole.removed == 3
    assert played(*events, megabytes=3, everything=True).tally.whole.removed == 0


def test_kept_time_is_kept_and_the_disk_overflows_meanwhile() -> None:
    kept = replace(full(), keep=Keep(newer_than=Seconds(DAY)))
    found = replay(studied([want(0, "a", 2), want(0.5, "b"), want(2, "c")]), ByPolicy(kept), room(2))
    assert found.peak == 3 * MB
    assert found.tally.whole.removed == 1


def test_a_policy_by_age_acts_while_nothing_is_installed() -> None:
    old = Policy("old", ActionKind.PURGE, unused_for=Seconds(30 * DAY))
    found = replay(
        studied([want(0, "a"), want(40, "b"), want(41, "a")]), ByPolicy(Settings(policies=(old,))), room(9)
    )
    assert (found.tally.whole.removed, found.tally.whole.again) == (1, 1)
    early = replay(
        studied([want(0, "a"), want(20, "b"), want(21, "a")]), ByPolicy(Settings(policies=(old,))), room(9)
    )
    assert early.tally.whole.removed == 0


def test_a_trace_of_centuries_does_not_take_for_ever() -> None:
    class Counting:
        looks = 0

        def waits(self) -> bool:
            return True

        def choose(self, world: World, now: Instant) -> tuple[()]:
            self.looks += 1
            return ()

    judge = Counting()
    replay(studied([want(1000 * number, "a") for number in range(300)]), judge, room(9))
    assert 10_000 < judge.looks < 25_000


def test_a_policy_with_a_schedule_waits_for_it() -> None:
    weekly = Policy("weekly", ActionKind.PURGE, schedule="0 4 * * sun")
    settings = Settings(keep=Keep(Seconds(0)), policies=(weekly,))
    days = [want(day, f"a{day}") for day in range(15)]
    found = replay(studied(days), ByPolicy(settings), room(99))
    assert 0 < found.tally.whole.removed < 15


def test_policies_match_the_ecosystem_and_the_owner_of_the_trace() -> None:
    other = replace(item("b"), owner=1)
    events = [want(0, "a"), Want(START + 1, other), want(1, "c")]
    only = Policy("one", ActionKind.PURGE, match=Match(owners=("user1",)))
    found = replay(studied(events), ByPolicy(Settings(keep=Keep(Seconds(0)), policies=(only,))), room(9))
    assert found.tally.whole.removed == 1


def test_a_limit_of_a_cache_counts_what_environments_hold() -> None:
    marks = Marks(Amount(absolute=4 * MB), Amount(absolute=4 * MB))
    cap = Policy("cap", ActionKind.PURGE, match=Match(ecosystems=("conda",)), size=marks)
    settings = Settings(keep=Keep(Seconds(0)), policies=(cap,))
    found = replay(studied([*conda(0, "p"), *conda(1, "q")]), ByPolicy(settings), room(99))
    assert found.tally.whole.removed == 2  # both archives: the packages are in use


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_trace_comes_to_the_same(scene: str) -> None:
    trace = SCENES[scene](5)
    some = Trace(trace.about, trace.events[:1500])
    one, other = (report(some, full(Order.CHEAPEST_FIRST), Amount(percent=10.0)) for _ in range(2))
    assert one == other
    assert one.results[0].replayed.tally.wants > 0


def test_side_by_side_stand_the_policies_each_order_and_wiping_everything() -> None:
    trace = Trace("t", (want(0, "a"), want(1, "b", 2), want(2, "a"), want(3, "b", 2)))
    found = report(trace, full(), Amount(absolute=room(2)), compare=True)
    assert [each.name for each in found.results] == ["as configured", *(order.value for order in Order), PURGE_ALL]
    assert found.results[0].seconds == found.results[2].seconds
    assert found.clairvoyant is not None
    assert all(found.clairvoyant.bound <= each.seconds + 1e-6 for each in found.results)
    assert found.peak <= 2 * MB


def test_a_share_of_the_room_is_of_all_that_the_trace_ever_wants() -> None:
    trace = Trace("t", (want(0, "a", 3), want(1, "b", 1), want(2, "a", 3)))
    assert report(trace, full(), Amount(percent=50.0)).capacity == 2 * MB


def test_kinds_that_nobody_wants_back_cost_nothing() -> None:
    debris = Want(START, item("x", 5, Kind.DEBRIS, regain=Regain.NOTHING))
    again = Want(START + 5 * DAY, item("x", 5, Kind.DEBRIS, regain=Regain.NOTHING))
    assert lost_seconds(debris, again, megabytes=0) == pytest.approx(0)
