"""What starting and deciding cost, in instructions: times differ by the hour, these by less than a hundredth."""

from collections.abc import Callable

import pytest

from builders import instructions

_DEARER = 1.2
"""So much more than was measured is a step that somebody should know of."""


@pytest.mark.parametrize("measure", [instructions.starts, instructions.decisions], ids=["starts", "decisions"])
def test_nothing_costs_a_fifth_more_instructions_than_it_did(measure: Callable[[], dict[str, float]]) -> None:
    try:
        found = measure()
    except instructions.NoValgrindError as error:
        pytest.fail(str(error))
    measured = instructions.measured()
    dearer = {what: (ratio, measured[what]) for what, ratio in found.items() if ratio > _DEARER * measured[what]}
    assert dearer == {}, "if that is meant: the new figures are those of `python -m builders.instructions`"
