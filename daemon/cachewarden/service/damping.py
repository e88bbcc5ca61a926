"""How long the answer to a filling disk may wait: looking must not be all that is done, nor come too late.

Between two cycles there is a pause, and one in vain makes the next wait longer. A disk that hovers at its mark has
time for that. One that is full in a moment has not, as long as cycles free something.
"""

import time
from collections.abc import Callable

SUDDEN = 30.0
"""Seconds to the last free byte, at the rate that is seen, below which nothing else is waited for."""
_SHARE = 4
"""An answer may wait for this part of the time that is left."""
_FIRST, _LONGEST = 1.0, 64.0
PRESSED = 50.0
"""Percent of the last ten seconds in which somebody waited for a disk (PSI, ``some``): a look would make it worse."""
STEP, MOST_PUT_OFF = 5.0, 20.0
"""Seconds by which a look is put off under pressure, and by which it is put off at most."""


class Damping:
    """Knows when the last cycle ended, and how many before it freed nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells seconds that only grow."""
        self._clock = clock
        self._pause = 0.0
        self._again = 0.0
        self._aided: float | None = None

    def took_a_turn(self, *, freed: bool) -> None:
        """A cycle that a filling disk brought about is over."""
        self._pause = 0.0 if freed else min(_LONGEST, max(_FIRST, 2 * self._pause))
        self._again = self._clock() + self._pause

    def may_aid(self, seconds_left: float) -> bool:
        """Whether it is time for first aid; then it counts. It has to be worth a worker of its own."""
        now = self._clock()
        if seconds_left >= SUDDEN:
            return False
        if self._aided is not None and now - self._aided < seconds_left / _SHARE:
            return False
        self._aided = now
        return True

    def seconds(self, earliest: float, seconds_left: float) -> float:
        """How long the next cycle is to wait. ``earliest``: when it would be due were there time for ever."""
        now = self._clock()
        wait = min(max(0.0, earliest - now), seconds_left / _SHARE)
        return max(wait, self._again - now, 0.0)


def puts_off(pressure: float | None, waited: float) -> bool:
    """Whether a look that can wait is put off. ``pressure``: see ``PRESSED``; ``waited``: for how long it was."""
    return pressure is not None and pressure >= PRESSED and 0 <= waited < MOST_PUT_OFF
