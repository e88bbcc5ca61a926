"""How the service gets a look or a purge done: in this process for the caller, or by workers of the launcher."""

import json
import os
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from cachewarden.model.caches import Filesystem, Look, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import Outcome, Purge, RemovedEntry
from cachewarden.model.relocations import Errand, Moved, MoveOrder
from cachewarden.service import moving, worker
from cachewarden.service.collecting import Collector, Message
from cachewarden.service.talking import (
    STOP_SECONDS_OF_A_MOVE,
    Hooks,
    Job,
    follow,
    hear_moves,
    next_message,
    send_purge,
)
from cachewarden.service.vouching import Voucher
from cachewarden.service.wire import Channel, decoder, encoder
from cachewarden.service.worker import BY_HAND, LIMITS, MOST_MENDED, Whom
from cachewarden.system.files import RealFiles
from cachewarden.system.launcher import MESSAGE_LIMIT, NOT_STARTED, STILL_THERE, VERSION
from cachewarden.system.runas import Limits

_OWNERS_SECONDS = 60
"""For a user database that is asked over a network."""
_MESSAGE_SECONDS = 10.0
_GRACE_SECONDS = 5.0
_CHECK_SECONDS = 300.0


class Workers(Protocol):
    """Gets the parts of a cycle done as the owners they concern. WorkerError costs one owner's part."""

    def owners(self) -> tuple[Owner, ...]:
        """Everybody who may be served."""
        ...

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        """What the owner has."""
        ...

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        """What there is to know of what stands in the owner's way."""
        ...

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        """Mends the rights in the owner's shared caches."""
        ...

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        """Carries a purge out, as the owner of its cache. Never raises WorkerError: what went is in the outcome."""
        ...

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        """Does an errand about the owner's moves."""
        ...


_Answer = TypeVar("_Answer")


def _hear_facts(hear: Callable[[], Message]) -> tuple[Fact, ...]:
    from cachewarden.examine import MOST_FACTS

    word, value = hear()
    if word != "facts":
        raise WorkerError(f"an unexpected word, {word[:80]!r}")
    found: tuple[Fact, ...] = decoder(tuple[Fact, ...])(value)
    return found[:MOST_FACTS]


def _hear_mended(hear: Callable[[], Message]) -> tuple[Mended, ...]:
    word, value = hear()
    if word != "mended":
        raise WorkerError(f"an unexpected word, {word[:80]!r}")
    done: tuple[Mended, ...] = decoder(tuple[Mended, ...])(value)
    return done[:MOST_MENDED]


class LocalWorkers:
    """User mode: one owner, this process, the caller's own environment."""

    def __init__(self, whom: Callable[[], Whom]) -> None:
        """``whom`` tells the caller, with what the configuration says by now."""
        self._whom = whom

    def owners(self) -> tuple[Owner, ...]:
        """The caller."""
        return (self._whom().owner,)

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        """In this process: there is one owner."""
        hooks.beat()
        return worker.look(replace(self._whom(), owner=owner))

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        """In this process."""
        hooks.beat()
        return worker.examine(replace(self._whom(), owner=owner))

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        """In this process."""
        hooks.beat()
        return worker.mend(replace(self._whom(), owner=owner))

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        """In this process."""
        reply = worker.purge(self._whom(), action, may_go_on=hooks.may_go_on, progress=hooks.progress)
        return reply.outcome, reply.filesystem

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        """In this process, with all the rights of the caller."""
        whom = replace(self._whom(), owner=owner)
        return moving.move(whom, order, may_go_on=hooks.may_go_on, progress=hooks.moving)


