"""What was removed and came back: the values, and how what came back is told from what is new.

An entry that was written again after its removal was wanted again. A file that came back with its old time was put
there by somebody (a backup, a disk that was away): nothing was fetched for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cachewarden.model.caches import Cache, Entry, Kind
from cachewarden.model.units import NANOSECONDS, Bytes, Instant, Seconds
from cachewarden.model.worth import Regain
from cachewarden.system.memory import storable

WITHIN = 90 * 86_400 * NANOSECONDS
"""What comes back later than that was not kept too short: no cache of a small disk keeps everything for a season."""
_MOST_TRIED = 100
"""Removals of one name that are tried for one entry: somebody may have a hundred thousand of both."""
NEVER_MISSED = frozenset({Kind.DEBRIS, Kind.LOG})
_BY_NAME = frozenset({Kind.DOWNLOAD, Kind.BUILT_WHEEL, Kind.TARBALL, Kind.PACKAGE})
"""Kinds of which one package and version is the same thing to its user under another name of its file."""


@dataclass(frozen=True, slots=True)
class Regret:
    """An entry that was removed and came back.

    ``fetched``: bytes downloaded again, ``None`` where that is not known; ``built``: seconds of building it again,
    ``None`` as well. ``same``: under its very path; else the same package and version under another.
    """

    cycle: str
    policy: str
    ecosystem: str
    owner: str
    path: str
    kind: str
    name: str | None
    version: str | None
    removed_at: Instant
    back_at: Instant
    fetched: Bytes | None
    built: Seconds | None
    same: bool


@dataclass(frozen=True, slots=True)
class Removals:
    """How much of one kind a policy removed, as far as that is remembered, since the first of it."""

    policy: str
    kind: str
    entries: int
    freed: Bytes
    since: Instant


@dataclass(frozen=True, slots=True)
class Gone:
    """A removal as the store has it, ``row`` being its name there; ``noted``: that it came back is known."""

    row: int
    at: Instant
    owner: str
    cache: str
    path: str
    kind: str
    name: str | None
    version: str | None
    noted: bool


@dataclass(frozen=True, slots=True)
class Back:
    """That the removal ``row`` came back, and at what cost."""

    row: int
    at: Instant
    fetched: Bytes | None
    built: Seconds | None
    same: bool


def may_be_back(entry: Entry) -> bool:
    """Whether anybody can have missed it."""
    return entry.kind not in NEVER_MISSED and not entry.leftover


@dataclass(slots=True)
class _Candidate:
    """An entry that may be something of old, and the removals that fit it, the latest first."""

    entry: Entry
    at: Instant
    path: Gone | None = None


@dataclass(slots=True)
class _Named:
    """New entries of one package and version, and as many of its removals."""

    candidates: list[_Candidate] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    latest: int = 0

    def offer(self, gone: Gone) -> None:
        """Twice as many as can be needed: some may be taken by the entry of the very path."""
        if not gone.noted and gone.at < self.latest and len(self.gone) < 2 * len(self.candidates):
            self.gone.append(gone)


def matches(
    found: Iterable[tuple[Cache, Entry]], of_paths: Iterable[Gone], of_names: Iterable[Gone], now: Instant
) -> Iterator[Back]:
    """Which removals the entries undo, each entry at most one, and each removal once.

    ``of_paths`` are removals among which are all of the entries' paths, ``of_names`` those of their names; of each
    path and name the latest first. Each is passed over once: what one owner makes of names costs the others no time.
    """
    paths: dict[tuple[str, str, str], _Candidate] = {}
    names: dict[tuple[str, ...], _Named] = {}
    for cache, entry in found:
        candidate = _Candidate(entry, min(entry.modified, now))
        owner, root = storable(cache.owner.name), storable(cache.path)
        paths[owner, root, storable(entry.path)] = candidate
        if key := _name_of(owner, root, entry.kind.value, entry.name, entry.version):
            named = names.setdefault(key, _Named())
            named.candidates.append(candidate)
            named.latest = max(named.latest, candidate.at)
    for gone in of_paths:
        same = paths.get((gone.owner, gone.cache, gone.path))
        if same and same.path is None and _in_time(gone, same.at):
            same.path = gone
    for gone in of_names:
        if of_name := names.get(_name_of(gone.owner, gone.cache, gone.kind, gone.name, gone.version) or ()):
            of_name.offer(gone)
    by_path = [each for each in paths.values() if each.path]
    yield from (_back(each, each.path, same=True) for each in by_path if each.path and not each.path.noted)
    taken = {each.path.row for each in by_path if each.path}
    for of_name in names.values():
        yield from _by_name(of_name, taken)


def _by_name(named: _Named, taken: set[int]) -> Iterator[Back]:
    left = [gone for gone in reversed(named.gone) if gone.row not in taken]
    for candidate in named.candidates:
        if candidate.path:
            continue
        for place in range(1, min(len(left), _MOST_TRIED) + 1):
            if _in_time(gone := left[-place], candidate.at):
                del left[-place]
                taken.add(gone.row)
                yield _back(candidate, gone, same=False)
                break


def _name_of(owner: str, cache: str, kind: str, name: str | None, version: str | None) -> tuple[str, ...] | None:
    if name is None or version is None or kind not in _BY_NAME:
        return None
    return (owner, cache, kind, storable(name), storable(version))


def _in_time(gone: Gone, at: Instant) -> bool:
    return 0 < at - gone.at <= WITHIN


def _back(candidate: _Candidate, gone: Gone, *, same: bool) -> Back:
    fetched, built = cost_of(candidate.entry)
    return Back(gone.row, candidate.at, fetched, built, same)


def cost_of(entry: Entry) -> tuple[Bytes | None, Seconds | None]:
    """What it took to get it: bytes fetched and seconds of building, each ``None`` where that is not known."""
    facts = entry.facts
    if facts is None:
        return None, None
    if facts.regain is Regain.EXTRACT:
        return Bytes(0), None
    return facts.fetch, facts.build if facts.regain is Regain.BUILD else None
