"""What the service takes from a watcher, which runs with an owner's rights and may say anything."""

import socket
from collections.abc import Iterator

import pytest

from cachewarden.model.caches import Owner
from cachewarden.model.policies import Settings
from cachewarden.model.watching import Extent, Watched, Why
from cachewarden.record import Recorder
from cachewarden.service.opens import LONGEST_ENTRY, MOST_OPENED, Opened
from cachewarden.service.talking import Job
from cachewarden.service.watches import Watchers
from cachewarden.service.wire import Channel, encoder
from fakes import FakeJournal
from makers import cache, entry, owner, snapshot

PIP = "/home/ann/.cache/pip"
ANN, BOB = owner(), owner("bob", uid=1001)


class FakeStarter:
    """Watchers that say what the test says."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.filenos: dict[str, int] = {}
        self.killed: list[int] = []
        self._streams: list[socket.socket] = []

    def start(self, owner: Owner, work: str) -> Job:
        ours, theirs = socket.socketpair()
        self._streams += [ours, theirs]
        self.channels[owner.name] = Channel(theirs)
        self.filenos[owner.name] = ours.fileno()
        return Job(owner.uid, ours, Channel(ours), float("inf"))

    def kill(self, job: Job) -> None:
        self.killed.append(job.number)

    def notice(self) -> dict[int, int]:
        return {}

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


class Scene:
    """ann and bob, each with a cache and a watcher."""

    def __init__(self) -> None:
        self.starter, self.journal = FakeStarter(), FakeJournal()
        self.heard: list[tuple[str, Opened]] = []
        self.watchers = Watchers(
            self.starter, Recorder(self.journal), lambda owner, told: self.heard.append((owner.name, told))
        )
        bobs = cache(entry(), path="/home/bob/.cache/pip", of=BOB)
        self.watchers.follow(snapshot(cache(entry()), bobs), Settings())

    def say(self, word: str, value: object = None, *, who: str = "ann") -> set[str]:
        self.starter.channels[who].send(word, value)
        return self.watchers.hear({self.starter.filenos[who]})


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.starter.close()


def opened(*entries: str, place: str = PIP) -> object:
    return encoder(Opened)(Opened(place, entries))


def test_what_was_opened_is_passed_on_with_the_owner_that_the_service_knows(scene: Scene) -> None:
    assert scene.say("opened", opened("a", "b")) == {"opened"}
    assert scene.heard == [("ann", Opened(PIP, ("a", "b")))]
    assert scene.starter.killed == []


def test_of_a_cache_that_is_not_the_owners_nothing_is_heard(scene: Scene) -> None:
    for place in ("/home/bob/.cache/pip", "/", "", f"{PIP}/", "/home/ann/.cache"):
        scene.say("opened", opened("a", place=place))
    assert (scene.heard, scene.starter.killed) == ([], [])


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "a",
        [PIP],
        [PIP, "a"],
        [PIP, [7]],
        [PIP, ["a\0b"]],
        [PIP, ["a"], 1_700_000_000],
        [7, ["a"]],
        [PIP, [["a"]]],
        [PIP, ["a"] * (MOST_OPENED + 1)],
        [PIP, ["a" * (LONGEST_ENTRY + 1)]],
        [PIP, ["a" * 70_000]],
    ],
)
def test_one_that_tells_it_in_another_form_or_too_much_at_once_is_ended(scene: Scene, value: object) -> None:
    scene.say("opened", value)
    assert (scene.heard, scene.starter.killed) == ([], [ANN.uid])
    assert scene.say("opened", opened("a"), who="bob") == {"opened"}


def test_one_that_tells_it_all_the_time_is_ended(scene: Scene) -> None:
    said = 0
    while not scene.starter.killed and said < 1000:
        scene.say("opened", opened(*(f"{said}-{number}" for number in range(MOST_OPENED))))
        said += 1
    assert scene.starter.killed == [ANN.uid]
    assert len(scene.heard) <= 24


@pytest.mark.parametrize(
    ("word", "value"), [("changed", ["x"]), ("filling", 7), ("use", None), ("opened\0", None), ("", None)]
)
def test_other_words_are_none(scene: Scene, word: str, value: object) -> None:
    scene.say(word, value)
    assert scene.starter.killed == [ANN.uid]


def reach(*watched: Watched) -> object:
    return encoder(tuple[Watched, ...])(watched)


def test_the_reach_is_known_when_all_have_told_it_and_only_of_caches_that_they_watch(scene: Scene) -> None:
    told = (
        Watched(BOB.uid, PIP, Extent.PART, opens=False, why=Why.FOLDERS),
        Watched(ANN.uid, "/home/bob/.cache/pip", Extent.WHOLE, opens=True),
    )
    scene.say("watching", reach(*told))
    told_all = [scene.watchers.have_told]
    scene.say("watching", reach(), who="bob")
    assert [*told_all, scene.watchers.have_told] == [False, True]
    assert scene.watchers.reach() == (Watched(ANN.uid, PIP, Extent.PART, opens=False, why=Why.FOLDERS),)
    assert [text for _, text, _ in scene.journal.told] == [
        "1 of the caches of ann cannot be watched whole: the regular look sees the rest"
    ]


def test_a_reach_is_told_once(scene: Scene) -> None:
    scene.say("watching", reach())
    assert scene.starter.killed == []
    scene.say("watching", reach())
    assert scene.starter.killed == [ANN.uid]


@pytest.mark.parametrize(
    "value", [[[1000, PIP, "all", True, None]], [[1000, PIP, "part", False, "\x1b[2J"]], [[1000] * 5] * 33, "x"]
)
def test_a_reach_in_other_words_than_ours_is_none(scene: Scene, value: object) -> None:
    scene.say("watching", value)
    assert scene.starter.killed == [ANN.uid]


def whole() -> object:
    return reach(Watched(ANN.uid, PIP, Extent.WHOLE, opens=True))


def test_silence_counts_from_when_a_watcher_sees_everything(scene: Scene) -> None:
    scene.say("watching", whole())
    assert scene.watchers.silent_since(ANN.uid) is None
    scene.say("whole")
    since = scene.watchers.silent_since(ANN.uid)
    assert since is not None
    assert scene.watchers.silent_since(BOB.uid) is None
    scene.say("opened", opened("a"))
    assert scene.watchers.silent_since(ANN.uid) == since


@pytest.mark.parametrize("word", ["changed", "filling"])
def test_and_anew_with_each_word_that_something_happened(scene: Scene, word: str) -> None:
    scene.say("watching", whole())
    scene.say("whole")
    since = scene.watchers.silent_since(ANN.uid)
    scene.say(word)
    after = scene.watchers.silent_since(ANN.uid)
    assert since is not None
    assert after is not None
    assert after > since


@pytest.mark.parametrize(
    "told",
    [(), (Watched(1000, PIP, Extent.PART, opens=True, why=Why.FOLDERS),), (Watched(1000, "/x", Extent.WHOLE, True),)],
)
def test_one_that_says_so_and_does_not_watch_all_caches_that_were_found_does_not_count(
    scene: Scene, told: tuple[Watched, ...]
) -> None:
    scene.say("whole")
    scene.say("watching", reach(*told))
    scene.say("whole")
    scene.say("changed")
    assert scene.watchers.silent_since(ANN.uid) is None


def test_with_the_watcher_its_silence_ends(scene: Scene) -> None:
    scene.say("watching", whole())
    scene.say("whole")
    scene.say("whole", ["x"])
    assert scene.starter.killed == [ANN.uid]
    assert scene.watchers.silent_since(ANN.uid) is None
