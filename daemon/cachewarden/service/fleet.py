"""Several workers at once, of which none keeps the others waiting for long. One process, one poll, no threads.

A worker has a slot. One that gives no sign of life for a moment, or has had a long turn while others wait, goes on
aside and gives its slot to the next; there is room for a few aside, and whoever needs that room most of all (silent
for long) is cut off first. So the number of workers is bounded, and so is the time that one can take from another.
"""

import select
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

from cachewarden.model.caches import Owner
from cachewarden.model.errors import WorkerError
from cachewarden.service.hooks import Hooks
from cachewarden.service.talking import BEAT, MESSAGE_SECONDS, MOST_BYTES, Job
from cachewarden.service.wire import HERE, Inbox, Message, frame

SILENT = 3.0
"""Seconds without a sign of life after which a worker goes on aside. One at work gives ten for each second of it."""
TURN = 20.0
"""Seconds after which one that is at work goes on aside when others wait."""
MAKES_ROOM, MAKES_ROOM_AT_LAST = 15.0, 60.0
"""Seconds of silence, and aside in all, after which one is cut off when others need its room."""
_ASK_AGAIN = 5.0
_SIGNS_A_SECOND, _SIGNS_TO_SPARE = 30, 300
_LEAST_SLOTS, _MOST_SLOTS = 2, 4
_MEMORY_OF_A_SLOT = 256 << 20

Answer = TypeVar("Answer")


