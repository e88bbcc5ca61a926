"""What a filesystem's type says of a destination; what needs real disks is in the system tests."""

import pytest

from cachewarden.ecosystems.base import Context, Ecosystem, Located, Surroundings
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.caches import Cache
from cachewarden.model.relocations import Errand, MoveOrder
from cachewarden.relocate.places import Place
from cachewarden.relocate.preflight import Scene, _by_type, _No
from cachewarden.system.ports import Mount
from fake_trees import NoProcesses
from fakes import FakeFiles
from makers import NOW, owner


def scene(ecosystem: Ecosystem) -> Scene:
    ann = owner("ann")
    surroundings = Surroundings(ann, {}, FakeFiles())
    context = Context(surroundings, Located(), NoProcesses(), NOW)
    cache = Cache(ecosystem.name, "/home/ann/c", ann, "")
    return Scene(surroundings, ecosystem, cache, context, (), lambda: True)


def place(type_: str) -> Place:
    return Place("/media/usb/c", "/media/usb", Mount("/media/usb", type_, tracks_atime=True, read_only=False))


def order(*, by_policy: bool = False) -> MoveOrder:
    return MoveOrder(Errand.RELOCATE, "x", to="/media/usb/c", by_policy=by_policy)


@pytest.mark.parametrize("type_", ["vfat", "msdos", "exfat"])
def test_a_stick_as_it_is_sold_is_refused_for_conda_with_the_reason(type_: str) -> None:
    with pytest.raises(_No, match=r"neither symbolic links, hard links nor modes.*ext4"):
        list(_by_type(scene(Conda()), order(), place(type_)))


def test_pip_does_without_modes_and_is_told_so() -> None:
    assert "modes are lost" in next(iter(_by_type(scene(Pip()), order(), place("vfat"))))


def test_a_disk_in_memory_is_a_warning_to_a_person_and_no_place_for_a_policy() -> None:
    assert "lost with the next start" in next(iter(_by_type(scene(Pip()), order(), place("tmpfs"))))
    with pytest.raises(_No, match="in memory"):
        list(_by_type(scene(Pip()), order(by_policy=True), place("tmpfs")))


def test_an_ordinary_disk_needs_no_words() -> None:
    assert list(_by_type(scene(Conda()), order(), place("ext4"))) == []
