"""What a removal asks of the kernel, counted: times are noisy. And that asking less often lets nothing through."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.looks import Scene, du, files_below
from cachewarden.ecosystems import conda_measure as conda_module
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.plans import RemovedEntry
from cachewarden.system.folders import OpenFolder, open_folder
from cachewarden.system.ports import Node, WritableFolder

LEVELS = 5


class CountingFolder(OpenFolder):
    """A real folder that counts what is asked of it and of all that is opened below it, by the kind of call.

    ``before_parking`` is called before a package is renamed to the trash.
    """

    def __init__(self, folder: OpenFolder, calls: Counter[str], before_parking: Callable[[], None]) -> None:
        super().__init__(os.dup(folder.fileno()), folder.path)
        folder.__exit__(None, None, None)
        self.calls = calls
        self.before_parking = before_parking

    def _opened(self, folder: OpenFolder) -> "CountingFolder":
        self.calls["open"] += 1
        return CountingFolder(folder, self.calls, self.before_parking)

    def folder(self, name: str) -> "CountingFolder":
        return self._opened(super().folder(name))

    def below(self, way: str) -> "CountingFolder":
        return self._opened(super().below(way))

    def nodes(self) -> Iterator[Node]:
        self.calls["list"] += 1
        return super().nodes()

    def node(self, name: str) -> Node:
        self.calls["stat"] += 1
        return super().node(name)

    def unlink(self, name: str) -> None:
        self.calls["unlink"] += 1
        super().unlink(name)

    def remove_folder(self, name: str) -> None:
        self.calls["rmdir"] += 1
        super().remove_folder(name)

    def move(self, name: str, target: WritableFolder, new_name: str) -> None:
        self.calls["move"] += 1
        self.before_parking()
        super().move(name, target, new_name)


def counting(scene: Scene, before_parking: Callable[[], None] = lambda: None) -> CountingFolder:
    return CountingFolder(open_folder(str(scene.root)), Counter(), before_parking)


def put(root: Path, key: str) -> None:
    shard = root.joinpath("http-v2", *key[:LEVELS])
    shard.mkdir(parents=True, exist_ok=True)
    (shard / key).write_bytes(b"cc=4,\x80")
    (shard / f"{key}.body").write_bytes(b"x" * 9000)


def pip_scene(home: Path, *keys: str) -> Scene:
    for key in keys:
        put(home / ".cache/pip", key)
    return Scene(Pip(), home / ".cache/pip", home)


def conda_scene(home: Path, *names: str) -> Scene:
    root = home / "miniforge3/pkgs"
    for name in names:
        (root / name / "info").mkdir(parents=True)
        (root / name / "info/index.json").write_text('{"name": "x", "version": "1"}')
        (root / name / "lib/deep").mkdir(parents=True)
        for number in range(20):
            (root / name / f"lib/f{number}").write_bytes(b"a" * 5000)
        (root / name / "lib/deep/a").write_bytes(b"a" * 5000)
        os.link(root / name / "lib/deep/a", root / name / "lib/twin")
    (root / "urls.txt").touch()
    return Scene(Conda(), root, home)


def test_pip_entry_costs_one_way_to_it_and_one_for_each_folder_that_goes(tmp_path: Path) -> None:
    scene = pip_scene(tmp_path, "0" * 56, "1" * 56)
    root = counting(scene)
    entries = scene.entries().values()
    assert scene.purge(entries, folder=root).failures == ()
    assert root.calls == {
        "open": 2 * (1 + LEVELS),
        # Its two files and the folders, each once, just before it goes; and a trash, which is not there.
        "stat": 2 * (2 + LEVELS) + 1,
        "unlink": 2 * 2,
        "rmdir": 2 * LEVELS,
    }


def test_folder_that_entries_share_is_tried_when_the_last_of_them_goes(tmp_path: Path) -> None:
    first, other, last = "0000a" + "a" * 51, "0" * 56, "0000a" + "b" * 51
    scene = pip_scene(tmp_path, first, other, last)
    before, root = du(scene.root), counting(scene)
    entries = [*scene.entries().values()]
    outcome = scene.purge([entries[1], entries[2], entries[0]], folder=root)
    assert files_below(scene.root) == set()
    assert not any((scene.root / "http-v2").iterdir())
    assert root.calls["rmdir"] == LEVELS + 1
    assert outcome.freed == before - du(scene.root)


def test_entries_in_shards_go_by_their_paths_and_packages_as_they_were_chosen(tmp_path: Path) -> None:
    went: list[str] = []

    def progress(gone: RemovedEntry) -> None:
        went.append(gone.path.rpartition("/")[2])

    keys = [f"{number:x}" * 56 for number in (7, 1, 15, 4)]
    pip = pip_scene(tmp_path / "pip", *keys)
    pip.purge([pip.entries()[f"http-v2/{'/'.join(key[:LEVELS])}/{key}"] for key in keys], progress=progress)
    assert went == sorted(keys)
    went.clear()
    names = ["c-1-0", "a-1-0", "b-1-0"]
    conda = conda_scene(tmp_path / "conda", *names)
    conda.purge([conda.entries()[name] for name in names], progress=progress)
    assert went == names


def test_folders_of_a_package_are_listed_once_between_the_last_look_and_the_end(tmp_path: Path) -> None:
    scene = conda_scene(tmp_path, "libfoo-1-0", "libbar-1-0")
    before, root = du(scene.root), counting(scene)
    outcome = scene.purge(scene.entries().values(), folder=root)
    assert outcome.failures == ()
    assert root.calls["list"] == 2 * len(["", "info", "lib", "lib/deep"])
    assert outcome.freed == before - du(scene.root)
    assert {path.name for path in scene.root.iterdir()} == {"urls.txt"}


def test_package_of_very_many_names_is_listed_again_and_not_kept_in_memory(tmp_path: Path) -> None:
    scene = conda_scene(tmp_path, "libfoo-1-0")
    for number in range(conda_module.MOST_KEPT):
        (scene.root / f"libfoo-1-0/info/n{number}").touch()
    root = counting(scene)
    assert scene.purge(scene.entries().values(), folder=root).failures == ()
    assert {path.name for path in scene.root.iterdir()} == {"urls.txt"}
    assert root.calls["list"] > len(["", "info", "lib", "lib/deep"])


def to_folder(package: Path) -> None:
    (package / "lib/f1").unlink()
    (package / "lib/f1").mkdir()
    (package / "lib/f1/new").write_bytes(b"n" * 5000)


def to_link(package: Path) -> None:
    (package / "lib").rename(package.parent.parent / "moved")
    (package / "lib").symlink_to(package.parent.parent / "moved")


def to_file(package: Path) -> None:
    (package / "lib/deep/a").unlink()
    (package / "lib/deep").rmdir()
    (package / "lib/deep").write_bytes(b"f")


@pytest.mark.parametrize("change", [to_folder, to_link, to_file])
def test_what_changes_in_a_package_after_the_last_look_goes_too_and_no_link_is_followed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    scene = conda_scene(tmp_path, "libfoo-1-0")
    root = counting(scene, lambda: change(scene.root / "libfoo-1-0"))
    outcome = scene.purge(scene.entries().values(), folder=root)
    assert root.calls["move"] == 1
    assert outcome.failures == ()
    assert {path.name for path in scene.root.iterdir()} == {"urls.txt"}
    moved = scene.root.parent / "moved"
    assert len(files_below(moved)) == (22 if change is to_link else 0)


def test_file_that_was_linked_after_the_last_look_is_gone_and_the_link_stays(tmp_path: Path) -> None:
    scene = conda_scene(tmp_path, "libfoo-1-0")
    kept = tmp_path / "kept"
    root = counting(scene, lambda: os.link(scene.root / "libfoo-1-0/lib/f1", kept))
    assert scene.purge(scene.entries().values(), folder=root).failures == ()
    assert kept.read_bytes() == b"a" * 5000


@pytest.mark.parametrize("level", range(1, LEVELS + 2))
def test_folder_that_becomes_a_link_between_two_entries_leads_nowhere(tmp_path: Path, level: int) -> None:
    keys = ["00000" + "a" * 51, "00000" + "b" * 51]
    scene, victim = pip_scene(tmp_path / "home", *keys), pip_scene(tmp_path / "victim", *keys)
    before = files_below(victim.root)
    swapped = "/".join(["http-v2", *keys[0][:LEVELS]][:level])

    def swap(_: RemovedEntry) -> None:
        if not (scene.root / "away").exists():
            (scene.root / swapped).rename(scene.root / "away")
            (scene.root / swapped).symlink_to(victim.root / swapped)

    outcome = scene.purge(scene.entries().values(), progress=swap)
    assert [len(outcome.removed), len(outcome.failures)] == [1, 1]
    assert files_below(victim.root) == before
    assert len(files_below(scene.root / "away")) == 2


def test_folder_that_is_moved_away_between_two_entries_keeps_what_is_left_in_it(tmp_path: Path) -> None:
    scene = pip_scene(tmp_path, "00000" + "a" * 51, "00000" + "b" * 51)
    away = tmp_path / "away"

    def move(_: RemovedEntry) -> None:
        if not away.exists():
            (scene.root / "http-v2").rename(away)

    outcome = scene.purge(scene.entries().values(), progress=move)
    assert [len(outcome.removed), len(outcome.failures)] == [1, 0]
    assert len(files_below(away)) == 2
