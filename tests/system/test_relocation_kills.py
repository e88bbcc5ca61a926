"""Killed at any instant: the cache that the configuration names is whole, and the next start finishes or undoes."""

import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from builders.disks import why_no_loop_disks
from builders.moves import House, Killed, fill_conda, fill_pip, house, in_a_child, is_open, looks
from cachewarden.model.relocations import Errand, Method, MoveOrder
from cachewarden.system.places import PROBE

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
Looks = dict[str, dict[str, object]]
_MOST_STEPS = 40


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


def fill(place: House, ecosystem: str, scratch: Path) -> Path:
    if ecosystem == "pip":
        cache = place.home / ".cache/pip"
        fill_pip(cache)
        return cache
    return fill_conda(place.home, scratch).pkgs


def kill_at_step(place: House, order: MoveOrder, step: int, *, after: bool) -> bool:
    """Whether there was such a step."""
    records = Killed(place.whom().records.folder, step, after=after)
    return in_a_child(lambda: place.settle_all(order, records)) == signal.SIGKILL


def check_whole(place: House, ecosystem: str, whole: Looks) -> None:
    """What the tool would find now is the cache as it always was."""
    named = place.named(ecosystem)
    assert looks(named) == whole, f"{named} is not whole"


def check_finished(place: House, ecosystem: str, whole: Looks) -> None:
    for _ in range(3):
        place.settle()
    assert not is_open(place.records()), [(each.phase, each.heading, each.why) for each in place.records()]
    # What a trial of the destination left goes with the next trial there: nothing of a move was begun yet.
    assert not [each for each in place.litter() if PROBE not in each]
    check_whole(place, ecosystem, whole)


@pytest.mark.parametrize("after", [False, True], ids=["before the entry", "after the entry"])
@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("ecosystem", ["pip", "conda"])
def test_a_kill_at_every_step_out_and_back_leaves_a_whole_cache_and_the_next_start_ends_it(
    place: House, tmp_path: Path, ecosystem: str, method: Method, after: bool
) -> None:
    cache = fill(place, ecosystem, tmp_path)
    whole = looks(cache)
    for errand in (Errand.RELOCATE, Errand.RESTORE):
        steps = 0
        for step in range(1, _MOST_STEPS):
            if errand is Errand.RESTORE and not place.records():
                place.run(Errand.RELOCATE, ecosystem, method=method)
            elif errand is Errand.RELOCATE and place.records():
                place.run(Errand.RESTORE, ecosystem)
            order = place.order(errand, ecosystem, method=method)
            if not kill_at_step(place, order, step, after=after):
                break
            steps += 1
            check_whole(place, ecosystem, whole)
            check_finished(place, ecosystem, whole)
        assert steps >= 4
        assert place.named(ecosystem) == (place.to(ecosystem) if errand is Errand.RELOCATE else cache)


@pytest.mark.parametrize(
    ("ecosystem", "method"), [("pip", Method.CONFIG), ("conda", Method.CONFIG), ("pip", Method.SYMLINK)]
)
def test_a_kill_at_random_instants_leaves_a_whole_cache_and_the_next_start_ends_it(
    place: House, tmp_path: Path, ecosystem: str, method: Method
) -> None:
    """Some seventy instants for each: more than two hundred in all."""
    chance = random.Random(f"{ecosystem} {method}")
    whole = looks(fill(place, ecosystem, tmp_path))
    took = {}
    for errand in (Errand.RELOCATE, Errand.RESTORE):
        began = time.monotonic()
        assert not place.run(errand, ecosystem, method=method).error
        took[errand] = time.monotonic() - began
    killed = 0
    for _ in range(70):
        errand = Errand.RESTORE if place.records() else Errand.RELOCATE
        order = place.order(errand, ecosystem, method=method)
        work = partial(place.settle_all, order)
        after = chance.uniform(0, took[errand])
        if in_a_child(work, kill_after=after) == signal.SIGKILL:
            killed += 1
        else:
            took[errand] = after  # it took so long only because the machine was busy
        check_whole(place, ecosystem, whole)
        check_finished(place, ecosystem, whole)
    assert killed > 35
    if place.records():
        place.run(Errand.RESTORE, ecosystem)
    assert not place.run(Errand.RELOCATE, ecosystem, method=method).error
    assert not place.litter()
