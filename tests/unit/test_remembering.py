"""What is heard of use between cycles: whose word counts for what, and what is written down when."""

from dataclasses import replace

import pytest

from cachewarden.model.caches import Entry, Filesystem, Look, MeasuredCache, Owner
from cachewarden.model.findings import Fact, Mended
from cachewarden.model.plans import Outcome, Purge
from cachewarden.model.policies import Settings
from cachewarden.model.relocations import Moved, MoveOrder
from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.model.worth import Facts, Regain, Signal
from cachewarden.service.cycle import Cycle
from cachewarden.service.hooks import Hooks
from cachewarden.service.remembering import MOST_OPENED, Remembering
from cachewarden.system.memory import Sighting
from fakes import FakeClock, FakeStore, OneByOne
from makers import DAY, NOW, ago, cache, entry, filesystem, owner

ANN, BOB = owner(), owner("bob", uid=1001)
PIP = "/home/ann/.cache/pip"
PLACE = f"1000 {PIP}"
MINUTE = 60 * NANOSECONDS


class Lookers(OneByOne):
    """``Workers`` that look, and are asked for nothing else."""

    def __init__(self, looks: dict[str, Look]) -> None:
        self._looks = looks

    def owners(self) -> tuple[Owner, ...]:
        return tuple(each for each in (ANN, BOB) if each.name in self._looks)

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        return self._looks[owner.name]

    def examine(self, owner: Owner, hooks: Hooks) -> tuple[Fact, ...]:
        raise NotImplementedError

    def mend(self, owner: Owner, hooks: Hooks) -> tuple[Mended, ...]:
        raise NotImplementedError

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        raise NotImplementedError

    def move(self, owner: Owner, order: MoveOrder, hooks: Hooks) -> tuple[Moved, ...]:
        raise NotImplementedError


class Scene:
    """A service that looks at ann's cache, and at bob's at the same path."""

    def __init__(self, *entries: Entry, most: int = MOST_OPENED) -> None:
        self.store, self.clock = FakeStore(), FakeClock(NOW)
        anns = cache(*(entries or (entry("a"), entry("b"))))
        looks = {"ann": self.look(anns), "bob": self.look(cache(entry("a"), of=BOB))}
        self.cycle = Cycle(Lookers(looks), self.clock, Remembering(self.store, most_opened=most), Hooks())
        self.run()

    @staticmethod
    def look(*caches: MeasuredCache) -> Look:
        return Look(caches, (filesystem(),))

    def run(self) -> None:
        self.cycle.run(Settings(), "interval")

    def after(self, minutes: float) -> None:
        self.clock.time = Instant(self.clock.time + int(minutes * MINUTE))

    def hear(self, *entries: str, of: Owner = ANN, path: str = PIP) -> None:
        self.cycle.heard(of, path, entries)

    def seen(self, uid: int = 1000) -> dict[str, Entry]:
        snapshot = self.cycle.look(Settings())
        (found,) = [each for each in snapshot.caches if each.cache.owner.uid == uid]
        return {each.path: each for each in found.entries}

    def known(self) -> dict[str, Sighting]:
        return self.store.sightings(PLACE)


def test_what_was_opened_was_used_when_the_service_heard_of_it() -> None:
    scene = Scene()
    scene.after(60)
    scene.hear("a")
    found = scene.seen()
    assert (found["a"].last_used, found["a"].signal) == (scene.clock.time, Signal.OPENED)
    assert (found["b"].last_used, found["b"].signal) == (ago(50 * DAY), Signal.WRITTEN)


def test_one_owner_says_nothing_of_what_another_uses() -> None:
    scene = Scene()
    scene.after(60)
    scene.hear("a", of=BOB)
    assert scene.seen()["a"].signal is Signal.WRITTEN
    assert scene.seen(BOB.uid)["a"].signal is Signal.OPENED


@pytest.mark.parametrize("path", ["../b", "/home/ann/.cache/pip/a", "a/", "", "c", "a\udcff"])
def test_only_what_the_last_look_saw_counts(path: str) -> None:
    scene = Scene()
    scene.after(60)
    scene.hear(path)
    scene.hear("a", path="/home/ann/.cache")
    scene.run()
    scene.cycle.leave()
    assert set(scene.known()) == {"a", "b"}
    assert {each.signal for each in scene.known().values()} == {Signal.WRITTEN}


def test_nothing_is_heard_before_the_first_look() -> None:
    store = FakeStore()
    cycle = Cycle(Lookers({}), FakeClock(NOW), Remembering(store), Hooks())
    cycle.heard(ANN, PIP, ["a"])
    cycle.leave()
    assert store.sightings(PLACE) == {}


def test_it_is_written_down_with_the_sightings_and_not_before() -> None:
    scene = Scene()
    scene.after(2)
    scene.hear("a")
    scene.run()
    assert scene.known()["a"].signal is Signal.WRITTEN
    heard = scene.clock.time
    scene.after(4)
    scene.run()
    told = scene.known()["a"]
    assert (told.last_used, told.signal, told.uses) == (heard, Signal.OPENED, 1)
    assert scene.known()["b"].uses == 0


def test_a_use_counts_once_in_five_minutes_however_often_it_is_heard_of() -> None:
    scene = Scene(entry("a", used=10))
    scene.after(10)
    for _ in range(10):
        scene.hear("a", "a", "a")
        scene.after(1)
    scene.run()
    assert scene.known()["a"].uses == 2
    scene.after(10)
    scene.run()
    assert scene.known()["a"].uses == 2


def test_uses_that_were_noticed_are_a_fact_of_the_entry() -> None:
    made = entry("a")
    facts = Facts(Regain.DOWNLOAD)
    scene = Scene(*(replace(made, path=path, facts=facts) for path in "abc"))
    scene.after(10)
    scene.hear("a", "b")
    found = scene.seen()
    assert [found[path].facts for path in "abc"] == [Facts(Regain.DOWNLOAD, uses=1)] * 2 + [facts]
    assert found["a"].facts is found["b"].facts


def test_what_was_heard_last_is_written_down_at_the_end() -> None:
    scene = Scene()
    scene.after(6)
    scene.hear("a")
    scene.cycle.leave()
    assert scene.known()["a"] == Sighting(NOW, scene.clock.time, Signal.OPENED, 1)
    assert scene.known()["b"].signal is Signal.WRITTEN


def test_a_state_that_does_not_work_costs_nothing_before_the_end() -> None:
    scene = Scene()
    scene.after(6)
    scene.hear("a")
    scene.store.trouble = "the disk is full"
    scene.run()
    assert scene.seen()["a"].signal is Signal.OPENED


def test_there_is_a_bound_to_what_is_remembered() -> None:
    scene = Scene(*(entry(f"e{number}") for number in range(9)), most=3)
    scene.after(60)
    for number in range(9):
        scene.hear(f"e{number}")
    assert sum(each.signal is Signal.OPENED for each in scene.seen().values()) == 3


def test_a_later_sign_of_another_kind_counts_more() -> None:
    scene = Scene(entry("a", used=-3 * 3600))
    scene.after(60)
    scene.hear("a")
    assert (scene.seen()["a"].last_used, scene.seen()["a"].signal) == (ago(-3 * 3600), Signal.WRITTEN)
