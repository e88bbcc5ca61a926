"""Policies one after the other, relocations, reports, schedules, and what was tried in vain."""

from dataclasses import replace

import pytest

from cachewarden.decide.planner import LEFTOVERS, fingerprints
from cachewarden.model.caches import Kind, MeasuredCache, Snapshot
from cachewarden.model.plans import Plan, Purge, Relocate
from cachewarden.model.policies import ActionKind, Match, Policy
from cachewarden.model.relocations import Heading, Method, Phase, Presence, RelocationSeen
from makers import (
    DAY,
    HOUR,
    MIB,
    NOW,
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

PATH = "/home/ann/.cache/pip"
IN_VAIN = "could free nothing last time, and nothing has changed since"
TEN = tuple(entry(f"{number:02}", frees=10 * MIB) for number in range(10))


def by_policy(decided: Plan) -> dict[str, list[str]]:
    """The entries that each policy purges."""
    found: dict[str, list[str]] = {}
    for purge in purges(decided):
        found.setdefault(purge.policy, []).extend(chosen.entry.path for chosen in purge.entries)
    return found


# Policies in order


def test_each_policy_sees_what_those_before_it_will_have_freed() -> None:
    rules = [policy("first", free_space=marks("5%")), policy("second", free_space=marks("8%"))]
    assert by_policy(plan(snapshot(cache(*TEN), free=0), *rules)) == {
        "first": ["00", "01", "02", "03", "04"],
        "second": ["05", "06", "07"],
    }


def test_a_cap_sees_what_was_freed_for_the_disk() -> None:
    rules = [policy("disk", free_space=marks("5%")), policy("cap", size=marks(60 * MIB))]
    assert by_policy(plan(snapshot(cache(*TEN), free=0), *rules)) == {"disk": ["00", "01", "02", "03", "04"]}


def test_an_earlier_reason_to_stay_is_no_reason_for_a_later_policy() -> None:
    rules = [policy("old", unused_for=60 * DAY), policy("all")]
    decided = plan(snapshot(cache(entry("a", used=30 * DAY))), *rules)
    assert by_policy(decided) == {"all": ["a"]}
    assert not decided.skips


def test_the_first_reason_to_stay_is_told() -> None:
    rules = [policy("old", unused_for=60 * DAY), policy("older", unused_for=90 * DAY)]
    decided = plan(snapshot(cache(entry("a", used=DAY))), *rules)
    assert reasons(decided) == {f"{PATH}/a": "last used 1d ago, the policy waits for 60d"}


def test_an_entry_that_is_told_twice_goes_once() -> None:
    """A worker's answer is not to be relied upon."""
    twice = cache(entry("a", leftover=True), entry("a", leftover=True), entry("b"), entry("b"))
    assert gone(plan(snapshot(twice, twice), policy())) == ["a", "b"]


def test_without_policies_nothing_goes() -> None:
    assert plan(snapshot(cache(*TEN), free=0)) == Plan()


# Leftovers


def test_what_an_interruption_left_goes_before_any_policy_and_counts() -> None:
    trash = entry("trash", leftover=True, frees=50 * MIB, written=0)
    rule = policy(free_space=marks("5%"))
    decided = plan(snapshot(cache(*TEN, trash), free=0), rule, newer_than=HOUR, packages=("*",))
    assert by_policy(decided) == {LEFTOVERS: ["trash"]}
    assert purges(decided)[0].reason == "left over from an interrupted removal"


def test_what_an_interruption_left_counts_for_what_is_asked_by_hand() -> None:
    trash = entry("trash", leftover=True, frees=50 * MIB)
    assert len(gone(plan(snapshot(cache(*TEN, trash)), policy(to_free=70 * MIB)))) == 3


def test_leftovers_that_are_held_stay() -> None:
    decided = plan(snapshot(cache(entry("trash", leftover=True, hold="open in process 7"))), policy())
    assert not decided.actions
    assert reasons(decided) == {f"{PATH}/trash": "open in process 7"}


def test_leftovers_on_a_read_only_filesystem_wait() -> None:
    seen = snapshot(cache(entry("trash", leftover=True)), on=[filesystem(read_only=True)])
    assert not plan(seen).actions


def test_leftovers_that_could_not_be_removed_are_not_tried_again() -> None:
    seen = cache(entry("trash", leftover=True))
    tried = fingerprints(plan(snapshot(seen)), snapshot(seen))
    again = plan(snapshot(seen, fruitless=tried))
    assert not again.actions
    assert reasons(again) == {LEFTOVERS: IN_VAIN}


# Schedules


def test_a_policy_waits_for_its_schedule() -> None:
    rule = policy(schedule="0 4 * * sun")
    decided = plan(snapshot(cache(entry("a"))), rule)
    assert not decided.actions
    assert standing(decided) == "waiting: waits for its schedule, 0 4 * * sun"


def test_a_policy_acts_when_it_is_due() -> None:
    decided = plan(snapshot(cache(entry("a")), due=["keep-free"]), policy(schedule="0 4 * * sun"))
    assert gone(decided) == ["a"]


# Without marks


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (policy(), "triggered: all entries go: 2 of them, 2 MiB; 1 must stay"),
        (policy(kinds=[Kind.DEBRIS]), "satisfied: all entries of kind debris go: there are none"),
        (
            policy(kinds=[Kind.DOWNLOAD, Kind.INDEX], unused_for=60 * DAY),
            "satisfied: all entries of kind index or download unused for 60d go: none may go; 3 must stay",
        ),
        (policy(packages=("numpy",)), "triggered: all entries of numpy go: 2 of them, 2 MiB; 1 must stay"),
        (policy(match=Match(owners=("bob",))), "satisfied: no cache matches"),
        (
            policy(action=ActionKind.REPORT, kinds=[Kind.DOWNLOAD]),
            "triggered: all entries of kind download: 2 of them, 2 MiB; 1 must stay",
        ),
        (policy(action=ActionKind.REPORT, kinds=[Kind.LOG]), "satisfied: all entries of kind log: there are none"),
    ],
)
def test_without_marks_a_policy_says_what_it_is_about(rule: Policy, words: str) -> None:
    seen = snapshot(cache(entry("a"), entry("b"), entry("c", hold="in use")))
    assert standing(plan(seen, rule)) == words


