"""A destination that fills up, turns read-only, fails or goes away in the middle of a move."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.disks import LoopDisk, why_no_loop_disks
from builders.moves import House, Meanwhile, fill_conda, fill_pip, house, is_open, looks
from builders.service import eventually
from cachewarden.model.relocations import Errand, Moved, Phase

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
Fault = tuple[Callable[[House], object], Callable[[House], object]]


def command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def fill_up(place: House) -> None:
    place.disk.fill(0)


def make_room(place: House) -> None:
    place.disk.ballast.unlink(missing_ok=True)


def freeze(place: House) -> None:
    command("mount", "-o", "remount,ro", str(place.disk.path))


def thaw(place: House) -> None:
    command("mount", "-o", "remount,rw", str(place.disk.path))


def unplug(place: House) -> None:
    command("umount", "--lazy", str(place.disk.path))


def plug_in(place: House) -> None:
    if not os.path.ismount(place.disk.path):
        place.disk.mount()


FAULTS: dict[str, Fault] = {"full": (fill_up, make_room), "read-only": (freeze, thaw), "gone": (unplug, plug_in)}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


def fill(place: House, ecosystem: str, scratch: Path) -> Path:
    if ecosystem == "pip":
        fill_pip(place.home / ".cache/pip")
        return place.home / ".cache/pip"
    return fill_conda(place.home, scratch).pkgs


def run_with_fault(place: House, errand: Errand, ecosystem: str, fault: Fault, step: int) -> tuple[bool, Moved]:
    """Whether the move came to that step, and what came of it. Odd steps: between files; even: in the journal."""
    records = Meanwhile(place.whom().records.folder, step // 2 if step % 2 == 0 else 0, lambda: fault[0](place))
    asked = [0]

    def may_go_on() -> bool:
        asked[0] += 1
        if step % 2 and asked[0] == step * 7:
            records.happen()
        return True

    order = place.order(errand, ecosystem)
    (moved,) = place.settle_all(order, records, may_go_on)
    return records.happened, moved


@pytest.mark.parametrize("errand", [Errand.RELOCATE, Errand.RESTORE])
@pytest.mark.parametrize("ecosystem", ["pip", "conda"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_destination_that_fails_in_the_middle_costs_nothing(
    place: House, tmp_path: Path, ecosystem: str, fault: str, errand: Errand
) -> None:
    whole = looks(fill(place, ecosystem, tmp_path))
    met = 0
    for step in range(1, 40):
        if errand is Errand.RESTORE and not place.records():
            assert not place.run(Errand.RELOCATE, ecosystem).error
        happened, moved = run_with_fault(place, errand, ecosystem, FAULTS[fault], step)
        met += happened
        place.settle()
        # A cache whose disk was taken away, or turned read-only, after the old place was cleared begins anew.
        away = [each.phase for each in place.records()] == [Phase.AWAY]
        seen = looks(place.named(ecosystem))
        assert seen == whole or (away and not seen), (step, moved)
        FAULTS[fault][1](place)
        for _ in range(3):
            again = place.run(errand, ecosystem)
            if not place.records() or not is_open(place.records()):
                break
        assert not is_open(place.records()), (step, again)
        assert looks(place.named(ecosystem)) == whole, (step, again)
        assert not place.litter()
        if errand is Errand.RELOCATE:
            assert not place.run(Errand.RESTORE, ecosystem).error
        if not happened and step % 2 == 0:
            break
    assert met >= 5


def test_input_and_output_errors_of_the_destination_leave_the_cache_where_it_is(place: House) -> None:
    """The disk ends early: what lies beyond cannot be written or read (EIO)."""
    fill_pip(place.home / ".cache/pip", count=200, size=100_000)
    whole = looks(place.home / ".cache/pip")

    def shrink(house: House) -> None:
        image = house.disk.path.parent / "image"
        os.truncate(image, 6 << 20)
        command("losetup", "--set-capacity", house.disk.device)

    make = ["mkfs.ext4", "-q", "-F", "-m", "0", place.disk.device]
    for step in (1, 201, 251):  # while it is counted, and while it is copied
        happened, moved = run_with_fault(place, Errand.RELOCATE, "pip", (shrink, shrink), step)
        assert happened
        assert moved.error
        place.settle()
        assert looks(place.named("pip")) == whole
        command("umount", "--lazy", str(place.disk.path))
        os.truncate(place.disk.path.parent / "image", place.disk.size_mib << 20)
        command("losetup", "--set-capacity", place.disk.device)
        # What is unmounted lazily may be in use for a moment.
        eventually(lambda: subprocess.run(make, capture_output=True).returncode == 0)
        place.disk.mount()
        place.run(Errand.RESTORE, leave_data=True)
        assert not place.records()


@pytest.mark.parametrize("step", range(1, 8))
def test_a_home_that_is_full_when_the_tool_is_to_be_told_is_waited_for(tmp_path: Path, step: int) -> None:
    with LoopDisk(40, mkfs_options=["-m", "0"]) as own, house(tmp_path) as place:
        place.home = own.path / "home"
        (place.home / ".config/pip").mkdir(parents=True)
        (place.home / ".config/pip/pip.conf").write_text("# mine\n[global]\nquiet = 1\n")
        fill_pip(place.home / ".cache/pip")
        whole = looks(place.home / ".cache/pip")
        fault = (lambda _: own.fill(1 << 16, reserve_too=True), lambda _: own.ballast.unlink())
        _, moved = run_with_fault(place, Errand.RELOCATE, "pip", fault, step)
        assert looks(place.named("pip")) == whole, moved
        own.ballast.unlink(missing_ok=True)
        assert not place.run(Errand.RELOCATE).error
        assert not is_open(place.records())
        assert looks(place.named("pip")) == whole
        assert not place.litter()


def test_on_a_home_that_is_full_nothing_is_begun_and_that_is_said(tmp_path: Path) -> None:
    with LoopDisk(40, mkfs_options=["-m", "0"]) as own, house(tmp_path) as place:
        place.home = own.path / "home"
        fill_pip(place.home / ".cache/pip")
        own.fill(1 << 16, reserve_too=True)
        moved = place.run(Errand.RELOCATE)
        assert "No space left on device" in moved.error
        assert not place.to("pip").exists()
