"""An owner's caches and moves, and how the moves are found; nothing is changed here."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachewarden.ecosystems.base import Context, Ecosystem, Surroundings
from cachewarden.model.caches import Cache
from cachewarden.model.relocations import (
    DISK_FULL,
    Heading,
    MoveProgress,
    Phase,
    Presence,
    Relocation,
    RelocationSeen,
)
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.relocate import places
from cachewarden.relocate.records import LONGEST_PAUSE, Records
from cachewarden.system.folders import open_folder

if TYPE_CHECKING:
    from cachewarden.relocate.carrying import Tools
    from cachewarden.relocate.switching import Ask
    from cachewarden.system.census import Census


@dataclass(frozen=True, slots=True)
class Estate:
    """An owner's caches and moves. ``contexts`` by ecosystem name; ``caches`` as they were found.

    ``placed``: see ``preflight.Scene``. ``patience``: seconds after which a move lets others have their turn, 0 for
    none; what is looked at before it begins takes as long as it takes.
    """

    surroundings: Surroundings
    ecosystems: tuple[Ecosystem, ...]
    contexts: dict[str, Context]
    caches: tuple[Cache, ...]
    records: Records
    ask: "Ask"
    may_go_on: Callable[[], bool]
    progress: Callable[[MoveProgress], None]
    placed: bool = False
    patience: int = 0

    def ecosystem(self, name: str) -> Ecosystem | None:
        """By its name."""
        return next((each for each in self.ecosystems if each.name == name), None)

    def tools(self, ecosystem: Ecosystem, expected: tuple[int, int] = (0, 0)) -> "Tools":
        """For a mover; ``expected`` files and bytes of the copy."""
        from cachewarden.relocate.carrying import Tools  # a look tells of moves and makes none
        from cachewarden.relocate.switching import Switch

        until = time.monotonic() + self.patience if self.patience else float("inf")
        return Tools(
            self.surroundings, ecosystem, self.contexts[ecosystem.name], self.records,
            Switch(self.surroundings, ecosystem, self.ask), self.may_go_on, lambda: time.monotonic() > until,
            self.progress, expected,
        )  # fmt: skip

    def count(self, path: str) -> "Census":
        """Of a cache that is there. OSError, StoppedError."""
        from cachewarden.system.census import census

        with open_folder(path) as folder:
            return census(folder, self.surroundings.owner.uid, self.may_go_on)


def seen(surroundings: Surroundings, records: Records, now: Instant) -> tuple[RelocationSeen, ...]:
    """Every move of the owner, as it stands now; nothing is changed."""
    return tuple(seen_now(surroundings, each, later=is_later(each, now)) for each in records.all())


def is_later(each: Relocation, now: int) -> bool:
    """Whether the next try by itself is still to come. A clock that was wrong once puts nothing off for years."""
    return now < each.not_before <= now + LONGEST_PAUSE * NANOSECONDS and each.phase is not Phase.LEAVING


def seen_now(surroundings: Surroundings, each: Relocation, *, later: bool) -> RelocationSeen:
    presence = places.presence(surroundings.files, each)
    gone = presence is Presence.MISSING and not places.is_set_aside(surroundings.files, each)
    waits = later or (gone and _needs_the_disk(each, surroundings.files.mounts()))
    full = presence is Presence.FULL and each.phase is Phase.SETTLED
    return RelocationSeen(
        each.id, each.ecosystem, surroundings.owner.name, each.old, each.new, each.method, each.phase,
        each.heading, presence, each.begun, each.why or (DISK_FULL if full else ""), waits=waits,
        goes_back=each.go_back,
    )  # fmt: skip


def _needs_the_disk(each: Relocation, mounts: Collection[str]) -> bool:
    """Whether nothing can be done about a move while its disk is away."""
    if each.phase is Phase.REMOVING:
        return each.heading is Heading.BACK and not each.leave_data and each.mount not in mounts
    if each.phase is Phase.CANCELLING:
        return each.mount not in mounts
    return each.phase is Phase.COPYING and each.heading is Heading.OUT and each.returns
