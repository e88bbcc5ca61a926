"""The screen of ``doctor``."""

from collections.abc import Sequence

from cachewarden.cli.render import words
from cachewarden.cli.render.blocks import Block, Gap, Heading, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.caches import Problem
from cachewarden.model.findings import Finding, Mended, Severity

_TONES = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARN, Severity.NOTE: Tone.DIM}


def findings(found: Sequence[Finding], view: View) -> list[Block]:
    """The worst first, each with what is wrong and what to do."""
    blocks: list[Block] = []
    for each in found:
        blocks += [
            Line(f"{each.severity.value}: {each.check}: {view.path(each.subject)}", _TONES[each.severity]),
            Line(each.problem, indent=2),
            Line(f"remedy: {each.remedy}", Tone.STRONG, 2, whole=True),
            Gap(),
        ]
    return [*blocks, Line(_verdict(found), Tone.STRONG)]


def broken(found: Sequence[Finding], view: View) -> list[Block]:
    """What is about to be mended, for a question."""
    blocks: list[Block] = []
    for each in found:
        blocks += [Line(view.path(each.subject), Tone.WARN), Line(each.problem, indent=2), Gap()]
    return blocks


def mended(done: Sequence[Mended], failed: Sequence[Problem], view: View) -> list[Block]:
    """What was mended in each cache, and what is left."""
    blocks: list[Block] = [Heading("Mended")]
    for each in done:
        parts = f"{words.count(each.folders, 'folder')} and {words.count(each.files, 'file')}"
        blocks.append(Line(f"{view.path(each.path)}: {parts}", Tone.STRONG, 2))
        if each.left:
            why = f", the first: {each.why}" if each.why else ""
            blocks.append(Line(f"{each.left:,} left as they are{why}", Tone.WARN, 4))
        if each.linked:
            text = f"{words.count(each.linked, 'file')} with names elsewhere not touched"
            blocks.append(Line(text, Tone.DIM, 4))
    blocks += [Line(f"{each.path}: {each.reason}", Tone.BAD, 2) for each in failed]
    return [*blocks, Gap()]


def _verdict(found: Sequence[Finding]) -> str:
    serious = sum(each.severity is not Severity.NOTE for each in found)
    notes = len(found) - serious
    if serious:
        also = f", and {words.count(notes, 'note')}" if notes else ""
        stands = "stands" if serious == 1 else "stand"
        return f"{words.count(serious, 'thing')} {stands} in the way{also}."
    also = f"; {words.count(notes, 'note')}" if notes else ""
    return f"Nothing stands in the way{also}."
