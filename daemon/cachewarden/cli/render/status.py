"""The screen of ``status``."""

from collections.abc import Iterable, Iterator

from cachewarden.cli import figures
from cachewarden.cli.render import forecast as forecasts
from cachewarden.cli.render import moves, words
from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Gap, Grid, Heading, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.caches import Filesystem, MeasuredCache, Problem, Snapshot
from cachewarden.model.forecasts import Forecast
from cachewarden.model.plans import Plan, Standing, State
from cachewarden.model.units import NANOSECONDS, human_bytes
from cachewarden.model.watching import Extent, Reach

_SCARCE = 10
"""Percent free below which a disk is shown in red."""
_JUST_NOW = 60 * NANOSECONDS


def status(
    snapshot: Snapshot, plan: Plan, view: View, forecast: Forecast | None = None, reach: Reach | None = None
) -> list[Block]:
    """Caches, disks, policies, the forecast, problems, and what to do next."""
    blocks: list[Block] = [Heading("Caches")]
    if snapshot.caches:
        blocks += [_caches(snapshot.caches, view), *_walked(snapshot, view)]
    else:
        blocks.append(Line("none found: neither pip nor conda has left anything here", Tone.DIM, 2))
    if snapshot.caches and reach:
        blocks += _watching(snapshot.caches, reach, view)
    if snapshot.caches and view.verbose:
        blocks += [Gap(), _sources(snapshot.caches, view), Gap(), _kinds(snapshot.caches, view)]
    if snapshot.filesystems:
        blocks += [Heading("Disks"), _filesystems(snapshot.filesystems), *_quotas(snapshot)]
        blocks += _blind(snapshot, reach)
    blocks += moves.relocations(snapshot.relocations, view)
    blocks += [Heading("Policies"), *policies(plan.standings)]
    if forecast:
        blocks += forecasts.section(forecast, view)
    blocks += problems(snapshot.problems, view)
    return [*blocks, *_hints(snapshot, plan)]


def _caches(caches: Iterable[MeasuredCache], view: View) -> Grid:
    columns = (
        Column("ECOSYSTEM"), Column("OWNER"), Column("SIZE", right=True), Column("CAN FREE", right=True),
        Column("ENTRIES", right=True), Column("CACHE", fit=Fit.CUT),
    )  # fmt: skip
    return Grid(columns, tuple(_cache(cache, view) for cache in caches))


def _cache(cache: MeasuredCache, view: View) -> tuple[Cell | str, ...]:
    whole, where = figures.of_cache(cache), cache.cache
    return (
        where.ecosystem, where.owner.name, human_bytes(whole.size), words.frees(whole.frees, whole.maybe),
        f"{whole.entries:,}", view.path(where.path),
    )  # fmt: skip


def _walked(snapshot: Snapshot, view: View) -> Iterator[Block]:
    """Since when figures of unchanged parts are known, where that is not of just now."""
    walked = [each.verified for each in snapshot.caches if each.verified is not None]
    oldest = min(walked, default=snapshot.taken_at)
    if snapshot.taken_at - oldest > _JUST_NOW:
        yield Gap()
        yield Line(
            f"What has not changed was walked {view.ago(oldest)}; links to it may be newer."
            " `cachewarden list` walks all.", Tone.DIM, 2,
        )  # fmt: skip


def _watching(caches: Iterable[MeasuredCache], reach: Reach, view: View) -> Iterator[Block]:
    """How far the running service sees; with --verbose why not farther."""
    found = list(figures.watched(caches, reach))
    whole, part = (sum(each.extent is extent for _, each in found) for extent in (Extent.WHOLE, Extent.PART))
    opens = sum(each.opens for _, each in found)
    yield Gap()
    yield Line(
        f"The service watches {whole} of {words.count(len(found), 'cache')} (as of {view.ago(reach.since)})"
        f"{f', {part} in part' if part else ''}; it sees what is opened in {opens}.", Tone.DIM, 2,
    )  # fmt: skip
    for cache, each in found if view.verbose else ():
        if each.why:
            yield Line(f"{view.path(cache.cache.path)}: {each.why.value}", Tone.DIM, 4)


