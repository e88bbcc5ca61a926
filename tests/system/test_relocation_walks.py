"""Random walks through moves: whatever is done, killed and unplugged in whatever order, nothing is lost (root)."""

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.disks import why_no_loop_disks
from builders.moves import House, Killed, fill_pip, house, in_a_child
from cachewarden.model.relocations import Errand, Method, MoveOrder
from cachewarden.system.places import PROBE

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
WALKS, STEPS = 40, 14
WHEELS = f"wheels/aa/bb/cc/{'1' * 50}"


class Walk:
    """A user, a service and a loose cable. ``log`` is what happened, for the message."""

    def __init__(self, place: House, seed: int) -> None:
        self.place = place
        self.chance = random.Random(seed)
        self.method = self.chance.choice(list(Method))
        self.stored = wheels(place.home)
        self.mounted = True
        self.log: list[str] = [self.method]

    def step(self) -> None:
        does: list[Callable[[], None]] = [
            self.relocate, self.relocate, self.relocate, self.restore, self.restore, self.give_up, self.settle,
            self.settle, self.unplug, self.plug, self.plug, self.store, self.store, self.store,
        ]  # fmt: skip
        self.chance.choice(does)()
        if self.mounted:
            self.nothing_is_lost()

    def relocate(self) -> None:
        keep = self.method is Method.CONFIG and self.chance.random() < 0.25
        self._order(self.place.order(Errand.RELOCATE, "pip", method=self.method, keep=keep))

    def restore(self) -> None:
        self._order(self.place.order(Errand.RESTORE, "pip"))

    def give_up(self) -> None:
        self._order(self.place.order(Errand.RESTORE, "pip", leave_data=True))

    def settle(self) -> None:
        self._order(MoveOrder(Errand.SETTLE, "pip", by_policy=self.chance.random() < 0.3))

    def _order(self, order: MoveOrder) -> None:
        """To its end, killed at an entry of the journal, killed at some instant, or asked to stop."""
        how = self.chance.random()
        if how < 0.5:
            came = str([(each.phase.value, each.text) for each in self.place.settle_all(order)])
        elif how < 0.75:
            entry, after = self.chance.randrange(1, 14), self.chance.random() < 0.5
            journal = Killed(self.place.whom().records.folder, entry, after=after)
            in_a_child(lambda: self.place.settle_all(order, journal))
            came = f"killed at entry {entry}, {after}"
        elif how < 0.9:
            seconds = self.chance.uniform(0, 0.25)
            in_a_child(lambda: self.place.settle_all(order), kill_after=seconds)
            came = f"killed after {seconds:.3f} s"
        else:
            left = iter(range(self.chance.randrange(1, 60)))
            self.place.settle_all(order, may_go_on=lambda: next(left, None) is not None)
            came = "stopped"
        now = [f"{each.phase} {each.heading} ({each.why})" for each in self.place.records()]
        self.log.append(f"{order.errand} keep={order.keep} leave_data={order.leave_data}: {came}; then {now}")

    def unplug(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.place.disk.path)], check=True)
            self.mounted = False
            self.log.append("unplugged")

    def plug(self) -> None:
        if not self.mounted:
            self.place.disk.mount()
            self.mounted = True
            self.log.append("plugged in")

    def store(self) -> None:
        """What pip would build now, where it would; not on a bare mount point that no cycle has seen yet."""
        cache = self.place.named("pip")
        if not self.mounted and cache.is_relative_to(self.place.disk.path):
            return
        wheel = cache / WHEELS / f"made{len(self.stored)}-1.0-py3-none-any.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        wheel.write_text(wheel.name)
        self.stored.add(wheel.name)
        self.log.append(f"{wheel.name} is stored in {cache}")

    def nothing_is_lost(self) -> None:
        lost = self.stored - wheels(self.place.home) - wheels(self.place.disk.path)
        assert not lost, (lost, self.log)

    def end(self, old: Path) -> None:
        """With the disk here, all comes to rest, and the way back leads to where it began."""
        self.plug()
        for _ in range(4):
            self.place.settle()
        if self.place.records():
            came = self.place.run(Errand.RESTORE)
            self.log.append(f"in the end: {came.text}")
            self.place.settle()
        assert not self.place.records(), self.log
        assert self.place.named("pip") == old, self.log
        assert not (self.place.home / ".config/pip/pip.conf").exists(), self.log
        # What a trial that was killed left goes with the next trial there.
        assert not [each for each in self.place.litter() if PROBE not in each], self.log
        self.nothing_is_lost()


def wheels(folder: Path) -> set[str]:
    return {name for _, _, names in os.walk(folder) for name in names if name.endswith(".whl")}


@pytest.mark.parametrize("seed", range(WALKS))
def test_no_walk_loses_anything_gets_stuck_or_leaves_litter(tmp_path: Path, seed: int) -> None:
    with house(tmp_path, 64) as place:
        old = place.home / ".cache/pip"
        fill_pip(old, 6, 500)
        walk = Walk(place, seed)
        try:
            for _ in range(STEPS):
                walk.step()
            walk.end(old)
        finally:
            walk.plug()
