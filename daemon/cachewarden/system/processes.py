"""Who runs, and who holds what, by ``/proc``."""

import os
import time
from collections.abc import Iterator

import psutil

from cachewarden.system.ports import Process

_FRESH = 0.2

class RealProcesses:
    """What ``/proc`` lets this process see; what it hides cannot be known here.

    An answer serves for ``_FRESH`` seconds: guards ask before every single removal.
    """

    def __init__(self) -> None:
        """Nothing is looked at before it is asked for."""
        self._running: tuple[float, tuple[Process, ...]] = (-_FRESH, ())
        self._open: tuple[float, int, frozenset[str]] = (-_FRESH, -1, frozenset())
        self._locked: tuple[float, frozenset[int]] = (-_FRESH, frozenset())

    def running(self) -> tuple[Process, ...]:
        """All processes but our own and our parent, with their argument lists."""
        if time.monotonic() - self._running[0] > _FRESH:
            self._running = (time.monotonic(), tuple(_running()))
        return self._running[1]

    def open_files(self, uid: int) -> frozenset[str]:
        """Regular files that processes of ``uid`` hold open."""
        if time.monotonic() - self._open[0] > _FRESH or self._open[1] != uid:
            self._open = (time.monotonic(), uid, frozenset(_open_files(uid)))
        return self._open[2]

    def locked_inodes(self) -> frozenset[int]:
        """From ``/proc/locks``; empty where it is hidden."""
        if time.monotonic() - self._locked[0] > _FRESH:
            self._locked = (time.monotonic(), frozenset(_locked_inodes()))
        return self._locked[1]


def _running() -> Iterator[Process]:
    own = {os.getpid(), os.getppid()}
    for item in psutil.process_iter():
        if item.pid in own:
            continue
        try:
            with item.oneshot():
                arguments = tuple(item.cmdline())
                yield Process(item.pid, item.uids().real, item.name(), arguments)
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or hidden from us


def _open_files(uid: int) -> Iterator[str]:
    own = os.getpid()
    for item in psutil.process_iter():
        try:
            if item.pid != own and item.uids().real == uid:
                yield from (opened.path for opened in item.open_files())
        except (psutil.Error, OSError):
            continue


def _locked_inodes() -> Iterator[int]:
    try:
        with open("/proc/locks", encoding="ascii") as lines:
            for line in lines:
                yield from _locked_inode(line)
    except OSError:
        return


def _locked_inode(line: str) -> list[int]:
    """``1: POSIX  ADVISORY  WRITE 812 08:01:131 0 EOF`` -> ``[131]``; waiting lockers carry an arrow."""
    for field in line.split():
        parts = field.split(":")
        if len(parts) == 3 and parts[2].isdigit():
            return [int(parts[2])]
    return []
