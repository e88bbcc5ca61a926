"""The forecast from a real state: kept, bounded, shown by ``status``, warned of by the service once."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import makers
from builders.synthetic import pip_responses
from cachewarden.model.forecasts import Size
from cachewarden.model.plans import CycleRecord, Plan
from cachewarden.model.policies import Settings
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant
from cachewarden.service.remembering import Remembering
from cachewarden.service.sizes import of_cache, of_disk
from cachewarden.system.store import FILE, VERSION, SqliteStore
from cachewarden.system.store_schema import SCHEMA
from cachewarden.system.store_sizes import FORGOTTEN_AFTER, KEPT_DAYS

MIB = makers.MIB
DAY = 86_400 * NANOSECONDS
COMMAND = str(Path(sys.executable).with_name("cachewarden"))
CONFIG = "version: 1\nwatch: {interval: 1h}\npolicies:\n  - {name: cap, size: {above: 1 GiB}, action: purge}\n"


def size(day: int, held: int = 5, freed: int = 0) -> Size:
    return Size(day, Instant(day * DAY), Bytes(held), Inodes(2), Bytes(freed), Inodes(1))


def test_points_are_there_after_a_restart_and_one_of_the_same_day_is_replaced(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_sizes({"a": size(100), "b": size(100)}, 100)
    store.save_sizes({"a": size(101)}, 101)
    store.save_sizes({"a": size(101, freed=7)}, 101)
    again = SqliteStore(str(tmp_path), writable=False)
    assert again.sizes(0) == {"a": [size(100), size(101, freed=7)], "b": [size(100)]}
    assert again.sizes(101) == {"a": [size(101, freed=7)]}


def test_points_are_bounded_in_days_and_places_without_any_are_forgotten(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_sizes({"gone": size(1000)}, 1000)
    for day in range(1001, 1000 + FORGOTTEN_AFTER):
        store.save_sizes({"a": size(day)}, day)
    points = store.sizes(0)
    assert (len(points["a"]), points["a"][-1].day, "gone" in points) == (KEPT_DAYS, 999 + FORGOTTEN_AFTER, True)
    last = 1001 + FORGOTTEN_AFTER
    store.save_sizes({"a": size(last)}, last)
    assert set(store.sizes(0)) == {"a"}


def test_a_clock_that_was_wrong_for_a_day_costs_no_points(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    for day in (0, 20_000, 20_001, 20_002, 0):
        store.save_sizes({"a": size(day)}, day)
    assert [each.day for each in store.sizes(1)["a"]] == [20_000, 20_001, 20_002]


def test_lies_about_sizes_cost_no_state(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_sizes({"a\udcff": size(1, held=1 << 70, freed=-(1 << 70))}, 1)
    ((place, (point,)),) = store.sizes(0).items()
    assert (store.trouble, place, point.held, point.freed) == (None, "a\\udcff", 2**63 - 1, 1 - 2**63)


def test_a_state_of_an_older_program_has_no_points_until_it_is_written_to(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE)
    old.executescript(f"{SCHEMA}PRAGMA user_version={VERSION};")
    old.close()
    store = SqliteStore(str(tmp_path), writable=False)
    assert (store.sizes(0), store.trouble) == ({}, None)
    writable = SqliteStore(str(tmp_path), writable=True)
    writable.save_sizes({"a": size(1)}, 1)
    assert (SqliteStore(str(tmp_path), writable=False).sizes(0), writable.trouble) == ({"a": [size(1)]}, None)


def test_an_idle_cycle_writes_nothing_until_the_next_day(tmp_path: Path) -> None:
    remembering = Remembering(SqliteStore(str(tmp_path), writable=True))
    cache = makers.cache(makers.entry())

    def cycle(at: int) -> bytes:
        now, disk = Instant(at), makers.filesystem(free=500 * MIB - at % 1000)
        seen = replace(makers.snapshot(cache, on=[disk]), taken_at=now)
        remembering.learn(seen, CycleRecord("c", "interval", now, now, Plan()), Settings())
        return (tmp_path / FILE).read_bytes()

    morning = makers.NOW // DAY * DAY
    first = cycle(morning)
    assert all(cycle(morning + minute * 60 * NANOSECONDS + minute) == first for minute in range(5, 1440, 5))
    assert cycle(morning + DAY + 300 * NANOSECONDS) != first


def test_a_day_of_two_hundred_places_is_small(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    places = [f"{1000 + number} /home/user{number}/.cache/pip" for number in range(200)]
    for day in range(20_000, 20_000 + KEPT_DAYS):
        store.save_sizes({place: size(day, held=5 << 30) for place in places}, day)
    assert (tmp_path / FILE).stat().st_size < 4 * MIB


class Home:
    """A home with a pip cache, its state, and the command run in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.state, self.log = path, path / "state", path / "log"
        self.config = path / "cachewarden.yaml"
        self.config.write_text(CONFIG)
        pip_responses(path / ".cache" / "pip", 20)

    def command(self, *words: str) -> list[str]:
        return [COMMAND, "--user", "--config", str(self.config), "--state-dir", str(self.state), *words]

    def run(self, *words: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8"}
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=240, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("--json", "status"))
        return found

    def fill(self, days: int, *, fills_in: int) -> None:
        """So many days of points, by which the disk is full so many days from now; the cache grows 1 MiB a day."""
        seen = self.status()
        (cache,), (disk,) = seen["caches"], seen["filesystems"]
        uid = os.getuid()
        owner = replace(makers.owner(), uid=uid)
        pip = replace(makers.cache().cache, path=cache["path"], owner=owner)
        place = of_disk(makers.filesystem(mount=disk["mount"]))
        store, now = SqliteStore(str(self.state), writable=True), time.time_ns()
        a_day = disk["free_bytes"] // fills_in
        for age in range(days, 0, -1):
            day, at = now // DAY - age, Instant(now - age * DAY)
            held = disk["total_bytes"] - disk["free_bytes"] - age * a_day
            store.save_sizes(
                {
                    place: Size(day, at, Bytes(held)),
                    of_cache(pip): Size(day, at, Bytes(cache["size_bytes"] - age * MIB)),
                },
                day,
            )
        assert store.trouble is None

    @contextmanager
    def service(self) -> Iterator[Callable[[], str]]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8"}
        self.log.write_bytes(b"")
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command("--verbose", "daemon"), env=environment, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            yield self.log.read_text
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """On one day: what counts days must not run over midnight."""
    if (left := 86_400 - time.time() % 86_400) < 120:
        time.sleep(left)
    return Home(tmp_path)


