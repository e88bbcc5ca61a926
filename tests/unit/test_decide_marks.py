"""When a policy starts, when it stops, and what is said when it cannot get there."""

from dataclasses import replace

import pytest

from cachewarden.model.caches import Entry, Kind
from cachewarden.model.plans import Shortfall
from cachewarden.model.policies import ActionKind, Order, Policy
from cachewarden.model.units import Bytes, Inodes
from makers import (
    MIB,
    cache,
    entry,
    filesystem,
    gone,
    marks,
    owner,
    plan,
    policy,
    purges,
    reasons,
    share,
    snapshot,
    standing,
)

TEN = tuple(entry(f"{number:02}", frees=10 * MIB) for number in range(10))
TEN_TO_FIFTEEN = policy(free_space=marks("10%", "15%"))
HUNDRED, HUNDRED_FIFTY = 100 * MIB, 150 * MIB


# Free space


@pytest.mark.parametrize(
    ("free", "engaged", "count"),
    [
        pytest.param(HUNDRED, False, 0, id="at the start mark nothing happens"),
        pytest.param(HUNDRED - 1, False, 6, id="one byte below it all goes that until wants"),
        pytest.param(95 * MIB, False, 6, id="five and a half entries are six"),
        pytest.param(120 * MIB, False, 0, id="between the marks nothing starts"),
        pytest.param(120 * MIB, True, 3, id="between the marks what was begun goes on to until"),
        pytest.param(HUNDRED_FIFTY, True, 0, id="at until it stops"),
        pytest.param(0, False, 10, id="when all is not enough all goes"),
    ],
)
def test_free_space_is_kept_between_two_marks(free: int, engaged: bool, count: int) -> None:
    seen = snapshot(cache(*TEN), free=free, engaged=["keep-free@/home"] if engaged else [])
    assert len(gone(plan(seen, TEN_TO_FIFTEEN))) == count


def test_without_until_it_stops_where_it_starts() -> None:
    assert len(gone(plan(snapshot(cache(*TEN), free=80 * MIB), policy(free_space=marks("10%"))))) == 2


def test_marks_in_bytes_are_bytes() -> None:
    decided = plan(snapshot(cache(*TEN), free=10 * MIB), policy(free_space=marks(11 * MIB, 30 * MIB)))
    assert gone(decided) == ["00", "01"]


def test_an_until_that_comes_before_its_start_means_the_start() -> None:
    """A share and a size may stand in one pair, and which is further depends on the disk."""
    decided = plan(snapshot(cache(*TEN), free=80 * MIB), policy(free_space=marks("10%", 50 * MIB)))
    assert gone(decided) == ["00", "01"]
    capped = plan(snapshot(cache(*TEN)), policy(size=marks("5%", 70 * MIB)))
    assert gone(capped) == ["00", "01", "02", "03", "04"]


def test_what_was_begun_is_told_for_the_next_round() -> None:
    decided = plan(snapshot(cache(*TEN), free=0), TEN_TO_FIFTEEN)
    assert decided.engaged == {"keep-free@/home"}


def test_what_is_reached_is_no_longer_told_as_begun() -> None:
    decided = plan(snapshot(cache(*TEN), free=HUNDRED_FIFTY, engaged=["keep-free@/home"]), TEN_TO_FIFTEEN)
    assert decided.engaged == frozenset()


def test_each_filesystem_is_a_goal_of_its_own_with_all_the_caches_on_it() -> None:
    ann, bob = cache(entry("a", used=9)), cache(entry("b", used=8), path="/home/bob/p", of=owner("bob", uid=1001))
    usb = cache(entry("c"), path="/media/usb/p", device=2)
    full, other = filesystem(free=0), filesystem(mount="/media/usb", device=2)
    decided = plan(snapshot(ann, bob, usb, on=[full, other]), policy(free_space=marks(2 * MIB)))
    assert gone(decided) == ["a", "b"]
    assert [purge.cache.owner.name for purge in purges(decided)] == ["ann", "bob"]


