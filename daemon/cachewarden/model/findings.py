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


@dataclass(frozen=True, slots=True)
class Fact:
    """What a worker has found, without a word of what to do: a remedy is typed by root, and written by us alone.

    ``place`` is a path, ``detail`` a word or a reason, ``nearest`` a known key, ``uid`` whose files they are.
    """

    kind: FactKind
    place: str
    detail: str = ""
    nearest: str | None = None
    count: int = 0
    uid: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in the way, and the remedy: what a person types or changes."""

    check: str
    severity: Severity
    subject: str
    problem: str
    remedy: str
