"""When a disk is asked again: nearer or faster is never later."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cachewarden.service.pace import LONGEST, SOONEST, WORST, Speed, seconds_until_next

ROOM = some.floats(min_value=-(2.0**70), max_value=2.0**70) | some.just(inf)
RATE = some.floats(min_value=0, max_value=1e18)
SECONDS = some.floats(allow_nan=True, allow_infinity=True)
SPEEDS = some.builds(lambda grown, seconds: Speed().after(grown, seconds), some.integers(-(2**70), 2**70), SECONDS)


@given(ROOM, RATE)
def test_the_pause_has_a_floor_and_a_ceiling(room: float, rate: float) -> None:
    assert SOONEST <= seconds_until_next(room, rate) <= LONGEST


@given(ROOM, ROOM, RATE, RATE)
def test_nearer_or_faster_is_never_asked_later(one: float, other: float, slow: float, fast: float) -> None:
    near, far = sorted((one, other))
    slow, fast = sorted((slow, fast))
    assert seconds_until_next(near, fast) <= seconds_until_next(far, slow)


@given(some.floats(min_value=0, max_value=2.0**60), some.floats(min_value=0, max_value=1e12))
def test_what_fills_no_faster_than_assumed_is_seen_a_moment_after_the_mark(room: float, rate: float) -> None:
    pause = seconds_until_next(room, rate)
    assert room - pause * max(rate, WORST) >= -SOONEST * max(rate, WORST) * 1.000001


@given(SPEEDS, some.integers(-(2**70), 2**70), SECONDS)
def test_no_figure_and_no_clock_makes_a_speed_that_is_none(speed: Speed, grown: int, seconds: float) -> None:
    after = speed.after(grown, seconds)
    assert 0 <= after.recent < inf
    assert after.recent <= after.fastest < inf


@given(SPEEDS, some.integers(0, 2**60), some.floats(min_value=0.001, max_value=1e6))
def test_growing_is_never_taken_for_slower_than_it_was(speed: Speed, grown: int, seconds: float) -> None:
    assert speed.after(grown, seconds).recent >= grown / max(seconds, SOONEST)


@pytest.mark.parametrize("seconds", [0.0, -1.0, nan, inf, -inf])
def test_a_clock_that_stands_or_goes_back_tells_nothing(seconds: float) -> None:
    speed = Speed(7.0, 9.0)
    assert speed.after(10**9, seconds) == speed


def test_what_is_recent_fades_within_seconds_and_the_fastest_within_hours() -> None:
    speed = Speed().after(1000, 1).after(0, 60)
    assert speed.recent < 1
    assert speed.fastest > 950


def test_a_burst_is_no_faster_than_what_two_samples_can_tell() -> None:
    assert Speed().after(1000, 0.001).recent == 1000 / SOONEST


def test_how_long_it_lasts() -> None:
    speed = Speed(recent=50.0)
    assert (speed.seconds_for(100), speed.seconds_for(-1), Speed().seconds_for(1)) == (2, 0, inf)
