"""The state on disk: what is saved is there again, and no damage to it stops the program."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import makers
from cachewarden.model.caches import Kind
from cachewarden.model.errors import BusyError
from cachewarden.model.plans import CycleRecord, Outcome, Plan, RemovedEntry, Shortfall
from cachewarden.model.relocations import Moved, Phase
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.model.worth import Regain, Signal
from cachewarden.system.lock import Lock
from cachewarden.system.memory import Memory, PastMove, Sighting
from cachewarden.system.store import FILE, VERSION, SqliteStore
from cachewarden.system.store_schema import SCHEMA

CACHE = makers.cache(makers.entry("d")).cache


def removed(path: str = "http/d") -> RemovedEntry:
    return RemovedEntry(path, Kind.DOWNLOAD, "numpy", "1.26.4", Bytes(4096), "download, last used 50d ago")


def cycle(identity: str = "c1", at: int = 5, path: str = "http/d") -> CycleRecord:
    outcome = Outcome("cap-pip", "purge", CACHE, (removed(path),), Bytes(4096))
    return CycleRecord(identity, "interval", Instant(at), Instant(at + 1), Plan(), (outcome,))


def test_a_cycle_and_its_removals_are_there_after_a_restart(tmp_path: Path) -> None:
    SqliteStore(str(tmp_path), writable=True).save_cycle(cycle())
    again = SqliteStore(str(tmp_path), writable=False)
    (past,) = again.cycles(10)
    assert (past.id, past.trigger, past.freed, past.actions, past.failures) == ("c1", "interval", 4096, 1, 0)
    for word in ("numpy", "http/d", f"{CACHE.path}/http/d"):
        (gone,) = again.removals(word, 10)
        assert (gone.policy, gone.version, gone.freed, gone.cycle) == ("cap-pip", "1.26.4", 4096, "c1")


def test_names_that_are_no_text_are_kept_escaped(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(cycle(path="http/\udcff"))
    store.save_sightings("/c", {"\udcff": Sighting(Instant(1), Instant(2))}, ())
    assert (store.trouble, len(store.removals("http/\\udcff", 1))) == (None, 1)


def test_a_cycle_that_is_saved_again_replaces_what_was_noted_of_it(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(cycle(path="http/a"))
    store.save_cycle(cycle(path="http/b"))
    assert [gone.path for gone in store.removals("numpy", 9)] == [f"{CACHE.path}/http/b"]


def test_what_a_hostile_file_calls_its_package_never_stops_the_program(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    name = RemovedEntry("p", Kind.PACKAGE, "\ud800bad", "\udcff", Bytes(1), "\udcff")
    store.save_cycle(replace(cycle(), outcomes=(replace(cycle().outcomes[0], removed=(name,)),)))
    assert (store.trouble, [past.id for past in store.cycles(5)]) == (None, ["c1"])
    name = replace(name, freed=Bytes(1 << 70))
    store.save_cycle(replace(cycle("c2", at=9), outcomes=(replace(cycle().outcomes[0], removed=(name,)),)))
    assert store.trouble is not None
    store.save_cycle(cycle("c3", at=10))
    assert [past.id for past in store.cycles(5)] == ["c3", "c1"]


def test_what_a_worker_says_of_one_cache_costs_no_other_its_history(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    lie = replace(cycle().outcomes[0], cache=replace(CACHE, ecosystem="\udcff"), freed=Bytes(1 << 70))
    shortfall = Plan(shortfalls=(Shortfall("p", "/x", Bytes(1 << 70), Inodes(0)),))
    store.save_cycle(replace(cycle(), plan=shortfall, outcomes=(lie, cycle().outcomes[0])))
    assert (store.trouble, [past.freed for past in store.cycles(5)]) == (None, [2**63 - 1])
    assert [gone.ecosystem for gone in store.removals("numpy", 5)] == ["\\udcff", "pip"]


def moved(identity: str, owner: str = "ann", text: str = "moved", source: str = "/old") -> CycleRecord:
    cache = replace(CACHE, owner=makers.owner(owner))
    found = Moved(source, "/new", Phase.SETTLED, text, Bytes(7), Bytes(5))
    outcome = Outcome("to-usb", "relocate", cache, freed=Bytes(5), moved=found)
    return CycleRecord(identity, "interval", Instant(5), Instant(6), Plan(), (outcome,))


def test_moves_are_there_after_a_restart_and_one_that_is_saved_again_replaces_what_was_noted(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(moved("c1", text="begun"))
    store.save_cycle(moved("c1"))
    (past,) = SqliteStore(str(tmp_path), writable=False).moves(10)
    assert past == PastMove(
        "c1", Instant(6), "to-usb", "pip", "ann", "/old", "/new", "settled", Bytes(7), Bytes(5), "moved"
    )  # fmt: skip


def test_moves_of_one_owner_push_out_no_other_and_are_bounded_in_number_and_length(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(moved("first", "bob"))
    one = moved("c", text="\u20ac" * 100_000, source="/" + "x" * 100_000).outcomes[0]
    for number in range(12):
        store.save_cycle(replace(moved(f"c{number}"), outcomes=(one,) * 100))
    past = store.moves(10_000)
    assert sorted({each.owner: sum(each.owner == one.owner for one in past) for each in past}.items()) == [
        ("ann", 200), ("bob", 1),
    ]  # fmt: skip
    assert max(len(each.text) + len(each.source) for each in past) <= 2 * 4096


def test_memories_and_sightings_are_replaced_and_forgotten(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_memories({"a": Memory(Instant(1), "x"), "b": Memory()})
    store.save_memories({"a": Memory(Instant(2), None)})
    store.save_sightings("/c", {"p": Sighting(Instant(1), Instant(2)), "q": Sighting(Instant(1), Instant(1))}, ())
    store.save_sightings("/c", {"p": Sighting(Instant(1), Instant(9))}, ["q"])
    again = SqliteStore(str(tmp_path), writable=False)
    assert again.memories() == {"a": Memory(Instant(2), None), "b": Memory()}
    assert again.sightings("/c") == {"p": Sighting(Instant(1), Instant(9))}


def test_the_sign_of_a_use_its_count_and_how_a_removed_entry_comes_back_are_kept(
    tmp_path: Path,
) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    seen = Sighting(Instant(1), Instant(2), Signal.OPENED, 7)
    store.save_sightings("/c", {"p": seen}, ())
    gone = replace(removed(), regain=Regain.BUILD)
    one = Outcome("p", "purge", CACHE, (gone,), Bytes(1))
    store.save_cycle(CycleRecord("c", "timer", Instant(1), Instant(2), Plan(), (one,)))
    again = SqliteStore(str(tmp_path), writable=False)
    assert again.sightings("/c") == {"p": seen}
    assert [(each.kind, each.regain) for each in again.removals("numpy", 9)] == [("download", Regain.BUILD)]


def test_the_state_of_an_older_program_is_read_as_it_is_and_completed_when_it_is_written_to(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE)
    old.executescript(f"{SCHEMA}PRAGMA user_version={VERSION};")
    old.execute("INSERT INTO sightings VALUES ('/c', 'p', 1, 2)")
    old.execute("INSERT INTO removals VALUES ('c', 1, 'p', 'pip', 'ann', '/c', 'q', 'index', 'numpy', '1', 5, 'why')")
    old.commit()
    old.close()
    for writable in (False, True, False):
        store = SqliteStore(str(tmp_path), writable=writable)
        assert store.sightings("/c") == {"p": Sighting(Instant(1), Instant(2))}
        assert [(each.path, each.regain) for each in store.removals("numpy", 9)] == [("/c/q", None)]
        assert store.trouble is None


def test_caches_that_are_gone_for_long_are_forgotten_and_no_others(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    for cache, used in (("known", 1), ("gone", 1), ("unplugged", 50), ("\udcff", 1)):
        store.save_sightings(
            cache, {"p": Sighting(Instant(1), Instant(used)), "q": Sighting(Instant(1), Instant(1))}, ()
        )
    store.forget_caches(["known", "\udcff"], Instant(40), 10)
    assert [bool(store.sightings(each)) for each in ("known", "gone", "unplugged", "\udcff")] == [
        True,
        False,
        True,
        True,
    ]


def test_reading_a_state_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "none"), writable=False)
    assert (store.cycles(5), store.trouble, os.path.exists(tmp_path / "none")) == ([], None, False)


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096], ids=["text", "torn"]
)
def test_a_damaged_state_is_said_and_worked_without(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    store = SqliteStore(str(tmp_path), writable=True)
    store.save_cycle(cycle())
    assert store.cycles(5) == []
    assert store.trouble is not None
    assert str(tmp_path / FILE) in store.trouble
    assert (tmp_path / FILE).read_bytes() == content


def test_a_state_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        database.execute(f"PRAGMA user_version={VERSION + 1}")
    database.close()
    store = SqliteStore(str(tmp_path), writable=True)
    assert store.trouble is not None
    assert f"it is of version {VERSION + 1}, this program knows {VERSION}" in store.trouble


def test_a_file_where_the_state_folder_should_be_is_said_and_worked_without(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    store = SqliteStore(str(tmp_path / "state"), writable=True)
    store.save_memories({"a": Memory()})
    assert (store.trouble is not None, store.memories()) == (True, {})


def test_old_cycles_are_forgotten_beyond_a_bound(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True, kept_cycles=3)
    for number in range(6):
        store.save_cycle(cycle(f"c{number}", at=number))
    assert [past.id for past in store.cycles(10)] == ["c5", "c4", "c3"]


def test_a_reader_writes_nothing_beside_the_state(tmp_path: Path) -> None:
    SqliteStore(str(tmp_path), writable=True).save_cycle(cycle())
    before = sorted(os.listdir(tmp_path))
    SqliteStore(str(tmp_path), writable=False).cycles(5)
    assert sorted(os.listdir(tmp_path)) == before == [FILE]


def test_a_lock_is_had_by_one_at_a_time_and_never_waited_for(tmp_path: Path) -> None:
    first, second = Lock(str(tmp_path)), Lock(str(tmp_path))
    first.take("another cycle")
    with pytest.raises(BusyError, match="another cycle is at work on the same state; try again later"):
        second.take("another cycle")
    first.release()
    second.take("another cycle")
    first.close()
    second.close()


def test_of_an_owners_caches_that_are_gone_the_most_recent_are_kept_and_others_owners_are_not_touched(
    tmp_path: Path,
) -> None:
    store = SqliteStore(str(tmp_path), writable=True)
    for number in range(9):
        store.save_sightings(f"1001 /c{number}", {"p": Sighting(Instant(number), Instant(50))}, ())
    store.save_sightings("1002 /c", {"p": Sighting(Instant(0), Instant(50))}, ())
    store.forget_caches([], Instant(10), 3)
    left = [each for each in (*(f"1001 /c{number}" for number in range(9)), "1002 /c") if store.sightings(each)]
    assert left == ["1001 /c6", "1001 /c7", "1001 /c8", "1002 /c"]


def test_absent_caches_of_one_owner_take_a_bounded_place_however_large_each_is(tmp_path: Path) -> None:
    """By the number of entries, and by the lengths of their paths."""
    store = SqliteStore(str(tmp_path), writable=True, most_absent=25)
    for number in range(9):
        paths = [f"{each}" for each in range(10)] if number % 2 else ["x" * 2559]
        store.save_sightings(f"1001 /c{number}", {path: Sighting(Instant(number), Instant(50)) for path in paths}, ())
    store.save_sightings("1002 /c", {"p": Sighting(Instant(0), Instant(50))}, ())
    store.forget_caches([], Instant(10), 20)
    left = [each for each in (*(f"1001 /c{number}" for number in range(9)), "1002 /c") if store.sightings(each)]
    assert left == ["1001 /c7", "1001 /c8", "1002 /c"]


def test_removals_with_endless_names_take_a_bounded_place(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True, kept_text=100_000)
    for number in range(30):
        one = cycle(f"c{number}", at=number)
        gone = tuple(replace(removed(f"{number}-{each}"), name="x" * 3000, version="y" * 3000) for each in range(10))
        store.save_cycle(replace(one, outcomes=(replace(one.outcomes[0], removed=gone),)))
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        ((length,),) = database.execute("SELECT sum(length(name) + length(version)) FROM removals")
    database.close()
    assert 10_000 < length <= 100_000


def test_removals_with_endless_paths_take_a_bounded_place(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), writable=True, kept_text=100_000)
    for number in range(30):
        one = cycle(f"c{number}", at=number)
        gone = tuple(removed(f"{number}-{each}-" + "x" * 3000) for each in range(10))
        store.save_cycle(replace(one, outcomes=(replace(one.outcomes[0], removed=gone),)))
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        ((text,),) = database.execute("SELECT sum(length(cache) + length(path) + length(reason)) FROM removals")
    database.close()
    assert 10_000 < text <= 100_000
    assert len(store.cycles(50)) == 30


def test_why_there_is_no_state_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = SqliteStore(str(tmp_path / "file" / "state"), writable=True)
    where = tmp_path / "file" / "state" / FILE
    assert store.trouble == f"{where}: Not a directory; working without it: no history is kept"
