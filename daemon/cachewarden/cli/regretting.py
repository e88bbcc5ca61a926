"""Adds up what was removed and came back, by policy and by package, and what a person may change about it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cachewarden.model.caches import Kind
from cachewarden.model.policies import LINK_SPEED, Policy, Settings
from cachewarden.model.regaining import is_package_name
from cachewarden.model.units import Bytes, Instant, Seconds, exact_span, human_bytes, seconds_between
from cachewarden.system.regrets import Regret, Removals

_LITTLE = 0.05
"""Up to this share of what was removed, coming back is the price of a cache that is smaller than all that is used."""
_MOST_ADVICE = 5
_AGAIN = 2
"""Once may be chance."""
_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a set of returns cost. ``whole``: the bytes of all of them are known; ``built``: of none are seconds."""

    times: int
    fetched: Bytes
    whole: bool
    built: Seconds | None
    soonest: Seconds

    def seconds(self, link_speed: int) -> float:
        """Of waiting, as far as it is known."""
        return self.fetched / max(1, link_speed) + (self.built or 0)


@dataclass(frozen=True, slots=True)
class OfPolicy:
    """How a policy did: ``removed`` entries since ``since``, of which ``cost.times`` came back (``None``: none)."""

    policy: str
    removed: int
    freed: Bytes
    since: Instant
    cost: Cost | None

    @property
    def share(self) -> float:
        """Of the removed that came back, 0 to 1."""
        return min(1.0, self.cost.times / self.removed) if self.cost and self.removed else 0.0


@dataclass(frozen=True, slots=True)
class OfPackage:
    """A package, or an entry without a name, that one policy took and somebody wanted back."""

    policy: str
    ecosystem: str
    owner: str
    kind: str
    name: str | None
    version: str | None
    path: str
    cost: Cost


def by_policy(removed: Iterable[Removals], regrets: Iterable[Regret], link_speed: int = LINK_SPEED) -> list[OfPolicy]:
    """The policies of which something came back first, the costliest of them first."""
    back = _grouped(regrets, lambda each: (each.policy,))
    taken: defaultdict[str, list[Removals]] = defaultdict(list)
    for each in removed:
        taken[each.policy].append(each)
    found = [
        OfPolicy(
            policy,
            sum(each.entries for each in parts),
            Bytes(sum(each.freed for each in parts)),
            min(each.since for each in parts),
            cost_of(back[policy,]) if (policy,) in back else None,
        )
        for policy, parts in taken.items()
    ]
    return sorted(found, key=lambda each: (-each.cost.seconds(link_speed) if each.cost else 1.0, each.policy))


def by_package(regrets: Iterable[Regret], link_speed: int = LINK_SPEED) -> list[OfPackage]:
    """The costliest first."""

    def key(each: Regret) -> _Key:
        what = (each.name, each.version or "") if each.name else ("", each.path)
        return (each.policy, each.ecosystem, each.owner, each.kind, *what)

    found = []
    for group in _grouped(regrets, key).values():
        one = group[0]
        found.append(
            OfPackage(one.policy, one.ecosystem, one.owner, one.kind, one.name, one.version, one.path, cost_of(group))
        )
    return sorted(found, key=lambda each: (-each.cost.seconds(link_speed), -each.cost.times, each.path))


def _grouped(regrets: Iterable[Regret], key: Callable[[Regret], _Key]) -> dict[_Key, list[Regret]]:
    groups: defaultdict[_Key, list[Regret]] = defaultdict(list)
    for each in regrets:
        groups[key(each)].append(each)
    return dict(groups)


def cost_of(regrets: Sequence[Regret]) -> Cost:
    """Of one or more."""
    built = [each.built for each in regrets if each.built is not None]
    return Cost(
        times=len(regrets),
        fetched=Bytes(sum(each.fetched or 0 for each in regrets)),
        whole=all(each.fetched is not None for each in regrets),
        built=Seconds(sum(built)) if built else None,
        soonest=min(after(each) for each in regrets),
    )


def after(regret: Regret) -> Seconds:
    """How long it was away."""
    return seconds_between(regret.removed_at, regret.back_at)


def advice(policies: Sequence[OfPolicy], packages: Sequence[OfPackage], settings: Settings | None) -> list[str]:
    """What would have helped, if anything: never that a policy which loses little be changed.

    ``settings``: as they are now, ``None`` when they cannot be read; a policy that is no longer in them needs none.
    """
    if not any(each.cost for each in policies):
        return []
    said = [*_keep(packages, settings), *_loosen(policies, settings)]
    if not said and all(each.share <= _LITTLE for each in policies):
        return ["Little of what was removed came back: nothing here asks for another policy."]
    return said[:_MOST_ADVICE]


def _keep(packages: Sequence[OfPackage], settings: Settings | None) -> Iterator[str]:
    """What comes back again and again is better kept."""
    kept = set(settings.keep.packages) if settings else set()
    times: defaultdict[str, list[OfPackage]] = defaultdict(list)
    for each in packages:
        if each.name and each.kind != Kind.INDEX and is_package_name(each.name):
            times[each.name].append(each)
    for name, parts in times.items():
        count = sum(each.cost.times for each in parts)
        if count >= _AGAIN and name not in kept:
            kept.add(name)
            size = human_bytes(sum(each.cost.fetched for each in parts))
            least = "" if all(each.cost.whole for each in parts) else "at least "
            yield f'{name} came back {count} times, {least}{size} in all: keep: {{packages: ["{name}"]}} keeps it.'


def _loosen(policies: Sequence[OfPolicy], settings: Settings | None) -> Iterator[str]:
    known = {policy.name: policy for policy in settings.policies} if settings else {}
    for each in policies:
        policy = known.get(each.policy)
        if each.cost is None or policy is None or each.share <= _LITTLE:
            continue
        if ways := list(_ways(policy)):
            yield f"{each.policy} takes what is wanted again: {', or '.join(ways)}."


def _ways(policy: Policy) -> Iterator[str]:
    """What makes a policy take less, of what it has. That the disk would be fuller then goes without saying."""
    if policy.unused_for is not None:
        yield f"an unused_for longer than {exact_span(policy.unused_for)} takes less"
    if policy.size is not None:
        yield "higher marks of its size leave more"
    if policy.free_space is not None and policy.free_space.start != policy.free_space.stop:
        yield "a free_space.until nearer to below takes less at a time"
