"""Which changes of the mounts are a reason to look, and how often one is reason enough to hurry."""

from collections.abc import Iterable

import pytest

import makers
from cachewarden.model.caches import Snapshot
from cachewarden.model.plans import CycleRecord, Outcome, Plan
from cachewarden.model.policies import ActionKind, Policy, Settings
from cachewarden.model.relocations import Heading, Method, Moved, Phase, Presence, RelocationSeen
from cachewarden.service.daemon import goes_on
from cachewarden.service.hurry import Hurry
from cachewarden.service.mount_watch import MountWatch
from cachewarden.system.ports import Mount

ROOT = Mount("/", "ext4", tracks_atime=True, read_only=False, device="8:2", root="/")
USB = Mount("/media/usb", "ext4", tracks_atime=True, read_only=False, device="8:17", root="/")
CONTAINER = Mount("/var/lib/docker/overlay2/x/merged", "overlay", tracks_atime=True, read_only=False, device="0:70")
OTHER = Mount("/media/other", "vfat", tracks_atime=True, read_only=False, device="8:33", root="/")


class Mounts:
    """A table that a test writes."""

    def __init__(self, *mounts: Mount) -> None:
        self.mounts = mounts

    def fileno(self) -> int:
        return -1

    def read(self) -> tuple[Mount, ...]:
        return self.mounts

    def close(self) -> None:
        return


def seen(*places: str, moves: Iterable[RelocationSeen] = ()) -> Snapshot:
    caches = tuple(makers.cache(path=place) for place in places)
    return Snapshot(makers.NOW, caches, relocations=tuple(moves))


def moved(phase: Phase, new: str = "/media/usb/pip") -> RelocationSeen:
    return RelocationSeen(
        "1", "pip", "ann", "/home/ann/.cache/pip", new, Method.CONFIG, phase, Heading.OUT, Presence.HERE, makers.NOW
    )


def tells(before: tuple[Mount, ...], after: tuple[Mount, ...], snapshot: Snapshot, *policies: Policy) -> bool:
    table = Mounts(*before)
    watch = MountWatch(table)
    watch.follow(snapshot, Settings(policies=policies))
    table.mounts = after
    return watch.changed()


@pytest.mark.parametrize(
    ("before", "after"), [((ROOT, USB), (ROOT,)), ((ROOT,), (ROOT, USB))], ids=["it goes", "it comes"]
)
def test_a_disk_with_a_cache_on_it_matters(before: tuple[Mount, ...], after: tuple[Mount, ...]) -> None:
    assert tells(before, after, seen("/media/usb/pkgs"))
    assert not tells(before, after, seen("/home/ann/.cache/pip", "/media/usb2/pkgs"))


def test_a_disk_that_becomes_read_only_or_another_one_in_its_place_matters() -> None:
    for other in ({"read_only": True}, {"disk_read_only": True}, {"device": "8:18"}):
        changed = Mount(**{name: getattr(USB, name) for name in Mount.__slots__} | other)
        assert tells((ROOT, USB), (ROOT, changed), seen("/media/usb/pkgs"))


def test_the_same_again_is_no_change() -> None:
    assert not tells((ROOT, USB), (USB, ROOT), seen("/media/usb/pkgs"))


def test_a_disk_that_held_a_cache_is_waited_for_after_looks_without_it() -> None:
    table = Mounts(ROOT, USB)
    watch = MountWatch(table)
    watch.follow(seen("/media/usb/pkgs"), Settings())
    table.mounts = (ROOT,)
    assert watch.changed()
    for _ in range(3):
        watch.follow(seen(), Settings())
    assert not watch.changed()
    table.mounts = (ROOT, USB)
    assert watch.changed()


def test_the_destination_of_a_move_matters_though_no_cache_is_there() -> None:
    assert tells((ROOT,), (ROOT, USB), seen(moves=[moved(Phase.SETTLED)]))
    assert not tells((ROOT,), (ROOT, OTHER), seen(moves=[moved(Phase.SETTLED)]))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.SETTLED, Phase.OVER)])
def test_while_a_move_is_not_settled_any_disk_matters_and_containers_do_not(phase: Phase) -> None:
    assert tells((ROOT,), (ROOT, OTHER), seen(moves=[moved(phase)]))
    assert not tells((ROOT,), (ROOT, CONTAINER), seen(moves=[moved(phase)]))


@pytest.mark.parametrize("to", ["/media/usb/cache/{owner}", "/media/{ecosystem}/x", "/media/usb"])
def test_where_a_policy_would_move_a_cache_matters(to: str) -> None:
    policy = Policy("move", ActionKind.RELOCATE, to=to)
    disk = Mount(
        to.partition("/x")[0].format(ecosystem="pip", owner="ann"), "ext4", tracks_atime=True, read_only=False
    )
    assert tells((ROOT,), (ROOT, disk), seen("/home/ann/.cache/pip"), policy)
    assert not tells((ROOT,), (ROOT, OTHER), seen("/home/ann/.cache/pip"), policy)


def test_what_is_remembered_is_bounded_and_moves_are_kept_longest() -> None:
    table = Mounts(ROOT)
    watch = MountWatch(table)
    watch.follow(seen(*(f"/x/{number}" for number in range(5000)), moves=[moved(Phase.SETTLED)]), Settings())
    table.mounts = (ROOT, USB)
    assert watch.changed()
    assert len(watch._places) == 2000


def test_a_few_times_in_a_minute_something_is_done_at_once_and_then_it_has_to_wait() -> None:
    now = [0.0]
    hurry = Hurry(lambda: now[0])
    assert [hurry.may() for _ in range(7)] == [True] * 5 + [False] * 2
    now[0] = 59.0
    assert not hurry.may()
    now[0] = 60.0
    assert [hurry.may() for _ in range(7)] == [True] * 5 + [False] * 2


@pytest.mark.parametrize(
    ("incomplete", "stopped", "again"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_move_that_let_others_have_their_turn_goes_on_at_once(incomplete: bool, stopped: bool, again: bool) -> None:
    told = Moved("/home/ann/.cache/pip", "/media/usb/pip", Phase.COPYING, "stopped", stopped=stopped)
    cache = makers.cache(path="/home/ann/.cache/pip").cache
    outcomes = (
        Outcome("p", "purge", cache, incomplete=True),
        Outcome("p", "relocate", cache, incomplete=incomplete, moved=told),
    )
    assert goes_on(CycleRecord("1", "start", makers.NOW, makers.NOW, Plan(), outcomes)) is again
