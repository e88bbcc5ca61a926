"""A watcher: a worker that stays, for file events need read rights in the owner's folders.

It says «look again», «a disk is filling», which entries were opened, how far it sees, and nothing else. One watch on
a conda cache tells of every new package; a pip cache is watched whole as long as its folders fit the budget, else
only at its top, and the regular look does the rest. What decides where caches are (configuration, folders that are
not there yet) and what is in use (the records of environments) is watched as well: «whole» is said when all of that
is, and then silence means that nothing happened.
"""

import inspect
import json
import logging
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from watchdog import events
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer, inotify_c
from watchdog.observers.api import BaseObserver

from cachewarden.discover import discover
from cachewarden.ecosystems import registry
from cachewarden.ecosystems.base import Surroundings
from cachewarden.model.caches import TRASH, Cache
from cachewarden.model.watching import Extent, Watched, Why
from cachewarden.service.opens import (
    LONGEST_ENTRY,
    MOST_CACHES,
    MOST_OPENED,
    MOST_WATCHED,
    Opened,
    Opens,
    may_be_told,
)
from cachewarden.service.sampling import Mark, Sampler
from cachewarden.service.wire import Channel, decoder, encoder
from cachewarden.service.worker import Whom
from cachewarden.system.aside import found_aside
from cachewarden.system.files import RealFiles
from cachewarden.system.ground import Asking, Ground, is_told
from cachewarden.system.listings import Listings

BUDGET = 8192
"""Watches per owner: one for each folder of a pip cache; the kernel's default limit per user is 8192 or more."""
_MOST_TEXT = 16 << 20
"""Bytes of the list of an owner's caches: all that may be named, each by the longest path."""
_GROWING = {"created", "moved", "closed"}
_QUIET_SECONDS = 2.0
_OURS = f"/{TRASH}"
_CHOOSES = "event_filter" in inspect.signature(BaseObserver.schedule).parameters
"""watchdog from 5 on asks the kernel for nothing but what is wanted. Debian 12 has 2.2, which cannot choose, and does
not tell what is opened either."""
_SEES_OPENS = _CHOOSES and hasattr(events, "FileOpenedEvent")
_GROWTH = ("DirCreatedEvent", "FileCreatedEvent", "DirMovedEvent", "FileMovedEvent", "FileClosedEvent")
_QUEUE, _USUAL_QUEUE = "/proc/sys/fs/inotify/max_queued_events", 16_384
_TELLS_LOSS = hasattr(inotify_c.InotifyEvent, "is_queue_overflow")
"""watchdog from 7.1 on logs a warning when the kernel had to leave events out; those before keep it to themselves."""
_MOST_GROUND = 1024
"""Names that are watched beside the caches: of configuration some seventy, and one for each environment."""
_CHANGED, _OPENED, _MOVED = b"c", b"o", b"m"
"""The last: where caches are, or what is to be watched, may be something else now."""


class _Handler(FileSystemEventHandler):
    """Notes that something grew, and what was opened; our own removing is no news."""

    def __init__(self, news: "queue.SimpleQueue[bytes]", cache: Cache, opens: Opens | None) -> None:
        self._news = news
        self._root = f"{cache.path.rstrip('/')}/"
        self._cache = cache.path
        self._opens = opens
        self._entry: Callable[[str], str | None] = registry.by_name(cache.ecosystem).opened

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in watchdog's thread."""
        path = os.fsdecode(event.src_path)
        if event.event_type == "opened":
            self._note_opened(path)
        elif event.event_type in _GROWING and _OURS not in path:
            self._news.put(_CHANGED)

    def _note_opened(self, path: str) -> None:
        if self._opens is None or not path.startswith(self._root):
            return
        entry = self._entry(path.removeprefix(self._root))
        if not entry or len(entry) > LONGEST_ENTRY or not (entry.isascii() and entry.isprintable()):
            return
        if self._opens.note(self._cache, entry, time.monotonic()):
            self._news.put(_OPENED)


@dataclass(frozen=True, slots=True)
class _Found:
    """The caches of an owner, and what they were found by: names that were asked about, folders that were listed."""

    caches: tuple[Cache, ...]
    asked: tuple[str, ...]
    listed: tuple[str, ...]
    records: tuple[str, ...]
    """Folders in which environments record what they use."""


def watch(whom: Whom, marks: tuple[Mark, ...], channel: Channel, stream: socket.socket) -> None:
    """Watches all caches of the owner, and the disks with ``marks``, until the service closes its end."""
    found = _found(whom)
    files = RealFiles(whom.owner)
    observer = Observer()
    observer.start()
    watching = _Watching(observer)
    try:
        told = [watching.add(each) for each in found.caches]
        reach = tuple(each for each in told if may_be_told(each.path))[:MOST_WATCHED]
        channel.send("watching", encoder(tuple[Watched, ...])(reach))
        if all(each.extent is Extent.WHOLE for each in told) and watching.stand_on(found, files):
            channel.send("whole")
        sampler = Sampler(files)
        sampler.remember(marks)
        _tell(channel, stream, watching, sampler)
    except OSError:
        return
    finally:
        observer.stop()
        observer.join(5)


