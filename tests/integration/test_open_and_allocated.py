"""What is asked of the kernel about files that are open, and about extents, on whatever disk the tests have."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cachewarden.system.files import RealFiles
from cachewarden.system.folders import open_folder
from cachewarden.system.ports import Allocation
from cachewarden.system.processes import RealProcesses

HOLDER = """
import sys, time
open("/proc/self/comm", "w").write("\\x1b[31m\\nfake")
files = [open(path) for path in sys.argv[1:]]
print("open", flush=True)
time.sleep(600)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder with a file that is open, one that is open without a name, and the process that has them."""
    (tmp_path / "cache").mkdir()
    paths = [tmp_path / "cache/named", tmp_path / "cache/nameless", tmp_path / "elsewhere"]
    for path in paths:
        path.write_bytes(b"x" * 10_000)
    command = [sys.executable, "-c", HOLDER, *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        paths[1].unlink()
        yield tmp_path / "cache", process.pid
        process.kill()


def test_open_files_below_a_folder_are_found_also_without_a_name(held: tuple[Path, int]) -> None:
    folder, pid = held
    found = {Path(each.path).name: each for each in RealProcesses().opened(os.geteuid(), str(folder))}
    assert set(found) == {"named", "nameless (deleted)"}
    assert {each.pid for each in found.values()} == {pid}
    assert found["named"].stat.st_ino == (folder / "named").stat().st_ino
    assert found["nameless (deleted)"].stat.st_nlink == 0


def test_a_process_cannot_write_to_a_screen_by_its_name(held: tuple[Path, int]) -> None:
    folder, _ = held
    names = {each.name for each in RealProcesses().opened(os.geteuid(), str(folder))}
    assert names == {r"\x1b[31m\nfake"}


def test_of_another_user_and_another_folder_nothing_is_told(held: tuple[Path, int]) -> None:
    folder, _ = held
    assert RealProcesses().opened(os.geteuid() + 1, str(folder)) == ()
    assert RealProcesses().opened(os.geteuid(), str(folder) + "x") == ()


def test_where_the_kernel_tells_no_extents_blocks_count() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or RealFiles().mount_of(str(memory)).type != "tmpfs":
        pytest.skip("no tmpfs here")
    with tempfile.NamedTemporaryFile(prefix="cachewarden-test-", dir=memory) as file:
        file.write(b"x" * 10_000)
        file.flush()
        with open_folder(str(memory)) as folder:
            size = os.stat(file.name).st_blocks * 512
            assert folder.allocation(Path(file.name).name) == Allocation(size, size)


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_only_of_regular_files_extents_are_asked(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with open_folder(str(tmp_path)) as folder, pytest.raises(OSError, match=r"not a regular file|symbolic links"):
        folder.allocation("x")


def test_asking_leaves_the_access_time_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 10_000)
    os.utime(path, (1, 1))
    with open_folder(str(tmp_path)) as folder:
        folder.allocation("x")
    assert path.stat().st_atime == 1


def test_a_user_without_a_quota_has_none(tmp_path: Path) -> None:
    assert RealFiles().quota(str(tmp_path), 61_777) is None
