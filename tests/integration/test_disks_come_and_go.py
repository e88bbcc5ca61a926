"""The kernel's table of mounts, and the service that is told by it: mounting takes root."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.disks import unmount
from builders.synthetic import pip_responses
from cachewarden.service.watches import ready_filenos
from cachewarden.system.mount_table import MountTable

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root"),
]
COMMAND = str(Path(sys.executable).with_name("cachewarden"))
LOOKED = "cycle (disks came or went)"


def mount(place: Path, *options: str) -> None:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", *options, "cachewarden-test", str(place)], check=True)


@contextmanager
def mounted(place: Path) -> Iterator[None]:
    mount(place)
    try:
        yield
    finally:
        while place.is_mount():
            unmount(place)


def is_told(table: MountTable, seconds: float = 0.0) -> bool:
    return ready_filenos([], seconds, changing=[table.fileno()]) == {table.fileno()}


def test_the_table_tells_of_each_change_once_and_is_silent_otherwise(tmp_path: Path) -> None:
    table = MountTable()
    try:
        assert not is_told(table, 0.3)
        with mounted(tmp_path / "usb"):
            assert is_told(table, 60)
            (found,) = [each for each in table.read() if each.mount == str(tmp_path / "usb")]
            assert (found.type, found.read_only, not found.device.startswith("0:")) == ("tmpfs", False, False)
            assert not is_told(table, 0.3)
            subprocess.run(["mount", "-o", "remount,bind,ro", str(tmp_path / "usb")], check=True)
            assert is_told(table, 60)
            assert [each.read_only for each in table.read() if each.mount == found.mount] == [True]
        assert is_told(table, 60)
        assert found.mount not in {each.mount for each in table.read()}
    finally:
        table.close()


class Service:
    """The daemon of a user, root here, whose cache is on a disk."""

    def __init__(self, folder: Path) -> None:
        self.usb, self.log = folder / "usb", folder / "log"
        self.config = folder / "cachewarden.yaml"
        self.config.write_text(
            "version: 1\nwatch: {interval: 1h, react: false}\npolicies: []\n"
            f"caches: [{{ecosystem: pip, path: {self.usb}/pip}}]\n"
        )
        (folder / "home").mkdir()
        words = ["--user", "--verbose", "--config", str(self.config), "--state-dir", str(folder / "state")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [COMMAND, *words, "daemon", "--for", "280s"],
                env={**os.environ, "HOME": str(folder / "home")},
                stderr=log,
            )

    def wait(self, times: int, text: str = LOOKED, seconds: float = 60) -> float:
        """How long it took to say so."""
        began = time.monotonic()
        while self.log.read_text().count(text) < times:
            assert time.monotonic() - began < seconds, self.log.read_text()
            time.sleep(0.02)
        return time.monotonic() - began

    def wakings(self) -> int:
        """How often the main thread gave up the processor by itself: once for each time that it waited."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[0])

    def sleeps(self, seconds: float) -> bool:
        """Whether nothing wakes it for so long."""
        before = self.wakings()
        time.sleep(seconds)
        return self.wakings() == before


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with mounted(tmp_path / "usb"):
        pip_responses(tmp_path / "usb" / "pip", 3)
        running = Service(tmp_path)
        try:
            running.wait(1, "cycle (start)", 120)
            yield running
        finally:
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(60)


def test_a_disk_that_goes_and_comes_back_is_noticed_at_once_and_others_are_not(
    service: Service, tmp_path: Path
) -> None:
    assert any(service.sleeps(2.0) for _ in range(20)), "it wakes all the time"
    with mounted(tmp_path / "other"):
        time.sleep(1.5)
    assert LOOKED not in service.log.read_text()
    unmount(service.usb)
    took = [service.wait(1)]
    mount(service.usb)
    took.append(service.wait(2))
    unmount(service.usb)
    took.append(service.wait(3))
    assert min(took) < 3, "a machine may be busy once, and is not each time"


def test_who_mounts_to_and_fro_cannot_make_looking_all_that_is_done(service: Service) -> None:
    began = time.monotonic()
    for _ in range(8):
        unmount(service.usb)
        time.sleep(0.7)
        mount(service.usb)
        time.sleep(0.7)
    unmount(service.usb)
    took = time.monotonic() - began
    # Five in a minute are done at once; after that each has to wait for ten seconds at least.
    assert service.log.read_text().count(LOOKED) <= 5 * (1 + took // 60) + 1 + took / 10
