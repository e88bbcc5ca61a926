"""Who runs, and who holds what, by ``/proc``."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from cachewarden.model.text import printable
from cachewarden.system.ports import Opened, Process

_FRESH = 0.2
_STATUS = 4096
_ARGUMENTS, _LEAST_ARGUMENTS, _ALL_ARGUMENTS = 8192, 256, 32 << 20
"""Bytes of one command line that are looked at, when there are too many, and of all: tools are named at the start."""
_NAME = 64
_MOST_OPENED = 20_000
_Seen = TypeVar("_Seen")


def began(pid: int) -> int | None:
    """When a process began, in ticks since the machine did (proc(5), ``starttime``); ``None`` when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read(_STATUS).rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


class _Answer(Generic[_Seen]):
    """What was seen, for a while: guards ask before every single removal.

    It serves for ``_FRESH`` seconds, or ``patience`` times as long as looking took: else a slow machine would do
    nothing but look.
    """

    def __init__(self, look: Callable[[], _Seen], patience: float) -> None:
        self._look = look
        self._patience = patience
        self._until = float("-inf")
        self._seen: _Seen

    def get(self) -> _Seen:
        begin = time.monotonic()
        if begin > self._until:
            self._seen = self._look()
            end = time.monotonic()
            self._until = end + max(_FRESH - (end - begin), self._patience * (end - begin))
        return self._seen


class RealProcesses:
    """What ``/proc`` lets this process see; what it hides cannot be known here."""

    def __init__(self) -> None:
        """Nothing is looked at before it is asked for."""
        # A tool takes longer to start than this is out of date; what is open matters for old debris only.
        self._running = _Answer(lambda: tuple(_running()), patience=1)
        self._locked = _Answer(lambda: frozenset(_locked_inodes()), patience=1)
        self._open: dict[int, _Answer[frozenset[str]]] = {}
        self._opened: dict[tuple[int, str], _Answer[tuple[Opened, ...]]] = {}

    def running(self) -> tuple[Process, ...]:
        """All processes but our own and our parent, with their argument lists."""
        return self._running.get()

    def open_files(self, uid: int) -> frozenset[str]:
        """Regular files that processes of ``uid`` hold open."""
        if uid not in self._open:
            self._open[uid] = _Answer(lambda: frozenset(_open_files(uid)), patience=10)
        return self._open[uid].get()

    def opened(self, uid: int, below: str) -> tuple[Opened, ...]:
        """Regular files that processes of ``uid`` opened below a folder, those without a name left among them."""
        key = uid, below
        if key not in self._opened:
            self._opened[key] = _Answer(lambda: tuple(islice(_opened(*key), _MOST_OPENED)), patience=10)
        return self._opened[key].get()

    def locked_inodes(self) -> frozenset[int]:
        """From ``/proc/locks``; empty where it is hidden."""
        return self._locked.get()


def _running() -> Iterator[Process]:
    """Read by hand: any user can have a command line of gigabytes, and psutil reads it whole."""
    own = {os.getpid(), os.getppid()}
    left = _ALL_ARGUMENTS
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in own:
            continue
        try:
            status = _start_of(f"/proc/{name}/status", _STATUS)
            arguments = _start_of(f"/proc/{name}/cmdline", min(_ARGUMENTS, max(left, _LEAST_ARGUMENTS)))
            left -= len(arguments)
            yield _process(int(name), status, arguments)
        except (OSError, ValueError):
            continue  # gone meanwhile, or hidden from us


def _start_of(path: str, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def _process(pid: int, status: bytes, arguments: bytes) -> Process:
    """From the first lines of ``status`` (proc(5)) and the start of the command line; ValueError without a uid."""
    # Each worker reads this of every process there is: the lines in between are not looked at.
    first, _, rest = status.partition(b"\n")
    words = arguments.rstrip(b"\0").split(b"\0") if arguments else []
    uid = int(rest.partition(b"\nUid:\t")[2].partition(b"\t")[0])
    return Process(pid, uid, os.fsdecode(first.partition(b":\t")[2]), tuple(map(os.fsdecode, words)))


def _open_files(uid: int) -> Iterator[str]:
    import psutil

    own = os.getpid()
    for item in psutil.process_iter():
        try:
            if item.pid != own and item.uids().real == uid:
                yield from (opened.path for opened in item.open_files())
        except (psutil.Error, OSError):
            continue


def _opened(uid: int, below: str) -> Iterator[Opened]:
    """With the numbers of inodes, which a name that was changed since does not hide."""
    own, below = str(os.getpid()), below.rstrip("/") + "/"
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or pid == own:
            continue
        try:
            if os.stat(f"/proc/{pid}").st_uid != uid:
                continue
            numbers = os.listdir(f"/proc/{pid}/fd")
            name = printable(os.fsdecode(_start_of(f"/proc/{pid}/comm", _NAME)).rstrip("\n"))
        except OSError:
            continue  # gone meanwhile, or hidden from us
        for number in numbers:
            if found := _regular(f"/proc/{pid}/fd/{number}", below):
                yield Opened(*found, int(pid), name)


def _regular(link: str, below: str) -> tuple[str, os.stat_result] | None:
    """Where a descriptor was opened and its ``fstat``, of a regular file. What is elsewhere may hang: not asked."""
    try:
        path = os.readlink(link)
        if not path.startswith(below):
            return None
        status = os.stat(link)
    except OSError:
        return None
    return (path, status) if stat.S_ISREG(status.st_mode) else None


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
