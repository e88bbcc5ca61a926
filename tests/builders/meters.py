"""What processes cost, by the kernel's own account (proc(5)): memory, processor time, writes, wake-ups, forks."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

FIELD_PACKAGES = (
    "watchdog.observers", "apscheduler.schedulers.background", "psutil", "yaml", "systemd.journal",
    "systemd.daemon",
)  # fmt: skip
"""The five packages of the field, by the modules that a service of this kind uses of them."""
_WAIT = "import sys; sys.stdout.write('here\\n'); sys.stdout.flush(); sys.stdin.read()"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one process or several: its proportional share (PSS), and of that what no file backs."""

    pss: int = 0
    anonymous: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.anonymous + other.anonymous)


@dataclass(frozen=True, slots=True)
class Effort:
    """What a process did since its start: seconds of processor, bytes to disks, sleeps that ended.

    ``seconds`` and ``wakeups`` are its own; ``written`` and ``of_children`` count children that it waited for.
    """

    seconds: float
    written: int
    wakeups: int
    of_children: float = 0.0


def tree(root: int) -> list[int]:
    """A process and all below it, parents first."""
    found = [root]
    for pid in found:
        for task in _tasks(pid):
            with suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _tasks(pid: int) -> list[Path]:
    """Of the threads of a process, of which each may end before it is looked at; none of one that is gone."""
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def memory(pid: int) -> Memory:
    """Of one process."""
    fields = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return Memory(fields["Pss"] << 10, fields["Pss_Anon"] << 10)


def effort(pid: int) -> Effort:
    """Of one process with all its threads."""
    wakeups = 0
    for task in _tasks(pid):
        with suppress(OSError):
            wakeups += _fields(task / "status")["voluntary_ctxt_switches"]
    # After the name, which may hold anything: cutime and cstime are fields 16 and 17 of proc(5).
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    of_children = (int(stat[13]) + int(stat[14])) / _TICKS
    return Effort(_nanoseconds(pid) / 1e9, _fields(Path(f"/proc/{pid}/io"))["write_bytes"], wakeups, of_children)


def _nanoseconds(pid: int) -> int:
    """On a processor, all threads: the ticks of ``stat`` are too coarse for something that idles."""
    total = 0
    for task in _tasks(pid):
        with suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


def threads(pid: int) -> dict[str, int]:
    """Wake-ups by thread."""
    return {
        f"{task.name} {(task / 'wchan').read_text()}": _fields(task / "status")["voluntary_ctxt_switches"]
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    numbers = ((name, value.split()) for name, _, value in pairs)
    return {name: int(value[0]) for name, value in numbers if value and value[0].isdigit()}


@contextmanager
def importing(modules: Sequence[str], python: str = sys.executable) -> Iterator[int]:
    """An interpreter that has imported ``modules``, waiting; its process."""
    imports = "".join(f"import {name}\n" for name in modules)
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [python, "-c", imports + _WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    )
    try:
        assert process.stdout
        if process.stdout.readline() != b"here\n":
            raise RuntimeError("the interpreter did not start")
        yield process.pid
    finally:
        process.communicate(timeout=240)


def settle(root: int, seconds: float, most: float) -> bool:
    """Waits until the tree has used no processor to speak of for ``seconds``; whether that came within ``most``.

    One that waits for a disk uses none, and is not at rest.
    """
    until = time.monotonic() + most
    quiet, before = time.monotonic(), _spent(root)
    while time.monotonic() - quiet < seconds:
        if time.monotonic() > until:
            return False
        time.sleep(0.25)
        now = _spent(root)
        if now[0] != before[0] or now[1] - before[1] > 10_000_000 or any(map(_waits_for_a_disk, now[0])):
            quiet, before = time.monotonic(), now
    return True


def _waits_for_a_disk(pid: int) -> bool:
    """Whether one of its threads is in state D of proc(5)."""
    for task in _tasks(pid):
        with suppress(OSError):
            if (task / "stat").read_text().rpartition(")")[2].split()[0] == "D":
                return True
    return False


def _spent(root: int) -> tuple[list[int], int]:
    pids = tree(root)
    return pids, sum(map(_nanoseconds, pids))
