"""Where nothing happens nobody looks: no process is started; and whatever happens is seen all the same."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from builders.service import Service, blocks, eventually
from builders.synthetic import bodies, conda_packages, pip_responses

EVERY_SECOND = """\
version: 1
watch: {interval: 1s}
keep: {newer_than: 0s}
policies:
  - {name: cap, match: {ecosystem: pip}, size: {above: 200 kB, until: 100 kB}, action: purge}
"""
BY_AGE = """\
version: 1
watch: {interval: 1s}
keep: {newer_than: %ds}
policies:
  - {name: old, match: {ecosystem: pip}, action: purge}
"""


class Workers:
    """The processes below a service, and what those cost that are over."""

    def __init__(self, service: Service, pid: int) -> None:
        eventually(lambda: "cycle (start)" in service.said() and len(_children(pid)) == 1)
        (self.launcher,) = _children(pid)

    def ended(self) -> int:
        """Page faults of all workers that have ended: it grows with each."""
        return int(Path(f"/proc/{self.launcher}/stat").read_text().rpartition(")")[2].split()[8])

    def are_quiet(self, intervals: int = 5, seconds: float = 120) -> None:
        """Waits for so many intervals one after the other without any worker."""
        until, since, ended = time.monotonic() + seconds, time.monotonic(), self.ended()
        while time.monotonic() < since + intervals:
            assert time.monotonic() < until, "somebody looks all the time"
            if self.ended() != ended:
                since, ended = time.monotonic(), self.ended()
            time.sleep(0.05)

    def look(self, ended: int, seconds: float = 60) -> None:
        """Waits for one that ends, with what ``ended`` said before there was a reason for it.

        Where disks are busy a look that can wait is put off for twenty seconds.
        """
        eventually(lambda: self.ended() > ended, seconds)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    made = Service(tmp_path)
    made.config.write_text(EVERY_SECOND)
    pip_responses(made.pip, 5)
    conda_packages(made.pkgs, 2)
    return made


@contextmanager
def quiet(service: Service) -> Iterator[Workers]:
    with service.running() as process:
        workers = Workers(service, process.pid)
        workers.are_quiet()
        yield workers


def test_cycles_of_a_quiet_state_start_nothing_and_write_nothing(service: Service) -> None:
    with quiet(service) as workers:
        # What was begun before may come to the disk late, once; what each cycle does comes again and again.
        assert any(is_left_alone(service.state, workers) for _ in range(4))


def is_left_alone(folder: Path, workers: Workers) -> bool:
    """Whether nothing is written there in twelve intervals without a worker."""
    before = written(folder)
    workers.are_quiet(12)
    return written(folder) == before


def written(folder: Path) -> dict[str, int]:
    """When each file was; those that go meanwhile, as a journal of the database does, are left out."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            with suppress(FileNotFoundError):
                found[f"{place}/{name}"] = os.stat(f"{place}/{name}").st_mtime_ns
    return found


def test_a_new_file_brings_a_look_and_what_is_too_much_goes(service: Service) -> None:
    with quiet(service) as workers:
        before = workers.ended()
        (service.pip / "http-v2" / "new").write_bytes(b"x")
        workers.look(before)
        workers.are_quiet()
        pip_responses(service.pip, 80)
        # A cycle that comes before all of it was there leaves room for the rest: nothing is above the cap in the end.
        eventually(lambda: blocks(service.pip) <= 200_000, 120)


@pytest.mark.parametrize("where", ["repodata", "environment", "configuration", "new cache", "removed"])
def test_a_look_follows_whatever_it_would_see(service: Service, where: str) -> None:
    records = service.home / "miniforge3" / "envs" / "science" / "conda-meta"
    records.mkdir(parents=True)
    (records / "history").touch()
    (service.home / ".conda" / "environments.txt").write_text(f"{records.parent}\n")
    (service.pkgs / "cache").mkdir()
    with quiet(service) as workers:
        before = workers.ended()
        if where == "repodata":
            (service.pkgs / "cache" / "abc.json").write_text("{}")
        elif where == "environment":
            (records / "numpy-1.26.4-0.json").write_text("{}")
        elif where == "configuration":
            (service.home / ".config" / "pip").mkdir(parents=True)
            (service.home / ".config" / "pip" / "pip.conf").write_text("[global]\ncache-dir = ~/elsewhere\n")
        elif where == "new cache":
            conda_packages(service.home / "miniforge3" / "pkgs", 1)
        else:
            (service.pip / "http-v2").rename(service.home / "away")
            service.pip.rename(service.home / "gone")
        workers.look(before)
        workers.are_quiet()


def test_what_comes_due_by_time_alone_is_removed_in_time(service: Service) -> None:
    for age in (30, 100):  # the first where nobody is in the way: the second is for a machine that takes so long
        service.config.write_text(BY_AGE % age)
        pip_responses(service.pip, 5)
        with quiet(service):
            if bodies(service.pip):
                eventually(lambda: not bodies(service.pip), 60 + age)
                return
    raise AssertionError("it was removed before it was due, or nobody came to rest in time")


def test_a_cache_that_the_watcher_cannot_see_whole_is_looked_at_every_time(service: Service) -> None:
    (service.pkgs / "https").mkdir()
    with service.running() as process:
        workers = Workers(service, process.pid)
        for _ in range(4):
            workers.look(workers.ended())
