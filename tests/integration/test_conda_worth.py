"""Last use and origin of conda's packages, in caches and environments of conda's own making."""

import json
import os
import time
from pathlib import Path

import pytest

from builders.conda_caches import CondaBase, build_package
from builders.looks import Scene
from cachewarden.ecosystems.conda import Conda
from cachewarden.model.caches import Entry, Kind
from cachewarden.model.units import NANOSECONDS
from cachewarden.model.worth import Facts, Regain, Signal

DIST = "libfoo-1.0-0"
DAY = 86_400


@pytest.fixture
def base(tmp_path: Path) -> CondaBase:
    """A cache of a week ago, with one package and its archive; nothing was opened since."""
    built = CondaBase(tmp_path / "home/miniforge3", tmp_path / "home")
    built.fetch(build_package(tmp_path / "built", "libfoo", "1.0", files={"lib/foo": b"foo" * 5000}))
    age(built)
    return built


def age(base: CondaBase) -> None:
    """All of a week ago, as if nobody had read it since, or reading left no trace (``noatime``)."""
    then = time.time() - 7 * DAY
    extracted = base.extracted(DIST)
    # A folder's own time comes last: it changes with what is in it.
    for path in (*extracted.rglob("*"), extracted, base.pkgs / f"{DIST}.conda"):
        os.utime(path, (then, then))


def of_kind(base: CondaBase, kind: Kind) -> Entry:
    (found,) = Scene(Conda(), base.pkgs, base.home).of_kind(kind)
    return found


def known(base: CondaBase, kind: Kind) -> Facts:
    facts = of_kind(base, kind).facts
    assert facts
    return facts


@pytest.mark.parametrize("kind", [Kind.PACKAGE, Kind.TARBALL])
def test_a_package_linked_again_was_used_when_it_was_linked(base: CondaBase, tmp_path: Path, kind: Kind) -> None:
    assert of_kind(base, kind).signal is Signal.WRITTEN
    for days in (3, 1):
        env = base.create_env(tmp_path / f"env{days}", [DIST])
        when = time.time_ns() - days * DAY * NANOSECONDS
        os.utime(env / f"conda-meta/{DIST}.json", ns=(when, when))
        (env / "conda-meta/history").write_text("")
    age(base)
    entry = of_kind(base, kind)
    assert (entry.last_used, entry.signal) == (when, Signal.INSTALLED)
    assert entry.facts
    assert (entry.facts.uses, entry.facts.installed) == (1, True)


def test_an_environment_that_is_gone_leaves_a_package_that_nobody_has(base: CondaBase, tmp_path: Path) -> None:
    base.create_env(tmp_path / "env", [DIST])
    assert known(base, Kind.TARBALL).installed is True
    (tmp_path / "env/conda-meta" / f"{DIST}.json").unlink()
    assert known(base, Kind.TARBALL).installed is False


def test_a_package_is_extracted_again_while_its_archive_stands_and_then_downloaded(base: CondaBase) -> None:
    archive = base.pkgs / f"{DIST}.conda"
    size = archive.stat().st_size
    assert (known(base, Kind.PACKAGE).regain, known(base, Kind.PACKAGE).fetch) == (Regain.EXTRACT, 0)
    assert (known(base, Kind.TARBALL).regain, known(base, Kind.TARBALL).fetch) == (Regain.DOWNLOAD, size)
    archive.unlink()
    assert (known(base, Kind.PACKAGE).regain, known(base, Kind.PACKAGE).fetch) == (Regain.DOWNLOAD, size)


@pytest.mark.parametrize(
    ("changes", "regain"),
    [
        ({"url": "file:///home/ann/libfoo-1.0-0.conda"}, Regain.NEVER),
        ({"url": None, "channel": "<unknown>"}, Regain.NEVER),
        ({"url": None, "channel": "local"}, Regain.NEVER),
        ({"url": None, "channel": "/home/ann/conda-bld/linux-64"}, Regain.NEVER),
        ({"url": None}, Regain.DOWNLOAD),
        ({"url": None, "channel": None}, Regain.DOWNLOAD),  # urls.txt has it
    ],
)
def test_what_was_installed_from_a_file_cannot_be_had_again(
    base: CondaBase, changes: dict[str, object], regain: Regain
) -> None:
    path = base.extracted(DIST) / "info/repodata_record.json"
    record = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))
    assert known(base, Kind.TARBALL).regain is regain
    (base.pkgs / f"{DIST}.conda").unlink()
    assert known(base, Kind.PACKAGE).regain is regain


def test_without_a_record_and_without_an_address_it_cannot_be_had_again(base: CondaBase) -> None:
    (base.extracted(DIST) / "info/repodata_record.json").unlink()
    assert known(base, Kind.TARBALL).regain is Regain.DOWNLOAD
    (base.pkgs / "urls.txt").write_text("https://conda.invalid/main/noarch/other-1.0-0.conda\n")
    assert known(base, Kind.TARBALL).regain is Regain.NEVER
    (base.pkgs / f"{DIST}.conda").unlink()
    assert known(base, Kind.PACKAGE).regain is Regain.NEVER


def test_of_a_list_of_addresses_that_is_too_long_its_end_is_read_and_nothing_is_missed_in_it(base: CondaBase) -> None:
    (base.extracted(DIST) / "info/repodata_record.json").unlink()
    (base.pkgs / "urls.txt").write_text("https://conda.invalid/main/noarch/other-1.0-0.conda\n" * 100_000)
    assert known(base, Kind.TARBALL).regain is Regain.DOWNLOAD  # it may stand in the part that was not read
    with (base.pkgs / "urls.txt").open("a") as urls:
        urls.write(f"file:///home/ann/{DIST}.conda\n")
    assert known(base, Kind.TARBALL).regain is Regain.NEVER


def test_looking_moves_no_access_time_of_the_cache(base: CondaBase, tmp_path: Path) -> None:
    base.create_env(tmp_path / "env", [DIST])
    for path in (base.pkgs / "urls.txt", base.extracted(DIST) / "info/repodata_record.json"):
        os.utime(path, ns=(1, path.stat().st_mtime_ns))
        of_kind(base, Kind.PACKAGE)
        assert path.stat().st_atime_ns == 1
