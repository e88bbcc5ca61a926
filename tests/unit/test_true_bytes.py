"""Bytes that come back are told by bounds where blocks do not tell, and what comes back later is told as such."""

import os
import struct
from dataclasses import replace

import pytest

import makers
from cachewarden.cli.render import words
from cachewarden.decide.ledger import Ledger
from cachewarden.ecosystems.bounds import without_opened
from cachewarden.model.caches import Entry, MeasuredCache, Quota
from cachewarden.model.plans import Purge
from cachewarden.model.policies import Order, Policy, SpaceOf
from cachewarden.model.units import Bytes
from cachewarden.system.extents import DELAYED, ENCODED, INLINE, SHARED, Extent, weigh
from cachewarden.system.ports import Allocation, Opened
from cachewarden.system.quotas import parse
from makers import MIB, cache, entry, gone, marks, plan, policy, reasons, share, snapshot, standing

K = 1024


@pytest.mark.parametrize(
    ("extents", "blocks", "sure", "most"),
    [
        ([(0, 64 * K, 1)], 64 * K, 64 * K, 64 * K),
        ([], 0, 0, 0),
        ([(0, 64 * K, SHARED)], 64 * K, 0, 64 * K),
        ([(0, 64 * K, 0), (1 << 20, 32 * K, SHARED)], 96 * K, 64 * K, 96 * K),
        ([(0, 64 * K, DELAYED)], 64 * K, 0, 64 * K),
        ([(0, 300, INLINE)], 4 * K, 0, 4 * K),
        # Of several compressed ones, each ends where the next begins at the latest; the last saves a sector at least.
        ([(0, 128 * K, ENCODED), (40 * K, 128 * K, ENCODED)], 256 * K, 8 * K, 164 * K),
        ([(40 * K, 128 * K, ENCODED), (0, 128 * K, ENCODED)], 256 * K, 8 * K, 164 * K),
        # Far apart: the next one says nothing.
        ([(0, 128 * K, ENCODED), (1 << 30, 128 * K, ENCODED)], 256 * K, 8 * K, 248 * K),
        # Two pieces of one extent are one on the disk.
        ([(0, 64 * K, ENCODED), (0, 64 * K, ENCODED)], 128 * K, 4 * K, 124 * K),
        ([(0, 128 * K, ENCODED | SHARED)], 128 * K, 0, 124 * K),
        ([(0, 8 * K, ENCODED)], 8 * K, 4 * K, 4 * K),
        # Holes are in no extent and in no block.
        ([(0, 4 * K, 0), (1 << 20, 4 * K, 1)], 8 * K, 8 * K, 8 * K),
        # More than there is of it: fewer blocks than extents say.
        ([(0, 64 * K, SHARED)], 4 * K, 0, 64 * K),
    ],
)
def test_extents_give_bounds(extents: list[tuple[int, int, int]], blocks: int, sure: int, most: int) -> None:
    assert weigh([Extent(*each) for each in extents], blocks) == Allocation(sure, most)


def dqblk(hard: int, soft: int, used: int, valid: int = 63) -> bytes:
    return struct.pack("=8QI4x", hard, soft, used, 0, 0, 7, 0, 0, valid)


@pytest.mark.parametrize(
    ("answer", "quota"),
    [
        (dqblk(2048, 0, 5000), Quota(Bytes(2 * MIB), Bytes(5000))),
        (dqblk(2048, 1024, 5000), Quota(Bytes(MIB), Bytes(5000))),
        (dqblk(0, 1024, 0), Quota(Bytes(MIB), Bytes(0))),
        (dqblk(0, 0, 5000), None),
        (dqblk(2048, 0, 5000, valid=2), None),
        (dqblk(2048, 0, 5000, valid=1), None),
    ],
)
def test_the_lower_limit_of_a_quota_counts_and_none_is_none(answer: bytes, quota: Quota | None) -> None:
    assert parse(answer) == quota


def test_over_its_limit_nothing_is_left_of_a_quota() -> None:
    assert Quota(Bytes(10), Bytes(15)).free == 0


def bounded(path: str, sure: int, maybe: int, used: int = 50) -> Entry:
    return replace(entry(path, frees=sure, size=sure + maybe, used=used * makers.DAY), maybe=Bytes(maybe))


