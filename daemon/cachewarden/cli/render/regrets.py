"""The screen and the JSON of ``history --regretted``."""

from collections.abc import Sequence
from dataclasses import dataclass

from cachewarden.cli.regretting import Cost, OfPackage, OfPolicy, after
from cachewarden.cli.render import words
from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Heading, Line, Tone
from cachewarden.cli.render.json import SCHEMA
from cachewarden.cli.render.words import View
from cachewarden.model.units import NANOSECONDS, human_bytes, human_span, rfc3339
from cachewarden.system.regrets import WITHIN, Regret

_POLICIES = (
    Column("POLICY"), Column("REMOVED", right=True), Column("CAME BACK", right=True), Column("SHARE", right=True),
    Column("FETCHED AGAIN", right=True), Column("BUILT AGAIN", right=True, spare=2),
    Column("SOONEST", right=True, spare=1),
)  # fmt: skip
_PACKAGES = (
    Column("PACKAGE", fit=Fit.CUT), Column("KIND", spare=1), Column("TIMES", right=True),
    Column("FETCHED", right=True), Column("BUILT", right=True, spare=3), Column("SOONEST", right=True),
    Column("POLICY", spare=2), Column("OWNER", spare=4),
)  # fmt: skip
_DAYS = WITHIN // NANOSECONDS // 86_400


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is to be told; ``shown`` bounds the lists."""

    policies: Sequence[OfPolicy]
    packages: Sequence[OfPackage]
    regrets: Sequence[Regret]
    advice: Sequence[str]
    shown: int


def screen(found: Findings, view: View) -> list[Block]:
    """By policy, then the costliest packages, then what may help."""
    if not found.policies:
        return [Line("Nothing that anybody could miss is remembered as removed.")]
    since = (rfc3339(min(each.since for each in found.policies)) or "-").partition("T")[0]
    blocks: list[Block] = [
        Line(f"What was removed since {since}, and what of it was there again within {_DAYS} days:"),
        Grid(_POLICIES, tuple(_policy(each) for each in found.policies)),
    ]
    if not found.regrets:
        return [*blocks, Gap(), Line("Nothing of it came back.", Tone.GOOD)]
    rows = tuple(_package(each, view) for each in found.packages[: found.shown])
    blocks += [Heading("Missed most"), Grid(_PACKAGES, rows)]
    if (more := len(found.packages) - len(rows)) > 0:
        blocks.append(Line(f"and {more:,} more; --limit {len(found.packages)} shows all", Tone.DIM, 2))
    return [*blocks, Gap(), *(Line(each) for each in found.advice)] if found.advice else blocks


def _policy(each: OfPolicy) -> tuple[Cell | str, ...]:
    if each.cost is None:
        return (each.policy, f"{each.removed:,}", *(Cell(text, Tone.DIM) for text in ("0", "0%", "-", "-", "-")))
    share = f"{100 * each.share:.0f}%" if each.share >= 0.01 else "<1%"
    return (each.policy, f"{each.removed:,}", f"{each.cost.times:,}", share, *_cost(each.cost))


def _package(each: OfPackage, view: View) -> tuple[Cell | str, ...]:
    fetched, built, soonest = _cost(each.cost)
    label = words.label(each.name, each.version, view.path(each.path))
    return (label, each.kind, str(each.cost.times), fetched, built, soonest, each.policy, each.owner)


def _cost(cost: Cost) -> tuple[str, str, str]:
    """Bytes fetched, time of building, and how soon the first came back."""
    size = human_bytes(cost.fetched)
    fetched = size if cost.whole else f">= {size}" if cost.fetched else "unknown"
    return fetched, human_span(cost.built) if cost.built is not None else "-", human_span(cost.soonest)


def document(found: Findings) -> dict[str, object]:
    """``fetched_bytes`` is a lower bound unless ``fetched_whole``; ``built_seconds`` is ``null`` where unknown."""
    return {
        **SCHEMA,
        "within_days": _DAYS,
        "policies": [
            {
                "policy": each.policy,
                "since": rfc3339(each.since),
                "removed_entries": each.removed,
                "removed_bytes": each.freed,
                "regretted_entries": each.cost.times if each.cost else 0,
                **_costs(each.cost),
            }
            for each in found.policies
        ],
        "packages": [
            {**_what(each), "regretted_entries": each.cost.times, **_costs(each.cost)}
            for each in found.packages[: found.shown]
        ],
        "regrets": [_regret(each) for each in found.regrets[: found.shown]],
        "advice": list(found.advice),
    }


def _what(each: OfPackage | Regret) -> dict[str, object]:
    return {
        "policy": each.policy,
        "ecosystem": each.ecosystem,
        "owner": each.owner,
        "kind": each.kind,
        "name": each.name,
        "version": each.version,
    }


def _costs(cost: Cost | None) -> dict[str, object]:
    return {
        "fetched_bytes": cost.fetched if cost else 0,
        "fetched_whole": cost.whole if cost else True,
        "built_seconds": cost.built if cost else None,
        "soonest_seconds": cost.soonest if cost else None,
    }


def _regret(each: Regret) -> dict[str, object]:
    return {
        "path": each.path,
        **_what(each),
        "removed_at": rfc3339(each.removed_at),
        "back_at": rfc3339(each.back_at),
        "after_seconds": after(each),
        "fetched_bytes": each.fetched,
        "built_seconds": each.built,
        "same_path": each.same,
        "cycle": each.cycle,
    }