class LaunchedWorkers:
    """System mode, and the daemon: workers forked by the launcher, which drops to the owner first."""

    def __init__(self, launcher: socket.socket, limits: Mapping[str, Limits] = LIMITS) -> None:
        """``launcher`` is the service's end of its socket, ``limits`` what it allows each kind of work."""
        self._launcher = launcher
        self._limits = limits
        self._voucher = Voucher(RealFiles())
        self._number = 0
        self._ended: dict[int, int] = {}
        self._spent: dict[int, float] = {}  # seconds that the purges of each owner took in this cycle

    @property
    def launcher(self) -> socket.socket:
        """To be polled by the daemon: it ends when the launcher dies."""
        return self._launcher

    def owners(self) -> tuple[Owner, ...]:
        """As the launcher finds them. Each cycle asks once, and its time begins here."""
        self._spent.clear()
        self._request({"op": "owners"})
        found: list[Owner] = []
        deadline = time.monotonic() + _OWNERS_SECONDS
        while time.monotonic() < deadline:
            answer = self._hear(1.0)
            if answer and answer.get("op") == "owners":
                found.extend(Owner(**each) for each in answer["owners"])
                if not answer["more"]:
                    return tuple(found)
        raise WorkerError("the launcher does not say whom it serves")

    def start(self, owner: Owner, work: str) -> Job:
        """Has a worker forked for ``owner`` that does one kind of ``work``; the launcher knows what it may take."""
        self._number += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._request({"op": "start", "number": self._number, "uid": owner.uid, "work": work}, theirs)
        ours.settimeout(_MESSAGE_SECONDS)  # one that does not listen cannot make us wait either
        seconds = self._limits[work].seconds
        until = float("inf") if seconds is None else time.monotonic() + seconds + _GRACE_SECONDS
        return Job(self._number, ours, Channel(ours), until)

    def kill(self, job: Job) -> None:
        """Ends a worker at once."""
        self._request({"op": "kill", "number": job.number})
        job.close()

    def notice(self) -> dict[int, int]:
        """Workers that have ended since, by number, with their exit status."""
        self.listen()
        ended, self._ended = self._ended, {}
        return ended

    def listen(self) -> None:
        """Takes in what the launcher says; WorkerError when it has died."""
        while self._hear(0.0):
            pass

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        """By a worker of ``owner``."""
        return self._ask(owner, "look", lambda hear: self._voucher.look(owner, Collector(owner).collect(hear)), hooks)

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        """By a worker of ``owner``."""
        return self._ask(owner, "examine", _hear_facts, hooks)

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        """By a worker of ``owner``, who is told nothing but the word."""
        return self._ask(owner, "mend", _hear_mended, hooks)

    def _ask(
        self,
        owner: Owner,
        work: str,
        take: Callable[[Callable[[], Message]], _Answer],
        hooks: Hooks,
        about: str | None = None,
    ) -> _Answer:
        """Has a worker do ``work`` and ``take`` its answer; WorkerError when it fails, in whatever way."""
        job = self.start(owner, work)  # only a dead launcher fails here: nothing can go on then
        try:
            job.channel.send(work, about)
            return take(lambda: next_message(job, hooks))
        except (OSError, WorkerError, MemoryError) as error:
            why = self._never_started(job) or str(error) or "it told too much"
            self.kill(job)
            raise WorkerError(f"the worker of {owner.name} failed: {why}") from error
        finally:
            job.close()

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        """By a worker of the cache's owner; asked to stop when ``hooks.may_go_on`` says no.

        All purges of an owner get the time of one: there may be a thousand caches, and workers that hang in each.
        """
        uid, limit = action.cache.owner.uid, self._limits["purge"].seconds
        if limit is not None and self._spent.get(uid, 0.0) >= limit:
            return worker.failed_purge(action, "the purges of its owner have had their time in this cycle", ()), None
        began = time.monotonic()
        try:
            return self._purge(action, hooks)
        finally:
            self._spent[uid] = self._spent.get(uid, 0.0) + time.monotonic() - began

    def _purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        gone: list[RemovedEntry] = []
        try:
            job = self.start(action.cache.owner, "purge")
        except (OSError, WorkerError) as error:
            return worker.failed_purge(action, f"its worker could not be started: {error}", ()), None
        try:
            send_purge(job, action)
            reply = follow(job, action, hooks, gone)
            owner, told = action.cache.owner, reply.filesystem
            return reply.outcome, self._voucher.filesystem(owner, told) if told else None
        except (OSError, WorkerError, MemoryError) as error:
            why = str(error)
            with suppress(WorkerError):  # a dead launcher is noticed by the next request; what went must be told now
                why = self._never_started(job) or why
                self.kill(job)
            return worker.failed_purge(action, f"its worker failed: {why}", tuple(gone)), None
        finally:
            job.close()

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        """By a worker of ``owner`` that may write; asked to stop when ``hooks.may_go_on`` says no.

        Where only root can make the destination, and all else was found in order, root makes it and it begins anew.
        """
        moved = self._move(owner, order, hooks)
        from cachewarden.service import placing

        if order.errand is not Errand.RELOCATE or not placing.wants_root(moved) or not hooks.may_go_on():
            return moved
        why = self._place(owner, order.to.rstrip("/"), hooks)
        return placing.refused(moved, why) if why else self._move(owner, order, hooks)

    def _place(self, owner: Owner, to: str, hooks: Hooks) -> str:
        """By a worker of uid 0 that may give a folder away; why it did not."""
        from cachewarden.service import placing

        if "place" not in self._limits:
            return "in user mode there is nobody to do that"
        try:
            return self._ask(owner, "place", placing.hear_placed, hooks, to)
        except WorkerError as error:
            return str(error)

    def _move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        work = "move" if order.by_policy else BY_HAND
        job = self.start(owner, work)
        if order.errand is Errand.CHECK:
            # Only looked at: with whom nobody waits for that takes no longer than a look does.
            job.until = min(job.until, time.monotonic() + _CHECK_SECONDS) if order.by_policy else job.until
        else:
            job.stop_seconds = STOP_SECONDS_OF_A_MOVE
        try:
            job.channel.send(work, encoder(MoveOrder)(order))
            return hear_moves(job, hooks)
        except (OSError, WorkerError, MemoryError) as error:
            why = self._never_started(job) or str(error)
            self.kill(job)
            raise WorkerError(f"the worker of {owner.name} failed: {why}") from error
        finally:
            job.close()

    def _never_started(self, job: Job) -> str | None:
        """Why there was no worker at all, if there was none."""
        self.listen()
        return {
            NOT_STARTED: "it could not be started now",
            STILL_THERE: "an earlier one still hangs (an unreachable disk?), so no other was started",
        }.get(self._ended.get(job.number, 0))

    def _request(self, request: dict[str, object], attached: socket.socket | None = None) -> None:
        data = json.dumps({"v": VERSION, **request}).encode()
        try:
            socket.send_fds(self._launcher, [data], [attached.fileno()] if attached else [])
        except OSError as error:
            raise WorkerError(f"the launcher is gone: {os.strerror(error.errno or 0)}") from error

    def _hear(self, seconds: float) -> dict[str, Any] | None:
        """One message of the launcher, which is ours and believed; WorkerError when it has died."""
        poll = select.poll()
        poll.register(self._launcher, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return None
        data = self._launcher.recv(MESSAGE_LIMIT)
        if not data:
            raise WorkerError("the launcher has died")
        message: dict[str, Any] = json.loads(data)
        if message.get("op") == "ended":
            self._ended[int(message["number"])] = int(message["status"])
        return message