def test_a_plan_stops_where_the_upper_bounds_might_do() -> None:
    ten = cache(*(bounded(f"e{n}", MIB, 9 * MIB, used=60 - n) for n in range(10)))
    decided = plan(
        snapshot(ten, free=100 * MIB), policy(free_space=marks(130 * MIB), order=Order.LEAST_RECENTLY_USED)
    )
    assert gone(decided) == ["e0", "e1", "e2"], "30 MiB at most; the disk is asked before more goes"
    (action,) = decided.actions
    assert isinstance(action, Purge)
    assert (action.frees, action.maybe) == (3 * MIB, 27 * MIB)


def test_what_others_share_whole_is_not_taken_for_its_bytes() -> None:
    seen = cache(bounded("shared", 0, 9 * MIB, used=90), entry("own"))
    decided = plan(
        snapshot(seen, free=100 * MIB), policy(free_space=marks(101 * MIB), order=Order.LEAST_RECENTLY_USED)
    )
    assert gone(decided) == ["own"]
    assert "share its bytes" in reasons(decided)["/home/ann/.cache/pip/shared"]


def test_what_others_share_leaves_its_cache_all_the_same() -> None:
    seen = cache(bounded("shared", 0, 9 * MIB, used=90), entry("own"))
    assert gone(plan(snapshot(seen), policy(size=marks(5 * MIB), order=Order.LEAST_RECENTLY_USED))) == ["shared"]


def test_what_a_process_has_open_is_not_counted_and_not_taken_for_its_bytes() -> None:
    opened = replace(entry("open", frees=0, size=9 * MIB, used=90 * makers.DAY), held_open=Bytes(9 * MIB))
    decided = plan(
        snapshot(cache(opened, entry("own")), free=100 * MIB),
        policy(free_space=marks(101 * MIB), order=Order.LEAST_RECENTLY_USED),
    )
    assert gone(decided) == ["own"]
    assert "has it open" in reasons(decided)["/home/ann/.cache/pip/open"]
    (action,) = plan(snapshot(cache(opened, entry("own"))), policy()).actions
    assert isinstance(action, Purge)
    assert (action.frees, action.held_open) == (MIB, 9 * MIB)


@pytest.mark.parametrize("order", list(Order))
def test_an_inode_of_two_entries_counts_once_and_neither_too_little_nor_too_much_goes(order: Order) -> None:
    both = share(9, needed=2, held=1, frees=10 * MIB)
    pair = [entry(name, frees=0, size=10 * MIB, shares=(both,), inode=n) for n, name in enumerate("ab", 1)]
    others = [entry(f"c{n}", frees=MIB, used=10 * makers.DAY, inode=20 + n) for n in range(30)]
    decided = plan(snapshot(cache(*pair, *others), free=0), policy(free_space=marks(12 * MIB), order=order))
    (action,) = decided.actions
    assert isinstance(action, Purge)
    taken = {chosen.entry.path for chosen in action.entries}
    assert taken.isdisjoint({"a", "b"}) or taken >= {"a", "b"}, "one without the other frees nothing of it"
    expected = sum(MIB for path in taken if path.startswith("c")) + (10 * MIB if "a" in taken else 0)
    assert action.frees == expected
    assert 12 * MIB <= action.frees < 12 * MIB + 10 * MIB
    assert sum(chosen.adds for chosen in action.entries) == action.frees


def test_a_shared_inode_with_bounds_counts_once_in_both() -> None:
    both = replace(share(9, needed=2, held=1, frees=MIB), maybe=Bytes(4 * MIB))
    one, two = (entry(name, frees=0, size=5 * MIB, inodes=0, shares=(both,)) for name in "ab")
    seen = cache(one, two, size=5 * MIB)
    ledger = Ledger(snapshot(seen, free=0))
    assert ledger.take(seen, one) == (0, 0, 0, 0)
    change = ledger.take(seen, two)
    assert change == (MIB, 1, 5 * MIB, 4 * MIB)
    assert ledger.size == {(1000, seen.cache.path): 0}
    assert ledger.free[1] == 5 * MIB
    ledger.put_back(seen, two, change)
    assert ledger.free[1] == 0


