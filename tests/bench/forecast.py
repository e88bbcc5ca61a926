"""How often the bounds of a growth hold the true rate, on made-up growth with fixed seeds (docs/forecast.md).

PYTHONPATH=daemon python tests/bench/forecast.py
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))

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


def main() -> None:
    """Prints a table in Markdown."""
    print("| growth | days | bounds hold the true rate | width of the bounds (median) | rate (median) |")
    print("|---|---|---|---|---|")
    for make in (swaying, drifting, weekdays, bursts):
        for days in (7, 14, 30):
            found = measured(make, days)
            holds = sum(each.low <= TRUE_RATE <= each.high for each in found) / len(found)
            width = sorted(each.high - each.low for each in found)[len(found) // 2]
            rate = sorted(each.per_day for each in found)[len(found) // 2]
            print(f"| {make.__name__} | {days} | {holds:.0%} | {width:.0f} | {rate:.0f} |")


if __name__ == "__main__":
    main()
