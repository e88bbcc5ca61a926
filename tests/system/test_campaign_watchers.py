"""The attacks of one user on all others, part seven: a watcher that says what it likes of what was opened.

ann's watcher has been taken over; bob's is the real one, with bob's rights. What ann's says may cost ann its watcher,
and nobody else anything.
"""

import os
import socket
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from watchdog import events

from builders.launched import Homes, fill, honest, launched
from builders.looks import as_user
from cachewarden.model.caches import Owner, Snapshot
from cachewarden.model.policies import Settings
from cachewarden.model.units import Instant
from cachewarden.model.watching import Extent
from cachewarden.record import Recorder
from cachewarden.service.hooks import Hooks
from cachewarden.service.opens import AFTER, MOST_OPENED, Opened
from cachewarden.service.watches import Watchers, ready_filenos
from cachewarden.service.wire import Channel
from cachewarden.service.workers import LaunchedWorkers, look_at
from cachewarden.system.journal import StreamJournal

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
    pytest.mark.skipif(
        not hasattr(events, "FileOpenedEvent"), reason="this watchdog does not tell of files that are opened"
    ),
]
Lie = Callable[[Channel, Homes], None]


def say_for_ever(channel: Channel, value: object) -> None:
    while True:
        channel.send("opened", value)


LIES: dict[str, Lie] = {
    "of bob's cache": lambda channel, homes: channel.send("opened", [f"{homes[1].home}/.cache/pip", ["http-v2/a"]]),
    "in another form": lambda channel, _: channel.send("opened", {"cache": "/"}),
    "with a time of its own": lambda channel, homes: channel.send(
        "opened", [f"{homes[0].home}/.cache/pip", ["a"], 4_000_000_000_000_000_000]
    ),
    "of more than it may": lambda channel, homes: channel.send(
        "opened", [f"{homes[0].home}/.cache/pip", ["x"] * (MOST_OPENED + 1)]
    ),
    "with a path of a mebibyte": lambda channel, homes: channel.send(
        "opened", [f"{homes[0].home}/.cache/pip", ["x" * (1 << 20)]]
    ),
    "all the time": lambda channel, homes: say_for_ever(channel, [f"{homes[0].home}/.cache/pip", ["x"]]),
    "half": lambda channel, _: channel._stream.sendall(b"\0\0\1\0[1,"),
}


def lying(homes: Homes, lie: Lie) -> Callable[[Owner, socket.socket, str], None]:
    """ann's looks are honest, her watcher is not."""

    def body(owner: Owner, stream: socket.socket, work: str) -> None:
        if owner.uid != homes[0].uid or work != "watch":
            honest(owner, stream, work)
            return
        channel = Channel(stream)
        channel.receive()
        lie(channel, homes)
        time.sleep(600)

    return body


class Listening:
    """The service's side: what it hears, and from whom."""

    def __init__(self, workers: LaunchedWorkers, homes: Homes) -> None:
        self.heard: list[tuple[str, Opened]] = []
        self.log = StringIO()
        recorder = Recorder(StreamJournal(verbose=True, stream=self.log))
        self.watchers = Watchers(workers, recorder, lambda owner, told: self.heard.append((owner.name, told)))
        caches = tuple(cache for owner in homes for cache in look_at(workers, owner, Hooks()).caches)
        self.snapshot = Snapshot(Instant(time.time_ns()), caches)
        self.watchers.follow(self.snapshot, Settings())

    def until(self, what: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.heard
            self.watchers.hear(ready_filenos(self.watchers.filenos(), 0.2))


def read_as(owner: Owner, path: Path) -> None:
    """By its name, as a tool of the owner's does."""
    as_user(owner.uid, lambda: len(path.read_bytes()))


@pytest.mark.parametrize("kind", LIES)
def test_a_lie_about_what_was_opened_costs_its_owner_only(homes: Homes, kind: str) -> None:
    ann, bob = homes
    fill(ann)
    used = next(path for path in Path(bob.home, ".cache/pip/http-v2").rglob("*.body"))
    with launched(lying(homes, LIES[kind]), ann, bob) as workers:
        service = Listening(workers, homes)
        service.until(lambda: {each.uid for each in service.watchers.reach()} == {bob.uid})
        assert {each.extent for each in service.watchers.reach()} == {Extent.WHOLE}
        assert all(each.opens for each in service.watchers.reach())
        began = time.monotonic()
        service.until(lambda: time.monotonic() - began > AFTER + 3)
        read_as(bob, used)
        place = f"{bob.home}/.cache/pip"
        entry = str(used.relative_to(place)).removesuffix(".body")
        service.until(lambda: ("bob", Opened(place, (entry,))) in service.heard)
        of_ann = [told for name, told in service.heard if name == "ann"]
        assert {told.cache for told in of_ann} <= {f"{ann.home}/.cache/pip"}
        assert len(of_ann) < 100
        service.watchers.end_all()
