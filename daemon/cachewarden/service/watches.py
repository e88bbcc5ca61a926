"""The daemon's side of watching: which owners have a watcher, and what those say."""

import select
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from cachewarden.model.caches import Owner, Snapshot
from cachewarden.model.errors import WorkerError
from cachewarden.model.policies import Settings
from cachewarden.model.watching import Extent, Watched
from cachewarden.record import INFO, Event, Recorder
from cachewarden.service.opens import EVERY, LONGEST_ENTRY, MOST, MOST_CACHES, MOST_OPENED, MOST_WATCHED, Opened
from cachewarden.service.sampling import Mark, marks_of
from cachewarden.service.talking import Job
from cachewarden.service.wire import decoder, encoder

MOST_WATCHERS = 16
_PATIENCE = 0.5
_LONGEST_LIST = 1 << 16
"""Bytes of ``opened`` and ``watching``: within their bounds they are shorter."""
_MOST_WORDS = 10
_QUIET = 2.0
"""A watcher says a word in so many seconds at most; it has ten to spare."""
_LISTS = MOST // MOST_OPENED + MOST_CACHES
"""So many times it may say what was opened in ``EVERY`` seconds; as many it has to spare."""
_WORDS = {"changed", "filling", "watching", "whole", "opened"}
Hear = Callable[[Owner, Opened], None]


@dataclass(slots=True)
class _Watcher:
    owner: Owner
    job: Job
    places: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    words: int = 0
    lists: int = 0
    reach: tuple[Watched, ...] | None = None
    since: float = field(default_factory=time.monotonic)
    silent_since: float | None = None
    """When it said that it sees everything, or something happened after that; ``None`` when it does not."""

    @property
    def sees_all(self) -> bool:
        whole = {each.path for each in self.reach or () if each.extent is Extent.WHOLE}
        return self.reach is not None and whole.issuperset(self.places)


class Starter(Protocol):
    """Of ``LaunchedWorkers`` what is needed here."""

    def start(self, owner: Owner, work: str) -> Job:
        """Has a worker forked."""
        ...

    def kill(self, job: Job) -> None:
        """Ends it at once."""
        ...

    def notice(self) -> dict[int, int]:
        """Those that have ended since, by number."""
        ...


