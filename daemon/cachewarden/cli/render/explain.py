"""The screen of ``explain``."""

from collections.abc import Iterator, Sequence

from cachewarden.cli import figures
from cachewarden.cli.explaining import CacheVerdict, PolicyVerdict, Verdict
from cachewarden.cli.render import regaining, words
from cachewarden.cli.render.blocks import Block, Column, Fit, Gap, Grid, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.decide.foretelling import NEVER
from cachewarden.decide.worth import used, usual
from cachewarden.model.caches import Entry
from cachewarden.model.units import human_bytes, human_span, rfc3339
from cachewarden.model.worth import Regain, Signal
from cachewarden.system.memory import PastRemoval

_MOST = 10
_MOST_OTHERS = 3
_MIB = 1024**2
_SIGNS = {
    Signal.WRITTEN: "when it was written: no later use is known",
    Signal.ACCESSED: "by its access time",
    Signal.OPENED: "seen by the watcher",
    Signal.INSTALLED: "by what was installed into an environment",
}


def explain(
    policies: Sequence[PolicyVerdict],
    caches: Sequence[CacheVerdict],
    entries: Sequence[Verdict],
    removals: Sequence[PastRemoval],
    view: View,
) -> list[Block]:
    """What is there and why it stays or goes, then what is gone."""
    blocks: list[Block] = []
    for policy in policies:
        blocks += [*_policy(policy, view), Gap()]
    for cache in caches:
        blocks += [*_cache(cache, view), Gap()]
    for entry in entries if view.verbose else entries[:_MOST]:
        blocks += [*_entry(entry, view), Gap()]
    if not view.verbose and (more := len(entries) - _MOST) > 0:
        blocks += [Line(f"and {more:,} more; --verbose shows all", Tone.DIM), Gap()]
    for removal in removals if view.verbose else removals[:_MOST]:
        blocks += [*_removal(removal, view), Gap()]
    if not view.verbose and (more := len(removals) - _MOST) > 0:
        blocks += [Line(f"and {more:,} earlier removals; --verbose shows all", Tone.DIM), Gap()]
    return blocks[:-1]


def _cache(verdict: CacheVerdict, view: View) -> Iterator[Block]:
    cache, whole = verdict.cache.cache, figures.of_cache(verdict.cache)
    yield Line(view.path(cache.path), Tone.STRONG)
    yield Line(f"the {cache.ecosystem} cache of {cache.owner.name}; found as {cache.source}", indent=2)
    sizes = f"{human_bytes(whole.size)}; removing what may go frees {words.between(whole.frees, whole.maybe)}"
    yield Line(f"{words.entries(whole.entries)}, {sizes}{words.later(whole.held_open)}", indent=2)
    for reason in verdict.reasons:
        yield Line(reason, indent=4)


def _policy(verdict: PolicyVerdict, view: View) -> Iterator[Block]:
    policy = verdict.policy
    yield Line(f"{policy.name}: {policy.action.value}, {policy.order.value}", Tone.STRONG)
    if verdict.standing:
        yield Line(f"{verdict.standing.state.value}: {verdict.standing.reason}", indent=2)
    for place, first, of in verdict.first:
        at = "" if place == "all" else f" at {view.path(place)}"
        if not first:
            yield Line(f"nothing may go{at}", indent=2)
            continue
        yield Line(f"first in its order{at}, of {words.entries(of)} that may go:", indent=2)
        columns = (Column("FREES", right=True), Column("KIND"), Column("ENTRY", fit=Fit.CUT))
        rows = [
            (
                words.frees(one.frees, one.maybe),
                one.kind.value,
                words.label(one.name, one.version, view.path(words.of_cache(cache, one))),
            )
            for cache, one in first
        ]
        yield Grid(columns, tuple(rows), indent=4)


def _entry(verdict: Verdict, view: View) -> Iterator[Block]:
    cache, entry = verdict.cache.cache, verdict.entry
    kind = f"{entry.kind.value} of {cache.ecosystem}"
    yield Line(f"{words.label(entry.name, entry.version, '')}: {kind}".removeprefix(": "), Tone.STRONG)
    yield Line(view.path(words.of_cache(verdict.cache, entry)), indent=2, whole=True)
    frees = f"{words.between(entry.frees, entry.maybe)}{words.later(entry.held_open)}"
    sizes = f"{human_bytes(entry.size)}, removing it frees {frees}"
    last = f"last used {view.ago(entry.last_used)}, {_SIGNS[entry.signal]}"
    last = last if entry.last_used else "when it was last used is not known"
    yield Line(f"{sizes}; written {view.ago(entry.modified)}", indent=2)
    yield Line(last, indent=2)
    if verdict.policy:
        yield Line(f"goes in the next cycle, under {verdict.policy}: {verdict.reasons[0]}", Tone.WARN, 2)
    elif entry.hold is not None:
        yield Line(f"stays: {entry.hold}", Tone.GOOD, 2)
    else:
        yield Line("stays for now: no policy takes it", Tone.GOOD, 2)
        for reason in verdict.reasons:
            yield Line(reason, indent=4)
    yield from _standing(verdict, view)


