"""What the service costs while nothing happens, beside a bare interpreter that imports the same five packages.

usage: python tests/bench/idle.py [--seconds N] [--rounds N] [--threads]

In a throw-away home with a pip and a conda cache; as root also in system mode, in a mount namespace of its own, with
one owner who has caches. The two are measured one after the other, so that neither shares pages with the other.
"""

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders.machine import COMMAND, Machine
from builders.meters import FIELD_PACKAGES, Memory, effort, importing, memory, settle, threads, tree
from builders.synthetic import conda_packages, pip_responses

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "cachewarden.yaml"
_NAMES = "service", "launcher", "watcher"
_SETTLED, _PATIENCE = 5.0, 60.0


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
def user_mode() -> Iterator[int]:
    """For the caller, with the shipped configuration."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
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
    return tuned | {"PYTHONPATH": str(SHIPPED.parents[1] / "daemon")}


@contextmanager
def system_mode() -> Iterator[int]:
    """For all users of a machine, of whom one has caches."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        machine = Machine(Path(folder))
        shutil.copy(SHIPPED, machine.config)
        fill(machine.home("ann"))
        machine.give(machine.home("ann"), "ann")
        with running(machine.arguments("daemon"), {"PATH": os.environ["PATH"], **_ours()}) as pid:
            yield pid


def total(pids: Sequence[int]) -> Memory:
    """Of all of them."""
    return sum(map(memory, pids), Memory())


def bare(modules: Sequence[str]) -> Memory:
    """An interpreter that imported ``modules``."""
    with importing(modules) as pid:
        time.sleep(0.2)
        return memory(pid)


def mb(size: float) -> str:
    """As the tables show it."""
    return f"{size / 1e6:6.1f} MB"


def one_round(name: str, seconds: float, *, by_thread: bool) -> float:
    """Measures one mode and prints it; how its memory compares with the bare imports."""
    before = bare(FIELD_PACKAGES)
    with user_mode() if name == "user" else system_mode() as root:
        if not settle(root, _SETTLED, _PATIENCE) or len(tree(root)) != len(_NAMES):
            raise SystemExit(f"{name} mode did not become quiet: {len(tree(root))} processes")
        pids = tree(root)
        efforts, forks, began = [effort(pid) for pid in pids], _last_pid(), time.monotonic()
        woken = [threads(pid) for pid in pids]
        time.sleep(seconds)
        took, later = time.monotonic() - began, [effort(pid) for pid in pids]
        own = tree(root) == pids
        memories = [memory(pid) for pid in pids]
        woken_later = [threads(pid) for pid in pids]
    print(f"{name} mode, over {took:.0f} s; its processes are {'the same' if own else 'NOT the same'} at the end")
    print(f"  {'':10} {'PSS':>9} {'anonymous':>10} {'of a core':>10} {'written':>8} {'wake-ups a minute':>18}")
    rows = zip(_NAMES, memories, efforts, later, woken, woken_later, strict=True)
    for what, size, first, last, slept, slept_later in rows:
        share = (last.seconds - first.seconds) / took
        rate = (last.wakeups - first.wakeups) * 60 / took
        print(
            f"  {what:10} {mb(size.pss)} {mb(size.anonymous):>10} {share:10.4%} "
            f"{last.written - first.written:8} {rate:18.1f}"
        )
        if by_thread:
            for thread, count in slept_later.items():
                print(f"      thread {thread}: {count - slept.get(thread, 0)}")
    all_of_it = sum(memories, Memory())
    share = sum(last.seconds - first.seconds for first, last in zip(efforts, later, strict=True)) / took
    print(f"  {'together':10} {mb(all_of_it.pss)} {mb(all_of_it.anonymous):>10} {share:10.4%}")
    print(f"  {'bare':10} {mb(before.pss)} {mb(before.anonymous):>10}")
    ratio = all_of_it.pss / before.pss
    print(f"  ratio      {ratio:6.2f}    {all_of_it.anonymous / before.anonymous:6.2f}")
    with suppress(ValueError):
        print(f"  processes begun on the whole machine meanwhile: {_last_pid() - forks}")
    return ratio


def _last_pid() -> int:
    """Forks since the machine started."""
    lines = Path("/proc/stat").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("processes ")))


def main() -> None:
    """The whole table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--mode", choices=("user", "system"), action="append")
    parser.add_argument("--threads", action="store_true")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} processors")
    for name in options.mode or ["user", *(["system"] if os.geteuid() == 0 else [])]:
        ratios = [one_round(name, options.seconds, by_thread=options.threads) for _ in range(options.rounds)]
        if len(ratios) > 1:
            print(f"  median ratio of {len(ratios)} rounds: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
