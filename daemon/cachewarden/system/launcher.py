"""The launcher: the one process that can become somebody, single-threaded and small.

It takes three requests from the service, each a short JSON text on a socket that keeps message borders: ``owners``
(who may be served), ``start`` (fork a worker for one of them, its end of the channel attached) and ``kill``. It
answers ``owners`` and says when a worker has ended. The service may have been taken over by somebody: whom it may
become and how long a worker may take the launcher finds out itself, never from a request, and a worker does the one
kind of work it was started for.
"""

import gc
import json
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from cachewarden.model.caches import Owner
from cachewarden.system.runas import Limits, be_launcher, become

VERSION = 2
REQUEST_LIMIT = 256
MESSAGE_LIMIT = 1 << 17
_OWNERS_PER_MESSAGE = 100
_MOST_WORKERS, _MOST_HANGING = 64, 128
"""Those at work, and those that were killed and cannot go: a dead server may hold a hundred homes."""
_MOST_OF_ONE_OWNER = 3
"""A watcher, one that looks or purges, and one that gives first aid while the other looks."""
_DYING = 0.5
"""Seconds that a worker at its end gets to be gone. One that hangs in the kernel (a dead mount) is not waited for."""
_LARGEST = 1 << 53
_NEVER = float("inf")
_LONGEST_POLL = 3_600_000
_LAST_WAIT = 2.0
_CREDENTIALS = struct.Struct("iii")
"""``struct ucred``: pid, uid, gid (unix(7))."""
NOT_STARTED, STILL_THERE = -1000, -1001
"""Statuses of workers that never were: refused, and refused since an earlier one of this owner cannot be ended."""

_FIELDS: Mapping[str, Mapping[str, type]] = {
    "owners": {},
    "kill": {"number": int},
    "start": {"number": int, "uid": int, "work": str},
}

