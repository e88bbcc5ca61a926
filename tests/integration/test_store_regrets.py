"""Removals that came back, in the state: noted once, counted by policy, forgotten with the removals."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from cachewarden.model.caches import Cache, Entry, Kind
from cachewarden.model.plans import CycleRecord, Outcome, Plan, RemovedEntry
from cachewarden.model.units import Bytes, Instant, Seconds
from cachewarden.model.worth import Facts, Regain
from cachewarden.system import store_regrets
from cachewarden.system.regrets import Regret, Removals
from cachewarden.system.store import FILE, VERSION, SqliteStore
from cachewarden.system.store_schema import SCHEMA
from makers import DAY, NOW, ago, cache, entry

CACHE = cache().cache


def purge(
    identity: str, at: int, *removed: RemovedEntry, policy: str = "cap-pip", root: Cache = CACHE
) -> CycleRecord:
    outcome = Outcome(policy, "purge", CACHE, removed, Bytes(sum(each.freed for each in removed)))
    return CycleRecord(identity, "timer", ago(at), ago(at), Plan(), (outcome,))


def removed(path: str = "http/a", *, kind: Kind = Kind.DOWNLOAD, freed: int = 4096) -> RemovedEntry:
    return RemovedEntry(path, kind, "numpy", "1.26.4", Bytes(freed), "why", Regain.DOWNLOAD)


def back(path: str = "http/a", *, written: int = DAY, facts: Facts | None = None) -> tuple[Cache, Entry]:
    return CACHE, replace(entry(path, written=written), facts=facts)


def test_a_removal_that_came_back_is_there_after_a_restart_with_its_cost(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(purge("c1", 3 * DAY, removed()))
    store.save_returns([back(facts=Facts(Regain.BUILD, Bytes(700), Seconds(60)))], NOW)
    (found,) = SqliteStore(str(tmp_path), writable=False).regrets(9)
    assert found == Regret(
        "c1", "cap-pip", "pip", "ann", f"{CACHE.path}/http/a", "download", "numpy", "1.26.4", ago(3 * DAY), ago(DAY),
        Bytes(700), Seconds(60), same=True,
    )  # fmt: skip


def test_it_is_noted_once_and_each_time_that_it_goes_and_comes_back(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(purge("c1", 9 * DAY, removed()))
    for _ in range(2):
        store.save_returns([back(written=8 * DAY)], NOW)
    assert [each.cycle for each in store.regrets(9)] == ["c1"]
    store.save_cycle(purge("c2", 5 * DAY, removed()))
    store.save_returns([back(written=8 * DAY)], NOW)
    assert [each.cycle for each in store.regrets(9)] == ["c1"]
    store.save_returns([back(written=4 * DAY)], NOW)
    assert [(each.cycle, each.back_at) for each in store.regrets(9)] == [("c2", ago(4 * DAY)), ("c1", ago(8 * DAY))]
    assert len(store.regrets(1)) == 1


def test_removals_are_counted_by_policy_and_kind_without_what_nobody_misses(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(purge("c1", 9, removed("a"), removed("b"), removed("t", kind=Kind.DEBRIS)))
    store.save_cycle(purge("c2", 5, removed("c"), removed("i", kind=Kind.INDEX), policy="by-hand"))
    assert store.removed() == [
        Removals("by-hand", "download", 1, Bytes(4096), ago(5)),
        Removals("by-hand", "index", 1, Bytes(4096), ago(5)),
        Removals("cap-pip", "download", 2, Bytes(8192), ago(9)),
    ]


def test_figures_that_add_up_beyond_all_bounds_turn_nothing_off(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    lie = removed(freed=2**63 - 1)
    outcome = replace(purge("c1", 3 * DAY, lie, lie).outcomes[0], freed=Bytes(5))
    store.save_cycle(replace(purge("c1", 3 * DAY), outcomes=(outcome,)))
    assert store.trouble is None
    store.save_returns([back(facts=Facts(Regain.BUILD, Bytes(1 << 70), Seconds(1 << 70)))], NOW)
    assert [(each.entries, each.freed) for each in store.removed()] == [(2, 2**63 - 1)]
    assert [each.fetched for each in store.regrets(9)] == [2**63 - 1]
    assert store.trouble is None


def test_names_that_are_no_text_come_back(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(purge("c1", 3 * DAY, removed("\udcff")))
    store.save_returns([back("\udcff")], NOW)
    assert [each.path for each in store.regrets(9)] == [f"{CACHE.path}/\\udcff"]


def test_the_state_of_an_older_program_is_read_without_regrets_and_notes_them_when_it_is_written_to(
    tmp_path: Path,
) -> None:
    old = sqlite3.connect(tmp_path / FILE)
    old.executescript(f"{SCHEMA}PRAGMA user_version={VERSION};")
    values = ("c", ago(3 * DAY), "p", "pip", "ann", CACHE.path, "http/a", "download", "numpy", "1", 5, "why")
    old.execute("INSERT INTO removals VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", values)
    old.commit()
    old.close()
    reader = SqliteStore(str(tmp_path), writable=False)
    reader.save_returns([back()], NOW)
    assert (reader.regrets(9), reader.trouble, len(reader.removed())) == ([], None, 1)
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_returns([back()], NOW)
    assert [(each.cycle, each.fetched, each.built) for each in store.regrets(9)] == [("c", None, None)]


def test_regrets_are_forgotten_with_the_removals_that_they_are_of(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True, kept_text=20_000)
    store.save_cycle(purge("first", 9 * DAY, removed()))
    store.save_returns([back()], NOW)
    for number in range(30):
        store.save_cycle(purge(f"c{number}", 8 * DAY - number, removed("x" * 3000)))
    assert store.regrets(99) == []
    assert store.trouble is None


def test_a_damaged_or_missing_state_regrets_nothing(tmp_path: Path) -> None:
    missing = SqliteStore(str(tmp_path / "none"), writable=False)
    assert (missing.regrets(9), missing.removed()) == ([], [])
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_returns([back()], NOW)
    assert (store.regrets(9), store.removed()) == ([], [])
    assert store.trouble is not None


def test_nothing_is_written_when_nothing_came_back(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(purge("c1", 3 * DAY, removed()))
    before = (tmp_path / FILE).stat().st_mtime_ns
    store.save_returns([back("other", written=9 * DAY)], Instant(NOW))
    store.save_returns([], NOW)
    assert (tmp_path / FILE).stat().st_mtime_ns == before


def test_thousands_that_are_new_are_asked_for_in_few_queries_by_the_indices(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(purge("c1", 3 * DAY, *(removed(f"http/{number}") for number in range(1200))))
    asked: list[str] = []
    connection = sqlite3.connect(tmp_path / FILE)
    connection.set_trace_callback(asked.append)
    found = [back(f"http/{number}") for number in range(1200)]
    assert len(store_regrets.returns(connection, found, NOW)) == 1200
    assert len(asked) == 3 + 1  # paths, and the one name
    connection.set_trace_callback(None)
    plans = [str(connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()) for query in asked]
    assert all("USING INDEX removals_by_path" in plan for plan in plans[:3])
    assert "USING INDEX removals_by_name" in plans[3]
    connection.close()
