"""How often something may be done at once that users can bring about."""

import time
from collections import deque
from collections.abc import Callable

_TIMES, _SECONDS = 5, 60.0


class Hurry:
    """A few times in a minute; after that it has to wait as everything else, or looking would be all that is done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells seconds that only grow."""
        self._clock = clock
        self._times: deque[float] = deque(maxlen=_TIMES)

    def may(self) -> bool:
        """Whether this time is one of the few; then it counts."""
        now = self._clock()
        if len(self._times) == _TIMES and now - self._times[0] < _SECONDS:
            return False
        self._times.append(now)
        return True