def _found(whom: Whom) -> _Found:
    """What there is to watch. Looked for aside: a watcher stays, and looking touches most of the program."""

    def look() -> bytes:
        files = Asking(whom.owner)
        found = discover(Surroundings(whom.owner, whom.environ, files), whom.extras)
        caches = tuple(each.cache for each in found.caches)
        listed = files.listed - {each.path for each in caches}
        records = {f"{prefix}/conda-meta" for each in found.located for prefix in each.environments}
        seen = _Found(caches, tuple(files.asked), tuple(listed), tuple(records))
        return json.dumps(encoder(_Found)(seen)).encode("ascii")

    seen: _Found = decoder(_Found)(json.loads(str(found_aside(look, _MOST_TEXT), "ascii")))
    return seen


class _Watching:
    """What is watched, and what comes of it."""

    def __init__(self, observer: BaseObserver) -> None:
        self.news: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.opens = Opens()
        self._observer = observer
        self._budget = BUDGET
        self._caches = 0
        self._most_folders = _queue_length() // 4
        self._listings: Listings | None = None
        self._ground: Ground | None = None
        self._folders = 0
        self._wanted: set[str] = set()
        """Folders whose listing is to be known, there or not."""

    def add(self, cache: Cache) -> Watched:
        """Watches one more cache, as far as that goes."""
        self._caches += 1
        if self._caches > MOST_CACHES:
            return _watched(cache, Extent.NOT, Why.CACHES)
        trees = registry.by_name(cache.ecosystem).trees
        folders = _count_folders(cache.path, self._budget) if trees else 1
        recursive = bool(trees) and folders <= self._budget
        opens = self._may_see_opens(cache, trees, folders)
        wanted: dict[str, Any] = {"event_filter": _wanted(opens=opens)} if _CHOOSES else {}
        handler = _Handler(self.news, cache, self.opens if opens else None)
        try:
            self._observer.schedule(handler, cache.path, recursive=recursive, **wanted)
        except OSError:
            return _watched(cache, Extent.NOT, Why.KERNEL)
        self._budget -= folders if recursive else 1
        self._folders += folders
        if trees and not recursive:
            return _watched(cache, Extent.PART, Why.FOLDERS)
        why = None if opens else Why.OPENS if _SEES_OPENS else Why.TOOLD
        return _watched(cache, Extent.WHOLE, why, opens=opens)

    def stand_on(self, found: _Found, files: RealFiles) -> bool:
        """Whether all else is watched as well that a look goes by, and nothing of it can be lost without a word."""
        names = {*found.asked, *found.listed, *found.records}
        # One walk through so many folders cannot fill the queue.
        if len(names) > _MOST_GROUND or self._folders > self._most_folders // (1 if _TELLS_LOSS else 2):
            return False
        if not is_told((*names, *(each.path for each in found.caches)), files.mounts()):
            return False
        logging.getLogger("watchdog").addHandler(_Losses(self.news))
        try:
            ground = Ground()
            for path in sorted(names):
                ground.stand_on(path)
            for path in found.listed:
                ground.stand_in(path, grows=False)
            for path in found.records:
                ground.stand_in(path, grows=True)
            for each in found.caches:
                if not _follow_inside(ground, each):
                    return False
        except (OSError, ValueError):
            return False
        self._ground = ground
        threading.Thread(target=self._hear_ground, args=(ground,), daemon=True).start()
        return True

    def has_room(self) -> bool:
        """Whether folders that came could be followed, where silence is to mean something."""
        return self._ground is None or self._ground.has_room()

    def _hear_ground(self, ground: Ground) -> None:
        with suppress(OSError):
            while True:
                for grows in ground.read():
                    self.news.put(_CHANGED if grows else _MOVED)
        self.news.put(_MOVED)

    def _may_see_opens(self, cache: Cache, trees: tuple[str, ...], folders: int) -> bool:
        """A look opens each folder, and the kernel tells that twice; a queue that is full would lose what grew.

        What was lost watchdog (7.1) makes up for by opening each folder, which had better not fill the queue anew.
        """
        if not _SEES_OPENS or not may_be_told(cache.path) or folders > self._most_folders:
            return False
        return not trees or self._follow(cache.path, trees)

    def _follow(self, root: str, trees: tuple[str, ...]) -> bool:
        """Whether it will be known who looks through the cache: without that no open can be taken for a use."""
        try:
            if self._listings is None:
                self._listings = Listings()
                threading.Thread(target=self._hear_listings, args=(self._listings,), daemon=True).start()
            self._wanted.update(f"{root}/{name}" for name in trees)
            self._listings.follow(root)
            for name in trees:
                with suppress(FileNotFoundError, NotADirectoryError):
                    self._listings.follow(f"{root}/{name}")
        except OSError:
            return False
        self._budget -= 1 + len(trees)
        return True

    def _hear_listings(self, listings: Listings) -> None:
        """In a thread of its own: how late a listing is known decides what is taken for a use."""
        while True:
            try:
                for each in listings.read():
                    if each.new and each.path in self._wanted:
                        listings.follow(each.path)
                    self.opens.listed(each.path, time.monotonic(), opened=each.opened)
            except OSError:
                continue