Work = Callable[[Owner, socket.socket, str], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """``owners`` tells whom the launcher may become; ``work`` is what a worker does, imported before any fork.

    ``limits`` holds the kinds of work there are. ``switch``: workers become their owners (system mode).
    ``service`` is the user that launcher and service are, ``None`` for the caller.
    """

    owners: Callable[[], list[Owner]]
    work: Work
    limits: Mapping[str, Limits]
    switch: bool
    service: Owner | None = None


@dataclass(slots=True)
class _Child:
    number: int
    uid: int
    pid: int
    pidfd: int
    deadline: float
    killed: float | None = None
    """When, if it was."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What the service may ask for, field by field; ValueError for anything else."""

    operation: str
    number: int = 0
    uid: int = 0
    work: str = ""

    @staticmethod
    def parse(data: bytes) -> "_Request":
        plain = json.loads(str(data, "ascii"))  # of bytes, json would guess the encoding
        if not isinstance(plain, dict) or plain.pop("v", None) != VERSION:
            raise ValueError("not a request of this version")
        operation = plain.pop("op", None)
        fields = _FIELDS.get(operation) if isinstance(operation, str) else None
        if fields is None or plain.keys() != fields.keys():
            raise ValueError("not a request")
        for name, value in plain.items():
            if type(value) is not fields[name] or (isinstance(value, int) and not 0 <= value < _LARGEST):
                raise ValueError(f"not a {name}")
        return _Request(operation, **plain)


class Launcher:
    """Serves one service until its socket closes; then every worker is killed."""

    def __init__(self, channel: socket.socket, rules: Rules) -> None:
        """``channel`` leads to the service."""
        self._channel = channel
        self._rules = rules
        self._children: dict[int, _Child] = {}
        self._roster: dict[int, Owner] | None = None
        self._pid = os.getpid()
        self._in_vain: set[int] = set()
        """Owners whose workers did not go while a new one waited, and none has gone since."""

    def serve(self) -> None:
        """Until the service closes its end."""
        try:
            while self._turn():
                pass
        finally:
            self._end_all()

    def _end_all(self) -> None:
        """One that hangs in the kernel cannot be waited for."""
        for child in self._children.values():
            self._kill(child)
        until = time.monotonic() + _LAST_WAIT
        while self._children and time.monotonic() < until:
            self._reap_ended(self._ready(_LAST_WAIT * 1000, listen=False))

    def _ready(self, milliseconds: float | None, *, listen: bool) -> set[int]:
        poll = select.poll()
        if listen:
            poll.register(self._channel.fileno(), select.POLLIN)
        for child in self._children.values():
            poll.register(child.pidfd, select.POLLIN)
        return {fd for fd, _ in poll.poll(milliseconds)}

    def _turn(self) -> bool:
        ready = self._ready(self._patience(), listen=True)
        self._reap_ended(ready)
        for child in self._children.values():
            if time.monotonic() > child.deadline:
                self._kill(child)
        return self._channel.fileno() not in ready or self._hear()

    def _reap_ended(self, ready: set[int]) -> None:
        for child in list(self._children.values()):
            if child.pidfd in ready:
                self._reap(child)

    def _patience(self) -> int | None:
        """Milliseconds to the next deadline."""
        nearest = min((child.deadline for child in self._children.values()), default=_NEVER)
        if nearest == _NEVER:
            return None
        return max(0, min(int((nearest - time.monotonic()) * 1000) + 1, _LONGEST_POLL))

    def _hear(self) -> bool:
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._channel, REQUEST_LIMIT, 1)
        except ConnectionError:
            return False
        try:
            if not data:
                return False
            with suppress(ValueError, RecursionError):  # nonsense is not answered
                if not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                    self._obey(_Request.parse(data), descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _obey(self, request: _Request, descriptors: list[int]) -> None:
        if request.operation == "owners":
            self._tell_owners()
        elif request.operation == "kill":
            if child := self._children.get(request.number):
                self._kill(child)
        elif descriptors and _is_a_channel(descriptors[0]):
            self._start(request, descriptors[0])

    def _tell_owners(self) -> None:
        """Asked for anew by each cycle; between two, only those that were found then get a worker."""
        found = self._rules.owners()
        self._roster = {owner.uid: owner for owner in found}
        plain = [{"uid": each.uid, "gid": each.gid, "name": each.name, "home": each.home} for each in found]
        for start in range(0, max(len(plain), 1), _OWNERS_PER_MESSAGE):
            part = plain[start : start + _OWNERS_PER_MESSAGE]
            self._answer({"op": "owners", "owners": part, "more": start + _OWNERS_PER_MESSAGE < len(plain)})

    def _start(self, request: _Request, descriptor: int) -> None:
        if self._roster is None:
            self._roster = {owner.uid: owner for owner in self._rules.owners()}
        owner, limits = self._roster.get(request.uid), self._rules.limits.get(request.work)
        if owner is None or limits is None or request.number in self._children:
            self._ended(request.number, NOT_STARTED)
            return
        if refusal := self._refusal(owner):
            self._ended(request.number, refusal)
            return
        try:
            pid = os.fork()
        except OSError:  # no memory or no process to be had now: that worker's work waits
            self._ended(request.number, NOT_STARTED)
            return
        if pid == 0:
            self._be_worker(owner, limits, request.work, descriptor)
        deadline = _NEVER if limits.seconds is None else time.monotonic() + limits.seconds
        self._children[request.number] = _Child(request.number, owner.uid, pid, os.pidfd_open(pid), deadline)

    def _refusal(self, owner: Owner) -> int | None:
        """Why this owner gets no other worker. Those that have done their work, or were killed, get time to be gone.

        Once: whoever asks again and again must not keep everybody waiting. Where a killed one does not go, another
        one would hang as well; one that was killed long ago is not waited for at all.
        """
        until = time.monotonic() + (0 if owner.uid in self._in_vain else _DYING)
        while True:
            theirs = [child for child in self._children.values() if child.uid == owner.uid]
            killed = [child.killed for child in theirs if child.killed is not None]
            hangs = bool(killed)
            if not hangs and len(theirs) < _MOST_OF_ONE_OWNER and self._has_room():
                return None
            left = min([until, *(when + _DYING for when in killed)]) - time.monotonic()
            if left <= 0:
                self._in_vain.add(owner.uid)
                return STILL_THERE if hangs else NOT_STARTED
            self._reap_ended(self._ready(left * 1000, listen=False))

    def _has_room(self) -> bool:
        killed = sum(child.killed is not None for child in self._children.values())
        return killed < _MOST_HANGING and len(self._children) - killed < _MOST_WORKERS

    def _be_worker(self, owner: Owner, limits: Limits, work: str, descriptor: int) -> None:
        """Never returns."""
        status = 70
        try:
            for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(each, signal.SIG_DFL)
            become(owner, limits, switch=self._rules.switch, channel=descriptor, parent=self._pid)
            with socket.socket(fileno=descriptor) as channel:
                self._rules.work(owner, channel, work)
            status = 0
        finally:
            os._exit(status)

    def _kill(self, child: _Child) -> None:
        """The whole group: a worker starts nobody, but a hostile one might."""
        child.deadline = _NEVER
        child.killed = child.killed or time.monotonic()
        self._in_vain.discard(child.uid)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def _reap(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        os.close(child.pidfd)
        del self._children[child.number]
        self._in_vain.discard(child.uid)
        self._ended(child.number, os.waitstatus_to_exitcode(status))

    def _ended(self, number: int, status: int) -> None:
        self._answer({"op": "ended", "number": number, "status": status})

    def _answer(self, message: dict[str, object]) -> None:
        with suppress(OSError):  # a service that is gone, or does not listen, is noticed by the next reading
            self._channel.send(json.dumps(message).encode(), socket.MSG_DONTWAIT)


def _is_a_channel(descriptor: int) -> bool:
    """Whether it is one end of a pair that the service has made.

    A worker speaks into it with its owner's name, root's for one: it must not be led to some other listener.
    """
    copy = os.dup(descriptor)
    try:
        channel = socket.socket(fileno=copy)
    except OSError:  # no socket at all
        os.close(copy)
        return False
    with channel:
        try:
            if (channel.family, channel.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or channel.getpeername():
                return False
            peer = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return False
    return int(_CREDENTIALS.unpack(peer)[1]) in {0, os.geteuid()}


def fork_launcher(rules: Rules) -> socket.socket:
    """Forks the launcher off and returns the service's end of its socket. Call it before any thread starts.

    In system mode the caller still has all its rights afterwards: giving them up is its next step.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # What was imported until here stays shared between the processes: a collection would write to all of it.
    gc.collect()
    gc.freeze()
    if os.fork():
        theirs.close()
        return ours
    status = 70
    try:
        ours.close()
        # Signals are for the service, which closes the socket when it is done; Ctrl-C reaches the whole group.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        if rules.switch:
            be_launcher(rules.service)
        Launcher(theirs, rules).serve()
        status = 0
    finally:
        os._exit(status)
