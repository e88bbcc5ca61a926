"""Spans of time are said as they were written, and never with a part left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cachewarden.model.units import exact_span, human_span
from cachewarden.settings.amounts import duration


@pytest.mark.parametrize(
    ("written", "said"),
    [("60d", "60d"), ("8w", "8w"), ("14d", "2w"), ("1h30m", "90m"), ("36h", "36h"), ("90s", "90s"), ("0s", "0s")],
)
def test_what_a_policy_says_is_told_as_one_number(written: str, said: str) -> None:
    assert exact_span(duration(written)) == said


@given(some.integers(0, 5200 * 604_800))
def test_what_is_told_can_be_written_again(seconds: int) -> None:
    assert duration(exact_span(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "said"), [(0, "0s"), (5400, "1h30m"), (60 * 86_400, "8w4d"), (-61, "1m1s")])
def test_an_age_is_told_by_its_two_largest_units(seconds: int, said: str) -> None:
    assert human_span(seconds) == said
