"""A worker at work shows it; one that waits does not, and a message is never broken by that."""

import signal
import socket
import time
from collections.abc import Iterator

import pytest

from cachewarden.model.errors import WorkerError
from cachewarden.service.sign_of_life import signs_of_life
from cachewarden.service.wire import HERE, Channel, Inbox

Ends = tuple[Channel, Inbox]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(theirs), Inbox(ours)
    signal.signal(signal.SIGPROF, signal.SIG_IGN)


def words(inbox: Inbox) -> list[str]:
    inbox.take_in()
    found = []
    while inbox.is_ready:
        found.append(inbox.message()[0])
    assert not inbox.is_begun
    return found


def work(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_one_at_work_says_that_it_is_here(ends: Ends) -> None:
    channel, inbox = ends
    with signs_of_life(channel):
        work(0.35)
    assert set(words(inbox)) == {HERE}
    work(0.25)
    assert words(inbox) == []


def test_one_that_waits_says_nothing(ends: Ends) -> None:
    channel, inbox = ends
    with signs_of_life(channel):
        time.sleep(0.3)
    assert words(inbox) == []


def test_nothing_is_said_in_the_middle_of_a_message_or_where_nobody_listens(ends: Ends) -> None:
    channel, inbox = ends
    channel._sending = True
    channel.say_if_free(HERE)
    assert words(inbox) == []
    channel._sending = False
    for _ in range(10_000):
        channel.say_if_free(HERE)  # and does not wait
    assert 10 < len(words(inbox)) < 10_000


def test_a_message_that_was_announced_too_long_is_none() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\xff\xff\xff\xff")
        inbox = Inbox(ours)
        assert inbox.take_in()
        assert inbox.is_ready
        with pytest.raises(WorkerError, match="more than is allowed"):
            inbox.message()
