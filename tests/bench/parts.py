"""How large a run is, and where; what a part of the bench is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.results import Found


@dataclass(frozen=True, slots=True)
class Size:
    """``quick`` is a few minutes in all and not meant for the document; ``minutes`` is of the idle service."""

    place: Path
    quick: bool
    rounds: int
    minutes: float
    modes: tuple[str, ...]

    def of(self, full: int, quick: int) -> int:
        """A number that a short run has smaller."""
        return quick if self.quick else full


Measure = Callable[[Size, Found, Callable[[str], None]], None]
"""Measures one part into ``Found``; the last argument is told what is done at the moment."""
