"""A trace of installs as values, and the lines that it is written as; docs/traces.md has the format."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from cachewarden.model.caches import Kind
from cachewarden.model.worth import Regain, Signal

VERSION = 1
"""Of the format; it stands in the first line."""
VERSION_KEY = "cachewarden_trace"


@dataclass(frozen=True, slots=True)
class Item:
    """What an entry of a cache is, as an event tells it.

    ``owner`` is a number, so that a trace names nobody. ``fetch``: bytes that are downloaded to get it back, ``None``
    where it is its size. ``build``: seconds that building takes. ``installed``: whether an environment has it from
    now on, ``None`` where that cannot be seen.
    """

    ecosystem: str
    owner: int
    key: str
    kind: Kind
    size: int
    frees: int
    name: str | None = None
    version: str | None = None
    regain: Regain = Regain.DOWNLOAD
    fetch: int | None = None
    build: int | None = None
    installed: bool | None = None
    orphan: bool = False

    @property
    def place(self) -> "Place":
        """What it is called in the whole trace."""
        return (self.ecosystem, self.owner, self.key)


Place = tuple[str, int, str]
"""Ecosystem, owner and key: two caches may have the same key."""


@dataclass(frozen=True, slots=True)
class Want:
    """Somebody installs it. ``source_of``: only if the entry of that key in the same cache is not there.

    ``signal``: by what sign the service knew of it, in a trace that it recorded.
    """

    at: int
    item: Item
    source_of: str | None = None
    signal: Signal | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """An environment was removed, and no other has the entry now."""

    at: int
    place: Place


@dataclass(frozen=True, slots=True)
class Lost:
    """It left the cache. ``by_us``: a policy took it, which a replay decides anew; else somebody else did."""

    at: int
    place: Place
    by_us: bool = False


Event = Want | Gone | Lost


@dataclass(frozen=True, slots=True)
class Trace:
    """``about`` is for people. ``events`` are in the order of their times (whole seconds since 1970)."""

    about: str
    events: tuple[Event, ...]


_WORDS = {Gone: "gone", Lost: "lost"}
_DEFAULTS: dict[Kind, Regain] = {
    Kind.DEBRIS: Regain.NOTHING,
    Kind.LOG: Regain.NOTHING,
    Kind.BUILT_WHEEL: Regain.BUILD,
}


def usual_regain(kind: Kind) -> Regain:
    """How entries of a kind come back where an event does not say it."""
    return _DEFAULTS.get(kind, Regain.DOWNLOAD)


def header(about: str) -> str:
    """The first line."""
    return _line({VERSION_KEY: VERSION, "about": about})


def line(event: Event) -> str:
    """One event, without what is the default anyway."""
    match event:
        case Want():
            return _line(dict(_of_want(event)))
        case Gone() | Lost():
            ecosystem, owner, key = event.place
            found: dict[str, object] = {"at": event.at, "event": _WORDS[type(event)], "ecosystem": ecosystem}
            found |= {"owner": owner} if owner else {}
            found |= {"key": key}
            return _line(found | ({"by_us": True} if isinstance(event, Lost) and event.by_us else {}))


def _of_want(want: Want) -> Iterator[tuple[str, object]]:
    item = want.item
    yield from (("at", want.at), ("event", "want"), ("ecosystem", item.ecosystem))
    if item.owner:
        yield "owner", item.owner
    yield from (("key", item.key), ("kind", item.kind.value), ("size_bytes", item.size))
    optional = {
        "frees_bytes": None if item.frees == item.size else item.frees,
        "name": item.name,
        "version": item.version,
        "regain": None if item.regain is usual_regain(item.kind) else item.regain.value,
        "fetch_bytes": item.fetch,
        "build_seconds": item.build,
        "installed": item.installed,
        "orphan": item.orphan or None,
        "source_of": want.source_of,
        "signal": want.signal.value if want.signal else None,
    }
    yield from ((key, value) for key, value in optional.items() if value is not None)


def _line(fields: dict[str, object]) -> str:
    """ASCII alone, whatever the names."""
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))
