"""Something to look at while work takes longer than a second, on a terminal only."""

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cachewarden.model.plans import RemovedEntry
from cachewarden.model.relocations import MoveProgress
from cachewarden.model.units import human_bytes, human_span

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_PATIENCE = 1.0


class Progress:
    """Says on standard error what goes on. Its thread starts after the launcher is forked, never before."""

    def __init__(self, *, shown: bool, doing: str, total: int | None = None) -> None:
        """``doing`` until something is removed; ``total`` entries are expected, ``None`` for unknown."""
        self._shown = shown
        self._text = doing
        self._total = total
        self._count = 0
        self._freed = 0
        self._lock = threading.Lock()
        self._timer = threading.Timer(_PATIENCE, self._appear)
        self._timer.daemon = True
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._over = False
        self._moving_since: float | None = None

    def __enter__(self) -> Self:
        """Starts to count the second."""
        if self._shown:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves nothing on the screen."""
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._bar:
                self._bar.stop()

    def removed(self, entry: RemovedEntry) -> None:
        """One more."""
        self._count += 1
        self._freed += entry.freed
        if not self._shown:
            return
        self._text = f"Removing: {self._count:,} entries, {human_bytes(self._freed)} freed"
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=self._text, completed=self._count)

    def moving(self, now: MoveProgress) -> None:
        """How far a copy is, how fast it goes, and how long it will take."""
        if self._moving_since is None:
            self._moving_since = time.monotonic()
        seconds = max(time.monotonic() - self._moving_since, 0.1)
        rate = now.contents / seconds
        words = [
            f"{human_bytes(now.contents)} of {human_bytes(now.of_contents)}"
            if now.of_contents
            else human_bytes(now.contents)
        ]
        words.append(f"{human_bytes(int(rate))}/s")
        if now.of_contents > now.contents and rate > 0:
            words.append(f"{human_span(int((now.of_contents - now.contents) / rate))} left")
        self._text = f"{now.doing.capitalize()}: {', '.join(words)}"
        self._total, self._count = now.of_contents or None, now.contents
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=self._text, total=self._total, completed=self._count)

    def _appear(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        # Without a total a bar says nothing; and every redraw takes time from the work.
        bars = () if self._total is None else (BarColumn(bar_width=24),)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), *bars, TimeElapsedColumn())
        console = Console(stderr=True, highlight=False)
        bar = Bar(*columns, console=console, transient=True, refresh_per_second=4)
        task = bar.add_task(self._text, total=self._total, completed=self._count)
        with self._lock:
            if self._over:
                return
            bar.start()
            self._bar, self._task = bar, task
