"""The part of a cycle that is about moves: what is open is settled, then what policies want is looked at closely."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachewarden.decide.planner import decide
from cachewarden.decide.relocation import name_of
from cachewarden.model.caches import Cache, Owner, Snapshot
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import Action, Failure, Outcome, Plan, Relocate
from cachewarden.model.policies import ActionKind, Settings
from cachewarden.model.relocations import Errand, Moved, MoveOrder, Phase, Presence, RelocationSeen
from cachewarden.model.units import Bytes
from cachewarden.service.hooks import Hooks
from cachewarden.service.turns import Turns
from cachewarden.service.worker import PATIENCE
from cachewarden.system.collector import no_search_for_cycles

if TYPE_CHECKING:
    from cachewarden.service.workers import Workers

SETTLING = "finish-moves"
"""The name under which moves that were begun go on, before any policy."""
_GOES_ON = "it is being moved, and goes on in the next cycle"
_RESTS = "the moves of {} rest for a while: they kept all others waiting"
_HAS_HAD = "the moves of its owner have had their time in this cycle"
_MOST_CHECKS = 50
_QUICK = (Phase.SETTLED, Phase.LEAVING)
_NOT_AGAIN = 86_400.0
"""Seconds: what was refused at the very end, when all was copied, is not tried again on the same day."""


def wants_attention(each: RelocationSeen) -> bool:
    """Whether a worker is to be asked to do something about a move now."""
    return each.wants or (each.phase is Phase.SETTLED and each.presence is Presence.FULL)


@dataclass(slots=True)
class Checked:
    """Caches whose moves were looked at, and what was found, by ``relocation.name_of``."""

    found: dict[str, Moved]
    refused: list[Outcome]


class Moves:
    """Errands of a cycle. ``owners`` by name, as they were found in it."""

    def __init__(self, workers: "Workers", hooks: Hooks, clock: Callable[[], float] = time.monotonic) -> None:
        """``hooks`` are asked and told while a move goes on; ``clock`` tells seconds that only grow."""
        self._workers = workers
        self._hooks = hooks
        self._clock = clock
        self._turns = Turns(clock)
        self.owes_turns = False
        """Whether somebody's open moves were not begun with in this cycle, for others had its time."""
        self.owners: dict[str, Owner] = {}
        self._checked = Checked({}, [])
        self._refusals: dict[str, tuple[float, str]] = {}

    def begin(self) -> None:
        """A new cycle."""
        self._checked = Checked({}, [])
        self._turns.begin()
        self.owes_turns = False

    def settle(self, seen: Iterable[RelocationSeen]) -> list[Outcome]:
        """Has everybody's open moves finished, undone, or adjusted to what disks are here.

        All together get the time of one: those who are not begun with come first in the next cycle.
        """
        outcomes: list[Outcome] = []
        began = self._clock()
        seen = list(seen)
        for owner, first in self._in_turn([each for each in seen if wants_attention(each)]):
            if not self._hooks.may_go_on():
                break
            if self._clock() - began >= PATIENCE:
                self.owes_turns = True
                break
            order = MoveOrder(Errand.SETTLE, first.ecosystem, policy=SETTLING, by_policy=True, patience=PATIENCE)
            own = {(each.old, each.new): each for each in seen if each.owner == owner.name}
            outcomes += [_settled(owner, each, own, first) for each in self._ask(owner, order)]
        return outcomes

    def _in_turn(self, wanting: list[RelocationSeen]) -> list[tuple[Owner, RelocationSeen]]:
        """Whose tool is to be told of another place comes first, as that takes no time; then who waited longest."""
        first: dict[str, RelocationSeen] = {}
        for each in sorted(wanting, key=lambda each: each.phase not in _QUICK):
            first.setdefault(each.owner, each)
        found = [(self.owners[name], each) for name, each in first.items() if name in self.owners]
        found = [(owner, each) for owner, each in found if not self._turns.rests(owner.uid)]
        return sorted(found, key=lambda pair: (pair[1].phase not in _QUICK, self._turns.last(pair[0].uid)))

    def cleared(self, snapshot: Snapshot, settings: Settings) -> tuple[Snapshot, Plan]:
        """The plan, of which every move can be made as far as can be known without touching anything."""
        for _ in range(_MOST_CHECKS):
            with no_search_for_cycles():
                plan = decide(snapshot, settings)
            if not self._hooks.may_go_on():
                break
            news = [each for each in _moves(plan) if name_of(each.cache) not in self._checked.found]
            if not news:
                return snapshot, self._with_prospects(plan)
            for each in news:
                snapshot = self._check(snapshot, each, settings)
        return snapshot, replace(plan, actions=tuple(each for each in plan.actions if not isinstance(each, Relocate)))

    def _check(self, snapshot: Snapshot, move: Relocate, settings: Settings) -> Snapshot:
        if (lately := self._refusals.get(name_of(move.cache))) and self._clock() < lately[0]:
            moved = Moved(move.cache.path, move.to, Phase.OVER, lately[1], error=lately[1])
        else:
            (moved,) = self._ask(move.cache.owner, replace(_order(move), errand=Errand.CHECK))[:1]
        self._checked.found[name_of(move.cache)] = moved
        return self.after(snapshot, move, moved, settings) if moved.error else snapshot

    def after(self, snapshot: Snapshot, move: Relocate, moved: Moved, settings: Settings) -> Snapshot:
        """What cannot be moved is left out of the rest of the cycle, and its policy may take something else."""
        name = name_of(move.cache)
        if moved.busy or moved.stopped:
            return replace(snapshot, waiting={**snapshot.waiting, name: moved.error or _GOES_ON})
        if not moved.error:
            return replace(snapshot, waiting={**snapshot.waiting, name: "it was moved in this cycle already"})
        otherwise = next(
            (each.otherwise for each in settings.policies if each.name == move.policy), ActionKind.REPORT
        )
        instead = f"; `otherwise: {otherwise.value}` is taken"
        if moved.refused:
            failure = Failure(move.cache.path, f"cannot be moved to {move.to}: {moved.error}{instead}")
            self._checked.refused.append(Outcome(move.policy, "relocate", move.cache, failures=(failure,)))
        return replace(snapshot, unmovable={**snapshot.unmovable, name: f"it cannot be moved: {moved.error}"})

    def refused(self) -> list[Outcome]:
        """Moves that were wanted in this cycle and could not even begin."""
        return self._checked.refused

    def _with_prospects(self, plan: Plan) -> Plan:
        return replace(plan, actions=tuple(self._with_prospect(each) for each in plan.actions))

    def _with_prospect(self, action: Action) -> Action:
        if isinstance(action, Relocate) and (known := self._checked.found.get(name_of(action.cache))):
            return replace(action, prospect=known.prospect)
        return action

    def move(self, action: Relocate) -> Moved:
        """Carries one out, or a part of it."""
        (moved,) = self._ask(action.cache.owner, _order(action))[:1]
        if moved.refused and moved.copied:
            # All of it was copied in vain: not again and again.
            again = self._clock() + _NOT_AGAIN
            self._refusals[name_of(action.cache)] = (again, f"{moved.error} (tried lately)")
        return moved

    def _ask(self, owner: Owner, order: MoveOrder) -> tuple[Moved, ...]:
        if why := self._not_now(owner):
            busy = not self._turns.rests(owner.uid)
            return (Moved(order.cache, order.to, Phase.OVER, why, error=why, busy=busy),)
        began = self._clock()
        try:
            found = self._workers.move(owner, order, self._hooks)
        except WorkerError as error:
            text = str(error)
            # One that had to stop for the service's sake is not to blame.
            if rest := self._turns.took(owner.uid, began, lost=self._hooks.may_go_on()):
                took = self._clock() - began
                text += f"; that took {took / 60:.0f} min, so no move of {owner.name} goes on for {rest / 3600:.0f} h"
            return (Moved(order.cache, order.to, Phase.COPYING, text, error=text),)
        self._turns.took(owner.uid, began, lost=False)
        if order.errand is not Errand.SETTLE and not found:
            return (Moved(order.cache, order.to, Phase.OVER, "no answer", error="its worker gave no answer"),)
        return found

    def _not_now(self, owner: Owner) -> str:
        if self._turns.rests(owner.uid):
            return _RESTS.format(owner.name)
        return _HAS_HAD if self._turns.has_had(owner.uid) else ""


