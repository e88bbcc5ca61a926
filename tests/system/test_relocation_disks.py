"""What is one disk though it looks like two, and places from which no move could come back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.disks import LoopDisk, why_no_loop_disks
from builders.moves import House, fill_pip, house
from cachewarden.model.relocations import Errand, Method

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


@pytest.mark.parametrize("mounted", [False, True], ids=["a folder", "a mount of its own"])
def test_another_subvolume_is_the_same_disk(tmp_path: Path, *, mounted: bool) -> None:
    if reason := why_no_loop_disks("btrfs"):
        pytest.skip(reason)
    with LoopDisk(200, "btrfs") as disk, LoopDisk(40) as other:
        for name in ("home", "data"):
            subprocess.run(["btrfs", "-q", "subvolume", "create", str(disk.path / name)], check=True)
        data = disk.path / "data"
        if mounted:
            data = tmp_path / "mounted"
            data.mkdir()
            subprocess.run(["mount", "-o", "subvol=data", disk.device, str(data)], check=True)
        try:
            made = House(disk.path / "home", disk)
            fill_pip(made.home / ".cache/pip")
            found = made.run(Errand.CHECK, "pip", to=str(data / "pip"))
            assert "is on the same disk" in found.error
            assert made.run(Errand.CHECK, "pip", to=str(other.path / "pip")).error == ""
        finally:
            if mounted:
                subprocess.run(["umount", str(data)], check=True)


@pytest.mark.parametrize("method", [Method.CONFIG, Method.SYMLINK])
def test_a_cache_that_is_a_mount_point_is_not_moved_as_it_could_not_come_back(place: House, method: Method) -> None:
    cache = place.home / ".cache/pip"
    cache.mkdir(parents=True)
    with LoopDisk(40) as own:
        (own.path / "cache").mkdir()
        subprocess.run(["mount", "--bind", str(own.path / "cache"), str(cache)], check=True)
        try:
            fill_pip(cache)
            found = place.run(Errand.RELOCATE, "pip", method=method)
        finally:
            subprocess.run(["umount", str(cache)], check=True)
    assert f"{cache} is a mount point" in found.error
    assert not place.records()
    assert not place.to("pip").exists()


@pytest.mark.parametrize("name", ["pip.cachewarden-old", "pip.cachewarden-incoming", "pip.cachewarden-old-3fa2"])
def test_what_an_earlier_move_left_is_for_a_person_to_look_at(place: House, name: str) -> None:
    cache = place.home / ".cache/pip"
    fill_pip(cache)
    left = cache.with_name(name)
    left.mkdir()
    (left / "thesis").write_text("years")
    found = place.run(Errand.RELOCATE, "pip")
    assert f"{left} is there" in found.error
    assert (left / "thesis").read_text() == "years"
    left.rename(left.with_name("looked-at"))
    assert place.run(Errand.RELOCATE, "pip").error == ""