def test_entries_of_two_caches_on_one_filesystem_go_in_one_order() -> None:
    ann = cache(entry("a1", used=10), entry("a2", used=30))
    bob = cache(entry("b1", used=20), entry("b2", used=40), path="/home/bob/p", of=owner("bob", uid=1001))
    decided = plan(snapshot(ann, bob, free=0), policy(free_space=marks(3 * MIB)))
    assert [[chosen.entry.path for chosen in purge.entries] for purge in purges(decided)] == [["b2", "b1"], ["a2"]]


def test_a_filesystem_that_does_not_tell_its_size_has_no_mark() -> None:
    seen = snapshot(cache(*TEN), on=[filesystem(total=0, free=0, inodes_total=0, inodes_free=0)])
    decided = plan(seen, policy(free_space=marks(MIB)))
    assert not decided.actions
    assert standing(decided) == "satisfied: /home does not tell its size"
    assert not plan(seen, policy(size=marks("1%"))).actions
    assert len(gone(plan(seen, policy(size=marks(50 * MIB))))) == 5


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(policy(free_space=marks("99%")), id="free space"),
        pytest.param(policy(free_inodes=marks("99%")), id="free inodes"),
        pytest.param(policy(size=marks("1%")), id="a size in percent"),
        pytest.param(policy(size=marks(MIB), free_space=marks("99%")), id="a size together with free space"),
    ],
)
def test_a_cache_whose_filesystem_was_not_measured_is_left_alone(rule: Policy) -> None:
    seen = snapshot(cache(*TEN, device=7))
    decided = plan(seen, rule)
    assert not decided.actions
    assert standing(decided) == "satisfied: no cache matches"
    assert reasons(decided) == {
        "/home/ann/.cache/pip": "the filesystem it is on was not measured, and keep-free has marks on it"
    }


def test_a_size_in_bytes_needs_no_filesystem() -> None:
    assert len(gone(plan(snapshot(cache(*TEN, device=7)), policy(size=marks(50 * MIB))))) == 5


def test_nothing_goes_on_a_filesystem_that_is_read_only_and_the_lack_is_said() -> None:
    decided = plan(snapshot(cache(entry("a")), on=[filesystem(free=0, read_only=True)]), TEN_TO_FIFTEEN)
    assert not decided.actions
    assert reasons(decided) == {"/home/ann/.cache/pip/a": "/home, the filesystem it is on, is mounted read-only"}
    assert decided.shortfall == HUNDRED_FIFTY


# Inodes


def test_an_inode_goal_counts_inodes() -> None:
    entries = [entry("a", inodes=0), entry("b", inodes=3), entry("c", inodes=2), entry("d", inodes=2)]
    seen = snapshot(cache(*entries), on=[filesystem(inodes_free=0, inodes_total=100)])
    decided = plan(seen, policy(free_inodes=marks("5%")))
    assert gone(decided) == ["b", "c"]
    assert purges(decided)[0].frees_inodes == 5
    assert reasons(decided)["/home/ann/.cache/pip/a"] == "removing it frees nothing"


def test_an_inode_goal_that_cannot_be_reached_says_the_inodes() -> None:
    seen = snapshot(cache(entry("a")), on=[filesystem(inodes_free=0, inodes_total=100)])
    assert plan(seen, policy(free_inodes=marks(5))).shortfalls == (
        Shortfall("keep-free", "/home", Bytes(0), Inodes(4)),
    )


def test_a_filesystem_that_makes_inodes_on_demand_never_lacks_any() -> None:
    seen = snapshot(cache(entry("a")), on=[filesystem(inodes_free=0, inodes_total=0)])
    decided = plan(seen, policy(free_inodes=marks(5)))
    assert not decided.actions
    assert standing(decided) == "satisfied: /home makes inodes on demand"


# Caps


