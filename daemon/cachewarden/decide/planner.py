"""``decide``: the plan for a snapshot. Policies act in order, each seeing what those before it will have freed."""

from cachewarden.decide.draft import FRUITLESS, Draft, by_name, fingerprint
from cachewarden.decide.goals import Goal, cannot_be_judged, goals_of, matches
from cachewarden.decide.ledger import by_device
from cachewarden.decide.purging import eligible, purge, purge_all
from cachewarden.decide.relocation import is_there, otherwise, relocate
from cachewarden.decide.words import Outlook, amount, sort_of
from cachewarden.model.caches import Cache, Entry, MeasuredCache, Snapshot
from cachewarden.model.plans import Plan, Purge, Standing, State
from cachewarden.model.policies import ActionKind, Policy, Settings

LEFTOVERS = "finish-interrupted"
"""The name under which trash of an interrupted removal goes, before any policy."""


def decide(snapshot: Snapshot, settings: Settings) -> Plan:
    """The plan of one round: a function of its arguments alone.

    Never takes an entry with a hold or one that ``keep`` names; never goes more than one entry beyond a stop mark.
    """
    draft = Draft.of(snapshot, settings)
    _leftovers(draft)
    for policy in settings.policies:
        draft.standings.append(_policy(draft, policy))
    return draft.plan()


def fingerprints(plan: Plan, snapshot: Snapshot) -> dict[str, str]:
    """Of each policy's purges in a plan, to be given back in ``Snapshot.fruitless`` when they freed nothing.

    What a policy went around in this plan stays known with what it tried instead.
    """
    taken: dict[str, list[tuple[Cache, Entry]]] = {}
    for action in plan.actions:
        if isinstance(action, Purge):
            entries = ((action.cache, chosen.entry) for chosen in action.entries)
            taken.setdefault(action.policy, []).extend(entries)
    known = {skip.path: snapshot.fruitless.get(skip.path, "") for skip in plan.skips if skip.reason == FRUITLESS}
    return {policy: f"{known.get(policy, '')} {fingerprint(tried)}".strip() for policy, tried in taken.items()}


def _leftovers(draft: Draft) -> None:
    found = [
        (cache, entry)
        for cache in by_name(draft.snapshot.caches)
        for entry in sorted(cache.entries, key=lambda entry: entry.path)
        if entry.leftover and entry.hold is None and draft.unfit(cache) is None
    ]
    if found and draft.is_fruitless(LEFTOVERS, found):
        draft.skip(LEFTOVERS, FRUITLESS)
    else:
        purge_all(draft, LEFTOVERS, "left over from an interrupted removal", found)


def _policy(draft: Draft, policy: Policy) -> Standing:
    if policy.schedule is not None and policy.name not in draft.snapshot.due:
        coming = draft.snapshot.next_times.get(policy.name)
        reason = f"waits for its schedule, {policy.schedule}{f': next {coming}' if coming else ''}"
        return Standing(policy.name, State.WAITING, reason)
    act = {ActionKind.PURGE: purge, ActionKind.RELOCATE: _relocate, ActionKind.REPORT: _report}[policy.action]
    goals = list(goals_of(policy, draft.snapshot, _concerned(draft, policy)))
    return act(draft, policy, goals).standing(policy)


def _concerned(draft: Draft, policy: Policy) -> tuple[MeasuredCache, ...]:
    """The caches that a policy is about; the others that match are noted with the reason."""
    filesystems = by_device(draft.snapshot)
    found: list[MeasuredCache] = []
    for cache in by_name(draft.snapshot.caches):
        if not matches(policy.match, cache):
            continue
        reason = cannot_be_judged(policy, cache, filesystems)
        if policy.action is ActionKind.RELOCATE and is_there(policy, cache.cache):
            reason = "it is at its destination already"
        if reason is None:
            found.append(cache)
        else:
            draft.skip(cache.cache.path, reason)
    return tuple(found)


def _relocate(draft: Draft, policy: Policy, goals: list[Goal]) -> Outlook:
    outlook = Outlook()
    begun: list[Goal] = []
    for goal in goals:
        words = goal.describe(draft.ledger, draft.snapshot.engaged)
        if not goal.starts(draft.ledger, draft.snapshot.engaged):
            outlook.resting.append((goal.distance(draft.ledger), words))
            continue
        begun.append(goal)
        draft.pursue(goal)
        words = words or f"every cache that matches belongs in {policy.to}"
        if relocate(draft, goal, words) or goal.conditions:
            outlook.started.append(words)
        else:
            outlook.resting.append((0.0, "none of its caches can be moved"))
    outlook.started += [words for words in otherwise(draft, policy, begun).started if words not in outlook.started]
    return outlook


def _report(draft: Draft, policy: Policy, goals: list[Goal]) -> Outlook:
    outlook = Outlook()
    for goal in goals:
        words = goal.describe(draft.ledger, draft.snapshot.engaged)
        starts = goal.starts(draft.ledger, draft.snapshot.engaged)
        if not goal.conditions:
            found, stays = eligible(draft, goal)
            words = f"{sort_of(policy)}: {amount(len(found), sum(entry.frees for _, entry in found), len(stays))}"
            starts = bool(found)
        if starts:
            outlook.started.append(words)
        else:
            outlook.resting.append((goal.distance(draft.ledger), words))
    return outlook
