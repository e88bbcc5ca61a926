"""Where a cache is to be moved, and why it cannot be."""

import re
from collections.abc import Iterable
from dataclasses import replace

from cachewarden.decide.draft import Draft
from cachewarden.decide.goals import Goal
from cachewarden.decide.purging import purge
from cachewarden.decide.words import Outlook
from cachewarden.model.caches import Cache, MeasuredCache, Snapshot
from cachewarden.model.plans import Relocate
from cachewarden.model.policies import ActionKind, Policy
from cachewarden.model.relocations import RelocationSeen
from cachewarden.model.units import Bytes

_FREES_NOTHING = "moving it would free nothing"


def destination(policy: Policy, cache: Cache) -> str:
    """``to`` for a cache, with its placeholders filled in."""
    return filled_in(policy.to or "", cache.owner.name, cache.ecosystem)


def filled_in(to: str, owner: str, ecosystem: str) -> str:
    """Each placeholder once: a name that looks like one is just a name."""
    words = {"{owner}": owner, "{ecosystem}": ecosystem}
    return re.sub(r"\{owner\}|\{ecosystem\}", lambda found: words[found[0]], to).rstrip("/")


def name_of(cache: Cache) -> str:
    """As in ``Snapshot.unmovable`` and ``Snapshot.waiting``."""
    return f"{cache.owner.uid} {cache.path}"


def is_there(policy: Policy, cache: Cache) -> bool:
    """Whether a cache is at its destination, or below it."""
    return within(cache.path, destination(policy, cache))


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def otherwise(draft: Draft, policy: Policy, goals: Iterable[Goal]) -> Outlook:
    """Caches whose destination is missing or unfit are purged instead, where the policy says so."""
    if policy.otherwise is not ActionKind.PURGE:
        return Outlook()
    unmovable = draft.snapshot.unmovable
    left = [
        replace(goal, caches=caches)
        for goal in goals
        if (caches := tuple(each for each in goal.caches if name_of(each.cache) in unmovable))
    ]
    return purge(draft, policy, left)


def relocate(draft: Draft, goal: Goal, reason: str) -> bool:
    """Moves whole caches, the largest first, until the goal is content; whether any moves."""
    count = len(draft.actions)
    for cache in sorted(goal.caches, key=lambda cache: (-cache.size, cache.cache.path, cache.cache.owner.uid)):
        if goal.content(draft.ledger):
            break
        to = destination(goal.policy, cache.cache)
        if misfit := draft.unfit(cache) or _misfit(draft, goal.policy, cache, to):
            draft.skip(cache.cache.path, misfit)
            continue
        if not any(entry.frees or entry.shares for entry in cache.entries):
            draft.skip(cache.cache.path, _FREES_NOTHING)
            continue
        frees = Bytes(draft.ledger.move(cache))
        draft.actions.append(Relocate(goal.policy.name, cache.cache, to, frees, reason, goal.policy.method))
    return len(draft.actions) > count


def _misfit(draft: Draft, policy: Policy, cache: MeasuredCache, to: str) -> str | None:
    owner, path, snapshot = cache.cache.owner.name, cache.cache.path, draft.snapshot
    for known in (snapshot.unmovable, snapshot.waiting):
        if why := known.get(name_of(cache.cache)):
            return why
    if "{owner}" in (policy.to or "") and ("/" in owner or "\0" in owner or owner in {"", ".", ".."}):
        return f"its owner's name {owner!r} cannot be part of a path"
    if within(to, path):
        return f"its destination {to} lies within it"
    moves = [action for action in draft.actions if isinstance(action, Relocate)]
    if any(move.cache == cache.cache for move in moves):
        return "another policy moves it already"
    taken = _overlap(to, [*(move.to for move in moves), *(each.cache.path for each in draft.snapshot.caches)])
    if taken:
        return f"its destination {to} is taken: {taken} is, or will be, another cache"
    for each in _other_moves(snapshot, cache.cache):
        if taken := _overlap(to, (each.new, each.old)):
            return f"its destination {to} is taken: {taken} belongs to the move of {each.old} to {each.new}"
    return None


def _other_moves(snapshot: Snapshot, cache: Cache) -> Iterable[RelocationSeen]:
    """Moves of the same owner, whose places may not hold a cache now and will, and those of root.

    What another user's journal says counts for nothing here: with one line somebody could keep a whole disk to
    himself. A folder that really is another user's is refused when the move is looked at closely.
    """
    roots = {each.cache.owner.name for each in snapshot.caches if each.cache.owner.uid == 0} | {"root"}
    for each in snapshot.relocations:
        itself = each.owner == cache.owner.name and cache.path in (each.old, each.new)
        if each.owner in roots | {cache.owner.name} and not itself:
            yield each


def _overlap(to: str, others: Iterable[str]) -> str | None:
    """Two caches in one place, or one within the other, would be mixed up."""
    return min((other for other in others if within(other, to) or within(to, other)), default=None)
