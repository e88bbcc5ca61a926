"""What an install pays for an entry that is not there: the very figures by which ``cheapest-first`` chooses."""

from dataclasses import dataclass

from cachewarden.decide.worth import Circumstances, cost_seconds
from cachewarden.model.units import Bytes, Instant, Seconds
from cachewarden.model.worth import Facts, Regain
from cachewarden.simulate.trace import Item


@dataclass(frozen=True, slots=True)
class Price:
    """Bytes that are downloaded and seconds that are waited."""

    fetched: int
    seconds: float


FREE = Price(0, 0.0)


def price(item: Item, link_speed: int, *, has_source: bool) -> Price:
    """Of getting ``item`` back.

    ``has_source``: what it is made from is in the trace as an entry of its own, and pays for its download itself.
    """
    circumstances = Circumstances(Instant(0), link_speed)
    if not has_source:
        fetched = _fetched(item)
        return Price(fetched, cost_seconds(facts(item, item.regain), item.size, circumstances))
    own = Facts(Regain.EXTRACT) if item.regain is not Regain.BUILD else facts(item, Regain.BUILD, fetch=0)
    return Price(0, cost_seconds(own, item.size, circumstances))


def facts(item: Item, regain: Regain, *, fetch: int | None = None) -> Facts:
    """What an ecosystem would know of it, before anything was seen of its use."""
    found = item.fetch if fetch is None else fetch
    build = None if item.build is None else Seconds(item.build)
    return Facts(regain, None if found is None else Bytes(found), build, orphan=item.orphan)


def _fetched(item: Item) -> int:
    if item.regain in {Regain.NOTHING, Regain.EXTRACT}:
        return 0
    return item.size if item.fetch is None else item.fetch
