"""Where a cache is to be moved, and why it cannot be."""

import re
from collections.abc import Iterable

from cachewarden.decide.draft import Draft
from cachewarden.decide.goals import Goal
from cachewarden.model.caches import Cache, MeasuredCache
from cachewarden.model.plans import Relocate
from cachewarden.model.policies import Policy
from cachewarden.model.units import Bytes


def destination(policy: Policy, cache: Cache) -> str:
    """``to`` with its placeholders filled in, each once: a name that looks like a placeholder is just a name."""
    words = {"{owner}": cache.owner.name, "{ecosystem}": cache.ecosystem}
    return re.sub(r"\{owner\}|\{ecosystem\}", lambda found: words[found[0]], policy.to or "").rstrip("/")


def is_there(policy: Policy, cache: Cache) -> bool:
    """Whether a cache is at its destination, or below it."""
    return within(cache.path, destination(policy, cache))


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


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
        frees = Bytes(draft.ledger.move(cache))
        draft.actions.append(Relocate(goal.policy.name, cache.cache, to, frees, reason))
    return len(draft.actions) > count


def _misfit(draft: Draft, policy: Policy, cache: MeasuredCache, to: str) -> str | None:
    owner, path = cache.cache.owner.name, cache.cache.path
    if "{owner}" in (policy.to or "") and ("/" in owner or "\0" in owner or owner in {"", ".", ".."}):
        return f"its owner's name {owner!r} cannot be part of a path"
    if within(to, path):
        return f"its destination {to} lies within it"
    moves = [action for action in draft.actions if isinstance(action, Relocate)]
    if any(move.cache == cache.cache for move in moves):
        return "another policy moves it already"
    taken = _overlap(to, [*(move.to for move in moves), *(each.cache.path for each in draft.snapshot.caches)])
    return f"its destination {to} is taken: {taken} is, or will be, another cache" if taken else None


def _overlap(to: str, others: Iterable[str]) -> str | None:
    """Two caches in one place, or one within the other, would be mixed up."""
    return min((other for other in others if within(other, to) or within(to, other)), default=None)
