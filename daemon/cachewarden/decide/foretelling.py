"""Where entries stand in the order of a policy, and what would have to come before each of them goes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cachewarden.decide.appraisal import Alone
from cachewarden.decide.choice import Candidate
from cachewarden.decide.conditions import CacheSize, Condition, FreeInodes, FreeQuota, FreeSpace
from cachewarden.decide.draft import Draft
from cachewarden.decide.goals import Goal, places_of
from cachewarden.decide.ledger import CacheKey, key_of
from cachewarden.decide.purging import eligible
from cachewarden.decide.worth import Worth
from cachewarden.model.caches import Entry, MeasuredCache, Snapshot
from cachewarden.model.policies import ActionKind, Policy, Settings
from cachewarden.model.units import Bytes, human_bytes

NEVER = "never"
"""How ``when`` of a place begins where nothing that may come makes the entry go."""


@dataclass(frozen=True, slots=True)
class Place:
    """An entry in the order of one policy at one place.

    ``number`` counts from 1 of ``of``; ``before``: bytes that all before it free; ``when``: what has to come before
    it goes, in words.
    """

    policy: str
    place: str
    number: int
    of: int
    before: Bytes
    when: str


@dataclass(slots=True)
class _Queue:
    """What one goal would take, in its order: by entry the number, and bytes, inodes and cache bytes before it."""

    goal: Goal
    order: list[Candidate]
    stands: dict[tuple[CacheKey, str], tuple[int, int, int, int]] = field(default_factory=dict)


class Foreteller:
    """Answers for one snapshot. Policies are judged each by itself, as if those before it did nothing."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        """Nothing is computed before it is asked for."""
        self._snapshot = snapshot
        self._settings = settings
        self._draft = Draft.of(snapshot, settings)
        self._queues: dict[str, list[_Queue]] = {}

    def worth(self, cache: MeasuredCache, entry: Entry) -> Worth:
        """What the entry is worth, with every factor."""
        return self._draft.appraiser.worth(cache, entry)

    def alone(self, cache: MeasuredCache, entry: Entry) -> Alone | None:
        """What it is worth without those that make it cheap, if there are any."""
        return self._draft.appraiser.alone(cache, entry)

    def places(self, policy: Policy, cache: MeasuredCache, entry: Entry) -> Iterator[Place]:
        """Where the policy has the entry, at each place where it may take it; none where its marks mean nothing."""
        name = (key_of(cache), entry.path)
        for queue in self._queues_of(policy):
            if stand := queue.stands.get(name):
                number, freed, inodes, left = stand
                when = _when(policy, queue.goal.conditions, (freed, inodes, left), self._snapshot.next_times)
                yield Place(policy.name, queue.goal.place, number, len(queue.order), Bytes(freed), when)

    def first(self, policy: Policy, most: int) -> list[tuple[str, list[Candidate], int]]:
        """Of each place of a policy: its name, the first entries in its order, and how many there are."""
        return [(queue.goal.place, queue.order[:most], len(queue.order)) for queue in self._queues_of(policy)]

    def _queues_of(self, policy: Policy) -> list[_Queue]:
        if policy.name not in self._queues:
            goals = places_of(policy, self._snapshot) if policy.action is ActionKind.PURGE else ()
            self._queues[policy.name] = [
                self._queue(goal) for goal in goals if all(condition.applies for condition in goal.conditions)
            ]
        return self._queues[policy.name]

    def _queue(self, goal: Goal) -> _Queue:
        """Taken one after the other in books of their own, and put back: shared inodes count where they are freed."""
        queue = _Queue(goal, eligible(self._draft, goal)[0])
        ledger = self._draft.ledger
        freed = inodes = left = 0
        taken = []
        for number, (cache, entry) in enumerate(queue.order, 1):
            queue.stands[key_of(cache), entry.path] = (number, freed, inodes, left)
            change = ledger.take(cache, entry)
            taken.append((cache, entry, change))
            freed, inodes, left = freed + change.freed, inodes + change.inodes, left + change.leaves
        for cache, entry, change in reversed(taken):
            ledger.put_back(cache, entry, change)
        return queue


def _when(
    policy: Policy, conditions: tuple[Condition, ...], before: tuple[int, int, int], next_times: Mapping[str, str]
) -> str:
    """All conditions start it, and the first that is met ends it."""
    said = [_once(condition, *before) for condition in conditions]
    if never := next((each for each in said if each.startswith(NEVER)), None):
        return never
    words = " and ".join(said)
    if policy.schedule is not None:
        coming = next_times.get(policy.name) or policy.schedule
        return f"when it is looked at next ({coming}){f', {words}' if words else ''}"
    return words or "in the next cycle"


def _once(condition: Condition, freed: int, inodes: int, left: int) -> str:
    if isinstance(condition, FreeSpace):
        mark = min(condition.start, condition.stop - freed)
        if mark <= 0:
            return f"{NEVER}: even with nothing free on {condition.filesystem.mount}, what goes before it is enough"
        return f"once less than {human_bytes(mark)} is free on {condition.filesystem.mount}"
    if isinstance(condition, FreeQuota):
        mark = min(condition.start, condition.stop - freed)
        if mark <= 0:
            return f"{NEVER}: even with nothing left of the quota, what goes before it is enough"
        return f"once less than {human_bytes(mark)} of the quota is left"
    if isinstance(condition, FreeInodes):
        mark = min(condition.start, condition.stop - inodes)
        if mark <= 0:
            return f"{NEVER}: even with no inode free on {condition.filesystem.mount}, what goes before it is enough"
        return f"once fewer than {mark:,} inodes are free on {condition.filesystem.mount}"
    if isinstance(condition, CacheSize):
        return f"once the cache holds more than {human_bytes(max(condition.start, condition.stop + left))}"
    return f"when more than {human_bytes(freed)} is to be freed"
