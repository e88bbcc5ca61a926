"""The screens of ``relocate`` and ``restore``, and what others say of moves."""

from collections.abc import Iterable, Iterator, Sequence

from cachewarden.cli.render import words
from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Heading, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.plans import CycleRecord
from cachewarden.model.relocations import Moved, MoveOrder, Phase, Presence, Prospect, RelocationSeen
from cachewarden.model.units import human_bytes
from cachewarden.system.memory import PastMove

_STATES = {
    Phase.COPYING: "unfinished: being copied", Phase.SWITCHING: "unfinished: the tool is being told",
    Phase.REMOVING: "unfinished: the old place is being cleared", Phase.SETTLED: "moved",
    Phase.LEAVING: "unfinished: going back to the old place", Phase.AWAY: "waits for its disk",
    Phase.CANCELLING: "unfinished: being taken back",
}  # fmt: skip
_FINISHED = {Phase.SETTLED.value, Phase.AWAY.value, Phase.OVER.value}


def moved(record: CycleRecord) -> list[Block]:
    """What came of a move that was asked for by hand."""
    blocks: list[Block] = []
    for each in record.outcomes:
        if each.moved is None:
            continue
        found = each.moved
        tone = (Tone.WARN if found.busy else Tone.BAD) if found.error else Tone.STRONG
        blocks.append(
            Line(f"{each.cache.ecosystem} of {each.cache.owner.name}: {_sentence(each.action, found)}", tone)
        )
        blocks += [Line(note, Tone.WARN, 2) for note in found.notes]
        if found.prospect and not found.error:
            blocks += [Line(each, Tone.DIM, 2) for each in found.prospect.warnings]
        blocks += _next_step(each.action, found)
    return blocks


def _sentence(action: str, found: Moved) -> str:
    if not found.error:
        return found.text
    verb = "not moved" if action == "relocate" else "not taken back"
    left = "" if found.phase is Phase.OVER else f" ({_STATES.get(found.phase, found.phase.value)})"
    return f"{verb} now: {found.error}{left}" if found.busy else f"{verb}: {found.error}{left}"


def _next_step(action: str, found: Moved) -> Iterator[Block]:
    if found.busy and found.phase is not Phase.OVER:
        yield Line("It goes on with the next `cachewarden run`, or the same command.", Tone.DIM)
    elif found.phase is Phase.SETTLED and not found.error and action == "relocate":
        yield Line("`cachewarden restore` takes it back; `cachewarden status` shows it.", Tone.DIM)


def prospect(order: MoveOrder, found: Moved) -> list[Block]:
    """The screen of ``relocate --dry-run``."""
    known = found.prospect
    if known is None:
        return [Line(found.text, Tone.BAD if found.error else Tone.STRONG)]
    blocks: list[Block] = [Heading(f"{known.ecosystem}: {known.source} to {known.destination or order.to}")]
    blocks += figures(known)
    if found.error:
        return [*blocks, Gap(), Line(f"Cannot be moved{' now' if found.busy else ''}: {found.error}", Tone.BAD)]
    return [*blocks, Gap(), Line("Nothing was changed. The same command without --dry-run moves it.", Tone.DIM)]


def figures(known: Prospect) -> Iterator[Block]:
    """What a move would copy, free and change."""
    if known.files:
        yield Line(
            f"copies {human_bytes(known.contents)} in {words.count(known.files, 'file')};"
            f" {human_bytes(known.room)} are free there", Tone.PLAIN, 2,
        )  # fmt: skip
        yield Line(f"frees {human_bytes(known.frees)} where it is now", Tone.PLAIN, 2)
    if known.config:
        yield Line(f"changes {known.config}", Tone.PLAIN, 2)
    for each in known.warnings:
        yield Line(each, Tone.WARN, 2)


def relocations(found: Sequence[RelocationSeen], view: View) -> Iterator[Block]:
    """What was moved, and what is under way."""
    if not found:
        return
    yield Heading("Moved")
    columns = (
        Column("ECOSYSTEM"), Column("OWNER"), Column("STATE", fit=Fit.WRAP), Column("FROM", fit=Fit.CUT),
        Column("TO", fit=Fit.CUT),
    )  # fmt: skip
    yield Grid(columns, tuple(_row(each, view) for each in found))


def _row(each: RelocationSeen, view: View) -> tuple[Cell | str, ...]:
    state = _STATES.get(each.phase, each.phase.value)
    if each.phase is Phase.SETTLED and each.presence is not Presence.HERE:
        state = f"moved, and its disk is {each.presence.value}"
    if each.why and each.phase is not Phase.SETTLED:
        state = f"{state} ({each.why})"
    tone = Tone.GOOD if each.phase is Phase.SETTLED and each.presence is Presence.HERE else Tone.WARN
    return each.ecosystem, each.owner, Cell(state, tone), view.path(each.old), view.path(each.new)


def unfinished(past: Iterable[PastMove]) -> list[PastMove]:
    """Of the latest word on each move those that say it is not at its end; ``past`` the latest first."""
    latest: dict[tuple[str, str, str], PastMove] = {}
    later: set[tuple[str, str]] = set()
    for each in past:
        # A command that was killed before it had found the cache names none: any later word counts for it.
        if each.source or (each.owner, each.ecosystem) not in later:
            latest.setdefault((each.owner, each.ecosystem, each.source), each)
        later.add((each.owner, each.ecosystem))
    return [each for each in latest.values() if each.phase not in _FINISHED]


def history(past: Sequence[PastMove], view: View) -> Iterator[Block]:
    """Moves, the latest first; those that are not finished are told before all else."""
    left = unfinished(past)
    if left:
        yield Heading("Unfinished moves")
        for each in left:
            what = f"{each.ecosystem} of {each.owner}, {view.path(each.source)} to {view.path(each.destination)}"
            yield Line(f"{what}: {each.text}; `cachewarden run` goes on", Tone.WARN, 2)
    if past:
        yield Heading("Moves")
        columns = (
            Column("AGO", right=True), Column("ECOSYSTEM"), Column("OWNER"), Column("WHAT", fit=Fit.WRAP),
            Column("FROM", fit=Fit.CUT),
        )  # fmt: skip
        rows = [(view.ago(each.at), each.ecosystem, each.owner, each.text, view.path(each.source)) for each in past]
        yield Grid(columns, tuple(rows))
