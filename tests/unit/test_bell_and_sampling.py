"""What brings a look forward."""

from dataclasses import replace

import pytest

from cachewarden.model.caches import Filesystem
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings
from cachewarden.model.units import Bytes, Inodes
from cachewarden.service.bell import Bell
from cachewarden.service.pace import LONGEST, SOONEST, WORST
from cachewarden.service.sampling import Crossing, Mark, Sampler, marks_of
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Space
from fakes import FakeFiles

HUNDRED = Filesystem(1, "/", "ext4", Bytes(100), Bytes(50), Inodes(100), Inodes(50), tracks_atime=True)
BELOW_TEN = Marks(Amount(percent=10), Amount(percent=15))
POLICY = Policy("free", ActionKind.PURGE, free_space=BELOW_TEN)


class Clock:
    """Seconds that only a test lets go by."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Disks(FakeFiles):
    """Filesystems whose free space a test sets."""

    def __init__(self, free: int, inodes: int = 50) -> None:
        super().__init__()
        self.free, self.inodes, self.asked = free, inodes, 0

    def space(self, path: str) -> Space:
        self.asked += 1
        return Space(Bytes(100), Bytes(self.free), Inodes(100), Inodes(self.inodes))


def sampled(free: int, before: Filesystem, policy: Policy = POLICY, inodes: int = 50) -> list[str]:
    sampler = Sampler(Disks(free, inodes), Clock())
    sampler.remember(marks_of(Settings(policies=(policy,)), [before]))
    return [each.mount for each in sampler.crossed()]


def test_a_disk_that_falls_below_a_mark_is_told() -> None:
    assert sampled(9, HUNDRED) == ["/"]


def test_a_disk_above_its_marks_is_not_told() -> None:
    assert sampled(10, HUNDRED) == []


def test_a_disk_that_stays_below_is_not_told_again_until_it_is_worse() -> None:
    low = replace(HUNDRED, free=Bytes(8))
    assert (sampled(8, low), sampled(7, low)) == ([], ["/"])


def test_inodes_count_too() -> None:
    policy = Policy("inodes", ActionKind.PURGE, free_inodes=BELOW_TEN)
    assert (sampled(50, HUNDRED, policy, 9), sampled(50, HUNDRED, policy, 10)) == (["/"], [])


def test_scheduled_and_reporting_policies_bring_nothing_forward() -> None:
    scheduled = replace(POLICY, schedule="0 4 * * *")
    reporting = replace(POLICY, action=ActionKind.REPORT)
    assert (sampled(1, HUNDRED, scheduled), sampled(1, HUNDRED, reporting)) == ([], [])


def test_network_filesystems_are_never_sampled_since_a_dead_one_would_block() -> None:
    disks = Disks(1)
    sampler = Sampler(disks)
    sampler.remember(marks_of(Settings(policies=(POLICY,)), [replace(HUNDRED, type="nfs4")]))
    assert (sampler.crossed(), disks.asked, sampler.wait()) == ((), 0, None)


GIB = 1024**3
LARGE = replace(HUNDRED, total=Bytes(100 * GIB), free=Bytes(50 * GIB))


class Filling:
    """A disk of 100 GiB with 50 GiB free, a mark at 10 %, and the sampler that a cycle just left."""

    def __init__(self, free: float = 50) -> None:
        self.clock, self.disks = Clock(), Disks(int(free * GIB))
        self.sampler = Sampler(self.disks, self.clock)
        self.remember()

    def remember(self) -> None:
        left = replace(LARGE, free=Bytes(self.disks.free))
        self.sampler.remember(marks_of(Settings(policies=(POLICY,)), [left]))

    def after(self, seconds: float, free: float) -> tuple[Crossing, ...]:
        self.clock.now += seconds
        self.disks.free = int(free * GIB)
        return self.sampler.crossed()

    @property
    def wait(self) -> float:
        return self.sampler.wait() or 0.0


def test_a_disk_far_from_its_mark_is_asked_no_more_often_than_looked_at() -> None:
    filling = Filling()
    assert filling.wait == LONGEST
    assert not filling.sampler.is_due


def test_the_next_sample_comes_before_the_mark_could_be_crossed_and_a_moment_after_that() -> None:
    filling = Filling(10.5)
    assert filling.wait == pytest.approx(SOONEST + 0.5 * GIB / WORST)
    filling.after(1, 10)
    assert filling.wait == SOONEST


def test_what_was_seen_to_fill_faster_is_asked_sooner_also_after_the_next_cycle() -> None:
    filling = Filling(50)
    filling.after(1, 40)
    assert filling.wait == pytest.approx(SOONEST + 3, abs=0.01)
    filling.remember()
    assert filling.wait == pytest.approx(SOONEST + 3, abs=0.01)


def test_a_crossing_tells_how_long_the_disk_still_lasts() -> None:
    filling = Filling(11)
    filling.after(1, 10)
    (crossing,) = filling.after(1, 9)
    assert (crossing.mount, crossing.space.free) == ("/", 9 * GIB)
    assert crossing.seconds_left == pytest.approx(9)


def test_one_that_fills_no_more_lasts_for_ever() -> None:
    filling = Filling(9.9)
    (crossing,) = filling.after(1, 9)
    (later,) = filling.after(600, 9)
    assert crossing.seconds_left < 11
    assert later.seconds_left > 1e6


def test_a_disk_left_below_its_mark_is_asked_every_five_seconds_at_most() -> None:
    filling = Filling(5)
    assert filling.wait == pytest.approx(5)
    assert filling.after(5, 4.99) == ()
    assert filling.wait == pytest.approx(5)


def test_one_that_others_brought_above_its_mark_is_told_when_it_falls_below_again() -> None:
    filling = Filling(5)
    assert filling.after(5, 20) == ()
    assert [each.mount for each in filling.after(60, 9.9)] == ["/"]


def test_a_full_disk_that_cannot_get_worse_is_let_alone() -> None:
    filling = Filling(0)
    assert filling.after(5, 0) == ()
    assert filling.wait == LONGEST


def test_a_clock_that_goes_back_neither_stops_the_sampling_nor_invents_a_speed() -> None:
    filling = Filling(12)
    filling.after(-500, 11)
    assert filling.wait <= LONGEST
    (crossing,) = filling.after(0, 9)
    assert crossing.seconds_left > 1e6


def test_a_disk_only_its_owner_can_ask_is_no_part_of_the_services_wake_ups() -> None:
    sampler = Sampler(Disks(50), Clock())
    hidden = replace(HUNDRED, device=PRIVATE + 1)
    sampler.remember(marks_of(Settings(policies=(POLICY,)), [hidden]))
    assert (sampler.wait(), sampler.is_due) == (None, False)


def test_a_disk_that_only_its_owner_reaches_has_marks_for_that_owners_watcher_alone() -> None:
    settings, hidden = Settings(policies=(POLICY,)), replace(HUNDRED, device=PRIVATE + 1, mount="/media/ann/usb")
    assert marks_of(settings, [HUNDRED, hidden], private=True) == (
        Mark("/media/ann/usb", Bytes(10), Bytes(50), Inodes(0), Inodes(50)),
    )
    assert [mark.mount for mark in marks_of(settings, [HUNDRED, hidden])] == ["/"]


def test_a_bell_rung_often_is_heard_once_per_word() -> None:
    bell = Bell()
    for _ in range(70_000):
        bell.ring("interval")
    bell.ring("reload")
    assert (bell.heard(), bell.heard()) == ({"interval", "reload"}, set())
