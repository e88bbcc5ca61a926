"""The screen of ``explain``."""

from collections.abc import Iterator, Sequence

from cachewarden.cli import figures
from cachewarden.cli.explaining import CacheVerdict, Verdict
from cachewarden.cli.render import regaining, words
from cachewarden.cli.render.blocks import Block, Gap, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.units import human_bytes, rfc3339
from cachewarden.system.memory import PastRemoval

_MOST = 10


def explain(
    caches: Sequence[CacheVerdict], entries: Sequence[Verdict], removals: Sequence[PastRemoval], view: View
) -> list[Block]:
    """What is there and why it stays or goes, then what is gone."""
    blocks: list[Block] = []
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
    sizes = f"{human_bytes(whole.size)}; removing what may go frees {human_bytes(whole.frees)}"
    yield Line(f"{words.entries(whole.entries)}, {sizes}", indent=2)
    for reason in verdict.reasons:
        yield Line(reason, indent=4)


def _entry(verdict: Verdict, view: View) -> Iterator[Block]:
    cache, entry = verdict.cache.cache, verdict.entry
    kind = f"{entry.kind.value} of {cache.ecosystem}"
    yield Line(f"{words.label(entry.name, entry.version, '')}: {kind}".removeprefix(": "), Tone.STRONG)
    yield Line(view.path(words.of_cache(verdict.cache, entry)), indent=2, whole=True)
    sizes = f"{human_bytes(entry.size)}, removing it frees {human_bytes(entry.frees)}"
    used = f"last used {view.ago(entry.last_used)}" if entry.last_used else "when it was last used is not known"
    yield Line(f"{sizes}; written {view.ago(entry.modified)}, {used}", indent=2)
    if verdict.policy:
        yield Line(f"goes in the next cycle, under {verdict.policy}: {verdict.reasons[0]}", Tone.WARN, 2)
    elif entry.hold is not None:
        yield Line(f"stays: {entry.hold}", Tone.GOOD, 2)
    else:
        yield Line("stays for now: no policy takes it", Tone.GOOD, 2)
        for reason in verdict.reasons:
            yield Line(reason, indent=4)


def _removal(removal: PastRemoval, view: View) -> Iterator[Block]:
    when = (rfc3339(removal.at) or "-").replace("T", " ").replace("Z", " UTC")
    what = words.label(removal.name, removal.version, removal.path.rpartition("/")[2])
    yield Line(f"{what}: removed {view.ago(removal.at)}", Tone.STRONG)
    yield Line(view.path(removal.path), indent=2, whole=True)
    freed = f"{human_bytes(removal.freed)} freed"
    yield Line(f"{when}, {freed}, under {removal.policy} ({removal.ecosystem} of {removal.owner})", indent=2)
    yield Line(f"{removal.reason}; cycle {removal.cycle}", indent=2)
    yield from regaining.lines(removal)


def not_found(word: str) -> list[Block]:
    """Nothing is, and nothing was, known under this word."""
    return [
        Line(f"{word}: neither in a cache now, nor removed by cachewarden.", Tone.STRONG),
        Line("Ask about a package ('torch', 'torch==2.*') or a path; `cachewarden list` shows them.", Tone.DIM),
    ]
