"""Whose look comes first, and for whom all others wait: what earlier cycles teach about each owner."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cachewarden.model.caches import Owner
from cachewarden.service.fleet import Verdict

SHORT = 5.0
"""Seconds that others wait for one who is getting on while something is to be done; twice as long the next time."""
_LONGEST = 320.0
_FIRST_REST, _LONGEST_REST = 300.0, 3600.0
_FORGET_AFTER = 86_400.0
"""Users come and go."""
_TURNS = (Verdict.UNREACHED, Verdict.DONE, Verdict.FAILED, Verdict.LONG, Verdict.HUNG)


@dataclass(slots=True)
class _Past:
    verdict: Verdict
    at: float
    times: int


class Precedence:
    """By uid, how the last look went. Kept until the restart."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells seconds that only grow."""
        self._clock = clock
        self._past: dict[int, _Past] = {}

    def note(self, owner: Owner, verdict: Verdict) -> None:
        """A look is over, or was not even begun."""
        before = self._past.get(owner.uid)
        times = before.times + 1 if before and before.verdict is verdict else 1
        self._past[owner.uid] = _Past(verdict, self._clock(), times)

    def ordered(self, owners: Iterable[Owner]) -> list[Owner]:
        """Who was not reached comes first; who takes long after the others, and last who hung, the latest at the end.

        Those who take long get no less by that: they go on beside the others. First they would only be in the way.
        """
        now = self._clock()
        self._past = {uid: past for uid, past in self._past.items() if now - past.at < _FORGET_AFTER}
        return sorted(owners, key=self._turn)

    def _turn(self, owner: Owner) -> tuple[int, float]:
        past = self._past.get(owner.uid)
        if past is None or past.verdict in (Verdict.DONE, Verdict.FAILED):
            return _TURNS.index(Verdict.DONE), 0.0
        return _TURNS.index(past.verdict), past.at

    def patience(self, owner: Owner, *, hurried: bool) -> float:
        """Seconds that all others wait for one when only slow ones are left.

        None for who hung lately. ``hurried``: there is something to be done; else one may take its time.
        """
        past = self._past.get(owner.uid)
        if past and past.verdict is Verdict.HUNG:
            rest = min(_FIRST_REST * (1 << min(past.times - 1, 10)), _LONGEST_REST)
            if self._clock() - past.at < rest:
                return 0.0
        if not hurried:
            return float("inf")
        times = past.times if past and past.verdict is Verdict.LONG else 0
        return min(SHORT * (1 << min(times, 10)), _LONGEST)
