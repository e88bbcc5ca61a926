"""How far the service sees what happens in caches between two looks."""

from dataclasses import dataclass
from enum import StrEnum

from cachewarden.model.units import Instant


class Extent(StrEnum):
    """How much of a cache is watched."""

    WHOLE = "whole"
    """Everything from which growth, and where that is told use, can be seen."""
    PART = "part"
    """Its top alone: the regular look sees the rest."""
    NOT = "not"


class Why(StrEnum):
    """Why no more of a cache is seen, for people."""

    FOLDERS = "it has more folders than are watched for one owner"
    CACHES = "its owner has more caches than are watched for one"
    OPENS = "it has too many folders for the kernel to tell what is opened (fs.inotify.max_queued_events)"
    TOOLD = "this version of watchdog does not tell what is opened"
    KERNEL = "the kernel gives no more watches (fs.inotify.max_user_watches)"


@dataclass(frozen=True, slots=True)
class Watched:
    """How a cache (of the user ``uid``, at ``path``) is watched, and ``why`` no more is seen.

    ``opens``: whether the opening of its entries is seen, too.
    """

    uid: int
    path: str
    extent: Extent
    opens: bool
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What the watchers of a service reach, as of ``since``.

    The service is the process ``pid`` that began ``began`` ticks after the machine did: it is true while that lives.
    """

    since: Instant
    pid: int
    began: int
    caches: tuple[Watched, ...] = ()
