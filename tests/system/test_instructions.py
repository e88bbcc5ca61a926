"""What starting and deciding cost, in instructions: times differ by the hour, these by less than a hundredth."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import instructions

_DEARER = 1.2
"""So much more than was measured is a step that somebody should know of."""


def counted(command: list[str], home: str) -> int:
    """Where the tool is missing, nothing is skipped: a guard that is not there guards nothing."""
    try:
        return instructions.instructions(command, home)
    except instructions.NoValgrindError as error:
        pytest.fail(str(error))


def test_a_tenth_more_work_shows_as_a_tenth_more_instructions(tmp_path: Path) -> None:
    none, ten, eleven = (
        counted([sys.executable, "-c", f"for number in range({count}): str(number)"], str(tmp_path))
        for count in (0, 100_000, 110_000)
    )
    assert (eleven - none) / (ten - none) == pytest.approx(1.1, rel=0.02)


@pytest.mark.parametrize("measure", [instructions.starts, instructions.decisions], ids=["starts", "decisions"])
def test_nothing_costs_a_fifth_more_instructions_than_it_did(
    measure: Callable[[], dict[str, float]], tmp_path: Path
) -> None:
    counted([sys.executable, "-c", "pass"], str(tmp_path))
    found = measure()
    measured = instructions.measured()
    dearer = {what: (ratio, measured[what]) for what, ratio in found.items() if ratio > _DEARER * measured[what]}
    assert dearer == {}, "if that is meant: the new figures are those of `python -m builders.instructions`"
