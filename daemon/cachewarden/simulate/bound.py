"""What somebody who knows the future would lose: a schedule that can be had, and a bound that nothing gets below.

Both know every event of the trace, and both look when the policies do: between two looks the disk may overflow,
after a look what no environment holds takes at most the capacity.

**The bound** is the Lagrangian dual of the problem. Each look gets a price for a byte that stands after it; to keep
an entry from one use to the next costs its bytes times the prices between, not to keep it the seconds of its miss.
Whoever chooses the cheaper of the two for each pair of uses, and is given back the price of the whole capacity, loses
no more than any schedule does, whatever the prices: so each set of prices is a true lower bound, also for schedules
that keep parts of entries. The prices are raised where too much stands (a subgradient method) and the best bound that
was met is given. It is the dual of the flow of Berger, Beckmann and Harchol-Balter (FOO, 2018).

**The schedule** keeps whole entries for whole spaces between uses as long as they fit: those with the most seconds
for their bytes and looks first, or for their prices, or simply with the most seconds, whichever loses least. So it
can be had, and what is optimal lies between the two. It is no bound: a policy may by chance do better.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from cachewarden.model.caches import Kind
from cachewarden.simulate.study import Step, Study
from cachewarden.simulate.trace import Gone, Lost, Place, Want

ROUNDS = 250
"""Of the subgradient method; more change the third digit."""
_SLOWER = 0.97
_PACK_EVERY = 25
_SOME = 1e-9


@dataclass(frozen=True, slots=True)
class Clairvoyant:
    """Seconds: ``bound`` is at most, and ``schedule`` at least, what the best schedule loses."""

    bound: float
    schedule: float


@dataclass(frozen=True, slots=True)
class _Stay:
    """An entry between two of its uses: it takes ``size`` bytes after the looks from ``first`` up to ``last``."""

    first: int
    last: int
    size: int

    def price(self, sums: list[float]) -> float:
        """Of keeping it; ``sums`` are those of the prices before each look."""
        return self.size * (sums[self.last] - sums[self.first])


@dataclass(frozen=True, slots=True)
class _Need:
    """A use that misses unless ``own`` was kept; then it costs ``seconds``, and ``more`` unless ``source`` was kept.

    ``own`` is ``None`` where nothing could have been kept; ``seconds`` are 0 where a miss is nobody's fault.
    """

    own: _Stay | None
    seconds: float
    source: _Stay | None = None
    more: float = 0.0

    def cheapest(self, sums: list[float]) -> tuple[float, _Stay | None]:
        """What the best choice costs at these prices, and what it keeps."""
        best: tuple[float, _Stay | None] = (self.seconds + self.more, None)
        if self.source is not None and (cost := self.seconds + self.source.price(sums)) < best[0]:
            best = (cost, self.source)
        if self.own is not None and (cost := self.own.price(sums)) < best[0]:
            best = (cost, self.own)
        return best


def clairvoyant(studied: Study, capacity: int) -> Clairvoyant:
    """What knowing the future would lose, with ``capacity`` bytes after each look."""
    needs = list(_Uses(studied, capacity).needs())
    looks = len(studied.windows)
    prices, bound, schedule = _raised(needs, looks, capacity)
    others = (_packed(needs, looks, capacity, prices), _packed(needs, looks, capacity, None))
    return Clairvoyant(max(0.0, bound), min(schedule, *others))


def _raised(needs: list[_Need], looks: int, capacity: int) -> tuple[list[float], float, float]:
    """The best prices that were found, the bound at these, and a first schedule."""
    prices = [0.0] * looks
    best, best_prices = 0.0, prices
    schedule = _packed(needs, looks, capacity, [1.0] * looks)
    pace = 1.0
    for number in range(ROUNDS):
        if number % _PACK_EVERY == _PACK_EVERY - 1:
            schedule = min(schedule, _packed(needs, looks, capacity, prices))
        sums = [0.0, *accumulate(prices)]
        value, load = _relaxed(needs, sums, looks)
        value -= capacity * sums[-1]
        if value > best:
            best, best_prices = value, prices
        else:
            pace *= _SLOWER
        excess = [each - capacity for each in load]
        length = sum(each * each for each, price in zip(excess, prices, strict=True) if each > 0 or price > 0)
        if not length:
            break
        step = pace * max(schedule - value, _SOME * schedule) / length
        prices = [max(0.0, price + step * each) for price, each in zip(prices, excess, strict=True)]
    return best_prices, best, schedule


def _relaxed(needs: list[_Need], sums: list[float], looks: int) -> tuple[float, list[int]]:
    """What all choices cost at these prices, and the bytes that then stand after each look."""
    changes = [0] * (looks + 1)
    total = 0.0
    for need in needs:
        cost, stay = need.cheapest(sums)
        total += cost
        if stay is not None:
            changes[stay.first] += stay.size
            changes[stay.last] -= stay.size
    return total, list(accumulate(changes[:looks]))


def _packed(needs: list[_Need], looks: int, capacity: int, prices: list[float] | None) -> float:
    """Seconds lost by whoever keeps what saves most for its price, or most without any prices, while it fits."""
    sums = None if prices is None else [0.0, *accumulate(prices)]
    load = [0] * looks
    choices = sorted(
        ((ratio, number, stay) for number, need in enumerate(needs) for ratio, stay in _choices(need, sums)),
        key=lambda choice: (choice[0], choice[1], choice[2].size),
    )
    lost = {number: need.seconds + need.more for number, need in enumerate(needs)}
    kept: dict[int, _Stay] = {}
    for _, number, stay in choices:
        after = 0.0 if stay is needs[number].own else needs[number].seconds
        if lost[number] <= after:
            continue
        if instead := kept.pop(number, None):
            _add(load, instead, -1)
        if max(load[stay.first : stay.last], default=0) + stay.size <= capacity:
            lost[number], instead = after, stay
        if instead:
            kept[number] = instead
            _add(load, instead, 1)
    return sum(lost.values())


def _add(load: list[int], stay: _Stay, sign: int) -> None:
    for look in range(stay.first, stay.last):
        load[look] += sign * stay.size


def _choices(need: _Need, sums: list[float] | None) -> Iterator[tuple[float, _Stay]]:
    """What may be kept, with its price for each second that it saves.

    Where the source is the better bargain, what is made from it is judged by what it saves and costs beyond that.
    """
    own, source = need.own, need.source
    if sums is None:
        yield from ((-need.seconds - need.more, own),) if own else ()
        yield from ((-need.more, source),) if source else ()
        return
    cheap = None
    if source is not None and need.more > 0:
        cheap = source.price(sums) / need.more
        yield cheap, source
    if own is None:
        return
    ratio = own.price(sums) / (need.seconds + need.more)
    if cheap is not None and source is not None and cheap < ratio:
        ratio = (own.price(sums) - source.price(sums)) / max(need.seconds, _SOME)
    yield ratio, own


@dataclass(slots=True)
class _Last:
    """The last use of an entry: from which look on it takes room, and how much; ``held`` by an environment."""

    look: int
    size: int
    held: bool


@dataclass(slots=True)
class _Uses:
    """Goes through a trace and finds for each use the stay that would make it a hit.

    What is larger than the capacity cannot stay at all.
    """

    studied: Study
    capacity: int
    _last: dict[Place, _Last] = field(default_factory=dict)

    def needs(self) -> Iterator[_Need]:
        """Those whose miss costs something."""
        for look, window in enumerate(self.studied.windows):
            waiting: dict[Place, tuple[Step, _Stay | None]] = {}
            for step in window.steps:
                match step.event:
                    case Want() if step.makes is not None:
                        waiting[step.makes] = (step, self._stay(step, look))
                    case Want():
                        yield from _need(step, self._stay(step, look), waiting.pop(step.place, None))
                    case Gone(_, place):
                        self._released(place, look)
                    case Lost(_, place, by_us) if not by_us:
                        self._last.pop(place, None)

    def _stay(self, step: Step, look: int) -> _Stay | None:
        """From the use before to this one; ``None`` where it was not there before."""
        assert isinstance(step.event, Want)
        before, item = self._last.get(step.place), step.event.item
        held = item.kind is Kind.PACKAGE and (
            item.installed is True or (item.installed is None and before is not None and before.held)
        )
        self._last[step.place] = _Last(look, item.frees, held)
        if before is None or not step.again or (before.size > self.capacity and not before.held):
            return None
        return _Stay(before.look, before.look if before.held else look, before.size)

    def _released(self, place: Place, look: int) -> None:
        if last := self._last.get(place):
            self._last[place] = _Last(look, last.size, held=False)


def _need(step: Step, own: _Stay | None, source: tuple[Step, _Stay | None] | None) -> Iterator[_Need]:
    seconds = step.price.seconds if step.again else 0.0
    more = source[0].price.seconds if source and source[0].again else 0.0
    if seconds or more:
        yield _Need(own, seconds, source[1] if source else None, more)
