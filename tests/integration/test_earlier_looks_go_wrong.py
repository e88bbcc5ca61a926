"""What could be taken over from an earlier look and must not be: it was not asked then, or is not true of all."""

import os
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from builders.looks import OwnProcesses, Scene
from builders.synthetic import conda_packages
from cachewarden.ecosystems.base import Located, Surroundings
from cachewarden.ecosystems.bounds import SECONDS, Bounds
from cachewarden.ecosystems.conda import Conda
from cachewarden.measure import measure_cache
from cachewarden.model.caches import MeasuredCache
from cachewarden.model.units import Instant
from cachewarden.system.files import RealFiles
from cachewarden.system.folders import open_folder
from cachewarden.system.ports import Mount, Process

HOUR = 3_600 * 10**9


class On(RealFiles):
    """As on a filesystem of some type; on ``btrfs`` each file is asked what comes back of it."""

    def __init__(self, type_: str) -> None:
        super().__init__()
        self._type = type_

    def mount_of(self, path: str) -> Mount:
        return replace(super().mount_of(path), type=self._type)


class CondaAtWork(OwnProcesses):
    """Somebody is asked whether to go on with an installation."""

    def running(self) -> tuple[Process, ...]:
        return (Process(4711, os.geteuid(), "conda", ("conda", "install", "zlib")),)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    root = tmp_path / "home" / ".conda" / "pkgs"
    conda_packages(root, 4, files=5, folders=1)
    os.sync()  # what is not on the disk yet, nobody can say of what it gives back
    return Scene(Conda(), root, tmp_path / "home")


def look(
    scene: Scene, known: MeasuredCache | None = None, processes: OwnProcesses | None = None, type_: str = "btrfs"
) -> MeasuredCache:
    surroundings = Surroundings(scene.owner, scene.environ, On(type_))
    found = measure_cache(
        scene.cache, scene.ecosystem, scene.located or Located(), surroundings, processes or OwnProcesses(),
        Instant(time.time_ns() + HOUR), known=known,
    )  # fmt: skip
    assert hasattr(found, "cache"), found
    return found.cache


def test_what_was_not_asked_of_an_entry_while_a_tool_held_it_is_asked_when_it_may_go(scene: Scene) -> None:
    """Else it would free nothing for a day, by what was found while conda waited for an answer."""
    whole, held = look(scene), look(scene, processes=CondaAtWork())
    assert all(entry.hold for entry in held.entries)
    assert {entry.path: entry.frees for entry in look(scene, held).entries} == {
        entry.path: entry.frees for entry in whole.entries
    }


def test_entries_for_whose_bounds_there_was_no_time_are_asked_again(scene: Scene) -> None:
    """Each look gets further; and that there was no time is told until there was."""
    cache = look(scene)
    clock = count(step=int(SECONDS / 15))
    with open_folder(str(scene.root)) as folder:
        bounds = Bounds(folder, clock=lambda: float(next(clock)))
        bounds.cache(cache)
    assert bounds.unasked
    assert bounds.unsure
    assert bounds.unsure < {entry.path for entry in cache.entries}


@pytest.mark.parametrize("type_", ["fuse", "fuse.s3fs"])
def test_where_folders_need_not_tell_that_they_changed_nothing_is_taken_over(scene: Scene, type_: str) -> None:
    assert look(scene, type_="ext4").parts
    assert look(scene, type_="fuseblk").parts, "NTFS"
    assert look(scene, type_=type_).parts == ()
