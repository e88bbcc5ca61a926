"""Many workers at once: how many, in which order, and what becomes of those that keep others waiting."""

import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import pytest

import makers
from cachewarden.model.caches import Owner
from cachewarden.model.errors import WorkerError
from cachewarden.service.fleet import Bounds, Ended, Fleet, Task, Verdict, bounds_for
from cachewarden.service.hooks import Hooks
from cachewarden.service.precedence import SHORT, Precedence
from cachewarden.service.talking import Job
from cachewarden.service.wire import Channel, Message, frame

STEP = 0.5
Says = Callable[[socket.socket, float], None]
"""What a worker does each half second, being so many seconds old."""


def answers(after: float) -> Says:
    """An honest one, at work for so long."""

    def say(theirs: socket.socket, age: float) -> None:
        Channel(theirs).send("done" if age >= after else "here")

    return say


def hangs(_: socket.socket, __: float) -> None:
    """Stopped, or in a dead mount."""


def dribbles(theirs: socket.socket, age: float) -> None:
    """A byte of a message, again and again."""
    whole = frame("seen", "x" * 1000)
    theirs.send(whole[int(age / STEP) % len(whole) :][:1])


def chatters(theirs: socket.socket, _: float) -> None:
    """For ever something, never the end."""
    Channel(theirs).send("news")


def floods(theirs: socket.socket, _: float) -> None:
    """More signs of life than there can be."""
    for _ in range(10):
        Channel(theirs).send("here")


def dies(theirs: socket.socket, _: float) -> None:
    theirs.shutdown(socket.SHUT_RDWR)


@dataclass
class Scene:
    """Owners by what their workers do; time goes by half a second whenever hooks are served."""

    workers: dict[str, Says]
    bounds: Bounds = field(default_factory=lambda: Bounds(2, 2))
    stop_at: float = float("inf")
    hurries: bool = False
    patience: Callable[[bool], float] = lambda _: float("inf")
    limit: float = 300.0
    now: float = 1000.0
    begun: list[str] = field(default_factory=list)
    most: int = 0
    asked: list[bytes] = field(default_factory=list)
    never: dict[str, tuple[str, bool]] = field(default_factory=dict)
    step: float = STEP

    def __post_init__(self) -> None:
        self._live: dict[int, tuple[str, socket.socket, float]] = {}
        self._began = self.now

    def _task(self, name: str, owner: Owner) -> Task[str]:
        return Task(owner, lambda: self._begin(name), iter([frame("look")]), self._answer(), self.patience)

    def _begin(self, name: str) -> Job:
        ours, theirs = socket.socketpair()
        theirs.settimeout(0)
        self.begun.append(name)
        number = len(self.begun)
        self._live[number] = name, theirs, self.now
        self.most = max(self.most, len(self._live))
        return Job(number, ours, Channel(ours), self.now + self.limit)

    @staticmethod
    def _answer() -> Generator[None, Message, str]:
        while True:
            word, _ = yield
            if word == "done":
                return "answer"

    def kill(self, job: Job) -> None:
        self._gone(job.number)
        job.close()

    def never_started(self, job: Job) -> tuple[str, bool] | None:
        return self.never.get(self._live[job.number][0]) if job.number in self._live else None

    def _gone(self, number: int) -> None:
        if each := self._live.pop(number, None):
            each[1].close()

    def _beat(self) -> None:
        self.now += self.step
        for number, (name, theirs, began) in list(self._live.items()):
            try:
                self.workers[name](theirs, self.now - began)
            except BlockingIOError:
                continue
            except OSError:
                self._gone(number)

    def run(self, *names: str) -> dict[str, tuple[float, Ended[str]]]:
        """By name, when it ended (seconds from the beginning) and how. Several tasks of one owner: ``ann/2``."""
        names = names or tuple(self.workers)
        hooks = Hooks(lambda: self.now - self._began < self.stop_at, self._beat, hurries=lambda: self.hurries)
        uids = {name.partition("/")[0]: 1000 + number for number, name in enumerate(names)}
        tasks = [self._task(name, makers.owner(name, uid=uids[name.partition("/")[0]])) for name in names]
        found = {}
        for ended in Fleet(self, tasks, hooks, self.bounds, clock=lambda: self.now, beat=0).run():
            found[ended.task.owner.name] = self.now - self._began, ended
            for number in [number for number, each in self._live.items() if each[0] == ended.task.owner.name]:
                self._gone(number)
        self.end()
        return found

    def end(self) -> None:
        """Closes what the test opened."""
        for number in list(self._live):
            self._gone(number)


def verdicts(found: dict[str, tuple[float, Ended[str]]]) -> dict[str, Verdict]:
    return {name: ended.verdict for name, (_, ended) in found.items()}


def test_all_are_served_in_their_order_by_no_more_at_once_than_there_are_slots() -> None:
    names = [f"o{number:03}" for number in range(100)]
    scene = Scene(dict.fromkeys(names, answers(1.0)))
    found = scene.run()
    assert scene.begun == names
    assert (scene.most, set(verdicts(found).values())) == (2, {Verdict.DONE})


