"""The screen of ``list``."""

from collections.abc import Sequence

from cachewarden.cli import figures
from cachewarden.cli.render import words
from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.caches import Entry, MeasuredCache
from cachewarden.model.units import human_bytes

Found = tuple[MeasuredCache, Entry]
_COLUMNS = (
    Column("ECOSYSTEM", spare=2), Column("OWNER", spare=3), Column("KIND"), Column("PACKAGE", fit=Fit.CUT),
    Column("VERSION"), Column("SIZE", right=True), Column("FREES", right=True),
    Column("LAST USED", right=True, spare=1), Column("KNOWN BY", spare=4), Column("HOLD", fit=Fit.END),
)  # fmt: skip


def entries(shown: Sequence[Found], found: Sequence[Found], view: View) -> list[Block]:
    """``shown`` of the entries that were ``found``, and the sum of these."""
    if not found:
        return [Line("No entry matches.", Tone.STRONG)]
    more = len(found) - len(shown)
    rest = [Line(f"and {more:,} more", Tone.DIM)] if more else []
    return [Grid(_COLUMNS, tuple(_row(*each, view) for each in shown), indent=0), *rest, Gap(), Line(_sum(found))]


def _row(cache: MeasuredCache, entry: Entry, view: View) -> tuple[Cell | str, ...]:
    name = Cell(entry.name) if entry.name else Cell(entry.path, Tone.DIM)
    return (
        cache.cache.ecosystem, cache.cache.owner.name, entry.kind.value, name, entry.version or "-",
        human_bytes(entry.size), words.frees(entry.frees, entry.maybe), view.ago(entry.last_used),
        Cell("-" if entry.last_used is None else entry.signal.value, Tone.DIM),
        Cell(entry.hold, Tone.WARN) if entry.hold else Cell("-", Tone.DIM),
    )  # fmt: skip


def _sum(found: Sequence[Found]) -> str:
    size = frees = maybe = held = 0
    for cache in {id(cache): cache for cache, _ in found}.values():
        own = [entry for other, entry in found if other is cache]
        size += figures.size_of(own)
        freed = figures.freed_by(cache, own)
        frees, maybe, held = frees + freed.freed, maybe + freed.maybe, held + figures.held_open(own)
    size = max(size, frees)  # folders that go with the last thing in them are freed, too
    return (
        f"{words.entries(len(found))}, {human_bytes(size)}; removing what may go frees {_frees(frees, maybe, held)}."
    )


def _frees(frees: int, maybe: int, held: int) -> str:
    return f"{words.between(frees, maybe)}{words.later(held)}"