def _moves(plan: Plan) -> list[Relocate]:
    return [each for each in plan.actions if isinstance(each, Relocate)]


def _order(move: Relocate) -> MoveOrder:
    return MoveOrder(
        Errand.RELOCATE, move.cache.ecosystem, move.cache.path, move.to, move.policy, move.method, by_policy=True,
        patience=PATIENCE,
    )  # fmt: skip


def begun(move: Relocate) -> Moved:
    """As it stands in the history until more is known."""
    return Moved(move.cache.path, move.to, Phase.COPYING, "unfinished: begun")


def outcome_of(action: Relocate, moved: Moved) -> Outcome:
    """For the record."""
    return _outcome(action.policy, action.cache, moved)


def _settled(
    owner: Owner, moved: Moved, own: Mapping[tuple[str, str], RelocationSeen], first: RelocationSeen
) -> Outcome:
    """One errand is about all moves of an owner; what names none of them counts for the first."""
    known = own.get((moved.source, moved.destination), first)
    moved = replace(moved, source=known.old, destination=known.new)
    return _outcome(SETTLING, Cache(known.ecosystem, known.old, owner, ""), moved)


def _outcome(policy: str, cache: Cache, moved: Moved, action: str = "relocate") -> Outcome:
    place = moved.source if moved.source.startswith("/") else cache.path
    own = replace(cache, path=place)
    failures = (Failure(own.path, moved.error, busy=moved.busy),) if moved.error else ()
    return Outcome(
        policy, action, own, freed=Bytes(moved.freed), failures=failures, incomplete=moved.stopped, moved=moved
    )


def by_hand(owner: Owner, order: MoveOrder, moved: Moved) -> Outcome:
    """The outcome of a move that a person asked for."""
    cache = Cache(order.ecosystem, order.cache or moved.source, owner, "")
    return _outcome("by-hand", cache, moved, "restore" if order.errand is Errand.RESTORE else "relocate")
