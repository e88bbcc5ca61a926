"""What the verbs that act have in common: a cycle that is carried out."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cachewarden.cli.forgetful import Forgetful
from cachewarden.cli.interruption import Interruption
from cachewarden.cli.looking import LOOKING
from cachewarden.cli.progress import Progress
from cachewarden.cli.session import Session
from cachewarden.model.caches import Look, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import CycleRecord, Outcome, Plan, Purge
from cachewarden.model.policies import ActionKind, Policy, Settings
from cachewarden.model.relocations import Errand, Moved, MoveOrder, Phase
from cachewarden.record import Recorder
from cachewarden.service.earlier import KnownOf, nothing_known
from cachewarden.service.hooks import Hooks
from cachewarden.service.moves import by_hand
from cachewarden.service.workers import Gone, Purged, Workers
from cachewarden.system.clock import SystemClock
from cachewarden.system.journal import journald


class _Careful:
    """``Workers`` that note when the first removal begins: from then on a signal waits for the entry at hand."""

    def __init__(self, workers: Workers, interruption: Interruption) -> None:
        self._workers = workers
        self._interruption = interruption

    def owners(self) -> tuple[Owner, ...]:
        return self._workers.owners()

    def look_at_all(
        self, owners: Sequence[Owner], hooks: Hooks, known: KnownOf = nothing_known
    ) -> Iterator[tuple[Owner, Look | WorkerError]]:
        return self._workers.look_at_all(owners, hooks, known)

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        return self._workers.examine(owner, hooks)

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        return self._workers.mend(owner, hooks)

    def purge_all(self, actions: Sequence[Purge], hooks: Hooks, gone: Gone) -> Iterator[Purged]:
        self._interruption.acting = True
        return self._workers.purge_all(actions, hooks, gone)

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        self._interruption.acting = order.errand is not Errand.CHECK
        return self._workers.move(owner, order, hooks)


@dataclass(frozen=True, slots=True)
class Order:
    """A cycle to be carried out. ``forgetful``: policies by hand neither recall nor leave what was in vain."""

    settings: Settings
    trigger: str
    expected: int | None = None
    forgetful: bool = False


def carry_out(session: Session, order: Order, workers: Workers | None = None) -> tuple[CycleRecord, int]:
    """Runs a cycle; returns its record and the exit status. BusyError when another one is at work."""
    program = session.program
    workers = workers or program.workers(writing=True)  # forked before the lock is taken: a child would keep it
    interruption = Interruption()
    with program.one_cycle_at_a_time():
        store = program.store(writable=True)
        memory = Forgetful(store) if order.forgetful else store
        bar = Progress(shown=session.output.error_terminal, doing=LOOKING, total=order.expected)
        with interruption, bar:
            hooks = Hooks(may_go_on=interruption.may_go_on, progress=bar.removed, moving=bar.moving)
            cycle = program.cycle(_Careful(workers, interruption), memory, hooks, keeps=True)
            record = cycle.run(order.settings, order.trigger, anew=order.forgetful)
        if journal := journald(verbose=session.options.verbose):
            Recorder(journal).cycle(record)
    session.mention(store)
    return record, 128 + interruption.signal if interruption.signal else exit_status(record, order.settings)


def carry_out_move(session: Session, owner: Owner, order: MoveOrder, workers: Workers) -> tuple[CycleRecord, int]:
    """Has one move made that a person asked for; returns its record and the exit status."""
    program, interruption, now = session.program, Interruption(), SystemClock().now
    with program.one_cycle_at_a_time():
        store = program.store(writable=True)
        bar = Progress(shown=session.output.error_terminal, doing=LOOKING)
        begun, trigger = now(), f"{order.errand.value} by hand"
        record = CycleRecord(uuid.uuid4().hex, trigger, begun, begun, Plan(), (_under_way(owner, order),))
        store.save_cycle(record)
        with interruption, bar:
            hooks = Hooks(may_go_on=interruption.may_go_on, moving=bar.moving)
            moved = _move(_Careful(workers, interruption), owner, order, hooks)
        record = replace(record, finished_at=now(), outcomes=(by_hand(owner, order, moved),))
        store.save_cycle(record)
        if journal := journald(verbose=session.options.verbose):
            Recorder(journal).cycle(record)
    session.mention(store)
    if interruption.signal and moved.stopped:
        return record, 128 + interruption.signal
    return record, (75 if moved.busy else 1) if moved.error else 0


def _move(workers: Workers, owner: Owner, order: MoveOrder, hooks: Hooks) -> Moved:
    try:
        found = workers.move(owner, order, hooks)
    except WorkerError as error:
        return Moved(order.cache, order.to, Phase.COPYING, str(error), error=str(error))
    return found[0] if found else Moved(order.cache, order.to, Phase.OVER, "", error="its worker gave no answer")


def _under_way(owner: Owner, order: MoveOrder) -> Outcome:
    text = f"unfinished: {order.errand.value} begun"
    return by_hand(owner, order, Moved(order.cache, order.to, Phase.COPYING, text, stopped=True))


def exit_status(record: CycleRecord, settings: Settings) -> int:
    """1 when an action failed or a promise could not be kept. What was only busy is tried again, and no failure."""
    failed = any(_failed(outcome, settings) for outcome in record.outcomes)
    return 1 if failed or record.plan.shortfalls else 0


def _failed(outcome: Outcome, settings: Settings) -> bool:
    """Of moves: one whose disk is not here is no failure, the cache is where it can be used."""
    if outcome.action == "relocate" and _otherwise(outcome.policy, settings.policies) is ActionKind.PURGE:
        return False  # what was to be done instead has an outcome of its own
    return any(not failure.busy for failure in outcome.failures)


def _otherwise(name: str, policies: Iterable[Policy]) -> ActionKind:
    return next((policy.otherwise for policy in policies if policy.name == name), ActionKind.REPORT)
