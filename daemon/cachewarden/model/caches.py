"""What is on the machine: owners, caches, their entries, and the filesystems below them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cachewarden.model.relocations import RelocationSeen
from cachewarden.model.units import Bytes, Inodes, Instant, Serial
from cachewarden.model.worth import Facts, Signal

TRASH = ".cachewarden-trash"
"""The folder at the top of a cache to which packages are renamed before they are deleted; the tools ignore it."""
MARKER = ".cachewarden-relocated"
"""The file at the top of a destination that says whose it is: where it cannot be read, the disk is not here."""
COPYING = ".cachewarden-copying"
"""The folder at the top of a cache that is copied to, for what is no part of it yet."""
ARCHIVE_ENDINGS = (".conda", ".tar.bz2")
"""Of conda's archives; without them it is the path of the package that is unpacked of it."""
OWN_NAMES = frozenset({MARKER, TRASH, COPYING})
"""What cachewarden itself puts at the top of a cache; no tool minds it."""


class Kind(StrEnum):
    """What an entry is; the words of the policy language."""

    DEBRIS = "debris"
    LOG = "log"
    INDEX = "index"
    DOWNLOAD = "download"
    TARBALL = "tarball"
    PACKAGE = "package"
    BUILT_WHEEL = "built-wheel"


def unpacked_of(archive: str) -> str:
    """The path of the package that is unpacked of an archive of conda's; empty for any other path."""
    return next((archive.removesuffix(each) for each in ARCHIVE_ENDINGS if archive.endswith(each)), "")


@dataclass(frozen=True, slots=True)
class Owner:
    """A user whose caches are looked after, with that user's rights."""

    uid: int
    gid: int
    name: str
    home: str


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache root and why it is believed to be one (``source``, for people)."""

    ecosystem: str
    path: str
    owner: Owner
    source: str


_SHARED_PLACES = ("/opt/", "/usr/", "/srv/", "/var/")


def is_private(cache: Cache) -> bool:
    """Whether a cache is one user's own: in that user's home, and not in a place that is everybody's."""
    home = cache.owner.home.rstrip("/")
    return bool(home) and cache.path.startswith(home + "/") and not cache.path.startswith(_SHARED_PLACES)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file a name meant when it was measured; re-checked just before removal."""

    device: Serial
    inode: Serial
    modified: Instant


@dataclass(frozen=True, slots=True)
class Share:
    """An inode that is freed only together with other entries.

    For a hard-linked file ``needed`` is its link count and ``held`` the links within this entry; for a folder
    ``needed`` is how many things are in it and ``held`` how many of them are this entry. ``maybe``: see ``Entry``.
    """

    device: Serial
    inode: Serial
    needed: int
    held: int
    frees: Bytes
    maybe: Bytes = Bytes(0)


@dataclass(frozen=True, slots=True)
class Entry:
    """The smallest thing that can be removed on its own.

    ``path`` is relative to the cache root. ``parts`` are the file names beside ``path`` that go with it (a body
    with its metadata); ``tree`` says that ``path`` is a folder and goes whole; ``prune`` how many folders above it
    go too once they are empty. ``frees`` is a lower bound: what removing exactly this entry gives back. ``rank``
    orders kinds where nothing else does. ``hold`` is the reason why it must stay, ``None`` exactly when it may go.
    ``leftover`` marks trash of an interrupted removal of ours. ``signal`` tells by what sign ``last_used`` is known;
    ``facts`` is ``None`` where nothing is known beyond the kind. ``maybe``: bytes beyond ``frees`` that may come back
    as well, so that the truth lies between ``frees`` and the sum (extents that other files share, compressed ones).
    ``held_open``: bytes, in neither of them, that come back only when a process closes what it has open. ``own_hold``
    is that part of ``hold`` which the files themselves tell, before processes and environments are asked.
    """

    path: str
    kind: Kind
    name: str | None
    version: str | None
    size: Bytes
    frees: Bytes
    frees_inodes: Inodes
    modified: Instant
    last_used: Instant | None
    identity: Identity
    rank: int
    hold: str | None = None
    parts: tuple[str, ...] = ()
    tree: bool = False
    prune: int = 0
    leftover: bool = False
    shares: tuple[Share, ...] = ()
    signal: Signal = Signal.WRITTEN
    facts: Facts | None = None
    maybe: Bytes = Bytes(0)
    held_open: Bytes = Bytes(0)
    own_hold: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a cache of which can be told without walking it that it is as it was: a package, a branch of a tree.

    Entries at ``path`` (relative to the cache root) and below belong to it. ``mark`` is another one when the part has
    changed; what goes into it its ecosystem knows. ``size``: bytes that it adds to those of its cache.
    """

    path: str
    mark: str
    size: Bytes


