"""What is recorded of sizes, and how seldom that is written."""

from dataclasses import replace

import pytest

import makers
from cachewarden.decide.ledger import key_of
from cachewarden.model.caches import Filesystem, MeasuredCache, Snapshot
from cachewarden.model.forecasts import Size
from cachewarden.model.plans import CycleRecord, Outcome, Plan
from cachewarden.model.policies import Settings
from cachewarden.model.relocations import Moved, Phase
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant
from cachewarden.service.remembering import SIGHTINGS_EVERY, Remembering
from cachewarden.service.sizes import MOST_OF_ONE, Sizes, of_cache, of_disk, past_of
from fakes import FakeStore

MIB = makers.MIB
DAY = 86_400 * NANOSECONDS
MORNING = Instant(makers.NOW // DAY * DAY)
PIP = makers.cache(size=100 * MIB)
HOME = makers.filesystem()
PLACES = {of_cache(PIP.cache), of_disk(HOME)}


def seen(*caches: MeasuredCache, at: Instant = MORNING, on: tuple[Filesystem, ...] = (HOME,)) -> Snapshot:
    return replace(makers.snapshot(*(caches or (PIP,)), on=on), taken_at=at)


def record(*outcomes: Outcome, at: Instant = MORNING, after: tuple[Filesystem, ...] = (HOME,)) -> CycleRecord:
    return CycleRecord("c", "interval", at, at, Plan(), outcomes, (HOME,), after)


def removal(freed: int, cache: MeasuredCache = PIP) -> Outcome:
    return Outcome("p", "purge", cache.cache, freed=Bytes(freed))


def noted(*cycles: tuple[Snapshot, CycleRecord], store: FakeStore | None = None) -> FakeStore:
    """What is in the store after these, each of which may write."""
    store = store or FakeStore()
    sizes = Sizes(store)
    for snapshot, done in cycles:
        sizes.note(snapshot, done)
        sizes.save()
    return store


def later(seconds: int) -> Instant:
    return Instant(MORNING + seconds * NANOSECONDS)


def test_the_first_look_of_a_day_is_a_point_of_each_cache_and_its_disk() -> None:
    store = noted((seen(), record()))
    day = MORNING // DAY
    assert store.sizes(0) == {
        of_cache(PIP.cache): [Size(day, MORNING, Bytes(100 * MIB))],
        of_disk(HOME): [Size(day, MORNING, Bytes(500 * MIB), Inodes(5000))],
    }


def test_the_rest_of_the_day_writes_nothing_though_sizes_change() -> None:
    store = FakeStore()
    remembering = Remembering(store)
    for hour in range(23):
        at = later(hour * makers.HOUR)
        disk = makers.filesystem(free=(500 - hour) * MIB)
        remembering.learn(seen(replace(PIP, size=Bytes(hour)), at=at, on=(disk,)), record(at=at), Settings())
    assert [set(each) for each in store.saved_sizes] == [PLACES]
    remembering.learn(seen(at=later(makers.DAY)), record(at=later(makers.DAY)), Settings())
    assert [set(each) for each in store.saved_sizes] == [PLACES, PLACES]


def test_a_service_that_starts_again_makes_no_second_point_of_a_day() -> None:
    store = noted((seen(), record()))
    noted((seen(at=later(900)), record(at=later(900))), store=store)
    assert len(store.saved_sizes) == 1


def test_what_was_freed_is_added_up_to_the_point_of_its_day() -> None:
    after = (makers.filesystem(inodes_free=5007),)
    store = noted(
        (seen(), record(removal(3 * MIB), after=after)),
        (seen(at=later(900)), record(removal(2 * MIB), at=later(900))),
    )
    points = store.sizes(0)
    assert points[of_cache(PIP.cache)][0].freed == 5 * MIB
    assert (points[of_disk(HOME)][0].freed, points[of_disk(HOME)][0].freed_inodes) == (5 * MIB, 7)
    assert points[of_disk(HOME)][0].held == 500 * MIB


def test_what_was_freed_before_the_service_started_again_is_not_forgotten() -> None:
    store = noted((seen(), record(removal(3 * MIB))))
    noted((seen(), record(removal(2 * MIB))), store=store)
    assert store.sizes(0)[of_disk(HOME)][0].freed == 5 * MIB


def test_there_is_at_most_one_write_in_five_minutes_but_for_removals() -> None:
    store = FakeStore()
    remembering = Remembering(store)
    other = makers.cache(path="/home/ann/new", size=1)
    remembering.learn(seen(), record(), Settings())
    remembering.learn(seen(PIP, other, at=later(60)), record(at=later(60)), Settings())
    assert len(store.saved_sizes) == 1
    at = Instant(MORNING + SIGHTINGS_EVERY)
    remembering.learn(seen(PIP, other, at=at), record(at=at), Settings())
    assert [set(each) for each in store.saved_sizes[1:]] == [{of_cache(other.cache)}]


def test_a_move_takes_from_one_disk_and_brings_to_the_other() -> None:
    usb = makers.filesystem(mount="/media/usb", device=2)
    there = makers.cache(path="/media/usb/conda", device=2)
    moved = Moved(PIP.cache.path, "/media/usb/pip", Phase.SETTLED, "moved", copied=Bytes(80), freed=Bytes(90))
    done = Outcome("to-usb", "relocate", PIP.cache, freed=Bytes(90), moved=moved)
    points = noted((seen(PIP, there, on=(HOME, usb)), record(done, after=(HOME, usb)))).sizes(0)
    assert (points[of_disk(HOME)][0].freed, points[of_disk(usb)][0].freed) == (90, -80)
    assert points[of_cache(PIP.cache)][0].freed == 0


def test_one_owner_fills_no_state_by_renaming_caches_all_day() -> None:
    bob = makers.cache(path="/home/bob", of=makers.owner("bob", uid=1001))
    cycles = [
        (seen(*(makers.cache(path=f"/home/ann/{hour}/{number}") for number in range(9)), bob), record())
        for hour in range(9)
    ]
    points = noted(*cycles).sizes(0)
    assert len([place for place in points if place.startswith("1000 ")]) == MOST_OF_ONE
    assert of_cache(bob.cache) in points


def test_a_disk_without_a_cache_is_not_recorded() -> None:
    lonely = makers.filesystem(mount="/lonely", device=9)
    assert of_disk(lonely) not in noted((seen(on=(HOME, lonely)), record())).sizes(0)


@pytest.mark.parametrize("path", ["/x" * 5000, "/home/\udcff"])
def test_what_users_choose_is_bounded_text_that_can_be_stored(path: str) -> None:
    place = of_cache(replace(PIP.cache, path=path))
    assert len(place.encode()) < 300
    assert place == of_cache(replace(PIP.cache, path=path))


def test_two_owners_of_one_path_and_a_disk_of_that_name_are_three_places() -> None:
    others = replace(PIP.cache, owner=makers.owner("bob", uid=1001))
    disk = makers.filesystem(mount=PIP.cache.path)
    assert len({of_cache(PIP.cache), of_cache(others), of_disk(disk)}) == 3


def test_the_past_of_what_is_there_is_found_again() -> None:
    store = noted((seen(), record()))
    past = past_of(store, seen())
    assert [each.held for each in past.caches[key_of(PIP)]] == [100 * MIB]
    assert [each.held for each in past.disks[1]] == [500 * MIB]
