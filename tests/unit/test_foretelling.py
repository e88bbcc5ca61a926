"""Where an entry stands in the order of a policy, and what has to come before it goes."""

from dataclasses import replace

import pytest

from cachewarden.decide.foretelling import Foreteller, Place
from cachewarden.decide.planner import decide
from cachewarden.model.caches import MeasuredCache, Quota, Snapshot
from cachewarden.model.policies import ActionKind, Keep, Match, Offline, Order, Policy, Settings, SpaceOf
from cachewarden.model.units import Bytes
from cachewarden.model.worth import Facts, Regain
from makers import (
    DAY,
    MIB,
    amount,
    cache,
    entry,
    filesystem,
    gone,
    marks,
    plan,
    policy,
    reasons,
    settings,
    share,
    snapshot,
)  # fmt: skip

LRU = Order.LEAST_RECENTLY_USED
FOUND = cache(*(entry(name, frees=100 * MIB, used=days * DAY) for name, days in (("c", 1), ("a", 3), ("b", 2))))


def places(seen: Snapshot, rule: Policy, path: str, of: MeasuredCache = FOUND) -> list[Place]:
    one = next(each for each in of.entries if each.path == path)
    return list(Foreteller(seen, settings(rule)).places(rule, of, one))


def when(rule: Policy, path: str) -> str:
    (place,) = places(snapshot(FOUND), rule, path)
    return place.when


def test_an_entry_has_its_number_and_what_is_freed_before_it() -> None:
    rule = policy(free_space=marks(200 * MIB, 300 * MIB), order=LRU)
    found = [places(snapshot(FOUND), rule, name)[0] for name in "abc"]
    assert [(each.number, each.of, each.before) for each in found] == [
        (1, 3, 0), (2, 3, 100 * MIB), (3, 3, 200 * MIB),
    ]  # fmt: skip


@pytest.mark.parametrize(("path", "mark"), [("a", 200), ("b", 200), ("c", 100)])
def test_what_is_said_of_free_space_is_what_happens(path: str, mark: int) -> None:
    rule = policy(free_space=marks(200 * MIB, 300 * MIB), order=LRU)
    assert when(rule, path) == f"once less than {mark} MiB is free on /home"
    assert path not in gone(plan(snapshot(FOUND, free=mark * MIB), rule))
    assert path in gone(plan(snapshot(FOUND, free=mark * MIB - 1), rule))


@pytest.mark.parametrize(("path", "mark"), [("a", 300), ("b", 300), ("c", 350)])
def test_what_is_said_of_the_size_of_a_cache_is_what_happens(path: str, mark: int) -> None:
    rule = policy(size=marks(300 * MIB, 150 * MIB), order=LRU)
    assert when(rule, path) == f"once the cache holds more than {mark} MiB"
    full, fuller = (replace(FOUND, size=Bytes(mark * MIB + more)) for more in (0, 1))
    assert path not in gone(plan(snapshot(full), rule))
    assert path in gone(plan(snapshot(fuller), rule))


def test_what_never_needs_to_go_is_said_so() -> None:
    rule = policy(free_space=marks(50 * MIB, 90 * MIB), order=LRU)
    assert when(rule, "b").startswith("never: even with nothing free on /home")
    assert gone(plan(snapshot(FOUND, free=0), rule)) == ["a"]


def test_inodes_and_schedules_have_their_words() -> None:
    few = policy(free_inodes=marks(100), order=LRU)
    assert when(few, "a") == "once fewer than 100 inodes are free on /home"
    assert when(few, "b") == "once fewer than 99 inodes are free on /home"
    sundays = policy(schedule="0 4 * * sun", order=LRU)
    seen = replace(snapshot(FOUND), next_times={sundays.name: "Sunday 04:00"})
    assert places(seen, sundays, "a")[0].when == "when it is looked at next (Sunday 04:00)"
    assert when(policy(order=LRU), "a") == "in the next cycle"


