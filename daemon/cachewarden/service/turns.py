"""Whose moves may go on: one owner's must not keep the purges of all others waiting."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cachewarden.service.worker import PATIENCE

_FAIR = 2.0 * PATIENCE
"""Seconds of one cycle after which no other errand of the same owner is begun in it."""
LATE = 600.0
"""Seconds of one cycle that no owner's moves take who keeps to ``PATIENCE``, on the slowest of disks."""
_FIRST_REST, _LONGEST_REST = 3600.0, 86_400.0


@dataclass(slots=True)
class _Rest:
    until: float
    times: int


class Turns:
    """By uid, what the errands of owners took, and who rests for having taken too much. Kept until the restart."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells seconds that only grow."""
        self._clock = clock
        self._spent: dict[int, float] = {}
        self._rests: dict[int, _Rest] = {}
        self._served: dict[int, float] = {}

    def begin(self) -> None:
        """A new cycle."""
        self._spent.clear()

    def rests(self, uid: int) -> bool:
        """Whether nothing about an owner's moves is to be done for a while."""
        rest = self._rests.get(uid)
        return rest is not None and self._clock() < rest.until

    def has_had(self, uid: int) -> bool:
        """Whether an owner had a fair share of this cycle."""
        return self._spent.get(uid, 0.0) >= _FAIR

    def last(self, uid: int) -> float:
        """When an owner was served last; 0 for never."""
        return self._served.get(uid, 0.0)

    def took(self, uid: int, began: float, *, lost: bool) -> float:
        """Counts an errand that is over; ``lost``: without an answer. The seconds that its owner rests now.

        That doubles each time, until a day has passed without. Who answers late again and again rests as well.
        """
        now = self._clock()
        self._served[uid] = now
        self._spent[uid] = self._spent.get(uid, 0.0) + now - began
        if self._spent[uid] <= LATE and not (lost and now - began > PATIENCE):
            return 0.0
        before = self._rests.get(uid)
        times = before.times + 1 if before and now - before.until < _LONGEST_REST else 1
        rest = min(_FIRST_REST * (1 << min(times - 1, 10)), _LONGEST_REST)
        self._rests[uid] = _Rest(now + rest, times)
        return rest
