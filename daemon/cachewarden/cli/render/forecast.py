"""The forecast, as a section of the screen of ``status`` and in its JSON."""

from collections.abc import Iterator, Mapping

from cachewarden.cli.render.blocks import Block, Column, Fit, Grid, Heading, Line, Tone
from cachewarden.cli.render.words import View
from cachewarden.model.forecasts import (
    A_YEAR,
    CacheForecast,
    DiskForecast,
    Forecast,
    PolicyForecast,
    Trend,
    When,
    in_words,
)
from cachewarden.model.units import NANOSECONDS, Instant, human_bytes, rfc3339

_DAY = 86_400 * NANOSECONDS
_A_WEEK = 7
_A_CENTURY = 36_525.0
"""Days; no date is written beyond."""


def section(forecast: Forecast, view: View) -> Iterator[Block]:
    """One line for each disk, one for each policy that will act within a year; with ``verbose`` the caches too."""
    if not forecast.disks:
        return
    yield Heading("Forecast")
    if all(_is_unknown(disk) for disk in forecast.disks):
        yield Line(_unknown(max(disk.trend.days for disk in forecast.disks)), Tone.DIM, 2)
        return
    for disk in forecast.disks:
        yield Line(f"{disk.filesystem.mount}: {_disk(disk)}", _tone(disk), 2)
    for policy in forecast.policies:
        if policy.acts and _is_near(policy.acts) and policy.acts.expected:
            yield Line(f"{policy.policy}: acts {in_words(policy.acts)}, on {view.path(policy.place)}", Tone.PLAIN, 2)
    known = [cache for cache in forecast.caches if cache.trend.growth]
    if view.verbose and known:
        columns = (Column("GROWS A DAY", right=True), Column("BETWEEN", right=True), Column("CACHE", fit=Fit.CUT))
        yield Grid(columns, tuple(_cache(cache, view) for cache in known))


def _is_unknown(disk: DiskForecast) -> bool:
    return disk.fills is None and disk.trend.growth is None


def _unknown(days: int) -> str:
    return f"not known yet: {days} days of a week recorded"


def _disk(disk: DiskForecast) -> str:
    growth, fills, anyway = disk.trend.growth, disk.fills, disk.fills_anyway
    if growth is None:
        return _unknown(disk.trend.days)
    rate = f"{_rate(growth.per_day)} a day"
    if fills is None:
        return rate  # nothing can be written to it, or its size is not known
    if not disk.filesystem.free:
        return f"is full, {rate}"
    if anyway and anyway != fills and disk.left.growth and _is_near(anyway):
        leave = _rate(disk.left.growth.per_day)
        return f"fills {in_words(anyway)} in spite of the policies, which leave {leave} a day"
    if not _is_near(fills):
        return f"does not fill{' within a year' if fills.expected is not None else ''}, {rate}"
    if anyway == fills:
        return f"fills {in_words(fills)}, {rate}"
    return f"would fill {in_words(fills)}, {rate}; the policies prevent it"


def _tone(disk: DiskForecast) -> Tone:
    if _is_unknown(disk):
        return Tone.DIM
    return Tone.WARN if disk.fills_anyway and _is_near(disk.fills_anyway) else Tone.PLAIN


def _is_near(when: When) -> bool:
    return when.expected is not None and when.expected <= A_YEAR


def _rate(per_day: float) -> str:
    size = round(per_day)
    return f"{'+' if size >= 0 else ''}{human_bytes(size)}"


def _cache(cache: CacheForecast, view: View) -> tuple[str, str, str]:
    growth = cache.trend.growth
    if growth is None:
        raise ValueError("a growth that is not known")
    return _rate(growth.per_day), f"{_rate(growth.low)} and {_rate(growth.high)}", view.path(cache.cache.path)


def document(forecast: Forecast | None) -> Mapping[str, object]:
    """The same, and the growth of each cache, for machines. What is not known, or never comes, is ``null``."""
    if forecast is None:
        return {"filesystems": [], "caches": [], "policies": []}
    now = forecast.made_at
    return {
        "filesystems": [
            {
                "mount": each.filesystem.mount,
                **_growth(each.trend),
                **_dates(each.fills, now),
                "in_spite_of_policies": {
                    "grows_bytes_per_day": _per_day(each.left),
                    **_dates(each.fills_anyway, now),
                },
            }
            for each in forecast.disks
        ],
        "caches": [
            {
                "ecosystem": each.cache.ecosystem,
                "owner": each.cache.owner.name,
                "path": each.cache.path,
                **_growth(each.trend),
            }
            for each in forecast.caches
        ],
        "policies": [_policy(each, now) for each in forecast.policies],
    }


def _policy(each: PolicyForecast, now: Instant) -> Mapping[str, object]:
    return {"name": each.policy, "place": each.place, **_dates(each.acts, now), "days_recorded": each.days}


def _growth(trend: Trend) -> Mapping[str, object]:
    growth = trend.growth
    return {
        "days_recorded": trend.days,
        "grows_bytes_per_day": _per_day(trend),
        "grows_at_least": round(growth.low) if growth else None,
        "grows_at_most": round(growth.high) if growth else None,
    }


def _per_day(trend: Trend) -> int | None:
    return round(trend.growth.per_day) if trend.growth else None


def _dates(when: When | None, now: Instant) -> Mapping[str, str | None]:
    found = when or When()
    return {
        "earliest": _date(found.earliest, now),
        "expected": _date(found.expected, now),
        "latest": _date(found.latest, now),
    }


def _date(days: float | None, now: Instant) -> str | None:
    return None if days is None or days > _A_CENTURY else rfc3339(Instant(now + int(days * _DAY)))
