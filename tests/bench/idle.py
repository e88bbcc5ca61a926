"""What the service costs while nothing happens, beside a bare interpreter that imports the same five packages.

In a throw-away home with a pip and a conda cache; as root also in system mode, in a mount namespace of its own, with
one owner who has caches. The two are measured one after the other, so that neither shares pages with the other.
As root all of it is on a disk of its own, whose counters then are of nothing else.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.parts import Size
from bench.results import ROOT, Found
from builders.disks import LoopDisk, why_no_loop_disks
from builders.forks import Forks
from builders.machine import COMMAND, Machine
from builders.meters import FIELD_PACKAGES, Effort, Memory, effort, importing, memory, settle, threads, tree
from builders.sleeps import sleeps
from builders.synthetic import conda_packages, pip_responses

SHIPPED = ROOT / "config" / "cachewarden.yaml"
_NAMES = "service", "launcher", "watcher"
_SETTLED, _PATIENCE = 5.0, 60.0
_EXPLAINED = 60.0
"""Seconds for which strace looks on, after all that is counted: a process that is looked at costs more."""
_SECTOR = 512
_DISK_MIB = 64 << 10
"""Of a sparse file: large, since a disk that is small is near its marks and sampled more often."""
_DISK = "-N", "20000", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0"
"""With nothing left for the kernel to do later."""
_TEMPORARY = "/var/tmp"


def fill(home: Path) -> None:
    """Caches of both kinds."""
    pip_responses(home / ".cache" / "pip", 50)
    conda_packages(home / ".conda" / "pkgs", 5)


@contextmanager
def running(command: Sequence[str], environ: dict[str, str]) -> Iterator[int]:
    """A service; the process at the top."""
    process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def user_mode(place: str = _TEMPORARY) -> Iterator[int]:
    """For the caller, with the shipped configuration."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        home = Path(folder)
        fill(home)
        words = ["--user", "--config", str(SHIPPED), "--state-dir", str(home / "state"), "daemon"]
        environ = {"HOME": folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        environ |= _ours()
        with running([COMMAND, *words], environ) as pid:
            yield pid


_TUNED = "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "PYTHONMALLOC", "PYTHONOPTIMIZE"
"""Variables that a unit file could set, let through to try them."""


def _ours() -> dict[str, str]:
    """This checkout, whatever is installed."""
    tuned = {name: os.environ[name] for name in _TUNED if name in os.environ}
    return tuned | {"PYTHONPATH": str(ROOT / "daemon")}


@contextmanager
def system_mode(place: str = _TEMPORARY) -> Iterator[int]:
    """For all users of a machine, of whom one has caches."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        Path(folder).chmod(0o755)
        machine = Machine(Path(folder))
        shutil.copy(SHIPPED, machine.config)
        fill(machine.home("ann"))
        machine.give(machine.home("ann"), "ann")
        with running(machine.arguments("daemon"), {"PATH": os.environ["PATH"], **_ours()}) as pid:
            yield pid


_MODES = {"user": user_mode, "system": system_mode}


def bare(modules: Sequence[str]) -> Memory:
    """An interpreter that imported ``modules``."""
    with importing(modules) as pid:
        time.sleep(0.2)
        return memory(pid)


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """Each mode for ``size.minutes``."""
    for mode in size.modes or ("user", "system"):
        if mode == "system" and os.geteuid() != 0:
            found.skip("the idle service in system mode", "serving all users needs root")
            continue
        say(f"the idle service in {mode} mode, for {size.minutes:g} minutes")
        with ExitStack() as stack:
            disk: LoopDisk | None = None
            if not why_no_loop_disks():
                disk = stack.enter_context(LoopDisk(_DISK_MIB, mkfs_options=_DISK))
            one_mode(mode, size.minutes * 60, disk, found)


def one_mode(mode: str, seconds: float, disk: LoopDisk | None, found: Found) -> None:
    """Rows of one service: for each process, for the whole, and for what its threads sleep in."""
    before = bare(FIELD_PACKAGES)
    with _MODES[mode](str(disk.path) if disk else _TEMPORARY) as root:
        if not settle(root, _SETTLED, _PATIENCE):
            raise SystemExit(f"{mode} mode did not become quiet: {len(tree(root))} processes")
        pids = tree(root)
        _watch(mode, pids, seconds, disk, before, found)
        watched = min(_EXPLAINED, seconds)
        explained = sleeps(pids, watched)
        if explained is None:
            found.skip(f"what wakes the service in {mode} mode", "strace is missing, or may not look")
        else:
            found.row("explained", mode=mode, seconds=watched, sleeps=sum(each.count for each in explained))
        owners = {int(task.name): pid for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()}
        for each in explained or ():
            pid = owners.get(each.thread)
            found.row(
                "sleeps", mode=mode, process=_name(pids, pid), main=each.thread == pid, call=each.call,
                ended_by_time=each.ended_by_time, per_minute=each.count * 60 / watched,
                seconds=each.seconds,
            )  # fmt: skip


def _name(pids: Sequence[int], pid: int | None) -> str:
    if pid not in pids:
        return "a worker"
    number = pids.index(pid)
    return _NAMES[number] if number < len(_NAMES) else f"watcher {number - 1}"


def _watch(mode: str, pids: list[int], seconds: float, disk: LoopDisk | None, before: Memory, found: Found) -> None:
    """Counts, for so long."""
    os.sync()
    on_disk = _written(disk)
    memories, efforts = [memory(pid) for pid in pids], [effort(pid) for pid in pids]
    woken = [threads(pid) for pid in pids]
    began = time.monotonic()
    processes, begun_threads = _forks_meanwhile(pids, seconds)
    took, alive = time.monotonic() - began, tree(pids[0])
    os.sync()  # what was only dirtied until now counts as well
    written_later = _written(disk)
    whole = Memory()
    spent = 0.0
    for number, pid in enumerate(pids):
        if pid not in alive:
            found.row("idle", mode=mode, process=_name(pids, pid), gone=True)
            continue
        now, later = memory(pid), effort(pid)
        whole, spent = whole + now, spent + _seconds(efforts[number], later)
        found.row("idle", mode=mode, process=_name(pids, pid), **_of(memories[number], now, efforts[number], later),
                  threads=_differences(woken[number], threads(pid)))  # fmt: skip
    found.row(
        "idle-whole", mode=mode, seconds=round(took, 1), pss=whole.pss, pss_before=sum(m.pss for m in memories),
        bare_pss=before.pss, cpu_seconds=round(spent, 4), processes_begun=processes, threads_begun=begun_threads,
        disk_written=None if on_disk is None or written_later is None else written_later - on_disk,
        same_processes=alive == pids,
    )  # fmt: skip


def _of(first: Memory, last: Memory, began: Effort, ended: Effort) -> dict[str, object]:
    return {
        "pss_before": first.pss,
        "pss": last.pss,
        "anonymous": last.anonymous,
        "cpu_seconds": round(ended.seconds - began.seconds, 4),
        "cpu_of_children": round(ended.of_children - began.of_children, 2),
        "written": ended.written - began.written,
        "wakeups": ended.wakeups - began.wakeups,
    }


def _seconds(began: Effort, ended: Effort) -> float:
    return ended.seconds + ended.of_children - began.seconds - began.of_children


def _differences(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Wake-ups by what a thread sleeps in at the end; threads without any are left out."""
    started = {name.split()[0]: count for name, count in before.items()}
    counts: dict[str, int] = {}
    for name, count in after.items():
        thread, _, place = name.partition(" ")
        counts[place or "running"] = counts.get(place or "running", 0) + count - started.get(thread, 0)
    return {place: count for place, count in counts.items() if count}


def _forks_meanwhile(pids: Sequence[int], seconds: float) -> tuple[int | None, int | None]:
    """Processes and threads begun within ``seconds``; None where the kernel does not tell."""
    with suppress(OSError), Forks(pids) as forks:
        time.sleep(seconds)
        return (None, None) if forks.lost else (forks.processes, forks.threads)
    time.sleep(seconds)
    return None, None


def _written(disk: LoopDisk | None) -> int | None:
    """Bytes that reached the disk since it is there (``stat`` of sysfs, the seventh number)."""
    if disk is None:
        return None
    name = os.path.basename(disk.device)
    return int(Path(f"/sys/block/{name}/stat").read_text().split()[6]) * _SECTOR
