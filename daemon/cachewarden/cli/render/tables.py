"""Shows blocks: with rich on a terminal, as aligned plain text in a pipe. rich is imported for a terminal only."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Heading, Line, Tone, cell
from cachewarden.model.text import printable

if TYPE_CHECKING:
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
_LEAST = 14
"""Characters below which a column that gives way says nothing any more."""


def plain(blocks: Iterable[Block]) -> Iterator[str]:
    """Lines for a pipe: nothing is cut, nothing is coloured."""
    first = True
    for block in blocks:
        match block:
            case Heading(text):
                yield from [] if first else [""]
                yield printable(text)
            case Line(text, _, indent, _):
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

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    first = True
    for block in blocks:
        match block:
            case Heading(text):
                console.print(Text(("" if first else "\n") + printable(text), style="bold"))
            case Line(text, tone, indent, True):
                console.print(Text(" " * indent + printable(text), style=_COLOURS[tone]), soft_wrap=True)
            case Line(text, tone, indent):
                line = Text(printable(text), style=_COLOURS[tone])
                console.print(Padding(line, (0, 0, 0, indent), expand=False) if indent else line)
            case Grid():
                console.print(Padding(_rich_grid(block, console.width), (0, 0, 0, block.indent), expand=False))
            case Gap():
                console.print()
        first = False


def _rich_grid(grid: Grid, width: int) -> "Table":
    from rich.table import Table
    from rich.text import Text

    rows = [[_safe(each) for each in row] for row in grid.rows]
    columns = fitted(grid.columns, [[each.text for each in row] for row in rows], width - grid.indent)
    table = Table(box=None, padding=(0, len(_GUTTER), 0, 0), pad_edge=False, header_style="dim")
    for index, room in columns.items():
        column = grid.columns[index]
        table.add_column(column.header, justify="right" if column.right else "left", width=room)
    for row in rows:
        shown = ((row[index], grid.columns[index].fit, room) for index, room in columns.items())
        table.add_row(*(Text(shortened(each.text, fit, room), _COLOURS[each.tone]) for each, fit, room in shown))
    return table


def _safe(value: Cell | str) -> Cell:
    each = cell(value)
    return Cell(printable(each.text), each.tone)


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> dict[int, int]:
    """The columns that are shown, by index, with their widths; as few as need be are left out."""
    natural = [max([len(column.header), *(len(row[index]) for row in rows)]) for index, column in enumerate(columns)]
    kept = list(range(len(columns)))
    while True:
        flexible = sorted((index for index in kept if columns[index].fit is not Fit.WHOLE), key=natural.__getitem__)
        fixed = sum(natural[index] for index in kept if index not in flexible)
        room = width - fixed - len(_GUTTER) * (len(kept) - 1)
        spare = [index for index in kept if columns[index].spare]
        if not spare or room >= sum(min(natural[index], _LEAST) for index in flexible):
            break
        kept.remove(max(spare, key=lambda index: columns[index].spare))
    widths = {index: natural[index] for index in kept}
    for left, index in zip(range(len(flexible), 0, -1), flexible, strict=True):
        widths[index] = max(1, min(natural[index], room // left))
        room -= widths[index]
    return widths


def shortened(text: str, fit: Fit, width: int) -> str:
    """The text as its column shows it; the end of a path says more than its start."""
    if len(text) <= width or fit in {Fit.WHOLE, Fit.WRAP}:
        return text
    tail = 0 if fit is Fit.END else max(1, (width - 1) * 2 // 3)
    head = max(0, width - 1 - tail)
    return f"{text[:head]}…{text[len(text) - tail :]}"
