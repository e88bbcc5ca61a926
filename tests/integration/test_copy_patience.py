"""Copies with little patience: each run gets somewhere, nothing is begun again, and a kill is believed nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.trees_alike import assert_alike
from cachewarden.model.caches import COPYING
from cachewarden.system.copying import Copied, CopyStoppedError, Way, copy_tree
from cachewarden.system.folders import open_folder

MIB = 1 << 20
OLD = 10**18


def copy(
    source: Path,
    target: Path,
    *,
    trust: bool,
    way: Way = Way.MIRROR,
    may_go_on: Callable[[], bool] = lambda: True,
    pause: Callable[[], bool] | None = lambda: True,
) -> Copied:
    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        return copy_tree(one, other, way=way, trust=trust, may_go_on=may_go_on, progress=lambda _: None, pause=pause)


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    return source, target


def write(path: Path, data: bytes, time: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(time, time))
    return path


def runs(source: Path, target: Path, *, trust: bool, way: Way = Way.MIRROR) -> int:
    """How many runs without any patience it takes."""
    for number in range(1, 200):
        try:
            copy(source, target, trust=trust, way=way)
        except CopyStoppedError:
            continue
        return number
    raise AssertionError("it does not come to an end")


def test_a_large_file_is_not_given_up_in_the_middle_for_lack_of_patience(trees: tuple[Path, Path]) -> None:
    source, target = trees
    write(source / "a", os.urandom(20 * MIB))
    write(source / "b", os.urandom(20 * MIB))
    with pytest.raises(CopyStoppedError) as stopped:
        copy(source, target, trust=True)
    assert stopped.value.bytes == 20 * MIB
    assert runs(source, target, trust=True) == 2
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_a_run_that_only_met_what_is_there_goes_on_to_what_is_not(trees: tuple[Path, Path]) -> None:
    source, target = trees
    for number in range(30):
        write(source / f"d{number % 4}" / f"f{number}", bytes(number))
    assert runs(source, target, trust=True) == 31
    assert_alike(source, target, leave_out=frozenset({"atime"}))
    copy(source, target, trust=True)


@pytest.mark.parametrize("way", [Way.MIRROR, Way.MERGE])
def test_contents_that_were_compared_are_not_compared_again_after_a_pause(trees: tuple[Path, Path], way: Way) -> None:
    source, target = trees
    names = ["a", "z", "b/a", "b/z/y", "b/x"]
    for name in names:
        write(source / name, b"right")
        write(target / name, b"right")
    with pytest.raises(CopyStoppedError):
        copy(source, target, trust=False, way=way)
    assert COPYING in os.listdir(target)
    write(target / "a", b"wrong")  # behind its back: was it looked at again, this would be seen
    write(target / "b/z/y", b"wrong")
    assert runs(source, target, trust=False, way=way) == 5
    assert {name: (target / name).read_bytes() for name in names} == {
        "a": b"wrong", "z": b"right", "b/a": b"right", "b/z/y": b"right", "b/x": b"right",
    }  # fmt: skip
    assert sorted(os.listdir(target)) == ["a", "b", "z"]


def test_after_a_stop_by_force_the_comparison_goes_on_as_well(trees: tuple[Path, Path]) -> None:
    source, target = trees
    for number in range(30):
        write(source / f"f{number:02}", b"right")
        write(target / f"f{number:02}", b"right" if number % 2 else b"wrong")
    left = iter(range(45))  # of which 30 are for what might have to go
    with pytest.raises(CopyStoppedError):
        copy(source, target, trust=False, may_go_on=lambda: next(left, None) is not None, pause=None)
    write(target / "f01", b"wrong")  # behind its back: this was compared
    done = copy(source, target, trust=False, pause=None)
    assert 0 < done.files < 15
    assert [path.name for path in sorted(target.iterdir()) if path.read_bytes() == b"wrong"] == ["f01"]


def test_after_a_kill_nothing_that_was_compared_before_is_believed(trees: tuple[Path, Path]) -> None:
    source, target = trees
    for name in "abc":
        write(source / name, b"right")
        write(target / name, b"right")
    with pytest.raises(CopyStoppedError):
        copy(source, target, trust=False)
    write(target / "a", b"wrong")
    child = os.fork()
    if child == 0:
        copy(source, target, trust=False, may_go_on=lambda: os._exit(9))
    assert os.waitpid(child, 0)[1] == 9 << 8
    copy(source, target, trust=False, pause=None)
    assert (target / "a").read_bytes() == b"right"


@pytest.mark.parametrize("note", [b"", b"{", b"[1]", b'[["a", 1]]', b'[[9, "z"]]', b"\xff" * 99, b"[" * 99999])
def test_a_note_that_makes_no_sense_is_no_reason_to_believe_anything(trees: tuple[Path, Path], note: bytes) -> None:
    source, target = trees
    write(source / "a", b"right")
    write(target / "a", b"wrong")
    write(target / COPYING / "compared", note)
    copy(source, target, trust=False, pause=None)
    assert (target / "a").read_bytes() == b"right"
    assert os.listdir(target) == ["a"]


def test_a_link_in_the_place_of_the_folder_for_notes_is_removed_and_never_followed(
    trees: tuple[Path, Path], tmp_path: Path
) -> None:
    source, target = trees
    write(tmp_path / "victim/compared", b"precious")
    write(source / "a", b"right")
    os.symlink(tmp_path / "victim", target / COPYING)
    copy(source, target, trust=False, pause=None)
    assert os.listdir(target) == ["a"]
    assert (tmp_path / "victim/compared").exists()
