"""Moves of owners who want to harm: they can hold the service up for a limited time, and start nothing in it."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builders.launched import Homes, give, honest, launched, lying, two_homes
from cachewarden.model.errors import WorkerError
from cachewarden.model.relocations import Errand, Heading, Method, Moved, MoveOrder, MoveProgress, Phase, Relocation
from cachewarden.model.units import Bytes, Instant
from cachewarden.relocate import places
from cachewarden.relocate.records import form
from cachewarden.service.hooks import Hooks
from cachewarden.service.wire import Channel, encoder
from cachewarden.service.worker import BY_HAND, LIMITS, PATIENCE
from cachewarden.service.workers import look_at

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]
SETTLE = MoveOrder(Errand.SETTLE, "conda", by_policy=True, patience=3)


@pytest.fixture
def homes() -> Iterator[Homes]:
    with two_homes() as made:
        yield made


def conda_that_says_who_runs_it(home: Path) -> Path:
    """An installation with a move in its owner's journal, at the step where tools are asked."""
    base, new, journal = home / "miniforge3", home / "elsewhere", home / ".local/state/cachewarden/relocations"
    for folder in (base / "bin", base / "conda-meta", base / "pkgs", new, journal):
        folder.mkdir(parents=True)
    (base / "conda-meta/history").write_text("")
    (base / "pkgs/urls.txt").write_text("")
    (base / "bin/conda").write_text(f"#!/bin/sh\nid -u > {home}/ran\n")
    (base / "bin/conda").chmod(0o755)
    record = Relocation(
        "x", "conda", str(base / "pkgs"), str(new), Method.CONFIG, Phase.SWITCHING, Heading.OUT, Instant(1), "p",
        verified=True,
    )  # fmt: skip
    places.write_marker(str(new), record)
    (journal / "conda-x.json").write_bytes(form(record))
    return home / "ran"


@pytest.mark.parametrize("by_policy", [True, False], ids=["a policy", "a command of root"])
def test_a_worker_that_moves_runs_no_program_of_its_owner(homes: Homes, by_policy: bool) -> None:
    ann, bob = homes
    ran = conda_that_says_who_runs_it(Path(ann.home))
    give(ann)
    with launched(honest, ann, bob) as workers:
        (moved,) = workers.move(ann, replace(SETTLE, by_policy=by_policy), Hooks())
    assert (moved.error, moved.phase) == ("", Phase.SETTLED)
    assert not ran.exists()


def test_a_worker_that_talks_about_its_move_for_ever_costs_its_time_and_no_more(homes: Homes) -> None:
    ann, bob = homes

    def lie(channel: Channel, _: str) -> None:
        while True:
            channel.send("moving", encoder(MoveProgress)(MoveProgress("copying", 1, Bytes(1), 2, Bytes(2))))
            time.sleep(0.05)

    limits = LIMITS | {"move": replace(LIMITS["move"], seconds=1.0)}
    with launched(lying(ann, lie), ann, bob, limits=limits) as workers:
        began = time.monotonic()
        with pytest.raises(WorkerError, match="the worker of ann failed"):
            workers.move(ann, SETTLE, Hooks())
        assert time.monotonic() - began < 60, "one second is its limit here, and half an hour without"
        assert look_at(workers, bob, Hooks()).caches


def test_a_move_that_is_to_stop_gets_the_time_to_read_back_what_it_copied(homes: Homes) -> None:
    ann, bob = homes
    begun: list[float] = []

    def slow(channel: Channel, _: str) -> None:
        channel.send("moving", encoder(MoveProgress)(MoveProgress("copying", 1, Bytes(1), 2, Bytes(2))))
        assert channel.receive() == ("stop", None)
        time.sleep(5.5)
        stopped = Moved("/a", "/b", Phase.COPYING, "stopped", stopped=True)
        channel.send("moved", encoder(tuple[Moved, ...])((stopped,)))

    with launched(lying(ann, slow), ann, bob) as workers:
        hooks = Hooks(may_go_on=lambda: not begun, moving=lambda _: begun.append(time.monotonic()))
        (moved,) = workers.move(ann, SETTLE, hooks)
    assert moved.stopped


def test_a_move_of_a_policy_is_ended_by_the_launcher_and_one_by_hand_takes_as_long_as_it_takes() -> None:
    assert (LIMITS["move"].seconds, LIMITS[BY_HAND].seconds) == (PATIENCE + 1800, None)
