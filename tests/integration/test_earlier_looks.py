"""Looks that rest on earlier ones: what is unchanged is not walked, and nothing else differs from a look at all."""

import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.conda_caches import CondaBase, build_package
from builders.looks import Scene, as_found, look
from builders.synthetic import conda_packages, pip_responses
from cachewarden.ecosystems.base import Located
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip

_listed: list[str] = []
_hooked: list[bool] = []


def _audit(event: str, _: tuple[object, ...]) -> None:
    if event == "os.scandir":
        _listed.append(event)


@contextmanager
def listings() -> Iterator[Callable[[], int]]:
    """Counts the folders that are listed."""
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked.append(True)
    start = len(_listed)
    yield lambda: len(_listed) - start


@pytest.fixture
def conda(tmp_path: Path) -> Scene:
    root = tmp_path / "home" / ".conda" / "pkgs"
    conda_packages(root, 12, files=20, folders=3)
    return Scene(Conda(), root, tmp_path / "home")


@pytest.fixture
def pip(tmp_path: Path) -> Scene:
    root = tmp_path / "home" / ".cache" / "pip"
    pip_responses(root, 120)
    wheel(root, "aa")
    return Scene(Pip(), root, tmp_path / "home")


def wheel(root: Path, first: str) -> Path:
    folder = root / "wheels" / first / "bb" / "cc" / ("d" * 50)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "demo-1.0-py3-none-any.whl").write_bytes(b"x" * 900)
    return folder


@pytest.fixture(params=["conda", "pip"])
def scene(request: pytest.FixtureRequest) -> Scene:
    found: Scene = request.getfixturevalue(request.param)
    return found


def test_a_cache_in_which_nothing_changed_is_found_as_before_and_hardly_listed(scene: Scene) -> None:
    with listings() as whole:
        first = look(scene)
        listed_first = whole()
    with listings() as again:
        second = look(scene, first)
        listed_second = again()
    assert as_found(second) == as_found(first)
    assert second.parts == first.parts
    assert listed_first > 50
    assert listed_second <= 6


def test_it_says_when_all_was_walked_last(scene: Scene) -> None:
    first = look(scene)
    assert first.verified is not None
    assert look(scene, first, hours=2).verified == first.verified
    assert (look(scene, hours=2).verified or 0) > first.verified


def test_what_has_just_changed_is_walked_again_for_it_may_change_further(scene: Scene) -> None:
    assert look(scene, hours=0).parts == ()


def test_a_package_to_which_something_was_added_is_walked_again(conda: Scene) -> None:
    first = look(conda)
    (conda.root / "made3-1.0-0" / "more").write_bytes(b"x" * 50_000)
    second = look(conda, first)
    assert as_found(second) == as_found(look(conda))
    assert second.size > first.size


def test_a_package_that_goes_or_comes_is_seen(conda: Scene) -> None:
    first = look(conda)
    shutil.rmtree(conda.root / "made3-1.0-0")
    shutil.copytree(conda.root / "made4-1.0-0", conda.root / "other-1.0-0")
    (conda.root / "made5-1.0-0.conda").write_bytes(b"x" * 5_000)
    second = look(conda, first)
    assert as_found(second) == as_found(look(conda))
    assert {entry.path for entry in second.entries} >= {"other-1.0-0", "made5-1.0-0.conda"}
    facts = {entry.path: entry.facts for entry in second.entries}
    assert facts["made5-1.0-0"] != facts["made4-1.0-0"], "with its archive it can be extracted again"


def test_a_folder_that_took_the_place_of_a_package_is_not_taken_for_it(conda: Scene) -> None:
    first = look(conda)
    old, status = conda.root / "made3-1.0-0", (conda.root / "made3-1.0-0").stat()
    shutil.copytree(conda.root / "made4-1.0-0", conda.root / "new")
    (conda.root / "new" / "more").write_bytes(b"x" * 50_000)
    shutil.rmtree(old)
    (conda.root / "new").rename(old)
    os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert as_found(look(conda, first)) == as_found(look(conda))


def test_packages_of_an_environment_that_comes_or_goes_are_walked_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    built = [build_package(tmp_path, name, "1.0", files={f"lib/{name}": b"x" * 9_000}) for name in ("one", "two")]
    base = CondaBase(home / "miniforge3", home)
    for package in built:
        base.fetch(package)
    scene = Scene(Conda(), base.pkgs, home, located=Located(environments=(str(home / "env"),)))
    before = look(scene)
    base.create_env(home / "env", ["one-1.0-0"])
    linked = look(scene, before)
    assert as_found(linked) == as_found(look(scene))
    assert {entry.path: bool(entry.hold) for entry in linked.entries if entry.tree}["one-1.0-0"]
    shutil.rmtree(home / "env")
    after = look(scene, look(scene))
    assert as_found(after) == as_found(look(scene))
    assert not any(entry.hold for entry in after.entries)


def test_a_link_that_no_environment_records_is_seen_when_all_is_walked(conda: Scene, tmp_path: Path) -> None:
    first = look(conda)
    os.link(conda.root / "made3-1.0-0" / "lib" / "d0" / "f0", tmp_path / "copy")
    assert not any(entry.hold for entry in look(conda, first).entries), "documented: link counts are of the last walk"
    assert [entry.path for entry in look(conda).entries if entry.hold] == ["made3-1.0-0"]


def test_packages_that_share_files_are_always_walked(conda: Scene) -> None:
    one, other = conda.root / "made3-1.0-0" / "lib" / "d0" / "f0", conda.root / "made4-1.0-0" / "lib" / "same"
    os.link(one, other)
    first = look(conda)
    assert {"made3-1.0-0", "made4-1.0-0"}.isdisjoint(part.path for part in first.parts)
    assert as_found(look(conda, first)) == as_found(first)
    shutil.rmtree(conda.root / "made4-1.0-0")
    assert as_found(look(conda, first)) == as_found(look(conda))


