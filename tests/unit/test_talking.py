"""A worker that talks gets no more time than one that is silent."""

import socket
import time
from collections.abc import Iterator

import pytest

from cachewarden.model.caches import Kind
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import Chosen, Holder, Outcome, Purge, RemovedEntry
from cachewarden.model.relocations import Moved, MoveProgress, Phase
from cachewarden.model.units import Bytes, Inodes
from cachewarden.service.hooks import Hooks
from cachewarden.service.talking import STOP_SECONDS_OF_A_MOVE, Job, follow, hear_moves, next_message
from cachewarden.service.wire import Channel, encoder
from cachewarden.service.worker import PurgeReply
from makers import cache, entry

NOW = MoveProgress("copying", 1, Bytes(1), 2, Bytes(2))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_progress_does_not_put_the_end_of_a_worker_off(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    worker = Channel(theirs)
    for _ in range(5):
        worker.send("moving", encoder(MoveProgress)(NOW))
    worker.send("moved", encoder(tuple[Moved, ...])((Moved("/a", "/b", Phase.SETTLED, "moved"),)))
    told = []
    job = Job(1, ours, Channel(ours), time.monotonic() + 0.2)

    def slowly(now: MoveProgress) -> None:
        told.append(now)
        time.sleep(0.15)

    with pytest.raises(WorkerError, match="its time is over"):
        hear_moves(job, Hooks(moving=slowly))
    assert len(told) < 4


@pytest.mark.parametrize("seconds", [4.0, STOP_SECONDS_OF_A_MOVE])
def test_a_worker_that_is_asked_to_stop_gets_the_time_of_its_kind_of_work(
    ends: tuple[socket.socket, socket.socket], seconds: float
) -> None:
    ours, theirs = ends
    job = Job(1, ours, Channel(ours), float("inf"))
    job.stop_seconds = seconds
    Channel(theirs).send("moving", encoder(MoveProgress)(NOW))
    began = time.monotonic()
    next_message(job, Hooks(may_go_on=lambda: False))
    assert began + seconds <= job.until <= time.monotonic() + seconds
    assert Channel(theirs).receive() == ("stop", None)


def test_names_of_processes_are_cleaned_and_as_few_as_fit_on_a_screen(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    worker = Channel(theirs)
    seen = cache(entry("a"))
    chosen = Chosen(seen.entries[0], "r", Bytes(1))
    action = Purge("p", seen.cache, (chosen,), Bytes(1), Inodes(1), "r")
    gone = RemovedEntry("a", Kind.LOG, "x", "y", Bytes(1), "lies", None, Bytes(2), Bytes(3))
    holders = tuple(Holder(number, "\x1b[31m\n" + "x" * 1000, Bytes(3)) for number in range(100))
    outcome = Outcome("x", "y", seen.cache, held_open=Bytes(10**15), holders=holders)
    worker.send("gone", encoder(RemovedEntry)(gone))
    worker.send("done", encoder(PurgeReply)(PurgeReply(outcome, None)))
    told: list[RemovedEntry] = []
    heard = follow(action, lambda _: None, told)
    next(heard)
    hear = Channel(ours).receive
    heard.send(hear() or ("", None))
    with pytest.raises(StopIteration) as end:
        heard.send(hear() or ("", None))
    reply = end.value.value
    (one,) = told
    assert (one.kind, one.name, one.reason, one.freed, one.maybe, one.held_open) == (
        Kind.DOWNLOAD, "numpy", "r; r", 1, 2, 3,
    )  # fmt: skip
    assert (reply.outcome.freed, reply.outcome.maybe, reply.outcome.held_open) == (1, 2, 3)
    assert len(reply.outcome.holders) == 20
    assert all(each.name.isprintable() and len(each.name) < 300 for each in reply.outcome.holders)
