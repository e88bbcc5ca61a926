"""Small files that are whole whatever happens, names that change places, and what a place can do."""

import os
import stat
from pathlib import Path

import pytest

from cachewarden.model.errors import BusyError
from cachewarden.system import durable, places


def test_a_file_that_is_replaced_keeps_its_mode_and_attributes(tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("old")
    path.chmod(0o640)
    os.setxattr(path, "user.note", b"kept")
    durable.write(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.getxattr(path, "user.note") == b"kept"
    assert os.listdir(tmp_path) == ["pip.conf"]


def test_a_new_file_gets_the_mode_that_is_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        durable.write(str(tmp_path / "new"), b"x", 0o644)
        durable.make_folders(str(tmp_path / "a/b/c"), 0o755)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644
    assert [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("a", "a/b", "a/b/c")] == [0o755] * 3


def test_what_a_kill_left_of_a_write_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in ("pip.conf", "pip.conf.cachewarden-new", "other.cachewarden-new", "mine"):
        (tmp_path / name).write_text("")
    durable.sweep(str(tmp_path), "pip.conf")
    assert sorted(os.listdir(tmp_path)) == ["mine", "other.cachewarden-new", "pip.conf"]
    durable.sweep(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["mine", "pip.conf"]


def test_a_link_is_never_written_through_nor_read(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic"):
        durable.read(str(tmp_path / "link"), 100)
    durable.write(str(tmp_path / "link"), b"new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "link").is_symlink()


def test_what_is_too_large_or_no_file_is_an_error_and_what_is_missing_is_none(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 11)
    os.mkfifo(tmp_path / "fifo")
    assert durable.read(str(tmp_path / "missing"), 10) is None
    for name in ("large", "fifo"):
        with pytest.raises(OSError, match=r"larger|regular"):
            durable.read(str(tmp_path / name), 10)


def test_two_names_change_places(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").symlink_to("x")
    durable.exchange(f"{tmp_path}/one", f"{tmp_path}/other", f"{tmp_path}/spare")
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "other").is_dir()


def test_one_process_at_a_time_works_on_a_journal(tmp_path: Path) -> None:
    with durable.alone(str(tmp_path)), pytest.raises(BusyError), durable.alone(str(tmp_path)):
        pass


def test_an_ordinary_folder_can_do_everything_and_is_left_as_it_was(tmp_path: Path) -> None:
    able = places.probe(str(tmp_path))
    assert able == places.Abilities()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_probe_left_goes_with_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / f"{places.PROBE}-0011223344556677"
    left.mkdir()
    (left / "file").write_bytes(b"cachewarden")
    (left / "link").hardlink_to(left / "file")
    (left / "symlink").symlink_to("file")
    (left / ("n" * 250)).mkdir()
    (tmp_path / f"{places.PROBE}-empty").mkdir()
    assert places.probe(str(tmp_path)).error == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file", "link", "thesis.tex", "symlink"])
def test_what_only_has_the_name_of_a_probe_stays(tmp_path: Path, name: str) -> None:
    left = tmp_path / f"{places.PROBE}-0011223344556677"
    left.mkdir()
    if name == "symlink":
        (left / name).symlink_to("elsewhere")
    else:
        (left / name).write_bytes(b"years of work")
    (tmp_path / f"{places.PROBE}-link").symlink_to(left)
    assert places.probe(str(tmp_path)).error == ""
    assert os.listdir(left) == [name]


def test_a_probe_leaves_another_that_is_at_work_alone(tmp_path: Path) -> None:
    with places._playground(str(tmp_path)) as ground:
        assert places.probe(str(tmp_path)).error == ""
        assert os.fstat(ground).st_nlink


def test_where_nothing_can_be_made_the_probe_says_why(tmp_path: Path) -> None:
    assert places.probe(str(tmp_path / "missing")).error == "No such file or directory"


def test_whether_a_link_can_be_made_is_found_out_by_making_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert places.can_link(str(tmp_path / "file"), str(tmp_path)) is True
    assert os.listdir(tmp_path) == ["file"]
    assert places.can_link("/proc/self/status", str(tmp_path)) is False


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder where somebody has planted what a guess at a name would meet: no process number is a secret."""
    folder, precious = tmp_path / "shared", tmp_path / "precious"
    folder.mkdir()
    precious.mkdir()
    (precious / "thesis").write_text("years")
    for number in (os.getpid(), os.getppid()):
        (folder / f".cachewarden-probe-{number}").symlink_to(precious)
        (folder / f".cachewarden-probe-link-{number}").write_text("a stranger's")
    return folder


def test_nothing_that_others_put_there_is_entered_or_removed_by_trying(shared: Path, tmp_path: Path) -> None:
    before = sorted(os.listdir(shared))
    assert places.probe(str(shared)) == places.Abilities()
    assert places.can_link(str(tmp_path / "precious/thesis"), str(shared)) is True
    assert sorted(os.listdir(shared)) == before
    assert (tmp_path / "precious/thesis").read_text() == "years"


def test_a_folder_put_in_place_of_the_one_that_was_made_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with places._playground(str(tmp_path / "folder")) as ground:
        (name,) = os.listdir(tmp_path / "folder")
        (tmp_path / "folder" / name).rename(tmp_path / "aside")
        (tmp_path / "folder" / name).mkdir()
        (tmp_path / "folder" / name / "file").write_text("a stranger's")
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=ground))
    assert (tmp_path / "folder" / name / "file").read_text() == "a stranger's"
    assert os.listdir(tmp_path / "aside") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_or_with_something_in_it_is_not_taken_for_the_one_that_was_made(
    tmp_path: Path,
) -> None:
    for name in ("strangers", "full", "own"):
        (tmp_path / name).mkdir()
    os.chown(tmp_path / "strangers", 65534, 65534)
    (tmp_path / "full/file").write_text("")
    above = os.open(tmp_path, os.O_RDONLY)
    for name, ours in {"strangers": False, "full": False, "own": True}.items():
        fd = os.open(tmp_path / name, os.O_RDONLY)
        if ours:
            places._must_be_ours(fd, above)
        else:
            with pytest.raises(PermissionError, match="somebody else"):
                places._must_be_ours(fd, above)
        os.close(fd)
    os.close(above)


def test_rules_with_globs_hold_for_what_they_match_and_all_below(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(
        "e /data/*/scratch - - - 10d\nR /srv/job-[0-9]?\nd /plain/* 0755 root root -\ne /x/.h* - - - 1d\n"
        'e "/quoted/*" - - - 1d\n'
    )
    found = {
        path: (places.purged_by_age(path, (str(tmp_path),)) or ("",))[0]
        for path in (
            "/data/ann/scratch", "/data/ann/scratch/deep/pip", "/data/ann/b/scratch", "/data/.ann/scratch/x",
            "/srv/job-1x/pip", "/srv/job-x1", "/plain/a", "/x/.hidden/y", "/x/h", "/data/ann", "/quoted/z",
        )
    }  # fmt: skip
    assert {path: place for path, place in found.items() if place} == {
        "/data/ann/scratch": "/data/ann/scratch", "/data/ann/scratch/deep/pip": "/data/ann/scratch",
        "/srv/job-1x/pip": "/srv/job-1x", "/x/.hidden/y": "/x/.hidden", "/quoted/z": "/quoted/z",
    }  # fmt: skip


def test_places_that_lose_what_is_old_are_known_by_the_rules_of_the_machine(tmp_path: Path) -> None:
    for name, text in {
        "usual/a.conf": "q /scratch 1777 root root 30d\nx /keep - - - 1d\n",
        "usual/b.conf": "D /fresh 1777 root root -\nd /stays 0755 root root -\n",
        "own/a.conf": "q /scratch2 1777 root root 30d\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    rules = (f"{tmp_path}/usual", f"{tmp_path}/own", f"{tmp_path}/missing")
    found = {
        place: places.purged_by_age(place, rules) for place in ("/scratch/x", "/scratch2/x/y", "/fresh", "/stays/x")
    }
    assert found == {
        "/scratch/x": None,  # a.conf of one's own takes the place of the other
        "/scratch2/x/y": ("/scratch2", f"{tmp_path}/own/a.conf"),
        "/fresh": ("/fresh", f"{tmp_path}/usual/b.conf"),
        "/stays/x": None,
    }
    assert places.purged_by_age("/keep/x", rules) is None
