"""What is remembered between cycles, in SQLite below the state folder.

Nothing depends on it: where it is missing, damaged, full or read-only, the program works without it and says so.
The rollback journal is used, not WAL: a reader needs to write nothing then.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from cachewarden.model.caches import Cache, Entry
from cachewarden.model.forecasts import Size
from cachewarden.model.plans import CycleRecord, Outcome
from cachewarden.model.units import Instant
from cachewarden.model.worth import Regain, Signal
from cachewarden.system.memory import SIGHTING_LENGTH, Memory, PastCycle, PastMove, PastRemoval, Sighting
from cachewarden.system.memory import storable as _storable
from cachewarden.system.store_schema import (
    ADDED_COLUMNS,
    DELETE_OLDER_HALF,
    DELETE_OLDER_MOVES,
    INSERT_REMOVAL,
    INSERT_SIGHTING,
    MOVES,
    REMOVALS_OF,
    SCHEMA,
    TABLE_OF_MOVES,
)
from cachewarden.system.store_sizes import (
    DELETE_ABSENT_SIZES,
    DELETE_OLDER_SIZES,
    FORGOTTEN_AFTER,
    INSERT_SIZE,
    KEPT_DAYS,
    MOST_READ,
    READ_SIZES,
    SIZES,
    TABLE_OF_SIZES,
)

if TYPE_CHECKING:
    from cachewarden.system.regrets import Regret, Removals

VERSION = 1
FILE = "state.sqlite"
_Word = TypeVar("_Word", Regain, Signal)
_KEPT_MOVES = 1000
_KEPT_MOVES_OF_ONE = 200
"""An owner can have as many as a journal holds, in each cycle: they must not push out what is known of others."""
_LONGEST_TEXT = 4096
"""Characters of each text about a move: its owner's worker chose it."""
_KEPT_CYCLES = 1000
_KEPT_REMOVALS = 200_000
_KEPT_TEXT = 64 << 20
"""Characters of all texts that the removals may take: users choose the lengths of paths, names and versions."""
_MOST_ABSENT = 300_000
"""Sightings of one owner's caches that are not there; a path beyond ``SIGHTING_LENGTH`` counts as several."""
_LARGEST = 2**63 - 1