def test_what_must_stay_is_in_no_order_and_what_only_reports_has_none() -> None:
    held = cache(entry("a", hold="in use"), entry("b"))
    assert places(snapshot(held), policy(), "a", held) == []
    assert places(snapshot(held), policy(), "b", held)[0].number == 1
    assert places(snapshot(held), policy(action=ActionKind.REPORT), "b", held) == []
    assert places(snapshot(held), policy(match=Match(ecosystems=("conda",))), "b", held) == []


def test_inodes_that_two_entries_share_are_freed_before_the_third() -> None:
    twins = [entry(name, frees=0, size=MIB, shares=(share(7),), used=9 * DAY) for name in "ab"]
    found = cache(*twins, entry("c", used=DAY))
    rule = policy(free_space=marks(MIB), order=LRU)
    assert [places(snapshot(found), rule, name, found)[0].before for name in "abc"] == [0, 0, MIB]
    assert decide(snapshot(found, free=0), settings(rule)).actions  # and the books are as before


def test_the_newest_versions_stay_where_that_is_wanted() -> None:
    names = ("1.9", "1.10", "1.11rc1")
    found = cache(
        *(entry(each, version=each) for each in names), entry("alone", name="six", version="1"),
        entry("what", version=None), entry("page", version=None, kind=entry().kind.INDEX),
    )  # fmt: skip
    rules = settings(policy())
    one, two = (replace(rules, keep=replace(rules.keep, versions=count)) for count in (1, 2))
    assert sorted(gone(decide(snapshot(found), one))) == ["1.10", "1.9", "page"]
    assert sorted(gone(decide(snapshot(found), two))) == ["1.9", "page"]
    told = reasons(decide(snapshot(found), one))
    root = found.cache.path
    assert told[f"{root}/1.11rc1"] == "it is the newest version of its package here (keep.versions)"
    assert "its version is unknown" in told[f"{root}/what"]


def test_while_there_is_no_network_downloads_stay_where_that_is_wanted() -> None:
    found = cache(
        entry("download"), replace(entry("package"), facts=Facts(Regain.EXTRACT)),
        replace(entry("junk"), facts=Facts(Regain.NOTHING)), replace(entry("built"), facts=Facts(Regain.BUILD)),
    )  # fmt: skip
    keeping = Settings(keep=Keep(newer_than=settings().keep.newer_than), policies=(policy(),))
    keeping = replace(keeping, offline=Offline.KEEP_DOWNLOADS)
    away = replace(snapshot(found), online=False)
    assert sorted(gone(decide(away, keeping))) == ["junk", "package"]
    assert len(gone(decide(replace(away, online=True), keeping))) == 4
    assert len(gone(decide(away, replace(keeping, offline=Offline.AS_USUAL)))) == 4


def test_a_disk_of_unknown_size_has_no_place_for_anything() -> None:
    blind = filesystem(total=0, free=0)
    (place,) = places(snapshot(FOUND, on=(blind,)), policy(free_space=marks("10%"), order=LRU), "a")
    assert place.when.startswith("never")
    assert amount("10%").percent == 10.0


def test_what_is_said_of_a_quota_is_what_happens() -> None:
    marked = policy(free_space=marks(200 * MIB, 300 * MIB), order=LRU)
    rule = replace(marked, free_space_of=SpaceOf.QUOTA)

    def seen(left: int) -> MeasuredCache:
        return replace(FOUND, quota=Quota(Bytes(1000 * MIB), Bytes(1000 * MIB - left)))

    (place,) = places(snapshot(seen(500 * MIB)), rule, "c", seen(500 * MIB))
    assert place.when == "once less than 100 MiB of the quota is left"
    assert "c" not in gone(plan(snapshot(seen(100 * MIB)), rule))
    assert "c" in gone(plan(snapshot(seen(100 * MIB - 1)), rule))
