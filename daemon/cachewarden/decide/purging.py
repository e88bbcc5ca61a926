"""What a purging policy takes, in its order, until its goals are content."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cachewarden.decide.choice import Candidate, concerns, why_it_goes
from cachewarden.decide.draft import FRUITLESS, Draft, where
from cachewarden.decide.goals import Goal
from cachewarden.decide.ledger import CacheKey, Change, key_of
from cachewarden.decide.words import Outlook, amount, sort_of
from cachewarden.model.caches import Entry, MeasuredCache
from cachewarden.model.plans import Chosen, Purge
from cachewarden.model.policies import Policy
from cachewarden.model.units import Bytes, Inodes

_FREES_NOTHING = "removing it frees nothing"
_SHARED = "other files, or snapshots, share its bytes: removing it may free nothing"
_OPENED = "a process has it open: removing it frees nothing before that is closed"
_Stuck = frozenset[tuple[CacheKey, str]]


class _Taken(NamedTuple):
    """An entry that is in the books as gone, and what that added."""

    cache: MeasuredCache
    entry: Entry
    change: Change


@dataclass(slots=True)
class _Attempt:
    """What a goal takes. ``stays``: how many of its sort must stay."""

    goal: Goal
    reason: str
    taken: list[_Taken]
    stays: int


def purge(draft: Draft, policy: Policy, goals: list[Goal]) -> Outlook:
    """Enters the policy's purges into the draft.

    The very set that could not be removed last time is left where it is for what comes after it in the order: one
    entry that cannot go must not keep the disk full.
    """
    stuck: _Stuck = frozenset()
    while True:
        outlook = Outlook()
        attempts = [attempt for goal in goals if (attempt := _attempt(draft, goal, stuck, outlook))]
        taken = [each for attempt in attempts for each in attempt.taken]
        if not taken or not draft.is_fruitless(policy.name, ((each.cache, each.entry) for each in taken)):
            break
        _put_back(draft, taken)
        draft.skip(policy.name, FRUITLESS)
        stuck |= {(key_of(each.cache), each.entry.path) for each in taken}
    for attempt in attempts:
        draft.pursue(attempt.goal)
        _enter(draft, policy.name, attempt.reason, attempt.taken)
        _tell(outlook, attempt)
    return outlook


def purge_all(draft: Draft, policy: str, reason: str, found: Iterable[Candidate]) -> None:
    """Enters a purge of just these."""
    _enter(draft, policy, reason, _take(draft, found))


def eligible(draft: Draft, goal: Goal, stuck: _Stuck = frozenset()) -> tuple[list[Candidate], dict[str, str]]:
    """What the policy may take, in its order, and by path what must stay, with the reasons."""
    found: list[Candidate] = []
    stays: dict[str, str] = {}
    policy = goal.policy
    for cache in goal.caches:
        unfit, gone = draft.unfit(cache), draft.ledger.gone_of(cache)
        for entry in cache.entries:
            if entry.path in gone or not concerns(policy, entry):
                continue
            reason = unfit or draft.appraiser.why_it_stays(policy, cache, entry)
            if reason is None and stuck and (key_of(cache), entry.path) in stuck:
                reason = f"it {FRUITLESS}"
            if reason is None:
                found.append((cache, entry))
            else:
                stays[where(cache, entry)] = reason
    return draft.appraiser.ordered(policy.order, found, draft.ledger.gone_of), stays


def _attempt(draft: Draft, goal: Goal, stuck: _Stuck, outlook: Outlook) -> _Attempt | None:
    """Takes for one goal if it starts."""
    engaged = draft.snapshot.engaged
    words = goal.describe(draft.ledger, engaged)
    if not goal.starts(draft.ledger, engaged):
        outlook.resting.append((goal.distance(draft.ledger), words))
        return None
    found, stays = eligible(draft, goal, stuck)
    for path, reason in stays.items():
        draft.skip(path, reason)
    return _Attempt(goal, words or f"{sort_of(goal.policy)} go", _choose(draft, goal, found), len(stays))


def _choose(draft: Draft, goal: Goal, found: Iterable[Candidate]) -> list[_Taken]:
    """Takes in order until the goal is content.

    One that frees nothing by itself but shares inodes is taken in the hope that the others with a name of them
    follow. If they do not, it is put back in the end: nothing goes for nothing.
    """
    ledger = draft.ledger
    taken: list[_Taken] = []
    hopes: list[_Taken] = []
    for cache, entry in found:
        if goal.content(ledger):
            break
        if entry.path in ledger.gone_of(cache):  # told twice: a worker's answer is not to be relied upon
            continue
        one = _Taken(cache, entry, ledger.take(cache, entry))
        if not goal.advances(one.change):
            if not entry.shares:
                _put_back(draft, [one])
                draft.skip(where(cache, entry), _why_for_nothing(entry))
                continue
            hopes.append(one)
        taken.append(one)
    return _settled(draft, goal, taken, hopes)


def _why_for_nothing(entry: Entry) -> str:
    if entry.held_open:
        return _OPENED
    return _SHARED if entry.maybe or any(share.maybe for share in entry.shares) else _FREES_NOTHING


def _settled(draft: Draft, goal: Goal, taken: list[_Taken], hopes: list[_Taken]) -> list[_Taken]:
    """Without the hopes that came to nothing; where caches share inodes, in the order in which it will be done."""
    vain = {id(one) for one in hopes if not goal.advances(draft.ledger.part_of(one.cache, one.entry))}
    if not vain and not draft.ledger.caches_share:
        return taken
    _put_back(draft, taken)
    for one in hopes:
        if id(one) in vain:
            draft.skip(where(one.cache, one.entry), _why_for_nothing(one.entry))
    return _take(draft, _cache_by_cache(one for one in taken if id(one) not in vain))


def _cache_by_cache(taken: Iterable[_Taken]) -> Iterable[Candidate]:
    """In the order in which it will be done: the caches by their first entries."""
    by_cache: dict[CacheKey, list[Candidate]] = {}
    for one in taken:
        by_cache.setdefault(key_of(one.cache), []).append((one.cache, one.entry))
    return (candidate for candidates in by_cache.values() for candidate in candidates)


def _take(draft: Draft, found: Iterable[Candidate]) -> list[_Taken]:
    ledger = draft.ledger
    return [
        _Taken(cache, entry, ledger.take(cache, entry))
        for cache, entry in found
        if entry.path not in ledger.gone_of(cache)
    ]


def _put_back(draft: Draft, taken: list[_Taken]) -> None:
    for one in reversed(taken):
        draft.ledger.put_back(one.cache, one.entry, one.change)


def _enter(draft: Draft, policy: str, reason: str, taken: Iterable[_Taken]) -> None:
    """Makes one action of each cache's entries."""
    by_cache: dict[CacheKey, list[_Taken]] = {}
    for one in taken:
        if draft.skips:
            draft.skips.pop(where(one.cache, one.entry), None)
        by_cache.setdefault(key_of(one.cache), []).append(one)
    now = draft.snapshot.taken_at
    for part in by_cache.values():
        entries = tuple(Chosen(one.entry, why_it_goes(one.entry, now), Bytes(one.change.freed)) for one in part)
        frees = Bytes(sum(one.change.freed for one in part))
        inodes = Inodes(sum(one.change.inodes for one in part))
        maybe = Bytes(sum(one.change.maybe for one in part))
        held = Bytes(sum(one.entry.held_open for one in part))
        draft.actions.append(Purge(policy, part[0].cache.cache, entries, frees, inodes, reason, maybe, held))


def _tell(outlook: Outlook, attempt: _Attempt) -> None:
    words = attempt.reason
    if not attempt.goal.conditions:
        freed = sum(one.change.freed for one in attempt.taken)
        words = f"{words}: {amount(len(attempt.taken), freed, attempt.stays)}"
    if attempt.goal.conditions or attempt.taken:
        outlook.started.append(words)
    else:
        outlook.resting.append((0.0, words))
