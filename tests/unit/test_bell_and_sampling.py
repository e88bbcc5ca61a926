"""What brings a look forward."""

from dataclasses import replace

from cachewarden.model.caches import Filesystem
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings
from cachewarden.model.units import Bytes, Inodes
from cachewarden.service.bell import Bell
from cachewarden.service.sampling import Mark, Sampler, marks_of
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Space
from fakes import FakeFiles

HUNDRED = Filesystem(1, "/", "ext4", Bytes(100), Bytes(50), Inodes(100), Inodes(50), tracks_atime=True)
BELOW_TEN = Marks(Amount(percent=10), Amount(percent=15))
POLICY = Policy("free", ActionKind.PURGE, free_space=BELOW_TEN)


class Disks(FakeFiles):
    """Filesystems whose free space a test sets."""

    def __init__(self, free: int, inodes: int = 50) -> None:
        super().__init__()
        self.free, self.inodes, self.asked = free, inodes, 0

    def space(self, path: str) -> Space:
        self.asked += 1
        return Space(Bytes(100), Bytes(self.free), Inodes(100), Inodes(self.inodes))


def sampled(free: int, before: Filesystem, policy: Policy = POLICY, inodes: int = 50) -> list[str]:
    sampler = Sampler(Disks(free, inodes))
    sampler.remember(marks_of(Settings(policies=(policy,)), [before]))
    return sampler.crossed()


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
    assert (sampler.crossed(), disks.asked) == ([], 0)


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
