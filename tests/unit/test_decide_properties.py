"""What holds of every plan, against a small filesystem that is simulated inode by inode."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from cachewarden.decide.appraisal import Appraiser
from cachewarden.decide.choice import names_match
from cachewarden.decide.ledger import Ledger, key_of
from cachewarden.decide.planner import decide, fingerprints
from cachewarden.model.caches import Entry, Filesystem, Kind, MeasuredCache, Share, Snapshot
from cachewarden.model.plans import Plan, Purge
from cachewarden.model.policies import ActionKind, Order, Policy, Settings
from cachewarden.model.units import Bytes, Inodes
from makers import DAY, HOUR, NOW, cache, entry, filesystem, marks, owner, policy, purges, settings, snapshot

few = examples(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
Name = tuple[int, str]
"""The number of a cache and the path of an entry in it."""


@dataclass(frozen=True)
class File:
    """An inode with a name in each of ``names``, and perhaps others outside of all caches."""

    size: int
    names: tuple[Name, ...]
    outside: bool


@dataclass(frozen=True)
class World:
    """Files, the folders that hold entries, and per entry what else is known. All is on one device."""

    files: tuple[File, ...]
    folders: tuple[tuple[int, tuple[Name, ...]], ...]
    entries: dict[Name, Entry]

    def freed(self, gone: set[Name]) -> tuple[int, int]:
        """Bytes and inodes that come back when the entries are gone.

        Those of a file in two owners' caches are left out: what one says of an inode counts for that one alone.
        """
        own = [each for each in self.files if not each.outside and len({number for number, _ in each.names}) == 1]
        files = [each.size for each in own if set(each.names) <= gone]
        folders = [size for size, inside in self.folders if set(inside) <= gone]
        return sum(files) + sum(folders), len(files) + len(folders)

    def size(self, number: int, gone: set[Name]) -> int:
        """What du says of a cache: every inode with a name in it once."""
        files = (file.size for file in self.files if any(n[0] == number for n in set(file.names) - gone))
        folders = (size for size, inside in self.folders if any(n[0] == number for n in set(inside) - gone))
        return sum(files) + sum(folders)

    @cached_property
    def caches(self) -> tuple[MeasuredCache, ...]:
        """As they are measured."""
        return tuple(
            cache(
                *(self._measured(name, one) for name, one in self.entries.items() if name[0] == number),
                path=f"/home/u{number}/p",
                of=owner(f"u{number}", uid=number),
                size=self.size(number, set()),
            )
            for number in sorted({number for number, _ in self.entries})
        )

    def _measured(self, name: Name, one: Entry) -> Entry:
        frees, inodes = self.freed({name})
        return replace(
            one,
            size=Bytes(sum(file.size for file in self.files if name in file.names)),
            frees=Bytes(frees),
            frees_inodes=Inodes(inodes),
            shares=tuple(self._shares(name)),
        )

    def _shares(self, name: Name) -> list[Share]:
        shares = [
            Share(1, number, len(file.names) + file.outside, held, Bytes(file.size))
            for number, file in enumerate(self.files)
            if 0 < (held := file.names.count(name)) < len(file.names) + file.outside
        ]
        shares += [
            Share(1, 100 + number, len(inside), 1, Bytes(size))
            for number, (size, inside) in enumerate(self.folders)
            if name in inside and len(inside) > 1
        ]
        return shares


NAMES = [(number, path) for number in range(2) for path in ("a", "b", "c", "d")]
ENTRIES = st.builds(
    entry,
    kind=st.sampled_from([Kind.INDEX, Kind.DOWNLOAD, Kind.BUILT_WHEEL]),
    name=st.sampled_from([None, "numpy", "torch"]),
    written=st.integers(-1, 3).map(lambda hours: hours * HOUR),
    used=st.one_of(st.none(), st.integers(0, 3).map(lambda days: days * DAY)),
    hold=st.sampled_from([None, None, None, "in use"]),
    leftover=st.sampled_from([False, False, False, False, True]),
)
FILES = st.builds(
    File,
    size=st.integers(0, 9),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple),
    outside=st.sampled_from([False, False, False, True]),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to eight entries in two caches, files with up to three names, a folder or none above each entry."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    above: dict[tuple[int, int], list[Name]] = {}
    for name, folder in zip(names, draw(st.lists(st.integers(0, 2), min_size=8, max_size=8)), strict=False):
        if folder:
            above.setdefault((name[0], folder), []).append(name)
    files = [file for file in draw(st.lists(FILES, max_size=8)) if set(file.names) <= set(names)]
    return World(
        tuple(files),
        tuple((draw(st.integers(0, 4)), tuple(inside)) for inside in above.values()),
        {name: replace(draw(ENTRIES), path=name[1]) for name in names},
    )


AMOUNTS = st.one_of(st.integers(0, 60), st.integers(0, 60).map(lambda share: f"{share}%"))
MARKS = st.one_of(st.none(), st.builds(marks, AMOUNTS, AMOUNTS))
DISKS = st.builds(
    filesystem, free=st.integers(0, 60), total=st.just(100), inodes_free=st.integers(0, 60), inodes_total=st.just(100)
)
PURGES = st.builds(
    policy,
    st.sampled_from(["one", "two"]),
    free_space=MARKS,
    free_inodes=MARKS,
    size=MARKS,
    order=st.sampled_from(Order),
    kinds=st.sampled_from([(), (Kind.INDEX, Kind.DOWNLOAD)]),
    unused_for=st.sampled_from([None, DAY]),
)
POLICIES = st.one_of(
    PURGES, PURGES.map(lambda rule: replace(rule, action=ActionKind.RELOCATE, to="/srv/{owner}", size=None))
)
SETTINGS = st.builds(
    settings,
    POLICIES,
    POLICIES,
    newer_than=st.sampled_from([0, 2 * HOUR]),
    packages=st.sampled_from([(), ("torch*",), ("numpy==1.26.*",)]),
)
FREE_SPACE = st.builds(policy, free_space=st.builds(marks, AMOUNTS, AMOUNTS), order=st.sampled_from(Order))
ENGAGED = st.sampled_from([frozenset[str](), frozenset({"keep-free@/home", "one@/home", "two@/home/u0/p"})])


def look(world: World, disk: Filesystem, engaged: frozenset[str] = frozenset()) -> Snapshot:
    """The snapshot of a world."""
    return snapshot(*world.caches, on=[disk], engaged=engaged)


def names_of(decided: Plan | list[Purge]) -> list[Name]:
    """All that goes, in order."""
    actions = purges(decided) if isinstance(decided, Plan) else decided
    return [(action.cache.owner.uid, chosen.entry.path) for action in actions for chosen in action.entries]


def simple(world: World) -> World:
    """Without leftovers, which go before every policy."""
    return replace(world, entries={name: replace(one, leftover=False) for name, one in world.entries.items()})


@few
@given(worlds(), DISKS, SETTINGS, ENGAGED)
def test_what_is_held_or_kept_never_goes(
    world: World, disk: Filesystem, wanted: Settings, engaged: frozenset[str]
) -> None:
    for purge in purges(decide(look(world, disk, engaged), wanted)):
        for chosen in purge.entries:
            assert chosen.entry.hold is None
            if not chosen.entry.leftover:
                assert NOW - chosen.entry.modified >= wanted.keep.newer_than * 10**9 or not wanted.keep.newer_than
                assert not names_match(wanted.keep.packages, chosen.entry)


@few
@given(worlds(), DISKS, SETTINGS, ENGAGED)
def test_nothing_goes_twice(world: World, disk: Filesystem, wanted: Settings, engaged: frozenset[str]) -> None:
    decided = decide(look(world, disk, engaged), wanted)
    moved = [action.cache.owner.uid for action in decided.actions if not isinstance(action, Purge)]
    assert max(Counter(names_of(decided)).values(), default=1) == 1
    assert max(Counter(moved).values(), default=1) == 1
    last = {action.cache.owner.uid: index for index, action in enumerate(decided.actions)}
    assert all(not isinstance(decided.actions[last[uid]], Purge) for uid in moved)


@few
@given(worlds(), DISKS, SETTINGS, ENGAGED)
def test_a_plan_is_a_function_of_what_is_there(
    world: World, disk: Filesystem, wanted: Settings, engaged: frozenset[str]
) -> None:
    seen = look(world, disk, engaged)
    assert decide(seen, wanted) == decide(seen, wanted)


@few
@given(worlds(), DISKS, SETTINGS, ENGAGED, st.randoms(use_true_random=False))
def test_the_order_in_which_things_were_found_does_not_matter(
    world: World, disk: Filesystem, wanted: Settings, engaged: frozenset[str], random: Random
) -> None:
    seen = look(world, disk, engaged)
    seen = replace(seen, filesystems=(*seen.filesystems, filesystem(mount="/", free=1), filesystem(device=2)))
    caches = [replace(each, entries=tuple(random.sample(each.entries, len(each.entries)))) for each in seen.caches]
    mixed = replace(
        seen,
        caches=tuple(random.sample(caches, len(caches))),
        filesystems=tuple(random.sample(seen.filesystems, len(seen.filesystems))),
    )
    assert decide(mixed, wanted) == decide(seen, wanted)


@few
@given(worlds(), DISKS, FREE_SPACE, ENGAGED, st.integers(0, 60))
def test_more_free_space_never_costs_another_entry(
    world: World, disk: Filesystem, rule: Policy, engaged: frozenset[str], more: int
) -> None:
    """For one policy on free space, whatever its order: what goes is a part of what went with less.

    Of several policies it cannot hold: when the first finds space enough, the second starts where the first would
    have stopped, with other entries and another overshoot.
    """
    fuller = set(names_of(decide(look(simple(world), disk, engaged), settings(rule))))
    roomier = replace(disk, free=Bytes(disk.free + more))
    assert set(names_of(decide(look(simple(world), roomier, engaged), settings(rule)))) <= fuller


@few
@given(worlds(), DISKS, SETTINGS, ENGAGED)
def test_what_a_plan_frees_is_what_the_inodes_say(
    world: World, disk: Filesystem, wanted: Settings, engaged: frozenset[str]
) -> None:
    wanted = replace(wanted, policies=tuple(replace(each, action=ActionKind.PURGE) for each in wanted.policies))
    decided = decide(look(world, disk, engaged), wanted)
    done: list[Purge] = []
    for purge in purges(decided):
        before = world.freed(set(names_of(done)))
        done.append(purge)
        after = world.freed(set(names_of(done)))
        assert (purge.frees, purge.frees_inodes) == (after[0] - before[0], after[1] - before[1])
        assert purge.frees == sum(chosen.adds for chosen in purge.entries)


@few
@given(worlds(), st.randoms(use_true_random=False))
def test_the_books_are_what_the_inodes_say(world: World, random: Random) -> None:
    seen = look(world, filesystem(free=0))
    ledger, gone, undo = Ledger(seen), set[Name](), []
    found = [(each, one) for each in world.caches for one in each.entries]
    for where, one in random.sample(found, len(found)):
        undo.append((where, one, ledger.take(where, one)))
        gone.add((where.cache.owner.uid, one.path))
        assert (ledger.free[1], ledger.inodes[1] - 5000) == world.freed(gone)
        for each in world.caches:
            assert ledger.size[key_of(each)] == world.size(each.cache.owner.uid, gone)
    for where, one, change in random.sample(undo, len(undo)):
        ledger.put_back(where, one, change)
    assert vars(ledger) | {"_names_gone": 0} == vars(Ledger(seen)) | {"_names_gone": 0}


@few
@given(worlds(), DISKS, FREE_SPACE, ENGAGED)
def test_at_most_one_entry_goes_beyond_until_and_none_for_nothing(
    world: World, disk: Filesystem, rule: Policy, engaged: frozenset[str]
) -> None:
    world = simple(world)
    seen = look(world, disk, engaged)
    gone = set(names_of(decide(seen, settings(rule))))
    assert rule.free_space
    until = max(rule.free_space.start.of(100), rule.free_space.stop.of(100))
    found = [(each, one) for each in seen.caches for one in each.entries]
    ordered = Appraiser(seen, settings(rule)).ordered(rule.order, found, lambda _: ())
    order = [(each.cache.owner.uid, one.path) for each, one in ordered]
    if gone:
        last = max(gone, key=order.index)
        assert disk.free + world.freed(gone - {last})[0] < until
    for name in gone:
        assert world.freed(gone - {name})[0] < world.freed(gone)[0]


@few
@given(worlds(), DISKS, FREE_SPACE, ENGAGED)
def test_a_shortfall_is_said_exactly_when_the_mark_is_not_reached(
    world: World, disk: Filesystem, rule: Policy, engaged: frozenset[str]
) -> None:
    decided = decide(look(simple(world), disk, engaged), settings(rule))
    assert rule.free_space
    start = rule.free_space.start.of(100)
    until = max(start, rule.free_space.stop.of(100))
    acts = disk.free < (until if engaged else start)
    free = disk.free + world.freed(set(names_of(decided)))[0]
    assert decided.shortfall == (max(0, until - free) if acts else 0)
    assert bool(decided.shortfalls) == bool(decided.shortfall)


@few
@given(worlds(), DISKS, PURGES)
def test_what_never_goes_is_given_up_in_the_end(world: World, disk: Filesystem, rule: Policy) -> None:
    """When every removal fails, each round tries something else, and then no more."""
    seen, tried = look(simple(world), disk), set[Name]()
    for _ in range(len(world.entries) + 1):
        decided = decide(seen, settings(rule))
        assert not tried & set(names_of(decided))
        tried |= set(names_of(decided))
        seen = replace(seen, fruitless={**seen.fruitless, **fingerprints(decided, seen)})
    assert not decided.actions
