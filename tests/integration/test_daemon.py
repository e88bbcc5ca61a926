"""The service as a process of its own, in user mode: it starts, looks, reloads, and stops as it should."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.meters import tree
from builders.service import Service, blocks, eventually, is_gone
from builders.synthetic import conda_packages, half_packages, pip_responses

CAP = """\
version: 1
watch: {interval: 1h}
keep: {newer_than: 0s}
policies:
  - {name: cap, match: {ecosystem: pip}, size: {above: 200 kB, until: 100 kB}, action: purge}
"""
EVERYTHING = """\
version: 1
watch: {interval: 1h}
keep: {newer_than: 0s}
policies:
  - {name: all, match: {ecosystem: conda}, action: purge}
"""


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_the_first_cycle_brings_a_cache_below_its_cap_and_term_ends_it_with_0(service: Service) -> None:
    service.config.write_text(CAP)
    pip_responses(service.pip, 40)
    with service.running() as process:
        eventually(lambda: "cycle (start)" in service.said())
        assert blocks(service.pip) <= 100_000
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "cachewarden: info: stopped" in service.said()


def test_a_cache_that_grows_is_noticed_long_before_the_interval(service: Service) -> None:
    service.config.write_text(CAP)
    pip_responses(service.pip, 2)
    with service.running():
        eventually(lambda: "cycle (start)" in service.said() and service.watches())
        pip_responses(service.pip, 60)
        # After a cycle that took long there is a pause of twenty times that, and disks that are busy are spared.
        # One that comes before all of it was there leaves room for the rest: nothing is above the cap in the end.
        eventually(lambda: "cycle (file events)" in service.said() and blocks(service.pip) <= 200_000, 200)


def test_it_ends_by_itself_after_its_time(service: Service) -> None:
    service.config.write_text(CAP)
    began = time.monotonic()
    with service.running("--for", "2s") as process:
        assert process.wait(60) == 0
    assert time.monotonic() - began >= 2


def test_a_changed_configuration_is_taken_over_and_a_broken_one_is_not(service: Service) -> None:
    service.config.write_text("version: 1\npolicies: []\n")
    pip_responses(service.pip, 40)
    with service.running() as process:
        eventually(lambda: "cycle (start)" in service.said())
        service.config.write_text("version: 1\npolicys: []\n")
        eventually(lambda: "stay in force" in service.said())
        assert f"{service.config}:2:1: policys:" in service.said()
        assert process.poll() is None
        service.config.write_text(CAP)
        eventually(lambda: blocks(service.pip) <= 100_000)
    assert "policies: cap" in service.said()


def test_hup_reloads(service: Service) -> None:
    service.config.write_text(CAP)
    with service.running() as process:
        eventually(lambda: "cycle (start)" in service.said())
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "the configuration was read anew" in service.said())


@contextmanager
def manager(folder: Path) -> Iterator[tuple[str, socket.socket]]:
    path = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(60)
        yield path, listening


def hear(listening: socket.socket, wanted: str) -> str:
    for _ in range(200):
        message = listening.recv(4096).decode()
        if wanted in message:
            return message
    raise AssertionError(wanted)


def test_systemd_is_told_ready_status_watchdog_reloading_and_stopping(service: Service, tmp_path: Path) -> None:
    service.config.write_text(CAP)
    with manager(tmp_path) as (path, listening):
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}
        with service.running(**environ) as process:
            assert "STATUS=" in hear(listening, "READY=1")
            hear(listening, "STATUS=watching; nothing was to be done in the last cycle")
            hear(listening, "WATCHDOG=1")
            hear(listening, "WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in hear(listening, "RELOADING=1")
            hear(listening, "READY=1")
            process.send_signal(signal.SIGTERM)
            hear(listening, "STOPPING=1")


def test_a_second_instance_on_the_same_state_gives_way_with_75(service: Service) -> None:
    service.config.write_text(CAP)
    with service.running():
        eventually(lambda: "cycle (start)" in service.said())
        second = subprocess.run(
            service.command("daemon"), env=service.environment(), capture_output=True, timeout=120
        )
    assert second.returncode == 75
    assert b"another cachewarden daemon is at work on the same state" in second.stderr


def test_a_wrong_configuration_at_the_start_ends_with_78_and_every_error(service: Service) -> None:
    service.config.write_text("version: 2\npolicies: [{}]\n")
    done = subprocess.run(service.command("daemon"), env=service.environment(), capture_output=True, timeout=240)
    assert done.returncode == 78
    assert done.stderr.decode().count(str(service.config)) >= 3


def test_term_in_the_middle_of_a_purge_ends_it_soon_and_leaves_no_half_package(service: Service) -> None:
    service.config.write_text(EVERYTHING)
    # So many that the rest would take longer than the test needs to see the first go.
    conda_packages(service.pkgs, 150, files=200)
    with service.running() as process:
        eventually((service.pkgs / ".cachewarden-trash").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    left = [folder for folder in service.pkgs.iterdir() if folder.name.startswith("made")]
    assert left, "it went on until all was removed, or was too fast for the test"
    assert half_packages(service.pkgs, 200) == []


def test_a_purge_that_was_killed_is_finished_by_the_next_start(service: Service) -> None:
    service.config.write_text(EVERYTHING)
    conda_packages(service.pkgs, 60, files=200)
    trash = service.pkgs / ".cachewarden-trash"
    with service.running() as process:
        eventually(trash.exists)
        below = tree(process.pid)[1:]
        process.kill()
        process.wait(60)
    eventually(lambda: all(map(is_gone, below)))  # launcher and worker end by themselves
    assert half_packages(service.pkgs, 200) == []
    with service.running("--for", "200s") as process:
        eventually(lambda: "cycle (start)" in service.said(), 180)
        assert not trash.exists()
    assert [folder.name for folder in service.pkgs.iterdir()] == ["urls.txt"]


def test_nothing_stays_behind_when_it_is_killed(service: Service) -> None:
    service.config.write_text(CAP)
    pip_responses(service.pip, 2)
    with service.running() as process:
        eventually(lambda: "cycle (start)" in service.said() and service.watches())
        below = tree(process.pid)[1:]
        assert len(below) >= 2, "a launcher and a watcher"
        process.kill()
        process.wait(60)
        eventually(lambda: all(map(is_gone, below)))


def test_it_ends_with_1_when_its_launcher_dies(service: Service) -> None:
    service.config.write_text(CAP)
    with service.running() as process:
        eventually(lambda: "cycle (start)" in service.said())
        launcher = tree(process.pid)[1]
        os.kill(launcher, signal.SIGKILL)
        assert process.wait(60) == 1
    assert "cannot go on: the launcher has died" in service.said()
