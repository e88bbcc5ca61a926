"""A disk that fills within seconds: nobody who writes meets a full one, as long as caches have something to give."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from builders.disks import MIB, LoopDisk, why_no_loop_disks
from builders.machine import Machine
from builders.meters import tree
from builders.synthetic import pip_responses

SIZE, EVICTABLE, MARK, RATE = 256, 150, 0.2, 50
"""MiB, MiB, the share of the disk that is to stay free, and MiB a second."""
NO_RESERVE = ("-m", "0")
"""So root, who writes here, has no more room than others."""
AHEAD = ("nice", "-n", "-15")
"""How late it is must not hang on what else this machine does."""
KEEP_FREE = """\
version: 1
watch: {interval: 1h}
keep: {newer_than: 0s}
policies:
  - {name: keep-free, free_space: {below: 20%, until: 30%}, action: purge}
"""
NO_DISKS = why_no_loop_disks()
pytestmark = [pytest.mark.root, pytest.mark.skipif(NO_DISKS is not None, reason=str(NO_DISKS))]


class Stall:
    """How long the disk itself keeps somebody waiting, at the worst, who changes next to nothing."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "touched"
        self._file.touch()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._touch)
        self.longest = 0.0

    def _touch(self) -> None:
        while not self._ended.wait(0.02):
            began = time.monotonic()
            os.utime(self._file)
            self.longest = max(self.longest, time.monotonic() - began)

    @contextmanager
    def measured(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()


class Storm:
    """A machine whose disk is small: ann's pip cache fills most of it, the state of the service is on it as well."""

    def __init__(self, disk: LoopDisk, folder: Path) -> None:
        self.disk = disk
        self.machine = Machine(disk.path)
        self.machine.config.write_text(KEEP_FREE)
        pip_responses(self.machine.home("ann") / ".cache/pip", EVICTABLE * 4, size=MIB // 4)
        self.machine.give(self.machine.home("ann") / ".cache", "ann")
        os.sync()
        self.log = folder / "log"
        self.total = os.statvfs(disk.path).f_blocks * os.statvfs(disk.path).f_frsize
        self.lowest = disk.free_bytes()
        self.errors: list[OSError] = []
        self.crossed_at: float | None = None
        self.freed_after: float | None = None
        self.stall = Stall(disk.path)

    @contextmanager
    def daemon(self) -> Iterator[None]:
        command = [*AHEAD, *self.machine.arguments("--verbose", "daemon", "--for", "280s")]
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        self.pid = process.pid
        try:
            self.eventually(lambda: "cycle (start)" in self.said())
            time.sleep(0.5)
            with self.stall.measured():
                yield
        finally:
            process.terminate()
            process.wait(60)

    def said(self) -> str:
        return self.log.read_text()

    def eventually(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not what():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def share(self) -> float:
        return self.disk.free_bytes() / self.total

    def write(self, mib: int, rate: int = RATE, pieces: int = 1) -> None:
        """``rate`` MiB a second into files of 8 MiB, watching how much is free and when files go.

        Never more: who was kept waiting, by the disk or by others, does not make up for it.
        """
        due, step = time.monotonic(), 1 / pieces / rate
        block = os.urandom(MIB // pieces)
        before = os.statvfs(self.disk.path).f_favail
        for number in range(mib * pieces):
            try:
                with (self.disk.path / f"written{number // (8 * pieces)}").open("ab") as file:
                    file.write(block)
            except OSError as error:
                self.errors.append(error)
            before = self.watch(before)
            due = max(due + step, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def watch(self, inodes_before: int) -> int:
        """Who writes makes no inode free: when there are more of them, files went."""
        now, found = time.monotonic(), os.statvfs(self.disk.path)
        self.lowest = min(self.lowest, found.f_bavail * found.f_frsize)
        if self.crossed_at is None and found.f_bavail < MARK * found.f_blocks:
            self.crossed_at = now
        if self.crossed_at and self.freed_after is None and found.f_favail > inodes_before:
            self.freed_after = now - self.crossed_at
        return found.f_favail

    def told(self) -> str:
        lowest = f"{self.lowest / MIB:.1f} MiB free at the lowest ({100 * self.lowest / self.total:.1f} %)"
        first = "nothing freed" if self.freed_after is None else f"first files gone {self.freed_after:.2f} s after"
        stall = f"the disk itself kept waiting for {self.stall.longest:.2f} s"
        return f"{lowest}, {first}, {len(self.errors)} writes failed, {stall}"

    @property
    def freed_at_once(self) -> bool:
        """Within a second, and what the disk takes for the least of all changes."""
        return self.freed_after is not None and self.freed_after < 1 + self.stall.longest


def tell(storm: Storm) -> None:
    """With ``-s`` on the terminal: the figures in docs/performance.md."""
    sys.stderr.write(f"\n{storm.told()}\n")


def test_whoever_writes_50_megabytes_a_second_never_meets_a_full_disk(tmp_path: Path) -> None:
    with LoopDisk(SIZE, mkfs_options=NO_RESERVE) as disk:
        storm = Storm(disk, tmp_path)
        with storm.daemon():
            storm.write(170)
        tell(storm)
        assert storm.errors == [], storm.told() + storm.said()
        assert storm.lowest < MARK * storm.total
        assert storm.freed_at_once, storm.told() + storm.said()
        assert "filled up, first aid)" in storm.said()


def test_nor_does_one_whose_disk_was_full_when_the_service_began(tmp_path: Path) -> None:
    with LoopDisk(SIZE, mkfs_options=NO_RESERVE) as disk:
        storm = Storm(disk, tmp_path)
        disk.fill(MIB // 2, reserve_too=True)
        assert disk.free_bytes() < 8192
        with storm.daemon():
            assert storm.share() >= MARK
            storm.lowest = disk.free_bytes()
            storm.write(100)
        tell(storm)
        assert storm.errors == [], storm.told() + storm.said()


def test_a_disk_that_is_full_all_of_a_sudden_has_room_again_within_a_second(tmp_path: Path) -> None:
    with LoopDisk(SIZE, mkfs_options=NO_RESERVE) as disk:
        storm = Storm(disk, tmp_path)
        with storm.daemon():
            inodes = os.statvfs(disk.path).f_favail - 1
            with disk.ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, disk.free_bytes() - MIB // 2)
            began = time.monotonic()
            while storm.freed_after is None and time.monotonic() < began + 20:
                inodes = storm.watch(inodes)
                time.sleep(0.002)
            storm.eventually(lambda: storm.share() >= 0.3)
        tell(storm)
        assert storm.lowest < MIB
        assert storm.freed_at_once, storm.told() + storm.said()


def test_a_disk_that_hovers_at_its_mark_does_not_bring_a_cycle_every_second(tmp_path: Path) -> None:
    """Each cycle brings it just back to the mark, and it falls below at once, for twenty seconds."""
    with LoopDisk(SIZE, mkfs_options=NO_RESERVE) as disk:
        storm = Storm(disk, tmp_path)
        storm.machine.config.write_text(KEEP_FREE.replace(", until: 30%", ""))
        disk.fill(int(0.205 * storm.total))
        with storm.daemon():
            began = time.monotonic()
            storm.write(20, rate=1, pieces=16)
            took = time.monotonic() - began
        cycles = storm.said().count(" cycle (")
        tell(storm)
        assert 2 <= cycles <= 5 * max(1, took / 20), storm.said()
        assert storm.lowest > 0.1 * storm.total, storm.told()


def ended(storm: Storm) -> int:
    """Page faults of all workers that have ended: they grow with each."""
    found = 0
    for pid in tree(storm.pid):
        with suppress(OSError):  # one that has ended by now
            found += int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[8])
    return found


def test_nor_does_one_who_writes_when_nobody_has_looked_for_a_while(tmp_path: Path) -> None:
    """The cycles before rest on an earlier look; what is at hand for first aid is kept up all the same."""
    with LoopDisk(SIZE, mkfs_options=NO_RESERVE) as disk:
        storm = Storm(disk, tmp_path)
        storm.machine.config.write_text(KEEP_FREE.replace("1h", "2s"))
        with storm.daemon():
            since, before = time.monotonic(), ended(storm)
            while time.monotonic() < since + 10:
                time.sleep(0.2)
                if (now := ended(storm)) != before:
                    since, before = time.monotonic(), now
                assert len(storm.said().splitlines()) < 60, "somebody looks all the time"
            storm.write(170)
        tell(storm)
        assert storm.errors == [], storm.told() + storm.said()
        assert storm.freed_at_once, storm.told() + storm.said()
        assert "filled up, first aid)" in storm.said()
