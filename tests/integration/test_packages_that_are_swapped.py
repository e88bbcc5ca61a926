"""What takes the place of a package after it was looked at last is not removed in its stead."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.looks import Scene
from builders.synthetic import conda_packages
from cachewarden.act import CHANGED
from cachewarden.ecosystems.conda import Conda
from cachewarden.system.folders import OpenFolder
from cachewarden.system.ports import WritableFolder


class Hurried(OpenFolder):
    """Something happens in the cache between the look at a package and its going."""

    happens: Callable[[], None]

    def move(self, name: str, target: WritableFolder, new_name: str) -> None:
        self.happens()
        super().move(name, target, new_name)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    root = tmp_path / "home" / ".conda" / "pkgs"
    conda_packages(root, 1, files=5)
    return Scene(Conda(), root, tmp_path / "home")


def test_a_package_that_its_tool_makes_anew_meanwhile_stays_whole(scene: Scene) -> None:
    (entry,) = scene.entries().values()
    package = scene.root / entry.path
    new = shutil.copytree(package, scene.root.parent / "new")

    def happens() -> None:
        package.rename(scene.root.parent / "old")
        new.rename(package)

    root = Hurried(os.open(scene.root, os.O_RDONLY | os.O_DIRECTORY), str(scene.root))
    root.happens = happens
    outcome = scene.purge([entry], folder=root)
    assert [failure.error for failure in outcome.failures] == [CHANGED]
    assert not outcome.removed
    assert (package / "info" / "index.json").exists()
    assert len(list(package.rglob("f*"))) == 5
    assert not (scene.root / ".cachewarden-trash").exists()
