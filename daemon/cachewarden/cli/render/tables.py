"""Shows blocks: with rich on a terminal, as aligned plain text in a pipe. rich is imported for a terminal only."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Heading, Line, Tone, cell
from cachewarden.model.text import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement
    from rich.table import Table

_GUTTER = "  "
_COLOURS = {
    Tone.PLAIN: "",
    Tone.STRONG: "bold",
    Tone.DIM: "dim",
    Tone.GOOD: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "red",
}
_LEAST_PATH = 16


def plain(blocks: Iterable[Block]) -> Iterator[str]:
    """Lines for a pipe: nothing is cut, nothing is coloured."""
    first = True
    for block in blocks:
        match block:
            case Heading(text):
                yield from [] if first else [""]
                yield printable(text)
            case Line(text, _, indent):
                yield f"{' ' * indent}{printable(text)}"
            case Grid():
                yield from _plain_grid(block)
            case Gap():
                yield ""
        first = False


def _plain_grid(grid: Grid) -> Iterator[str]:
    rows = [[printable(cell(each).text) for each in row] for row in grid.rows]
    table = [[column.header for column in grid.columns], *rows]
    widths = [max(len(row[index]) for row in table) for index in range(len(grid.columns))]
    for row in table:
        cells = (
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(row, widths, grid.columns, strict=True)
        )
        yield (" " * grid.indent + _GUTTER.join(cells)).rstrip()


def show_on_terminal(blocks: Iterable[Block], stream: TextIO) -> None:
    """Colours and widths of the terminal behind ``stream``; ``NO_COLOR`` is honoured."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False)
    first = True
    for block in blocks:
        match block:
            case Heading(text):
                console.print(Text(("" if first else "\n") + printable(text), style="bold"))
            case Line(text, tone, indent):
                console.print(Padding(Text(printable(text), style=_COLOURS[tone]), (0, 0, 0, indent)))
            case Grid():
                console.print(Padding(_rich_grid(block), (0, 0, 0, block.indent)))
            case Gap():
                console.print()
        first = False


def _rich_grid(grid: Grid) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, len(_GUTTER), 0, 0), pad_edge=False, header_style="dim")
    for column in grid.columns:
        table.add_column(
            column.header, justify="right" if column.right else "left", no_wrap=column.fit is Fit.WHOLE
        )
    for row in grid.rows:
        table.add_row(*(_rich_cell(cell(each), column) for each, column in zip(row, grid.columns, strict=True)))
    return table


def _rich_cell(each: Cell, column: Column) -> "RenderableType":
    from rich.text import Text

    text = printable(each.text)
    return _Cut(text, _COLOURS[each.tone]) if column.fit is Fit.CUT else Text(text, style=_COLOURS[each.tone])


class _Cut:
    """For rich: a text that takes the width it gets, and says that it can do with little."""

    def __init__(self, text: str, style: str) -> None:
        self._text = text
        self._style = style

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        yield Text(shortened(self._text, options.max_width), style=self._style, no_wrap=True)

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.measure import Measurement

        return Measurement(min(len(self._text), _LEAST_PATH), len(self._text))


def shortened(text: str, width: int) -> str:
    """The text with its middle left out where it is too wide; the end of a path says more than its start."""
    if len(text) <= width:
        return text
    tail = max(1, (width - 1) * 2 // 3)
    head = max(0, width - 1 - tail)
    return f"{text[:head]}…{text[-tail:]}"
