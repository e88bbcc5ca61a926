"""How often the bounds of a growth hold the true rate, on made-up growth with fixed seeds (docs/forecast.md)."""

import random
from collections.abc import Callable

from bench.parts import Size
from bench.results import Found
from cachewarden.decide.forecast import Point, growth
from cachewarden.model.forecasts import Growth

TRUE_RATE = 100
ROUNDS = 1000


def swaying(rng: random.Random, days: int) -> list[float]:
    """A line, and each day's level by chance around it."""
    return [TRUE_RATE * day + rng.gauss(0, 200) for day in range(days)]


def _sums(days: int, change: Callable[[int], float]) -> list[float]:
    levels, level = [], 0.0
    for day in range(days):
        levels.append(level)
        level += change(day)
    return levels


def drifting(rng: random.Random, days: int) -> list[float]:
    """Daily changes by chance, as large as their mean."""
    return _sums(days, lambda _: rng.gauss(TRUE_RATE, 100))


def weekdays(rng: random.Random, days: int) -> list[float]:
    """Growth from Monday to Friday alone."""
    return _sums(days, lambda day: 1.4 * TRUE_RATE * rng.uniform(0.5, 1.5) if day % 7 < 5 else 0)


def bursts(rng: random.Random, days: int) -> list[float]:
    """Nothing on four days of five, then a large install."""
    return _sums(days, lambda _: rng.expovariate(1 / (5 * TRUE_RATE)) if rng.random() < 0.2 else 0)


def measured(make: Callable[[random.Random, int], list[float]], days: int) -> list[Growth]:
    """Of many histories, each looked at once a day at about the same hour."""
    rng = random.Random(1)
    found = []
    for _ in range(ROUNDS):
        levels = enumerate(make(rng, days))
        points: list[Point] = [(day + rng.uniform(-0.2, 0.2), int(level)) for day, level in levels]
        rate = growth(points)
        if rate is not None:
            found.append(rate)
    return found


_GROWTHS = {
    "levels sway by 200 around a line": swaying,
    "daily changes by chance, as large as their mean": drifting,
    "from Monday to Friday alone": weekdays,
    "a large install on one day of five": bursts,
}


def measure(_: Size, found: Found, say: Callable[[str], None]) -> None:
    """Of the same histories in every run."""
    say("bounds of made-up growth")
    for what, make in _GROWTHS.items():
        for days in (7, 14, 30):
            rates = measured(make, days)
            holds = sum(each.low <= TRUE_RATE <= each.high for each in rates) / len(rates)
            width = sorted(each.high - each.low for each in rates)[len(rates) // 2]
            rate = sorted(each.per_day for each in rates)[len(rates) // 2]
            found.row("forecast", **{
                "growth": what, "days": str(days), "bounds hold the true rate": f"{holds:.0%}",
                "width of the bounds (median)": f"{width:.0f}", "rate (median)": f"{rate:.0f}",
            })  # fmt: skip
