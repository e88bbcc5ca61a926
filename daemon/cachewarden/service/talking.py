"""A conversation with one worker under way: its messages, with the hooks served while waiting for them."""

import select
import socket
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from cachewarden.act import MOST_HOLDERS
from cachewarden.model.caches import Entry
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import Chosen, Holder, Purge, RemovedEntry
from cachewarden.model.relocations import Moved, MoveProgress
from cachewarden.model.text import printable
from cachewarden.model.units import Bytes
from cachewarden.model.worth import Regain
from cachewarden.service.hooks import Hooks
from cachewarden.service.telling import CHUNK
from cachewarden.service.wire import Channel, Message, decoder, encoder, frame
from cachewarden.service.worker import PurgeReply

BEAT = 0.25
MESSAGE_SECONDS = 10.0
_STOP_SECONDS = 4.0
STOP_SECONDS_OF_A_MOVE = 20.0
"""It reads back first what it copied. The units' TimeoutStopSec= is longer, and one that is killed does no harm."""
MOST_BYTES = 1 << 30
_MOST_MOVES = 100
_LONGEST_NAME = 64


@dataclass(slots=True)
class Job:
    """A worker under way: its number at the launcher and our end of its channel."""

    number: int
    stream: socket.socket
    channel: Channel
    until: float
    stop_seconds: float = _STOP_SECONDS
    asked_to_stop: bool = False

    def close(self) -> None:
        """A worker whose channel closes stops by itself."""
        self.stream.close()


def tell_purge(action: Purge) -> Iterator[bytes]:
    """The request, its entries in pieces."""
    yield frame("purge", encoder(Purge)(replace(action, entries=())))
    tell = encoder(Chosen)
    for start in range(0, len(action.entries), CHUNK):
        yield frame("chosen", [tell(each) for each in action.entries[start : start + CHUNK]])
    yield frame("go")


def hear_moves(job: Job, hooks: Hooks) -> tuple[Moved, ...]:
    """Its progress, then what came of it. However much it tells, it gets no more time by that."""
    hear_progress, hear_moved = decoder(MoveProgress), decoder(tuple[Moved, ...])
    while True:
        word, value = next_message(job, hooks)
        if word == "moved":
            moved: tuple[Moved, ...] = hear_moved(value)
            return moved[:_MOST_MOVES]
        if word != "moving":
            raise WorkerError(f"an unexpected word, {word[:80]!r}")
        hooks.moving(hear_progress(value))


def next_message(job: Job, hooks: Hooks) -> Message:
    """The next message; the hooks are served while waiting.

    WorkerError at the end of the channel, and when the worker's time is over, whether it is silent or talks: the
    launcher's limit is not relied on, since a worker may be stopped by its owner, or hang where no signal reaches it.
    """
    poll = select.poll()
    poll.register(job.stream, select.POLLIN)
    while True:
        hooks.beat()
        _pass_stop_on(job, hooks)
        said = poll.poll(BEAT * 1000)
        if time.monotonic() > job.until:
            raise WorkerError("it did not stop when it was asked to" if job.asked_to_stop else "its time is over")
        if said:
            break
    if job.channel.received > MOST_BYTES:
        raise WorkerError("it does not come to an end")
    try:
        message = job.channel.receive(seconds=MESSAGE_SECONDS)
    except ConnectionError:
        message = None
    if message is None:
        raise WorkerError("it ended without an answer (killed, or out of time or memory)")
    if message[0] == "failed":
        raise WorkerError(str(message[1])[:4000])
    return message


def _pass_stop_on(job: Job, hooks: Hooks) -> None:
    """A worker that is asked to stop ends between two names, and tells what went until then."""
    if not job.asked_to_stop and not hooks.may_go_on():
        job.asked_to_stop = True
        job.until = min(job.until, time.monotonic() + job.stop_seconds)
        job.channel.send("stop")


def follow(
    action: Purge, progress: Callable[[RemovedEntry], None], gone: list[RemovedEntry]
) -> Generator[None, Message, PurgeReply]:
    """Is sent what a purge says; ``gone`` grows by what went of what was asked for, as that was known before."""
    asked = {chosen.entry.path: chosen for chosen in action.entries}
    hear_gone, hear_done = decoder(RemovedEntry), decoder(PurgeReply)
    while True:
        word, value = yield
        if word == "done":
            reply: PurgeReply = hear_done(value)
            outcome = replace(
                reply.outcome,
                policy=action.policy,
                action="purge",
                cache=action.cache,
                removed=tuple(gone),
                freed=Bytes(sum(entry.freed for entry in gone)),
                maybe=Bytes(sum(entry.maybe for entry in gone)),
                held_open=Bytes(sum(entry.held_open for entry in gone)),
                holders=_tame(reply.outcome.holders),
            )
            return replace(reply, outcome=outcome)
        if word != "gone":
            raise WorkerError(f"an unexpected word, {word[:80]!r}")
        told: RemovedEntry = hear_gone(value)
        chosen = asked.pop(told.path, None)
        if chosen is None:
            raise WorkerError("it says that something went that nobody asked for")
        own = chosen.entry
        entry = replace(
            told,
            path=own.path,
            kind=own.kind,
            name=own.name,
            version=own.version,
            reason=action.why(chosen),
            regain=_regain(own),
        )
        gone.append(entry)
        progress(entry)


def _tame(holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """Names of processes are their owners' to choose."""
    return tuple(replace(each, name=printable(each.name[:_LONGEST_NAME])) for each in holders[:MOST_HOLDERS])


def _regain(entry: Entry) -> Regain | None:
    return entry.facts.regain if entry.facts else None
