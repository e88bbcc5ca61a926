"""``status`` rests on earlier looks, and says so; ``list``, ``plan`` and what removes do not."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.looks import OwnProcesses
from builders.synthetic import conda_packages
from cachewarden.ecosystems.base import Located, Surroundings
from cachewarden.ecosystems.conda import Conda
from cachewarden.measure import measure_cache
from cachewarden.model.caches import Cache, Look, Owner
from cachewarden.model.units import Bytes, Instant
from cachewarden.service.earlier import EarlierLooks
from cachewarden.system.files import RealFiles

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
HOUR = 3_600 * 10**9
A_LOT = Bytes(7 << 40)


class Home:
    """A home with a conda cache of which an earlier look is known, that said of each package that it takes 7 TiB."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path / ".conda" / "pkgs"
        self.state = path / ".local" / "state" / "cachewarden"
        conda_packages(self.root, 4, files=3)
        self.state.mkdir(parents=True, mode=0o700)

    def remember(self, hours_ago: float = 2) -> None:
        owner = Owner(os.geteuid(), os.getegid(), "me", str(self.path))
        cache = Cache("conda", str(self.root), owner, "a test")
        now = Instant(time.time_ns() + HOUR)
        surroundings = Surroundings(owner, {"HOME": str(self.path)}, RealFiles(owner))
        found = measure_cache(cache, Conda(), Located(), surroundings, OwnProcesses(), now)
        assert hasattr(found, "cache"), found
        earlier = replace(
            found.cache,
            verified=Instant(time.time_ns() - int(hours_ago * HOUR)),
            entries=tuple(replace(entry, size=A_LOT, frees=A_LOT) for entry in found.cache.entries),
        )
        EarlierLooks(str(self.state), free=lambda _: 1 << 40, keeps=True).keep(owner, Look((earlier,)), now)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8"}
        command = [COMMAND, "--user", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)

    def json(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("--json", *words).stdout)
        return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_status_takes_unchanged_packages_as_they_were_and_says_since_when(home: Home) -> None:
    home.remember()
    (cache,) = home.json("status")["caches"]
    assert cache["frees_bytes"] == 4 * A_LOT
    assert "What has not changed was walked 2h" in home.run("status").stdout


def test_what_changed_since_is_looked_at(home: Home) -> None:
    home.remember()
    (home.root / "made1-1.0-0" / "more").write_bytes(b"x")
    shutil.rmtree(home.root / "made2-1.0-0")
    (cache,) = home.json("status")["caches"]
    assert 2 * A_LOT < cache["frees_bytes"] < 3 * A_LOT


@pytest.mark.parametrize("words", [("list",), ("plan",), ("purge", "--all", "--dry-run")])
def test_what_is_acted_on_or_listed_is_walked(home: Home, words: tuple[str, ...]) -> None:
    home.remember()
    assert str(A_LOT) not in home.run("--json", *words).stdout
    assert (home.state / "looks-0.z").exists() or os.geteuid() != 0


def test_a_purge_frees_what_there_is_and_status_knows_it(home: Home) -> None:
    home.remember()
    done = home.json("purge", "--all", "--yes")
    assert 0 < done["freed_bytes"] < 1 << 20
    (cache,) = home.json("status")["caches"]
    assert cache["entries"] == 0


def test_after_a_day_all_is_walked_again(home: Home) -> None:
    home.remember(hours_ago=25)
    (cache,) = home.json("status")["caches"]
    assert cache["frees_bytes"] < 1 << 20
    assert "What has not changed" not in home.run("status").stdout
