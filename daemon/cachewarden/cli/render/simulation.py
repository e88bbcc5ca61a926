"""``simulate`` as a screen and as JSON."""

from collections.abc import Mapping

from cachewarden.cli.render.blocks import Block, Cell, Column, Grid, Heading, Line, Tone
from cachewarden.model.units import human_bytes, human_span
from cachewarden.simulate.report import AS_CONFIGURED, Report, Result
from cachewarden.simulate.world import Regret

_COLUMNS = (
    Column("CHOSEN BY"), Column("LOST", right=True), Column("TO THE BOUND", right=True, spare=1),
    Column("AGAIN", right=True), Column("DOWNLOADED AGAIN", right=True), Column("REMOVED", right=True, spare=2),
    Column("FREED", right=True, spare=3),
)  # fmt: skip
_POLICIES = (
    Column("POLICY"), Column("LOST", right=True), Column("AGAIN", right=True),
    Column("DOWNLOADED AGAIN", right=True), Column("REMOVED", right=True, spare=1),
    Column("FREED", right=True, spare=2),
)  # fmt: skip


def screen(found: Report, *, verbose: bool) -> list[Block]:
    """What each choice would have cost; ``verbose``: of all of them, policy by policy."""
    tally = found.results[0].replayed.tally
    blocks: list[Block] = [
        Line(found.trace.about or "a trace", Tone.STRONG),
        Line(
            f"{tally.wants:,} installs of {human_bytes(found.study.footprint)} in all, of which {tally.first:,}"
            f" for the first time; a disk of {human_bytes(found.capacity)}"
        ),
        Heading("Time that installs waited for what had been removed"),
        Grid(_COLUMNS, tuple(_row(found, each) for each in found.results)),
    ]
    if known := found.clairvoyant:
        blocks += [
            Line(f"Knowing the future: {_span(known.schedule)} can be had, nothing gets below {_span(known.bound)}."),
        ]
    for result in found.results if verbose else found.results[:1]:
        if regrets := result.replayed.tally.regrets:
            blocks += [Heading(f"By policy, {result.name}"), Grid(_POLICIES, tuple(map(_regret, regrets.items())))]
    return blocks


def _row(found: Report, result: Result) -> tuple[Cell | str, ...]:
    whole = result.replayed.tally.whole
    tone = Tone.STRONG if result.name == AS_CONFIGURED else Tone.PLAIN
    return (Cell(result.name, tone), *_figures(whole)[:1], _ratio(found, result), *_figures(whole)[1:])


def _regret(line: tuple[str, Regret]) -> tuple[Cell | str, ...]:
    return (line[0], *_figures(line[1]))


def _figures(regret: Regret) -> tuple[str, ...]:
    return (
        _span(regret.seconds), f"{regret.again:,}", human_bytes(regret.fetched), f"{regret.removed:,}",
        human_bytes(regret.freed),
    )  # fmt: skip


def _ratio(found: Report, result: Result) -> str:
    bound = found.clairvoyant.bound if found.clairvoyant else 0.0
    return f"{result.seconds / bound:.2f}" if bound >= 1 else "-"


def _span(seconds: float) -> str:
    return human_span(round(seconds))


def document(found: Report) -> Mapping[str, object]:
    """``schema: 1``: bytes as integers, seconds with a tenth."""
    known = found.clairvoyant
    return {
        "schema": 1,
        "trace": {
            "about": found.trace.about,
            "events": len(found.trace.events),
            "footprint_bytes": found.study.footprint,
        },
        "capacity_bytes": found.capacity,
        "link_speed": found.study.link_speed,
        "results": [_result(each) for each in found.results],
        "clairvoyant": None if known is None else {
            "capacity_bytes": found.peak,
            "bound_seconds": round(known.bound, 1),
            "schedule_seconds": round(known.schedule, 1),
        },
    }  # fmt: skip


def _result(result: Result) -> dict[str, object]:
    replayed = result.replayed
    return {
        "name": result.name,
        "wants": replayed.tally.wants,
        "hits": replayed.tally.hits,
        "first": replayed.tally.first,
        **_told(replayed.tally.whole),
        "peak_bytes": replayed.peak,
        "policies": [{"policy": name, **_told(each)} for name, each in replayed.tally.regrets.items()],
    }


def _told(regret: Regret) -> dict[str, object]:
    return {
        "lost_seconds": round(regret.seconds, 1),
        "wanted_again": regret.again,
        "downloaded_again_bytes": regret.fetched,
        "removed_entries": regret.removed,
        "removed_bytes": regret.freed,
    }