class Verdict(Enum):
    """What came of a worker, for those who order the next queue."""

    DONE = "done"
    FAILED = "failed"
    UNREACHED = "unreached"
    LONG = "long"
    """Cut off while it was getting on."""
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many workers there are at most: ``slots`` take turns, ``aside`` are slow ones that go on beside them.

    ``dead``: seconds without a sign of life after which one is cut off, whoever waits.
    """

    slots: int
    aside: int
    dead: float = 30.0


def bounds_for(processors: int, memory: int) -> Bounds:
    """For a machine with so many processors and bytes of memory: a Pi of 512 MB has two slots."""
    slots = max(_LEAST_SLOTS, min(_MOST_SLOTS, processors, memory // _MEMORY_OF_A_SLOT + 1))
    return Bounds(slots, slots)


@dataclass(slots=True)
class Task(Generic[Answer]):
    """What one worker is asked, and the conversation that makes an answer of what it says.

    ``begin`` has the worker started; its WorkerError fails the task. ``patience``: seconds that it is waited for when
    only slow ones are left, once in a hurry and once not.
    """

    owner: Owner
    begin: Callable[[], Job]
    request: Iterator[bytes]
    answer: Generator[None, Message, Answer]
    patience: Callable[[bool], float] = lambda _: float("inf")


@dataclass(frozen=True, slots=True)
class Ended(Generic[Answer]):
    """A task that is over: its answer, or why there is none; ``seconds`` that it took."""

    task: Task[Answer]
    verdict: Verdict
    seconds: float
    answer: Answer | None = None
    error: str = ""


class Starter(Protocol):
    """Of ``LaunchedWorkers`` what is needed here."""

    def kill(self, job: Job) -> None:
        """Ends a worker at once."""
        ...

    def never_started(self, job: Job) -> tuple[str, bool] | None:
        """Why there was no worker at all, if there was none, and whether an earlier one hangs."""
        ...


@dataclass(slots=True)
class _Talk(Generic[Answer]):
    task: Task[Answer]
    job: Job
    inbox: Inbox
    began: float
    heard: float
    waiting: bytes = b""
    is_sent: bool = False
    has_ended: bool = False
    aside: float | None = None
    incomplete: float | None = None
    signs: int = 0
    after: list[bytes] = field(default_factory=list)

    def is_slow(self, now: float) -> bool:
        return self.aside is not None or now - self.heard > SILENT or now - self.began > TURN


class Fleet(Generic[Answer]):
    """Has tasks done, in their order, and one of each owner at a time."""

    def __init__(
        self,
        starter: Starter,
        tasks: Iterable[Task[Answer]],
        hooks: Hooks,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.monotonic,
        beat: float = BEAT,
    ) -> None:
        """``clock`` tells seconds that only grow; ``beat`` is how long nothing is waited for without asking hooks."""
        self._starter = starter
        self._queue = list(tasks)
        self._hooks = hooks
        self._bounds = bounds
        self._clock = clock
        self._beat = beat
        self._talks: list[_Talk[Answer]] = []
        self._stops = False
        self._only_slow: float | None = None
        self._hurries = False
        self._asked = 0.0

    def run(self) -> Iterator[Ended[Answer]]:
        """What comes of the tasks, as they end. None is begun once ``hooks.may_go_on`` says no."""
        try:
            while self._queue or self._talks:
                self._hooks.beat()
                self._pass_stop_on()
                yield from self._start_some()
                ready = self._wait()
                for talk in list(self._talks):
                    if ended := self._turn(talk, ready.get(talk.job.stream.fileno(), 0)):
                        yield ended
                yield from self._judge()
        finally:
            for talk in self._talks:
                with suppress(WorkerError):
                    self._starter.kill(talk.job)

    def _pass_stop_on(self) -> None:
        """A worker that is asked to stop ends between two names, and tells what went until then."""
        if self._stops or self._hooks.may_go_on():
            return
        self._stops = True
        self._queue.clear()
        for talk in self._talks:
            talk.job.asked_to_stop = True
            talk.job.until = min(talk.job.until, self._clock() + talk.job.stop_seconds)
            if talk.is_sent:
                talk.after.append(frame("stop"))
                talk.is_sent = False
            else:  # a request that is not whole is none
                talk.task.request, talk.waiting, talk.is_sent = iter(()), b"", True
                with suppress(OSError):
                    talk.job.stream.shutdown(socket.SHUT_WR)

    def _start_some(self) -> Iterator[Ended[Answer]]:
        while (task := self._next()) is not None:
            self._queue.remove(task)
            now = self._clock()
            try:
                job = task.begin()
            except (OSError, WorkerError) as error:
                yield Ended(task, Verdict.FAILED, 0.0, error=str(error))
                continue
            next(task.answer)
            self._talks.append(_Talk(task, job, Inbox(job.stream), now, now))

    def _next(self) -> Task[Answer] | None:
        if sum(talk.aside is None for talk in self._talks) >= self._bounds.slots:
            return None
        at_work = {talk.task.owner.uid for talk in self._talks}
        return next((task for task in self._queue if task.owner.uid not in at_work), None)

    def _wait(self) -> dict[int, int]:
        """Until one of them can be heard or told something."""
        poll = select.poll()
        for talk in self._talks:
            wanted = (0 if talk.has_ended else select.POLLIN) | (0 if talk.is_sent else select.POLLOUT)
            poll.register(talk.job.stream, wanted)
        at_once = any(talk.inbox.is_ready or talk.has_ended for talk in self._talks)
        return dict(poll.poll(0 if at_once else self._beat * 1000))

    def _turn(self, talk: _Talk[Answer], ready: int) -> Ended[Answer] | None:
        """One piece is sent, one is read, one message heard: whoever says much gets no more than others."""
        try:
            if ready & select.POLLOUT:
                _send(talk)
            # What waits with the kernel takes no memory of ours: nothing is read beside a message that is here.
            if ready & ~select.POLLOUT and not talk.has_ended and not talk.inbox.is_ready:
                talk.has_ended = not talk.inbox.take_in()
            return self._hear(talk)
        except (OSError, WorkerError, MemoryError) as error:
            return self._lost(talk, str(error) or "it told too much")

    def _hear(self, talk: _Talk[Answer]) -> Ended[Answer] | None:
        now = self._clock()
        if talk.inbox.received > MOST_BYTES:
            raise WorkerError("it does not come to an end")
        if not talk.inbox.is_ready:
            if talk.has_ended and talk.inbox.is_begun:
                raise WorkerError("the channel ended in the middle of a message")
            if talk.has_ended:
                raise WorkerError("it ended without an answer (killed, or out of time or memory)")
            talk.incomplete = (talk.incomplete or now) if talk.inbox.is_begun else None
            if talk.incomplete is not None and now - talk.incomplete > MESSAGE_SECONDS:
                raise WorkerError("a message took too long to arrive")
            return None
        word, value = talk.inbox.message()
        talk.heard, talk.incomplete = now, None
        if word == HERE:
            talk.signs += 1
            if talk.signs > _SIGNS_TO_SPARE + _SIGNS_A_SECOND * (now - talk.began):
                raise WorkerError("it says too often that it is there")
        elif word == "failed":
            raise WorkerError(str(value)[:4000])
        else:
            try:
                talk.task.answer.send((word, value))
            except StopIteration as end:
                self._talks.remove(talk)
                talk.job.close()
                return Ended(talk.task, Verdict.DONE, now - talk.began, answer=end.value)
        return None

    def _lost(self, talk: _Talk[Answer], why: str, verdict: Verdict = Verdict.FAILED) -> Ended[Answer]:
        """Ends it. A dead launcher is noticed by the next request; what is known must be told now."""
        self._talks.remove(talk)
        with suppress(WorkerError):
            if never := self._starter.never_started(talk.job):
                why, verdict = never[0], Verdict.HUNG if never[1] else Verdict.UNREACHED
            self._starter.kill(talk.job)
        talk.job.close()
        return Ended(talk.task, verdict, self._clock() - talk.began, error=why)

    def _cut(self, talk: _Talk[Answer], now: float, why: str) -> Ended[Answer]:
        silent = now - talk.heard
        if silent > SILENT:
            return self._lost(talk, f"{why}, and it gave no sign of life for {silent:.0f} s", Verdict.HUNG)
        return self._lost(talk, why, Verdict.LONG)

    def _judge(self) -> Iterator[Ended[Answer]]:
        now = self._clock()
        for talk in list(self._talks):
            if now > talk.job.until:
                why = "it did not stop when it was asked to" if talk.job.asked_to_stop else "its time is over"
                yield self._lost(talk, why, Verdict.FAILED if self._stops else Verdict.HUNG)
            elif now - talk.heard > self._bounds.dead:
                yield self._cut(talk, now, "it hangs")
        yield from self._set_aside(now)
        yield from self._wait_no_longer(now)

    def _set_aside(self, now: float) -> Iterator[Ended[Answer]]:
        """Slow ones leave their slots, where there is room for them aside, or where some can be made."""
        for talk in [each for each in self._talks if each.aside is None and each.is_slow(now)]:
            aside = [each for each in self._talks if each.aside is not None]
            if len(aside) >= self._bounds.aside:
                if not self._queue or (goes := _whoever_makes_room(aside, now)) is None:
                    continue
                yield self._cut(goes, now, "others had to have their turn")
            talk.aside = now

    def _wait_no_longer(self, now: float) -> Iterator[Ended[Answer]]:
        """When only slow ones are left, each is waited for as long as that is worth it."""
        if self._queue or not all(talk.is_slow(now) for talk in self._talks):
            self._only_slow = None
            return
        if self._only_slow is None:
            self._only_slow, self._hurries, self._asked = now, False, float("-inf")
        if not self._hurries and now - self._asked > _ASK_AGAIN and self._talks:
            self._hurries, self._asked = self._hooks.hurries(), now
        for talk in list(self._talks):
            if now - self._only_slow >= talk.task.patience(self._hurries):
                yield self._cut(talk, now, "the others could wait no longer")


def _whoever_makes_room(aside: list[_Talk[Answer]], now: float) -> _Talk[Answer] | None:
    silent = min(aside, key=lambda each: each.heard)
    if now - silent.heard > MAKES_ROOM:
        return silent
    oldest = min(aside, key=lambda each: each.aside or now)
    return oldest if now - (oldest.aside or now) > MAKES_ROOM_AT_LAST else None


def _send(talk: _Talk[Answer]) -> None:
    """As much as it takes. One that is gone is noticed by reading, and may have said why."""
    if not talk.waiting:
        talk.waiting = next(talk.task.request, b"") or (talk.after.pop(0) if talk.after else b"")
    if not talk.waiting:
        talk.is_sent = True
        return
    try:
        taken = talk.job.stream.send(talk.waiting, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return
    except ConnectionError:
        talk.task.request, talk.waiting, talk.is_sent = iter(()), b"", True
        talk.after.clear()
        return
    talk.waiting = talk.waiting[taken:]
