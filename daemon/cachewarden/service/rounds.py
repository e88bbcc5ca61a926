"""What the rounds of a cycle come to: what is next, what was in vain, and all of them as one plan."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from cachewarden.model.caches import Filesystem, Snapshot
from cachewarden.model.plans import Outcome, Plan, Purge, Relocate
from cachewarden.model.policies import Settings
from cachewarden.model.units import Bytes

_LITTLE = 4
"""A disk that gains less than one part in so many of what was hoped for gains little: somebody else writes, too."""


def what_is_next(plan: Plan) -> tuple[Relocate | None, list[Purge]]:
    """What comes first: a move, or the removals before the first move."""
    first = next(iter(plan.actions), None)
    if isinstance(first, Relocate):
        return first, []
    purges: list[Purge] = []
    for action in plan.actions:
        if isinstance(action, Relocate):
            break
        purges.append(action)
    return None, purges


def in_vain(
    seen: Snapshot, purges: list[Purge], outcomes: list[Outcome], latest: Mapping[int, Filesystem]
) -> set[int]:
    """The owners of whose caches nothing went, or by whose removals a disk gained little of what was hoped for.

    What an entry frees, and that it went, is its owner's word. What the disk gained is ours.
    """
    free = {each.device: each.free for each in seen.filesystems}
    devices = {(each.cache.owner.uid, each.cache.path): each.device for each in seen.caches}
    hoped: Counter[tuple[int, int | None]] = Counter()
    for action in purges:
        uid = action.cache.owner.uid
        hoped[uid, devices.get((uid, action.cache.path))] += action.frees + action.maybe
    went = {outcome.cache.owner.uid for outcome in outcomes if outcome.removed}
    vain = {outcome.cache.owner.uid for outcome in outcomes} - went
    for (uid, device), hope in hoped.items():
        if device in latest and device in free and (latest[device].free - free[device]) * _LITTLE < hope:
            vain.add(uid)
    return vain


def credit(before: Mapping[int, Filesystem], outcomes: list[Outcome], latest: Mapping[int, Filesystem]) -> int:
    """What a round freed. Where only bounds are known, what the disks gained decides, as far as the bounds allow."""
    sure = sum(outcome.freed for outcome in outcomes)
    gained = sum(each.free - before[device].free for device, each in latest.items() if device in before)
    return min(max(sure, gained), sure + sum(outcome.maybe for outcome in outcomes))


def less_to_free(settings: Settings, freed: int) -> Settings:
    """What was asked for by hand, less what an earlier round freed."""
    policies = tuple(
        policy if policy.to_free is None else replace(policy, to_free=Bytes(max(0, policy.to_free - freed)))
        for policy in settings.policies
    )
    return replace(settings, policies=policies)


def whole(plans: list[Plan]) -> Plan:
    """All rounds as one plan: every action, the first standings (why it acted), the last shortfalls and skips."""
    if not plans:
        return Plan()
    taken = {
        f"{action.cache.path}/{chosen.entry.path}"
        for plan in plans
        for action in plan.actions
        if isinstance(action, Purge)
        for chosen in action.entries
    }
    return Plan(
        actions=tuple(action for plan in plans for action in plan.actions),
        skips=tuple(skip for skip in plans[-1].skips if skip.path not in taken),
        shortfalls=plans[-1].shortfalls,
        standings=plans[0].standings if len(plans[0].standings) else plans[-1].standings,
        engaged=plans[-1].engaged,
    )
