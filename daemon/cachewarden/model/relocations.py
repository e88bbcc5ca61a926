"""A cache that is moved, or was: how far, from where to where, and what is known before it begins."""

from dataclasses import dataclass, replace
from enum import StrEnum

from cachewarden.model.units import Bytes, Instant

SET_ASIDE = ".cachewarden-old-"
"""What a folder that is to go is called, behind its own name and before that of the move."""
INCOMING = ".cachewarden-incoming-"
"""Where a cache that comes back is put together, in the same way."""
_ID_LENGTH = 12


class Method(StrEnum):
    """How a tool is told of the new place; the words of the policy language."""

    CONFIG = "config"
    SYMLINK = "symlink"


class Phase(StrEnum):
    """The step that a move is in. Each is recorded before anything of it is done."""

    COPYING = "copying"
    """The other place is filled; the tool uses the one where the cache is."""
    SWITCHING = "switching"
    """The other place is complete; the tool is being told."""
    REMOVING = "removing"
    """The tool uses the other place; what is left at the first one goes."""
    SETTLED = "settled"
    """Moved: the tool uses the destination."""
    LEAVING = "leaving"
    """The destination cannot be used now; the tool is being told to use the old place again."""
    AWAY = "away"
    """The tool uses the old place until the destination is here again."""
    CANCELLING = "cancelling"
    """A copy that nobody wants any more goes."""
    OVER = "over"
    """Nothing is left to do or to remember."""


class Heading(StrEnum):
    """Which way a move goes."""

    OUT = "out"
    BACK = "back"


class Presence(StrEnum):
    """How a destination is found."""

    HERE = "here"
    MISSING = "missing"
    READ_ONLY = "read-only"
    FULL = "full"
    FAILING = "failing"


DISK_FULL = "its disk is full"
"""What a record says of a destination that was found full once: the next look decides."""
RESTING = (Phase.SETTLED, Phase.AWAY, Phase.OVER)


@dataclass(frozen=True, slots=True)
class Relocation:
    """What an owner's record says of one move.

    ``old`` and ``new`` are the place before and the destination. ``returns``: it was away and comes
    forward again; ``adopts``: the destination holds what an earlier move left there. Then two caches become one, and
    what only the target has stays. ``granularity`` is that of
    times at the destination, in nanoseconds. ``verified``: what was
    copied so far was read back, and the last run ended by itself. ``whole``: all of the source was copied once.
    ``found``: the old place was there when two caches began to become one.
    ``set_aside`` and ``landing`` are the inodes of the folder that is to go and of the one that is put together, 0
    for none: what has their names and is another is not ours. ``clearing``: what is set aside is no longer whole.
    ``config`` is the file that was changed, ``mount`` the mount point that was judged fit.
    ``original`` its bytes in base64 before (``None``: it was not there), ``written`` those it is to have.
    """

    id: str
    ecosystem: str
    old: str
    new: str
    method: Method
    phase: Phase
    heading: Heading
    begun: Instant
    policy: str
    keep: bool = False
    leave_data: bool = False
    returns: bool = False
    adopts: bool = False
    verified: bool = False
    whole: bool = False
    found: bool = False
    set_aside: int = 0
    landing: int = 0
    granularity: int = 1
    go_back: bool = False
    clearing: bool = False
    mount: str = ""
    shared_group: str = ""
    config: str = ""
    original: str | None = None
    written: str = ""
    why: str = ""
    tries: int = 0
    not_before: Instant = Instant(0)

    @property
    def source(self) -> str:
        """Where the data come from in this heading."""
        return self.old if self.heading is Heading.OUT else self.new

    @property
    def target(self) -> str:
        """Where they go."""
        return self.new if self.heading is Heading.OUT else self.old

    @property
    def aside(self) -> str:
        """What was at the old place, from the moment its tool uses the other one."""
        return f"{self.old}{SET_ASIDE}{self.id[:_ID_LENGTH]}"

    @property
    def aside_there(self) -> str:
        """What was at the destination, when it is to go."""
        return f"{self.new}{SET_ASIDE}{self.id[:_ID_LENGTH]}"

    @property
    def incoming(self) -> str:
        """What comes back, until it is whole."""
        return f"{self.old}{INCOMING}{self.id[:_ID_LENGTH]}"

    def afresh(self, phase: Phase, heading: Heading) -> "Relocation":
        """At the begin of a way: nothing is known of any copy."""
        return replace(
            self, phase=phase, heading=heading, verified=False, whole=False, found=False, set_aside=0, landing=0,
            clearing=False, tries=0, not_before=Instant(0), why="",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RelocationSeen:
    """A relocation as a worker found it. ``goes_back``: once its disk is here it is to be taken back."""

    id: str
    ecosystem: str
    owner: str
    old: str
    new: str
    method: Method
    phase: Phase
    heading: Heading
    presence: Presence
    begun: Instant
    why: str = ""
    waits: bool = False
    goes_back: bool = False

    @property
    def unfinished(self) -> bool:
        """Whether something is left to do."""
        return self.phase not in RESTING

    @property
    def wants(self) -> bool:
        """Whether something can be done about it now."""
        if self.waits:
            return False
        if self.phase is Phase.SETTLED:
            known_full = self.presence is Presence.HERE and self.why == DISK_FULL
            return known_full or self.goes_back or self.presence not in (Presence.HERE, Presence.FULL)
        if self.phase is Phase.AWAY:
            return self.presence is Presence.HERE
        return True


class Errand(StrEnum):
    """What a worker that moves is asked for."""

    RELOCATE = "relocate"
    RESTORE = "restore"
    SETTLE = "settle"
    """Finish or undo what was begun, and follow disks that come and go."""
    CHECK = "check"
    """Only say whether and how it would go."""


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """A request. ``cache``: which one, empty for that in force. ``to`` with RELOCATE and CHECK alone.

    ``by_policy``: nobody waits for it, so what would gain nothing is not done. ``patience``: seconds after which it
    may stop with a state from which the next cycle goes on; 0 for none.
    """

    errand: Errand
    ecosystem: str
    cache: str = ""
    to: str = ""
    policy: str = "by-hand"
    method: Method = Method.CONFIG
    keep: bool = False
    leave_data: bool = False
    shared_group: str = ""
    by_policy: bool = False
    patience: int = 0


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a move would mean. ``contents`` is to be copied and ``room`` is free at the destination.

    ``frees`` is what the disk of the old place gets back. ``refusal`` says why it cannot be; ``busy``: not now.
    ``rooted``: the folder is to be made by root first, and given to the owner.
    """

    ecosystem: str
    source: str
    destination: str
    method: Method
    contents: Bytes = Bytes(0)
    files: int = 0
    frees: Bytes = Bytes(0)
    room: Bytes = Bytes(0)
    config: str = ""
    refusal: str = ""
    busy: bool = False
    unfit: bool = False
    warnings: tuple[str, ...] = ()
    rooted: bool = False


@dataclass(frozen=True, slots=True)
class MoveProgress:
    """How far a copy is."""

    doing: str
    files: int
    contents: Bytes
    of_files: int
    of_contents: Bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of one relocation in one errand. ``text`` says it in a sentence."""

    source: str
    destination: str
    phase: Phase
    text: str
    copied: Bytes = Bytes(0)
    freed: Bytes = Bytes(0)
    error: str = ""
    busy: bool = False
    refused: bool = False
    stopped: bool = False
    notes: tuple[str, ...] = ()
    prospect: Prospect | None = None


@dataclass(frozen=True, slots=True)
class MoveReply:
    """All that came of an errand."""

    moved: tuple[Moved, ...] = ()