def test_one_that_hangs_delays_the_others_by_the_moment_that_it_had_a_slot() -> None:
    names = {f"o{number:03}": answers(1.0) for number in range(20)}
    alone = max(when for when, _ in Scene(names, Bounds(1, 1)).run().values())
    found = Scene({"dead": hangs, **names}, Bounds(1, 1)).run()
    others = max(when for name, (when, _) in found.items() if name != "dead")
    assert others - alone <= 5
    assert found["dead"][1].verdict is Verdict.HUNG
    assert "no sign of life" in found["dead"][1].error


@pytest.mark.parametrize("rogue", [hangs, dribbles, chatters], ids=lambda each: each.__name__)
def test_rogues_in_every_slot_and_aside_delay_the_others_by_a_bounded_time_and_are_never_more(rogue: Says) -> None:
    rogues = {f"r{number}": rogue for number in range(4)}
    scene = Scene({**rogues, **{f"o{number}": answers(1.0) for number in range(10)}}, limit=600)
    found = scene.run()
    others = max(when for name, (when, _) in found.items() if name.startswith("o"))
    assert others < 120
    assert scene.most <= 4
    assert all(verdicts(found)[name] is not Verdict.DONE for name in rogues)


def test_who_is_slow_and_at_work_goes_on_aside_and_comes_to_its_end() -> None:
    scene = Scene({"big": answers(100.0), **{f"o{number}": answers(1.0) for number in range(40)}}, Bounds(1, 1))
    found = scene.run()
    assert set(verdicts(found).values()) == {Verdict.DONE}
    assert max(when for name, (when, _) in found.items() if name != "big") < found["big"][0]


def test_a_message_that_never_becomes_whole_ends_its_worker() -> None:
    when, ended = Scene({"ann": dribbles}).run()["ann"]
    assert (ended.error, when < 12) == ("a message took too long to arrive", True)


def test_one_that_says_too_often_that_it_is_there_is_ended() -> None:
    assert "too often" in Scene({"ann": floods}, step=0.01).run()["ann"][1].error


def test_a_flood_of_small_messages_waits_with_the_kernel_until_each_was_heard() -> None:
    """Else one worker fills the service's memory with what nobody has looked at yet."""
    sent = heard = 0

    def flood(theirs: socket.socket, _: float) -> None:
        nonlocal sent
        while True:
            sent += theirs.send(frame("news") * 1000)

    class Listening(Scene):
        @staticmethod
        def _answer() -> Generator[None, Message, str]:
            nonlocal heard
            while True:
                yield
                heard += 1

    assert verdicts(Listening({"ann": flood}).run()) == {"ann": Verdict.HUNG}
    assert heard > 500
    assert sent - heard * len(frame("news")) < 2 << 20


def test_one_that_dies_costs_nobody_but_its_owner() -> None:
    found = Scene({"ann": dies, "bob": answers(2.0)}).run()
    assert verdicts(found) == {"ann": Verdict.FAILED, "bob": Verdict.DONE}
    assert "ended without an answer" in found["ann"][1].error


def test_of_one_owner_there_is_one_worker_at_a_time_and_those_behind_go_on() -> None:
    scene = Scene({"ann": answers(5.0), "ann/2": answers(1.0), "bob": answers(1.0)})
    found = scene.run("ann", "ann/2", "bob")
    assert scene.begun == ["ann", "bob", "ann/2"]
    assert found["ann/2"][0] > found["ann"][0]


def test_when_only_slow_ones_are_left_they_are_waited_for_as_long_as_there_is_patience() -> None:
    found = Scene(
        {"big": answers(100.0), "ann": answers(1.0)}, hurries=True, patience=lambda hurried: 5.0 if hurried else 999
    ).run()
    assert found["big"][1].verdict is Verdict.LONG
    assert 20 < found["big"][0] < 30


def test_without_a_hurry_a_slow_one_has_its_whole_time() -> None:
    scene = Scene({"big": answers(100.0), "ann": answers(1.0)}, patience=lambda hurried: 5.0 if hurried else 999)
    assert scene.run()["big"][1].verdict is Verdict.DONE


def test_one_that_was_asked_to_stop_gets_a_few_seconds_and_nobody_is_begun_with_any_more() -> None:
    scene = Scene({"ann": hangs, "bob": answers(50.0), "cleo": answers(1.0)}, stop_at=2.0)
    found = scene.run()
    assert scene.begun == ["ann", "bob"]
    assert "did not stop" in found["ann"][1].error
    assert max(when for when, _ in found.values()) < 8


def test_where_an_earlier_worker_still_hangs_that_counts_as_hanging_and_want_of_memory_does_not() -> None:
    why = {"ann": ("an earlier one still hangs", True), "bob": ("it could not be started now", False)}
    found = Scene({"ann": dies, "bob": dies}, never=why).run()
    assert verdicts(found) == {"ann": Verdict.HUNG, "bob": Verdict.UNREACHED}