class SqliteStore:
    """The ``Store`` on disk. Every failure turns it off: reads give nothing, writes do nothing, ``trouble`` tells."""

    def __init__(
        self,
        folder: str,
        *,
        writable: bool,
        kept_cycles: int = _KEPT_CYCLES,
        kept_text: int = _KEPT_TEXT,
        most_absent: int = _MOST_ABSENT,
    ) -> None:
        """Opens, or makes when ``writable``, ``FILE`` in ``folder``; never raises for a state that does not work."""
        self._kept_cycles = kept_cycles
        self._kept_text = kept_text
        self._most_absent = most_absent
        self.trouble: str | None = None
        self._path = os.path.join(folder, FILE)
        self._writable = writable
        self._connection: sqlite3.Connection | None = None
        try:
            if writable:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            if writable or self._is_there():
                self._connection = self._open()
        except (OSError, sqlite3.Error, _OtherVersionError) as error:
            self._fail(error)

    def __del__(self) -> None:
        """Python 3.13 complains of a connection that is dropped while it is open."""
        if connection := getattr(self, "_connection", None):
            with suppress(sqlite3.Error):
                connection.close()

    def _is_there(self) -> bool:
        """False when missing; OSError when that cannot be seen, which is another thing."""
        try:
            os.stat(self._path)
        except FileNotFoundError:
            return False
        return True

    def _open(self) -> sqlite3.Connection:
        mode = "rwc" if self._writable else "ro"
        uri = f"file:{_escaped(self._path)}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=2.0, isolation_level=None, check_same_thread=False)
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, VERSION):
                raise _OtherVersionError(f"it is of version {version}, this program knows {VERSION}")
            if version == 0 and self._writable:
                connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
            connection.execute("SELECT count(*) FROM policies").fetchone()
            if self._writable:
                _complete(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _fail(self, error: Exception) -> None:
        why = (isinstance(error, OSError) and error.strerror) or error
        self.trouble = f"{self._path}: {why}; working without it: no history is kept"
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        if self._connection is None:
            return []
        try:
            return list(self._connection.execute(query, values))
        except sqlite3.Error as error:
            self._fail(error)
            return []

    def _write(self, statements: Iterable[tuple[str, list[tuple[object, ...]]]]) -> None:
        if not self._writable:
            return
        if self._connection is None:
            self._try_again()
        if self._connection is None:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            self._fail(error)

    def _try_again(self) -> None:
        """A disk that was full, or a state that was locked, may be well again by now."""
        with suppress(OSError, sqlite3.Error, _OtherVersionError):
            self._connection = self._open()
            self.trouble = None

    def cycles(self, limit: int) -> list[PastCycle]:
        """The latest first."""
        columns = "id, trigger, started_at, finished_at, freed, actions, failures"
        rows = self._read(f"SELECT {columns} FROM cycles ORDER BY started_at DESC LIMIT ?", limit)  # noqa: S608 - constant
        return [PastCycle(*row) for row in rows]  # type: ignore[arg-type]  # STRICT tables keep the types

    def removals(self, word: str, limit: int) -> list[PastRemoval]:
        """Of a path or a package name."""
        query = REMOVALS_OF.format(regain=self._column("removals", "regain"))
        rows = self._read(query, _storable(word), limit)
        return [PastRemoval(*row[:-1], regain=_member(Regain, row[-1])) for row in rows]  # type: ignore[arg-type,misc]  # STRICT

    def regrets(self, limit: int) -> "list[Regret]":
        """The latest first."""
        if self._column("removals", "back_at") == "NULL":
            return []
        from cachewarden.system import store_regrets

        return [store_regrets.regret(row) for row in self._read(store_regrets.REGRETS, limit)]

    def removed(self) -> "list[Removals]":
        """By policy and kind."""
        from cachewarden.system import store_regrets

        rows = self._read(store_regrets.REMOVED, *store_regrets.NOT_REMOVED)
        return [store_regrets.removals(row) for row in rows]

    def moves(self, limit: int) -> list[PastMove]:
        """The latest first."""
        if self._connection is None or not self._read(TABLE_OF_MOVES):
            return []  # a state from before there were any
        columns = "cycle, at, policy, ecosystem, owner, source, destination, phase, copied, freed, text"
        rows = self._read(f"SELECT {columns} FROM moves ORDER BY at DESC, rowid DESC LIMIT ?", limit)  # noqa: S608 - constant
        return [PastMove(*row) for row in rows]  # type: ignore[arg-type]  # STRICT tables keep the types

    def memories(self) -> dict[str, Memory]:
        """By policy."""
        rows = self._read("SELECT name, looked_at, fruitless FROM policies")
        return {str(name): Memory(looked_at, fruitless) for name, looked_at, fruitless in rows}  # type: ignore[arg-type]  # STRICT

    def sightings(self, cache: str) -> dict[str, Sighting]:
        """By path within the cache."""
        signal, uses = self._column("sightings", "signal"), self._column("sightings", "uses")
        query = f"SELECT path, first_seen, last_used, {signal}, {uses} FROM sightings WHERE cache = ?"  # noqa: S608 - constant
        return {
            str(path): Sighting(first, last, _member(Signal, sign) or Signal.WRITTEN, times or 0)  # type: ignore[arg-type]  # STRICT
            for path, first, last, sign, times in self._read(query, _storable(cache))
        }

    def sizes(self, since: int) -> dict[str, list[Size]]:
        """By place, the oldest first."""
        if self._connection is None or not self._read(TABLE_OF_SIZES):
            return {}  # a state from before there were any
        found: dict[str, list[Size]] = {}
        for place, *figures in self._read(READ_SIZES, since, MOST_READ):
            found.setdefault(str(place), []).append(Size(*figures))  # type: ignore[arg-type]  # STRICT tables keep the types
        return found

    def _column(self, table: str, name: str) -> str:
        """A column that a state of an older program, which cannot be written to now, does not have."""
        found = self._read(f"SELECT 1 FROM pragma_table_info('{table}') WHERE name = ?", name)  # noqa: S608 - a constant
        return name if found else "NULL"

    def save_cycle(self, record: CycleRecord) -> None:
        """One transaction; the oldest cycles and removals are forgotten beyond a bound."""
        failures = sum(len(outcome.failures) for outcome in record.outcomes)
        cycle = (
            record.id, record.trigger, record.started_at, record.finished_at,
            _storable_sum(record.freed), len(record.outcomes), failures, _storable_sum(record.plan.shortfall),
        )  # fmt: skip
        removals: list[tuple[object, ...]] = [
            (
                record.id, record.finished_at, outcome.policy, _storable(outcome.cache.ecosystem),
                _storable(outcome.cache.owner.name),
                _storable(outcome.cache.path), _storable(gone.path), gone.kind.value, _storable_or_none(gone.name),
                _storable_or_none(gone.version), gone.freed, _storable(gone.reason),
                gone.regain.value if gone.regain else None,
            )
            for outcome in record.outcomes
            for gone in outcome.removed
        ]  # fmt: skip
        removals = _within(removals, self._kept_text // 2)
        moves = [_move(record, outcome) for outcome in record.outcomes if outcome.moved]
        self._write(
            [
                ("INSERT OR REPLACE INTO cycles VALUES (?,?,?,?,?,?,?,?)", [cycle]),
                ("DELETE FROM removals WHERE cycle = ?", [(record.id,)]),  # an earlier note of the same cycle
                (INSERT_REMOVAL, removals),
                ("DELETE FROM moves WHERE cycle = ?", [(record.id,)]),
                ("INSERT INTO moves VALUES (?,?,?,?,?,?,?,?,?,?,?)", moves),
                (DELETE_OLDER_MOVES, [(_KEPT_MOVES, _KEPT_MOVES_OF_ONE)] if moves else []),
                (
                    "DELETE FROM cycles WHERE id NOT IN (SELECT id FROM cycles ORDER BY started_at DESC LIMIT ?)",
                    [(self._kept_cycles,)],
                ),
                ("DELETE FROM removals WHERE rowid <= (SELECT max(rowid) FROM removals) - ?", [(_KEPT_REMOVALS,)]),
                (DELETE_OLDER_HALF, [(self._kept_text,)] if removals else []),
            ]
        )

    def save_memories(self, memories: Mapping[str, Memory]) -> None:
        """Adds or replaces."""
        rows: list[tuple[object, ...]] = [(name, each.looked_at, each.fruitless) for name, each in memories.items()]
        if rows:
            self._write([("INSERT OR REPLACE INTO policies VALUES (?,?,?)", rows)])

    def save_sightings(self, cache: str, seen: Mapping[str, Sighting], gone: Iterable[str]) -> None:
        """Adds, replaces and forgets, in one transaction."""
        root = _storable(cache)
        rows: list[tuple[object, ...]] = [
            (root, _storable(path), each.first_seen, each.last_used, each.signal.value, each.uses)
            for path, each in seen.items()
        ]
        lost: list[tuple[object, ...]] = [(root, _storable(path)) for path in gone]
        if rows or lost:
            self._write(
                [
                    (INSERT_SIGHTING, rows),
                    ("DELETE FROM sightings WHERE cache = ? AND path = ?", lost),
                ]
            )

    def save_sizes(self, sizes: Mapping[str, Size], today: int) -> None:
        """Adds or replaces, and forgets what is old, in one transaction."""
        rows: list[tuple[object, ...]] = [
            (
                _storable(place), each.day, each.at, _storable_sum(each.held), _storable_sum(each.inodes),
                _storable_sum(each.freed), _storable_sum(each.freed_inodes),
            )
            for place, each in sizes.items()
        ]  # fmt: skip
        if rows:
            self._write(
                [
                    (INSERT_SIZE, rows),
                    (DELETE_OLDER_SIZES, [(KEPT_DAYS,)]),
                    (DELETE_ABSENT_SIZES, [(today - FORGOTTEN_AFTER,)]),
                ]
            )

    def save_returns(self, found: Sequence[tuple[Cache, Entry]], now: Instant) -> None:
        """Asks for the removals of these paths and names, and writes only when some of them are undone."""
        if not found or not self._writable or self._connection is None:
            return
        from cachewarden.system import store_regrets

        try:
            rows = store_regrets.returns(self._connection, found, now)
        except sqlite3.Error as error:
            self._fail(error)
            return
        if rows:
            self._write([(store_regrets.INSERT_RETURN, rows)])

    def forget_caches(self, known: Iterable[str], before: Instant, most: int) -> None:
        """A disk that is away for a while comes back to what was known of it."""
        recent = (
            "SELECT cache, max(first_seen) AS seen, max(last_used), sum(1 + length(path) / ?) FROM sightings"
            " GROUP BY cache ORDER BY seen DESC"
        )
        kept = {_storable(cache) for cache in known}
        absent: dict[str, int] = {}
        rows: dict[str, int] = {}
        gone: list[tuple[object, ...]] = []
        for cache, *figures in self._read(recent, SIGHTING_LENGTH):
            if cache in kept:
                continue
            owner, (first, used, count) = str(cache).partition(" ")[0], map(int, map(str, figures))
            absent[owner] = absent.get(owner, 0) + 1
            rows[owner] = rows.get(owner, 0) + count
            if absent[owner] > most or rows[owner] > self._most_absent or max(first, used) < before:
                gone.append((cache,))
        if gone:
            self._write([("DELETE FROM sightings WHERE cache = ?", gone)])


def _complete(connection: sqlite3.Connection) -> None:
    """Makes what the state of an older program does not have yet."""
    if connection.execute(TABLE_OF_MOVES).fetchone() is None:
        connection.executescript(f"BEGIN IMMEDIATE;{MOVES}COMMIT;")
    if connection.execute(TABLE_OF_SIZES).fetchone() is None:
        connection.executescript(f"BEGIN IMMEDIATE;{SIZES}COMMIT;")
    for table, name, sort in ADDED_COLUMNS:
        known = connection.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall()  # noqa: S608 - constant
        if (name,) not in known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {sort}")


def _member(kind: type[_Word], value: object) -> _Word | None:
    """A word of a newer program is none."""
    return next((each for each in kind if each.value == value), None)


def _move(record: CycleRecord, outcome: Outcome) -> tuple[object, ...]:
    moved, cache = outcome.moved, outcome.cache
    if moved is None:
        raise ValueError("an outcome of no move")
    return (
        record.id, record.finished_at, outcome.policy, _storable(cache.ecosystem), _storable(cache.owner.name),
        _in_short(moved.source), _in_short(moved.destination), moved.phase.value, _storable_sum(moved.copied),
        _storable_sum(moved.freed), _in_short(moved.text),
    )  # fmt: skip


def _in_short(text: str) -> str:
    return _storable(text[:_LONGEST_TEXT])


class _OtherVersionError(Exception):
    """A state file from another version of the program."""


def _within(rows: list[tuple[object, ...]], most: int) -> list[tuple[object, ...]]:
    """The first rows whose texts are within a bound."""
    for index, row in enumerate(rows):
        most -= sum(len(each) for each in row if isinstance(each, str))
        if most < 0:
            return rows[:index]
    return rows


def _storable_or_none(text: str | None) -> str | None:
    return None if text is None else _storable(text)


def _storable_sum(figure: int) -> int:
    """SQLite's integers end where one figure of a worker may: lies of one owner must not cost all their history."""
    return max(-_LARGEST, min(figure, _LARGEST))


def _escaped(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