@dataclass(frozen=True, slots=True)
class Quota:
    """What a user may take up on one filesystem, and takes up. ``limit`` is the lower of the two limits that are set:

    beyond the soft one nothing can be written either, once the days of grace are over.
    """

    limit: Bytes
    used: Bytes

    @property
    def free(self) -> Bytes:
        """What is left of it."""
        return Bytes(max(0, self.limit - self.used))


@dataclass(frozen=True, slots=True)
class MeasuredCache:
    """A cache with all its entries; ``size`` is what ``du`` says of its root, each inode once.

    ``read_only``: nothing can be written where it is mounted, though the filesystem may be writable elsewhere: the
    sandbox of a service does that. ``quota``: its owner's on that filesystem, ``None`` where there is none.
    ``parts`` are for the next look, which need not walk those that are unchanged; ``verified`` is when the last look
    began that walked all of it.
    """

    cache: Cache
    device: Serial
    size: Bytes
    entries: tuple[Entry, ...]
    read_only: bool = False
    quota: Quota | None = None
    parts: tuple[Part, ...] = ()
    verified: Instant | None = None


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A mounted filesystem. ``free`` is what an ordinary user can get, in bytes and inodes.

    ``read_only``: no cache on it can be written to. ``inodes_total`` is 0 where the filesystem makes inodes on demand
    (btrfs): no inode mark applies there. ``tracks_atime``: reading moves access times (not with ``noatime``), with
    ``atime_daily`` (``relatime``, the kernel's default) once a day at most.
    """

    device: Serial
    mount: str
    type: str
    total: Bytes
    free: Bytes
    inodes_total: Inodes
    inodes_free: Inodes
    tracks_atime: bool
    read_only: bool = False
    atime_daily: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a part of the picture from being whole, and for people why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one owner's worker found.

    ``references`` are the conda distributions (``name-version-build``) that the owner's environments record;
    ``relocations`` the owner's moves, begun or made.
    """

    caches: tuple[MeasuredCache, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    problems: tuple[Problem, ...] = ()
    references: tuple[str, ...] = ()
    relocations: tuple[RelocationSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a decision may depend on, the time included.

    ``due``: scheduled policies whose hour has come. ``engaged``: goals begun in this cycle and not yet reached,
    as ``policy@place``, which go on to their ``until``. ``fruitless``: fingerprints of what each policy tried
    last without freeing anything. ``next_times``: when schedules come next, in words. ``unmovable``: caches, as
    ``uid path``, whose destination was found unfit, with the reason; ``waiting``: those that cannot be moved now.
    ``online``: whether this machine has a way to some network, as far as it can tell.
    """

    taken_at: Instant
    caches: tuple[MeasuredCache, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    problems: tuple[Problem, ...] = ()
    due: frozenset[str] = frozenset()
    engaged: frozenset[str] = frozenset()
    fruitless: Mapping[str, str] = field(default_factory=dict)
    next_times: Mapping[str, str] = field(default_factory=dict)
    relocations: tuple[RelocationSeen, ...] = ()
    unmovable: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    online: bool = True
