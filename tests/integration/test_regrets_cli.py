"""What was removed by the real command and came back by the real tools: ``explain``, ``history --regretted``."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.conda_caches import CondaBase, build_package
from builders.pip_caches import LoopbackIndex, fill_pip_cache, run_pip

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
IMPORTS = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
ALONE = ["unshare", "-pf", "--mount-proc"] if os.geteuid() == 0 and shutil.which("unshare") else []
"""Another pip of the same user, of a test beside this one, would keep built wheels where they are."""


class Home:
    """A home with caches, and the command run in it as its user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*ALONE, COMMAND, "--user", *words],
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8",
                 **IMPORTS},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    def json(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("--json", *words))
        assert found["schema"] == 1
        return found

    def how_back(self, word: str) -> str:
        """The command that gets back what is gone."""
        (gone,) = self.json("explain", word)["removals"]
        assert gone["how_back"]["command"] in self.run("explain", word)
        return str(gone["how_back"]["command"])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


@pytest.fixture
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex(package_headers=True) as index:
        yield index


def obey(home: Home, index: LoopbackIndex, command: str) -> None:
    """Runs a pip command as it was shown."""
    tool, *words = shlex.split(command)
    assert tool == "pip"
    done = run_pip(home.path, index, None, words)
    assert done.returncode == 0, done.stderr


def test_what_pip_had_comes_back_by_the_command_that_explain_shows_and_is_told_as_regretted(
    home: Home, index: LoopbackIndex
) -> None:
    fill_pip_cache(home.path, index, packages=("six", "idna"))
    before = {(each["kind"], each["path"]) for each in home.json("list", "pip", "--package", "*")["entries"]}
    home.run("purge", "pip", "--package", "six", "--package", "docopt", "--kind", "download", "--kind", "built-wheel",
             "--yes")  # fmt: skip
    kinds = {each["kind"] for each in home.json("explain", "docopt")["removals"]}
    if kinds == {"download"}:
        pytest.skip("another pip of this user is running, and keeps what was built")
    assert home.json("history", "--regretted")["regrets"] == []
    assert "Nothing of it came back." in home.run("history", "--regretted")
    assert home.how_back("six") == "pip download --no-deps six==1.17.0"
    obey(home, index, home.how_back("six"))
    for gone in home.json("explain", "docopt")["removals"]:
        if gone["kind"] == "built-wheel":
            assert gone["regain"] == "build"
            obey(home, index, gone["how_back"]["command"])
    home.run("run")
    after = {(each["kind"], each["path"]) for each in home.json("list", "pip", "--package", "*")["entries"]}
    assert {each for each in before if each[0] in {"download", "built-wheel"}} <= after
    found = home.json("history", "--regretted")
    regrets = {(each["name"], each["kind"]): each for each in found["regrets"]}
    assert {("six", "download"), ("docopt", "built-wheel")} <= set(regrets)
    assert all(each["same_path"] and each["after_seconds"] >= 0 for each in found["regrets"])
    assert regrets["six", "download"]["fetched_bytes"] > 0
    (policy,) = found["policies"]
    assert policy["policy"] == "by-hand"
    assert policy["regretted_entries"] == len(found["regrets"]) <= policy["removed_entries"]
    screen = home.run("history", "--regretted")
    assert "by-hand" in screen
    assert "six 1.17.0" in screen
    assert len(home.json("history", "--regretted", "--limit", "1")["regrets"]) == 1
    home.run("run")
    assert home.json("history", "--regretted")["regrets"] == found["regrets"]


def test_what_goes_again_and_again_is_better_kept(home: Home, index: LoopbackIndex) -> None:
    for _ in range(3):
        fill_pip_cache(home.path, index, packages=("six",), build=())
        home.run("purge", "pip", "--package", "six", "--kind", "download", "--yes")
    found = home.json("history", "--regretted")
    assert [(each["name"], each["regretted_entries"]) for each in found["packages"]] == [("six", 2)]
    (advice,) = found["advice"]
    assert advice.startswith("six came back 2 times, ")
    assert advice.endswith('keep: {packages: ["six"]} keeps it.')
    assert advice in home.run("history", "--regretted")
    config = home.path / ".config/cachewarden/cachewarden.yaml"
    config.parent.mkdir(parents=True)
    config.write_text('version: 1\nkeep: {packages: ["six"]}\n')
    fill_pip_cache(home.path, index, packages=("six",), build=())
    home.run("purge", "pip", "--package", "six", "--kind", "download", "--yes")
    assert [each["name"] for each in home.json("list", "--kind", "download", "--package", "six")["entries"]] == [
        "six"
    ]
    assert home.json("history", "--regretted")["advice"] == []


def test_a_broken_configuration_costs_only_the_advice(home: Home, index: LoopbackIndex) -> None:
    fill_pip_cache(home.path, index, packages=("six",), build=())
    home.run("purge", "pip", "--all", "--yes")
    config = home.path / ".config/cachewarden/cachewarden.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("version: [")
    assert home.json("history", "--regretted")["policies"][0]["policy"] == "by-hand"


def test_conda_packages_and_archives_that_came_back_are_told_each_with_its_command(home: Home) -> None:
    base = CondaBase(home.path / "miniforge3", home.path)
    package = build_package(home.path / "src", "numpy", "1.0", "py_0", files={"lib/numpy": b"x" * 50_000})
    base.fetch(package)
    home.run("purge", "conda", "--kind", "package", "--kind", "tarball", "--yes")
    assert list(base.pkgs.glob("numpy*")) == []
    gone = {each["kind"]: each for each in home.json("explain", "numpy")["removals"]}
    assert gone["tarball"]["how_back"]["command"] == "conda install --download-only --no-deps numpy=1.0=py_0"
    assert gone["package"]["how_back"]["command"] is None
    assert gone["package"]["regain"] == "extract"
    assert "from its archive" in gone["package"]["how_back"]["text"]
    base.fetch(package)
    os.utime(base.pkgs / package.name)  # copied here, downloaded there
    home.run("run")
    back = {each["kind"]: each for each in home.json("history", "--regretted")["regrets"]}
    assert set(back) == {"package", "tarball"}
    assert back["package"]["fetched_bytes"] == 0
    assert back["tarball"]["fetched_bytes"] > 0


def test_a_cache_that_was_put_back_from_a_copy_is_not_regretted(home: Home, index: LoopbackIndex) -> None:
    cache = fill_pip_cache(home.path, index, packages=("six",), build=())
    shutil.copytree(cache, home.path / "copy")
    home.run("purge", "pip", "--all", "--yes")
    shutil.rmtree(cache)
    shutil.copytree(home.path / "copy", cache)
    home.run("run")
    assert home.json("list", "pip")["entries"] != []
    assert home.json("history", "--regretted")["regrets"] == []
