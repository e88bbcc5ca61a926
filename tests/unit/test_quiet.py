"""Whose last look still holds: whatever may have changed unseen ends that."""

import os
from collections.abc import Mapping
from dataclasses import replace

import pytest

from cachewarden.model.caches import Look, Owner, Problem, Quota
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings, SpaceOf, Watch
from cachewarden.model.relocations import Heading, Method, Phase, Presence, RelocationSeen
from cachewarden.model.units import Bytes, Inodes, Instant, Seconds
from cachewarden.service.quiet import VERIFY_EVERY, Clocks, Quiet
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Space
from fakes import FakeFiles
from makers import MIB, cache, entry, filesystem, owner, snapshot

ANN, BOB = owner(), owner("bob", uid=1001)
SETTINGS = Settings(watch=Watch(interval=Seconds(300)))


class Disks(FakeFiles):
    """``/home`` on device 1, with so much free."""

    def __init__(self) -> None:
        super().__init__(folders=("/home/ann", "/home/bob"))
        self.free, self.device, self.gone = 500 * MIB, 1, False

    def space(self, path: str) -> Space:
        if self.gone:
            raise FileNotFoundError(path)
        return Space(Bytes(1000 * MIB), Bytes(self.free), Inodes(10_000), Inodes(5000))

    def stat(self, path: str) -> os.stat_result | None:
        return os.stat_result((0o40755, 1, self.device, 2, 0, 0, 0, 0, 0, 0))


class Scene:
    """ann's cache was looked at ten minutes after her watcher saw everything; another ten have passed."""

    def __init__(self, look: Look | None = None, who: Owner = ANN) -> None:
        self.time, self.slept, self.set = 1000.0, 0.0, 0.0
        self.silent: dict[int, float] = {ANN.uid: 400.0}
        self.disks = Disks()
        self.quiet = Quiet(self.silent.get, self.disks, self.clocks)
        self.seen_look = look or Look((cache(entry()),), (filesystem(),))
        self.looked(who)
        self.time += 600

    def clocks(self) -> Clocks:
        return Clocks(self.time + self.set, self.time, self.time - self.slept)

    def looked(self, who: Owner = ANN) -> None:
        look = self.seen_look
        self.quiet.keep({who.uid: look}, (ANN, BOB), snapshot(*look.caches, on=look.filesystems), self.clocks())

    def known(self, settings: Settings = SETTINGS) -> Mapping[int, Look]:
        return self.quiet.known(settings)


def test_a_look_holds_as_long_as_nothing_was_heard_with_the_disks_as_they_are_now() -> None:
    scene = Scene()
    scene.disks.free = 7 * MIB
    assert scene.known() == {ANN.uid: replace(scene.seen_look, filesystems=(filesystem(free=7 * MIB),))}


def test_it_does_not_hold_without_a_watcher_nor_after_a_word_of_one() -> None:
    scene = Scene()
    scene.silent[ANN.uid] = scene.time - 1
    assert scene.known() == {}
    scene.silent.clear()
    assert scene.known() == {}


@pytest.mark.parametrize(("silent", "interval", "holds"), [(849, 300, True), (851, 300, False), (970, 60, True),
                                                           (971, 60, False), (849, 86_400, True)])  # fmt: skip
def test_only_a_look_after_some_silence_holds(silent: float, interval: int, holds: bool) -> None:
    scene = Scene()
    scene.silent[ANN.uid] = silent
    assert bool(scene.known(Settings(watch=Watch(interval=Seconds(interval))))) is holds


def test_it_is_verified_after_an_hour() -> None:
    scene = Scene()
    scene.time = 1000 + VERIFY_EVERY - 1
    assert scene.known()
    scene.time += 1
    assert not scene.known()


@pytest.mark.parametrize("what", ["sleep", "forward", "back"])
def test_a_machine_that_slept_or_whose_clock_was_set_is_looked_at(what: str) -> None:
    scene = Scene()
    if what == "sleep":
        scene.slept = 6
    else:
        scene.set = 6 if what == "forward" else -6
    assert scene.known() == {}
    scene.looked()
    scene.silent[ANN.uid] = 0
    assert scene.known()


def test_what_was_forgotten_holds_no_longer_nor_does_a_look_that_had_begun_before() -> None:
    scene = Scene()
    began = scene.clocks()
    scene.time += 1
    scene.quiet.forget()
    assert scene.known() == {}
    scene.quiet.keep({ANN.uid: scene.seen_look}, (ANN,), snapshot(*scene.seen_look.caches), began)
    assert scene.known() == {}
    scene.time += 1
    scene.looked()
    assert scene.known()