def test_a_new_package_that_shares_files_with_a_known_one_is_not_taken_for_one_that_is_in_use(conda: Scene) -> None:
    """Of what is known no inodes are: its names would seem to be an environment's, for a day."""
    first = look(conda)
    shutil.copytree(conda.root / "made4-1.0-0", conda.root / "other-1.0-0")
    shared = conda.root / "other-1.0-0" / "lib" / "d0" / "f0"
    shared.unlink()
    os.link(conda.root / "made3-1.0-0" / "lib" / "d0" / "f0", shared)
    second = look(conda, first)
    assert not any(entry.hold for entry in second.entries)
    assert as_found(second) == as_found(look(conda))


def test_an_archive_that_is_fetched_anew_is_still_known_to_come_from_where_its_package_does(conda: Scene) -> None:
    archive = conda.root / "made3-1.0-0.conda"
    record = conda.root / "made3-1.0-0" / "info" / "repodata_record.json"
    record.write_text(json.dumps({"name": "made3", "version": "1.0", "url": "https://conda.invalid/made3.conda"}))
    archive.write_bytes(b"x" * 5_000)
    first = look(conda)
    (conda.root / "new").write_bytes(b"x" * 5_000)
    (conda.root / "new").rename(archive)
    assert as_found(look(conda, first)) == as_found(look(conda))


def test_a_package_with_old_times_that_came_just_now_may_still_be_in_the_making(conda: Scene) -> None:
    """``rsync -a`` and ``cp -a`` give folders the times of others before all is there that is below."""
    for path in conda.root.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    assert look(conda, hours=0).parts == ()
    assert len(look(conda).parts) == 12


def test_a_package_without_its_record_is_still_being_unpacked(conda: Scene) -> None:
    """That may take longer than anybody would wait, deep in folders of which the one at the top tells nothing."""
    (conda.root / "made3-1.0-0" / "info" / "repodata_record.json").unlink()
    first = look(conda)
    assert "made3-1.0-0" not in {part.path for part in first.parts}
    (conda.root / "made3-1.0-0" / "lib" / "d0" / "large").write_bytes(b"x" * 90_000)
    assert as_found(look(conda, first)) == as_found(look(conda))


def test_one_new_response_has_one_branch_walked_again(pip: Scene) -> None:
    first = look(pip)
    key = hashlib.sha224(b"a new one").hexdigest()
    folder = pip.root / "http-v2" / Path(*key[:5])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes(b"cc=4,")
    (folder / f"{key}.body").write_bytes(b"x" * 20_000)
    with listings() as counted:
        second = look(pip, first)
        listed = counted()
    with listings() as counted:
        whole = look(pip)
        assert listed < counted() / 3
    assert as_found(second) == as_found(whole)


def test_a_wheel_that_is_built_into_a_known_folder_is_seen(pip: Scene) -> None:
    first = look(pip)
    folder = next((pip.root / "wheels" / "aa").rglob("*.whl")).parent
    (folder / "origin.json").write_text("{}")
    second = look(pip, first)
    assert as_found(second) == as_found(look(pip))
    assert as_found(second) != as_found(first)


def test_a_branch_with_something_strange_in_it_is_always_walked(pip: Scene) -> None:
    branch = next((pip.root / "http-v2").iterdir())
    (branch / "notes").write_text("mine")
    first = look(pip)
    assert f"http-v2/{branch.name}" not in {part.path for part in first.parts}
    (branch / "notes").write_text("mine, and more of them" * 9_000)
    assert look(pip, first).size == look(pip).size


def test_another_cache_is_not_taken_for_the_one_that_was_there(pip: Scene, tmp_path: Path) -> None:
    """A disk that is exchanged: the same names, with other inodes."""
    first = look(pip)
    shutil.move(pip.root, tmp_path / "away")
    shutil.copytree(tmp_path / "away", pip.root)
    for each in pip.root.rglob("*.body"):
        each.write_bytes(b"y" * 9_000)
    assert as_found(look(pip, first)) == as_found(look(pip))


def _change(scene: Scene, chance: random.Random) -> None:
    """Something that tools and people do: what a folder tells, in whatever depth."""
    files = sorted(path for path in scene.root.rglob("*") if path.is_file() and path.name != "urls.txt")
    folders = sorted({path.parent for path in files})
    chosen = chance.choice(files)
    match chance.randrange(6):
        case 0:
            chosen.unlink()
        case 1:
            shutil.rmtree(chosen.parent)
        case 2:
            replacement = chosen.with_name("replacement")
            replacement.write_bytes(b"z" * chance.randrange(1, 40_000))
            replacement.rename(chosen)
        case 3:
            (chance.choice(folders) / f"new{chance.randrange(9)}").write_bytes(b"n" * chance.randrange(1, 40_000))
        case 4:
            wheel(scene.root, f"{chance.randrange(256):02x}")
        case _:
            top = chance.choice(sorted(path for path in scene.root.iterdir() if path.is_dir()))
            shutil.copytree(top, top.with_name(f"{top.name}-copy"), dirs_exist_ok=True)


@pytest.mark.parametrize("seed", range(12))
def test_after_whatever_happens_to_a_pip_cache_a_look_that_rests_on_others_finds_what_a_look_at_all_does(
    pip: Scene, seed: int
) -> None:
    chance, known = random.Random(seed), look(pip)
    for _ in range(6):
        _change(pip, chance)
        known = look(pip, known)
        assert as_found(known) == as_found(look(pip))
