"""What a look goes by is watched by name, there or not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cachewarden.system.ground import Asking, Ground, is_told
from cachewarden.system.ports import Mount
from cachewarden.system.users import current_owner


@pytest.fixture
def ground() -> Iterator[Ground]:
    made = Ground()
    yield made
    made.close()


def heard(ground: Ground, sign: Path) -> list[bool]:
    """What was told until ``sign`` (a name that was stood on) came."""
    sign.touch()
    found = list(ground.read())
    assert found.pop() is False  # the file was closed
    assert found.pop() is False  # and had come
    return found


def test_a_file_that_comes_is_written_or_goes_is_told_and_its_neighbours_are_not(
    ground: Ground, tmp_path: Path
) -> None:
    ground.stand_on(str(tmp_path / "pip.conf"))
    ground.stand_on(str(tmp_path / "sign"))
    (tmp_path / "other").write_text("x")
    (tmp_path / "other").unlink()
    assert heard(ground, tmp_path / "sign") == []
    (tmp_path / "pip.conf").write_text("x")
    assert set(ground.read()) == {False}
    (tmp_path / "pip.conf").unlink()
    assert list(ground.read()) == [False]


def test_what_is_not_there_is_awaited_where_it_would_begin(ground: Ground, tmp_path: Path) -> None:
    ground.stand_on(str(tmp_path / ".config" / "pip" / "pip.conf"))
    (tmp_path / ".config").mkdir()
    assert list(ground.read()) == [False]


def test_of_a_link_what_it_leads_to_counts_as_well(ground: Ground, tmp_path: Path) -> None:
    for name in ("home", "dotfiles"):
        (tmp_path / name).mkdir()
    target = tmp_path / "dotfiles" / "condarc"
    target.write_text("x")
    (tmp_path / "home" / ".condarc").symlink_to(target)
    ground.stand_on(str(tmp_path / "home" / ".condarc"))
    target.write_text("y")
    assert set(ground.read()) == {False}


@pytest.mark.parametrize("grows", [True, False])
def test_in_a_folder_everything_counts(ground: Ground, tmp_path: Path, grows: bool) -> None:
    records = tmp_path / "env" / "conda-meta"
    records.mkdir(parents=True)
    ground.stand_in(str(records), grows=grows)
    (records / "numpy.json").write_text("{}")
    assert set(ground.read()) == {grows}
    records.rename(tmp_path / "env" / "away")
    assert False in list(ground.read())


def test_reading_tells_nothing(ground: Ground, tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("x")
    ground.stand_on(str(path))
    ground.stand_in(str(tmp_path), grows=False)
    files = Asking(current_owner(None))
    files.read_text(str(path), 100)
    files.listing(str(tmp_path))
    with files.open_folder(str(tmp_path)) as folder:
        list(folder.nodes())
    os.utime(path)
    assert list(ground.read()) == [False]


def test_there_is_room_and_asking_for_it_tells_nothing(ground: Ground, tmp_path: Path) -> None:
    ground.stand_on(str(tmp_path / "sign"))
    assert ground.has_room()
    assert heard(ground, tmp_path / "sign") == []


def test_what_was_asked_is_noted(tmp_path: Path) -> None:
    files = Asking(current_owner(None))
    files.stat(f"{tmp_path}/a")
    files.names(f"{tmp_path}/b")
    with pytest.raises(FileNotFoundError):
        files.read_text(f"{tmp_path}/c", 10)
    assert files.asked == {f"{tmp_path}/{name}" for name in "abc"}
    assert files.listed == {f"{tmp_path}/b"}


def test_of_what_others_write_through_the_network_nothing_is_told() -> None:
    mounts = {
        "/": Mount("/", "ext4", tracks_atime=True, read_only=False),
        "/home": Mount("/home", "nfs4", tracks_atime=True, read_only=False),
    }
    assert is_told(["/etc/pip.conf", "/homes/ann"], mounts)
    assert not is_told(["/etc/pip.conf", "/home/ann/.condarc"], mounts)
