"""The real tools with a cache before, while and after it is moved: what they stored is found, and nothing fetched."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.conda_caches import build_package, environment_works, rattler_install
from builders.disks import why_no_loop_disks
from builders.moves import House, Meanwhile, fill_conda, house, in_a_child, looks
from builders.pip_caches import LoopbackIndex, fill_pip_cache, pip_install
from cachewarden.model.relocations import Errand, Method

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
PACKAGES = ("six", "idna", "packaging", "docopt")  # docopt is built here


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, 200) as made:
        yield made


@pytest.fixture
def ways_open(tmp_path: Path) -> Iterator[None]:
    """pytest's folders, which are root's alone, can be passed by everybody."""
    above = [each for each in (tmp_path, *tmp_path.parents) if each.stat().st_mode & 0o777 == 0o700]
    for each in above:
        each.chmod(0o711)
    yield
    for each in above:
        each.chmod(0o700)


class Offline:
    """Installs from the cache alone: the index is gone."""

    def __init__(self, place: House, index: LoopbackIndex, scratch: Path) -> None:
        self._place, self._index, self._scratch = place, index, scratch
        self.count = 0

    def install(self) -> None:
        self._index.forget()
        self.count += 1
        done = pip_install(self._place.home, self._index, None, PACKAGES, self._scratch / f"target{self.count}")
        assert done.returncode == 0, done.stderr
        assert self._index.file_requests() == []
        assert "Building wheel" not in done.stdout


@pytest.mark.parametrize("method", list(Method))
def test_pip_finds_its_downloads_and_built_wheels_before_while_and_after_a_move(
    place: House, tmp_path: Path, method: Method
) -> None:
    with LoopbackIndex() as index:
        fill_pip_cache(place.home, index, None, packages=PACKAGES[:3], build=PACKAGES[3:])
        offline = Offline(place, index, tmp_path)
        offline.install()
        for errand in (Errand.RELOCATE, Errand.RESTORE):
            before = looks(place.named("pip"))
            for step in (1, 3, 4, 5):
                order = place.order(errand, "pip", method=method)
                records = Meanwhile(place.whom().records.folder, step, offline.install)
                (moved,) = place.settle_all(order, records)
                assert not moved.error
                assert place.named("pip") == (
                    place.to("pip") if errand is Errand.RELOCATE else place.home / ".cache/pip"
                )
                offline.install()
                assert before.keys() <= looks(place.named("pip")).keys()
                assert not place.run(
                    Errand.RESTORE if errand is Errand.RELOCATE else Errand.RELOCATE, method=method
                ).error
                offline.install()
            assert not place.run(errand, method=method).error
        assert offline.count > 20


def test_rattler_installs_from_a_moved_conda_cache_when_the_channel_has_no_packages_any_more(
    place: House, tmp_path: Path
) -> None:
    channel = tmp_path / "channel"
    packages = [build_package(tmp_path, name, "1.0", files={"lib/a": name.encode() * 500}) for name in ("one", "two")]
    cache = place.home / "rattler"
    assert environment_works(rattler_install(packages, place.home / "env", cache, channel))
    (cache / "pkgs/urls.txt").touch()
    (place.home / ".condarc").write_text(f"# mine\npkgs_dirs:\n  - {cache}/pkgs\n")
    before = looks(cache / "pkgs")
    there = place.disk.path / "rattler"
    assert not place.run(Errand.RELOCATE, "conda", to=str(there / "pkgs")).error
    assert looks(there / "pkgs") == before
    assert not (cache / "pkgs").exists()
    for archive in (*channel.rglob("*.conda"), *channel.rglob("*.tar.bz2")):
        archive.write_bytes(b"gone")
    assert environment_works(rattler_install(packages, place.home / "again", there, tmp_path / "channel2"))
    assert not place.run(Errand.RESTORE, "conda").error
    assert looks(cache / "pkgs").keys() >= before.keys()
    assert (place.home / ".condarc").read_text() == f"# mine\npkgs_dirs:\n  - {cache}/pkgs\n"


NOBODY = 65534


def conda_that_notes_who_runs_it(place: House, scratch: Path) -> Path:
    """A base whose conda says that it still uses its own folder."""
    base = fill_conda(place.home, scratch)
    conda, ran = place.home / "miniforge3/bin/conda", place.home / "ran"
    conda.parent.mkdir(exist_ok=True)
    conda.write_text(f'#!/bin/sh\nid -u >> {ran}\necho \'{{"pkgs_dirs": ["{base.pkgs}"]}}\'\n')
    conda.chmod(0o755)
    return ran


def test_a_users_conda_is_asked_as_that_user_and_its_no_takes_the_move_back(
    place: House, tmp_path: Path, ways_open: None
) -> None:
    ran = conda_that_notes_who_runs_it(place, tmp_path)
    place.disk.path.joinpath("caches").mkdir()
    for top in (place.home, place.disk.path):
        for folder, folders, files in os.walk(top):
            for name in (".", *folders, *files):
                os.lchown(os.path.join(folder, name), NOBODY, NOBODY)

    def as_nobody() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        said = place.run(Errand.RELOCATE, "conda").error
        assert "says that it still uses" in said, said

    assert in_a_child(as_nobody) == 0
    assert ran.read_text() == f"{NOBODY}\n"
    assert not (place.home / ".condarc").exists()
    assert not place.to("conda").exists()


def test_roots_conda_is_never_run(place: House, tmp_path: Path) -> None:
    ran = conda_that_notes_who_runs_it(place, tmp_path)
    assert not place.run(Errand.RELOCATE, "conda").error
    assert place.named("conda") == place.to("conda")
    assert not ran.exists()
