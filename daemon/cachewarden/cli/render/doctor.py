"""The screen of ``doctor``."""

from collections.abc import Sequence

from cachewarden.cli.render import words
from cachewarden.cli.render.blocks import Block, Gap, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.findings import Finding, Severity

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


def _verdict(found: Sequence[Finding]) -> str:
    serious = sum(each.severity is not Severity.NOTE for each in found)
    notes = len(found) - serious
    if serious:
        also = f", and {words.count(notes, 'note')}" if notes else ""
        stands = "stands" if serious == 1 else "stand"
        return f"{words.count(serious, 'thing')} {stands} in the way{also}."
    also = f"; {words.count(notes, 'note')}" if notes else ""
    return f"Nothing stands in the way{also}."
