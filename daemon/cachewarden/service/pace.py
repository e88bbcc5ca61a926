"""When a disk is to be asked again how full it is: the nearer the mark and the faster it may fill, the sooner.

Asking is one ``statvfs``; what costs is waking up. So the next sample comes ``SOONEST`` after the moment at which the
mark could be crossed at the worst: nothing that fills no faster than assumed goes on for longer before it is seen.
"""

from dataclasses import dataclass
from math import inf

WORST = 100_000_000.0
"""Bytes a second at which any disk may fill all of a sudden: a fast network, a copy from another disk. An assumption;
a disk that was seen to fill faster is taken at its word."""
WORST_INODES = 20_000.0
"""Inodes a second: unpacking an archive of small files makes some ten thousand."""
SOONEST = 0.25
"""Seconds between samples at the mark, and the resolution of every rate."""
LONGEST = 300.0
"""Seconds between samples far from every mark: the default ``watch.interval``."""
_RECENT_HALVES, _FASTEST_HALVES = 5.0, 3600.0


def seconds_until_next(distance: float, fastest: float = 0.0, worst: float = WORST) -> float:
    """Seconds until the next sample, from ``SOONEST`` to ``LONGEST``.

    ``distance``: how much may still be taken before the mark, in bytes (inodes), below 0 beyond it; ``fastest``: the
    highest rate that was seen, a second. Nearer or faster never gives more.
    """
    if distance <= 0:
        return SOONEST
    return min(LONGEST, SOONEST + distance / max(fastest, worst))


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast something grows, a second: ``recent`` fades within seconds, ``fastest`` within hours."""

    recent: float = 0.0
    fastest: float = 0.0

    def after(self, grown: int, seconds: float) -> "Speed":
        """With what it grew in the last ``seconds``. A clock that stands or goes back tells nothing."""
        if not 0 < seconds < inf:
            return self
        now = max(0, grown) / max(seconds, SOONEST)
        return Speed(
            max(now, self.recent * 0.5 ** (seconds / _RECENT_HALVES)),
            max(now, self.fastest * 0.5 ** (seconds / _FASTEST_HALVES)),
        )

    def seconds_for(self, amount: int) -> float:
        """How long ``amount`` lasts if it goes on like this; infinite when nothing grows."""
        return max(0, amount) / self.recent if self.recent else inf
