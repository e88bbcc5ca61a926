"""Nothing is left at all: no byte, no inode, no quota, no state, nobody who listens. It still frees."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from builders.disks import MIB, LoopDisk, why_no_loop_disks
from builders.synthetic import conda_packages, half_packages, pip_responses

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
KEEP_FREE = """\
version: 1
keep: {newer_than: 0s}
policies:
  - {name: keep-free, free_space: {below: 20%, until: 25%}, action: purge}
"""
FILES = 10
NO_DISKS = why_no_loop_disks()
pytestmark = [pytest.mark.root, pytest.mark.skipif(NO_DISKS is not None, reason=str(NO_DISKS))]


def run(home: Path, state: Path) -> tuple[int, dict[str, Any]]:
    """One cycle in user mode, with every place for temporary files on the same disk."""
    options = ["--user", "--config", str(home / "p.yaml"), "--state-dir", str(state), "--json"]
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": str(home)}
    environ |= {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    done = subprocess.run(
        [COMMAND, *options, "run"], env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def caches(home: Path, mib: int) -> None:
    """A pip cache and a conda cache of ``mib`` MiB together, with as many files for each MiB whatever the size."""
    home.mkdir()
    (home / "p.yaml").write_text(KEEP_FREE)
    pip_responses(home / ".cache/pip", mib * 2, size=MIB // 4)
    conda_packages(home / ".conda/pkgs", mib // 2, files=FILES, size=MIB // FILES)
    os.sync()


def leave_nothing(folder: Path) -> None:
    """Data to the last block, then names and links that hold their text themselves, until not even those fit."""
    with suppress(OSError), (folder / "data").open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            with suppress(OSError):
                while True:
                    file.write(os.urandom(size))
        os.fsync(file.fileno())
    refused = number = 0
    while refused < 100 and number < 200_000:
        number += 1
        try:
            os.symlink("x" * 3000, folder / f"link{number}")
            refused = 0
        except OSError:
            refused += 1
            if refused % 40 == 1:
                os.sync()


@pytest.mark.parametrize(
    ("fstype", "size", "options"),
    [
        ("ext4", 64, ("-m", "0")),
        ("xfs", 300, ()),
        ("btrfs", 128, ("--mixed",)),
        ("btrfs", 256, ()),
    ],
    ids=["ext4", "xfs", "btrfs-mixed", "btrfs"],
)
def test_where_no_block_is_left_for_data_or_names_a_cycle_brings_the_disk_to_until(
    fstype: str, size: int, options: tuple[str, ...]
) -> None:
    """No ballast to throw overboard is needed: btrfs lets removals have the reserve that it keeps for itself."""
    if why := why_no_loop_disks(fstype):
        pytest.skip(why)
    with LoopDisk(size, fstype, mkfs_options=options) as disk:
        home = disk.path / "home"
        caches(home, size // 3)
        leave_nothing(disk.path)
        assert disk.free_bytes() < size * MIB // 50
        with pytest.raises(OSError, match="No space left"):
            (disk.path / "more").write_bytes(os.urandom(4 * MIB))
        (disk.path / "more").unlink(missing_ok=True)
        status, done = run(home, home / "state")
        assert (status, done["shortfall_bytes"]) == (0, 0), done["outcomes"]
        os.sync()  # btrfs and xfs free and count late
        found = os.statvfs(disk.path)
        assert found.f_bavail >= 0.24 * found.f_blocks
        assert half_packages(home / ".conda/pkgs", FILES) == []


def test_a_state_folder_on_a_read_only_disk_costs_the_history_and_nothing_else() -> None:
    with LoopDisk(8) as other, LoopDisk(64) as disk:
        (other.path / "state").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", other.path], check=True)
        home = disk.path / "home"
        caches(home, 40)
        disk.fill(0, reserve_too=True)
        assert run(home, other.path / "state")[0] == 0
        assert run(home, other.path / "missing" / "state")[0] == 0
        assert disk.free_bytes() >= 0.2 * 64 * MIB * 0.8


def test_a_quota_that_is_used_up_does_not_keep_packages_from_going_whole() -> None:
    """Of a subvolume, which counts folders too: to make the one for what is to be deleted is refused then."""
    if why := why_no_loop_disks("btrfs"):
        pytest.skip(why)
    with LoopDisk(256, "btrfs") as disk:
        home = disk.path / "home"
        btrfs("subvolume", "create", home)
        btrfs("quota", "enable", disk.path)
        home.chmod(0o755)
        (home / "p.yaml").write_text("version: 1\nkeep: {newer_than: 0s}\npolicies: [{name: all, action: purge}]\n")
        pkgs = home / ".conda/pkgs"
        conda_packages(pkgs, 30, files=FILES, size=MIB // FILES)
        os.sync()
        btrfs("qgroup", "limit", "16M", home)
        with pytest.raises(OSError, match="quota"):
            link_for_ever(home)
        status, done = run(home, home / "state")
        assert (status, sum(each["removed_entries"] for each in done["outcomes"])) == (0, 30), done["outcomes"]
        assert [each.name for each in pkgs.iterdir()] == ["urls.txt"]


def link_for_ever(folder: Path) -> None:
    """Until that is refused."""
    for number in range(1000):
        os.symlink("x" * 3000, folder / f"link{number}")


def btrfs(*words: object) -> None:
    """Runs the tool that makes subvolumes and quotas."""
    subprocess.run(["btrfs", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
