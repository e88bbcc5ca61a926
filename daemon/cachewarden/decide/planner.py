"""``decide``: the plan for a snapshot. Policies act in order, each seeing what those before it will have freed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cachewarden.decide.choice import SORTING, Candidate, concerns, why_it_goes, why_it_stays
from cachewarden.decide.goals import Goal, goals_of
from cachewarden.decide.ledger import Ledger, frees_of_all
from cachewarden.model.caches import MeasuredCache, Snapshot
from cachewarden.model.plans import (
    Action,
    Chosen,
    Plan,
    Purge,
    Relocate,
    Shortfall,
    Skip,
    Standing,
    State,
)
from cachewarden.model.policies import ActionKind, Keep, Policy, Settings
from cachewarden.model.units import Bytes, Inodes

LEFTOVERS = "finish-interrupted"
"""The name under which trash of an interrupted removal goes, before any policy."""
FRUITLESS = "could free nothing last time, and nothing has changed since"


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    snapshot: Snapshot
    keep: Keep
    ledger: Ledger
    actions: list[Action] = field(default_factory=list)
    skips: dict[str, str] = field(default_factory=dict)
    shortfalls: list[Shortfall] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    engaged: set[str] = field(default_factory=set)


def decide(snapshot: Snapshot, settings: Settings) -> Plan:
    """The plan of one round: a function of its arguments alone.

    Never takes an entry with a hold or one that ``keep`` names; never goes more than one entry beyond a stop mark.
    """
    draft = _Draft(snapshot, settings.keep, Ledger(snapshot))
    _leftovers(draft)
    for policy in settings.policies:
        _policy(draft, policy)
    return Plan(
        actions=tuple(draft.actions),
        skips=tuple(Skip(path, reason) for path, reason in draft.skips.items()),
        shortfalls=tuple(draft.shortfalls),
        standings=tuple(draft.standings),
        engaged=frozenset(draft.engaged),
    )


def _leftovers(draft: _Draft) -> None:
    taken = [
        (cache, entry)
        for cache in draft.snapshot.caches
        for entry in cache.entries
        if entry.leftover and entry.hold is None
    ]
    _purges(draft, LEFTOVERS, "left over from an interrupted removal", taken)


def _policy(draft: _Draft, policy: Policy) -> None:
    if policy.schedule is not None and policy.name not in draft.snapshot.due:
        draft.standings.append(Standing(policy.name, State.WAITING, f"waits for its schedule, {policy.schedule}"))
        return
    goals = list(goals_of(policy, draft.snapshot, draft.ledger))
    started: list[str] = []
    resting: list[str] = []
    for goal in goals:
        words = goal.describe(draft.ledger)
        if not goal.starts(draft.ledger, draft.snapshot.engaged):
            resting.append(words)
        elif _pursue(draft, goal, words):
            started.append(words or "it has no mark: whatever is of its sort goes")
    state = State.TRIGGERED if started else State.SATISFIED
    reason = "; ".join(started or [words for words in resting if words])
    nothing = "nothing of its sort is there" if goals else "no cache matches"
    draft.standings.append(Standing(policy.name, state, reason or nothing))


def _pursue(draft: _Draft, goal: Goal, words: str) -> bool:
    """Acts on a goal that starts; whether there was anything to act on or a mark is crossed."""
    policy = goal.policy
    if policy.action is ActionKind.REPORT:
        return bool(goal.conditions) or bool(_eligible(draft, goal))
    if goal.conditions:
        draft.engaged.add(goal.key)
    if policy.action is ActionKind.RELOCATE:
        _relocate(draft, goal, words)
        return True
    taken = _choose(draft, goal)
    if taken and draft.snapshot.fruitless.get(policy.name) == fingerprint(taken):
        draft.skips.setdefault(policy.name, FRUITLESS)
        _say_shortfall(draft, goal)
        return True
    _purges(draft, policy.name, words or "it has no mark", taken)
    _say_shortfall(draft, goal)
    return bool(taken) or bool(goal.conditions)


def _eligible(draft: _Draft, goal: Goal) -> list[Candidate]:
    """What the policy may take, in its order; what must stay is noted with its reason."""
    found: list[Candidate] = []
    for cache in goal.caches:
        for entry in cache.entries:
            if not concerns(goal.policy, entry) or draft.ledger.is_gone(cache, entry):
                continue
            reason = why_it_stays(goal.policy, draft.keep, entry, draft.snapshot.taken_at)
            if reason is None:
                found.append((cache, entry))
            else:
                draft.skips.setdefault(f"{cache.cache.path}/{entry.path}", reason)
    return sorted(found, key=SORTING[goal.policy.order])


def _choose(draft: _Draft, goal: Goal) -> list[Candidate]:
    """Takes in order until the goal is content, on a trial ledger."""
    trial = draft.ledger.copy()
    taken: list[Candidate] = []
    for cache, entry in _eligible(draft, goal):
        if goal.content(trial):
            break
        freed, inodes = trial.would_free(entry)
        # One that shares its inodes frees nothing alone, but does with the others.
        if not goal.advances(freed, inodes, entry.size) and not entry.shares:
            draft.skips.setdefault(f"{cache.cache.path}/{entry.path}", "removing it frees nothing")
            continue
        trial.take(cache, entry)
        taken.append((cache, entry))
    return taken


def _purges(draft: _Draft, policy: str, reason: str, taken: Iterable[Candidate]) -> None:
    """Enters what was taken into the books and makes one action per cache, in the order of their first entries."""
    by_cache: dict[str, tuple[MeasuredCache, list[Chosen], list[int]]] = {}
    for cache, entry in taken:
        freed, inodes = draft.ledger.take(cache, entry)
        draft.skips.pop(f"{cache.cache.path}/{entry.path}", None)
        chosen = Chosen(entry, why_it_goes(entry, draft.snapshot.taken_at), Bytes(freed))
        _, entries, counts = by_cache.setdefault(cache.cache.path, (cache, [], []))
        entries.append(chosen)
        counts.append(inodes)
    for cache, entries, counts in by_cache.values():
        frees = Bytes(sum(chosen.adds for chosen in entries))
        draft.actions.append(Purge(policy, cache.cache, tuple(entries), frees, Inodes(sum(counts)), reason))


def _relocate(draft: _Draft, goal: Goal, words: str) -> None:
    for cache in goal.caches:
        owner = cache.cache.owner.name
        if "/" in owner or owner in {"", ".", ".."}:
            draft.skips.setdefault(cache.cache.path, f"its owner's name {owner!r} cannot be part of a path")
            continue
        to = (goal.policy.to or "").replace("{owner}", owner).replace("{ecosystem}", cache.cache.ecosystem)
        if cache.cache.path == to or cache.cache.path.startswith(to.rstrip("/") + "/"):
            draft.skips.setdefault(cache.cache.path, "it is at its destination already")
            continue
        frees = frees_of_all(cache)
        draft.actions.append(Relocate(goal.policy.name, cache.cache, to, Bytes(frees), words or "it has no mark"))
        draft.ledger.free[cache.device] = draft.ledger.free.get(cache.device, 0) + frees


def _say_shortfall(draft: _Draft, goal: Goal) -> None:
    lacks, inodes = goal.lacks(draft.ledger)
    if lacks or inodes:
        draft.shortfalls.append(Shortfall(goal.policy.name, goal.place, Bytes(lacks), Inodes(inodes)))


def fingerprint(taken: Iterable[Candidate]) -> str:
    """Names a set of entries as they are now; the same set, unchanged, has the same fingerprint."""
    digest = hashlib.blake2b(digest_size=16)
    lines = sorted(
        f"{cache.cache.path}/{entry.path} {entry.identity.inode} {entry.identity.modified}" for cache, entry in taken
    )
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def fingerprints(plan: Plan, snapshot: Snapshot) -> dict[str, str]:
    """Of each policy's purges in a plan, for remembering those that freed nothing."""
    by_path = {cache.cache.path: cache for cache in snapshot.caches}
    taken: dict[str, list[Candidate]] = {}
    for action in plan.actions:
        if isinstance(action, Purge):
            cache = by_path[action.cache.path]
            taken.setdefault(action.policy, []).extend((cache, chosen.entry) for chosen in action.entries)
    return {policy: fingerprint(entries) for policy, entries in taken.items()}