class _Losses(logging.Handler):
    """Hears watchdog's own warnings: of events that were lost, of folders that it could not follow."""

    def __init__(self, news: "queue.SimpleQueue[bytes]") -> None:
        super().__init__(logging.WARNING)
        self._news = news

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - the form of a handler
        """Whatever it was: from now on silence would mean nothing."""
        self._news.put(_MOVED)


def _follow_inside(ground: Ground, cache: Cache) -> bool:
    """Whether nothing grows deeper in a cache than it is watched."""
    ecosystem = registry.by_name(cache.ecosystem)
    for name in ecosystem.grows_in:
        ground.stand_in(f"{cache.path}/{name}", grows=True)
    for name in ecosystem.deep:
        ground.stand_on(f"{cache.path}/{name}")
    return not any(os.path.lexists(f"{cache.path}/{name}") for name in ecosystem.deep)


def _wanted(*, opens: bool) -> list[type[FileSystemEvent]]:
    """Looking and reading then wake nobody, unless it is to be known what is opened."""
    return [getattr(events, name) for name in (*_GROWTH, *(("FileOpenedEvent",) if opens else ()))]


def _queue_length() -> int:
    try:
        with open(_QUEUE, encoding="ascii") as file:
            return int(file.read(32))
    except (OSError, ValueError):
        return _USUAL_QUEUE


def _watched(cache: Cache, extent: Extent, why: Why | None = None, *, opens: bool = False) -> Watched:
    return Watched(cache.owner.uid, cache.path, extent, opens, why)


def _count_folders(path: str, most: int) -> int:
    count = 0
    for _, folders, _ in os.walk(path):
        count += 1
        if count > most:
            folders.clear()
            break
    return count


def _tell(channel: Channel, stream: socket.socket, watching: _Watching, sampler: Sampler) -> None:
    """Many events make one word: at most one in ``_QUIET_SECONDS``. The marks may be told anew."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    threading.Thread(target=_pump, args=(watching.news, writer), daemon=True).start()
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    poll.register(reader, select.POLLIN)
    pause = threading.Event()
    while True:
        ready = {fd for fd, _ in poll.poll(_patience(watching.opens, sampler))}
        if stream.fileno() in ready:
            message = channel.receive()
            if message is None or message[0] != "watch":
                return
            sampler.remember(decoder(tuple[Mark, ...])(message[1]))
        elif reader in ready and (news := os.read(reader, 65_536).strip(_OPENED)):
            pause.wait(_QUIET_SECONDS)
            with suppress(BlockingIOError):
                news += os.read(reader, 65_536)
            channel.send("changed")
            if _MOVED in news or not watching.has_room():
                if sampler.crossed():  # what came may have filled the disk, and nobody else samples it until then
                    channel.send("filling")
                return  # the next look has another begin, who finds out anew what there is to watch
        _tell_opened(channel, watching.opens)
        if sampler.is_due and sampler.crossed():
            channel.send("filling")
            pause.wait(_QUIET_SECONDS)


def _patience(opens: Opens, sampler: Sampler) -> float | None:
    """Milliseconds until there may be something to do without a word from anybody."""
    waits = [wait for wait in (sampler.wait(), opens.wait(time.monotonic())) if wait is not None]
    return min(waits) * 1000 + 1 if waits else None


def _tell_opened(channel: Channel, opens: Opens) -> None:
    for cache, entries in opens.due(time.monotonic()).items():
        for start in range(0, len(entries), MOST_OPENED):
            part = tuple(entries[start : start + MOST_OPENED])
            channel.send("opened", encoder(Opened)(Opened(cache, part)))


def _pump(news: "queue.SimpleQueue[bytes]", writer: int) -> None:
    """Turns a queue into something that can be polled."""
    while True:
        word = news.get()
        try:
            os.write(writer, word)
        except OSError:
            return