def test_whoever_stops_listening_ends_all_workers() -> None:
    scene = Scene({"ann": hangs, "bob": hangs, "cleo": answers(1.0)})
    hooks = Hooks(beat=scene._beat)
    owners = [makers.owner(name, uid=1000 + number) for number, name in enumerate(scene.workers)]
    tasks = [scene._task(owner.name, owner) for owner in owners]
    run = Fleet(scene, tasks, hooks, Bounds(3, 1), clock=lambda: scene.now, beat=0).run()
    next(run)
    assert isinstance(run, Generator)
    run.close()
    assert [name for name, _, _ in scene._live.values()] == ["cleo"]  # it has ended by itself
    scene.end()


def test_a_worker_that_cannot_be_started_fails_alone() -> None:
    def refuse() -> Job:
        raise WorkerError("no")

    def answer() -> Generator[None, Message, str]:
        yield
        return ""

    scene = Scene({"bob": answers(1.0)})
    tasks = [Task(makers.owner(), refuse, iter(()), answer()), scene._task("bob", makers.owner("bob", uid=1001))]
    ends = list(Fleet(scene, tasks, Hooks(beat=scene._beat), Bounds(2, 2), clock=lambda: scene.now, beat=0).run())
    scene.end()
    assert [(each.verdict, each.error) for each in ends] == [(Verdict.FAILED, "no"), (Verdict.DONE, "")]


@pytest.mark.parametrize(
    ("processors", "mebibytes", "slots"),
    [(1, 420, 2), (4, 420, 2), (4, 940, 4), (2, 8000, 2), (64, 64_000, 4)],
    ids=["one core", "Pi Zero 2 W", "Pi 4 of 1 GB", "two cores", "server"],
)
def test_there_are_as_many_slots_as_the_machine_can_bear(processors: int, mebibytes: int, slots: int) -> None:
    assert bounds_for(processors, mebibytes << 20).slots == slots


class Cycles:
    """What a precedence learns from cycle to cycle."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.precedence = Precedence(lambda: self.now)
        self.owners = {name: makers.owner(name, uid=1000 + number) for number, name in enumerate("abcde")}

    def went(self, **verdicts: Verdict) -> None:
        self.now += 10
        for name, verdict in verdicts.items():
            self.precedence.note(self.owners[name], verdict)

    def order(self) -> str:
        return "".join(owner.name for owner in self.precedence.ordered(self.owners.values()))

    def patience(self, name: str, *, hurried: bool) -> float:
        return self.precedence.patience(self.owners[name], hurried=hurried)


@pytest.fixture
def cycles() -> Cycles:
    return Cycles()


def test_who_was_not_reached_is_first_and_who_hung_last(cycles: Cycles) -> None:
    assert cycles.order() == "abcde"
    cycles.went(a=Verdict.HUNG, b=Verdict.DONE, c=Verdict.LONG, d=Verdict.UNREACHED, e=Verdict.FAILED)
    assert cycles.order() == "dbeca"
    cycles.went(a=Verdict.DONE, c=Verdict.DONE, d=Verdict.DONE)
    assert cycles.order() == "abcde"


def test_of_those_who_hung_each_comes_first_in_turn(cycles: Cycles) -> None:
    cycles.went(a=Verdict.HUNG)
    cycles.went(b=Verdict.HUNG)
    assert cycles.order() == "cdeab"
    cycles.went(a=Verdict.HUNG)
    assert cycles.order() == "cdeba"


def test_who_hung_is_not_waited_for_for_a_while_and_longer_each_time(cycles: Cycles) -> None:
    cycles.went(a=Verdict.HUNG)
    assert (cycles.patience("a", hurried=False), cycles.patience("b", hurried=False)) == (0.0, float("inf"))
    cycles.now += 301
    assert cycles.patience("a", hurried=False) == float("inf")
    cycles.went(a=Verdict.HUNG)
    cycles.now += 301
    assert cycles.patience("a", hurried=False) == 0.0


def test_who_was_cut_off_while_it_was_getting_on_gets_twice_the_time_until_it_ends(
    cycles: Cycles,
) -> None:
    times = []
    for _ in range(3):
        times.append(cycles.patience("a", hurried=True))
        cycles.went(a=Verdict.LONG)
    assert times == [SHORT, 2 * SHORT, 4 * SHORT]
    cycles.went(a=Verdict.DONE)
    assert cycles.patience("a", hurried=True) == SHORT


def test_what_was_learnt_of_an_owner_outlives_looks_at_others_and_is_forgotten_after_a_day(cycles: Cycles) -> None:
    cycles.went(a=Verdict.HUNG)
    assert [owner.name for owner in cycles.precedence.ordered([cycles.owners["b"]])] == ["b"]
    assert cycles.order() == "bcdea"
    cycles.now += 86_401
    assert cycles.order() == "abcde"
