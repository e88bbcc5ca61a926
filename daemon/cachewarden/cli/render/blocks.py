"""What a screen is made of, whether a terminal shows it or a pipe takes it. Texts are made safe when shown."""

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a text is meant; a terminal has a colour for each."""

    PLAIN = ""
    STRONG = "strong"
    DIM = "dim"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Fit(StrEnum):
    """What a column does when the terminal is too narrow."""

    WHOLE = "whole"
    CUT = "cut"
    """The middle of each text gives way: for paths."""
    END = "end"
    """The end gives way: for sentences of which the start will do."""
    WRAP = "wrap"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in a grid."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """``right`` for numbers. A narrow terminal leaves out what is ``spare``, the highest first."""

    header: str
    right: bool = False
    fit: Fit = Fit.WHOLE
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """Aligned rows, each with a cell per column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell | str, ...], ...]
    indent: int = 2


@dataclass(frozen=True, slots=True)
class Heading:
    """Opens a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of its own; a terminal wraps it, unless it is to be copied in one piece (``whole``: a path)."""

    text: str
    tone: Tone = Tone.PLAIN
    indent: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """An empty line."""


Block = Heading | Line | Grid | Gap


def cell(value: Cell | str) -> Cell:
    """A bare text is a cell without a tone."""
    return value if isinstance(value, Cell) else Cell(value)
