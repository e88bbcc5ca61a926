"""What ``explain`` answers, as JSON: see ``json``."""

from collections.abc import Iterable

from cachewarden.cli.explaining import CacheVerdict, PolicyVerdict, Verdict
from cachewarden.cli.render.json import SCHEMA, Document, gone, listed
from cachewarden.cli.render.words import of_cache
from cachewarden.decide.appraisal import Alone
from cachewarden.decide.foretelling import Place
from cachewarden.decide.worth import Worth, usual
from cachewarden.model.caches import Entry
from cachewarden.system.memory import PastRemoval

_MOST_OTHERS = 100


def explained(
    policies: Iterable[PolicyVerdict],
    caches: Iterable[CacheVerdict],
    entries: Iterable[Verdict],
    removals: Iterable[PastRemoval],
) -> Document:
    """What a word means now, each entry with the policy that takes it (``null``: it stays), and what is gone."""
    return {
        **SCHEMA,
        "policies": [_policy(each) for each in policies],
        "caches": [
            {
                "ecosystem": each.cache.cache.ecosystem,
                "owner": each.cache.cache.owner.name,
                "path": each.cache.cache.path,
                "reasons": list(each.reasons),
            }
            for each in caches
        ],
        "entries": [_entry(each) for each in entries],
        "removals": [gone(each) for each in removals],
    }


def _policy(verdict: PolicyVerdict) -> Document:
    return {
        "name": verdict.policy.name,
        "action": verdict.policy.action.value,
        "order": verdict.policy.order.value,
        "state": verdict.standing.state.value if verdict.standing else None,
        "reason": verdict.standing.reason if verdict.standing else None,
        "places": [
            {"place": place, "entries": of, "first": [of_cache(cache, entry) for cache, entry in first]}
            for place, first, of in verdict.first
        ],
    }


def _entry(verdict: Verdict) -> Document:
    return {
        **listed(verdict.cache.cache, verdict.entry),
        "policy": verdict.policy,
        "reasons": list(verdict.reasons),
        "places": [_place(each) for each in verdict.places],
        "worth": _worth(verdict.worth, verdict.entry, verdict.alone),
    }


def _place(place: Place) -> Document:
    return {
        "policy": place.policy,
        "place": place.place,
        "number": place.number,
        "of": place.of,
        "freed_before_bytes": place.before,
        "when": place.when,
    }


def _worth(worth: Worth, entry: Entry, alone: Alone | None) -> Document:
    """Each factor of ``cheapest-first``; ``value`` is seconds a day for each byte freed.

    ``alone``: what it is once the entries at these paths, which make it cheap, are gone.
    """
    facts = entry.facts or usual(entry.kind)
    return {
        "value": worth.value,
        "regain": facts.regain.value,
        "cost_seconds": worth.cost,
        "fetch_bytes": facts.fetch,
        "build_seconds": facts.build,
        "build_measured": facts.measured,
        "uses": worth.frequency - 1,
        "idle_days": worth.idle,
        "uses_per_day": worth.rate,
        "installed": facts.installed,
        "factors": [{"reason": why, "factor": factor} for why, factor in worth.weights],
        "freed_bytes": worth.freed,
        "alone": {"value": alone.worth.value, "without": list(alone.others[:_MOST_OTHERS])} if alone else None,
    }
