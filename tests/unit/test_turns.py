"""Moves take turns: whoever keeps the service waiting rests, and the others are served."""

import pytest

import makers
from cachewarden.model.caches import Filesystem, Look, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import Outcome, Purge, Relocate
from cachewarden.model.policies import ActionKind, Policy, Settings
from cachewarden.model.relocations import (
    Heading,
    Method,
    Moved,
    MoveOrder,
    Phase,
    Presence,
    RelocationSeen,
)
from cachewarden.model.units import Bytes
from cachewarden.service.hooks import Hooks
from cachewarden.service.moves import Moves
from cachewarden.service.turns import Turns
from fakes import OneByOne

NAMES = ("ann", "bob", "cleo")
MINUTE, HOUR = 60.0, 3600.0
POLICY = Policy("to-usb", ActionKind.RELOCATE, to="/media/usb/{owner}/{ecosystem}", otherwise=ActionKind.PURGE)


class SlowWorkers(OneByOne):
    """Errands take as long as the test says, or end in nothing."""

    def __init__(self, seconds: dict[str, float], *, lost: str = "") -> None:
        self.seconds = seconds
        self.lost = lost
        self.served: list[str] = []
        self.now = 1000.0

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        self.served.append(owner.name)
        self.now += self.seconds.get(owner.name, 1.0)
        if owner.name == self.lost:
            raise WorkerError(f"the worker of {owner.name} failed: its time is over")
        return (Moved(order.cache, order.to, Phase.COPYING, "stopped", stopped=True),)

    def owners(self) -> tuple[Owner, ...]:
        return ()

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        raise NotImplementedError

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        raise NotImplementedError

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        raise NotImplementedError

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        raise NotImplementedError


def seen(name: str, phase: Phase = Phase.COPYING, presence: Presence = Presence.HERE) -> RelocationSeen:
    return RelocationSeen(
        "1", "pip", name, f"/home/{name}/.cache/pip", f"/media/usb/{name}", Method.CONFIG, phase, Heading.OUT,
        presence, makers.NOW,
    )  # fmt: skip


def moves_of(workers: SlowWorkers) -> Moves:
    moves = Moves(workers, Hooks(), lambda: workers.now)
    moves.owners = {name: makers.owner(name, uid=1000 + number) for number, name in enumerate(NAMES)}
    return moves


def cycle(moves: Moves, workers: SlowWorkers, *relocations: RelocationSeen) -> tuple[list[str], list[str]]:
    """Who was served, and what went wrong."""
    workers.served.clear()
    moves.begin()
    outcomes = moves.settle(relocations)
    return list(workers.served), [failure.error for each in outcomes for failure in each.failures]


def test_an_owner_whose_worker_did_not_end_is_named_and_is_not_served_for_an_hour() -> None:
    workers = SlowWorkers({"ann": 32 * MINUTE}, lost="ann")
    moves = moves_of(workers)
    assert cycle(moves, workers, seen("ann")) == (
        ["ann"],
        ["the worker of ann failed: its time is over; that took 32 min, so no move of ann goes on for 1 h"],
    )
    workers.now += HOUR - 1
    assert cycle(moves, workers, seen("ann"), seen("bob")) == (["bob"], [])
    workers.now += 2
    assert cycle(moves, workers, seen("ann"))[0] == ["ann"]


def test_a_rest_doubles_up_to_a_day_and_is_forgiven_after_a_day() -> None:
    now = [0.0]
    turns = Turns(lambda: now[0])
    rests = []
    for _ in range(7):
        turns.begin()
        began, now[0] = now[0], now[0] + 32 * MINUTE
        rests.append(turns.took(7, began, lost=True) / HOUR)
        now[0] += rests[-1] * HOUR
    assert rests == [1, 2, 4, 8, 16, 24, 24]
    now[0] += 25 * HOUR
    turns.begin()
    assert turns.took(7, now[0] - 32 * MINUTE, lost=True) == HOUR


@pytest.mark.parametrize(("seconds", "rests"), [(300.0, False), (1900.0, True)])
def test_who_answers_very_late_rests_as_well_and_a_slow_disk_does_not(seconds: float, rests: bool) -> None:
    workers = SlowWorkers({"ann": seconds})
    moves = moves_of(workers)
    cycle(moves, workers, seen("ann"))
    assert (cycle(moves, workers, seen("ann"))[0] == []) is rests


def test_a_worker_that_dies_at_once_is_tried_again_in_the_next_cycle() -> None:
    workers = SlowWorkers({}, lost="ann")
    moves = moves_of(workers)
    for _ in range(3):
        assert cycle(moves, workers, seen("ann"))[0] == ["ann"]


def test_open_moves_of_all_together_get_the_time_of_one_and_who_waited_comes_first() -> None:
    workers = SlowWorkers({"ann": 130.0, "bob": 130.0})
    moves = moves_of(workers)
    everybody = [seen(name) for name in NAMES]
    served = []
    for _ in range(4):
        served += cycle(moves, workers, *everybody)[0]
        assert moves.owes_turns
    assert served == ["ann", "bob", "cleo", "ann", "bob"]


def test_who_is_only_to_be_told_that_a_disk_is_away_does_not_wait_for_long_copies() -> None:
    workers = SlowWorkers({"ann": 130.0})
    gone = seen("cleo", Phase.SETTLED, Presence.MISSING)
    assert cycle(moves_of(workers), workers, seen("ann"), gone)[0] == ["cleo", "ann"]


def test_an_owner_with_many_caches_gets_a_share_of_a_cycle_and_the_rest_waits() -> None:
    workers = SlowWorkers({"ann": 100.0})
    moves = moves_of(workers)
    moves.begin()
    caches = [makers.cache(makers.entry("d"), path=f"/home/ann/{number}") for number in range(5)]
    moved = [moves.move(Relocate("to-usb", each.cache, "/media/usb/x", Bytes(1), "r")) for each in caches]
    assert (len(workers.served), [each.busy for each in moved]) == (3, [False, False, False, True, True])


def test_while_an_owner_rests_the_policy_takes_otherwise() -> None:
    workers = SlowWorkers({"ann": 32 * MINUTE}, lost="ann")
    moves = moves_of(workers)
    cycle(moves, workers, seen("ann"))
    moves.begin()
    cache = makers.cache(makers.entry("d"))
    snapshot, plan = moves.cleared(makers.snapshot(cache), Settings(policies=(POLICY,)))
    assert workers.served == ["ann"]
    assert list(snapshot.unmovable.values()) == [
        "it cannot be moved: the moves of ann rest for a while: they kept all others waiting"
    ]
    assert [action.policy for action in plan.actions if not isinstance(action, Relocate)] == ["to-usb"]
    assert moves.refused() == []


def test_when_the_service_is_to_stop_no_move_is_looked_at_any_more() -> None:
    workers = SlowWorkers({})
    moves = Moves(workers, Hooks(may_go_on=lambda: False), lambda: workers.now)
    moves.begin()
    _, plan = moves.cleared(makers.snapshot(makers.cache(makers.entry("d"))), Settings(policies=(POLICY,)))
    assert (workers.served, plan.actions) == ([], ())