def test_without_marks_the_reason_of_a_purge_is_its_sort() -> None:
    decided = plan(snapshot(cache(entry("a", kind=Kind.DEBRIS))), policy(kinds=[Kind.DEBRIS]))
    assert purges(decided)[0].reason == "all entries of kind debris go"
    assert not decided.engaged


# Reports


def test_a_report_only_says_so() -> None:
    decided = plan(snapshot(cache(*TEN), free=0), policy(action=ActionKind.REPORT, free_space=marks("10%")))
    assert (decided.actions, decided.skips) == ((), ())
    assert standing(decided) == "triggered: free space 0 B (0%) of /home, acts below 10%"


def test_a_report_whose_mark_is_not_crossed_rests() -> None:
    decided = plan(snapshot(cache(*TEN)), policy(action=ActionKind.REPORT, free_space=marks("10%")))
    assert standing(decided) == "satisfied: free space 500 MiB (50%) of /home, acts below 10%"


# Relocations


def moving(to: str = "/media/usb/{owner}/{ecosystem}", **marks_: object) -> Policy:
    return policy("move", action=ActionKind.RELOCATE, to=to, **marks_)  # type: ignore[arg-type]


def moves(decided: Plan) -> list[tuple[str, str]]:
    """Who is moved where."""
    return [(each.cache.path, each.to) for each in decided.actions if isinstance(each, Relocate)]


def test_placeholders_are_filled_in() -> None:
    assert moves(plan(snapshot(cache(entry("a"))), moving("/m/{owner}/{ecosystem}/{owner}/"))) == [
        (PATH, "/m/ann/pip/ann")
    ]


def test_a_name_that_looks_like_a_placeholder_is_just_a_name() -> None:
    odd = cache(entry("a"), path="/home/x/p", of=owner("{ecosystem}"))
    assert moves(plan(snapshot(odd), moving())) == [("/home/x/p", "/media/usb/{ecosystem}/pip")]


@pytest.mark.parametrize("name", ["", ".", "..", "../../etc", "a/b", "a\0b"])
def test_an_owners_name_cannot_lead_elsewhere(name: str) -> None:
    decided = plan(snapshot(cache(entry("a"), path="/home/x/p", of=owner(name))), moving())
    assert not decided.actions
    assert reasons(decided) == {"/home/x/p": f"its owner's name {name!r} cannot be part of a path"}
    assert standing(decided) == "satisfied: none of its caches can be moved"


def test_a_name_that_is_not_used_does_not_matter() -> None:
    odd = cache(entry("a"), path="/home/x/p", of=owner("a/b"))
    assert moves(plan(snapshot(odd), moving("/media/usb/{ecosystem}"))) == [("/home/x/p", "/media/usb/pip")]