def of_quota(start: int | str, stop: int | str | None = None) -> Policy:
    return replace(
        policy(free_space=marks(start, stop), order=Order.LEAST_RECENTLY_USED), free_space_of=SpaceOf.QUOTA
    )


def with_quota(measured: MeasuredCache, limit: int, used: int) -> MeasuredCache:
    return replace(measured, quota=Quota(Bytes(limit), Bytes(used)))


def downloads(count: int = 10) -> MeasuredCache:
    return cache(*(entry(f"d{n}", used=(60 - n) * makers.DAY) for n in range(count)))


def test_a_quota_is_a_trigger_of_its_own_on_a_disk_with_room() -> None:
    seen = with_quota(downloads(), 100 * MIB, 95 * MIB)
    decided = plan(snapshot(seen), of_quota(6 * MIB, 8 * MIB))
    assert gone(decided) == ["d0", "d1", "d2"]
    assert standing(decided) == "triggered: 5 MiB left (5%) of ann's quota on /home, acts below 6 MiB"


def test_percent_are_of_the_quota() -> None:
    seen = with_quota(downloads(), 100 * MIB, 91 * MIB)
    assert gone(plan(snapshot(seen), of_quota("10%", "11%"))) == ["d0", "d1"]
    assert gone(plan(snapshot(with_quota(downloads(), 100 * MIB, 90 * MIB)), of_quota("10%"))) == []


def test_without_a_quota_the_policy_rests_and_says_why() -> None:
    decided = plan(snapshot(downloads(), free=0), of_quota(6 * MIB))
    assert gone(decided) == []
    assert standing(decided).startswith("satisfied: ann has no quota on /home")


def test_an_owner_within_the_quota_loses_nothing_for_another() -> None:
    bob = makers.owner("bob", uid=1001)
    hers = with_quota(downloads(), 100 * MIB, 98 * MIB)
    his = replace(hers, cache=replace(hers.cache, owner=bob, path="/home/bob/.cache/pip"))
    his = with_quota(his, 100 * MIB, 10 * MIB)
    decided = plan(snapshot(hers, his), of_quota(4 * MIB))
    assert [action.cache.owner.name for action in decided.actions] == ["ann"]
    assert gone(decided) == ["d0", "d1"]


def test_what_a_quota_still_lacks_is_said_with_whose_it_is() -> None:
    decided = plan(snapshot(with_quota(downloads(2), 100 * MIB, 100 * MIB)), of_quota(6 * MIB))
    (short,) = decided.shortfalls
    assert (short.place, short.lacks) == ("ann's quota on /home", 4 * MIB)


def opened(path: str, *, links: int = 1, blocks: int = 2048, inode: int = 5) -> Opened:
    status = os.stat_result((0o100644, inode, 1, links, 1000, 1000, blocks * 512, 0, 0, 0), {"st_blocks": blocks})
    return Opened(path, status, 4711, "python3")


def test_only_what_is_open_below_an_entry_with_its_only_name_comes_back_later() -> None:
    tree = replace(entry("pkg", frees=9 * MIB), tree=True)
    pair = replace(entry("x/a", frees=3 * MIB), parts=("a.body",))
    seen = cache(tree, pair, entry("b"))
    root = seen.cache.path
    found = without_opened(
        seen,
        (
            opened(f"{root}/pkg/lib/x.so"), opened(f"{root}/pkg/lib/x.so"), opened(f"{root}/x/a.body", inode=6),
            opened(f"{root}/b", links=2, inode=7), opened("/elsewhere/b", inode=8), opened(f"{root}/pkgs", inode=9),
        ),
    )  # fmt: skip
    assert [(each.path, each.frees, each.held_open) for each in found.entries] == [
        ("pkg", 8 * MIB, MIB), ("x/a", 2 * MIB, MIB), ("b", MIB, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("size", "maybe", "shown"),
    [
        (0, 0, "0 B"),
        (100 * MIB, MIB, "100 MiB"),
        (100 * MIB, 2 * MIB, "100 MiB to 102 MiB"),
        (0, MIB, "0 B to 1 MiB"),
    ],
)
def test_bounds_are_shown_where_they_differ_by_more_than_one_in_a_hundred(size: int, maybe: int, shown: str) -> None:
    assert words.between(size, maybe) == shown
