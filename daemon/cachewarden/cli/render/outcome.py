"""The screen of ``run`` and ``purge``: what was really done."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from cachewarden.cli.render import words
from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Heading, Line, Tone
from cachewarden.cli.render.plan import shortfalls, skips
from cachewarden.cli.render.status import policies, problems
from cachewarden.cli.render.words import View
from cachewarden.model.plans import CycleRecord, Failure, Outcome
from cachewarden.model.units import Bytes, human_bytes

_MOST_FAILURES = 10
_MOST_HOLDERS = 5


def outcome(record: CycleRecord, view: View, *, by_hand: bool = False) -> list[Block]:
    """What went and what did not, the disks before and after, and what is still wanting."""
    blocks: list[Block] = []
    removed = _joined(each for each in record.outcomes if each.removed)
    for each in record.outcomes:
        if each.moved and not each.moved.error:
            blocks.append(Line(f"{each.cache.ecosystem} of {each.cache.owner.name}: {each.moved.text}", Tone.STRONG))
            blocks += [Line(note, Tone.WARN, 2) for note in each.moved.notes]
    if removed:
        blocks += [Heading("Removed"), _removed(removed, view)]
        blocks += _disks(record)
    elif not record.outcomes:
        blocks += _nothing(record, by_hand=by_hand)
    if view.verbose:
        blocks += _every_entry(removed, view)
        blocks += skips(record.plan.skips, view)
    blocks += _failures(record.outcomes, view)
    blocks += shortfalls(record.plan.shortfalls, "is")
    blocks += problems(record.problems, view)
    if record.outcomes:
        blocks += [Gap(), *_closing(record)]
    return blocks


def _nothing(record: CycleRecord, *, by_hand: bool) -> Iterator[Block]:
    if by_hand:
        yield Line("Nothing to do: nothing that matches may go.", Tone.STRONG)
    else:
        short = record.plan.shortfalls
        words = (
            "Nothing was removed: nothing more may go." if short else "Nothing to do: no policy takes anything now."
        )
        yield Line(words, Tone.STRONG)
        yield Heading("Policies")
        yield from policies(record.plan.standings)


def _joined(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """What several rounds took from one cache under one policy is told as one."""
    found: dict[tuple[str, str], Outcome] = {}
    for each in outcomes:
        key = each.policy, each.cache.path
        before = found.get(key)
        if before:
            removed, freed = before.removed + each.removed, Bytes(before.freed + each.freed)
            maybe = Bytes(before.maybe + each.maybe)
            found[key] = replace(before, removed=removed, freed=freed, maybe=maybe)
        else:
            found[key] = each
    return list(found.values())


def _removed(outcomes: Iterable[Outcome], view: View) -> Grid:
    columns = (
        Column("ECOSYSTEM"), Column("OWNER"), Column("ENTRIES", right=True), Column("FREED", right=True),
        Column("POLICY"), Column("CACHE", fit=Fit.CUT),
    )  # fmt: skip
    return Grid(columns, tuple(_row(each, view) for each in outcomes))


def _row(each: Outcome, view: View) -> tuple[Cell | str, ...]:
    where = each.cache
    freed = Cell(words.between(each.freed, each.maybe), Tone.GOOD)
    return where.ecosystem, where.owner.name, f"{len(each.removed):,}", freed, each.policy, view.path(where.path)


def _every_entry(outcomes: Iterable[Outcome], view: View) -> Iterator[Block]:
    for each in outcomes:
        yield Heading(f"{each.policy}: {view.path(each.cache.path)}")
        columns = (Column("FREED", right=True), Column("ENTRY", fit=Fit.CUT), Column("WHY", fit=Fit.WRAP))
        rows = [(words.frees(gone.freed, gone.maybe), words.label(gone.name, gone.version, gone.path), gone.reason)
                for gone in each.removed]  # fmt: skip
        yield Grid(columns, tuple(rows), indent=4)


def _disks(record: CycleRecord) -> Iterator[Block]:
    later = {each.device: each for each in record.after}
    rows = []
    for before in record.before:
        after = later.get(before.device, before)
        rows.append((words.free(before), words.free(after), before.mount))
    columns = (Column("FREE BEFORE", right=True), Column("FREE NOW", right=True), Column("MOUNT", fit=Fit.CUT))
    yield Heading("Disks")
    yield Grid(columns, tuple(rows))


def _failures(outcomes: Iterable[Outcome], view: View) -> Iterator[Block]:
    failed = [(outcome, failure) for outcome in outcomes for failure in outcome.failures]
    if not failed:
        return
    yield Heading(
        "Not done" if any(outcome.moved or outcome.action != "purge" for outcome, _ in failed) else "Not removed"
    )
    shown = failed if view.verbose else failed[:_MOST_FAILURES]
    for each, failure in shown:
        yield Line(_failure(each, failure, view), Tone.WARN if failure.busy else Tone.BAD, 2)
    if more := len(failed) - len(shown):
        yield Line(f"and {more:,} more; --verbose shows all", Tone.DIM, 2)


def _failure(each: Outcome, failure: Failure, view: View) -> str:
    later = " (busy: tried again in the next cycle)" if failure.busy else ""
    return f"{view.path(words.where(each.cache, failure.path))}: {failure.error}{later}"


def _held_open(record: CycleRecord) -> Iterator[Block]:
    """What is gone and still takes up room, and whose closing it gives that back."""
    if not record.held_open:
        return
    holders: dict[tuple[int, str], int] = {}
    for each in (holder for outcome in record.outcomes for holder in outcome.holders):
        holders[each.pid, each.name] = holders.get((each.pid, each.name), 0) + each.size
    told = sorted(holders.items(), key=lambda each: (-each[1], each[0]))
    for (pid, name), size in told[:_MOST_HOLDERS]:
        yield Line(f"{human_bytes(size)} come back when {name} (pid {pid}) closes them", Tone.WARN, 2)
    if (rest := record.held_open - sum(size for _, size in told[:_MOST_HOLDERS])) > 0:
        yield Line(f"{human_bytes(rest)} come back when others close what they have open", Tone.WARN, 2)


def _closing(record: CycleRecord) -> Iterator[Block]:
    number = sum(len(each.removed) for each in record.outcomes)
    stopped = "Stopped before the end: " if any(each.incomplete for each in record.outcomes) else ""
    freed = words.between(record.freed, record.maybe)
    yield Line(f"{stopped}{freed} freed, {words.entries(number)} removed.", Tone.STRONG)
    yield from _held_open(record)
    if number:
        yield Line("`cachewarden explain NAME` tells why something went.", Tone.DIM)
