"""A tree brought to equality with another: what is kept, what is checked, and what comes after an interruption."""

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.random_trees import MIB, RandomTree, acl, holey, takes_attributes
from builders.trees_alike import assert_alike, portrait
from cachewarden.system.copies.contents import Reader
from cachewarden.system.copying import Copied, CopyProgress, Way, copy_tree
from cachewarden.system.folders import open_folder
from cachewarden.system.removal import StoppedError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
OLD, NEW = 10**18, 10**18 + 5 * 10**9
TEMPORARY = ".cachewarden-new"


def copy(
    source: Path,
    target: Path,
    *,
    way: Way = Way.MIRROR,
    trust: bool = True,
    granularity: int = 1,
    leave: frozenset[str] = frozenset(),
    may_go_on: Callable[[], bool] = lambda: True,
    progress: Callable[[CopyProgress], None] = lambda _: None,
    read: Reader = os.preadv,
) -> Copied:
    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        return copy_tree(
            one, other, way=way, trust=trust, granularity=granularity, leave=leave,
            may_go_on=may_go_on, progress=progress, read=read,
        )  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


@pytest.fixture(params=["the same filesystem", "another filesystem"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty folder; in memory for the other filesystem, where there is such."""
    if request.param == "the same filesystem":
        made = tmp_path / "target"
        made.mkdir()
        yield made
        return
    if not Path("/dev/shm").is_dir() or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no second filesystem")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def write(path: Path, data: bytes = b"data", *, mode: int = 0o644, time: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, ns=(time, time))
    return path


def stop_after(asked: int) -> Callable[[], bool]:
    left = iter(range(asked))
    return lambda: next(left, None) is not None


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(TEMPORARY))


# What is kept


@given(st.integers(0, 2**32))
def test_a_copy_is_like_its_source_whatever_is_in_it(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        source = Path(folder, "source")
        source.mkdir()
        RandomTree(source, Random(seed))
        before = portrait(source)
        kept = takes_attributes(Path(elsewhere))
        copied = copy(source, Path(elsewhere))
        assert portrait(source) == before
        assert_alike(source, Path(elsewhere), leave_out=frozenset() if kept else frozenset({"attributes"}))
        assert not copied.lost or not kept
        for trust in (True, False):
            again = copy(source, Path(elsewhere), trust=trust)
            assert (again.files, again.bytes, again.same, again.removed) == (0, 0, copied.files + copied.same, 0)
        assert_alike(source, Path(elsewhere), leave_out=frozenset() if kept else frozenset({"attributes"}))


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.integers(0, 60))
def test_any_tree_becomes_like_any_other_stopped_on_the_way_or_not(one: int, other: int, asked: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        for top, seed in ((source, one), (target, other)):
            top.mkdir()
            RandomTree(top, Random(seed))
        with_stop = stop_after(asked)
        try:
            copy(source, target, may_go_on=with_stop)
        except StoppedError:
            assert leftovers(target) == []
        copy(source, target)
        assert_alike(source, target)


def test_times_to_the_nanosecond_and_all_twelve_bits_of_the_mode_are_kept(source: Path, target: Path) -> None:
    for mode in (0o7777, 0o4755, 0o2755, 0o1644, 0o444, 0o400, 0o600, 0o644):
        write(source / f"{mode:o}", mode=mode, time=OLD + mode)
    (source / "folder").mkdir()
    (source / "folder").chmod(0o3755)
    os.utime(source / "folder", ns=(OLD + 5, OLD + 7))
    copy(source, target)
    assert_alike(source, target)


@as_root
def test_a_file_that_nobody_may_read_is_copied_by_who_may_all_the_same(source: Path, target: Path) -> None:
    write(source / "nobody", mode=0)
    copy(source, target)
    assert_alike(source, target)


@as_root
def test_root_keeps_owners_and_groups(source: Path, target: Path) -> None:
    os.chown(write(source / "a", mode=0o6755), 1234, 5678)
    (source / "a").chmod(0o6755)
    os.symlink("a", source / "link")
    os.chown(source / "link", 1234, 5678, follow_symlinks=False)
    (source / "folder").mkdir()
    os.chown(source / "folder", 1234, 0)
    copy(source, target)
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_attributes_and_acls_are_kept_and_what_a_folder_hands_down_is_not_added(source: Path, target: Path) -> None:
    if not takes_attributes(source) or not takes_attributes(target):
        pytest.skip("no attributes of users here")
    (source / "folder").mkdir()
    for path in (write(source / "a", mode=0o444), source / "folder"):
        path.chmod(0o755)
        os.setxattr(path, "user.origin", b"\0binary\xff")
        os.setxattr(path, "system.posix_acl_access", acl(1000))
    write(source / "folder/plain")
    os.setxattr(source / "folder", "system.posix_acl_default", acl(1001))
    (source / "a").chmod(0o444)
    os.setxattr(target, "system.posix_acl_default", acl(1002))
    (target / "folder").mkdir()
    assert copy(source, target).lost == ()
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_into_a_folder_that_hands_down_an_acl_a_merge_brings_files_without_it(source: Path, target: Path) -> None:
    os.setxattr(target, "system.posix_acl_default", acl(1002))
    write(source / "a")
    write(source / "folder/b")
    copy(source, target, way=Way.MERGE)
    assert os.listxattr(target / "a") == os.listxattr(target / "folder/b") == os.listxattr(target / "folder") == []
    assert stat.S_IMODE((target / "a").stat().st_mode) == 0o644


def test_holes_stay_holes(source: Path, target: Path) -> None:
    holey(source / "begin", (0, b"x" * 5000), size=40 * MIB)
    holey(source / "end", (30 * MIB, b"x" * 4096), size=30 * MIB + 4096)
    holey(source / "between", (0, b"x"), (MIB - 1, b"yz"), (9 * MIB + 5, b"\0" * 9000), size=12 * MIB + 1)
    holey(source / "nothing", size=90 * MIB)
    holey(source / "small", size=10)
    copied = copy(source, target)
    assert copied.bytes < MIB
    assert_alike(source, target)
    assert copy(source, target, trust=False).same == 5


def test_names_of_one_file_inside_stay_one_file_and_names_outside_do_not_matter(source: Path, target: Path) -> None:
    first = write(source / "z/first", b"x" * 2 * MIB)
    (source / "a").mkdir()
    os.link(first, source / "a/second")
    os.link(first, source / "third")
    os.link(write(source / "a/env"), source.parent / "outside")
    os.symlink("somewhere", source / "link")
    os.link(source / "link", source / "a/link", follow_symlinks=False)
    copied = copy(source, target)
    assert (copied.files, copied.bytes) == (6, 2 * MIB + 4)
    assert_alike(source, target, leave_out=frozenset({"atime"}))
    assert (target / "a/env").stat().st_nlink == 1


def test_names_that_became_one_file_or_fell_apart_are_put_right(source: Path, target: Path) -> None:
    write(source / "a")
    write(source / "b")
    copy(source, target)
    (source / "b").unlink()
    os.link(source / "a", source / "b")
    copied = copy(source, target)
    assert (copied.files, copied.same) == (1, 1)
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_links_are_copied_and_never_followed(source: Path, target: Path) -> None:
    (source / "folder").mkdir()
    for name, text in {"dangling": "nowhere", "to-folder": "folder", "out": "/etc", "loop": "loop"}.items():
        os.symlink(text, source / name)
        os.utime(source / name, ns=(OLD, OLD + 3), follow_symlinks=False)
    copy(source, target)
    assert_alike(source, target, leave_out=frozenset({"atime"}))
    os.utime(source / "loop", ns=(OLD, NEW), follow_symlinks=False)
    (source / "out").unlink()
    os.symlink("/usr", source / "out")
    assert copy(source, target).files == 1
    assert_alike(source, target, leave_out=frozenset({"atime"}))


# What is done again


def test_after_a_stop_only_what_is_missing_is_copied(source: Path, target: Path) -> None:
    for number in range(20):
        write(source / f"folder{number % 3}" / f"file{number}", bytes(number))
    with pytest.raises(StoppedError):
        copy(source, target, may_go_on=stop_after(15))
    there = len([path for path in target.rglob("*") if path.is_file()])
    assert 0 < there < 20
    assert leftovers(target) == []
    copied = copy(source, target)
    assert (copied.files, copied.same) == (20 - there, there)
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_a_large_file_is_stopped_in_the_middle_and_leaves_nothing(source: Path, target: Path) -> None:
    write(source / "large", os.urandom(24 * MIB))
    with pytest.raises(StoppedError):
        copy(source, target, may_go_on=stop_after(3))
    assert list(target.iterdir()) == []


def test_what_an_interrupted_copy_left_is_replaced_and_of_the_source_is_not_copied(
    source: Path, target: Path
) -> None:
    write(source / "a/b")
    write(source / "a" / TEMPORARY)
    write(target / "a" / TEMPORARY, b"half", mode=0)
    write(target / "a/c" / TEMPORARY, b"half")
    copy(source, target)
    assert [path.name for path in target.rglob("*")] == ["a", "b"]
    write(target / "a" / TEMPORARY, b"half")
    copy(source, target, way=Way.MERGE)
    assert leftovers(target) == []


@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_a_file_with_other_contents_is_found_without_trust(source: Path, target: Path, size: int) -> None:
    write(source / "same", b"s" * size)
    write(source / "spoilt", b"a" * size)
    copy(source, target)
    write(target / "spoilt", b"a" * (size - 1) + b"b")
    assert copy(source, target).same == 2
    copied = copy(source, target, trust=False)
    assert (copied.files, copied.same) == (1, 1)
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_times_count_as_equal_within_the_granularity_and_modes_do_not_count_then(source: Path, target: Path) -> None:
    write(source / "a", time=OLD + 1_999_999_999)
    write(target / "a", time=OLD, mode=0o755)
    assert copy(source, target, granularity=2 * 10**9).same == 1
    assert copy(source, target, granularity=10**9).files == 1


# What goes


def test_a_mirror_loses_what_the_source_does_not_have_but_what_is_left_at_the_top(source: Path, target: Path) -> None:
    write(source / "a/kept")
    write(target / "a/kept")
    write(target / "a/mine")
    write(target / "tree/deep/file")
    write(target / "mine", b"marker")
    copied = copy(source, target, leave=frozenset({"mine"}))
    assert copied.removed == 2
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == ["a", "a/kept", "mine"]
    write(source / "mine", b"other")
    copy(source, target, leave=frozenset({"mine"}))
    assert (target / "mine").read_bytes() == b"marker"


def test_a_mirror_replaces_what_is_of_another_type(source: Path, target: Path) -> None:
    write(source / "file")
    write(source / "folder/a")
    os.symlink("x", source / "link")
    write(target / "file/deep/b")
    write(target / "folder")
    write(target / "link/c")
    copied = copy(source, target)
    assert copied.removed == 3
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_folders_that_forbid_writing_are_filled_and_forbid_it_again(source: Path, target: Path) -> None:
    write(source / "folder/a")
    (source / "folder").chmod(0o555)
    copy(source, target)
    (source / "folder").chmod(0o755)
    write(source / "folder/b")
    (source / "folder").chmod(0o555)
    assert copy(source, target).files == 1
    assert_alike(source, target, leave_out=frozenset({"atime"}))


# Merging


def test_a_merge_brings_what_is_missing_or_older_and_takes_nothing_away(source: Path, target: Path) -> None:
    write(source / "newer", b"source", time=NEW)
    write(target / "newer", b"target", time=OLD)
    write(source / "older", b"source", time=OLD)
    write(target / "older", b"target", time=NEW)
    write(source / "folder/new", b"source")
    write(target / "folder/mine", b"target")
    write(source / "fresh/a", b"source")
    (source / "folder").chmod(0o700)
    (target / "folder").chmod(0o555)
    os.utime(source / "fresh", ns=(OLD, OLD))
    copied = copy(source, target, way=Way.MERGE)
    assert (copied.files, copied.removed) == (3, 0)
    assert {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()} == {
        "newer": b"source", "older": b"target", "folder/new": b"source", "folder/mine": b"target",
        "fresh/a": b"source",
    }  # fmt: skip
    assert stat.S_IMODE((target / "folder").stat().st_mode) == 0o555
    assert (target / "fresh").stat().st_mtime_ns == OLD


def test_a_merge_leaves_what_is_of_another_type_and_says_so(source: Path, target: Path) -> None:
    write(source / "file", time=NEW)
    write(source / "folder/a")
    write(target / "file/b")
    os.symlink("/", target / "folder")
    copied = copy(source, target, way=Way.MERGE)
    assert sorted(copied.lost) == ["file: file: Is a directory", "folder: folder: Not a directory"]
    assert (target / "file/b").exists()
    assert os.readlink(target / "folder") == "/"


# What changes meanwhile


class Meddler:
    """Does something each time that the copy asks whether it may go on."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        self._acts = list(acts)

    def __call__(self) -> bool:
        if self._acts:
            self._acts.pop(0)()
        return True


def test_a_file_that_changes_is_copied_as_it_is_at_last(source: Path, target: Path) -> None:
    large = write(source / "large", b"x" * 9 * MIB)
    copy(source, target, may_go_on=Meddler(lambda: None, lambda: write(large, b"y" * 6 * MIB, time=NEW)))
    assert_alike(source, target, leave_out=frozenset({"atime"}))


def test_a_file_that_never_stops_changing_is_an_error_with_its_path(source: Path, target: Path) -> None:
    large = write(source / "large", b"x" * 9 * MIB)
    acts = [(lambda time=number: os.utime(large, ns=(time, time))) for number in range(40)]
    with pytest.raises(OSError, match="changed") as caught:
        copy(source, target, may_go_on=Meddler(*acts))
    assert (caught.value.errno, caught.value.filename) == (errno.EBUSY, str(large))
    assert list(target.iterdir()) == []


def test_a_file_that_vanishes_is_passed_over(source: Path, target: Path) -> None:
    for name in "abcdef":
        write(source / name)
    write(source / "folder/x")

    def clear() -> None:
        for name in "abcdef":
            (source / name).unlink(missing_ok=True)

    copy(source, target, may_go_on=Meddler(lambda: None, clear))
    assert (target / "folder/x").exists()


# What is hostile


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, make_socket])
def test_what_is_neither_file_nor_folder_nor_link_is_an_error(
    source: Path, target: Path, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "folder").mkdir()
    monkeypatch.chdir(source / "folder")
    make(Path("strange"))
    with pytest.raises(OSError, match="neither") as caught:
        copy(source, target)
    assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, str(source / "folder/strange"))