def test_status_says_from_how_many_days_it_does_not_know_yet(home: Home) -> None:
    assert "not known yet: 0 days of a week recorded" in home.run("status")
    home.fill(3, fills_in=100)
    assert "not known yet: 3 days of a week recorded" in home.run("status")


def test_status_shows_the_forecast_of_thirty_days(home: Home) -> None:
    home.fill(30, fills_in=21)
    screen = home.run("status", "--verbose")
    section = screen.partition("Forecast\n")[2]
    assert ": fills in about 3 weeks in spite of the policies, which leave +" in section
    assert "+1 MiB" in section
    found = home.status()["forecast"]
    ((disk,), (cache,), (policy,)) = found["filesystems"], found["caches"], found["policies"]
    assert (disk["days_recorded"], cache["days_recorded"], policy["days_recorded"]) == (29, 29, 29)
    assert cache["grows_bytes_per_day"] == MIB
    assert disk["earliest"] <= disk["expected"] <= disk["latest"]
    assert (policy["name"], policy["place"]) == ("cap", f"{home.path}/.cache/pip")


def test_the_service_records_a_point_a_day_and_warns_once(home: Home) -> None:
    home.fill(30, fills_in=5)

    def told(said: str, level: str) -> int:
        return len(re.findall(f"cachewarden: {level}: .* fills in about 5 days", said))

    with home.service() as said:
        eventually(lambda: told(said(), "warning") == 1)
        home.config.write_text(CONFIG.replace("1h", "1h, horizon: 2w"))  # it is forecast anew
        eventually(lambda: told(said(), "debug") >= 1)
        points = SqliteStore(str(home.state), writable=False).sizes(time.time_ns() // DAY)
    assert [len(each) for each in points.values()] == [1, 1]
    assert told(said(), "warning") == 1


def test_a_horizon_of_nothing_keeps_the_service_quiet(home: Home) -> None:
    home.config.write_text(CONFIG.replace("1h", "1h, horizon: 0s"))
    home.fill(30, fills_in=5)
    with home.service() as said:
        eventually(lambda: "cycle (" in said())
        eventually(lambda: len(SqliteStore(str(home.state), writable=False).sizes(time.time_ns() // DAY)) == 2)
    assert " fills in about " not in said()


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
