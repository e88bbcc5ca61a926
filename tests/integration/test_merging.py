"""Two caches that become one: which of two files wins, packages that stay whole, and lists that keep all lines."""

import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.disks import give_to
from cachewarden.model.caches import COPYING
from cachewarden.system import durable
from cachewarden.system.copies import packages
from cachewarden.system.copying import Copied, CopyStoppedError, Way, copy_tree
from cachewarden.system.folders import open_folder

OLD, NEW = 10**18, 10**18 + 5 * 10**9


def merge(
    source: Path,
    target: Path,
    *,
    trust: bool = True,
    granularity: int = 1,
    may_go_on: Callable[[], bool] = lambda: True,
    pause: Callable[[], bool] | None = None,
) -> Copied:
    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        return copy_tree(
            one, other, way=Way.MERGE, trust=trust, granularity=granularity, may_go_on=may_go_on,
            progress=lambda _: None, pause=pause,
        )  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "target"
    made.mkdir()
    return made


def write(path: Path, text: str = "data", *, time: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(time, time))
    return path


def package(top: Path, name: str, channel: str, *, time: int = OLD, files: int = 3, record: bool = True) -> Path:
    """Its files are as old as any archive; only the record tells when it was unpacked."""
    made = top / name
    for number in range(files):
        write(made / f"lib/f{number}", channel)
    write(made / f"lib/only-{channel}", channel)
    write(made / "info/index.json", json.dumps({"channel": channel}))
    if record:
        write(made / "info/repodata_record.json", json.dumps({"channel": channel}), time=time)
    os.utime(made, ns=(OLD + 3, OLD + 3))
    return made


def channels(made: Path) -> set[str]:
    """From where the files of a package are."""
    found = {json.loads(path.read_text())["channel"] for path in made.glob("info/*.json")}
    return found | {path.read_text() for path in made.glob("lib/*")}


def shape(top: Path) -> dict[str, str]:
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


# Files


@pytest.mark.parametrize("trust", [True, False])
def test_of_two_files_with_one_time_and_other_sizes_the_sources_wins(
    source: Path, target: Path, *, trust: bool
) -> None:
    write(source / "a", "source's")
    write(target / "a", "the target's")
    assert merge(source, target, trust=trust).files == 1
    assert (target / "a").read_text() == "source's"
    assert merge(source, target, trust=trust).same == 1


def test_of_two_files_with_one_time_and_other_contents_the_sources_wins_where_contents_are_compared(
    source: Path, target: Path
) -> None:
    write(source / "a", "source")
    write(target / "a", "target")
    assert merge(source, target, trust=True).same == 1
    assert (target / "a").read_text() == "target"
    assert merge(source, target, trust=False).files == 1
    assert (target / "a").read_text() == "source"


def test_what_a_cache_is_shared_with_stays_as_it_is_at_the_target(source: Path, target: Path) -> None:
    write(source / "a").chmod(0o644)
    write(target / "a").chmod(0o664)
    assert merge(source, target).same == 1
    assert (target / "a").stat().st_mode & 0o777 == 0o664


# Packages of conda


@pytest.mark.parametrize(
    ("mine", "theirs", "wins"), [(NEW, OLD, "source"), (OLD, NEW, "target"), (OLD, OLD, "source")]
)
def test_of_two_packages_with_one_name_the_one_that_was_unpacked_last_stays_and_no_file_of_the_other(
    source: Path, target: Path, mine: int, theirs: int, wins: str
) -> None:
    package(source, "numpy-1.2-0", "source", time=mine)
    package(target, "numpy-1.2-0", "target", time=theirs, files=5)
    merge(source, target)
    assert channels(target / "numpy-1.2-0") == {wins}
    assert os.listdir(target) == ["numpy-1.2-0"]
    again = merge(source, target)
    assert (again.files, again.removed) == (0, 0)


