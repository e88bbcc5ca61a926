"""Time stamps that real pips leave, and what is read from them: last use, builds, where wheels come from."""

import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.disks import set_age
from builders.looks import Scene
from builders.pip_caches import DEBIAN_12_PIP, IndexedFile, LoopbackIndex, PipChoice, run_pip, wheelhouse
from cachewarden.ecosystems.pip import Pip
from cachewarden.ecosystems.pip_worth import estimated_build
from cachewarden.model.caches import Entry, Kind
from cachewarden.model.units import NANOSECONDS
from cachewarden.model.worth import Facts, Regain, Signal

PIPS: dict[str, PipChoice] = {"newest": None, "debian-12": DEBIAN_12_PIP}
SLOW = 2.3
"""Seconds that building the sdists ``slow`` and ``early`` takes."""
DAY = 86_400 * NANOSECONDS
BACKEND = """\
import time, zipfile
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    time.sleep({seconds})
    name = "{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel_directory + "/" + name, "w") as wheel:
        info = "{name}-1.0.dist-info/"
        wheel.writestr("{name}.py", "")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""
PREPARE = """\
def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    import os
    os.mkdir(metadata_directory + "/{name}-1.0.dist-info")
    with open(metadata_directory + "/{name}-1.0.dist-info/METADATA", "w") as file:
        file.write("Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
    return "{name}-1.0.dist-info"
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def write_sdist(folder: Path, name: str, seconds: float, *, prepares: bool = True) -> Path:
    """A package whose build needs nothing but time; ``prepares``: its metadata are to be had without a build."""
    path = folder / f"{name}-1.0.tar.gz"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND.format(name=name, seconds=seconds, tag="py3-none-any")
        + (PREPARE.format(name=name) if prepares else ""),
    }
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            info = tarfile.TarInfo(f"{name}-1.0/{file}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def write_wheel(folder: Path, name: str, tag: str) -> None:
    """A wheel that says it is for ``tag``."""
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        info = f"{name}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")


class TellingIndex(LoopbackIndex):
    """Says which Python a file is for, as the public index does in its headers."""

    def _package_headers(self, file: IndexedFile) -> dict[str, str]:
        python = file.path.name.split("-")[-3] if file.path.suffix == ".whl" else "source"
        return super()._package_headers(file) | {"x-pypi-file-python-version": python}


