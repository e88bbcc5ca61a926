"""What stands in the way, as ``doctor`` tells it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much is lost while it lasts."""

    NOTE = "note"
    """Good to know; nothing is lost."""
    WARNING = "warning"
    """Something is not looked after as it should be."""
    ERROR = "error"
    """The service does not work."""


class FactKind(StrEnum):
    """What a worker can find out about its owner."""

    HOME_MISSING = "home-missing"
    HOME_CLOSED = "home-closed"
    STRANGE_KEY = "strange-key"
    TAKEN_OVER = "taken-over"
    FOREIGN_FILES = "foreign-files"
    FOLDERS = "folders"
    SHARED = "shared"
    """A cache that a group may write to."""
    SHARED_OTHER_GROUP = "shared-other-group"
    """Folders in it that are another group's."""
    SHARED_CLOSED = "shared-closed"
    """Folders in it in which the group may not read, write or search."""
    SHARED_NO_SETGID = "shared-no-setgid"
    """Folders whose new files and folders get another group."""
    SHARED_NO_DEFAULT = "shared-no-default"
    """Folders without a default ACL for the group: what is made in them has what the umask leaves."""
    SHARED_FILES = "shared-files"
    """Files that the group may not read or change as their owner may."""
    SHARED_FOREIGN = "shared-foreign"
    """What has such a fault, or cannot be looked into, and is somebody else's."""
    SHARED_LINKED = "shared-linked"
    """Files with such a fault that have names elsewhere: an environment's, and left alone."""
    SHARED_WITHOUT_ACLS = "shared-without-acls"
    """Its filesystem has no ACLs."""


MENDABLE = (
    FactKind.SHARED_OTHER_GROUP,
    FactKind.SHARED_CLOSED,
    FactKind.SHARED_NO_SETGID,
    FactKind.SHARED_NO_DEFAULT,
    FactKind.SHARED_FILES,
)
"""What is broken in a shared cache, and its owner can mend."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a worker has found, without a word of what to do: a remedy is typed by root, and written by us alone.

    ``place`` is a path, ``detail`` a word, a reason or the first example, ``nearest`` a known key, ``uid`` whose
    files they are, ``gid`` the group that shares a cache.
    """

    kind: FactKind
    place: str
    detail: str = ""
    nearest: str | None = None
    count: int = 0
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done about the rights in one shared cache, in numbers of folders and files.

    ``left`` is broken still, ``why`` the first of that with the reason; ``linked`` are files that have names
    elsewhere and were not touched.
    """

    path: str
    folders: int = 0
    files: int = 0
    left: int = 0
    why: str = ""
    linked: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in the way, and the remedy: what a person types or changes."""

    check: str
    severity: Severity
    subject: str
    problem: str
    remedy: str
