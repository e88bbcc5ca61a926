"""The one way in which the bench takes times: several ways of doing a thing in turn, round after round."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STOPWATCH = str(Path(__file__).with_name("stopwatch.py"))


class CommandFailedError(RuntimeError):
    """A command that is measured ended with an error, so that its time means nothing."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock; of processor time, with all that the command waited for; peak bytes of one process."""

    wall: float
    cpu: float
    peak: int = 0


Taken = Mapping[str, Spent]
"""What one way took, by name: one figure, or two where a command is run a second time at once."""
Way = Callable[[], Taken]
Times = dict[str, list[Spent]]
"""By name, one figure for each round: the n-th of all names were taken side by side."""


def timed(command: Sequence[str], environ: Mapping[str, str], *, fine: Iterable[int] = (0,)) -> Spent:
    """One command, its output thrown away. Raises CommandFailedError unless it ends with a status in ``fine``."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", _STOPWATCH, *command],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout) if done.returncode == 0 else {"status": done.returncode}
    if said["status"] not in fine:
        raise CommandFailedError(f"{' '.join(command)}: status {said['status']}: {done.stderr[-2000:]}")
    return Spent(said["wall"], said["cpu"], said["peak"])


def in_process(action: Callable[[], object]) -> Spent:
    """One call, in this process; children that it waited for are counted."""
    before, began = _cpu(), time.perf_counter()
    action()
    return Spent(time.perf_counter() - began, _cpu() - before)


def _cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def in_turn(ways: Sequence[Way], rounds: int) -> Times:
    """All ways in each round, beginning with another one each time, so that none always runs in the wake of one."""
    times: Times = {}
    for number in range(rounds):
        start = number % len(ways)
        for way in (*ways[start:], *ways[:start]):
            for name, spent in way().items():
                times.setdefault(name, []).append(spent)
    return times


def may_forget() -> bool:
    """Whether ``forget`` works for this caller."""
    return os.access("/proc/sys/vm/drop_caches", os.W_OK)


def forget() -> None:
    """What the kernel remembers of the disks goes (root). What is dirty is written before, so that it can."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
