"""What the verbs have in common: a look with its plan."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachewarden.cli.progress import Progress
from cachewarden.cli.session import Session
from cachewarden.model.caches import Snapshot
from cachewarden.model.plans import Plan
from cachewarden.model.policies import Settings
from cachewarden.service.hooks import Hooks
from cachewarden.system.memory import Store

if TYPE_CHECKING:
    from cachewarden.service.workers import Workers

LOOKING = "Looking at the caches"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is, and what a cycle would do."""

    settings: Settings
    snapshot: Snapshot
    plan: Plan
    store: Store


def look(
    session: Session, settings: Settings | None = None, workers: "Workers | None" = None, *, anew: bool = True
) -> Seen:
    """Looks and decides; nothing is written. ``settings``: those of the configuration unless given.

    Not ``anew``: what is unchanged since an earlier look is taken from there, and this one is kept for the next.
    """
    program = session.program
    settings = program.settings() if settings is None else settings
    workers = workers or program.workers()
    store = program.store(writable=False)
    with Progress(shown=session.output.error_terminal, doing=LOOKING):
        cycle = program.cycle(workers, store, Hooks(), keeps=not anew and not program.system)
        snapshot, plan = cycle.plan(settings, anew=anew)
    session.mention(store)
    return Seen(settings, snapshot, plan, store)
