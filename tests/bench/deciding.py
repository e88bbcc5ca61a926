"""The decision, and the way of entries from a worker to the service: in this process."""

from collections.abc import Callable, Sequence
from functools import partial

import makers
from bench.parts import Size
from bench.results import Beside, Found
from bench.timing import Taken, Way, in_process, in_turn
from cachewarden.model.caches import Entry, Kind, Snapshot
from cachewarden.model.policies import Order, Policy
from cachewarden.service.wire import decoder, encoder

ENTRIES = 50_000
GOAL_SECONDS = 1.0


def many(count: int) -> list[Entry]:
    """Downloads and pages, in five versions each, two of which share a folder."""
    return [
        makers.entry(
            f"http-v2/a/b/c/d/e/{number:056x}",
            kind=Kind.INDEX if number % 5 == 0 else Kind.DOWNLOAD,
            name=f"package-{number // 5}",
            version=f"1.{number % 7}.{number % 5}",
            frees=10_000 + number * 7919 % 1_000_000,
            used=number * 104_729 % 10_000_000,
            written=20_000_000,
            shares=(makers.share(number // 2, frees=4096),),
            inode=count + number,
        )
        for number in range(count)
    ]


def full_disk(count: int) -> Snapshot:
    """One cache of ``many``, on a disk without a free byte."""
    return makers.snapshot(makers.cache(*many(count)), free=0)


def half() -> Policy:
    """Half of the disk is to be free."""
    return makers.policy("half", free_space=makers.marks("50%"))


def ten_policies() -> tuple[Policy, ...]:
    """Some that find nothing to do, in each order, and one that does."""
    idle = [
        makers.policy(f"idle-{number}", unused_for=30_000_000, order=order, packages=(f"other{number}*",))
        for number, order in enumerate((*Order, *Order, Order.OLDEST))
    ]
    return (*idle[:9], half())


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """Of one size, the same in a short run: it takes seconds."""
    say(f"decisions about {ENTRIES:,} entries")
    seen = full_disk(ENTRIES)
    tell, hear = encoder(Entry), decoder(Entry)
    entries: Sequence[Entry] = seen.caches[0].entries
    told = [tell(entry) for entry in entries]
    actions: dict[str, Callable[[], object]] = {
        "plan, one policy": partial(makers.plan, seen, half()),
        "plan, ten policies": partial(makers.plan, seen, *ten_policies()),
        "told by a worker": lambda: [tell(each) for each in entries],
        "heard and checked by the service": lambda: [hear(each) for each in told],
    }
    goals = {"plan, one policy": GOAL_SECONDS, "plan, ten policies": GOAL_SECONDS}
    times = in_turn([_way(name, action) for name, action in actions.items()], size.rounds)
    lines = [Beside(name, None, goals.get(name), "seconds") for name in actions]
    found.group(f"{ENTRIES:,} entries in memory", times, *lines)


def _way(name: str, action: Callable[[], object]) -> Way:
    def way() -> Taken:
        return {name: in_process(action)}

    return way
