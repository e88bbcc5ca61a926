"""What a census finds in a tree."""

import os
import subprocess
from pathlib import Path

import pytest

from builders.random_trees import MIB, holey
from cachewarden.system.census import Census, census
from cachewarden.system.folders import open_folder
from cachewarden.system.removal import StoppedError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def count(folder: Path) -> Census:
    with open_folder(str(folder)) as opened:
        return census(opened, os.geteuid(), lambda: True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "a/b").mkdir(parents=True)
    return top


def test_a_plain_tree_has_nothing_strange(tree: Path) -> None:
    (tree / "a/file").write_bytes(b"x" * 5000)
    (tree / "empty").touch()
    (tree / "a/b/link").symlink_to("nowhere")
    found = count(tree)
    assert (found.files, found.folders, found.symlinks, found.links, found.contents) == (2, 3, 1, 0, 5000)
    assert found.frees == found.allocated == int(subprocess.check_output(["du", "-sB1", tree]).split()[0])
    assert found.longest_name == 5
    strange = (found.foreign, found.first_foreign, found.special, found.unreadable, found.mounted, found.case_clashes)
    assert strange == (0, "", "", "", "", "")


def test_bytes_are_those_of_inodes_and_free_only_when_all_names_are_inside(tree: Path) -> None:
    (tree / "a/one").write_bytes(b"x" * MIB)
    os.link(tree / "a/one", tree / "a/b/two")
    (tree / "outside").write_bytes(b"y" * MIB)
    os.link(tree / "outside", tree.parent / "elsewhere")
    holey(tree / "holes", (0, b"z" * 4096), size=50 * MIB)
    found = count(tree)
    assert (found.files, found.links) == (4, 1)
    assert 2 * MIB < found.contents <= 2 * MIB + 8192
    assert found.allocated - found.frees == (tree / "outside").stat().st_blocks * 512
    assert found.allocated == int(subprocess.check_output(["du", "-sB1", tree]).split()[0])


def test_what_cannot_be_copied_is_named(tree: Path) -> None:
    os.mkfifo(tree / "a/b/fifo")
    (tree / "a/Readme").touch()
    (tree / "a/README").touch()
    (tree / "Größe").touch()
    found = count(tree)
    assert found.special == "a/b/fifo"
    assert sorted(found.case_clashes.split(", ")) == ["a/README", "a/Readme"]
    assert found.longest_name == 7


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_cannot_be_read_is_named(tree: Path) -> None:
    (tree / "a/file").touch(mode=0)
    assert count(tree).unreadable == "a/file"
    (tree / "a/file").unlink()
    (tree / "a/b").chmod(0)
    assert count(tree).unreadable == "a/b"
    (tree / "a/b").chmod(0o700)


@as_root
def test_what_is_somebody_elses_is_counted(tree: Path) -> None:
    (tree / "a/file").touch()
    os.chown(tree / "a/file", 4321, 0)
    os.chown(tree / "a/b", 4321, 0)
    found = count(tree)
    assert found.foreign == 2
    assert found.first_foreign in {"a/file", "a/b"}


def test_it_stops_when_told_to(tree: Path) -> None:
    with open_folder(str(tree)) as opened, pytest.raises(StoppedError):
        census(opened, 0, lambda: False)
