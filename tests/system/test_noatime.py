"""A disk that keeps no access times, as a Raspberry Pi's: what was used again stays, by what was installed since."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cachewarden
from builders.disks import MIB, LoopDisk, set_age, why_no_loop_disks
from builders.looks import Scene
from builders.pip_caches import DEBIAN_12_PIP, LoopbackIndex, PipChoice, run_pip
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.caches import Entry, Kind
from cachewarden.model.worth import Signal

POLICY = """\
version: 1
keep: {{newer_than: 0s}}
policies:
  - name: one-of-two
    match: {{ecosystem: pip}}
    kinds: [download]
    size: {{above: 3 MiB}}
    order: {order}
    action: purge
"""
DAY = 86_400
COMMAND = str(Path(sys.executable).with_name("cachewarden"))
PIPS: dict[str, PipChoice] = {"newest": None, "debian-12": DEBIAN_12_PIP}
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]


def write_wheel(folder: Path, name: str) -> None:
    """Two MiB that no compression makes smaller, so that both packages are worth the same."""
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_STORED) as wheel:
        info = f"{name}-1.0.dist-info"
        wheel.writestr(f"{name}/data", os.urandom(2 * MIB))
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackIndex]:
    folder = tmp_path_factory.mktemp("packages")
    for name in ("first", "second"):
        write_wheel(folder, name)
    with LoopbackIndex(folder) as running:
        yield running


@dataclass
class Home:
    """A home on a disk, with a pip and environments."""

    path: Path
    index: LoopbackIndex
    pip: PipChoice

    @property
    def cache(self) -> Path:
        return self.path / ".cache" / "pip"

    def install(self, environment: str, *packages: str) -> None:
        """Into an environment, made if it is not there."""
        folder = self.path / environment
        if not folder.exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        done = run_pip(self.path, self.index, self.pip, ["--python", folder, "install", "--no-deps", *packages])
        assert done.returncode == 0, done.stdout + done.stderr

    def downloads(self) -> dict[str, Entry]:
        """By name."""
        return {str(each.name): each for each in Scene(Pip(), self.cache, self.path).of_kind(Kind.DOWNLOAD)}

    def command(self, *words: str) -> dict[str, Any]:
        """Of the package that is tested, whatever is installed."""
        environ = {
            "HOME": str(self.path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
            "PYTHONPATH": str(Path(cachewarden.__file__).parents[1]),
        }  # fmt: skip
        options = ["--user", "--config", str(self.path / "p.yaml"), "--state-dir", str(self.path / "state"), "--json"]
        done = subprocess.run(
            [COMMAND, *options, *words],
            env=environ, capture_output=True, text=True, timeout=240, check=True,
        )  # fmt: skip
        said = json.loads(done.stdout)
        assert isinstance(said, dict)
        return said


def access_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_atime_ns for path in folder.rglob("*") if path.is_file()}


def aged(disk: LoopDisk, index: LoopbackIndex, pip: PipChoice) -> Home:
    """Both packages came 30 days ago, at the same time, for one environment."""
    home = Home(disk.path / "home", index, pip)
    home.path.mkdir()
    home.install("old", "first", "second")
    for folder in (home.path / "old", home.path / ".cache"):
        set_age(folder, 30 * DAY)
    return home


@pytest.mark.parametrize("used", ["first", "second"])
@pytest.mark.parametrize("order", ["least-recently-used", "cheapest-first"])
@pytest.mark.parametrize("pip", PIPS)
def test_of_two_packages_that_came_together_the_one_used_again_stays(
    index: LoopbackIndex, pip: str, order: str, used: str
) -> None:
    with LoopDisk(64, mount_options="noatime") as disk:
        home = aged(disk, index, PIPS[pip])
        before, asked = access_times(home.cache), len(index.file_requests())
        began = time.time() - 0.1  # the kernel's clock for files lags by a tick
        home.install("new", used)
        after = access_times(home.cache)
        bodies = [path for path in before if path.stat().st_size > MIB]
        assert len(bodies) == 2
        assert all(before[path] == after[path] for path in bodies), "the disk keeps access times"
        assert not any(each.path.endswith(".whl") for each in index.file_requests()[asked:]), "not from the cache"
        seen = home.downloads()
        left = "first" if used == "second" else "second"
        now = time.time()
        assert seen[used].signal is Signal.INSTALLED
        assert began <= (seen[used].last_used or 0) / 1e9 <= now
        assert (seen[left].last_used or 0) / 1e9 < now - 29 * DAY
        (home.path / "p.yaml").write_text(POLICY.format(order=order))
        done = home.command("run")
        assert [entry["name"] for action in done["actions"] for entry in action["entries"]] == [left]
        assert list(home.downloads()) == [used]


def test_without_an_installation_nothing_on_such_a_disk_tells_of_use(index: LoopbackIndex) -> None:
    with LoopDisk(64, mount_options="noatime") as disk:
        home = aged(disk, index, None)
        for path in home.cache.rglob("*.body"):
            path.read_bytes()
        assert all((each.last_used or 0) / 1e9 < time.time() - 29 * DAY for each in home.downloads().values())


def test_where_access_times_move_reading_is_the_sign(index: LoopbackIndex) -> None:
    with LoopDisk(64, mount_options="relatime") as disk:
        home = aged(disk, index, None)
        body = next(path for path in home.cache.rglob("*.body") if path.stat().st_size > MIB)
        body.read_bytes()
        signals = {each.path: each.signal for each in home.downloads().values()}
        read = str(body.relative_to(home.cache)).removesuffix(".body")
        assert signals.pop(read) is Signal.ACCESSED
        assert Signal.ACCESSED not in signals.values()


def test_looking_leaves_all_access_times_although_each_reading_would_move_them(index: LoopbackIndex) -> None:
    with LoopDisk(64, mount_options="strictatime") as disk:
        home = aged(disk, index, None)
        home.install("new", "first")
        (home.path / "p.yaml").write_text(POLICY.format(order="least-recently-used"))
        folders = (home.cache, home.path / "old", home.path / "new")
        before = [access_times(folder) for folder in folders]
        assert home.command("plan")["actions"]
        assert home.command("list")["entries"]
        assert [access_times(folder) for folder in folders] == before
        some = next(iter(before[0]))
        some.read_bytes()
        assert some.stat().st_atime_ns != before[0][some], "this disk moves no access time: the test says nothing"
