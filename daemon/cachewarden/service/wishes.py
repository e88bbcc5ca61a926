"""Looks that are wanted: which of two comes first."""

from dataclasses import dataclass, replace

INTERVAL = "interval"
"""The regular look; in a quiet state it may turn out to be none."""
_YIELDS = 2.0
"""Seconds that it waits for one that has a reason."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A look that is wanted: when, why, and since when it is due; ``patient``: others may have the disks first."""

    when: float
    trigger: str
    since: float
    patient: bool = False


def sooner(before: Wish | None, new: Wish) -> Wish:
    """The earlier one. The regular look yields to one for a reason that comes at once: else that would be forgotten
    with it, where nothing was heard (a schedule whose hour begins as an interval ends).

    It is due since the first of the two was: else new ones would put off for ever what may wait only so long."""
    if before is None:
        return new
    first, second = (new, before) if new.when < before.when else (before, new)
    yields = first.trigger == INTERVAL != second.trigger and second.when - first.when <= _YIELDS
    return replace(second if yields else first, since=min(before.since, new.since))
