"""What a decision costs, in calls of functions: times differ by the hour; a call more for each entry shows."""

import sys
from types import FrameType

import pytest

from cachewarden.model.caches import Snapshot
from cachewarden.model.policies import Order, Policy
from makers import DAY, cache, entry, marks, plan, policy, share, snapshot

ENTRIES = 1000
HALF = policy("half", free_space=marks("50%"))
IDLE = tuple(policy(f"idle-{number}", unused_for=900 * DAY, packages=("other*",)) for number in range(5))
STEPS = tuple(policy(f"step-{number}", free_space=marks(f"0.0{number}%")) for number in range(1, 7))
"""Each takes a part of the entries, in order of their worth."""


def seen() -> Snapshot:
    """A thousand downloads in five versions each, two of which share a folder; they free less than half a disk."""
    return snapshot(
        cache(
            *(
                entry(
                    f"a{number}", name=f"p{number // 5}", version=f"1.{number % 5}", inode=number,
                    frees=1000 + number,
                    shares=(share(ENTRIES + number // 2, frees=4096),), used=number * 1000,
                )
                for number in range(ENTRIES)
            )
        ),
        free=0,
    )  # fmt: skip


def calls(*policies: Policy) -> float:
    """Functions called for each entry, those of C included."""
    counted = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    before = seen()
    plan(before, *policies)  # whatever is remembered, is remembered by now
    sys.setprofile(count)
    try:
        plan(before, *policies)
    finally:
        sys.setprofile(None)
    return counted / ENTRIES


@pytest.mark.parametrize("order", list(Order))
def test_an_entry_that_goes_costs_a_bounded_number_of_calls_in_every_order(order: Order) -> None:
    assert calls(policy("half", free_space=marks("50%"), order=order)) < 100


def test_a_policy_that_takes_nothing_costs_few_calls_for_each_entry() -> None:
    assert calls(*IDLE, HALF) - calls(HALF) < 10 * len(IDLE)


def test_what_an_entry_is_worth_is_computed_once_however_many_policies_ask() -> None:
    assert calls(*STEPS) - calls(STEPS[-1]) < 12 * len(STEPS)