def test_a_cap_holds_for_each_cache_by_itself() -> None:
    large = cache(*TEN)
    small = cache(*TEN[:3], path="/home/bob/p", of=owner("bob", uid=1001))
    decided = plan(snapshot(large, small), policy(size=marks(50 * MIB, 35 * MIB)))
    assert [(purge.cache.owner.name, len(purge.entries)) for purge in purges(decided)] == [("ann", 7)]


def test_a_cap_at_its_mark_is_kept() -> None:
    assert not plan(snapshot(cache(*TEN)), policy(size=marks(100 * MIB))).actions


def test_a_cap_in_percent_is_of_the_filesystem() -> None:
    assert len(gone(plan(snapshot(cache(*TEN)), policy(size=marks("5%", "2%"))))) == 8


def test_a_cap_counts_what_leaves_the_cache_even_when_it_is_not_freed() -> None:
    linked = [entry(name, frees=0, size=10 * MIB, shares=(share(ord(name), frees=10 * MIB),)) for name in "abc"]
    decided = plan(snapshot(cache(*linked)), policy(size=marks(10 * MIB)))
    assert gone(decided) == ["a", "b"]
    assert purges(decided)[0].frees == 0
    assert not decided.shortfalls


def test_a_begun_cap_goes_on_to_until() -> None:
    engaged = ["keep-free@/home/ann/.cache/pip"]
    decided = plan(snapshot(cache(*TEN), engaged=engaged), policy(size=marks(200 * MIB, 50 * MIB)))
    assert len(gone(decided)) == 5


# Several conditions


@pytest.mark.parametrize(
    ("free", "size", "inodes", "acts"),
    [(0, 100, 0, True), (500, 100, 0, False), (0, 40, 0, False), (0, 100, 5000, False)],
)
def test_all_conditions_must_hold(free: int, size: int, inodes: int, acts: bool) -> None:
    rule = policy(size=marks(50 * MIB), free_space=marks("10%"), free_inodes=marks("10%"))
    seen = snapshot(cache(*TEN, size=size * MIB), on=[filesystem(free=free * MIB, inodes_free=inodes)])
    assert bool(plan(seen, rule).actions) == acts


def test_the_first_condition_that_is_met_ends_it() -> None:
    rule = policy(size=marks(90 * MIB, 10 * MIB), free_space=marks("10%"))
    assert len(gone(plan(snapshot(cache(*TEN), free=70 * MIB), rule))) == 3


def test_of_several_conditions_the_nearest_marks_are_lacking() -> None:
    rule = policy(size=marks(50 * MIB, 5 * MIB), free_space=marks("10%"), free_inodes=marks("10%"))
    seen = snapshot(cache(entry("a"), size=100 * MIB), on=[filesystem(free=0, inodes_free=0)])
    assert plan(seen, rule).shortfalls == (
        Shortfall("keep-free", "/home/ann/.cache/pip", Bytes(94 * MIB), Inodes(999)),
    )


# Shortfalls


def test_a_shortfall_says_what_is_lacking_to_until() -> None:
    decided = plan(snapshot(cache(*TEN), free=10 * MIB), TEN_TO_FIFTEEN)
    assert decided.shortfalls == (Shortfall("keep-free", "/home", Bytes(40 * MIB), Inodes(0)),)


def test_of_two_shortfalls_of_one_place_the_worse_counts() -> None:
    rules = [policy("a", free_space=marks("20%")), policy("b", free_space=marks("30%"))]
    assert plan(snapshot(cache(*TEN), free=0), *rules).shortfall == 200 * MIB


def test_shortfalls_of_different_places_add_up() -> None:
    disks = [filesystem(free=0), filesystem(mount="/srv", device=2, free=0)]
    caches = [cache(TEN[0]), cache(TEN[0], path="/srv/p", device=2)]
    assert plan(snapshot(*caches, on=disks), policy(free_space=marks("10%"))).shortfall == 180 * MIB


