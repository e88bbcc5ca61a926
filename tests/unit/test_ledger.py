"""The books of a decision: what removals free, and what leaves a cache."""

from cachewarden.decide.ledger import Ledger, key_of
from makers import MIB, cache, entry, owner, share, snapshot


def test_an_entry_of_its_own_frees_what_it_says() -> None:
    one = entry("a", frees=3 * MIB, inodes=2)
    seen = cache(one)
    ledger = Ledger(snapshot(seen, free=100))
    assert ledger.take(seen, one) == (3 * MIB, 2, 3 * MIB, 0)
    assert (ledger.free[1], ledger.inodes[1], ledger.size[key_of(seen)]) == (100 + 3 * MIB, 5002, 0)


def test_a_hard_linked_file_is_freed_and_leaves_the_cache_with_its_last_name() -> None:
    one = entry("a", frees=0, size=MIB, inodes=0, shares=(share(7),))
    two = entry("b", frees=0, size=MIB, inodes=0, shares=(share(7),))
    seen = cache(one, two, size=MIB)
    ledger = Ledger(snapshot(seen))
    assert ledger.take(seen, one) == (0, 0, 0, 0)
    assert ledger.take(seen, two) == (MIB, 1, MIB, 0)
    assert ledger.size[key_of(seen)] == 0


def test_a_folder_goes_with_the_last_entry_in_it() -> None:
    names = "abc"
    entries = [entry(name, frees=100, shares=(share(7, needed=3, frees=4096),)) for name in names]
    seen = cache(*entries, size=300 + 4096)
    ledger = Ledger(snapshot(seen))
    assert [ledger.take(seen, each).freed for each in entries] == [100, 100, 100 + 4096]
    assert ledger.size[key_of(seen)] == 0


def test_a_file_linked_outside_of_the_cache_leaves_it_without_being_freed() -> None:
    one = entry("a", frees=0, size=MIB, inodes=0, shares=(share(7, needed=2, held=1),))
    seen = cache(one)
    assert Ledger(snapshot(seen)).take(seen, one) == (0, 0, MIB, 0)


def test_a_file_linked_outside_that_has_two_names_here_leaves_with_the_second() -> None:
    entries = [entry(name, frees=0, size=MIB, inodes=0, shares=(share(7, needed=3),)) for name in "ab"]
    seen = cache(*entries, size=MIB)
    ledger = Ledger(snapshot(seen))
    assert [ledger.take(seen, each).leaves for each in entries] == [0, MIB]


def test_bytes_that_measuring_left_out_of_the_shares_leave_the_cache_too() -> None:
    one = entry("a", frees=MIB, size=3 * MIB)
    seen = cache(one)
    assert Ledger(snapshot(seen)).take(seen, one) == (MIB, 1, 3 * MIB, 0)


def test_a_file_with_names_in_two_caches_is_freed_with_the_last_of_them() -> None:
    here = cache(entry("a", frees=0, size=MIB, inodes=0, shares=(share(7),)))
    there = cache(entry("a", frees=0, size=MIB, inodes=0, shares=(share(7),)), path="/home/ann/other")
    ledger = Ledger(snapshot(here, there))
    assert ledger.caches_share
    assert ledger.take(here, here.entries[0]) == (0, 0, MIB, 0)
    assert ledger.take(there, there.entries[0]) == (MIB, 1, MIB, 0)
    assert ledger.size == {key_of(here): 0, key_of(there): 0}


def test_putting_back_restores_the_books() -> None:
    entries = [entry(name, frees=1, shares=(share(7, needed=3), share(8))) for name in "ab"]
    seen = cache(*entries)
    ledger, fresh = Ledger(snapshot(seen)), Ledger(snapshot(seen))
    for each, change in [(each, ledger.take(seen, each)) for each in entries]:
        ledger.put_back(seen, each, change)
    assert (ledger.free, ledger.inodes, ledger.size, ledger.freed) == (
        fresh.free, fresh.inodes, fresh.size, fresh.freed,
    )  # fmt: skip
    assert [ledger.take(seen, each) for each in entries] == [fresh.take(seen, each) for each in entries]


def test_what_an_entry_had_a_part_in_is_known_afterwards() -> None:
    one = entry("a", frees=0, size=MIB, inodes=0, shares=(share(7),))
    two = entry("b", frees=0, size=MIB, inodes=0, shares=(share(7),))
    seen = cache(one, two, size=MIB)
    ledger = Ledger(snapshot(seen))
    ledger.take(seen, one)
    assert ledger.part_of(seen, one).freed == 0
    ledger.take(seen, two)
    assert ledger.part_of(seen, one).freed == MIB


def test_moving_a_cache_frees_what_is_not_gone_yet() -> None:
    entries = [entry(name, frees=MIB) for name in "abc"]
    seen = cache(*entries, size=10 * MIB)
    ledger = Ledger(snapshot(seen, free=0))
    ledger.take(seen, entries[0])
    assert ledger.move(seen) == 2 * MIB
    assert (ledger.free[1], ledger.size[key_of(seen)]) == (3 * MIB, 0)


def test_one_owners_tale_of_a_path_does_not_touch_anothers_cache() -> None:
    true = cache(entry("a"), size=MIB)
    lie = cache(entry("a"), of=owner("eve", uid=1001), size=10**15)
    ledger = Ledger(snapshot(true, lie))
    assert ledger.size[key_of(true)] == MIB
    ledger.take(lie, lie.entries[0])
    assert "a" not in ledger.gone_of(true)
