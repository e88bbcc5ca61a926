"""A hundred owners on one machine: all are served by few workers at once, and none keeps the others waiting."""

import mmap
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.fleet import fleet
from builders.hanging import hanging_mount
from builders.launched import SERVICE, Body, honest
from builders.synthetic import bodies
from cachewarden.model.caches import Look, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.plans import Purge
from cachewarden.model.policies import ActionKind, Amount, Keep, Marks, Policy, Settings
from cachewarden.model.units import Seconds
from cachewarden.service.cycle import Cycle
from cachewarden.service.fleet import Bounds
from cachewarden.service.hooks import Hooks
from cachewarden.service.remembering import Remembering
from cachewarden.service.wire import frame
from cachewarden.service.worker import LIMITS, preload
from cachewarden.service.workers import LaunchedWorkers
from cachewarden.system.clock import SystemClock
from cachewarden.system.launcher import Rules, fork_launcher
from fakes import FakeStore

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]
BOUNDS = Bounds(2, 2, dead=8.0)
EVERYTHING = Settings(policies=(Policy("everything", ActionKind.PURGE),), keep=Keep(newer_than=Seconds(0)))
NEVER_ENOUGH = Marks(Amount(percent=100.0), Amount(percent=100.0))
FULL = Settings(
    policies=(Policy("full", ActionKind.PURGE, free_space=NEVER_ENOUGH),), keep=Keep(newer_than=Seconds(0))
)


class AtWork:
    """How many workers there are at once, counted by themselves in memory that all share: a pid for each owner."""

    def __init__(self, owners: list[Owner]) -> None:
        self._numbers = {owner.uid: number for number, owner in enumerate(owners)}
        self._pids = memoryview(mmap.mmap(-1, 4 * len(owners))).cast("I")
        self._seen = mmap.mmap(-1, len(owners))

    @contextmanager
    def one_more(self, owner: Owner) -> Iterator[None]:
        number = self._numbers[owner.uid]
        self._pids[number] = os.getpid()
        # One that was killed has not said so.
        now = sum(map(_is_at_work, filter(None, self._pids)))
        self._seen[number] = max(self._seen[number], now)
        yield
        self._pids[number] = 0

    @property
    def most(self) -> int:
        return max(self._seen[:])

    @property
    def served(self) -> int:
        return sum(count > 0 for count in self._seen[:])


def _is_at_work(pid: int) -> bool:
    """One that ends gives its memory back first, and is listed until the launcher has asked for its status."""
    try:
        return Path(f"/proc/{pid}/statm").read_text().split()[0] != "0"
    except OSError:
        return False


@dataclass
class Machine:
    """Its owners, and a service with its launcher; ``rogue`` is what the first owner's workers do."""

    owners: list[Owner]
    workers: LaunchedWorkers
    at_work: AtWork

    def look(self) -> dict[str, tuple[float, Look | WorkerError]]:
        """By name: after how many seconds, and what. There is something to be done: nobody is waited for longer."""
        began = time.monotonic()
        found = self.workers.look_at_all(self.owners, Hooks(hurries=lambda: True))
        return {owner.name: (time.monotonic() - began, seen) for owner, seen in found}

    def everything(self) -> list[Purge]:
        """What a cycle would do that is to remove all."""
        return [action for action in self.cycle().plan(EVERYTHING)[1].actions if isinstance(action, Purge)]

    def cycle(self) -> Cycle:
        """As the daemon has it."""
        return Cycle(self.workers, SystemClock(), Remembering(FakeStore()), Hooks(hurries=lambda: True))

    def left(self) -> set[str]:
        """Whose pip caches are not empty."""
        return {owner.name for owner in self.owners if bodies(Path(owner.home, ".cache/pip"))}


@contextmanager
def machine(number: int, rogue: Body = honest, kind: str = "") -> Iterator[Machine]:
    """The first owner's workers of one ``kind`` do what the test says."""
    preload()
    with fleet(number) as owners:
        at_work = AtWork(owners)

        def body(owner: Owner, stream: socket.socket, work: str) -> None:
            with at_work.one_more(owner):
                (rogue if owner is owners[0] and work == kind else honest)(owner, stream, work)

        channel = fork_launcher(Rules(lambda: owners, body, LIMITS, switch=True, service=SERVICE))
        with channel:
            yield Machine(owners, LaunchedWorkers(channel, LIMITS, BOUNDS), at_work)


