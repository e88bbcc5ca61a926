"""What is removed without a look when a disk fills in no time, and what never is."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

import makers
from cachewarden.model.caches import Kind, MeasuredCache, Snapshot
from cachewarden.model.plans import Failure, Outcome, Purge, RemovedEntry
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings, SpaceOf
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant, Seconds
from cachewarden.service.first_aid import KINDS, MOST, Kit, urgent
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Space

MIB, GIB = makers.MIB, 1024 * makers.MIB
MARKS = Marks(Amount(percent=10), Amount(percent=15))
FREE = Policy("free", ActionKind.PURGE, free_space=MARKS)
MOVE = Policy("move", ActionKind.RELOCATE, free_space=MARKS, to="/media/usb")
INTERVAL = 300


def space(free: int = 0) -> Space:
    return Space(Bytes(1000 * MIB), Bytes(free), Inodes(10_000), Inodes(5000))


def unpacked(last: Snapshot, *policies: Policy, later: int = 60, mount: str = "/home") -> Snapshot | None:
    kit = Kit()
    kit.pack(last, Settings(policies=policies))
    return kit.unpack({mount: space()}, Instant(makers.NOW + later * NANOSECONDS), INTERVAL)


def paths(snapshot: Snapshot | None) -> set[str]:
    return {entry.path for cache in snapshot.caches for entry in cache.entries} if snapshot else set()


def of(*entries: tuple[str, Kind]) -> MeasuredCache:
    return makers.cache(*(makers.entry(path, kind=kind) for path, kind in entries))


def test_only_kinds_whose_guard_sees_all_that_matters_are_in_it() -> None:
    cache = of(*((kind.value, kind) for kind in Kind))
    assert paths(unpacked(makers.snapshot(cache), FREE)) == {kind.value for kind in KINDS}
    assert {Kind.PACKAGE, Kind.BUILT_WHEEL}.isdisjoint(KINDS)


def test_what_had_to_stay_is_not_in_it() -> None:
    cache = makers.cache(makers.entry("a", hold="a process has it open"), makers.entry("b"))
    assert paths(unpacked(makers.snapshot(cache), FREE)) == {"b"}


def test_it_is_bounded_and_what_is_large_comes_first() -> None:
    small = (makers.entry(f"s{number}", frees=4096) for number in range(MOST))
    large = (makers.entry(f"l{number}", frees=MIB) for number in range(MOST - 10))
    found = paths(unpacked(makers.snapshot(makers.cache(*small, *large)), FREE))
    assert len(found) == MOST
    assert sum(path.startswith("l") for path in found) == MOST - 10


def test_among_what_is_large_the_order_of_the_policy_decides() -> None:
    old = [makers.entry(f"old{number}", used=400 * makers.DAY) for number in range(MOST)]
    new = [makers.entry(f"new{number}", used=makers.DAY, frees=2 * MIB) for number in range(50)]
    cache = makers.cache(*new, *old)
    assert all(path.startswith("old") for path in paths(unpacked(makers.snapshot(cache), FREE)))


def test_every_cache_has_a_part_in_it() -> None:
    anns = makers.cache(*(makers.entry(f"a{number}") for number in range(2 * MOST)))
    bobs = makers.cache(makers.entry("b"), path="/home/bob/c", of=makers.owner("bob", uid=1001))
    assert "b" in paths(unpacked(makers.snapshot(anns, bobs), FREE))


def test_whoever_lies_about_sizes_pushes_nobody_else_out() -> None:
    lies = makers.cache(*(makers.entry(f"a{number}", frees=2**60) for number in range(5 * MOST)))
    bobs = makers.cache(
        *(makers.entry(f"b{number}") for number in range(300)), path="/home/bob/c", of=makers.owner("bob", uid=1001)
    )
    found = paths(unpacked(makers.snapshot(lies, bobs), FREE))
    assert sum(path.startswith("b") for path in found) >= MOST // 2


@pytest.mark.parametrize("later", [-301, 901, 10**6])
def test_a_look_of_long_ago_or_of_a_time_to_come_is_not_gone_by(later: int) -> None:
    assert unpacked(makers.snapshot(makers.cache(makers.entry())), FREE, later=later) is None


def test_other_disks_have_nothing_to_give() -> None:
    assert unpacked(makers.snapshot(makers.cache(makers.entry())), FREE, mount="/") is None


def test_a_disk_whose_figures_are_its_owners_word_is_left_to_the_look() -> None:
    last = makers.snapshot(
        makers.cache(makers.entry(), device=PRIVATE + 1), on=[makers.filesystem(device=PRIVATE + 1)]
    )
    assert unpacked(last, FREE) is None


def test_nothing_is_remembered_of_a_disk_that_cannot_fill_before_the_next_sample() -> None:
    last = makers.snapshot(makers.cache(makers.entry()), on=[makers.filesystem(total=2000 * GIB, free=1000 * GIB)])
    assert unpacked(last, FREE) is None


def names(policies: Iterable[Policy]) -> list[str]:
    return [each.name for each in urgent(Settings(policies=tuple(policies))).policies]


def test_it_goes_by_the_policies_that_purge_by_the_space_of_disks() -> None:
    others = (
        replace(FREE, name="scheduled", schedule="0 4 * * *"),
        replace(FREE, name="reporting", action=ActionKind.REPORT),
        replace(FREE, name="quota", free_space_of=SpaceOf.QUOTA),
        Policy("size", ActionKind.PURGE, size=MARKS),
        Policy("old", ActionKind.PURGE, unused_for=Seconds(1)),
    )
    inodes = Policy("inodes", ActionKind.PURGE, free_inodes=MARKS)
    assert names([*others, FREE, inodes]) == ["free", "inodes"]


def test_what_a_policy_before_would_move_is_not_purged_because_moving_takes_longer() -> None:
    assert names([FREE, MOVE, replace(FREE, name="later")]) == ["free"]
    assert names([replace(MOVE, schedule="0 4 * * *"), FREE]) == ["free"]


def test_what_is_used_or_was_tried_is_not_in_it_any_more() -> None:
    kit = Kit()
    cache = makers.cache(*(makers.entry(name) for name in "abcde"))
    kit.pack(makers.snapshot(cache), Settings(policies=(FREE,)))
    kit.drop(1000, cache.cache.path, {"a"})
    kit.drop(1001, cache.cache.path, {"e"})
    chosen = makers.plan(makers.snapshot(makers.cache(*(makers.entry(name) for name in "bc")), free=0), FREE).actions
    purges = [each for each in chosen if isinstance(each, Purge)]
    gone = RemovedEntry("b", Kind.DOWNLOAD, None, None, Bytes(1), "")
    stopped = Outcome("free", "purge", cache.cache, (gone,), failures=(Failure("d", "no"),), incomplete=True)
    kit.tried(purges, [stopped])
    assert paths(kit.unpack({"/home": space()}, makers.NOW, INTERVAL)) == {"c", "e"}
    kit.tried(purges, [replace(stopped, incomplete=False)])
    assert paths(kit.unpack({"/home": space()}, makers.NOW, INTERVAL)) == {"e"}
    kit.drop(1000, cache.cache.path, {"e"})
    assert kit.unpack({"/home": space()}, makers.NOW, INTERVAL) is None
