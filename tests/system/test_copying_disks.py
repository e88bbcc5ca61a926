"""Copies onto real disks: full ones, ones that know less than the source, mounts inside, and as an ordinary user."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from builders.disks import MIB, LoopDisk, give_to, why_no_loop_disks
from builders.random_trees import RandomTree, acl
from builders.trees_alike import assert_alike
from cachewarden.system.census import census
from cachewarden.system.copying import Copied, Way, copy_tree
from cachewarden.system.folders import open_folder

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
USER = 4321
AS_USER = """
import os, sys
from cachewarden.system.copying import Way, copy_tree
from cachewarden.system.folders import open_folder
os.setgroups([])
os.setresgid(4321, 4321, 4321)
os.setresuid(4321, 4321, 4321)
with open_folder(sys.argv[1]) as one, open_folder(sys.argv[2]) as other:
    print(copy_tree(one, other, way=Way.MIRROR, trust=False, may_go_on=lambda: True, progress=lambda _: None))
"""


def copy(source: Path, target: Path, *, trust: bool = True, granularity: int = 1) -> Copied:
    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        return copy_tree(
            one, other, way=Way.MIRROR, trust=trust, granularity=granularity,
            may_go_on=lambda: True, progress=lambda _: None,
        )  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that another user can reach."""
    with tempfile.TemporaryDirectory(prefix="cachewarden-copy-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("fstype", ["ext4", "xfs", "btrfs"])
def test_any_tree_is_kept_on_any_disk_of_linux(source: Path, fstype: str) -> None:
    if reason := why_no_loop_disks(fstype):
        pytest.skip(reason)
    with LoopDisk(400, fstype) as disk:
        for seed in range(6):
            top, target = source / f"{seed}", disk.path / f"{seed}"
            top.mkdir()
            target.mkdir()
            RandomTree(top, Random(seed))
            assert copy(top, target).lost == ()
            assert_alike(top, target)
            assert copy(top, target, trust=False).files == 0


def test_a_full_disk_is_an_error_of_the_target_and_leaves_whole_files_only(source: Path) -> None:
    for number in range(40):
        (source / f"f{number:02}").write_bytes(os.urandom(MIB))
    with LoopDisk(16) as disk:
        target = disk.path / "target"
        target.mkdir()
        with pytest.raises(OSError, match="No space") as caught:
            copy(source, target)
        assert caught.value.errno == errno.ENOSPC
        assert str(caught.value.filename).startswith(str(target))
        there = list(target.iterdir())
        assert len(there) >= 5
        for path in there:
            assert path.read_bytes() == (source / path.name).read_bytes()
        for path in list(source.iterdir())[8:]:
            path.unlink()
        copy(source, target)
        assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_a_mount_inside_is_never_entered_in_either_tree(source: Path, tmp_path: Path) -> None:
    (source / "a/inner").mkdir(parents=True)
    target = tmp_path / "target"
    (target / "a/inner").mkdir(parents=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("x")
    for top in (source, target):
        inner = str(top / "a/inner")
        subprocess.run(
            ["mount", "--bind", str(other), inner], check=True
        )  # the same filesystem: st_dev does not tell
        try:
            with pytest.raises(OSError, match="cross-device") as caught:
                copy(source, target)
            with open_folder(str(top)) as folder:
                assert census(folder, 0, lambda: True).mounted == "a/inner"
        finally:
            subprocess.run(["umount", inner], check=True)
        assert (caught.value.errno, caught.value.filename) == (errno.EXDEV, inner)
    assert (other / "precious").read_text() == "x"


def test_what_a_plain_disk_cannot_take_is_told(source: Path) -> None:
    if reason := why_no_loop_disks("vfat"):
        pytest.skip(reason)
    (source / "a").write_text("x")
    (source / "a").chmod(0o640)
    os.setxattr(source / "a", "user.x", b"1")
    os.utime(source / "a", ns=(10**18 + 1, 10**18 + 1))
    with LoopDisk(64, "vfat") as disk:
        copied = copy(source, disk.path, granularity=2 * 10**9)
        assert any(line.startswith("a: user.x: ") for line in copied.lost)
        assert (disk.path / "a").read_text() == "x"
        assert copy(source, disk.path, granularity=2 * 10**9, trust=False).same == 1


def test_a_user_keeps_all_that_is_the_users_and_is_told_the_rest(shared: Path) -> None:
    source, target = shared / "source", shared / "target"
    (source / "folder").mkdir(parents=True)
    target.mkdir()
    for name, mode in {"a": 0o444, "folder/b": 0o400, "folder/c": 0o644, "d": 0o4755}.items():
        (source / name).write_text(name)
        os.setxattr(source / name, "user.origin", name.encode())
        os.setxattr(source / name, "system.posix_acl_access", acl(1000))
        (source / name).chmod(mode)
    give_to(source, USER, USER)
    (source / "d").chmod(0o4755)
    (source / "folder").chmod(0o555)
    give_to(target, USER, USER)
    words = [sys.executable, "-c", AS_USER, str(source), str(target)]
    assert "lost=()" in subprocess.check_output(words, text=True, cwd="/")
    assert_alike(source, target)
    os.chown(source / "a", 0, USER)
    (source / "a").chmod(0o644)
    (source / "e").write_text("root's")
    told = subprocess.check_output(words, text=True, cwd="/")
    assert "files=2" in told
    assert "a: owner 0:4321: Operation not permitted" in told
    assert "e: owner 0:0: Operation not permitted" in told
    assert (target / "e").read_text() == "root's"