def stopped(owner: Owner, stream: socket.socket, work: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def dribbling(owner: Owner, stream: socket.socket, work: str) -> None:
    """A byte at a time of one message."""
    for byte in frame("seen", "x" * 100_000):
        stream.sendall(bytes([byte]))
        time.sleep(0.002)


def chattering(owner: Owner, stream: socket.socket, work: str) -> None:
    """True messages, as many as there may be, and signs of life in between."""
    problems, here = frame("problems", []), frame("here")
    while True:
        stream.sendall(problems + here)
        time.sleep(0.05)


def others(found: dict[str, tuple[float, Look | WorkerError]], rogue: Owner) -> float:
    """When the last of the others was seen, all of whom were."""
    rest = {name: each for name, each in found.items() if name != rogue.name}
    assert all(isinstance(seen, Look) and len(seen.caches) == 2 for _, seen in rest.values())
    return max(when for when, _ in rest.values())


def test_a_hundred_owners_are_looked_at_and_purged_by_no_more_workers_than_there_may_be() -> None:
    with machine(100) as busy:
        assert len(busy.left()) == 100
        record = busy.cycle().run(EVERYTHING, "a test")
        assert record.problems == ()
        assert len({outcome.cache.owner.uid for outcome in record.outcomes if outcome.removed}) == 100
        assert busy.left() == set()
        assert busy.at_work.served == 100
        assert busy.at_work.most <= BOUNDS.slots + BOUNDS.aside


@pytest.mark.parametrize("rogue", [stopped, dribbling, chattering], ids=lambda each: each.__name__)
def test_a_worker_that_keeps_its_slot_costs_the_others_a_few_seconds(rogue: Body) -> None:
    assert any(costs_a_few_seconds(rogue) for _ in range(3)), "a machine may be busy once, and is not each time"


def costs_a_few_seconds(rogue: Body) -> bool:
    """Whether the others were seen about as soon as usual."""
    usual = usual_time(30)
    with machine(30, rogue, "look") as busy:
        first = busy.owners[0]
        found = busy.look()
        assert isinstance(found[first.name][1], WorkerError)
        assert found[first.name][0] < 60
        assert busy.at_work.most <= BOUNDS.slots + BOUNDS.aside
        return others(found, first) < 2 * usual + 5


def usual_time(number: int) -> float:
    """How long it takes to look at so many owners who are honest, here and now."""
    with machine(number) as busy:
        return max(when for when, _ in busy.look().values())


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="the kernel of this machine has no FUSE")
def test_homes_in_a_dead_mount_are_last_in_the_next_cycle_and_are_not_waited_for() -> None:
    with machine(30) as busy:
        dead = busy.owners[:3]
        with ExitStack() as mounts:
            for owner in dead:
                mounts.enter_context(hanging_mount(Path(owner.home)))
            found = busy.look()
            lost = [name for name, (_, seen) in found.items() if isinstance(seen, WorkerError)]
            assert sorted(lost) == [owner.name for owner in dead]
            began = time.monotonic()
            again = busy.look()
            assert list(again)[-3:] == [name for name in again if name in lost]
            assert time.monotonic() - began < 30
            assert busy.at_work.most <= BOUNDS.slots + BOUNDS.aside


def test_a_purge_that_hangs_delays_the_removals_of_others_by_a_few_seconds() -> None:
    assert any(delays_by_a_few_seconds() for _ in range(3)), "a machine may be busy once, and is not each time"


def delays_by_a_few_seconds() -> bool:
    """Whether others' caches were empty about as soon as usual, and the end of it all came soon enough."""
    with machine(30, stopped, "purge") as busy:
        first = busy.owners[0]
        gone: list[tuple[float, str]] = []
        actions = busy.everything()
        began = time.monotonic()
        ends = busy.workers.purge_all(
            actions, Hooks(), lambda action, _: gone.append((time.monotonic() - began, action.cache.owner.name))
        )
        outcomes = {(action.cache.owner.name, action.cache.path): outcome for action, outcome, _ in ends}
        assert busy.left() == {first.name}
        assert {name for _, name in gone} == {owner.name for owner in busy.owners[1:]}
        took = time.monotonic() - began
        assert len(outcomes) == len(actions)
        lost = [outcome for (name, _), outcome in outcomes.items() if name == first.name]
        assert ["hangs" in outcome.failures[0].error for outcome in lost] == [True] * 2
        assert busy.at_work.most <= BOUNDS.slots + BOUNDS.aside
        return max(when for when, _ in gone) < 15 and took < 30


def test_where_a_disk_is_short_the_cycle_acts_without_those_who_take_long() -> None:
    with machine(30, chattering, "look") as busy:
        first = busy.owners[0]
        began = time.monotonic()
        record = busy.cycle().run(FULL, "a test")
        assert time.monotonic() - began < 90
        assert busy.left() == {first.name}
        assert [problem.path for problem in record.problems] == [first.home]
