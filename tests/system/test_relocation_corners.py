"""Moves in the corners: edited meanwhile, refused at the end, a disk that goes at the worst moment."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from builders.disks import LoopDisk, why_no_loop_disks
from builders.moves import House, Killed, Meanwhile, fill_pip, house, in_a_child, looks
from cachewarden.model.caches import Look, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.policies import ActionKind, Match, Policy, Settings
from cachewarden.model.relocations import Errand, Method, Phase
from cachewarden.service.cycle import Cycle
from cachewarden.service.earlier import KnownOf, nothing_known
from cachewarden.service.hooks import Hooks
from cachewarden.service.local_workers import LocalWorkers
from cachewarden.service.remembering import Remembering
from cachewarden.system.clock import SystemClock
from fakes import FakeStore

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        fill_pip(made.home / ".cache/pip")
        yield made


def conf(place: House) -> Path:
    return place.home / ".config/pip/pip.conf"


def unplug(place: House) -> None:
    subprocess.run(["umount", "--lazy", str(place.disk.path)], check=True)


def killed_at(place: House, step: int, *, after: bool = True) -> None:
    records = Killed(place.whom().records.folder, step, after=after)
    in_a_child(lambda: place.settle_all(place.order(Errand.RELOCATE, "pip"), records))


class CountingWorkers(LocalWorkers):
    """How often everything is looked at."""

    looks = 0

    def look_at_all(
        self, owners: Sequence[Owner], hooks: Hooks, known: KnownOf = nothing_known
    ) -> Iterator[tuple[Owner, Look | WorkerError]]:
        self.looks += 1
        return super().look_at_all(owners, hooks, known)


def cycle(place: House, otherwise: ActionKind) -> tuple[CountingWorkers, Cycle, Settings]:
    workers = CountingWorkers(place.whom)
    policy = Policy("away", ActionKind.RELOCATE, Match(("pip",)), to=str(place.to("pip")), otherwise=otherwise)
    return workers, Cycle(workers, SystemClock(), Remembering(FakeStore()), Hooks()), Settings(policies=(policy,))


def test_while_its_disk_is_away_a_policy_takes_otherwise_and_does_not_try_again_and_again(place: House) -> None:
    workers, run, settings = cycle(place, ActionKind.PURGE)
    record = run.run(settings, "x")
    assert place.named("pip") == place.to("pip"), record
    unplug(place)
    run.run(settings, "x")
    fill_pip(place.home / ".cache/pip")
    workers.looks = 0
    record = run.run(settings, "x")
    assert {each.action for each in record.outcomes} == {"purge", "relocate"}
    assert record.freed > 0
    assert workers.looks <= 3
    place.disk.mount()
    record = run.run(settings, "x")
    assert place.named("pip") == place.to("pip")
    assert workers.looks <= 6


def test_a_disk_that_goes_while_it_is_copied_to_does_not_keep_a_policy_from_taking_otherwise(place: House) -> None:
    killed_at(place, 1)
    assert [each.phase for each in place.records()] == [Phase.COPYING]
    unplug(place)
    _, run, settings = cycle(place, ActionKind.PURGE)
    assert run.run(settings, "x").freed > 0
    place.disk.mount()


def test_a_file_that_was_edited_after_a_kill_right_behind_the_switch_keeps_the_edit(place: House) -> None:
    whole = looks(place.home / ".cache/pip")
    for step in range(1, 12):
        killed_at(place, step, after=False)
        if conf(place).exists() and place.records()[0].phase is Phase.SWITCHING:
            break
        place.run(Errand.RESTORE)
    conf(place).write_text(conf(place).read_text() + "quiet = 1\n")
    assert not place.run(Errand.RELOCATE).error
    assert place.named("pip") == place.to("pip")
    assert looks(place.to("pip")) == whole
    assert not place.run(Errand.RESTORE).error
    assert conf(place).read_text() == "[global]\nquiet = 1\n"


def test_configuration_that_comes_to_override_it_during_the_copy_undoes_all(place: House) -> None:
    whole = looks(place.home / ".cache/pip")
    conf(place).parent.mkdir(parents=True)
    text = f"[install]\ncache-dir = {place.home}/.cache/pip\n"
    records = Meanwhile(place.whom().records.folder, 1, lambda: conf(place).write_text(text))
    (moved,) = place.settle_all(place.order(Errand.RELOCATE, "pip"), records)
    assert "[install] cache-dir" in moved.error
    assert moved.freed == 0
    assert not place.records()
    assert not place.to("pip").exists()
    assert conf(place).read_text() == text
    assert looks(place.named("pip")) == whole


def test_what_pip_cache_says_of_its_own_section_does_not_refuse_a_move(place: House) -> None:
    conf(place).parent.mkdir(parents=True)
    conf(place).write_text(f"[cache]\ncache-dir = {place.home}/.cache/pip\n")
    assert not place.run(Errand.RELOCATE).error
    assert place.named("pip") == place.to("pip")


@pytest.mark.parametrize("method", list(Method))
def test_a_disk_that_goes_right_after_the_switch_gives_the_whole_cache_back(place: House, method: Method) -> None:
    """What was set aside is still whole: it takes its old place again."""
    whole = looks(place.home / ".cache/pip")
    seen: list[Phase] = []
    for step in range(1, 10):
        journal = Killed(place.whom().records.folder, step, after=True)
        order = place.order(Errand.RELOCATE, "pip", method=method)
        in_a_child(partial(place.settle_all, order, journal))
        seen.append(place.records()[0].phase)
        if seen[-1] is Phase.REMOVING:
            break
        place.run(Errand.RESTORE)
    unplug(place)
    place.settle()
    assert [each.phase for each in place.records()] == [Phase.AWAY]
    assert looks(place.home / ".cache/pip") == whole
    assert not (place.home / ".cache/pip").is_symlink()
    place.disk.mount()
    place.settle()
    assert place.named("pip") == place.to("pip")
    assert looks(place.to("pip")) == whole
    assert not place.litter()


def test_the_tool_is_told_before_anything_is_cleared_when_a_disk_is_gone(place: House) -> None:
    def killed_when_half_is_cleared() -> bool:
        if any(each.clearing for each in place.records()):
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    in_a_child(lambda: place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=killed_when_half_is_cleared))
    (record,) = place.records()
    aside = Path(record.aside)
    (aside / "x").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(aside / "x")], check=True)  # cannot be removed
    try:
        unplug(place)
        place.settle()
        assert place.named("pip") == place.home / ".cache/pip"
    finally:
        subprocess.run(["umount", str(aside / "x")], check=True)
    place.disk.mount()


def test_a_way_back_that_lost_its_disk_goes_on_when_it_is_here_again(place: House) -> None:
    whole = looks(place.home / ".cache/pip")
    place.run(Errand.RELOCATE)
    records = Meanwhile(place.whom().records.folder, 1, lambda: unplug(place))
    place.settle_all(place.order(Errand.RESTORE, "pip"), records)
    place.settle()
    assert place.named("pip") == place.home / ".cache/pip"
    place.disk.mount()
    for _ in range(3):
        place.settle()
    assert not place.records()
    assert looks(place.home / ".cache/pip") == whole
    assert not conf(place).exists()


def test_a_bare_mount_point_on_a_third_disk_gets_nothing(place: House) -> None:
    with LoopDisk(32) as third:
        point = third.path / "usb"
        point.mkdir()
        subprocess.run(["mount", place.disk.device, str(point)], check=True)
        pull = partial(subprocess.run, ["umount", str(point)], check=True)
        records = Meanwhile(place.whom().records.folder, 1, pull)
        (moved,) = place.settle_all(place.order(Errand.RELOCATE, "pip", to=str(point / "pip")), records)
        assert "is not mounted" in moved.error
        assert os.listdir(point) == []
        assert place.named("pip") == place.home / ".cache/pip"


def test_that_a_disk_was_full_once_is_forgotten_when_it_has_room_again(place: House) -> None:
    place.run(Errand.RELOCATE)
    place.disk.fill(1 << 16, reserve_too=True)
    place.settle()
    place.disk.ballast.unlink()
    place.settle()
    assert [each.why for each in place.records()] == [""]
    place.disk.fill(1 << 16, reserve_too=True)
    place.settle()
    assert place.named("pip") == place.to("pip")


def test_a_copy_that_fills_its_disk_is_given_up_after_some_tries(place: House) -> None:
    """Somebody else writes there while it is copied."""
    records = Meanwhile(place.whom().records.folder, 1, lambda: place.disk.fill(1 << 14, reserve_too=True))
    (moved,) = place.settle_all(place.order(Errand.RELOCATE, "pip"), records)
    assert "No space left" in moved.error
    for _ in range(6):
        place.settle()
    assert not place.records()
    assert not place.to("pip").exists()


def test_a_record_that_nobody_can_read_is_named_and_stands_in_nobodys_way(place: House) -> None:
    folder = place.state / "relocations"
    folder.mkdir(parents=True)
    for name, text in {"a.json": "{", "b.json": json.dumps({"version": 99}), "c.json": "[" * 100_000}.items():
        (folder / name).write_text(text)
    assert "a.json" in place.run(Errand.RESTORE).error
    assert not place.run(Errand.RELOCATE).error
