"""Stand-ins for the machine that behave like it, without a disk."""

import errno
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from cachewarden.model.caches import Cache, Entry, Filesystem, Look, MeasuredCache, Owner, Quota
from cachewarden.model.errors import WorkerError
from cachewarden.model.forecasts import Size
from cachewarden.model.plans import CycleRecord, Outcome, Purge
from cachewarden.model.units import Instant
from cachewarden.service.earlier import KnownOf, nothing_known
from cachewarden.service.hooks import Hooks
from cachewarden.service.workers import Gone, Purged
from cachewarden.system.memory import Memory, PastCycle, PastMove, PastRemoval, Sighting
from cachewarden.system.ports import Folder, Mount, Space
from cachewarden.system.regrets import Regret, Removals
from cachewarden.system.trust import may_hang


class FakeFiles:
    """``ports.Files`` over a dict: path -> text, bytes, or the ``OSError`` that reading raises.

    Folders follow from what is in them; ``folders`` adds empty ones. A file whose error is EINVAL is a FIFO to
    ``stat``. ``read`` keeps what was asked for. ``links`` maps a path to where it leads; ``barred`` are paths below
    which nothing may be written.
    """

    def __init__(
        self,
        contents: Mapping[str, str | bytes | OSError] | None = None,
        folders: Iterable[str] = (),
        links: Mapping[str, str] | None = None,
        barred: Iterable[str] = (),
    ) -> None:
        self.contents = dict(contents or {})
        self.folders = frozenset(folders)
        self.links = dict(links or {})
        self.barred = tuple(barred)
        self.read: list[str] = []
        self._known = -1
        self._inside: dict[str, set[str]] = {}

    def _children(self, path: str) -> set[str]:
        """What is in a folder; the index is made anew when ``contents`` grew, so that big trees stay quick."""
        if self._known != len(self.contents):
            self._known, self._inside = len(self.contents), {path: set() for path in self.folders}
            for each in (*self.contents, *self.folders):
                parts = each.strip("/").split("/")
                for depth, name in enumerate(parts):
                    self._inside.setdefault("/" + "/".join(parts[:depth]), set()).add(name)
        return self._inside.get(path if path == "/" else path.rstrip("/"), set())

    def read_text(self, path: str, limit: int) -> str:
        self.read.append(path)
        if "\0" in path:
            raise ValueError("embedded null byte")
        os.fsencode(path)  # what no file name can have is refused before any look
        path = self._led(path)
        if path not in self.contents and self.stat(path):
            raise OSError(errno.EINVAL, "not a regular file", path)
        content = self.contents.get(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path))
        if isinstance(content, OSError):
            raise content
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        if len(data) > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return data.decode("utf-8", "surrogateescape")

    def _led(self, path: str) -> str:
        for link, target in self.links.items():
            if path == link or path.startswith(link + "/"):
                return self._led(target + path[len(link) :])
        return path

    def names(self, path: str) -> list[str]:
        return sorted(self._children(self._led(path)))

    def listing(self, path: str) -> list[str]:
        path = self._led(path)
        content = self.contents.get(path)
        if isinstance(content, OSError):
            raise content
        if self.stat(path) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.names(path)

    def stat(self, path: str) -> os.stat_result | None:
        path = self._led(path)
        content = self.contents.get(path)
        if content is not None:
            special = isinstance(content, OSError) and content.errno == errno.EINVAL
            return os.stat_result(((stat.S_IFIFO if special else stat.S_IFREG) | 0o644, 1, 1, 1, 0, 0, 0, 0, 0, 0))
        there = path in self.folders or self._children(path)
        return os.stat_result((stat.S_IFDIR | 0o755, 1, 1, 2, 0, 0, 0, 0, 0, 0)) if there else None

    def real_path(self, path: str) -> str:
        return posixpath.normpath(self._led(path))

    def may_write(self, path: str) -> bool:
        real = self.real_path(path)
        barred = any(real == each or real.startswith(each + "/") for each in self.barred)
        return self.stat(path) is not None and not barred

    def open_folder(self, path: str) -> Folder:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def trusted_path(self, path: str) -> str:
        return self.real_path(path)

    def mounts(self) -> Mapping[str, Mount]:
        return {}

    def mount_of(self, path: str) -> Mount:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def is_roots_alone(self, path: str) -> bool:
        mount = self.mounts().get(path)
        return mount is None or not may_hang(mount.type)

    def quota(self, path: str, uid: int) -> Quota | None:
        return None

    def space(self, path: str) -> Space:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