def test_what_a_later_policy_makes_good_is_no_shortfall() -> None:
    rules = [policy("index-only", kinds=[Kind.INDEX], free_space=marks("5%")), policy(free_space=marks("5%"))]
    decided = plan(snapshot(cache(*TEN), free=0), *rules)
    assert len(gone(decided)) == 5
    assert not decided.shortfalls


def test_a_report_promises_nothing() -> None:
    decided = plan(snapshot(cache(*TEN), free=0), policy(action=ActionKind.REPORT, free_space=marks("50%")))
    assert (decided.shortfalls, decided.actions, decided.engaged) == ((), (), frozenset())


# Shared inodes


def test_entries_that_free_nothing_are_passed_over() -> None:
    entries = [entry("a", frees=0, size=MIB), entry("b")]
    rule = policy(free_space=marks(MIB), order=Order.LEAST_RECENTLY_USED)
    decided = plan(snapshot(cache(*entries), free=0), rule)
    assert gone(decided) == ["b"]
    assert reasons(decided) == {"/home/ann/.cache/pip/a": "removing it frees nothing"}
    assert gone(plan(snapshot(cache(*entries), free=0), policy(free_space=marks(MIB)))) == ["b"]


def test_two_names_of_one_file_go_together_and_count_once() -> None:
    entries = [entry(name, frees=0, size=MIB, inodes=0, shares=(share(7),)) for name in "ab"]
    decided = plan(snapshot(cache(*entries), free=0), policy(free_space=marks(MIB)))
    assert gone(decided) == ["a", "b"]
    assert (purges(decided)[0].frees, purges(decided)[0].frees_inodes) == (MIB, 1)
    assert [chosen.adds for chosen in purges(decided)[0].entries] == [0, MIB]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((), id="outside of the cache"),
        pytest.param((entry("b", frees=0, shares=(share(7),), hold="in use"),), id="in an entry that is held"),
    ],
)
def test_a_file_with_a_name_that_stays_is_not_removed_for_nothing(other: tuple[Entry, ...]) -> None:
    shared = entry("a", frees=0, size=MIB, inodes=0, shares=(share(7),))
    decided = plan(snapshot(cache(shared, *other), free=0), policy(free_space=marks(MIB)))
    assert not decided.actions
    assert reasons(decided)["/home/ann/.cache/pip/a"] == "removing it frees nothing"
    assert decided.shortfall == MIB


def test_a_name_whose_other_is_never_reached_is_put_back() -> None:
    entries = [
        entry("a", frees=0, size=MIB, inodes=0, shares=(share(7),), used=3),
        entry("b", used=2),
        entry("c", frees=0, size=MIB, inodes=0, shares=(share(7),), used=1),
    ]
    assert gone(plan(snapshot(cache(*entries), free=0), policy(free_space=marks(MIB)))) == ["b"]


def test_caches_that_share_files_each_say_what_they_free_in_the_order_of_doing() -> None:
    first = cache(entry("a", used=3), entry("c", used=1, frees=0, inodes=0, shares=(share(7),)))
    second = cache(entry("b", used=2, frees=0, inodes=0, shares=(share(7),)), path="/home/ann/x")
    decided = plan(snapshot(first, second, free=0), policy(free_space=marks(2 * MIB)))
    assert [(purge.cache.path, purge.frees) for purge in purges(decided)] == [
        ("/home/ann/.cache/pip", MIB),
        ("/home/ann/x", MIB),
    ]


# Words


