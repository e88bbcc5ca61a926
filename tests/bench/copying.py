"""The copy of a move beside what a person would run: ratios of one run, since absolute times differ by the hour.

usage: python tests/bench/copying.py [--small N] [--large N] [--rounds N]     (root: it mounts small disks)

The usual sizes take a few minutes. `--small 100000 --large 2000`, caches of 100,000 small and 2,000 large files, take
half an hour and 8 GB below the folder for temporary files.

Ours: copied, on the device, and read back from it. Beside it `rsync -aHAX` with a sync, which reads nothing back; and
`cp -a`, a sync, and a comparison of all contents by `diff -r` with empty caches. Rounds alternate.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders.disks import LoopDisk, why_no_loop_disks
from builders.synthetic import conda_packages, pip_responses
from cachewarden.system.copying import Way, copy_tree
from cachewarden.system.folders import open_folder


def forget_caches() -> None:
    """What follows reads from the devices."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def ours(source: Path, target: Path) -> None:
    target.mkdir()
    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        copy_tree(one, other, way=Way.MIRROR, trust=False, may_go_on=lambda: True, progress=lambda _: None)


def rsync(source: Path, target: Path) -> None:
    subprocess.run(["rsync", "-aHAX", f"{source}/", f"{target}/"], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)


def copy_and_compare(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)
    forget_caches()
    subprocess.run(["diff", "-r", "--no-dereference", str(source), str(target)], check=True)


WAYS: dict[str, Callable[[Path, Path], None]] = {"ours": ours, "rsync": rsync, "cp and diff": copy_and_compare}


def compare(what: str, source: Path, disk: Path, rounds: int) -> None:
    ways = {name: way for name, way in WAYS.items() if name != "rsync" or shutil.which("rsync")}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            forget_caches()
            began = time.perf_counter()
            way(source, disk / "copy")
            took[name].append(time.perf_counter() - began)
            shutil.rmtree(disk / "copy")
    medians = {name: statistics.median(times) for name, times in took.items()}
    for name in ways:
        ratio = "" if name == "ours" else f"   ours : {name} = {medians['ours'] / medians[name]:.2f}"
        print(f"{what:34} {name:12} {medians[name]:8.2f} s{ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=20_000, help="files of the conda cache")
    parser.add_argument("--large", type=int, default=300, help="large files of the pip cache")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if why := why_no_loop_disks():
        print(f"the copy of a move is not measured: {why}")
        return
    if not shutil.which("rsync"):
        print("rsync is missing: not compared with")
    size = 200 + given.small // 100 + given.large * 2
    with LoopDisk(size, mkfs_options=["-N", "300000"]) as home, LoopDisk(size, mkfs_options=["-N", "300000"]) as away:
        conda_packages(home.path / "pkgs", max(1, given.small // 102), files=100, size=3000)
        compare(f"conda cache, {given.small:,} files", home.path / "pkgs", away.path, given.rounds)
        shutil.rmtree(home.path / "pkgs")
        pip_responses(home.path / "pip", given.large, size=1_500_000)
        compare(f"pip cache, {given.large:,} large files", home.path / "pip", away.path, given.rounds)


if __name__ == "__main__":
    main()
