"""The screen of ``plan`` and of ``purge --dry-run``, and the short form that a question is about."""

import re
from collections.abc import Iterable, Iterator, Sequence

from cachewarden.cli.render import moves, words
from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Heading, Line, Tone
from cachewarden.cli.render.status import policies, problems
from cachewarden.cli.render.words import View
from cachewarden.model.caches import Problem
from cachewarden.model.plans import Action, Chosen, Plan, Purge, Shortfall, Skip
from cachewarden.model.units import human_bytes

_MOST_ENTRIES = 8
_AGE = re.compile(r"\b(written|last used) (?:\S+ ago|\S+ in the future)")


def plan(decided: Plan, found_problems: Iterable[Problem], view: View, *, by_hand: bool = False) -> list[Block]:
    """Actions with their reasons, what stays and why, what will be wanting, how the policies stand."""
    blocks: list[Block] = []
    for action in decided.actions:
        blocks += _action(action, view)
    if not decided.actions:
        blocks.append(Line("Nothing to do: nothing would be removed now.", Tone.STRONG))
    blocks += skips(decided.skips, view)
    blocks += shortfalls(decided.shortfalls, "would be")
    if not by_hand:
        blocks += [Heading("Policies"), *policies(decided.standings)]
    blocks += problems(found_problems, view)
    if decided.actions:
        blocks += [Gap(), Line(_total(decided.actions), Tone.STRONG)]
        blocks.append(Line(_next_step(by_hand=by_hand), Tone.DIM))
    return blocks


def _next_step(*, by_hand: bool) -> str:
    does = "The same command without --dry-run" if by_hand else "`cachewarden run`"
    return f"Nothing was changed. {does} carries this out."


def _total(actions: Sequence[Action]) -> str:
    number = sum(len(action.entries) for action in actions if isinstance(action, Purge))
    purges = [action for action in actions if isinstance(action, Purge)]
    size = words.between(sum(action.frees for action in actions), sum(each.maybe for each in purges))
    held = words.later(sum(each.held_open for each in purges))
    moves = sum(not isinstance(action, Purge) for action in actions)
    moved = f"{words.count(moves, 'cache')} to be moved, " if moves else ""
    return f"In all: {moved}{words.entries(number)} to be removed, {size} freed{held}."


def _action(action: Action, view: View) -> Iterator[Block]:
    place = f"{action.cache.ecosystem} of {action.cache.owner.name}, {view.path(action.cache.path)}"
    if isinstance(action, Purge):
        number = words.entries(len(action.entries))
        frees = f"{words.between(action.frees, action.maybe)}{words.later(action.held_open)}"
        yield Heading(f"{action.policy}: removes {number} of {place}, frees {frees}")
        yield Line(f"because {action.reason}", Tone.DIM, 2)
        yield from _entries(action, view)
    else:
        frees = human_bytes(action.frees)
        yield Heading(f"{action.policy}: moves {place} to {view.path(action.to)}, frees {frees}")
        yield Line(f"because {action.reason}", Tone.DIM, 2)
        if action.prospect:
            yield from moves.figures(action.prospect)


def _entries(action: Purge, view: View) -> Iterator[Block]:
    """In the order of removal when all are shown; else the largest."""
    shown: Sequence[Chosen] = action.entries
    if not view.verbose and len(shown) > _MOST_ENTRIES:
        shown = sorted(shown, key=lambda chosen: -chosen.adds)[:_MOST_ENTRIES]
    columns = (Column("FREES", right=True), Column("ENTRY", fit=Fit.CUT), Column("WHY", fit=Fit.WRAP))
    rows = [
        (words.frees(each.adds), words.label(each.entry.name, each.entry.version, each.entry.path), each.reason)
        for each in shown
    ]
    yield Grid(columns, tuple(rows), indent=4)
    if more := len(action.entries) - len(shown):
        yield Line(f"and {more:,} more; --verbose shows all", Tone.DIM, 4)


def skips(found: Sequence[Skip], view: View) -> Iterator[Block]:
    """Each with its reason, or how many there are of each reason."""
    if not found:
        return
    yield Heading("Stays")
    if view.verbose:
        columns = (Column("WHAT", fit=Fit.CUT), Column("WHY", fit=Fit.WRAP))
        yield Grid(columns, tuple((view.path(each.path), each.reason) for each in found))
        return
    groups: dict[str, list[str]] = {}
    for skip in found:
        groups.setdefault(_AGE.sub(r"\1 too recently", skip.reason), []).append(skip.path)
    rows = [
        (f"{len(paths):,}", reason if len(paths) > 1 else f"{reason}: {view.path(paths[0])}")
        for reason, paths in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    ]
    yield Grid((Column("ENTRIES", right=True), Column("WHY", fit=Fit.WRAP)), tuple(rows))


def shortfalls(found: Sequence[Shortfall], verb: str) -> Iterator[Block]:
    """Promises that cannot be kept; ``verb`` is "is" or "would be"."""
    if not found:
        return
    yield Heading("Not enough")
    for short in found:
        lacks = [human_bytes(short.lacks)] if short.lacks else []
        if short.lacks_inodes:
            lacks.append(words.count(short.lacks_inodes, "inode"))
        place = "" if short.place == "all" else f" at {short.place}"
        text = f"{short.policy} {verb} {' and '.join(lacks)} short{place}: nothing more may be removed"
        yield Line(text, Tone.BAD, 2)


def summary(decided: Plan, view: View) -> list[Block]:
    """What is about to go, cache by cache."""
    columns = (
        Column("ECOSYSTEM"), Column("OWNER"), Column("ENTRIES", right=True), Column("FREES", right=True),
        Column("CACHE", fit=Fit.CUT),
    )  # fmt: skip
    rows: list[tuple[Cell | str, ...]] = [
        (
            action.cache.ecosystem, action.cache.owner.name, f"{len(action.entries):,}",
            words.between(action.frees, action.maybe), view.path(action.cache.path),
        )
        for action in decided.actions
        if isinstance(action, Purge)
    ]  # fmt: skip
    return [Heading("To be removed"), Grid(columns, tuple(rows))]
