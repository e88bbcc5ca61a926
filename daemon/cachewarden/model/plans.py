"""What is to be done, and what was done."""

from dataclasses import dataclass
from enum import StrEnum

from cachewarden.model.caches import Cache, Entry, Filesystem, Kind, Problem, Quota
from cachewarden.model.relocations import Method, Moved, Prospect
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.model.worth import Regain


@dataclass(frozen=True, slots=True)
class Chosen:
    """An entry that is to go, why, and what its going adds to the bytes freed (after those before it)."""

    entry: Entry
    reason: str
    adds: Bytes


@dataclass(frozen=True, slots=True)
class Purge:
    """Remove these entries of one cache, in this order. ``frees`` is of the set: shared inodes counted once.

    ``maybe`` and ``held_open`` are of the set too, as of an ``Entry``.
    """

    policy: str
    cache: Cache
    entries: tuple[Chosen, ...]
    frees: Bytes
    frees_inodes: Inodes
    reason: str
    maybe: Bytes = Bytes(0)
    held_open: Bytes = Bytes(0)

    def why(self, chosen: Chosen) -> str:
        """Why one of the entries goes, for the history."""
        return f"{chosen.reason}; {self.reason}"


@dataclass(frozen=True, slots=True)
class Relocate:
    """Move one cache to ``to``; ``frees`` is what its present disk gets back.

    ``prospect`` is what a closer look at the move said, once there was one.
    """

    policy: str
    cache: Cache
    to: str
    frees: Bytes
    reason: str
    method: Method = Method.CONFIG
    prospect: Prospect | None = None


Action = Purge | Relocate


@dataclass(frozen=True, slots=True)
class Skip:
    """Something that stays although a policy looked at it, and why. ``path`` is absolute, or a policy's name."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A promise that cannot be kept: ``policy`` lacks this much at ``place`` (a mount point or a cache)."""

    policy: str
    place: str
    lacks: Bytes
    lacks_inodes: Inodes


class State(StrEnum):
    """How a policy stands now."""

    SATISFIED = "satisfied"
    TRIGGERED = "triggered"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a policy is from acting, in one sentence."""

    policy: str
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision of one round. ``engaged`` are the goals begun (see ``Snapshot.engaged``)."""

    actions: tuple[Action, ...] = ()
    skips: tuple[Skip, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    standings: tuple[Standing, ...] = ()
    engaged: frozenset[str] = frozenset()

    @property
    def shortfall(self) -> Bytes:
        """Bytes that stay wanting: the greatest lack of each place, added up."""
        worst: dict[str, int] = {}
        for short in self.shortfalls:
            worst[short.place] = max(worst.get(short.place, 0), short.lacks)
        return Bytes(sum(worst.values()))


@dataclass(frozen=True, slots=True)
class RemovedEntry:
    """An entry that is gone, the bytes the filesystem got back for it, and how it comes back (``None``: unknown).

    ``maybe``: bytes beyond ``freed`` that may have come back as well; ``held_open``: those that come back later.
    """

    path: str
    kind: Kind
    name: str | None
    version: str | None
    freed: Bytes
    reason: str
    regain: Regain | None = None
    maybe: Bytes = Bytes(0)
    held_open: Bytes = Bytes(0)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has removed files open, and the bytes that come back when it closes them."""

    pid: int
    name: str
    size: Bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be removed and the error in words; ``busy`` says that trying later is the remedy."""

    path: str
    error: str
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action really did. ``incomplete`` when it was stopped before its end; ``moved`` of a move.

    ``maybe`` and ``held_open`` are the sums over ``removed``; ``holders`` are some of those who have it open.
    ``quota``: the owner's afterwards.
    """

    policy: str
    action: str
    cache: Cache
    removed: tuple[RemovedEntry, ...] = ()
    freed: Bytes = Bytes(0)
    failures: tuple[Failure, ...] = ()
    incomplete: bool = False
    moved: Moved | None = None
    maybe: Bytes = Bytes(0)
    held_open: Bytes = Bytes(0)
    holders: tuple[Holder, ...] = ()
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One cycle, whole: what was seen, decided and done."""

    id: str
    trigger: str
    started_at: Instant
    finished_at: Instant
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    before: tuple[Filesystem, ...] = ()
    after: tuple[Filesystem, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def freed(self) -> Bytes:
        """The sum over the outcomes."""
        return Bytes(sum(outcome.freed for outcome in self.outcomes))

    @property
    def maybe(self) -> Bytes:
        """What may have been freed beyond that."""
        return Bytes(sum(outcome.maybe for outcome in self.outcomes))

    @property
    def held_open(self) -> Bytes:
        """What comes back only when processes close it."""
        return Bytes(sum(outcome.held_open for outcome in self.outcomes))
