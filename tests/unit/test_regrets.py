"""What came back is told from what is new: by path, else by package and version, each removal once."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from cachewarden.model.caches import Cache, Entry, Kind, Snapshot
from cachewarden.model.plans import CycleRecord, Outcome, Plan, RemovedEntry
from cachewarden.model.units import NANOSECONDS, Bytes, Instant, Seconds
from cachewarden.model.worth import Facts, Regain
from cachewarden.service.remembering import Remembering
from cachewarden.system.regrets import WITHIN, Back, Gone, cost_of, matches
from fakes import FakeStore
from makers import DAY, NOW, ago, cache, entry, owner, settings

HERE = cache().cache
CONDA = cache(path="/opt/conda/pkgs", ecosystem="conda").cache


def gone(
    path: str = "a",
    *,
    row: int = 1,
    at: int = 10 * DAY,
    kind: Kind = Kind.DOWNLOAD,
    name: str | None = "numpy",
    version: str | None = "1.26.4",
    whose: str = "ann",
    root: str = HERE.path,
    noted: bool = False,
) -> Gone:
    return Gone(row, ago(at), whose, root, path, kind.value, name, version, noted)


def found(*entries: Entry, root: Cache = HERE) -> list[tuple[Cache, Entry]]:
    return [(root, each) for each in entries]


def rows(there: Sequence[tuple[Cache, Entry]], *removed: Gone) -> list[tuple[int, bool]]:
    latest_first = sorted(removed, key=lambda each: -each.at)
    return [(back.row, back.same) for back in matches(there, latest_first, latest_first, NOW)]


def test_an_entry_that_was_written_again_after_its_removal_came_back() -> None:
    (back,) = matches(found(entry("a", written=3 * DAY)), [gone("a")], [], NOW)
    assert (back.row, back.at, back.same) == (1, ago(3 * DAY), True)


def test_an_entry_with_a_time_from_before_its_removal_was_only_put_back() -> None:
    assert rows(found(entry("a", written=11 * DAY)), gone("a")) == []


def test_what_comes_back_after_a_season_was_not_kept_too_short() -> None:
    days = WITHIN // NANOSECONDS // DAY
    assert rows(found(entry("a", written=0)), gone("a", at=days * DAY)) == [(1, True)]
    assert rows(found(entry("a", written=0)), gone("a", at=days * DAY + 1)) == []


def test_a_time_in_the_future_counts_as_now() -> None:
    (back,) = matches(found(entry("a", written=-5 * DAY)), [gone("a")], [], NOW)
    assert back.at == NOW


def test_only_the_latest_removal_of_a_path_before_it_came_back_is_regretted() -> None:
    removed = [gone("a", row=1, at=30 * DAY), gone("a", row=2, at=10 * DAY), gone("a", row=3, at=DAY)]
    assert rows(found(entry("a", written=5 * DAY)), *removed) == [(2, True)]


def test_what_was_noted_once_is_not_noted_again_nor_makes_an_older_removal_regretted() -> None:
    removed = [gone("a", row=1, at=30 * DAY), gone("a", row=2, at=10 * DAY, noted=True)]
    assert rows(found(entry("a", written=0)), *removed) == []


def test_the_same_package_and_version_under_another_path_came_back_too() -> None:
    assert rows(found(entry("b", written=0)), gone("a")) == [(1, False)]
    assert rows(found(entry("b", written=0, version="2")), gone("a")) == []
    assert rows(found(entry("b", written=0, kind=Kind.BUILT_WHEEL)), gone("a")) == []
    assert rows(found(entry("b", written=0, version=None)), gone("a", version=None)) == []
    assert rows(found(entry("b", written=0, kind=Kind.INDEX)), gone("a", kind=Kind.INDEX)) == []


def test_one_entry_undoes_one_removal_and_the_one_of_its_path_rather_than_a_later_one_of_its_package() -> None:
    removed = [gone("a", row=1, at=10 * DAY), gone("b", row=2, at=5 * DAY)]
    assert rows(found(entry("a", written=0)), *removed) == [(1, True)]
    assert sorted(rows(found(entry("a", written=0), entry("c", written=0)), *removed)) == [(1, True), (2, False)]
    assert sorted(rows(found(entry("c", written=0), entry("d", written=0)), *removed)) == [(1, False), (2, False)]


def test_other_owners_and_other_caches_are_other_things() -> None:
    there = found(entry("a", written=0))
    assert rows(there, gone("a", whose="bob"), gone("a", row=2, root="/elsewhere")) == []
    assert rows([(replace(HERE, owner=owner("bob")), there[0][1])], gone("a")) == []


def test_names_that_are_no_text_are_found_as_they_were_stored() -> None:
    assert rows(found(entry("a\udcff", written=0, name=None)), gone("a\\udcff", name=None)) == [(1, True)]


def test_the_cost_of_coming_back_is_what_is_known_of_it() -> None:
    assert cost_of(entry()) == (None, None)
    assert cost_of(replace(entry(), facts=Facts(Regain.DOWNLOAD, Bytes(7)))) == (7, None)
    assert cost_of(replace(entry(), facts=Facts(Regain.EXTRACT, Bytes(7)))) == (0, None)
    built = Facts(Regain.BUILD, Bytes(7), Seconds(90))
    assert cost_of(replace(entry(), facts=built)) == (7, 90)


REMOVED = some.builds(
    gone,
    some.sampled_from(["a", "b", "c"]),
    at=some.integers(0, 200 * DAY),
    name=some.sampled_from(["numpy", "six", None]),
    version=some.sampled_from(["1", "2", None]),
    noted=some.booleans(),
)
ENTRIES = some.builds(
    entry,
    some.sampled_from(["a", "b", "c", "d", "e"]),
    written=some.integers(-DAY, 200 * DAY),
    name=some.sampled_from(["numpy", "six", None]),
    version=some.sampled_from(["1", "2", None]),
)


@given(
    some.lists(ENTRIES, max_size=6, unique_by=lambda each: each.path),
    some.lists(REMOVED, max_size=12),
)
def test_every_removal_is_undone_at_most_once_in_time_and_by_its_own(there: list[Entry], removed: list[Gone]) -> None:
    latest = sorted((replace(each, row=row) for row, each in enumerate(removed)), key=lambda each: -each.at)
    by_row = {each.row: each for each in latest}
    backs: list[Back] = list(matches(found(*there), latest, latest, NOW))
    assert len(backs) == len({back.row for back in backs}) <= len(there)
    for back in backs:
        one = by_row[back.row]
        assert not one.noted
        assert 0 < back.at - one.at <= WITHIN
        fits = [each for each in there if min(each.modified, NOW) == back.at]
        if back.same:
            assert one.path in {each.path for each in fits}
        else:
            assert (one.name, one.version) in {(each.name, each.version) for each in fits}
            assert None not in {one.name, one.version}


# When they are looked for


def record(at: int, *removed: str, kept: Instant | None = None) -> CycleRecord:
    gone = tuple(RemovedEntry(path, Kind.DOWNLOAD, "numpy", "1", Bytes(5), "why") for path in removed)
    outcome = Outcome("p", "purge", HERE, gone, Bytes(5 * len(gone)))
    return CycleRecord(f"c{at}", "timer", ago(at), kept or ago(at), Plan(), (outcome,))


def seen(at: int, *entries: Entry) -> Snapshot:
    return Snapshot(ago(at), (cache(*entries),))


def test_what_is_new_or_written_anew_is_offered_and_what_was_known_is_not() -> None:
    store = FakeStore()
    remembering = Remembering(store)
    remembering.learn(seen(9000, entry("a"), entry("log", kind=Kind.LOG)), record(9000), settings())
    assert store.offered == ["a"]
    remembering.learn(seen(6000, entry("a"), entry("b")), record(6000), settings())
    assert store.offered == ["a", "b"]
    remembering.learn(seen(3000, entry("a", written=4000, used=4000), entry("b")), record(3000), settings())
    assert store.offered == ["a", "b", "a"]


def test_what_came_back_and_goes_in_the_same_cycle_is_offered_too() -> None:
    store = FakeStore()
    Remembering(store).learn(seen(9000, entry("a")), record(9000, "a"), settings())
    assert store.offered == ["a"]


def test_it_is_looked_for_no_more_often_than_sightings_are_written() -> None:
    store = FakeStore()
    remembering = Remembering(store)
    remembering.learn(seen(9000, entry("a")), record(9000), settings())
    remembering.learn(seen(8900, entry("a"), entry("b")), record(8900), settings())
    assert store.offered == ["a"]
