"""What goes on while workers are at work: who asks for it, and who is told."""

from collections.abc import Callable
from dataclasses import dataclass

from cachewarden.model.plans import RemovedEntry
from cachewarden.model.relocations import MoveProgress


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the service wants to be asked and told while a worker is at work."""

    may_go_on: Callable[[], bool] = lambda: True
    beat: Callable[[], None] = lambda: None
    progress: Callable[[RemovedEntry], None] = lambda _: None
    moving: Callable[[MoveProgress], None] = lambda _: None
    while_looking: Callable[[], None] = lambda: None
    hurries: Callable[[], bool] = lambda: False
    """Whether others wait no longer for slow looks where something is to be done. A person who asked does wait."""
