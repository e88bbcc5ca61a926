"""Removals that came back, in SQL: they are noted beside the removals themselves, and forgotten with them."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from cachewarden.model.caches import Cache, Entry
from cachewarden.model.units import Instant
from cachewarden.system.memory import storable
from cachewarden.system.regrets import NEVER_MISSED, WITHIN, Gone, Regret, Removals, matches

INSERT_RETURN = "UPDATE removals SET back_at = ?, back_fetched = ?, back_built = ?, back_same = ? WHERE rowid = ?"
REGRETS = (
    "SELECT cycle, policy, ecosystem, owner, cache || '/' || path, kind, name, version, at, back_at, back_fetched,"
    " back_built, back_same FROM removals WHERE back_at IS NOT NULL ORDER BY back_at DESC, rowid DESC LIMIT ?"
)
_MARKS = ", ".join("?" for _ in NEVER_MISSED)
REMOVED = (
    "SELECT policy, kind, count(*), CAST(total(freed) AS INTEGER), min(at) FROM removals"  # noqa: S608 - constants
    f" WHERE kind NOT IN ({_MARKS}) GROUP BY policy, kind ORDER BY policy, kind"
)
"""``total`` and not ``sum``: what workers say may add up beyond SQLite's integers, which is an error there."""
NOT_REMOVED = tuple(sorted(kind.value for kind in NEVER_MISSED))
_OF = (
    "SELECT rowid, at, owner, cache, path, kind, name, version, back_at IS NOT NULL FROM removals"
    " WHERE {} IN ({{}}) AND at >= ? ORDER BY +rowid DESC"
)
_OF_PATH, _OF_NAME = _OF.format("path"), _OF.format("name")
"""Both have an index. Each word is asked for once, so that no removal is met more than twice."""
_AT_ONCE = 500
"""Words of one query: each query locks the file, which takes longer than to find a word. SQLite allows 999."""
_LARGEST = 2**63 - 1


def returns(
    connection: sqlite3.Connection, found: Sequence[tuple[Cache, Entry]], now: Instant
) -> list[tuple[object, ...]]:
    """The rows for ``INSERT_RETURN``; sqlite3.Error as it comes."""
    paths = {storable(entry.path) for _, entry in found}
    names = {storable(entry.name) for _, entry in found if entry.name is not None}
    of_paths, of_names = _gone(connection, _OF_PATH, paths, now), _gone(connection, _OF_NAME, names, now)
    return [
        (back.at, _figure(back.fetched), _figure(back.built), int(back.same), back.row)
        for back in matches(found, of_paths, of_names, now)
    ]


def _gone(connection: sqlite3.Connection, query: str, words: Iterable[str], now: Instant) -> Iterator[Gone]:
    left = iter(words)
    while part := tuple(islice(left, _AT_ONCE)):
        marks = ",".join("?" * len(part))
        for row in connection.execute(query.format(marks), (*part, now - 2 * WITHIN)):
            *most, noted = row
            yield Gone(*most, noted=bool(noted))  # type: ignore[misc]  # STRICT tables keep the types


def _figure(number: int | None) -> int | None:
    """SQLite's integers end where a figure of a worker may."""
    return None if number is None else min(number, _LARGEST)


def regret(row: tuple[object, ...]) -> Regret:
    """Of a row of ``REGRETS``."""
    *most, same = row
    return Regret(*most, same=bool(same))  # type: ignore[arg-type,misc]  # STRICT


def removals(row: tuple[object, ...]) -> Removals:
    """Of a row of ``REMOVED``."""
    return Removals(*row)  # type: ignore[arg-type]  # STRICT
