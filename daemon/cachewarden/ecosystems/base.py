"""What an ecosystem must be able to tell. ``registry`` lists those there are."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

from cachewarden.ecosystems.known import Known
from cachewarden.model.caches import Cache, Entry, Kind, MeasuredCache, Owner, Problem
from cachewarden.model.units import Instant
from cachewarden.system.ports import Files, Folder, Listed, Processes


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where to look: an owner, that owner's environment variables, and files read with that owner's rights."""

    owner: Owner
    environ: Mapping[str, str]
    files: Files


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path that may be a cache. ``configured``: somebody named it, so a misfit is a problem worth saying."""

    ecosystem: str
    path: str
    source: str
    configured: bool = False


@dataclass(frozen=True, slots=True)
class StrangeKey:
    """A key of a tool's configuration that the tool does not know, and the ``nearest`` that it does."""

    place: str
    key: str
    nearest: str | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """Where an ecosystem keeps things for this owner.

    ``environments`` are absolute prefixes that may use packages of a cache. ``softlinks`` are the places that make
    the tool link environments to the cache by symlink: then no package can be proved unused.
    """

    candidates: tuple[Candidate, ...] = ()
    problems: tuple[Problem, ...] = ()
    environments: tuple[str, ...] = ()
    softlinks: tuple[str, ...] = ()
    strange: tuple[StrangeKey, ...] = ()


def strange_key(place: str, key: str, known: Collection[str]) -> StrangeKey:
    """With the nearest of the ``known`` keys, if there is one near enough to be meant."""
    import difflib

    near = difflib.get_close_matches(key[:80], known, 1, 0.75)
    return StrangeKey(place, key[:80], near[0] if near else None)


_Answer = TypeVar("_Answer")


class OneLook:
    """What is found out once for all caches of one look at an owner.

    ``environments`` are the prefixes that all ecosystems know of: packages of one are found in those of another.
    """

    def __init__(self, environments: tuple[str, ...] = ()) -> None:
        """Nothing is looked for before it is asked for."""
        self.environments = environments
        self._answers: dict[object, object] = {}

    def once(self, find: "Callable[[Context], _Answer]", context: "Context") -> _Answer:
        """What ``find`` said when it was asked first."""
        if find not in self._answers:
            self._answers[find] = find(context)
        return cast(_Answer, self._answers[find])


@dataclass(frozen=True, slots=True)
class Context:
    """What measuring and guarding need beside the cache itself."""

    surroundings: Surroundings
    located: Located
    processes: Processes
    now: Instant
    look: OneLook = field(default_factory=OneLook)


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured cache with what could not be measured in it.

    ``known``: paths of the entries that were taken over from an earlier look.
    """

    cache: MeasuredCache
    problems: tuple[Problem, ...] = ()
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InForce:
    """Where one tool puts what is new.

    ``tool`` is for people: ``pip install``, ``pip wheel with /usr/pip.conf``, ``conda of /opt/miniforge3``. ``path``
    is plain (no ``~``, no ``//``), links unresolved; ``None`` when no cache is in force. ``place`` is the file or the
    variable that decides, empty for the default; ``where`` says it to people.
    """

    tool: str
    path: str | None
    place: str
    where: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A file to be written: ``path`` with its links resolved, so that dot files kept elsewhere are edited there.

    ``before`` is what was read, ``None`` when the file is not there.
    """

    path: str
    before: bytes | None
    after: bytes


NO_ENTRY = "it is not an entry of this cache"
"""What a guard says of a request for something that measuring never names."""
Guard = Callable[[Folder, Folder, Entry], str | Listed | None]
"""Asked just before an entry goes, with the cache root and the entry's own folder: why it must stay, or ``None``.

A guard that had to look through all of a tree, and has nothing against its going, hands on what it saw there.
Of the entry only its path, kind and form are to be believed, and those only where they fit each other.
"""


class Ecosystem(Protocol):
    """One package manager's knowledge; a new one is a class of this shape and a line in ``registry``."""

    name: str
    kinds: tuple[Kind, ...]
    """Cheapest to lose first."""
    trees: tuple[str, ...]
    """Folders at the top of a cache that the tool itself never lists: whoever does, looks through the cache."""
    grows_in: tuple[str, ...]
    """Folders at the top, of a cache that is not watched whole, in which it grows as well."""
    deep: tuple[str, ...]
    """Names at the top below which such a cache grows where no watch sees it."""

    def locate(self, surroundings: Surroundings) -> Located:
        """Every place where the tool may keep a cache for this owner; nothing is opened below them."""
        ...

    def recognise(self, folder: Folder) -> str | None:
        """Why this folder is not a cache of this ecosystem; ``None`` when it is one, or empty."""
        ...

    def measure(self, cache: Cache, folder: Folder, context: Context, known: Known) -> Measured:
        """All entries of the cache, with their holds; what is as it was ``known`` to be need not be walked."""
        ...

    def guard(self, cache: Cache, context: Context) -> Guard:
        """The last look before a removal."""
        ...

    def in_force(self, surroundings: Surroundings) -> tuple[InForce, ...]:
        """Where each tool of this owner puts what is new, the most usual tool first; never raises."""
        ...

    def point(self, surroundings: Surroundings, old: str, new: str, *, keep: bool) -> Edit:
        """The edit after which every tool that uses ``old`` uses ``new``; ``keep``: and still finds ``old``.

        Writes nothing. RefusedError with the whole reason and the remedy when no edit of one file brings that about.
        """
        ...

    def point_back(self, current: bytes, edit: Edit, old: str, new: str) -> bytes | None:
        """``current`` as it was before ``edit``, which ``point`` gave, with all that others changed since.

        Exactly ``edit.before`` while nobody else wrote; ``current`` itself when it no longer says ``new``, or cannot
        be read any more; ``None`` when there was no file and nothing is left in it. Done twice it does no more, and
        it never raises.
        """
        ...

    def opened(self, path: str) -> str | None:
        """The entry that is used when a file is opened, both by their paths in the cache; ``None`` for no use."""
        ...

    def busy(self, cache: Cache, context: Context) -> str | None:
        """Why the whole cache cannot be moved now: a running tool, or a lock that is held in it."""
        ...
