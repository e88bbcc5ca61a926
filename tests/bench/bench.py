"""Side by side with what a user would run instead: ratios of one run, since absolute times differ by the hour.

usage: python tests/bench/bench.py [--entries N] [--rounds N]
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders.pip_caches import pip_env, pip_python
from builders.synthetic import conda_packages, pip_responses
from cachewarden.service.wire import Channel
from cachewarden.service.worker import LIMITS, preload
from cachewarden.service.workers import LaunchedWorkers
from cachewarden.system.launcher import Rules, fork_launcher
from cachewarden.system.users import current_owner

COMMAND = str(Path(sys.executable).with_name("cachewarden"))


class Bench:
    """A throw-away home; ``row`` times two ways of doing one thing in turn and prints the ratio of their medians."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.home = folder
        self.rounds = rounds

    def ours(self, *words: str) -> Callable[[], object]:
        command = [COMMAND, "--user", "--state-dir", str(self.home / "state"), *words]
        return lambda: self._quietly(command, {"HOME": str(self.home), "PATH": os.environ["PATH"]})

    def theirs(self, *command: str) -> Callable[[], object]:
        return lambda: self._quietly(list(command), pip_env(self.home))

    def _quietly(self, command: list[str], environ: dict[str, str]) -> None:
        subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)

    def row(
        self,
        what: str,
        ours: Callable[[], object],
        theirs: Callable[[], object],
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        pairs = [(self._time(ours, prepare), self._time(theirs, prepare)) for _ in range(self.rounds)]
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{what:58} {mine:8.3f} s {other:8.3f} s {mine / other:7.2f}")

    def _time(self, action: Callable[[], object], prepare: Callable[[], object]) -> float:
        prepare()
        began = time.perf_counter()
        action()
        return time.perf_counter() - began


STARTS = 20


def start_workers() -> None:
    """From the request to the first word of a worker that has become its owner, again and again."""
    owner = current_owner(None)
    rules = Rules(
        lambda: [owner], lambda _, stream, __: Channel(stream).send("here"), LIMITS, switch=os.geteuid() == 0
    )
    with fork_launcher(rules) as channel:
        workers = LaunchedWorkers(channel)
        for _ in range(STARTS):
            job = workers.start(owner, "look")
            if job.channel.receive() is None:
                raise SystemExit("a worker did not start")
            job.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pip = str(pip_python(None))
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'':58} {'ours':>10} {'theirs':>10} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.rounds)
        cache, pkgs = bench.home / ".cache" / "pip", bench.home / ".conda" / "pkgs"

        def fill_pip() -> None:
            shutil.rmtree(cache, ignore_errors=True)
            pip_responses(cache, options.entries)

        def fill_conda() -> None:
            shutil.rmtree(pkgs, ignore_errors=True)
            conda_packages(pkgs, options.entries // 50, files=50)

        bench.row("--version : python -c pass", bench.ours("--version"), bench.theirs(sys.executable, "-c", "pass"))
        preload()
        interpreter = bench.theirs("sh", "-c", f"for i in $(seq {STARTS}); do {sys.executable} -c pass; done")
        bench.row(f"start of a worker : python -c pass, {STARTS} times", start_workers, interpreter)
        fill_pip()
        count = f"{options.entries} pip entries"
        bench.row(f"status : du, {count}", bench.ours("status"), bench.theirs("du", "-s", str(cache)))
        bench.row(
            f"status : pip cache info, {count}", bench.ours("status"), bench.theirs(pip, "-m", "pip", "cache", "info")
        )
        purge = bench.ours("purge", "pip", "--all", "--yes")
        bench.row(
            f"purge : pip cache purge, {count}", purge, bench.theirs(pip, "-m", "pip", "cache", "purge"), fill_pip
        )
        bench.row(f"purge : rm -rf, {count}", purge, bench.theirs("rm", "-rf", str(cache)), fill_pip)
        shutil.rmtree(cache, ignore_errors=True)
        count = f"{options.entries} conda files"
        purge = bench.ours("purge", "conda", "--all", "--yes")
        bench.row(f"purge : rm -rf, {count}", purge, bench.theirs("rm", "-rf", str(pkgs)), fill_conda)


if __name__ == "__main__":
    main()
