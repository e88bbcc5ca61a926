"""What each order of removal loses on the three scenes, beside knowing the future; ratios of one run.

usage: python tests/bench/judgement.py [--scene NAME] [--seeds N]

Figures are seconds that installs waited for what had been removed: what was wanted for the first time is no order's
fault and is not counted. Capacity is what may stand after a look, in percent of the bytes of all entries that the
scene ever wants. The cache is looked at after every five minutes in which something was installed. docs/judgement.md
says what the bound is.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))

from cachewarden.model.policies import ActionKind, Amount, Keep, Marks, Order, Policy, Settings
from cachewarden.model.units import Seconds
from cachewarden.simulate.bound import Clairvoyant, clairvoyant
from cachewarden.simulate.replay import ByPolicy, replay
from cachewarden.simulate.report import PURGE_ALL, in_order
from cachewarden.simulate.scenes import SCENES
from cachewarden.simulate.study import study

SHARES = (2, 10, 30)
SEEDS = 2
OF_BOUND, OF_LRU = 1.25, 0.6
"""The goals: at most so many times the bound everywhere, and so much of the oldest use where sources are built."""
BUILDING = ("pi", "ci")
HALF = Marks(Amount(percent=50.0), Amount(percent=50.0))
SETTINGS = Settings(
    # What was just installed may go as well: all orders, and who knows the future, decide the same question.
    keep=Keep(newer_than=Seconds(0)),
    policies=(Policy("half", ActionKind.PURGE, free_space=HALF),),
)
"""Half of the disk stays free; a disk of twice the capacity leaves just that to the caches."""
NAMES = (*(order.value for order in Order), PURGE_ALL)


class Row:
    """One scene at one capacity: seconds lost by each, in the order of ``NAMES``, and who knows the future."""

    def __init__(self, scene: str, seed: int, share: int, lost: list[float], known: Clairvoyant) -> None:
        self.scene, self.seed, self.share, self.lost, self.known = scene, seed, share, lost, known
        self.ours = lost[NAMES.index(Order.CHEAPEST_FIRST)]
        self.of_lru = _ratio(self.ours, lost[NAMES.index(Order.LEAST_RECENTLY_USED)])
        self.of_bound, self.of_schedule = _ratio(self.ours, known.bound), _ratio(self.ours, known.schedule)

    def __str__(self) -> str:
        seconds = "".join(f"{each:>10.0f}" for each in (*self.lost, self.known.schedule, self.known.bound))
        ratios = f"{self.of_bound:>9.2f}{self.of_schedule:>10.2f}{self.of_lru:>8.2f}"
        return f"{self.scene:13}{self.seed:>4}{self.share:>4}%{seconds}{ratios}"


def _ratio(part: float, whole: float) -> float:
    if whole > 0:
        return part / whole
    return 1.0 if part == 0 else float("inf")


def rows(scenes: list[str], seeds: int) -> Iterator[Row]:
    """The table, line by line."""
    for scene in scenes:
        for seed in range(1, seeds + 1):
            studied = study(SCENES[scene](seed), interval=SETTINGS.watch.interval, link_speed=SETTINGS.link_speed)
            for share in SHARES:
                capacity = studied.footprint * share // 100
                judges = [ByPolicy(in_order(SETTINGS, order)) for order in Order]
                judges.append(ByPolicy(SETTINGS, everything=True))
                lost = [replay(studied, judge, 2 * capacity).tally.whole.seconds for judge in judges]
                yield Row(scene, seed, share, lost, clairvoyant(studied, capacity))


def verdict(found: list[Row]) -> Iterator[str]:
    """Each goal, and every line that misses it."""
    goals = (
        (f"at most {OF_BOUND} of the bound", [row for row in found if row.of_bound > OF_BOUND]),
        (f"at most {OF_LRU} of least-recently-used where sources are built",
         [row for row in found if row.scene in BUILDING and row.of_lru > OF_LRU]),
        ("never worse than least-recently-used", [row for row in found if row.of_lru > 1]),
    )  # fmt: skip
    for goal, missed in goals:
        where = ", ".join(f"{row.scene} {row.seed} {row.share}%" for row in missed)
        yield f"{goal}: {f'missed {len(missed)} of {len(found)} times: {where}' if missed else 'met everywhere'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", choices=tuple(SCENES), action="append")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    began = time.monotonic()
    columns = "".join(f"{name[:9]:>10}" for name in (*NAMES, "schedule", "bound"))
    print("Seconds lost; then cheapest-first as a part of the bound, of a schedule that knows the future, of the LRU")
    print(f"{'scene':13}seed room{columns}{'/bound':>9}{'/schedule':>10}{'/lru':>8}")
    found = []
    for row in rows(options.scene or list(SCENES), options.seeds):
        print(row, flush=True)
        found.append(row)
    for line in verdict(found):
        print(line)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