class Watchers:
    """One watcher per owner with caches, the owners with the largest caches first, up to a bound."""

    def __init__(self, workers: Starter, recorder: Recorder, opened: Hear) -> None:
        """Watchers are started by ``follow``; ``opened`` is told what entries an owner has opened, unchecked."""
        self._workers = workers
        self._recorder = recorder
        self._opened = opened
        self._watchers: dict[int, _Watcher] = {}
        self._followed = False

    def follow(self, snapshot: Snapshot, settings: Settings) -> None:
        """Starts, keeps and ends watchers so that they fit the caches that were found."""
        wanted = _wanted(snapshot) if settings.watch.react else {}
        marks = _private_marks(snapshot, settings)
        self._followed = True
        self._forget_ended()
        for uid, watcher in list(self._watchers.items()):
            if uid not in wanted or wanted[uid][1] != watcher.places:
                self._end(uid)
        for uid, (owner, places) in wanted.items():
            with suppress(WorkerError, OSError):
                self._one(owner, places, marks.get(uid, ()))

    def _one(self, owner: Owner, places: tuple[str, ...], marks: tuple[Mark, ...]) -> None:
        """Starts the watcher of an owner, or tells it the marks as they are now."""
        watcher = self._watchers.get(owner.uid)
        if watcher is None:
            job = self._workers.start(owner, "watch")
            watcher = self._watchers[owner.uid] = _Watcher(owner, job, places, marks)
        elif watcher.marks == marks:
            return
        watcher.marks = marks
        watcher.job.channel.send("watch", encoder(tuple[Mark, ...])(marks))

    def filenos(self) -> list[int]:
        """What to poll."""
        return [watcher.job.stream.fileno() for watcher in self._watchers.values()]

    def hear(self, ready: set[int]) -> set[str]:
        """What the watchers among ``ready`` say: ``changed``, ``filling``; what they tell besides is heeded here.

        One that talks nonsense is ended.
        """
        said: set[str] = set()
        for uid, watcher in list(self._watchers.items()):
            if watcher.job.stream.fileno() in ready:
                try:
                    said.add(self._listen(watcher))
                except (OSError, WorkerError):
                    self._end(uid)
        return said

    def _listen(self, watcher: _Watcher) -> str:
        message = watcher.job.channel.receive(seconds=_PATIENCE, limit=_LONGEST_LIST)
        watcher.words += 1
        if watcher.words > _MOST_WORDS * (1 + (time.monotonic() - watcher.since) / _QUIET):
            raise WorkerError("the watcher talks too much")
        if message is None or message[0] not in _WORDS:
            raise WorkerError("the watcher has ended")
        word, value = message
        if word == "opened":
            self._hear_opened(watcher, value)
        elif word == "watching":
            self._hear_reach(watcher, value)
        elif value is not None:
            raise WorkerError("a word with something to it")
        elif watcher.silent_since is not None or (word == "whole" and watcher.sees_all):
            watcher.silent_since = time.monotonic()
        return word

    def _hear_opened(self, watcher: _Watcher, value: object) -> None:
        """Only form and number are seen to here: which entries there are, the snapshot knows."""
        watcher.lists += 1
        if watcher.lists > _LISTS * (2 + (time.monotonic() - watcher.since) / EVERY):
            raise WorkerError("the watcher talks too much")
        told: Opened = decoder(Opened)(value)
        if len(told.entries) > MOST_OPENED or max(map(len, told.entries), default=0) > LONGEST_ENTRY:
            raise WorkerError("the watcher tells more than it may")
        if told.cache in watcher.places:
            self._opened(watcher.owner, told)

    def _hear_reach(self, watcher: _Watcher, value: object) -> None:
        told: tuple[Watched, ...] = decoder(tuple[Watched, ...])(value)
        if len(told) > MOST_WATCHED or watcher.reach is not None:
            raise WorkerError("the watcher tells more than it may")
        watcher.reach = tuple(
            replace(each, uid=watcher.owner.uid)
            for each in {each.path: each for each in told}.values()
            if each.path in watcher.places
        )
        self._say_reach(watcher.owner.name, watcher.reach)

    def _say_reach(self, name: str, reach: tuple[Watched, ...]) -> None:
        less = [each for each in reach if each.extent is not Extent.WHOLE]
        if less:
            text = f"{len(less)} of the caches of {name} cannot be watched whole: the regular look sees the rest"
            self._recorder.once(Event.WATCH_LIMITED, INFO, name, text, owner=name)

    def silent_since(self, uid: int) -> float | None:
        """Since when (``time.monotonic``) nothing happened that a look at this owner would see; ``None``: unknown."""
        watcher = self._watchers.get(uid)
        return watcher.silent_since if watcher else None

    @property
    def have_told(self) -> bool:
        """Whether each watcher that there is has told how it watches: else that is about to change."""
        return self._followed and all(watcher.reach is not None for watcher in self._watchers.values())

    def reach(self) -> tuple[Watched, ...]:
        """How each cache is watched, of which a watcher has told that."""
        return tuple(each for _, watcher in sorted(self._watchers.items()) for each in watcher.reach or ())

    def _forget_ended(self) -> None:
        ended = self._workers.notice()
        for uid, watcher in list(self._watchers.items()):
            if watcher.job.number in ended:
                watcher.job.close()
                del self._watchers[uid]

    def _end(self, uid: int) -> None:
        watcher = self._watchers.pop(uid)
        with suppress(WorkerError):
            self._workers.kill(watcher.job)

    def end_all(self) -> None:
        """When the service stops, or its settings change."""
        for uid in list(self._watchers):
            self._end(uid)


def _wanted(snapshot: Snapshot) -> dict[int, tuple[Owner, tuple[str, ...]]]:
    sizes: dict[int, int] = {}
    found: dict[int, tuple[Owner, tuple[str, ...]]] = {}
    for cache in snapshot.caches:
        owner = cache.cache.owner
        sizes[owner.uid] = sizes.get(owner.uid, 0) + cache.size
        places = found.get(owner.uid, (owner, ()))[1]
        found[owner.uid] = (owner, tuple(sorted({*places, cache.cache.path})))
    largest = sorted(found, key=lambda uid: (-sizes[uid], uid))[:MOST_WATCHERS]
    return {uid: found[uid] for uid in largest}


def _private_marks(snapshot: Snapshot, settings: Settings) -> dict[int, tuple[Mark, ...]]:
    """By owner: the marks on filesystems that only that owner can ask."""
    theirs: dict[int, set[int]] = {}
    for cache in snapshot.caches:
        theirs.setdefault(cache.cache.owner.uid, set()).add(cache.device)
    return {
        uid: marks_of(settings, [each for each in snapshot.filesystems if each.device in devices], private=True)
        for uid, devices in theirs.items()
    }


def ready_filenos(filenos: Iterable[int], seconds: float | None, *, changing: Iterable[int] = ()) -> set[int]:
    """Which of the descriptors have something to read, after at most ``seconds``.

    Of those ``changing`` (tables of the kernel, which can always be read) which have changed since the last time.
    """
    poll = select.poll()
    for fileno in filenos:
        poll.register(fileno, select.POLLIN)
    for fileno in changing:
        poll.register(fileno, select.POLLPRI)
    return {fileno for fileno, _ in poll.poll(None if seconds is None else max(0, seconds) * 1000)}