def test_in_channels_below_the_top_packages_stay_whole_as_well(source: Path, target: Path) -> None:
    package(source, "https/a.org/main/noarch/x-1-0", "source", time=NEW)
    package(target, "https/a.org/main/noarch/x-1-0", "target")
    package(source, "https/a.org/main/noarch/y-1-0", "source")
    merge(source, target)
    assert channels(target / "https/a.org/main/noarch/x-1-0") == {"source"}
    assert shape(source) == shape(target)


def test_a_package_of_two_equal_ones_is_not_copied_and_contents_count_without_trust(
    source: Path, target: Path
) -> None:
    for top in (source, target):
        package(top, "a-1-0", "both")
    before = (target / "a-1-0").stat().st_ino
    assert (merge(source, target).same, (target / "a-1-0").stat().st_ino) == (6, before)
    assert merge(source, target, trust=False).same == 6
    write(target / "a-1-0/lib/f1", "b0th")
    assert merge(source, target, trust=True).files == 0
    assert merge(source, target, trust=False).files == 6
    assert channels(target / "a-1-0") == {"both"}


def test_what_is_no_whole_package_is_never_mixed_with_one(source: Path, target: Path) -> None:
    write(source / "half-1-0/lib/f0", "half", time=NEW)
    package(target, "half-1-0", "target")
    write(target / "torn-1-0/lib/f0", "torn", time=NEW)
    package(source, "torn-1-0", "source", record=False)
    merge(source, target)
    assert channels(target / "half-1-0") == {"target"}
    assert channels(target / "torn-1-0") == {"source"}


def test_a_package_that_is_half_gone_does_not_replace_the_whole_one_of_the_same_time(
    source: Path, target: Path
) -> None:
    """As what was set aside, when its removal is stopped and a merge comes after it."""
    for top in (source, target):
        package(top, "a-1-0", "both")
        package(top, "b-1-0", "both")
    (source / "a-1-0/lib/f1").unlink()
    (target / "b-1-0/lib/f1").unlink()
    merge(source, target)
    for name in ("a-1-0", "b-1-0"):
        assert (target / name / "lib/f1").read_text() == "both"


def test_a_file_or_link_with_the_name_of_a_package_stays_and_is_told(source: Path, target: Path) -> None:
    package(source, "a-1-0", "source")
    os.symlink("/", target / "a-1-0")
    assert merge(source, target).lost == ("a-1-0: folder: Not a directory",)
    assert os.readlink(target / "a-1-0") == "/"


def test_at_no_instant_half_of_a_package_is_to_be_seen_and_a_stop_leaves_nothing_else(
    source: Path, target: Path
) -> None:
    for name in ("a-1-0", "b-1-0", "c-1-0"):
        package(source, name, "source", time=NEW)
    package(target, "b-1-0", "target")
    whole = {"source": {f"f{number}" for number in range(3)} | {"only-source"}}
    whole["target"] = {f"f{number}" for number in range(3)} | {"only-target"}

    def look() -> None:
        assert (target / "b-1-0").exists()
        for folder in target.glob("?-1-0"):
            (channel,) = channels(folder)
            assert {path.name for path in folder.glob("lib/*")} == whole[channel]

    for asked in range(0, 80, 3):
        left = iter(range(asked))

        def may_go_on(left: Iterator[int] = left) -> bool:
            look()
            return next(left, None) is not None

        try:
            merge(source, target, may_go_on=may_go_on)
        except CopyStoppedError:
            look()
            assert COPYING not in os.listdir(target)
        else:
            break
    assert shape(source) == shape(target)
    assert (target / "a-1-0").stat().st_mtime_ns == OLD + 3


