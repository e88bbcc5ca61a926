"""What is to be said of caches that a group shares: what breaks, what mends it, and whom sharing trusts.

No path is in any remedy: a worker named it, and who lists a cache trusts all that is in it.
"""

from collections.abc import Iterable, Iterator, Mapping

from cachewarden.model.findings import MENDABLE, Fact, FactKind, Finding, Severity
from cachewarden.relocate.sharing import NO_ACLS, SAFE, trust
from cachewarden.system.users import group_name

CHECK = "shared cache"
FIX = "cachewarden doctor --fix"
_TOLD = {
    FactKind.SHARED_CLOSED: (
        "members of {group} cannot write in {folders}, the first is {first}: their downloads stay uncached, and conda"
        " ends with NoWritablePkgsDirError where that is the top"
    ),
    FactKind.SHARED_OTHER_GROUP: "{folders} belong to another group than {group}, the first is {first}",
    FactKind.SHARED_NO_SETGID: (
        "what is made in {folders} gets the group of whoever makes it, not {group}; the first is {first}"
    ),
    FactKind.SHARED_NO_DEFAULT: (
        "what is made in {folders} gets what a umask leaves, not the rights of {group}; the first is {first}"
    ),
    FactKind.SHARED_FILES: (
        "{files} cannot be read or changed by members of {group} as by the owner, the first is {first}: what they"
        " install from it is copied instead of linked, or downloaded again"
    ),
}


def findings(facts: Iterable[Fact]) -> Iterator[Finding]:
    """What the facts about shared caches mean, one cache after the other; other facts are passed over."""
    caches: dict[str, dict[FactKind, Fact]] = {}
    for fact in facts:
        if fact.kind in _ALL:
            caches.setdefault(fact.place, {})[fact.kind] = fact
    for place, told in caches.items():
        yield from _broken(place, told)
        for kind, make in _APART.items():
            if kind in told:
                yield make(told[kind])


def _broken(place: str, told: Mapping[FactKind, Fact]) -> Iterator[Finding]:
    sentences = [_sentence(told[kind]) for kind in _TOLD if kind in told]
    if sentences:
        yield Finding(CHECK, Severity.WARNING, place, "; ".join(sentences), FIX)


def _sentence(fact: Fact) -> str:
    return _TOLD[fact.kind].format(
        group=group_name(fact.gid),
        folders=_number(fact.count, "folder"),
        files=_number(fact.count, "file"),
        first=fact.detail,
    )


def _foreign(fact: Fact) -> Finding:
    return Finding(
        CHECK, Severity.WARNING, fact.place,
        f"{_number(fact.count, 'file')} or folders that keep members of {group_name(fact.gid)} out belong to somebody"
        f" else than the cache, the first is {fact.detail}",
        "whoever made it gives it to the group, or removes it: only that user or root can",
    )  # fmt: skip


def _linked(fact: Fact) -> Finding:
    return Finding(
        CHECK, Severity.NOTE, fact.place,
        f"{_number(fact.count, 'file')} that members of {group_name(fact.gid)} cannot change have names elsewhere, as"
        f" in an environment, the first is {fact.detail}: they stay as they are",
        "nothing to do: members get copies of them instead of hard links",
    )  # fmt: skip


def _without_acls(fact: Fact) -> Finding:
    return Finding(
        CHECK, Severity.NOTE, fact.place,
        f"its filesystem {NO_ACLS}",
        f"members set umask 002; `{FIX}` mends what its owner made; or a disk with ext4, xfs or btrfs",
    )  # fmt: skip


def _trust(fact: Fact) -> Finding:
    safe = SAFE.get(fact.detail, SAFE["conda"])
    return Finding(CHECK, Severity.NOTE, fact.place, trust(group_name(fact.gid)), safe)


_APART = {
    FactKind.SHARED_FOREIGN: _foreign,
    FactKind.SHARED_LINKED: _linked,
    FactKind.SHARED_WITHOUT_ACLS: _without_acls,
    FactKind.SHARED: _trust,
}
_ALL = {*MENDABLE, *_APART}


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
