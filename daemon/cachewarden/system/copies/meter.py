"""How far a copy is, and whether it may go on."""

import time
from collections.abc import Callable

from cachewarden.system.removal import StoppedError

_TELL_EVERY = 0.2  # seconds


class Meter:
    """Asks whether to go on, and tells how far it is, five times a second at most."""

    def __init__(
        self, may_go_on: Callable[[], bool], tell: Callable[[int, int], None], pause: Callable[[], bool] | None = None
    ) -> None:
        """``tell`` takes names and bytes; ``pause`` says whether this is enough for now."""
        self.may_go_on = may_go_on
        self._pause = pause
        self._progress = tell
        self._told = time.monotonic()
        self._names = self._bytes = self._part = 0

    def ask(self) -> None:
        """StoppedError when it is time to stop."""
        if not self.may_go_on():
            raise StoppedError

    def rest(self) -> None:
        """StoppedError when enough was done for now."""
        if self._pause and self._pause():
            raise StoppedError

    def part(self, size: int) -> None:
        """So many bytes more of a file that is not yet done; StoppedError as ``ask``."""
        self._part += size
        self._tell()
        self.ask()

    def done(self, size: int) -> None:
        """One more name, whose contents have ``size`` bytes."""
        self._names += 1
        self._bytes += size
        self._part = 0
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            self._progress(self._names, self._bytes + self._part)