@pytest.mark.parametrize("path", ["/media/usb/ann/pip", "/media/usb/ann/pip/cache"])
def test_a_cache_at_its_destination_stays_there_and_lacks_nothing(path: str) -> None:
    seen = snapshot(cache(entry("a"), path=path), free=0)
    decided = plan(seen, moving(free_space=marks("20%")))
    assert not decided.actions
    assert reasons(decided) == {path: "it is at its destination already"}
    assert standing(decided) == "satisfied: no cache matches"
    assert not decided.shortfalls


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        (f"{PATH}/new", f"its destination {PATH}/new lies within it"),
        ("/srv/pkgs", "its destination /srv/pkgs is taken: /srv/pkgs is, or will be, another cache"),
        ("/srv", "its destination /srv is taken: /srv/pkgs is, or will be, another cache"),
        ("/srv/pkgs/x", "its destination /srv/pkgs/x is taken: /srv/pkgs is, or will be, another cache"),
    ],
)
def test_caches_are_never_mixed_up(to: str, reason: str) -> None:
    other = cache(path="/srv/pkgs", ecosystem="conda", of=owner("root", uid=0))
    decided = plan(
        snapshot(cache(entry("a")), other), policy(action=ActionKind.RELOCATE, to=to, match=Match(("pip",)))
    )
    assert not decided.actions
    assert reasons(decided) == {PATH: reason}


def begun(old: str, new: str, of: str = "ann", ecosystem: str = "conda") -> RelocationSeen:
    return RelocationSeen(
        "1", ecosystem, of, old, new, Method.CONFIG, Phase.COPYING, Heading.OUT, Presence.HERE, NOW
    )  # fmt: skip


@pytest.mark.parametrize(
    "to", ["/media/usb/c", "/media/usb/c/pip", "/media/usb", "/home/ann/pkgs", "/home/ann/pkgs/x"]
)
@pytest.mark.parametrize("of", ["ann", "root"])
def test_no_cache_goes_to_a_place_of_a_move_that_was_begun_or_into_it_or_around_it(to: str, of: str) -> None:
    other = begun("/home/ann/pkgs", "/media/usb/c", of)
    taken = other.old if to.startswith(other.old) else other.new
    seen = replace(snapshot(cache(entry("a"))), relocations=(other,))
    decided = plan(seen, policy(action=ActionKind.RELOCATE, to=to))
    assert not decided.actions
    why = f"its destination {to} is taken: {taken} belongs to the move of {other.old} to {other.new}"
    assert reasons(decided) == {PATH: why}


def test_what_another_users_journal_says_keeps_nobody_from_a_disk() -> None:
    claims = begun("/home/bob/pkgs", "/media/usb", "bob")
    seen = replace(snapshot(cache(entry("a"))), relocations=(claims,))
    assert moves(plan(seen, moving())) == [(PATH, "/media/usb/ann/pip")]


def test_a_move_of_the_cache_itself_does_not_keep_it_from_its_own_destination() -> None:
    away = begun(PATH, "/media/usb/ann/pip", ecosystem="pip")
    seen = replace(snapshot(cache(entry("a"))), relocations=(away,))
    assert moves(plan(seen, moving())) == [(PATH, "/media/usb/ann/pip")]


def test_of_two_caches_with_one_destination_only_one_moves() -> None:
    bob = cache(entry("b"), path="/home/bob/p", of=owner("bob", uid=1001))
    decided = plan(snapshot(cache(entry("a"), entry("c")), bob), moving("/media/usb/{ecosystem}"))
    assert moves(decided) == [(PATH, "/media/usb/pip")]
    assert "is taken" in reasons(decided)["/home/bob/p"]


def test_no_more_caches_move_than_the_mark_wants_the_largest_first() -> None:
    small = cache(TEN[0], path="/home/ann/small")
    decided = plan(snapshot(small, cache(*TEN), free=50 * MIB), moving("/m{owner}", free_space=marks("10%")))
    assert moves(decided) == [(PATH, "/mann")]
    assert decided.actions[0].frees == 100 * MIB
    assert decided.engaged == {"move@/home"}


def test_what_moves_is_not_purged_and_what_it_frees_counts() -> None:
    rules = [moving(free_space=marks("10%")), policy("disk", free_space=marks("10%")), policy("all")]
    decided = plan(snapshot(cache(*TEN), free=0), *rules)
    assert moves(decided) == [(PATH, "/media/usb/ann/pip")]
    assert not purges(decided)


def test_what_was_purged_before_is_not_counted_again_when_its_cache_moves() -> None:
    rules = [policy("half", size=marks(50 * MIB)), moving()]
    assert [action.frees for action in plan(snapshot(cache(*TEN)), *rules).actions] == [50 * MIB, 50 * MIB]


def test_a_cache_moves_once() -> None:
    decided = plan(snapshot(cache(entry("a"))), moving("/one"), moving("/two"))
    assert moves(decided) == [(PATH, "/one")]
    assert reasons(decided) == {PATH: "another policy moves it already"}