def _standing(verdict: Verdict, view: View) -> Iterator[Block]:
    """Where it is in the order, and every factor of what it is worth."""
    if verdict.entry.hold is not None:
        return
    for place in verdict.places:
        at = "" if place.place == "all" else f" at {view.path(place.place)}"
        stand = f"number {place.number:,} of {place.of:,} in the order of {place.policy}{at}"
        freed = f"; {human_bytes(place.before)} is freed before it" if place.number > 1 else ""
        never = place.when.startswith(NEVER)
        goes = f"it never goes{place.when.removeprefix(NEVER)}" if never else f"it goes {place.when}"
        yield Line(f"{stand}{freed}; {goes}", indent=2)
    worth = verdict.worth
    yield Line(f"worth {_small(worth.value * _MIB)} s a day for each MiB freed (cheapest-first):", indent=2)
    yield Line(f"to get it back: {_regain(verdict.entry)}, about {_small(worth.cost)} s", indent=4)
    yield Line(_wanted(verdict, view), indent=4)
    for why, factor in worth.weights:
        yield Line(f"{why}: x {factor:g}", indent=4)
    yield Line(f"for {human_bytes(worth.freed)} freed", indent=4)
    if verdict.alone:
        others, value = verdict.alone.others, verdict.alone.worth.value
        names = [view.path(path) for path in others[:_MOST_OTHERS]]
        if len(others) > _MOST_OTHERS:
            names.append(f"{len(others) - _MOST_OTHERS:,} more")
        gone = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} gone"
        yield Line(f"once {gone}: worth {_small(value * _MIB)} s", indent=4)


def _wanted(verdict: Verdict, view: View) -> str:
    """What is known of its use, and how often a day that lets it be wanted before the factors that follow."""
    uses = words.count(verdict.worth.frequency - 1, "use")
    since = f"{uses} noticed since it was cached; last used or written {view.ago(used(verdict.entry))}"
    return f"{since}: {_small(verdict.worth.rate)} a day"


def _regain(entry: Entry) -> str:
    facts = entry.facts or usual(entry.kind)
    size = f" of {human_bytes(facts.fetch)}" if facts.fetch else ""
    if facts.regain is Regain.BUILD and facts.build is not None:
        known = "measured by time stamps" if facts.measured else "estimated"
        return f"a download{size} and a build of {human_span(facts.build)} ({known})"
    return {
        Regain.NOTHING: "nobody wants it back",
        Regain.DOWNLOAD: f"a download{size}",
        Regain.EXTRACT: "its archive is here and is unpacked again",
        Regain.BUILD: f"a download{size} and a build (how long is a guess by its size)",
        Regain.NEVER: "nothing brings it back: its source is local, or not known",
    }[facts.regain]


def _small(figure: float) -> str:
    """Two or three digits that tell something, whatever the size."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2g}"


def _removal(removal: PastRemoval, view: View) -> Iterator[Block]:
    when = (rfc3339(removal.at) or "-").replace("T", " ").replace("Z", " UTC")
    what = words.label(removal.name, removal.version, removal.path.rpartition("/")[2])
    yield Line(f"{what}: removed {view.ago(removal.at)}", Tone.STRONG)
    yield Line(view.path(removal.path), indent=2, whole=True)
    freed = f"{human_bytes(removal.freed)} freed"
    yield Line(f"{when}, {freed}, under {removal.policy} ({removal.ecosystem} of {removal.owner})", indent=2)
    yield Line(f"{removal.reason}; cycle {removal.cycle}", indent=2)
    yield from regaining.lines(removal)


def not_found(word: str, *, whole: bool = True) -> list[Block]:
    """Nothing is, and nothing was, known under this word. ``whole``: all caches and the history could be read."""
    nowhere = "neither in a cache now, nor removed by cachewarden."
    if not whole:
        nowhere = "not in what could be read; `cachewarden status` says what could not."
    return [
        Line(f"{word}: {nowhere}", Tone.STRONG),
        Line("Ask about a package ('torch', 'torch==2.*'), a path or a policy.", Tone.DIM),
        Line("`cachewarden list` shows what there is, `cachewarden status` the policies.", Tone.DIM),
    ]
