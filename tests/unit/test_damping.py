"""How long the answer to a filling disk waits."""

from math import inf

import pytest

from cachewarden.service.damping import MOST_PUT_OFF, PRESSED, SUDDEN, Damping, puts_off
from cachewarden.system.machine import some_pressure


class Clock:
    """Seconds that only a test lets go by."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_crossing_after_a_while_waits_for_nothing() -> None:
    assert Damping(Clock()).seconds(earliest=90.0, seconds_left=inf) == 0


def test_a_disk_that_hovers_waits_for_the_pause_between_two_cycles() -> None:
    clock = Clock()
    damping = Damping(clock)
    turns = 0
    while clock.now < 160:
        clock.now += damping.seconds(earliest=clock.now + 10, seconds_left=inf)
        damping.took_a_turn(freed=True)
        turns += 1
    assert turns == 6


def test_what_is_full_in_a_moment_waits_a_quarter_of_that() -> None:
    assert Damping(Clock()).seconds(earliest=110.0, seconds_left=1.0) == pytest.approx(0.25)


def test_cycles_in_vain_become_rare_however_fast_it_fills() -> None:
    clock = Clock()
    damping = Damping(clock)
    waits = []
    for _ in range(9):
        damping.took_a_turn(freed=False)
        waits.append(damping.seconds(earliest=0.0, seconds_left=0.0))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    damping.took_a_turn(freed=True)
    assert damping.seconds(earliest=0.0, seconds_left=0.0) == 0


def test_first_aid_is_for_what_is_full_within_half_a_minute_and_the_less_time_the_more_often() -> None:
    clock = Clock()
    damping = Damping(clock)
    assert not damping.may_aid(SUDDEN)
    assert damping.may_aid(8.0)
    clock.now += 0.5
    assert not damping.may_aid(8.0)
    assert damping.may_aid(1.0)
    clock.now += 2.0
    assert damping.may_aid(8.0)


@pytest.mark.parametrize(
    ("pressure", "waited", "answer"),
    [
        (PRESSED, 0.0, True),
        (PRESSED - 1, 0.0, False),
        (99.0, MOST_PUT_OFF, False),
        (None, 0.0, False),
        (99, -1, False),
    ],
)
def test_a_look_that_can_wait_is_put_off_while_disks_are_busy_and_not_for_ever(
    pressure: float | None, waited: float, answer: bool
) -> None:
    assert puts_off(pressure, waited) is answer


@pytest.mark.parametrize(
    ("table", "pressure"),
    [
        ("some avg10=5.18 avg60=5.66 avg300=6.21 total=161515178\nfull avg10=0.00", 5.18),
        ("some avg10=100.00 avg60=", 100.0),
        ("", None),
        ("full avg10=3.00 ", None),
        ("some avg10=nan avg60=0", None),
        ("some avg10=1e9 ", None),
    ],
)
def test_pressure_is_read_as_the_kernel_writes_it(table: str, pressure: float | None) -> None:
    assert some_pressure(table) == pressure
