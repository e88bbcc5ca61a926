"""A trace as a replay reads it: grouped by looks, with what each step would cost and what belongs together."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.simulate.cost import FREE, Price, price
from cachewarden.simulate.trace import Event, Gone, Lost, Place, Trace, Want


@dataclass(frozen=True, slots=True)
class Step:
    """An event. ``again``: it was in a cache before, so that a miss is the fault of who removed it.

    ``price`` is that of a miss; ``makes`` what is made from it, and it is wanted only where that is not there.
    """

    event: Event
    place: Place
    again: bool = False
    price: Price = FREE
    makes: Place | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two looks, and when the look at its end is."""

    look: Instant
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """``sources``: by entry, what it is made from. ``footprint``: bytes of all entries, each once."""

    windows: tuple[Window, ...]
    sources: dict[Place, Place]
    footprint: int
    link_speed: int


def study(trace: Trace, *, interval: int, link_speed: int) -> Study:
    """Of a whole trace; ``interval`` is the seconds between two looks."""
    sources = {
        (each.item.ecosystem, each.item.owner, each.source_of): each.item.place
        for each in trace.events
        if isinstance(each, Want) and each.source_of is not None
    }
    steps = _steps(trace, sources, link_speed)
    windows = tuple(
        Window(Instant((number + 1) * interval * NANOSECONDS), tuple(those))
        for number, those in groupby(steps, key=lambda step: step.event.at // interval)
    )
    sizes = {each.item.place: each.item.frees for each in trace.events if isinstance(each, Want)}
    return Study(windows, sources, sum(sizes.values()), link_speed)


def _steps(trace: Trace, sources: dict[Place, Place], link_speed: int) -> Iterator[Step]:
    met: set[Place] = set()
    for event in trace.events:
        match event:
            case Want(_, item, source_of):
                place = item.place
                makes = None if source_of is None else (place[0], place[1], source_of)
                cost = price(item, link_speed, has_source=place in sources)
                yield Step(event, place, place in met, cost, makes)
                if makes is None or makes not in met:  # else perhaps not: what is made from it may have been there
                    met.add(place)
            case Gone(_, place):
                yield Step(event, place)
            case Lost(_, place, by_us):
                if not by_us:
                    met.discard(place)  # whoever took it pays for it
                yield Step(event, place)
