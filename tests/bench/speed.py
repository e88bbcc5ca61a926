"""Walk and purge beside the system's own tools: one run, in turn, medians; warm, and cold where it may.

usage: python tests/bench/speed.py [--files N] [--purged N] [--entries N] [--rounds N] [--scale] [--only PART]

``--scale`` adds a series of sizes up to ``--most`` files. Two ratios are printed: of the wall clock, and of the
processor time of the command and its children, which a busy machine moves less. «beyond start» leaves out what
``python -c pass`` takes. Cold: the kernel's caches are dropped before each command (root only).
"""

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import makers
from builders.pip_caches import pip_env, pip_python
from builders.synthetic import conda_packages, pip_responses
from cachewarden.model.caches import Entry, Kind
from cachewarden.model.policies import Order, Policy
from cachewarden.service.wire import decoder, encoder

DAEMON = str(Path(__file__).resolve().parents[2] / "daemon")
PER_PACKAGE = 250
"""Files of one package: of the order of those of a full distribution."""
_SCALE = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
_HEAD = f"{'':54} {'ours':>9} {'theirs':>9} {'ratio':>6} {'cpu':>6}"


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock, and of processor time."""

    wall: float
    cpu: float


class Home:
    """A throw-away home with caches, and the commands that are compared in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.pip = folder / ".cache" / "pip"
        self.pkgs = folder / ".conda" / "pkgs"
        self._serial = 0

    def ours(self, *words: str) -> Callable[[], Spent]:
        """A command of ours that never ran here before: its state folder is new each time."""

        def run() -> Spent:
            self._serial += 1
            state = str(self.path / f"state-{self._serial}")
            command = [sys.executable, "-m", "cachewarden", "--user", "--state-dir", state, *words]
            return timed(command, {"HOME": str(self.path), "PATH": os.environ["PATH"], "PYTHONPATH": DAEMON})

        return run

    def theirs(self, *command: str) -> Callable[[], Spent]:
        return lambda: timed(list(command), pip_env(self.path))

    def fill_pip(self, entries: int) -> None:
        shutil.rmtree(self.pip, ignore_errors=True)
        pip_responses(self.pip, entries)

    def fill_conda(self, files: int) -> None:
        shutil.rmtree(self.pkgs, ignore_errors=True)
        conda_packages(self.pkgs, max(1, files // PER_PACKAGE), files=min(files, PER_PACKAGE), folders=12)


def timed(command: list[str], environ: dict[str, str]) -> Spent:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def forget() -> None:
    """Everything that the kernel remembers of the disk. What is dirty is written before, so that it can."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def median(spent: list[Spent]) -> Spent:
    return Spent(statistics.median(each.wall for each in spent), statistics.median(each.cpu for each in spent))


def row(
    what: str,
    ours: Callable[[], Spent],
    theirs: Callable[[], Spent],
    rounds: int,
    *,
    prepare: Callable[[], None] = lambda: None,
    less: Spent = Spent(0.0, 0.0),
) -> None:
    """Both in turn. ``less`` is taken from ours: the start of the interpreter."""
    mine: list[Spent] = []
    others: list[Spent] = []
    for number in range(rounds):
        for action, times in ((ours, mine), (theirs, others)) if number % 2 else ((theirs, others), (ours, mine)):
            prepare()
            times.append(action())
    own, other = median(mine), median(others)
    wall, cpu = own.wall - less.wall, own.cpu - less.cpu
    print(
        f"{what:54} {wall:7.2f} s {other.wall:7.2f} s {wall / max(other.wall, 1e-3):6.2f}"
        f" {cpu / max(other.cpu, 1e-3):6.2f}",
        flush=True,
    )


def walk_rows(home: Home, files: int, rounds: int, start: Spent) -> None:
    """The first measurement of a conda cache."""
    home.fill_conda(files)
    theirs = home.theirs("du", "-s", str(home.pkgs))
    theirs()
    row(f"status : du -s, {files} conda files, warm, beyond start", home.ours("status"), theirs, rounds, less=start)
    if os.geteuid() == 0:
        what = f"status : du -s, {files} conda files, cold, beyond start"
        row(what, home.ours("status"), theirs, min(rounds, 3), prepare=forget, less=start)


def conda_purge_rows(home: Home, files: int, rounds: int, start: Spent) -> None:
    def again() -> None:
        home.fill_conda(files)

    def again_cold() -> None:
        again()
        forget()

    ours = home.ours("purge", "conda", "--all", "--yes")
    theirs = home.theirs("rm", "-rf", str(home.pkgs))
    row(f"purge : rm -rf, {files} conda files, warm, beyond start", ours, theirs, rounds, prepare=again, less=start)
    if os.geteuid() == 0:
        what = f"purge : rm -rf, {files} conda files, cold, beyond start"
        row(what, ours, theirs, rounds, prepare=again_cold, less=start)
    shutil.rmtree(home.pkgs, ignore_errors=True)


def pip_rows(home: Home, entries: int, rounds: int, start: Spent) -> None:
    pip = [str(pip_python(None)), "-m", "pip", "cache"]
    count = f"{entries} pip entries"
    home.fill_pip(entries)
    row(f"status : pip cache info, {count}, warm", home.ours("status"), home.theirs(*pip, "info"), rounds)
    du = home.theirs("du", "-s", str(home.pip))
    row(f"status : du -s, {count}, warm, beyond start", home.ours("status"), du, rounds, less=start)
    purge = home.ours("purge", "pip", "--all", "--yes")

    def again() -> None:
        home.fill_pip(entries)

    row(f"purge : pip cache purge, {count}, warm", purge, home.theirs(*pip, "purge"), rounds, prepare=again)
    rm = home.theirs("rm", "-rf", str(home.pip))
    row(f"purge : rm -rf, {count}, warm, beyond start", purge, rm, rounds, prepare=again, less=start)
    shutil.rmtree(home.pip, ignore_errors=True)


def deciding_rows(entries: int, rounds: int) -> None:
    """In this process: the plan for that many entries, and their way over the wire; processor time."""
    seen = makers.snapshot(makers.cache(*_many(entries)), free=0)
    half = makers.policy("half", free_space=makers.marks("50%"))
    for what, policies in (("one policy", (half,)), ("ten policies", _policies())):
        _line(f"plan of {entries} entries, {what}", partial(makers.plan, seen, *policies), rounds)
    tell, hear = encoder(Entry), decoder(Entry)
    told = [tell(entry) for entry in seen.caches[0].entries]
    _line(f"wire: {entries} entries told", lambda: [tell(each) for each in seen.caches[0].entries], rounds)
    _line(f"wire: {entries} entries heard and checked", lambda: [hear(each) for each in told], rounds)


def _many(count: int) -> list[Entry]:
    """Downloads and pages, in five versions each, two of which share a folder."""
    return [
        makers.entry(
            f"http-v2/a/b/c/d/e/{number:056x}",
            kind=Kind.INDEX if number % 5 == 0 else Kind.DOWNLOAD,
            name=f"package-{number // 5}",
            version=f"1.{number % 7}.{number % 5}",
            frees=10_000 + number * 7919 % 1_000_000,
            used=number * 104_729 % 10_000_000,
            written=20_000_000,
            shares=(makers.share(number // 2, frees=4096),),
            inode=count + number,
        )
        for number in range(count)
    ]


def _policies() -> tuple[Policy, ...]:
    """Some that find nothing to do, in each order, and one that does."""
    idle = [
        makers.policy(f"idle-{number}", unused_for=30_000_000, order=order, packages=(f"other{number}*",))
        for number, order in enumerate((*Order, *Order, Order.OLDEST))
    ]
    return (*idle[:9], makers.policy("half", free_space=makers.marks("50%")))


def _line(what: str, action: Callable[[], object], rounds: int) -> None:
    print(f"{what:64} {statistics.median(_seconds(action) for _ in range(rounds)):7.2f} s", flush=True)


def _seconds(action: Callable[[], object]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def scale_rows(home: Home, most: int) -> None:
    """How cost grows: the first measurement and the purge of conda caches, microseconds for each file."""
    print(f"\n{'files':>8} {'status':>9} {'us/file':>8} {'du -s':>9} {'purge':>9} {'us/file':>8} {'rm -rf':>9}")
    for files in [each for each in _SCALE if each <= most]:
        home.fill_conda(files)
        du = home.theirs("du", "-s", str(home.pkgs))
        du()
        status, measured = home.ours("status")(), du()
        purged = home.ours("purge", "conda", "--all", "--yes")()
        home.fill_conda(files)
        removed = home.theirs("rm", "-rf", str(home.pkgs))()
        print(
            f"{files:>8} {status.wall:7.2f} s {status.wall / files * 1e6:8.1f} {measured.wall:7.2f} s"
            f" {purged.wall:7.2f} s {purged.wall / files * 1e6:8.1f} {removed.wall:7.2f} s",
            flush=True,
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=30_000, help="of the conda cache that is measured")
    parser.add_argument("--purged", type=int, default=5_000, help="of the conda cache that is purged")
    parser.add_argument("--entries", type=int, default=2_000, help="of the pip cache")
    parser.add_argument("--decided", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", action="store_true", help="a series of sizes, too")
    parser.add_argument("--most", type=int, default=_SCALE[-1], help="files of the largest in the series")
    parser.add_argument("--place", help="a folder on the disk to be measured on; default: that of temporary files")
    parser.add_argument("--only", choices=("walk", "conda", "pip", "decide"), help="one part alone")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(_HEAD)
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        home = Home(Path(folder))
        home.ours("status")()  # from now on its modules are compiled, as those of an installed program are
        start = median([home.theirs(sys.executable, "-c", "pass")() for _ in range(5)])
        parts: dict[str, Callable[[], None]] = {
            "walk": lambda: walk_rows(home, options.files, options.rounds, start),
            "conda": lambda: conda_purge_rows(home, options.purged, options.rounds, start),
            "pip": lambda: pip_rows(home, options.entries, options.rounds, start),
            "decide": lambda: deciding_rows(options.decided, options.rounds),
        }
        for name, measure in parts.items():
            if options.only in {None, name}:
                measure()
        if options.scale:
            scale_rows(home, options.most)


if __name__ == "__main__":
    main()
