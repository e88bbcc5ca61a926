"""A process whose instructions are counted: makes ready, then does one thing or nothing.

What is counted of a thing is the difference to ``nothing``: imports and making ready are in both.
"""

import sys
from collections.abc import Callable
from functools import partial

import makers
from bench.deciding import full_disk, half, ten_policies

ENTRIES = 3_000


def reference() -> int:
    """Plain Python of the kind that programs are made of: calls, strings, a dictionary, a sort. Never change it."""
    totals: dict[str, int] = {}

    def add(key: str, amount: int) -> None:
        totals[key] = totals.get(key, 0) + amount

    for number in range(100_000):
        add(f"key-{number % 997}", number)
    ordered = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
    return sum(position * total for position, (_, total) in enumerate(ordered))


def main(what: str) -> None:
    """``nothing``, ``reference``, ``one policy`` or ``ten policies``."""
    seen = full_disk(ENTRIES)
    actions: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "reference": reference,
        "one policy": partial(makers.plan, seen, half()),
        "ten policies": partial(makers.plan, seen, *ten_policies()),
    }
    actions[what]()


if __name__ == "__main__":
    main(sys.argv[1])
