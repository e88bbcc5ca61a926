"""What can be removed at once when a disk fills in no time: the largest things that the last look found to be cheap.

The look that would be due takes too long then. Each of these is looked at again by the worker just before it goes
(``act``: the same file, unchanged; the guard of its ecosystem), so what is remembered may be out of date. Packages
and built wheels are not among them: their guards rely on what only a look at all environments and builds can tell.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from heapq import nlargest
from itertools import islice, zip_longest

from cachewarden.decide.ledger import CacheKey, key_of
from cachewarden.decide.planner import decide
from cachewarden.model.caches import Entry, Filesystem, Kind, MeasuredCache, Snapshot
from cachewarden.model.plans import Outcome, Purge
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings, SpaceOf
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant
from cachewarden.service.pace import LONGEST, WORST
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Space

KINDS = frozenset({Kind.DEBRIS, Kind.LOG, Kind.INDEX, Kind.DOWNLOAD, Kind.TARBALL})
"""Those whose guards see all that matters by themselves."""
MOST = 400
"""Entries that are remembered: some hundred kilobytes, and more than goes in a second."""
_MOST_WEIGHED, _AT_LEAST_WEIGHED = 1500, 20
"""Entries that are thought about, of all owners and of each."""
_LARGE = 1 << 16
_LONGEST_AGE = 86_400


def urgent(settings: Settings) -> Settings:
    """The policies that first aid goes by: those that purge by free space, in their order.

    None after one that moves: what it would move is not to be lost because moving takes longer.
    """
    policies: list[Policy] = []
    for policy in settings.policies:
        if policy.schedule is None and policy.action is ActionKind.RELOCATE:
            break
        of_disks = policy.free_space_of is SpaceOf.FILESYSTEM and (policy.free_space or policy.free_inodes)
        if policy.schedule is None and policy.action is ActionKind.PURGE and of_disks:
            policies.append(policy)
    return replace(settings, policies=tuple(policies))


class Kit:
    """What first aid would take, as the last look saw it; each of it is tried once."""

    def __init__(self) -> None:
        """Empty before the first look."""
        self._packed = Snapshot(Instant(0))

    def pack(self, last: Snapshot, settings: Settings) -> None:
        """Remembers what the policies would take were nothing else left to take: what is large, in their order."""
        own = urgent(settings)
        disks = tuple(_full(each) for each in last.filesystems if _may_be_in_need(each, own))
        devices = {each.device for each in disks}
        by_owner: dict[int, list[MeasuredCache]] = {}
        for each in last.caches:
            if each.device in devices and not each.read_only:
                by_owner.setdefault(each.cache.owner.uid, []).append(each)
        whole = replace(
            last, caches=(), filesystems=disks, problems=(), relocations=(), due=frozenset(), engaged=frozenset()
        )
        purges: list[Purge] = []
        caches: list[MeasuredCache] = []
        for theirs in by_owner.values():  # one by one: whoever lies about sizes pushes nobody else out
            fit = _largest(theirs, max(_AT_LEAST_WEIGHED, _MOST_WEIGHED // len(by_owner)))
            plan = decide(replace(whole, caches=fit), _without_end(own))
            purges += [action for action in plan.actions if isinstance(action, Purge)]
            caches += fit
        self._packed = replace(whole, caches=_only(caches, _in_turn(purges)))

    def unpack(self, spaces: Mapping[str, Space], now: Instant, interval: int) -> Snapshot | None:
        """What there is for the filesystems with these mount points, as they are now; ``None`` without anything.

        Nor with a look that is older than two of the intervals, in seconds, or of a time that is yet to come.
        """
        age = (now - self._packed.taken_at) / NANOSECONDS
        if not -LONGEST <= age <= min(2 * interval + LONGEST, _LONGEST_AGE):
            return None
        disks = tuple(
            replace(each, free=spaces[each.mount].free, inodes_free=spaces[each.mount].inodes_free)
            for each in self._packed.filesystems
            if each.mount in spaces
        )
        devices = {each.device for each in disks}
        caches = tuple(each for each in self._packed.caches if each.device in devices)
        return replace(self._packed, taken_at=now, caches=caches, filesystems=disks) if caches else None

    def hold_on(self, now: Instant) -> None:
        """Nothing happened until ``now``: what is remembered is as good as seen now."""
        self._packed = replace(self._packed, taken_at=now)

    def drop(self, uid: int, path: str, entries: Collection[str]) -> None:
        """Forgets entries of one cache: they were tried, or somebody uses them."""
        key = (uid, path)
        caches = (
            replace(each, entries=tuple(entry for entry in each.entries if entry.path not in entries))
            if key_of(each) == key
            else each
            for each in self._packed.caches
        )
        self._packed = replace(self._packed, caches=tuple(each for each in caches if each.entries))

    def tried(self, purges: Iterable[Purge], outcomes: Iterable[Outcome]) -> None:
        """Forgets what went or could not go; what nobody came to is kept."""
        for outcome in outcomes:
            paths = {each.path for each in outcome.removed} | {each.path for each in outcome.failures}
            if not outcome.incomplete:
                paths |= {
                    each.entry.path for purge in purges if purge.cache == outcome.cache for each in purge.entries
                }
            self.drop(outcome.cache.owner.uid, outcome.cache.path, paths)


def _may_be_in_need(disk: Filesystem, settings: Settings) -> bool:
    """Whether a mark of it could be crossed before the next sample; whose figures are private is another matter."""
    if disk.device >= PRIVATE or disk.read_only:
        return False
    return any(
        (each.free_space and disk.free - each.free_space.start.of(disk.total) < WORST * LONGEST) or each.free_inodes
        for each in settings.policies
    )


def _without_end(settings: Settings) -> Settings:
    """A disk may fill again and again before there is the time for a look: what one filling needs is not enough."""
    return replace(
        settings, policies=tuple(replace(each, free_space=_all(each.free_space)) for each in settings.policies)
    )


def _all(marks: Marks | None) -> Marks | None:
    return Marks(marks.start, Amount(percent=100.0)) if marks else None


def _in_turn(purges: Iterable[Purge]) -> set[tuple[CacheKey, str]]:
    """The first ``MOST`` in the order of the policies, the large ones before the others, of each cache alike."""
    queues = [
        ((purge.cache.owner.uid, purge.cache.path), sorted(purge.entries, key=lambda each: each.adds < _LARGE))
        for purge in purges
    ]
    turns = zip_longest(*([(key, each.entry.path) for each in entries] for key, entries in queues))
    return set(islice((each for turn in turns for each in turn if each), MOST))


def _full(disk: Filesystem) -> Filesystem:
    return replace(disk, free=Bytes(0), inodes_free=Inodes(0))


def _largest(caches: list[MeasuredCache], most: int) -> tuple[MeasuredCache, ...]:
    """Only the largest of their entries that could be in it at all."""
    fit = (
        (key_of(cache), entry)
        for cache in caches
        for entry in cache.entries
        if entry.kind in KINDS and entry.hold is None
    )
    largest = nlargest(most, fit, key=lambda each: each[1].frees)
    return _only(caches, {(key, entry.path) for key, entry in largest})


def _only(caches: Iterable[MeasuredCache], wanted: Collection[tuple[CacheKey, str]]) -> tuple[MeasuredCache, ...]:
    def fits(key: CacheKey, entry: Entry) -> bool:
        return entry.kind in KINDS and entry.hold is None and (key, entry.path) in wanted

    found = (
        replace(cache, entries=tuple(entry for entry in cache.entries if fits(key_of(cache), entry)))
        for cache in caches
    )
    return tuple(cache for cache in found if cache.entries)
