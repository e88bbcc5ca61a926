"""One cache looked at and purged as the program does it, with the real machine behind it."""

import json
import os
import pickle
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from cachewarden import act
from cachewarden.ecosystems.base import Context, Ecosystem, Located, Measured, Surroundings
from cachewarden.ecosystems.known import Known
from cachewarden.measure import measure_cache
from cachewarden.model.caches import TRASH, Cache, Entry, Kind, MeasuredCache, Owner
from cachewarden.model.plans import Chosen, Outcome, Purge, RemovedEntry
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.model.worth import Signal
from cachewarden.system.files import RealFiles
from cachewarden.system.folders import OpenFolder, open_folder
from cachewarden.system.ports import Process
from cachewarden.system.processes import RealProcesses


class OwnProcesses(RealProcesses):
    """The real processes, but only those that the test started: others' pips must not decide a test."""

    def running(self) -> tuple[Process, ...]:
        """Descendants of the test."""
        own = {child.pid for child in psutil.Process().children(recursive=True)}
        return tuple(process for process in super().running() if process.pid in own)


@dataclass
class Scene:
    """A cache root of the caller's uid; ``home`` is where the tool's configuration and environments are."""

    ecosystem: Ecosystem
    root: Path
    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    located: Located | None = None

    @property
    def cache(self) -> Cache:
        """The root as discovery would describe it."""
        return Cache(self.ecosystem.name, str(self.root), self.owner, "test")

    @property
    def owner(self) -> Owner:
        """The caller, at home in ``home``."""
        return Owner(os.geteuid(), os.getegid(), "tester", str(self.home))

    def context(self) -> Context:
        """A fresh look at processes and configuration."""
        surroundings = Surroundings(self.owner, self.environ, RealFiles())
        located = self.located if self.located is not None else self.ecosystem.locate(surroundings)
        return Context(surroundings, located, OwnProcesses(), Instant(time.time_ns()))

    def measure(self, known: MeasuredCache | None = None) -> Measured:
        """All entries, as they are now."""
        with open_folder(str(self.root)) as folder:
            return self.ecosystem.measure(self.cache, folder, self.context(), Known(known))

    def entries(self) -> dict[str, Entry]:
        """The entries by path; each path once."""
        found = self.measure().cache.entries
        by_path = {entry.path: entry for entry in found}
        assert len(by_path) == len(found)
        return by_path

    def of_kind(self, kind: Kind) -> list[Entry]:
        """The entries of one kind."""
        return [entry for entry in self.entries().values() if entry.kind is kind]

    def hold(self, path: str) -> str | None:
        """Why this entry must stay."""
        return self.entries()[path].hold

    def purge(
        self,
        entries: Iterable[Entry] | None = None,
        *,
        may_go_on: Callable[[], bool] = lambda: True,
        progress: Callable[[RemovedEntry], None] = lambda _: None,
        folder: OpenFolder | None = None,
    ) -> Outcome:
        """Removes these entries; unless given, all that have no hold. ``folder``: the root, opened before."""
        chosen = [entry for entry in self.entries().values() if entry.hold is None] if entries is None else entries
        action = purge_action(self.cache, chosen)
        with folder or open_folder(str(self.root)) as root:
            return act.purge(action, self.ecosystem, root, self.context(), may_go_on=may_go_on, progress=progress)


def purge_action(cache: Cache, entries: Iterable[Entry]) -> Purge:
    """What a decision for these entries looks like."""
    chosen = tuple(Chosen(entry, "of the test", Bytes(0)) for entry in sorted(entries, key=lambda each: each.rank))
    return Purge("test", cache, chosen, frees_of(each.entry for each in chosen), Inodes(0), "of the test")


def frees_of(entries: Iterable[Entry]) -> Bytes:
    """What comes back when all of these go: their own, and what they share with no others."""
    total = 0
    met: dict[tuple[int, int], int] = {}
    for entry in entries:
        total += entry.frees
        for share in entry.shares:
            key = (share.device, share.inode)
            met[key] = met.get(key, 0) + share.held
            if met[key] == share.needed:
                total += share.frees
    return Bytes(total)


def du(path: Path) -> int:
    """What ``du`` says of a tree."""
    done = subprocess.run(
        ["du", "-s", "--block-size=1", path], check=True, capture_output=True, text=True, timeout=120
    )
    return int(done.stdout.split()[0])


def files_below(path: Path) -> set[str]:
    """Relative names of all that is no folder."""
    return {os.path.relpath(os.path.join(folder, name), path) for folder, _, names in os.walk(path) for name in names}


def broken_packages(pkgs: Path) -> list[str]:
    """Folders that conda takes for extracted packages (``info/index.json`` is there) though files are missing."""
    return [
        f"{index.parents[1].relative_to(pkgs)}: {path['_path']}"
        for index in pkgs.rglob("info/index.json")
        if TRASH not in index.parts
        for path in json.loads((index.parent / "paths.json").read_text())["paths"]
        if not os.path.lexists(index.parents[1] / path["_path"])
    ]


def as_user(uid: int, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the work returns
    """Does ``work`` in a child that has become ``uid``, and returns what it returned; root only."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os._exit(_child(uid, work, writer))
    os.close(writer)
    with open(reader, "rb") as answer:
        data = answer.read()
    os.waitpid(pid, 0)
    good, value = pickle.loads(data)
    if not good:
        raise AssertionError(value)
    return value


def _child(uid: int, work: Callable[[], Any], writer: int) -> int:
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        answer: tuple[bool, object] = (True, work())
    except BaseException:  # noqa: BLE001 - told to the parent, which raises it
        answer = (False, traceback.format_exc())
    with open(writer, "wb") as file:
        file.write(pickle.dumps(answer))
    return 0


_HOUR = 3_600 * 10**9


def look(scene: Scene, known: MeasuredCache | None = None, *, hours: int = 1) -> MeasuredCache:
    """As it is in so many hours: by then all that the test made is old."""
    located = scene.located or Located()
    surroundings = Surroundings(scene.owner, scene.environ, RealFiles())
    now = Instant(time.time_ns() + hours * _HOUR)
    found = measure_cache(scene.cache, scene.ecosystem, located, surroundings, OwnProcesses(), now, known=known)
    assert hasattr(found, "cache"), found
    return found.cache


def as_found(cache: MeasuredCache) -> tuple[object, ...]:
    """All that a look tells of the entries, in no order. Reading moves no folder: access times are of the walk."""
    entries = [replace(entry, last_used=None, signal=Signal.WRITTEN) for entry in cache.entries]
    return cache.size, sorted(entries, key=lambda entry: entry.path)
