"""The service sees with the kernel's own eyes which entries are used, and which are only looked at."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from watchdog import events

from builders.synthetic import pip_responses
from cachewarden.model.units import NANOSECONDS
from cachewarden.model.worth import Signal
from cachewarden.service.opens import AFTER, EVERY, HOLD
from cachewarden.system.memory import Sighting
from cachewarden.system.store import SqliteStore

pytestmark = pytest.mark.skipif(
    not hasattr(events, "FileOpenedEvent"), reason="this watchdog does not tell of files that are opened"
)

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
NOTHING_TO_DO = "version: 1\nwatch: {interval: 1h}\nkeep: {newer_than: 0s}\npolicies: []\n"
DAY = 86_400
OWN = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
"""A checkout beside the one that is installed tests itself."""
TOLD = HOLD + EVERY + 5
"""Seconds after which the service has heard of what was opened, on a busy machine too."""
HUSHED = AFTER + 3
"""Seconds after which nothing of a listing is left, however late it was told of."""


def response(number: int) -> str:
    key = hashlib.sha224(f"https://files.invalid/{number}".encode()).hexdigest()
    return f"http-v2/{'/'.join(key[:5])}/{key}"


class Scene:
    """A home with a pip cache and a conda cache of yesterday, and a service in user mode that has nothing to do."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.pip, self.pkgs = self.home / ".cache/pip", self.home / ".conda/pkgs"
        self.config, self.state, self.log = folder / "cachewarden.yaml", folder / "state", folder / "log"
        self.config.write_text(NOTHING_TO_DO)
        pip_responses(self.pip, 30)
        self.wheel = f"wheels/ab/cd/ef/{'0' * 50}"
        (self.pip / self.wheel).mkdir(parents=True)
        (self.pip / self.wheel / "six-1.0-py3-none-any.whl").write_bytes(b"PK")
        self.pkgs.mkdir(parents=True)
        (self.pkgs / "urls.txt").touch()
        (self.pkgs / "zlib-1.2-0.conda").write_bytes(b"PK")
        then = time.time() - DAY
        for place in (self.pip, self.pkgs):
            for path in place.rglob("*"):
                os.utime(path, (then, then))

    def command(self, *words: str) -> list[str]:
        options = ["--user", "--verbose", "--config", str(self.config), "--state-dir", str(self.state)]
        return [COMMAND, *options, *words]

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **OWN}

    def do(self, *words: str) -> str:
        """As a person who is told that the service is at a cycle of its own just now, and who tries again."""
        deadline = time.monotonic() + 120
        while True:
            done = subprocess.run(
                self.command(*words), env=self.environment(), capture_output=True, text=True, timeout=240
            )
            if done.returncode != 75 or time.monotonic() > deadline:
                assert done.returncode == 0, done.stderr
                return done.stdout
            time.sleep(0.2)

    @contextmanager
    def served(self) -> Iterator[None]:
        """The service, watching; it writes down what it knows when it ends."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(self.command("daemon"), env=self.environment(), stderr=log)
        try:
            eventually((self.state / "watching.json").exists)
            time.sleep(HUSHED)  # to watch a cache it is listed, which nobody is to take for use
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(60)

    def known(self, cache: Path) -> dict[str, Sighting]:
        return SqliteStore(str(self.state), writable=False).sightings(f"{os.geteuid()} {cache}")

    def opened(self) -> set[str]:
        """The entries of which the state says that they were opened."""
        return {
            path
            for cache in (self.pip, self.pkgs)
            for path, each in self.known(cache).items()
            if each.signal is Signal.OPENED
        }


def eventually(what: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def read(path: Path) -> None:
    """By its name, as a tool does; the access time stays, as with ``noatime``."""
    with open(os.open(path, os.O_RDONLY | os.O_NOATIME), "rb") as file:
        file.read()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_is_opened_by_its_name_is_known_to_be_used_where_access_times_tell_nothing(scene: Scene) -> None:
    used = (response(3), response(7))
    with scene.served():
        began = time.time_ns()
        for path in used:
            read(scene.pip / path)
            read(scene.pip / f"{path}.body")
        read(scene.pip / scene.wheel / "six-1.0-py3-none-any.whl")
        read(scene.pkgs / "zlib-1.2-0.conda")
        time.sleep(TOLD)
    assert scene.opened() == {*used, scene.wheel, "zlib-1.2-0.conda"}
    assert len(scene.known(scene.pip)) == 31
    told = scene.known(scene.pip)[used[0]]
    assert began - NANOSECONDS <= told.last_used <= time.time_ns()
    assert told.uses == 1


def test_our_own_looks_by_whatever_command_are_no_use(scene: Scene) -> None:
    with scene.served():
        for words in (("status",), ("list",), ("plan",), ("run",), ("status", "--json")):
            scene.do(*words)
        time.sleep(TOLD)
    assert len(scene.known(scene.pip)) == 31
    assert scene.opened() == set()


def test_who_searches_saves_or_copies_a_cache_does_not_use_it(scene: Scene) -> None:
    with scene.served():
        for words in (["grep", "-r", "nothing"], ["tar", "-cf", "/dev/null"], ["cp", "-rt", str(scene.state)]):
            subprocess.run([*words, str(scene.pip)], check=False, capture_output=True, timeout=240)
        time.sleep(TOLD)
    assert (scene.state / "pip/http-v2").exists()
    assert len(scene.known(scene.pip)) == 31
    assert scene.opened() == set()


def test_a_use_between_two_looks_is_not_lost(scene: Scene) -> None:
    with scene.served():
        scene.do("status")
        time.sleep(HUSHED)  # longer than a look hushes
        read(scene.pip / response(3))
        time.sleep(3)
        scene.do("status")
        time.sleep(TOLD)
    assert scene.opened() == {response(3)}


def test_trees_that_come_into_being_later_are_watched_like_those_that_were_there(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    other = scene.home / "put-away"
    (scene.pip / "http-v2").rename(other)
    with scene.served():
        other.rename(scene.pip / "http-v2")
        time.sleep(3)
        scene.do("run")
        for _ in range(3):
            scene.do("status")
        time.sleep(TOLD)
    assert scene.opened() == set()