def test_free_space_in_words() -> None:
    rule = policy(free_space=marks("10%", "15%"))
    seen = cache(entry("a", frees=300 * MIB))
    full = plan(snapshot(seen, free=80 * MIB), rule)
    assert standing(full) == "triggered: free space 80 MiB (8%) of /home, acts below 10%"
    assert purges(full)[0].reason == "free space 80 MiB (8%) of /home, acts below 10%"
    assert standing(plan(snapshot(seen, free=120 * MIB), rule)) == (
        "satisfied: free space 120 MiB (12%) of /home, acts below 10%"
    )
    assert standing(plan(snapshot(seen, free=120 * MIB, engaged=["keep-free@/home"]), rule)) == (
        "triggered: free space 120 MiB (12%) of /home, goes on until 15%"
    )
    assert standing(plan(snapshot(seen, free=100 * MIB - 1), rule)) == (
        "triggered: free space 100 MiB (9.9%) of /home, acts below 10%"
    )
    assert standing(plan(snapshot(seen), policy(free_space=marks(3 * MIB)))) == (
        "satisfied: free space 500 MiB (50%) of /home, acts below 3 MiB"
    )


def test_inodes_in_words() -> None:
    rule = policy(free_inodes=marks("5%", "60%"))
    assert standing(plan(snapshot(cache(entry())), rule)) == (
        "satisfied: 5,000 free inodes (50%) of /home, acts below 5%"
    )
    assert standing(plan(snapshot(cache(entry()), engaged=["keep-free@/home"]), rule)) == (
        "triggered: 5,000 free inodes (50%) of /home, goes on until 60%"
    )


def test_caps_in_words() -> None:
    rule = policy(size=marks(200 * MIB, 50 * MIB))
    assert standing(plan(snapshot(cache(*TEN)), rule)) == (
        "satisfied: /home/ann/.cache/pip holds 100 MiB, acts above 200 MiB"
    )
    assert standing(plan(snapshot(cache(*TEN), engaged=["keep-free@/home/ann/.cache/pip"]), rule)) == (
        "triggered: /home/ann/.cache/pip holds 100 MiB, goes on until 50 MiB"
    )
    unknown = snapshot(cache(*TEN), on=[filesystem(total=0)])
    assert standing(plan(unknown, policy(size=marks("5%")))) == (
        "satisfied: the filesystem of /home/ann/.cache/pip does not tell its size"
    )


def test_several_conditions_in_words() -> None:
    rule = policy(size=marks(50 * MIB), free_space=marks("10%"))
    assert standing(plan(snapshot(cache(*TEN)), rule)) == (
        "satisfied: /home/ann/.cache/pip holds 100 MiB, acts above 50 MiB"
        " and free space 500 MiB (50%) of /home, acts below 10%"
    )


def test_of_many_places_at_rest_the_nearest_are_told() -> None:
    caches = [
        cache(entry("a", frees=size * MIB), path=f"/home/u{size}/p", of=owner(f"u{size}", uid=size))
        for size in (1, 5, 2, 4, 3)
    ]
    assert standing(plan(snapshot(*caches), policy(size=marks(9 * MIB)))) == (
        "satisfied: /home/u5/p holds 5 MiB, acts above 9 MiB; /home/u4/p holds 4 MiB, acts above 9 MiB; "
        "/home/u3/p holds 3 MiB, acts above 9 MiB; and 2 more"
    )


def test_by_hand_it_stops_when_that_much_is_freed() -> None:
    decided = plan(snapshot(cache(*TEN)), policy("by-hand", to_free=25 * MIB))
    assert len(gone(decided)) == 3
    assert standing(decided) == "triggered: 25 MiB to be freed"
    assert plan(snapshot(cache(*TEN)), policy("by-hand", to_free=125 * MIB)).shortfall == 25 * MIB


def test_a_cache_that_is_mounted_read_only_stays_and_others_of_the_disk_go() -> None:
    """As in a sandbox: one disk, mounted writable in one place and read-only in another."""
    shut = replace(cache(entry("a"), path="/data/pip"), read_only=True)
    decided = plan(snapshot(shut, cache(entry("b")), free=0), TEN_TO_FIFTEEN)
    assert [action.cache.path for action in decided.actions] == ["/home/ann/.cache/pip"]
    assert [(skip.path, skip.reason) for skip in decided.skips] == [("/data/pip/a", "it is mounted read-only")]
