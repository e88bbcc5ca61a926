"""Whom the launcher refuses a worker, where others hang that cannot be ended."""

import os
import socket
import time
from collections.abc import Iterator

import pytest

import makers
from cachewarden.system.launcher import NOT_STARTED, STILL_THERE, Launcher, Rules, _Child

ANN, BOB = makers.owner("ann", uid=1000), makers.owner("bob", uid=1001)
LONG_AGO = 100.0


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Launcher(ours, Rules(list, lambda *_: None, {}, switch=False))
        yield made
        for child in made._children.values():
            os.close(child.pidfd)


def has(launcher: Launcher, uid: int, *, killed: float | None) -> None:
    """A worker that does not end: the pidfd is of this very process. ``killed``: so many seconds ago."""
    number = len(launcher._children) + 1
    when = None if killed is None else time.monotonic() - killed
    pidfd = os.pidfd_open(os.getpid())
    launcher._children[number] = _Child(number, uid, os.getpid(), pidfd, float("inf"), when)


def test_workers_that_cannot_be_ended_leave_room_for_those_of_others(launcher: Launcher) -> None:
    for uid in range(2000, 2070):
        has(launcher, uid, killed=LONG_AGO)
    assert launcher._refusal(ANN) is None


def test_there_is_a_bound_to_them_as_well(launcher: Launcher) -> None:
    for uid in range(2000, 2128):
        has(launcher, uid, killed=LONG_AGO)
    assert launcher._refusal(ANN) == NOT_STARTED


def test_those_at_work_are_bounded(launcher: Launcher) -> None:
    for uid in range(2000, 2064):
        has(launcher, uid, killed=None)
    assert launcher._refusal(ANN) == NOT_STARTED


def test_one_that_was_killed_long_ago_is_not_waited_for(launcher: Launcher) -> None:
    has(launcher, ANN.uid, killed=LONG_AGO)
    took = []
    for _ in range(5):  # a machine may be busy once
        began = time.monotonic()
        assert (launcher._refusal(ANN), launcher._refusal(BOB)) == (STILL_THERE, None)
        took.append(time.monotonic() - began)
    assert min(took) < 0.2


def test_one_that_was_killed_just_now_gets_a_moment_to_be_gone(launcher: Launcher) -> None:
    began = time.monotonic()
    has(launcher, ANN.uid, killed=0.0)
    assert launcher._refusal(ANN) == STILL_THERE
    assert time.monotonic() - began > 0.3
