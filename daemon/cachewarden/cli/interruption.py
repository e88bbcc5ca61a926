"""Ctrl-C and TERM: at once as long as nothing is touched, cleanly between two entries from then on."""

import signal
from types import FrameType, TracebackType
from typing import Self


class Terminated(KeyboardInterrupt):
    """A signal that ends the command; the shell's status for it is 128 and its number."""

    def __init__(self, number: int) -> None:
        """``number`` of the signal."""
        super().__init__(number)
        self.number = number


class Interruption:
    """Takes the signals while a cycle runs. ``signal`` is the number of the one that came, if any."""

    def __init__(self) -> None:
        """Nothing is taken before ``with``."""
        self.signal: int | None = None
        self.acting = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """A signal that is ignored (nohup) stays so."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself gave

    def may_go_on(self) -> bool:
        """Asked between two entries."""
        return self.signal is None

    def _take(self, number: int, _: FrameType | None) -> None:
        """The second one does not wait: killed at any instant, everything stays whole."""
        if not self.acting or self.signal is not None:
            raise Terminated(number)
        self.signal = number