class FakeClock:
    """``ports.Clock`` at a time that the test moves."""

    def __init__(self, time: Instant) -> None:
        self.time = time

    def now(self) -> Instant:
        return self.time


class OneByOne:
    """What ``Workers`` do for many at once, of ``look`` and ``purge`` for one, which the stand-in has.

    ``known`` gathers what they were told of earlier looks, for each look that they were asked for.
    """

    known: list[tuple[MeasuredCache, ...]] | None = None

    def look(self, owner: Owner, hooks: Hooks) -> Look:
        raise NotImplementedError

    def purge(self, action: Purge, hooks: Hooks) -> tuple[Outcome, Filesystem | None]:
        raise NotImplementedError

    def look_at_all(
        self, owners: Sequence[Owner], hooks: Hooks, known: KnownOf = nothing_known
    ) -> Iterator[tuple[Owner, Look | WorkerError]]:
        for owner in owners:
            if not hooks.may_go_on():
                return
            self.known = [*(self.known or []), known(owner)]
            try:
                yield owner, self.look(owner, hooks)
            except WorkerError as error:
                yield owner, error

    def purge_all(self, actions: Sequence[Purge], hooks: Hooks, gone: Gone) -> Iterator[Purged]:
        for action in actions:
            if not hooks.may_go_on():
                return
            yield action, *self.purge(action, replace(hooks, progress=partial(gone, action)))


class FakeStore:
    """``store.Store`` in memory."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.saved_cycles: list[CycleRecord] = []
        self.saved_sizes: list[dict[str, Size]] = []
        self.offered: list[str] = []
        """Paths of the entries that may have come back."""
        self._memories: dict[str, Memory] = {}
        self._sightings: dict[str, dict[str, Sighting]] = {}
        self._sizes: dict[str, dict[int, Size]] = {}

    def cycles(self, limit: int) -> list[PastCycle]:
        return []

    def removals(self, word: str, limit: int) -> list[PastRemoval]:
        return []

    def moves(self, limit: int) -> list[PastMove]:
        return []

    def regrets(self, limit: int) -> list[Regret]:
        return []

    def removed(self) -> list[Removals]:
        return []

    def save_returns(self, found: Sequence[tuple[Cache, Entry]], now: Instant) -> None:
        self.offered += [entry.path for _, entry in found]

    def memories(self) -> dict[str, Memory]:
        return dict(self._memories)

    def sightings(self, cache: str) -> dict[str, Sighting]:
        return dict(self._sightings.get(cache, {}))

    def sizes(self, since: int) -> dict[str, list[Size]]:
        late = {place: [days[day] for day in sorted(days) if day >= since] for place, days in self._sizes.items()}
        return {place: points for place, points in late.items() if points}

    def save_sizes(self, sizes: Mapping[str, Size], today: int) -> None:
        self.saved_sizes.append(dict(sizes))
        for place, each in sizes.items():
            self._sizes.setdefault(place, {})[each.day] = each

    def save_cycle(self, record: CycleRecord) -> None:
        self.saved_cycles.append(record)

    def save_memories(self, memories: Mapping[str, Memory]) -> None:
        self._memories.update(memories)

    def forget_caches(self, known: Iterable[str], before: Instant, most: int) -> None:
        kept = set(known)
        for cache in [each for each in self._sightings if each not in kept]:
            if all(max(one.first_seen, one.last_used) < before for one in self._sightings[cache].values()):
                del self._sightings[cache]

    def save_sightings(self, cache: str, seen: Mapping[str, Sighting], gone: Iterable[str]) -> None:
        known = self._sightings.setdefault(cache, {})
        known.update(seen)
        for path in gone:
            known.pop(path, None)


class FakeJournal:
    """``ports.Journal`` that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, dict[str, str | int]]] = []

    def send(self, priority: int, message: str, fields: Mapping[str, str | int]) -> None:
        self.told.append((priority, message, dict(fields)))
