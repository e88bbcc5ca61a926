"""The copy of a move beside what a person would run.

Ours: copied, on the device, and read back from it. Beside it `rsync -aHAX` with a sync, which reads nothing back; and
`cp -a`, a sync, and a comparison of all contents by `diff -r` with empty caches.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.parts import Size
from bench.results import Beside, Found
from bench.timing import Taken, Way, forget, in_process, in_turn
from builders.disks import LoopDisk, why_no_loop_disks
from builders.synthetic import conda_packages, pip_responses
from cachewarden.system.copying import Way as CopyingWay
from cachewarden.system.copying import copy_tree
from cachewarden.system.folders import open_folder

OURS, RSYNC, COMPARED = "a move's copy", "rsync, sync", "cp -a, sync, diff -r"


def ours(source: Path, target: Path) -> None:
    """As a relocation copies."""
    target.mkdir()
    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        copy_tree(one, other, way=CopyingWay.MIRROR, trust=False, may_go_on=lambda: True, progress=lambda _: None)


def rsync(source: Path, target: Path) -> None:
    """Nothing is read back."""
    subprocess.run(["rsync", "-aHAX", f"{source}/", f"{target}/"], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)


def copy_and_compare(source: Path, target: Path) -> None:
    """What gives the same certainty."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)
    forget()
    subprocess.run(["diff", "-r", "--no-dereference", str(source), str(target)], check=True)


_WAYS: dict[str, Callable[[Path, Path], None]] = {OURS: ours, RSYNC: rsync, COMPARED: copy_and_compare}


def _way(name: str, source: Path, target: Path) -> Way:
    def way() -> Taken:
        forget()
        spent = in_process(lambda: _WAYS[name](source, target))
        shutil.rmtree(target)
        return {name: spent}

    return way


def _compare(what: str, source: Path, disk: Path, size: Size, found: Found) -> None:
    names = [name for name in _WAYS if name != RSYNC or shutil.which("rsync")]
    times = in_turn([_way(name, source, disk / "copy") for name in names], size.rounds)
    found.group(what, times, *(Beside(OURS, name) for name in names[1:]))


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """Between two disks of their own (root)."""
    if why := why_no_loop_disks():
        found.skip("the copy of a move", why)
        return
    if not shutil.which("rsync"):
        found.skip("rsync", "it is not on this machine: apt-get install rsync")
    small, large = size.of(20_000, 2_000), size.of(300, 30)
    room = 200 + small // 100 + large * 2
    options = ["-N", "300000"]
    with LoopDisk(room, mkfs_options=options) as home, LoopDisk(room, mkfs_options=options) as away:
        say(f"copies of {small:,} small files")
        conda_packages(home.path / "pkgs", max(1, small // 102), files=100, size=3000)
        _compare(f"conda cache, {small:,} files", home.path / "pkgs", away.path, size, found)
        shutil.rmtree(home.path / "pkgs")
        say(f"copies of {large:,} large files")
        pip_responses(home.path / "pip", large, size=1_500_000)
        _compare(f"pip cache, {large:,} large files", home.path / "pip", away.path, size, found)
