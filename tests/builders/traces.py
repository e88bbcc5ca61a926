"""Small traces, written as a test means them: days, megabytes and one letter for a package."""

from collections.abc import Iterable

from cachewarden.model.caches import Kind
from cachewarden.model.policies import ActionKind, Amount, Keep, Marks, Order, Policy, Settings
from cachewarden.model.units import Bytes, Seconds
from cachewarden.model.worth import Regain
from cachewarden.simulate.study import Study, study
from cachewarden.simulate.trace import Event, Gone, Item, Lost, Trace, Want

DAY = 86_400
START = 1_735_689_600
MB = 1_000_000
LINK = MB
"""Bytes a second: a megabyte is a second, after the second of the request."""


def item(key: str, megabytes: float = 1, kind: Kind = Kind.DOWNLOAD, **more: object) -> Item:
    """A download of so many megabytes, in the pip cache of the first owner (or what its kind says)."""
    size = int(megabytes * MB)
    ecosystem = "conda" if kind in {Kind.PACKAGE, Kind.TARBALL} else "pip"
    return Item(ecosystem, 0, key, kind, size, size, name=key, **more)  # type: ignore[arg-type]  # a test knows them


def want(day: float, key: str, megabytes: float = 1) -> Want:
    """A download is installed on a day."""
    return Want(START + int(day * DAY), item(key, megabytes))


def build(day: float, key: str, seconds: int, *, wheel: float = 1, sdist: float = 1) -> list[Event]:
    """A wheel that is built from a source archive is installed."""
    at = START + int(day * DAY)
    made = item(key, wheel, Kind.BUILT_WHEEL, regain=Regain.BUILD, build=seconds)
    return [Want(at, item(f"{key}.tar.gz", sdist), source_of=key), Want(at, made)]


def conda(day: float, key: str, *, package: float = 3, tarball: float = 1) -> list[Event]:
    """An environment gets a conda package."""
    at = START + int(day * DAY)
    ball = item(f"{key}.conda", tarball, Kind.TARBALL)
    return [Want(at, ball, source_of=key), Want(at, item(key, package, Kind.PACKAGE, installed=True))]


def gone(day: float, key: str, ecosystem: str = "conda") -> Gone:
    """No environment has it any more."""
    return Gone(START + int(day * DAY), (ecosystem, 0, key))


def lost(day: float, key: str, *, by_us: bool = False) -> Lost:
    """It left the pip cache."""
    return Lost(START + int(day * DAY), ("pip", 0, key), by_us=by_us)


def studied(events: Iterable[Event]) -> Study:
    """Looked at every five minutes in which something happens."""
    return study(Trace("a test", tuple(events)), interval=300, link_speed=LINK)


def full(order: Order = Order.LEAST_RECENTLY_USED) -> Settings:
    """Whatever is more than half of the disk goes, the newest included."""
    half = Marks(Amount(percent=50.0), Amount(percent=50.0))
    policy = Policy("full", ActionKind.PURGE, free_space=half, order=order)
    return Settings(keep=Keep(newer_than=Seconds(0)), link_speed=Bytes(LINK), policies=(policy,))


def room(megabytes: float) -> int:
    """The disk on which ``full`` leaves so much to the caches."""
    return int(2 * megabytes * MB)