@dataclass
class Machine:
    """A home, and a pip that installs from an index into its environments."""

    home: Path
    index: LoopbackIndex
    pip: PipChoice

    @property
    def scene(self) -> Scene:
        return Scene(Pip(), self.home / ".cache" / "pip", self.home)

    def run(self, *arguments: str | Path) -> None:
        done = run_pip(self.home, self.index, self.pip, arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def environment(self, name: str) -> Path:
        """A new virtual environment."""
        path = self.home / name
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
        return path

    def install(self, environment: Path, *packages: str | Path) -> None:
        self.run("--python", environment, "install", "--no-deps", *packages)

    def entry(self, name: str, kind: Kind = Kind.DOWNLOAD) -> Entry:
        """The only one of a name."""
        (found,) = [each for each in self.scene.of_kind(kind) if each.name == name]
        return found

    def facts(self, name: str, kind: Kind = Kind.DOWNLOAD) -> Facts:
        facts = self.entry(name, kind).facts
        assert facts is not None
        return facts


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual packages, one that is slow to build, and wheels for old Pythons."""
    folder = tmp_path_factory.mktemp("packages")
    for path in wheelhouse().glob("*.whl"):
        (folder / path.name).symlink_to(path)
    write_sdist(folder, "slow", SLOW)
    write_sdist(folder, "early", SLOW, prepares=False)
    write_wheel(folder, "gone", "cp38-cp38-linux_x86_64")
    write_wheel(folder, "stable", "cp38-abi3-linux_x86_64")
    write_wheel(folder, "pure", "py3-none-any")
    return folder


_OLD = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="the pip of Debian 12 does not run on Python 3.12 and later"
)


@pytest.fixture(params=["newest", pytest.param("debian-12", marks=_OLD)])
def machine(request: pytest.FixtureRequest, packages: Path, tmp_path: Path) -> Iterator[Machine]:
    with LoopbackIndex(packages) as index:
        yield Machine(tmp_path, index, PIPS[request.param])


def dist_info(environment: Path, name: str) -> Path:
    (found,) = environment.glob(f"lib/python3*/site-packages/{name}-*.dist-info")
    return found


def seconds(path: Path) -> float:
    return path.stat().st_mtime


def test_all_that_is_installed_has_the_time_of_installing_and_nothing_moves_it_later(machine: Machine) -> None:
    environment = machine.environment("a")
    before = time.time()
    machine.install(environment, "six")
    after = time.time()
    found = dist_info(environment, "six")
    times = {path: seconds(path) for path in (found, *found.iterdir())}
    assert all(before - 0.1 <= each <= after for each in times.values())
    machine.install(environment, "six")
    machine.install(environment, "idna")
    for words in (("check",), ("list",), ("show", "-f", "six"), ("freeze",)):
        machine.run("--python", environment, *words)
    python = environment / "bin" / "python"
    subprocess.run([python, "-c", "import six, importlib.metadata as m; m.version('six')"], check=True)
    subprocess.run([python, "-m", "compileall", "-q", found.parent], check=True)
    assert {path: seconds(path) for path in (found, *found.iterdir())} == times


def test_an_entry_that_is_installed_again_was_used_then_although_pip_left_it_alone(machine: Machine) -> None:
    machine.install(machine.environment("a"), "six", "idna")
    for each in (machine.home / ".cache", machine.home / "a"):
        set_age(each, 30 * 86_400)
    old = machine.entry("six")
    before = time.time_ns() - NANOSECONDS  # the kernel's clock for files lags by a tick
    assert old.last_used is not None
    assert old.last_used < before - 29 * DAY
    assert old.facts is not None
    assert old.facts.uses == 0, "it was cached for this installation"
    machine.install(machine.environment("b"), "six")
    six, idna = machine.entry("six"), machine.entry("idna")
    assert six.modified == old.modified, "pip wrote to an entry that it read"
    assert six.last_used is not None
    assert six.last_used >= before
    assert (six.signal, six.facts and six.facts.uses, six.facts and six.facts.installed) == (
        Signal.INSTALLED,
        1,
        True,
    )
    assert idna.last_used is not None
    assert idna.last_used < before - 29 * DAY


def test_what_no_environment_has_any_more_is_said_not_to_be_installed(machine: Machine) -> None:
    environment = machine.environment("a")
    machine.install(environment, "six", "idna")
    machine.run("--python", environment, "uninstall", "--yes", "idna")
    assert (machine.facts("six").installed, machine.facts("idna").installed) == (True, False)


def test_a_download_costs_its_bytes_and_is_installed_nowhere(machine: Machine) -> None:
    machine.run("download", "--no-deps", "--dest", machine.home / "d", "six")
    facts = machine.facts("six")
    (wheel,) = (machine.home / "d").glob("six*.whl")
    assert (facts.regain, facts.fetch, facts.build) == (Regain.DOWNLOAD, wheel.stat().st_size, None)
    assert not facts.installed  # as root there are the machine's own packages too, where six is not


@pytest.mark.parametrize("name", ["slow", "early"])
def test_how_long_a_wheel_took_to_build_is_measured(machine: Machine, name: str) -> None:
    machine.install(machine.environment("a"), name)
    facts = machine.facts(name, Kind.BUILT_WHEEL)
    assert (facts.regain, facts.measured, facts.orphan) == (Regain.BUILD, True, False)
    assert facts.build is not None
    assert int(SLOW) <= facts.build <= SLOW + 60
    sdist = next(file for file in machine.index.files if file.project == name)
    assert facts.fetch == sdist.path.stat().st_size


def test_of_a_copied_cache_no_time_of_a_build_is_believed(machine: Machine) -> None:
    machine.install(machine.environment("a"), "slow")
    copy = machine.scene.root.with_name("copy")
    subprocess.run(["cp", "-r", machine.scene.root, copy], check=True)
    (wheel,) = Scene(Pip(), copy, machine.home).of_kind(Kind.BUILT_WHEEL)
    assert wheel.facts is not None
    assert (wheel.facts.measured, wheel.facts.build) == (False, estimated_build(0, compiled=False))


def test_installing_from_a_built_wheel_uses_that_and_not_the_sdist(machine: Machine) -> None:
    machine.install(machine.environment("a"), "slow")
    set_age(machine.home / ".cache", 30 * 86_400)
    before = time.time_ns()
    machine.install(machine.environment("b"), "slow")
    wheel = machine.entry("slow", Kind.BUILT_WHEEL)
    assert wheel.last_used is not None
    assert wheel.last_used >= before - NANOSECONDS
    assert wheel.signal is Signal.INSTALLED
    (sdist,) = [each for each in machine.scene.of_kind(Kind.DOWNLOAD) if each.name == "slow"]
    assert sdist.last_used == sdist.modified


def test_a_wheel_of_a_file_of_this_machine_cannot_be_had_again(machine: Machine, packages: Path) -> None:
    machine.install(machine.environment("a"), packages / "slow-1.0.tar.gz")
    wheel = machine.entry("slow", Kind.BUILT_WHEEL)
    assert wheel.facts is not None
    assert wheel.facts.regain is Regain.NEVER
    assert wheel.signal is Signal.INSTALLED, "its direct_url.json names the same file"


def test_an_installation_from_elsewhere_is_no_use_of_what_the_index_gave(machine: Machine, packages: Path) -> None:
    machine.run("download", "--no-deps", "--dest", machine.home / "d", "pure")
    set_age(machine.home / ".cache", 30 * 86_400)
    machine.install(machine.environment("a"), packages / "pure-1.0-py3-none-any.whl")
    entry = machine.entry("pure")
    assert (entry.signal, entry.facts and entry.facts.installed) == (Signal.WRITTEN, True)


@pytest.mark.parametrize("index_type", [LoopbackIndex, TellingIndex])
def test_a_wheel_for_a_python_that_is_not_here_is_an_orphan(
    index_type: type[LoopbackIndex], packages: Path, tmp_path: Path
) -> None:
    with index_type(packages, package_headers=index_type is TellingIndex) as index:
        machine = Machine(tmp_path, index, None)
        options = [
            "--no-deps",
            "--only-binary=:all:",
            "--python-version=38",
            "--implementation=cp",
            "--platform=linux_x86_64",
        ]
        for name in ("gone", "stable", "pure"):
            abi = {"gone": "cp38", "stable": "abi3", "pure": "none"}[name]
            machine.run("download", *options, f"--abi={abi}", "--dest", tmp_path / "d", name)
        assert [machine.facts(name).orphan for name in ("gone", "stable", "pure")] == [True, False, False]
        python38 = tmp_path / ".pyenv" / "versions" / "3.8.18" / "lib" / "python3.8" / "site-packages"
        python38.mkdir(parents=True)
        assert not machine.facts("gone").orphan


def test_looking_moves_no_access_time(machine: Machine) -> None:
    machine.install(machine.environment("a"), "six", "slow")
    files = [path for path in machine.home.rglob("*") if path.is_file()]
    for path in files:
        status = path.stat()
        # With relatime the next reading would move it: it is older than the writing.
        os.utime(path, ns=(status.st_mtime_ns - NANOSECONDS, status.st_mtime_ns))
    before = {path: path.stat().st_atime_ns for path in files}
    assert machine.scene.measure().cache.entries
    assert {path: path.stat().st_atime_ns for path in files} == before
