"""What a cycle over many owners costs: wall time, and processor time of the service, the launcher and the workers.

As root. Owners exist nowhere else.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from bench.results import Found
from builders.fleet import fleet
from builders.launched import SERVICE, honest
from cachewarden.model.caches import Owner
from cachewarden.model.policies import Settings
from cachewarden.service.cycle import Cycle
from cachewarden.service.hooks import Hooks
from cachewarden.service.remembering import Remembering
from cachewarden.service.worker import LIMITS, preload
from cachewarden.service.workers import LaunchedWorkers
from cachewarden.system.clock import SystemClock
from cachewarden.system.launcher import Rules, fork_launcher
from fakes import FakeStore

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds: wall time, and processor time of this process, of the launcher, and of the workers that it reaped."""

    wall: float
    service: float
    launcher: float
    workers: float

    def since(self, before: "Spent") -> "Spent":
        """What came to it."""
        return Spent(
            self.wall - before.wall, self.service - before.service, self.launcher - before.launcher,
            self.workers - before.workers,
        )  # fmt: skip


def spent(launcher: int) -> Spent:
    fields = Path(f"/proc/{launcher}/stat").read_text().rpartition(")")[2].split()
    user, system, of_children, in_children = (int(each) / _TICK for each in fields[11:15])
    return Spent(time.perf_counter(), time.process_time(), user + system, of_children + in_children)


def cycles(owners: list[Owner], rounds: int) -> list[Spent]:
    """The first cycle is not counted: it warms up."""
    rules = Rules(lambda: owners, honest, LIMITS, switch=True, service=SERVICE)
    before_it = {child.pid for child in psutil.Process().children()}  # launchers of other parts
    with fork_launcher(rules) as channel:
        (launcher,) = {child.pid for child in psutil.Process().children()} - before_it
        cycle = Cycle(LaunchedWorkers(channel), SystemClock(), Remembering(FakeStore()), Hooks())
        found = []
        for _ in range(rounds + 1):
            before = spent(launcher)
            record = cycle.run(Settings(), "bench")
            took = time.perf_counter() - before.wall
            if len(record.problems):
                raise SystemExit(str(record.problems[:3]))
            time.sleep(0.2)  # the last workers end
            found.append(replace(spent(launcher).since(before), wall=took))
    os.waitpid(launcher, 0)
    return found[1:]


def measure(counts: Sequence[int], rounds: int, found: Found) -> None:
    """A row for each number of owners, with the medians of its rounds."""
    preload()
    with fleet(max(counts)) as owners:
        for number in counts:
            taken = cycles(owners[:number], rounds)
            names = "wall", "service", "launcher", "workers"
            found.row("fleet", owners=number, **{
                name: [round(getattr(each, name), 3) for each in taken] for name in names
            })  # fmt: skip
