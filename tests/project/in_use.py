"""Writes the tables of ``docs/in-use.md`` from cases that are built and judged; ``python -m project.in_use``."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from builders.in_use_cases import CASES, Judged, Says, Truth, judge, packages

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "in-use.md"
BEGIN, END = "<!-- what follows is written by project.in_use -->\n", "<!-- to here -->\n"
_TRUTHS = (Truth.NEEDED, Truth.USED, Truth.FREE)


def section(judged: Sequence[Judged]) -> str:
    """Both tables of cases, and the counts."""
    told = [each for each in judged if not each.case.untold]
    untold = [each for each in judged if each.case.untold]
    parts = [
        f"## The {len(told)} cases of which something tells\n",
        *_cases(told),
        "\n## The counts\n",
        *_counts(told),
        f"\n## {len(untold)} cases of which nothing tells\n",
        *_cases(untold),
    ]
    return "\n".join(parts) + "\n"


def _cases(judged: Iterable[Judged]) -> Iterable[str]:
    yield "| case | truth | `conda clean` | cachewarden | evidence |"
    yield "|---|---|---|---|---|"
    for each in judged:
        conda, ours = (_marked(says, each.case.truth) for says in (each.conda, each.ours))
        yield f"| {each.case.title} | {each.case.truth} | {conda} | {ours} | {each.evidence or '-'} |"


def _marked(says: Says, truth: Truth) -> str:
    return str(says) if is_right(says, truth) else f"**{says}**"


def is_right(says: Says, truth: Truth) -> bool:
    """What is free may go, and nothing else; what is not seen stays."""
    return (says is Says.FREE) == (truth is Truth.FREE)


def _counts(judged: Sequence[Judged]) -> Iterable[str]:
    yield "| truth | cases | `conda clean`: may go | stays | not seen | cachewarden: may go | stays | not seen |"
    yield "|---|---|---|---|---|---|---|---|"
    for truth in _TRUTHS:
        own = [each for each in judged if each.case.truth is truth]
        cells = [sum(each.conda is says for each in own) for says in (Says.FREE, Says.USED, Says.UNSEEN)]
        cells += [sum(each.ours is says for each in own) for says in (Says.FREE, Says.USED, Says.UNSEEN)]
        yield f"| {truth} | {len(own)} | {' | '.join(map(str, cells))} |"


def written(text: str, judged: Sequence[Judged]) -> str:
    """The document with its tables anew; ValueError when it has no place for them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT}: the marks around the tables are gone")
    return f"{before}{BEGIN}\n{section(judged)}\n{END}{after}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        built = packages(Path(scratch))
        found = [judge(case, built) for case in CASES]
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), found), encoding="utf-8")
