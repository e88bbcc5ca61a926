"""Environments on a real disk: what is found with all that anybody can put into a home, and by whom."""

import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.disks import give_to
from builders.looks import OwnProcesses, as_user
from builders.synthetic import pip_responses
from cachewarden.ecosystems.base import Context, Located, Surroundings
from cachewarden.ecosystems.pip_environments import Environments, find
from cachewarden.ecosystems.pip_names import Named
from cachewarden.model.caches import Owner
from cachewarden.model.units import Instant
from cachewarden.model.worth import Signal
from cachewarden.service import worker
from cachewarden.system.files import RealFiles

ANN, BOB = 61_101, 61_102
SIX = Named("six", "1.16.0")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def make_site(prefix: Path, *, mark: str = "pyvenv.cfg") -> Path:
    """An environment with six in it; returns its site-packages."""
    site = prefix / "lib" / "python3.11" / "site-packages"
    info = site / "six-1.16.0.dist-info"
    info.mkdir(parents=True)
    (info / "INSTALLER").write_text("pip\n")
    (prefix / mark).parent.mkdir(exist_ok=True)
    (prefix / mark).touch()
    return site


def look_around(home: Path, uid: int) -> Context:
    owner = Owner(uid, uid, "ann", str(home))
    return Context(Surroundings(owner, {}, RealFiles(owner)), Located(), OwnProcesses(), Instant(time.time_ns()))


def found_in(home: Path, uid: int | None = None) -> Environments:
    return find(look_around(home, os.geteuid() if uid is None else uid))


def own_sites(found: Environments, home: Path) -> list[str]:
    """Those in the home; as root the machine's own come besides."""
    return [site.path.removeprefix(f"{home}/") for site in found.sites if site.path.startswith(f"{home}/")]


def uses(home: Path) -> int:
    context = look_around(home, os.geteuid())
    return len(find(context).installs(context.surroundings.files, {SIX: Instant(0)}, context.now).get(SIX, []))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def link_out(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder_for_file(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [fifo, giant, link_out, folder_for_file])
@pytest.mark.parametrize("name", ["INSTALLER", "direct_url.json"])
def test_no_file_of_a_distribution_stops_the_look(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    site = make_site(tmp_path / "bad")
    make_site(tmp_path / "good")
    path = site / "six-1.16.0.dist-info" / name
    path.unlink(missing_ok=True)
    put(path)
    begin = time.monotonic()
    assert uses(tmp_path) == (1 if name == "INSTALLER" else 2)
    assert time.monotonic() - begin < 60


def test_a_home_that_is_a_maze_is_left_in_time(tmp_path: Path) -> None:
    make_site(tmp_path / "good")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "up").symlink_to("..")
    deep = tmp_path / "deep"
    for _ in range(200):
        deep /= "d"
    deep.mkdir(parents=True)
    for number in range(6_000):
        (tmp_path / "wide" / f"{number}" / "x").mkdir(parents=True)
    (tmp_path / "odd\n\udcff name" / "x").mkdir(parents=True)
    begin = time.monotonic()
    assert own_sites(found_in(tmp_path), tmp_path) == ["good/lib/python3.11/site-packages"]
    assert time.monotonic() - begin < 60


def test_more_distributions_than_anybody_installs_are_not_all_gathered(tmp_path: Path) -> None:
    site = make_site(tmp_path / "heap")
    for number in range(25_000):
        (site / f"p{number}-1.dist-info").mkdir()
    (found,) = [site for site in found_in(tmp_path).sites if site.path.startswith(str(tmp_path))]
    assert 19_000 < len(found.distributions) <= 20_000


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that other users reach, which pytest's are not."""
    path = Path(tempfile.mkdtemp(prefix="cachewarden-environments-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@needs_root
def test_what_another_user_offers_is_not_entered(open_to_all: Path) -> None:
    home, theirs = open_to_all / "ann", open_to_all / "bob"
    make_site(home / "own")
    site = make_site(theirs / "venv")
    (home / ".virtualenvs").mkdir()
    (home / ".virtualenvs" / "offered").symlink_to(theirs / "venv")
    (home / "link").symlink_to(theirs / "venv")
    half = home / "half" / "lib" / "python3.11"
    half.mkdir(parents=True)
    (home / "half" / "pyvenv.cfg").touch()
    (half / "site-packages").symlink_to(site)
    give_to(home, ANN, ANN)
    give_to(theirs, BOB, BOB)
    found = as_user(ANN, lambda: [each.path for each in found_in(home, ANN).sites])
    assert found == [str(home / "own/lib/python3.11/site-packages")]


def test_a_look_counts_what_pip_installed_into_environments_of_conda(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = tmp_path / "conda" / "envs" / "lab"
    site = make_site(environment, mark="conda-meta/history")
    (home / ".conda").mkdir(parents=True)
    (home / ".conda" / "environments.txt").write_text(f"{environment}\n")
    pip_responses(home / ".cache" / "pip", 1)
    (body,) = home.glob(".cache/pip/http-v2/*/*/*/*/*/*.body")
    with zipfile.ZipFile(body, "w") as wheel:
        wheel.writestr("six-1.16.0.dist-info/RECORD", "")
    for path in (body, body.with_suffix("")):
        os.utime(path, (1_000_000, 1_000_000))
    whom = worker.Whom(Owner(os.geteuid(), os.getegid(), "ann", str(home)), {"HOME": str(home)})
    (cache,) = [each for each in worker.look(whom).caches if each.cache.path.startswith(str(home / ".cache"))]
    (entry,) = [each for each in cache.entries if each.name == "six"]
    written = (site / "six-1.16.0.dist-info" / "INSTALLER").stat().st_mtime_ns
    assert (entry.signal, entry.last_used) == (Signal.INSTALLED, written)
    assert entry.facts is not None
    assert entry.facts.installed
