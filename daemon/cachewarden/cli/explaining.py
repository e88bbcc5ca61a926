"""Finds what a word means, and why it stays or goes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from cachewarden.decide.appraisal import Alone, Appraiser
from cachewarden.decide.choice import Candidate, concerns, names_match
from cachewarden.decide.foretelling import Foreteller, Place
from cachewarden.decide.goals import matches
from cachewarden.decide.worth import Worth
from cachewarden.model.caches import Entry, MeasuredCache, Snapshot
from cachewarden.model.plans import Plan, Purge, Relocate, Standing
from cachewarden.model.policies import Policy, Settings
from cachewarden.settings import words
from cachewarden.system.files import RealFiles
from cachewarden.system.memory import PastRemoval, Store

_MOST_REMOVALS = 1000
_FIRST = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """An entry, the policy that takes it (``None``: it stays) and why.

    ``worth``, ``alone`` and ``places`` tell where it stands in the order of the policies that may take it.
    """

    cache: MeasuredCache
    entry: Entry
    policy: str | None
    reasons: tuple[str, ...]
    worth: Worth
    places: tuple[Place, ...] = ()
    alone: Alone | None = None


@dataclass(frozen=True, slots=True)
class CacheVerdict:
    """A whole cache, and what is to happen to it."""

    cache: MeasuredCache
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """A policy: how it stands, and at each place what goes first under it, of how many."""

    policy: Policy
    standing: Standing | None
    first: tuple[tuple[str, tuple[Candidate, ...], int], ...]


class Explainer:
    """Answers for one snapshot and the plan that was made of it."""

    def __init__(self, snapshot: Snapshot, plan: Plan, settings: Settings) -> None:
        """Indexes the plan by path."""
        self._snapshot = snapshot
        self._plan = plan
        self._settings = settings
        self._appraiser = Appraiser(snapshot, settings)
        self._foreteller = Foreteller(snapshot, settings)
        self._goes = {
            (action.cache.path, chosen.entry.path): (action.policy, f"{chosen.reason}; {action.reason}")
            for action in plan.actions
            if isinstance(action, Purge)
            for chosen in action.entries
        }
        self._skips = {skip.path: skip.reason for skip in plan.skips}

    def caches(self, word: str) -> list[CacheVerdict]:
        """Caches whose root the word names."""
        paths = _as_paths(word)
        return [
            CacheVerdict(cache, tuple(self._of_cache(cache)))
            for cache in self._snapshot.caches
            if cache.cache.path in paths
        ]

    def entries(self, word: str) -> list[Verdict]:
        """Entries that the word names: by path, by a path within a package's folder, or by package."""
        return [
            self._verdict(cache, entry)
            for cache in self._snapshot.caches
            for entry in cache.entries
            if _means(word, cache, entry)
        ]

    def policies(self, word: str) -> list[PolicyVerdict]:
        """The policy of that name."""
        standings = {each.policy: each for each in self._plan.standings}
        return [
            PolicyVerdict(
                policy,
                standings.get(policy.name),
                tuple((place, tuple(first), of) for place, first, of in self._foreteller.first(policy, _FIRST)),
            )
            for policy in self._settings.policies
            if policy.name == word
        ]

    def _of_cache(self, cache: MeasuredCache) -> Iterator[str]:
        path = cache.cache.path
        for action in self._plan.actions:
            if action.cache != cache.cache:
                continue
            if isinstance(action, Relocate):
                yield f"{action.policy} moves it to {action.to}: {action.reason}"
            else:
                yield f"{action.policy} removes {len(action.entries):,} of its entries: {action.reason}"
        if path in self._skips:
            yield self._skips[path]
        yield from self._standings(cache, None)

    def _verdict(self, cache: MeasuredCache, entry: Entry) -> Verdict:
        worth = self._foreteller.worth(cache, entry)
        if entry.hold is not None:
            return Verdict(cache, entry, None, (entry.hold,), worth)
        stands = self._places(cache, entry), self._foreteller.alone(cache, entry)
        if going := self._goes.get((cache.cache.path, entry.path)):
            return Verdict(cache, entry, going[0], (going[1],), worth, *stands)
        return Verdict(cache, entry, None, tuple(self._standings(cache, entry)), worth, *stands)

    def _places(self, cache: MeasuredCache, entry: Entry) -> tuple[Place, ...]:
        return tuple(
            place for policy in self._settings.policies for place in self._foreteller.places(policy, cache, entry)
        )

    def _standings(self, cache: MeasuredCache, entry: Entry | None) -> Iterator[str]:
        """Policy by policy, why it does not take it."""
        standings = {each.policy: each for each in self._plan.standings}
        for policy in self._settings.policies:
            standing = standings.get(policy.name)
            reason = self._not_concerned(policy, cache, entry)
            if reason is None and standing:
                reason = f"{standing.state.value}: {standing.reason}{self._instead(policy, cache, entry)}"
            yield f"{policy.name}: {reason or 'was not looked at'}"

    def _instead(self, policy: Policy, cache: MeasuredCache, entry: Entry | None) -> str:
        """Why a policy that acts on the cache just now does not take an entry that it may take."""
        acts = any(
            isinstance(action, Purge) and action.policy == policy.name and action.cache == cache.cache
            for action in self._plan.actions
        )
        return "; what goes before it is enough" if entry and acts else ""

    def _not_concerned(self, policy: Policy, cache: MeasuredCache, entry: Entry | None) -> str | None:
        if not matches(policy.match, cache):
            return "is not about this cache"
        if entry is None:
            return None
        if policy.kinds and entry.kind not in policy.kinds:
            return f"is not about entries of kind {entry.kind.value}"
        if not concerns(policy, entry):
            return "is not about this package"
        return self._appraiser.why_it_stays(policy, cache, entry)


def removals(store: Store, word: str) -> list[PastRemoval]:
    """What is gone of this path or package (``name`` or ``name==version``), the latest first."""
    name, equals, version = word.partition("==")
    found: dict[tuple[str, str], PastRemoval] = {}
    for spelling in dict.fromkeys((word, name, *_as_paths(word))):
        for each in store.removals(spelling, _MOST_REMOVALS):
            if not equals or spelling != name or each.version == version:
                found.setdefault((each.cycle, each.path), each)
    return sorted(found.values(), key=lambda each: -each.at)


def _as_paths(word: str) -> tuple[str, ...]:
    """The absolute paths that it may mean: as written, and with the folder's links followed."""
    if "\0" in word:
        return ()
    plain = os.path.abspath(word)
    folder, name = os.path.split(plain)
    real = RealFiles().real_path
    return tuple(dict.fromkeys((plain, os.path.join(real(folder), name), real(plain))))


def _means(word: str, cache: MeasuredCache, entry: Entry) -> bool:
    if entry.name is not None and names_match(_as_globs(word), entry):
        return True
    folder = entry.path.rpartition("/")[0]
    own = (entry.path, *(f"{folder}/{part}" if folder else part for part in entry.parts))
    if word in own:
        return True
    here = tuple(f"{cache.cache.path}/{path}" for path in own)
    return any(path in here or (entry.tree and path.startswith(f"{here[0]}/")) for path in _as_paths(word))


def _as_globs(word: str) -> tuple[str, ...]:
    try:
        return (words.package_glob(word),)
    except ValueError:
        return ()
