"""A watcher: a worker that stays, for file events need read rights in the owner's folders.

It says «look again» and «a disk is filling» and nothing else. One watch on a conda cache tells of every new package;
a pip cache is watched whole as long as its folders fit the budget, else only at its top, and the regular look does
the rest.
"""

import os
import queue
import select
import socket
import threading
from contextlib import suppress

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from cachewarden.discover import discover
from cachewarden.ecosystems.base import Surroundings
from cachewarden.model.caches import TRASH, Cache
from cachewarden.service.sampling import SAMPLE_SECONDS, Mark, Sampler
from cachewarden.service.wire import Channel, decoder
from cachewarden.service.worker import Whom
from cachewarden.system.files import RealFiles

BUDGET = 8192
"""Watches per owner: one for each folder of a pip cache; the kernel's default limit per user is 8192 or more."""
_MOST_CACHES = 8
_GROWING = {"created", "moved", "closed"}
_QUIET_SECONDS = 2.0
_OURS = f"/{TRASH}"


class _Handler(FileSystemEventHandler):
    """Notes that something grew; our own reading and removing is no news."""

    def __init__(self, news: "queue.SimpleQueue[str]", root: str) -> None:
        self._news = news
        self._root = root

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in watchdog's thread."""
        if event.event_type in _GROWING and _OURS not in os.fsdecode(event.src_path):
            self._news.put(self._root)


def watch(whom: Whom, marks: tuple[Mark, ...], channel: Channel, stream: socket.socket) -> None:
    """Watches all caches of the owner, and the disks with ``marks``, until the service closes its end."""
    files = RealFiles(whom.owner)
    found = discover(Surroundings(whom.owner, whom.environ, files), whom.extras)
    news: queue.SimpleQueue[str] = queue.SimpleQueue()
    observer = Observer()
    watched, left_out = _schedule(observer, [each.cache for each in found.caches], news)
    observer.start()
    channel.send("watching", [watched, left_out])
    sampler = Sampler(files)
    sampler.remember(marks)
    try:
        _tell(channel, stream, news, sampler)
    except OSError:
        return
    finally:
        observer.stop()
        observer.join(5)


def _schedule(observer: BaseObserver, caches: list[Cache], news: "queue.SimpleQueue[str]") -> tuple[int, int]:
    """How many caches are watched as they should be, and how many less than that."""
    budget, whole = BUDGET, 0
    for cache in caches[:_MOST_CACHES]:
        folders = _count_folders(cache.path, budget) if cache.ecosystem == "pip" else 1
        recursive = cache.ecosystem == "pip" and folders <= budget
        with suppress(OSError):
            observer.schedule(_Handler(news, cache.path), cache.path, recursive=recursive)
            budget -= folders if recursive else 1
            whole += recursive or cache.ecosystem != "pip"
    return whole, len(caches) - whole


def _count_folders(path: str, most: int) -> int:
    count = 0
    for _, folders, _ in os.walk(path):
        count += 1
        if count > most:
            folders.clear()
            break
    return count


def _tell(channel: Channel, stream: socket.socket, news: "queue.SimpleQueue[str]", sampler: Sampler) -> None:
    """Many events make one word: at most one in ``_QUIET_SECONDS``. The marks may be told anew."""
    reader, writer = os.pipe()
    threading.Thread(target=_pump, args=(news, writer), daemon=True).start()
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    poll.register(reader, select.POLLIN)
    pause = threading.Event()
    while True:
        ready = {fd for fd, _ in poll.poll(SAMPLE_SECONDS * 1000 if sampler.has_marks else None)}
        if stream.fileno() in ready:
            message = channel.receive()
            if message is None or message[0] != "watch":
                return
            sampler.remember(decoder(tuple[Mark, ...])(message[1]))
        elif reader in ready:
            pause.wait(_QUIET_SECONDS)
            os.read(reader, 65_536)
            channel.send("changed")
        if sampler.crossed():
            channel.send("filling")
            pause.wait(_QUIET_SECONDS)


def _pump(news: "queue.SimpleQueue[str]", writer: int) -> None:
    """Turns a queue into something that can be polled."""
    while True:
        news.get()
        try:
            os.write(writer, b"x")
        except OSError:
            return
