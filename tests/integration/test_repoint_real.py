"""Edits of configuration files against what the real tools then say.

The pip is the one beside this interpreter; ``CACHEWARDEN_PIP_PATH`` names a folder with another to compare with.
"""

import os
import subprocess
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.caches import Owner
from cachewarden.system.files import RealFiles

USER = "home/.config/pip/pip.conf"
LEGACY = "home/.pip/pip.conf"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a home and an interpreter whose ``sys.prefix`` is ours to write to."""
    (tmp_path / "home").mkdir()
    venv.EnvBuilder(symlinks=True).create(tmp_path / "venv")
    return tmp_path


def owner_of(place: Path) -> Owner:
    return Owner(os.getuid(), os.getgid(), "tester", f"{place}/home")


class PipMachine:
    """A home in which a real pip can be asked."""

    def __init__(self, place: Path, files: dict[str, str], environ: dict[str, str]) -> None:
        import pip

        self._place = place
        self._pip = os.environ.get("CACHEWARDEN_PIP_PATH") or str(Path(pip.__file__).parent.parent)
        for name, text in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.replace("{t}", str(place)).encode())
        given = {name: value.replace("{t}", str(place)) for name, value in environ.items()}
        self.environ = {"HOME": f"{place}/home", "XDG_CONFIG_DIRS": f"{place}/xdg", "VIRTUAL_ENV": f"{place}/venv"}
        self.environ |= given

    def surroundings(self) -> Surroundings:
        return Surroundings(owner_of(self._place), self.environ, RealFiles())

    def ask(self, *arguments: str) -> str:
        """What pip prints, or ``nothing`` when it has nothing to say."""
        clean = {**self.environ, "PYTHONPATH": self._pip, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        command = [f"{self._place}/venv/bin/python", "-W", "ignore", "-m", "pip", *arguments]
        done = subprocess.run(
            command, env=clean, cwd=self._place / "home", capture_output=True, text=True, timeout=120
        )
        return done.stdout.strip() if done.returncode == 0 else "nothing"


@dataclass(frozen=True)
class Case:
    """Files below a temporary folder, and variables; ``{t}`` in both is that folder."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    old: str = "home/.cache/pip"
    new: str = "usb/pip"


CASES = (
    Case("no file"),
    Case("odd name", new="u s b/%(x)s #1; $HOME=ü"),
    Case("empty file", {USER: ""}),
    Case(
        "a value with more lines and comments", {USER: "# c\n[global]\nCache_Dir: {t}/o\n# d\nquiet = 0\n"}, old="o"
    ),
    Case("carriage returns", {USER: "[global]\r\nquiet = 0\r\n[install]\r\nuser = no\r\n"}),
    Case("deep lines", {USER: "[install]\n  user = no\n[global]\n\n    quiet = 0\n  timeout = 5"}),
    Case("legacy file decides", {LEGACY: "[global]\ncache-dir={t}/o"}, old="o"),
    Case("everybody's file decides", {"xdg/pip/pip.conf": "[global]\ncache-dir = {t}/o\n"}, old="o"),
    Case(
        "PIP_CONFIG_FILE",
        {"my.conf": "[global]\ntimeout=5\n", USER: "[global]\nquiet=0\n"},
        {"PIP_CONFIG_FILE": "{t}/my.conf"},
    ),
    Case("XDG_CONFIG_HOME and XDG_CACHE_HOME", {}, {"XDG_CONFIG_HOME": "{t}/c", "XDG_CACHE_HOME": "{t}/d"}, "d/pip"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pip_says_the_new_folder_and_the_old_one_when_it_is_taken_back(case: Case, place: Path) -> None:
    machine = PipMachine(place, case.files, case.environ)
    old, new = f"{place}/{case.old}", f"{place}/{case.new}"
    before = machine.ask("config", "get", "global.cache-dir")
    assert machine.ask("cache", "dir") == os.path.realpath(old)
    edit = Pip().point(machine.surroundings(), old, new, keep=False)
    path = Path(edit.path)
    assert edit.before == (path.read_bytes() if path.exists() else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(edit.after)
    # `pip config get` does not find what PIP_CONFIG_FILE says (`pip config list` and all other commands do).
    assert machine.ask("config", "get", "global.cache-dir") == (
        "nothing" if "PIP_CONFIG_FILE" in case.environ else new
    )
    assert machine.ask("cache", "dir") == os.path.realpath(new)
    assert [each.path for each in Pip().in_force(machine.surroundings())] == [new]
    original = Pip().point_back(path.read_bytes(), edit, old, new)
    assert original == edit.before
    path.unlink() if original is None else path.write_bytes(original)
    assert machine.ask("config", "get", "global.cache-dir") == before
    assert machine.ask("cache", "dir") == os.path.realpath(old)
