"""``list``: the entries with their names."""

from collections.abc import Callable
from typing import Any

from cachewarden.cli import looking, wishes
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import entries, json
from cachewarden.cli.render.entries import Found
from cachewarden.cli.session import Session
from cachewarden.decide.choice import names_match
from cachewarden.decide.worth import used
from cachewarden.model.caches import Snapshot

_ORDERS: dict[str, Callable[[Found], Any]] = {
    "size": lambda found: (-found[1].size, found[0].cache.path, found[1].path),
    "frees": lambda found: (-found[1].frees, found[0].cache.path, found[1].path),
    "last-used": lambda found: (used(found[1]), found[0].cache.path, found[1].path),
    "name": lambda found: (found[1].name is None, found[1].name or "", found[1].version or "", found[1].path),
}
"""Largest first; longest unused first; by name, the nameless last."""


def arguments(parser: Parser) -> None:
    """Which entries, in which order, how many."""
    wishes.arguments(parser)
    parser.add_argument("--sort", choices=tuple(_ORDERS), default="size", help="default: size, the largest first")
    parser.add_argument("--limit", metavar="N", help="at most so many")


def run(session: Session) -> int:
    """Always 0, also when nothing matches."""
    given = session.options
    ecosystems = wishes.ecosystems(given.ecosystems)
    kinds = wishes.kinds(given.kind, ecosystems)
    packages = wishes.packages(given.package)
    limit = wishes.number("--limit", given.limit)
    snapshot = looking.look(session).snapshot
    found = [
        (cache, entry)
        for cache, entry in _everything(snapshot)
        if (not ecosystems or cache.cache.ecosystem in ecosystems)
        and (not kinds or entry.kind in kinds)
        and (not packages or names_match(packages, entry))
    ]
    found.sort(key=_ORDERS[given.sort])
    shown = found[:limit]
    if given.json:
        session.answer(json.listing(shown))
    else:
        session.show(entries.entries(shown, found, session.view(snapshot.taken_at)))
    return 0


def _everything(snapshot: Snapshot) -> list[Found]:
    return [(cache, entry) for cache in snapshot.caches for entry in cache.entries]
