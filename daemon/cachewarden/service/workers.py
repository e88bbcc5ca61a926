"""How the service gets a look or a purge done: by workers of the launcher."""

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from cachewarden.model.caches import Filesystem, Look, MeasuredCache, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import Outcome, Purge, RemovedEntry
from cachewarden.model.relocations import Errand, Moved, MoveOrder
from cachewarden.service import worker
from cachewarden.service.collecting import Collector
from cachewarden.service.earlier import KnownOf, nothing_known
from cachewarden.service.fleet import Bounds, Ended, Fleet, Task, Verdict, bounds_for
from cachewarden.service.hooks import Hooks
from cachewarden.service.precedence import Precedence
from cachewarden.service.talking import (
    STOP_SECONDS_OF_A_MOVE,
    Job,
    follow,
    hear_moves,
    next_message,
    tell_purge,
)
from cachewarden.service.telling import SEEN, tell_caches
from cachewarden.service.vouching import Voucher
from cachewarden.service.wire import Channel, Message, decoder, encoder, frame
from cachewarden.service.worker import BY_HAND, LIMITS, MOST_MENDED, PurgeReply
from cachewarden.system.files import RealFiles
from cachewarden.system.launcher import MESSAGE_LIMIT, NOT_STARTED, STILL_THERE, VERSION
from cachewarden.system.machine import memory, processors
from cachewarden.system.runas import Limits

_OWNERS_SECONDS = 60
"""For a user database that is asked over a network."""
_MESSAGE_SECONDS = 10.0
_GRACE_SECONDS = 5.0
_CHECK_SECONDS = 300.0
_NEVER_STARTED = {
    NOT_STARTED: "it could not be started now",
    STILL_THERE: "an earlier one still hangs (an unreachable disk?), so no other was started",
}


Gone = Callable[[Purge, RemovedEntry], None]
Purged = tuple[Purge, Outcome, Filesystem | None]
_Answer = TypeVar("_Answer")


class Workers(Protocol):
    """Gets the parts of a cycle done as the owners they concern. WorkerError costs one owner's part."""

    def owners(self) -> tuple[Owner, ...]:
        """Everybody who may be served."""
        ...

    def look_at_all(
        self, owners: Sequence[Owner], hooks: Hooks, known: KnownOf = nothing_known
    ) -> Iterator[tuple[Owner, Look | WorkerError]]:
        """What the owners have, in whatever order it comes, or why that of one is not to be had.

        None for those to whom nobody came before ``hooks.may_go_on`` said no. ``known``: what earlier looks found.
        """
        ...

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        """What there is to know of what stands in the owner's way."""
        ...

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        """Mends the rights in the owner's shared caches."""
        ...

    def purge_all(self, actions: Sequence[Purge], hooks: Hooks, gone: Gone) -> Iterator[Purged]:
        """Carries purges out, each as the owner of its cache, those of one owner in their order.

        Never raises WorkerError: what went is in the outcomes, which come as they come. ``gone`` is told of each
        entry at once. Nothing for those to whom nobody came before ``hooks.may_go_on`` said no.
        """
        ...

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        """Does an errand about the owner's moves."""
        ...


def tell_known(known: Callable[[], tuple[MeasuredCache, ...]]) -> Iterator[bytes]:
    """The request for a look; what is known is read only when its worker is there."""
    caches = known()
    yield frame("look", bool(caches))
    if caches:
        yield from tell_caches(caches)
        yield frame(SEEN)


def look_at(workers: Workers, owner: Owner, hooks: Hooks) -> Look:
    """What one owner has; WorkerError when that is not to be had."""
    for _, seen in workers.look_at_all([owner], hooks):
        if isinstance(seen, WorkerError):
            raise seen
        return seen
    raise WorkerError("it was asked to stop")


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


