"""What each order of removal loses on the three scenes, beside knowing the future; ratios of one run.

Figures are seconds that installs waited for what had been removed: what was wanted for the first time is no order's
fault and is not counted. Capacity is what may stand after a look, in percent of the bytes of all entries that the
scene ever wants. The cache is looked at after every five minutes in which something was installed. docs/judgement.md
says what the bound is.
"""

from collections.abc import Callable, Iterator

from bench.parts import Size
from bench.results import Found
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

    def cells(self) -> dict[str, str]:
        """As the table has them; nothing is lost by anybody where a ratio is «-»."""
        columns = {"scene": self.scene, "seed": str(self.seed), "room": f"{self.share}%"}
        names = (*NAMES[:-1], "wiping all", "schedule", "bound")
        lost = (*self.lost, self.known.schedule, self.known.bound)
        columns |= {name: f"{seconds:,.0f}" for name, seconds in zip(names, lost, strict=True)}
        of_bound = "-" if self.of_bound == float("inf") else f"{self.of_bound:.2f}"
        return columns | {"of bound": of_bound, "of LRU": f"{self.of_lru:.2f}"}


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


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """All scenes; one seed in a short run."""
    say("scenes replayed in each order")
    seen = list(rows(list(SCENES), size.of(SEEDS, 1)))
    for row in seen:
        found.row("judgement", **row.cells())
    for line in verdict(seen):
        say(line)
