"""The launcher: the one process that can become somebody, single-threaded and small.

It takes three requests from the service, each a short JSON text on a socket that keeps message borders: ``owners``
(who may be served), ``start`` (fork a worker for one of them, its end of the channel attached) and ``kill``. It
answers ``owners`` and says when a worker has ended. Whom it may become it finds out itself, never from a request.
"""

import json
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cachewarden.model.caches import Owner
from cachewarden.system.runas import become

MESSAGE_LIMIT = 1 << 20
_MOST_WORKERS = 64
_NEVER = float("inf")
_LONGEST_POLL = 3_600_000


@dataclass(slots=True)
class _Child:
    number: int
    pid: int
    pidfd: int
    deadline: float


class Launcher:
    """Serves one service until its socket closes; then every worker is killed."""

    def __init__(
        self,
        channel: socket.socket,
        owners: Callable[[], list[Owner]],
        work: Callable[[Owner, socket.socket], None],
        *,
        switch: bool,
    ) -> None:
        """``owners`` tells whom it may become; ``work`` is what a worker does, imported before any fork."""
        self._channel = channel
        self._owners = owners
        self._work = work
        self._switch = switch
        self._children: dict[int, _Child] = {}

    def serve(self) -> None:
        """Until the service closes its end."""
        try:
            while self._turn():
                pass
        finally:
            for child in list(self._children.values()):
                self._kill(child)
            for child in list(self._children.values()):
                self._reap(child)

    def _turn(self) -> bool:
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        for child in self._children.values():
            poll.register(child.pidfd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(self._patience())}
        for child in list(self._children.values()):
            if child.pidfd in ready:
                self._reap(child)
            elif time.monotonic() > child.deadline:
                self._kill(child)
        return self._channel.fileno() not in ready or self._request()

    def _patience(self) -> int | None:
        """Milliseconds to the next deadline."""
        nearest = min((child.deadline for child in self._children.values()), default=_NEVER)
        if nearest == _NEVER:
            return None
        return max(0, min(int((nearest - time.monotonic()) * 1000) + 1, _LONGEST_POLL))

    def _request(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._channel, MESSAGE_LIMIT, 1)
        except ConnectionError:
            return False
        if not data:
            return False
        try:
            request = json.loads(data)
            operation = request["op"]
            if operation == "start" and descriptors:
                self._start(int(request["number"]), int(request["uid"]), float(request["seconds"]), descriptors[0])
            elif operation == "kill":
                self._kill_number(int(request["number"]))
            elif operation == "owners":
                self._answer({"op": "owners", "owners": [_plain(owner) for owner in self._owners()]})
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return True  # nonsense is not answered
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _start(self, number: int, uid: int, seconds: float, descriptor: int) -> None:
        owner = next((each for each in self._owners() if each.uid == uid), None)
        in_order = math.isfinite(seconds) and number not in self._children
        if owner is None or not in_order or len(self._children) >= _MOST_WORKERS:
            self._answer({"op": "ended", "number": number, "status": -1})
            return
        try:
            pid = os.fork()
        except OSError:  # no memory or no process to be had now: that worker's work waits
            self._answer({"op": "ended", "number": number, "status": -1})
            return
        if pid == 0:
            self._be_worker(owner, descriptor)
        child = _Child(number, pid, os.pidfd_open(pid), time.monotonic() + min(max(seconds, 0.0), 1e9))
        self._children[number] = child

    def _be_worker(self, owner: Owner, descriptor: int) -> None:
        """Never returns."""
        status = 70
        try:
            for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(each, signal.SIG_DFL)
            become(owner, switch=self._switch, channel=descriptor)
            with socket.socket(fileno=descriptor) as channel:
                self._work(owner, channel)
            status = 0
        finally:
            os._exit(status)

    def _kill_number(self, number: int) -> None:
        child = self._children.get(number)
        if child:
            self._kill(child)

    def _kill(self, child: _Child) -> None:
        """The whole group: a worker starts nobody, but a hostile one might."""
        child.deadline = _NEVER
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def _reap(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        os.close(child.pidfd)
        del self._children[child.number]
        self._answer({"op": "ended", "number": child.number, "status": os.waitstatus_to_exitcode(status)})

    def _answer(self, message: dict[str, object]) -> None:
        with suppress(OSError):  # a service that is gone is noticed by the next reading
            self._channel.send(json.dumps(message).encode())


def _plain(owner: Owner) -> dict[str, object]:
    return {"uid": owner.uid, "gid": owner.gid, "name": owner.name, "home": owner.home}


def fork_launcher(
    owners: Callable[[], list[Owner]], work: Callable[[Owner, socket.socket], None], *, switch: bool
) -> socket.socket:
    """Forks the launcher off and returns the service's end of its socket. Call it before any thread starts."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
        Launcher(theirs, owners, work, switch=switch).serve()
        status = 0
    finally:
        os._exit(status)