def test_what_a_kill_left_of_packages_goes_with_the_next_copy(source: Path, target: Path) -> None:
    for name in ("a-1-0", "b-1-0"):
        package(source, name, "source")
    child = os.fork()
    if child == 0:
        asked = iter(range(8))
        merge(source, target, may_go_on=lambda: next(asked, None) is not None or os._exit(9))
    assert os.waitpid(child, 0)[1] == 9 << 8
    assert os.listdir(target) == [COPYING]
    merge(source, target)
    assert shape(source) == shape(target)
    assert sorted(os.listdir(target)) == ["a-1-0", "b-1-0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_packages_whose_folders_forbid_writing_are_exchanged_by_an_ordinary_user_too() -> None:
    with tempfile.TemporaryDirectory(prefix="cachewarden-merge-") as folder:
        top = Path(folder)
        source, target = top / "source", top / "target"
        package(source, "a-1-0", "source", time=NEW).chmod(0o555)
        package(source, "b-1-0", "source", time=NEW).chmod(0o555)
        package(target, "a-1-0", "target").chmod(0o555)
        give_to(top, 4321, 4321)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setresgid(4321, 4321, 4321)
                os.setresuid(4321, 4321, 4321)
                merge(source, target)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert channels(target / "a-1-0") == {"source"}
        assert [stat.S_IMODE((target / name).stat().st_mode) for name in ("a-1-0", "b-1-0")] == [0o555, 0o555]
        assert sorted(os.listdir(target)) == ["a-1-0", "b-1-0"]


def test_names_of_one_file_in_two_packages_stay_one_file(source: Path, target: Path) -> None:
    first, second = package(source, "a-1-0", "source"), package(source, "b-1-0", "source")
    os.link(first / "lib/f0", first / "lib/again")
    os.link(first / "lib/f0", second / "lib/again")
    merge(source, target)
    assert (target / "a-1-0/lib/f0").stat().st_nlink == 3
    assert os.path.samefile(target / "a-1-0/lib/f0", target / "b-1-0/lib/again")


def test_more_packages_than_are_put_together_at_once_all_come(source: Path, target: Path) -> None:
    first = package(source, "p000-1-0", "source")
    for number in range(1, 150):
        made = package(source, f"p{number:03}-1-0", "source", files=1)
        os.link(first / "lib/f0", made / "lib/shared")
    merge(source, target)
    assert shape(source) == shape(target)
    assert (target / "p149-1-0/lib/shared").stat().st_nlink == 150


@pytest.mark.parametrize("way", [durable.exchanged, packages.in_three_steps])
def test_two_folders_change_places(source: Path, target: Path, way: Callable[[int, str, int, str], None]) -> None:
    write(source / "1/a", "new")
    write(target / "x/b", "old")
    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        way(one.fileno(), "1", other.fileno(), "x")
    assert (shape(source), shape(target)) == ({"1/b": "old"}, {"x/a": "new"})


# Lists


def test_the_lists_of_addresses_get_the_lines_that_they_lack(source: Path, target: Path) -> None:
    write(source / "urls.txt", "https://a/1\nhttps://b/2\nhttps://b/2\nhttps://c/3", time=OLD)
    write(target / "urls.txt", "https://d/4\nhttps://a/1", time=NEW).chmod(0o664)
    write(source / "urls", "")
    write(source / "folder/urls.txt", "source", time=OLD)
    write(target / "folder/urls.txt", "target", time=NEW)
    assert merge(source, target).files == 2
    assert (target / "urls.txt").read_text() == "https://d/4\nhttps://a/1\nhttps://b/2\nhttps://c/3\n"
    assert (target / "urls.txt").stat().st_mode & 0o777 == 0o664
    assert (target / "folder/urls.txt").read_text() == "target"
    assert merge(source, target).files == 0


def test_a_package_is_on_the_device_before_it_has_its_name(source: Path, target: Path) -> None:
    package(source, "a-1-0", "source")

    def worn(fd: int, parts: list[memoryview], offset: int) -> int:
        assert not (target / "a-1-0").exists()
        return os.preadv(fd, parts, offset)

    with open_folder(str(source)) as one, open_folder(str(target)) as other:
        copy_tree(one, other, way=Way.MERGE, trust=True, may_go_on=lambda: True, progress=lambda _: None, read=worn)
    assert (target / "a-1-0").exists()