def _blind(snapshot: Snapshot, reach: Reach | None) -> Iterator[Block]:
    """Where access times tell nothing of use: what does instead."""
    watched = list(figures.watched(snapshot.caches, reach)) if reach else []
    for each in snapshot.filesystems:
        if each.tracks_atime:
            continue
        seen = any(cache.device == each.device and one.opens for cache, one in watched)
        signs = "by installs, and by what the service sees opened" if seen else "by installs alone"
        yield Line(f"{each.mount} is mounted noatime: last use is known {signs}.", Tone.DIM, 2)


def _sources(caches: Iterable[MeasuredCache], view: View) -> Grid:
    rows = [(view.path(cache.cache.path), cache.cache.source) for cache in caches]
    return Grid((Column("CACHE", fit=Fit.CUT), Column("FOUND BY", fit=Fit.WRAP)), tuple(rows))


def _kinds(caches: Iterable[MeasuredCache], view: View) -> Grid:
    columns = (
        Column("KIND"), Column("SIZE", right=True), Column("CAN FREE", right=True), Column("ENTRIES", right=True),
        Column("CACHE", fit=Fit.CUT),
    )  # fmt: skip
    rows = [
        (
            kind.value, human_bytes(each.size), words.frees(each.frees, each.maybe), f"{each.entries:,}",
            view.path(cache.cache.path),
        )
        for cache in caches
        for kind, each in figures.by_kind(cache).items()
    ]  # fmt: skip
    return Grid(columns, tuple(rows))


def _filesystems(filesystems: Iterable[Filesystem]) -> Grid:
    columns = (
        Column("SIZE", right=True), Column("FREE", right=True),
        Column("INODES FREE", right=True), Column("TYPE"), Column("MOUNT", fit=Fit.CUT),
    )  # fmt: skip
    return Grid(columns, tuple(_filesystem(each) for each in filesystems))


def _quotas(snapshot: Snapshot) -> Iterator[Block]:
    """Of owners that have one, one line each."""
    for owner, mount, quota in figures.quotas(snapshot):
        left = f"{human_bytes(quota.free)} ({words.share(quota.free, quota.limit)}) left"
        yield Line(f"{owner} on {mount}: {left} of a quota of {human_bytes(quota.limit)}", indent=2)


def _filesystem(each: Filesystem) -> tuple[Cell | str, ...]:
    scarce = each.total and 100 * each.free < _SCARCE * each.total
    return (
        human_bytes(each.total),
        Cell(words.free(each), Tone.BAD if scarce else Tone.PLAIN),
        words.share(each.inodes_free, each.inodes_total) if each.inodes_total else Cell("on demand", Tone.DIM),
        Cell(each.type, Tone.DIM),
        f"{each.mount} (read-only)" if each.read_only else each.mount,
    )


def policies(standings: Iterable[Standing]) -> Iterator[Block]:
    """How each policy stands."""
    rows = [(each.policy, Cell(each.state.value, words.TONES[each.state]), each.reason) for each in standings]
    if rows:
        yield Grid((Column("POLICY"), Column("STATE"), Column("WHY", fit=Fit.WRAP)), tuple(rows))
    else:
        yield Line("none: nothing is ever removed by itself", Tone.DIM, 2)


def problems(found: Iterable[Problem], view: View) -> Iterator[Block]:
    """What keeps the picture from being whole."""
    found = list(found)
    if found:
        yield Heading("Problems")
        for each in found:
            yield Line(f"{view.path(each.path)}: {each.reason}", Tone.WARN, 2)


def _hints(snapshot: Snapshot, plan: Plan) -> Iterator[Block]:
    if not snapshot.caches:
        return
    yield Gap()
    if any(each.state is State.TRIGGERED for each in plan.standings):
        yield Line("`cachewarden plan` shows what would be removed now, `cachewarden run` does it.", Tone.DIM)
    else:
        yield Line("No policy acts now. `cachewarden list` shows entries, `purge` removes by hand.", Tone.DIM)
