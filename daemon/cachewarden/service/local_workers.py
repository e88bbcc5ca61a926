"""User mode: the parts of a cycle are done in this process, for one owner, the caller."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cachewarden.model.caches import Look, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import Purge
from cachewarden.model.relocations import Moved, MoveOrder
from cachewarden.service import moving, worker
from cachewarden.service.earlier import KnownOf, nothing_known
from cachewarden.service.hooks import Hooks
from cachewarden.service.worker import Whom

if TYPE_CHECKING:
    from cachewarden.model.findings import Fact, Mended
    from cachewarden.service.workers import Gone, Purged


class LocalWorkers:
    """``Workers`` of one owner, with the caller's own environment."""

    def __init__(self, whom: Callable[[], Whom]) -> None:
        """``whom`` tells the caller, with what the configuration says by now."""
        self._whom = whom

    def owners(self) -> tuple[Owner, ...]:
        """The caller."""
        return (self._whom().owner,)

    def look_at_all(
        self, owners: Sequence[Owner], hooks: Hooks, known: KnownOf = nothing_known
    ) -> Iterator[tuple[Owner, Look | WorkerError]]:
        """In this process: there is one owner."""
        for owner in owners:
            if not hooks.may_go_on():
                return
            hooks.beat()
            try:
                yield owner, worker.look(replace(self._whom(), owner=owner), known(owner))
            except WorkerError as error:
                yield owner, error

    def examine(self, owner: Owner, hooks: Hooks) -> "tuple[Fact, ...]":
        """In this process."""
        hooks.beat()
        return worker.examine(replace(self._whom(), owner=owner))

    def mend(self, owner: Owner, hooks: Hooks) -> "tuple[Mended, ...]":
        """In this process."""
        hooks.beat()
        return worker.mend(replace(self._whom(), owner=owner))

    def purge_all(self, actions: Sequence[Purge], hooks: Hooks, gone: "Gone") -> "Iterator[Purged]":
        """In this process, one after the other."""
        for action in actions:
            if not hooks.may_go_on():
                return
            tell = partial(gone, action)
            reply = worker.purge(self._whom(), action, may_go_on=hooks.may_go_on, progress=tell)
            yield action, reply.outcome, reply.filesystem

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        """In this process, with all the rights of the caller."""
        whom = replace(self._whom(), owner=owner)
        return moving.move(whom, order, may_go_on=hooks.may_go_on, progress=hooks.moving)