def test_a_link_planted_where_a_folder_should_be_is_not_followed(source: Path, target: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    write(source / "folder/a")
    os.symlink(victim, target / "folder")
    copy(source, target)
    assert list(victim.iterdir()) == []
    assert_alike(source, target, leave_out=frozenset({"atime"}))
    write(source / "folder/b")

    def plant() -> None:
        os.rename(target / "folder", target / "was")
        os.symlink(victim, target / "folder")

    copied = copy(source, target, way=Way.MERGE, may_go_on=Meddler(plant))
    assert copied.lost == ("folder: folder: Not a directory",)
    assert list(victim.iterdir()) == []


def test_a_tree_too_deep_is_an_error_and_one_nearly_so_is_copied(source: Path, target: Path) -> None:
    os.makedirs(source / "/".join("d" * 128))
    copy(source, target)
    os.mkdir(source / "/".join("d" * 129))
    with pytest.raises(OSError, match="levels") as caught:
        copy(source, target)
    assert caught.value.errno == errno.ELOOP


# What is read back


@pytest.mark.parametrize("size", [100, 5 * MIB])
def test_what_reads_differently_is_an_error_and_does_not_stay(source: Path, target: Path, size: int) -> None:
    write(source / "good", b"g" * size)
    write(source / "bad", b"b" * size)

    def worn(fd: int, parts: list[memoryview], offset: int) -> int:
        got = os.preadv(fd, parts, offset)
        if bytes(parts[0][:1]) == b"b":
            parts[0][:1] = b"B"
        return got

    with pytest.raises(OSError, match="read back") as caught:
        copy(source, target, read=worn)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(target / "bad"))
    assert not (target / "bad").exists()


def test_progress_grows_to_what_is_copied(source: Path, target: Path) -> None:
    for number in range(400):
        write(source / f"f{number}", b"x" * 1000)
    told: list[CopyProgress] = []
    copied = copy(source, target, progress=told.append)
    assert all(one.files <= other.files and one.bytes <= other.bytes for one, other in pairwise(told))
    assert all(each.files <= copied.files and each.bytes <= copied.bytes for each in told)
