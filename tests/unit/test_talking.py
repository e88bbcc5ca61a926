"""A worker that talks gets no more time than one that is silent."""

import socket
import time
from collections.abc import Iterator

import pytest

from cachewarden.model.errors import WorkerError
from cachewarden.model.relocations import Moved, MoveProgress, Phase
from cachewarden.model.units import Bytes
from cachewarden.service.talking import STOP_SECONDS_OF_A_MOVE, Hooks, Job, hear_moves, next_message
from cachewarden.service.wire import Channel, encoder

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
    assert seconds - 1 < job.until - began < seconds + 1
    assert Channel(theirs).receive() == ("stop", None)
