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


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in the way, and the remedy: what a person types or changes."""

    check: str
    severity: Severity
    subject: str
    problem: str
    remedy: str
