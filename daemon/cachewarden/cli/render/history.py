"""The screen of ``history``."""

from collections.abc import Sequence

from cachewarden.cli.render import moves
from cachewarden.cli.render.blocks import Block, Cell, Column, Grid, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.units import human_bytes, human_span, rfc3339, seconds_between
from cachewarden.system.memory import PastCycle, PastMove

_COLUMNS = (
    Column("STARTED (UTC)"), Column("AGO", right=True), Column("TOOK", right=True), Column("FREED", right=True),
    Column("ACTIONS", right=True), Column("FAILURES", right=True), Column("TRIGGER"),
)  # fmt: skip


def history(cycles: Sequence[PastCycle], past: Sequence[PastMove], view: View) -> list[Block]:
    """The latest first."""
    if not cycles:
        return [Line("No cycle has done anything yet."), Line("`cachewarden run` makes one.", Tone.DIM)]
    return [Grid(_COLUMNS, tuple(_row(each, view) for each in cycles), indent=0), *moves.history(past, view)]


def _row(each: PastCycle, view: View) -> tuple[Cell | str, ...]:
    return (
        (rfc3339(each.started_at) or "-").replace("T", " ").rstrip("Z"),
        human_span(max(0, seconds_between(each.started_at, view.now))),
        human_span(max(0, seconds_between(each.started_at, each.finished_at))),
        Cell(human_bytes(each.freed), Tone.GOOD if each.freed else Tone.DIM),
        str(each.actions),
        Cell(str(each.failures), Tone.BAD if each.failures else Tone.DIM),
        each.trigger,
    )