class LaunchedWorkers:
    """System mode, and the daemon: workers forked by the launcher, which drops to the owner first."""

    def __init__(
        self, launcher: socket.socket, limits: Mapping[str, Limits] = LIMITS, bounds: Bounds | None = None
    ) -> None:
        """``launcher`` is the service's end of its socket, ``limits`` what it allows each kind of work.

        ``bounds``: how many look and purge at once, unless as fits this machine.
        """
        self._launcher = launcher
        self._limits = limits
        self._voucher = Voucher(RealFiles())
        self._bounds = bounds or bounds_for(processors(), memory())
        self._precedence = Precedence()
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

    def look_at_all(
        self, owners: Sequence[Owner], hooks: Hooks, known: KnownOf = nothing_known
    ) -> Iterator[tuple[Owner, Look | WorkerError]]:
        """By a worker of each owner, several at once; whom nobody came to is first the next time."""
        left = {owner.uid: owner for owner in owners}
        tasks = [self._look(owner, known) for owner in self._precedence.ordered(owners)]
        try:
            for ended in Fleet(self, tasks, hooks, self._bounds).run():
                owner = ended.task.owner
                del left[owner.uid]
                self._precedence.note(owner, ended.verdict)
                yield owner, self._answer(owner, ended)
        finally:
            for owner in left.values():
                self._precedence.note(owner, Verdict.UNREACHED)

    def _look(self, owner: Owner, known: KnownOf) -> Task[Look]:
        return Task(
            owner,
            lambda: self.start(owner, "look"),
            tell_known(lambda: known(owner)),
            Collector(owner).collect(),
            lambda hurried: self._precedence.patience(owner, hurried=hurried),
        )

    def _answer(self, owner: Owner, ended: Ended[Look]) -> Look | WorkerError:
        if ended.answer is None:
            return WorkerError(f"the worker of {owner.name} failed: {ended.error}")
        try:
            return self._voucher.look(owner, ended.answer)
        except (OSError, MemoryError) as error:
            return WorkerError(f"what the worker of {owner.name} told could not be vouched for: {error}")

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
            why = self._why(job, str(error) or "it told too much")
            self.kill(job)
            raise WorkerError(f"the worker of {owner.name} failed: {why}") from error
        finally:
            job.close()

    def purge_all(self, actions: Sequence[Purge], hooks: Hooks, gone: Gone) -> Iterator[Purged]:
        """By workers of the caches' owners, several at once; asked to stop when ``hooks.may_go_on`` says no.

        All purges of an owner get the time of one: there may be a thousand caches, and workers that hang in each.
        """
        went: dict[int, tuple[Purge, list[RemovedEntry]]] = {}
        tasks = [self._purge(action, gone, went) for action in actions]
        for ended in Fleet(self, tasks, hooks, self._bounds).run():
            owner = ended.task.owner
            hung = ended.verdict is Verdict.HUNG
            self._spent[owner.uid] = float("inf") if hung else self._spent.get(owner.uid, 0.0) + ended.seconds
            action, removed = went[id(ended.task)]
            if ended.answer is None:
                yield action, worker.failed_purge(action, f"its worker failed: {ended.error}", tuple(removed)), None
                continue
            told = ended.answer.filesystem
            yield action, ended.answer.outcome, self._voucher.filesystem(owner, told) if told else None

    def _purge(
        self, action: Purge, gone: Gone, went: dict[int, tuple[Purge, list[RemovedEntry]]]
    ) -> Task[PurgeReply]:
        owner, removed = action.cache.owner, list[RemovedEntry]()
        task = Task(
            owner,
            lambda: self._start_purge(owner),
            tell_purge(action),
            follow(action, partial(gone, action), removed),
        )
        went[id(task)] = action, removed
        return task

    def _start_purge(self, owner: Owner) -> Job:
        limit, spent = self._limits["purge"].seconds, self._spent.get(owner.uid, 0.0)
        if limit is not None and spent >= limit:
            why = "an earlier one hangs" if spent == float("inf") else "its owner's have had their time in this cycle"
            raise WorkerError(why)
        return self.start(owner, "purge")

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
            why = self._why(job, str(error))
            self.kill(job)
            raise WorkerError(f"the worker of {owner.name} failed: {why}") from error
        finally:
            job.close()

    def never_started(self, job: Job) -> tuple[str, bool] | None:
        """Why there was no worker at all, if there was none, and whether an earlier one hangs."""
        self.listen()
        status = self._ended.get(job.number, 0)
        return (_NEVER_STARTED[status], status == STILL_THERE) if status in _NEVER_STARTED else None

    def _why(self, job: Job, error: str) -> str:
        never = self.never_started(job)
        return never[0] if never else error

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