def test_a_move_that_is_not_enough_says_the_shortfall() -> None:
    assert plan(snapshot(cache(*TEN), free=0), moving(free_space=marks("20%"))).shortfall == 100 * MIB


def test_a_cache_on_a_read_only_filesystem_does_not_move() -> None:
    decided = plan(snapshot(cache(entry("a")), on=[filesystem(read_only=True)]), moving())
    assert not decided.actions
    assert reasons(decided) == {PATH: "/home, the filesystem it is on, is mounted read-only"}


def test_moves_in_words() -> None:
    assert standing(plan(snapshot(cache(entry("a"))), moving("/usb"))) == (
        "triggered: every cache that matches belongs in /usb"
    )
    assert standing(plan(snapshot(cache(entry("a"))), moving(free_space=marks("20%")))) == (
        "satisfied: free space 500 MiB (50%) of /home, acts below 20%"
    )


# In vain


def tried(rules: list[Policy], *caches: MeasuredCache, before: Snapshot | None = None) -> dict[str, str]:
    """What is remembered when all that is planned frees nothing."""
    seen = before or snapshot(*caches, free=0)
    return fingerprints(plan(seen, *rules), seen)


def test_what_freed_nothing_is_not_tried_again_and_the_lack_is_said() -> None:
    rule = policy(free_space=marks("10%"))
    seen = cache(*TEN)
    decided = plan(snapshot(seen, free=0, fruitless=tried([rule], seen)), rule)
    assert not decided.actions
    assert reasons(decided)["keep-free"] == IN_VAIN
    assert reasons(decided)[f"{PATH}/00"] == f"it {IN_VAIN}"
    assert decided.shortfall == 100 * MIB
    assert standing(decided).startswith("triggered: free space 0 B")


def test_what_freed_nothing_on_two_filesystems_is_known_as_one() -> None:
    rule = policy(free_space=marks("1%"))
    disks = [filesystem(free=0), filesystem(mount="/srv", device=2, free=0)]
    caches = [cache(TEN[0]), cache(TEN[0], path="/srv/p", device=2)]
    seen = snapshot(*caches, on=disks)
    again = snapshot(*caches, on=disks, fruitless=fingerprints(plan(seen, rule), seen))
    assert not plan(again, rule).actions


def test_a_change_of_the_set_is_a_reason_to_try_again() -> None:
    rule = policy()
    before = tried([rule], cache(entry("a")))
    changed = [
        cache(entry("a", written=99 * DAY)),
        cache(entry("a", inode=5)),
        cache(entry("a"), entry("b")),
        cache(entry("a"), path="/home/ann/p"),
    ]
    for each in changed:
        assert gone(plan(snapshot(each, fruitless=before), rule))


def test_one_policys_failure_does_not_stop_another() -> None:
    seen = cache(entry("a"))
    assert by_policy(plan(snapshot(seen, fruitless=tried([policy("x")], seen)), policy("x"), policy("y"))) == {
        "y": ["a"]
    }


def test_entries_that_cannot_go_do_not_keep_the_disk_full() -> None:
    """The first in the order cannot be removed: then the next ones go, and after them those after them."""
    rule = policy(free_space=marks(20 * MIB))
    seen, fruitless, went = cache(*TEN), dict[str, str](), []
    for _ in range(6):
        now = snapshot(seen, free=0, fruitless=fruitless)
        decided = plan(now, rule)
        went.append(gone(decided))
        fruitless |= fingerprints(decided, now)
    assert went == [["00", "01"], ["02", "03"], ["04", "05"], ["06", "07"], ["08", "09"], []]


def test_names_that_no_encoding_knows_have_a_fingerprint() -> None:
    assert tried([policy()], cache(entry("\udc80\ud800")))


# The plan as a whole


def test_what_the_plan_frees_is_what_its_entries_add() -> None:
    entries = [entry(name, shares=(share(7, needed=3, frees=4096),)) for name in "abc"]
    purge = plan(snapshot(cache(*entries)), policy()).actions[0]
    assert isinstance(purge, Purge)
    assert (purge.frees, purge.frees_inodes) == (3 * MIB + 4096, 4)
    assert [chosen.adds for chosen in purge.entries] == [MIB, MIB, MIB + 4096]


def test_two_mounts_of_one_filesystem_are_one_goal() -> None:
    mounts = [filesystem(mount="/srv", free=0), filesystem(mount="/home", free=0)]
    for on in (mounts, mounts[::-1]):
        decided = plan(snapshot(cache(*TEN), on=on), policy(free_space=marks("2%")))
        assert (len(gone(decided)), set(decided.engaged)) == (2, {"keep-free@/home"})
