"""The time of day."""

import time

from cachewarden.model.units import Instant


class SystemClock:
    """The machine's own clock."""

    def now(self) -> Instant:
        """Nanoseconds since the epoch."""
        return Instant(time.time_ns())
