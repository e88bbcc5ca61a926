"""The plan in the making: what the policies so far decided, and the books they decided by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cachewarden.decide.appraisal import Appraiser
from cachewarden.decide.choice import Candidate
from cachewarden.decide.goals import Goal
from cachewarden.decide.ledger import Ledger, by_device
from cachewarden.model.caches import Cache, Entry, Filesystem, MeasuredCache, Snapshot
from cachewarden.model.plans import Action, Plan, Shortfall, Skip, Standing
from cachewarden.model.policies import Settings
from cachewarden.model.units import Bytes, Inodes

FRUITLESS = "could free nothing last time, and nothing has changed since"


@dataclass(slots=True)
class Draft:
    """``pursued``: goals that acted; whether they were reached is judged by the books at the end."""

    snapshot: Snapshot
    settings: Settings
    ledger: Ledger
    read_only: Mapping[int, Filesystem]
    appraiser: Appraiser
    actions: list[Action] = field(default_factory=list)
    skips: dict[str, str] = field(default_factory=dict)
    pursued: list[Goal] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)

    @classmethod
    def of(cls, snapshot: Snapshot, settings: Settings) -> "Draft":
        """An empty plan for a snapshot."""
        read_only = {device: each for device, each in by_device(snapshot).items() if each.read_only}
        return cls(snapshot, settings, Ledger(snapshot), read_only, Appraiser(snapshot, settings))

    def unfit(self, cache: MeasuredCache) -> str | None:
        """Why nothing can be removed from a cache, whatever is in it."""
        if filesystem := self.read_only.get(cache.device):
            return f"{filesystem.mount}, the filesystem it is on, is mounted read-only"
        return "it is mounted read-only" if cache.read_only else None

    def skip(self, path: str, reason: str) -> None:
        """Notes that something stays; the first reason is the one that is told."""
        self.skips.setdefault(path, reason)

    def pursue(self, goal: Goal) -> None:
        """Notes that a goal acts; one without marks promises nothing and is done in one go."""
        if goal.conditions:
            self.pursued.append(goal)

    def is_fruitless(self, policy: str, taken: Iterable[Candidate]) -> bool:
        """Whether the policy tried just these, as they are now, and freed nothing."""
        known = self.snapshot.fruitless.get(policy)
        return bool(known) and fingerprint((cache.cache, entry) for cache, entry in taken) in str(known).split()

    def plan(self) -> Plan:
        """The finished plan."""
        return Plan(
            actions=tuple(self.actions),
            skips=tuple(Skip(path, reason) for path, reason in sorted(self.skips.items())),
            shortfalls=tuple(self._shortfalls()),
            standings=tuple(self.standings),
            engaged=frozenset(goal.key for goal in self.pursued),
        )

    def _shortfalls(self) -> Iterable[Shortfall]:
        """What no policy could make good, the later ones included."""
        for goal in self.pursued:
            lacks, inodes = goal.lacks(self.ledger)
            if lacks or inodes:
                yield Shortfall(goal.policy.name, goal.place, Bytes(lacks), Inodes(inodes))


def by_name(caches: Iterable[MeasuredCache]) -> list[MeasuredCache]:
    """In the one order in which caches are looked at."""
    return sorted(caches, key=lambda cache: (cache.cache.path, cache.cache.owner.uid))


def where(cache: MeasuredCache, entry: Entry) -> str:
    """The absolute path of an entry."""
    return f"{cache.cache.path}/{entry.path}"


def fingerprint(taken: Iterable[tuple[Cache, Entry]]) -> str:
    """Names a set of entries as they are now; the same set, unchanged, has the same fingerprint."""
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for line in sorted(
        f"{cache.path}/{entry.path}\0{entry.identity.inode}\0{entry.identity.modified}\0" for cache, entry in taken
    ):
        digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