def test_another_disk_at_the_place_and_one_that_is_gone_are_looked_at() -> None:
    scene = Scene()
    scene.disks.device = 2
    assert scene.known() == {}
    scene.disks.device, scene.disks.gone = 1, True
    assert scene.known() == {}


def test_a_disk_that_its_owner_alone_can_ask_is_not_asked() -> None:
    private = filesystem(device=1001 * PRIVATE + 1)
    scene = Scene(Look((cache(entry(), device=private.device),), (private,)))
    scene.disks.gone = True
    assert scene.known() == {ANN.uid: scene.seen_look}


def moved(phase: Phase, presence: Presence) -> RelocationSeen:
    return RelocationSeen("1", "pip", "ann", "/home/ann/.cache/pip", "/media/x", Method.CONFIG, phase,
                          Heading.OUT, presence, Instant(0))  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "presence", "holds"),
    [
        (Phase.SETTLED, Presence.HERE, True),
        (Phase.SETTLED, Presence.MISSING, False),
        (Phase.SETTLED, Presence.FULL, False),
        (Phase.COPYING, Presence.HERE, False),
        (Phase.AWAY, Presence.MISSING, False),
    ],
)
def test_with_a_move_under_way_or_a_disk_away_everything_is_looked_at(
    phase: Phase, presence: Presence, holds: bool
) -> None:
    look = Look((cache(entry()),), (filesystem(),), relocations=(moved(phase, presence),))
    assert bool(Scene(look).known()) is holds


def test_a_quota_is_asked_for_by_its_owner_where_a_policy_goes_by_it() -> None:
    own = replace(cache(entry()), quota=Quota(Bytes(10), Bytes(5)))
    scene = Scene(Look((own,), (filesystem(),)))
    marks = Marks(Amount(percent=10), Amount(percent=10))
    by_quota = Policy("quota", ActionKind.PURGE, free_space=marks, free_space_of=SpaceOf.QUOTA)
    assert scene.known()
    assert scene.known(replace(SETTINGS, policies=(by_quota,))) == {}


def test_who_has_nothing_is_looked_at_again_within_the_hour_where_the_disk_is_sampled_anyway() -> None:
    scene = Scene()
    scene.time = 1000
    scene.quiet.keep({BOB.uid: Look()}, (ANN, BOB), snapshot(), scene.clocks())
    scene.time += 600
    assert scene.known().keys() == {ANN.uid, BOB.uid}
    alone = Scene(Look(), BOB)
    assert alone.known() == {}


def test_who_has_nothing_and_a_problem_is_looked_at_every_time() -> None:
    scene = Scene()
    scene.time = 1000
    look = Look(problems=(Problem("/home/bob", "cannot be read"),))
    scene.quiet.keep({BOB.uid: look}, (ANN, BOB), snapshot(), scene.clocks())
    assert scene.known().keys() == {ANN.uid}


def test_deciding_on_what_is_known_takes_a_small_part_of_the_time_and_waits_an_hour_at_most() -> None:
    scene = Scene()
    known = scene.known()
    assert not scene.quiet.may_wait(known)
    scene.quiet.took(0.5)
    assert scene.quiet.may_wait(known)
    assert not scene.quiet.may_wait({})
    scene.time += 999
    assert scene.quiet.may_wait(known)
    scene.time += 1
    assert not scene.quiet.may_wait(known)
    scene.quiet.took(60)
    scene.time += VERIFY_EVERY
    assert not scene.quiet.may_wait(known)


def test_why_others_need_what_is_in_a_shared_cache_is_told_anew_each_time() -> None:
    held = entry(hold="the environments of another user could not be seen: they may use it")
    shared, own = cache(entry(), path="/opt/miniforge3/pkgs"), cache(entry())
    used = replace(own, entries=(entry(used=1),))
    scene = Scene()
    scene.time = 1000
    seen = snapshot(replace(shared, entries=(held,)), used)
    scene.quiet.keep({ANN.uid: Look((shared, own), (filesystem(),))}, (ANN,), seen, scene.clocks())
    scene.time += 600
    assert scene.known()[ANN.uid].caches == (shared, used)


def test_who_is_no_longer_served_is_forgotten() -> None:
    scene = Scene()
    scene.quiet.keep({}, (BOB,), snapshot(), scene.clocks())
    assert scene.known() == {}
