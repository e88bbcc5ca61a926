"""A real launcher with real workers, or with any other body of one: for tests of what they believe of each other.

Two users: ``ann``, whose worker may be made to lie, and ``bob``, whose caches are real.
"""

import dataclasses
import os
import shutil
import socket
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from builders.siege import fill_conda, fill_pip
from cachewarden.model.caches import Cache, Entry, Filesystem, Identity, Kind, MeasuredCache, Owner, Share
from cachewarden.model.plans import CycleRecord
from cachewarden.model.policies import Settings
from cachewarden.model.units import Bytes, Inodes, Instant, Seconds
from cachewarden.model.worth import Facts, Regain
from cachewarden.record import Recorder
from cachewarden.service import worker
from cachewarden.service.cycle import Cycle
from cachewarden.service.hooks import Hooks
from cachewarden.service.remembering import Remembering
from cachewarden.service.wire import Channel, encoder
from cachewarden.service.workers import LaunchedWorkers
from cachewarden.system.clock import SystemClock
from cachewarden.system.journal import StreamJournal
from cachewarden.system.launcher import Rules, fork_launcher
from cachewarden.system.runas import Limits
from cachewarden.system.store import SqliteStore

SERVICE = Owner(61_004, 61_004, "cw-service", "/")
LIMITS = {"look": Limits(20.0), "purge": Limits(20.0), "watch": Limits(None, threads=True)}
"""Long enough for an honest worker on a busy machine; a test of what hangs takes a shorter one."""
ENTRY = Entry(
    path="http-v2/a",
    kind=Kind.DOWNLOAD,
    name="six",
    version="1.0",
    size=Bytes(1),
    frees=Bytes(1),
    frees_inodes=Inodes(1),
    modified=Instant(5),
    last_used=Instant(6),
    identity=Identity(1, 2, Instant(3)),
    rank=40,
    hold="x",
    parts=("b",),
    shares=(Share(1, 9, 2, 1, Bytes(1)),),
    facts=Facts(Regain.BUILD, Bytes(1), Seconds(1), measured=True, uses=1, installed=True),
)
"""With something in every field."""
FILESYSTEM = Filesystem(1, "/home", "ext4", Bytes(9), Bytes(9), Inodes(9), Inodes(9), tracks_atime=True)
Body = Callable[[Owner, socket.socket, str], None]
Homes = tuple[Owner, Owner]


@contextmanager
def two_homes() -> Iterator[Homes]:
    """Users who exist nowhere else, with homes that they reach: below pytest's own folder nobody else can go."""
    folder = Path(tempfile.mkdtemp(prefix="cachewarden-homes-"))
    folder.chmod(0o755)
    try:
        owners = [Owner(uid, uid, name, f"{folder}/{name}") for uid, name in ((61_001, "ann"), (61_002, "bob"))]
        for owner in owners:
            os.mkdir(owner.home, 0o755)
            os.chown(owner.home, owner.uid, owner.gid)
        fill(owners[1])
        yield owners[0], owners[1]
    finally:
        shutil.rmtree(folder)


def fill(owner: Owner) -> None:
    """Caches of both kinds, without the trash of ours that goes by itself, whatever the policies."""
    fill_pip(Path(owner.home, ".cache/pip"))
    fill_conda(Path(owner.home, ".conda/pkgs"))
    shutil.rmtree(Path(owner.home, ".conda/pkgs/.cachewarden-trash"))
    give(owner)


def left(owner: Owner) -> list[str]:
    """What is in an owner's home and may go."""
    return [name for _, _, names in os.walk(owner.home) for name in names if name != "urls.txt"]


def give(owner: Owner) -> None:
    """Makes all of a home its owner's."""
    for folder, folders, files in os.walk(owner.home):
        for name in (".", *folders, *files):
            os.lchown(os.path.join(folder, name), owner.uid, owner.gid)


def honest(owner: Owner, stream: socket.socket, work: str) -> None:
    """What a worker does, with no variables but those of every login."""
    worker.serve(worker.Whom(owner, {"HOME": owner.home, "USER": owner.name}), stream, work)


@contextmanager
def launched(body: Body, *owners: Owner, limits: Mapping[str, Limits] = worker.LIMITS) -> Iterator[LaunchedWorkers]:
    """A launcher that becomes these owners; its workers do ``body``."""
    worker.preload()
    channel = fork_launcher(Rules(lambda: list(owners), body, limits, switch=True, service=SERVICE))
    with channel:
        yield LaunchedWorkers(channel, limits)


def run_cycle(workers: LaunchedWorkers, settings: Settings, state: Path) -> tuple[CycleRecord, str, SqliteStore]:
    """A cycle as the daemon runs one; with what it logs and where it is remembered."""
    store = SqliteStore(str(state), writable=True)
    record = Cycle(workers, SystemClock(), Remembering(store), Hooks()).run(settings, "a test")
    log = StringIO()
    Recorder(StreamJournal(verbose=True, stream=log)).cycle(record)
    return record, log.getvalue(), store


def lying(ann: Owner, lie: Callable[[Channel, str], None]) -> Body:
    """ann's worker hears what it is asked for and lies; the others are honest."""

    def body(owner: Owner, stream: socket.socket, work: str) -> None:
        if owner.uid == ann.uid:
            channel = Channel(stream)
            while (request := channel.receive()) and request[0] not in {"look", "go", "move"}:
                pass
            lie(channel, work)
        else:
            honest(owner, stream, work)

    return body


def cache_of(owner: Owner, path: str = "", entries: tuple[Entry, ...] = ()) -> MeasuredCache:
    """As a worker would tell it."""
    return MeasuredCache(Cache("pip", path or f"{owner.home}/.cache/pip", owner, "default"), 1, Bytes(1), entries)


def tell_look(channel: Channel, *caches: MeasuredCache, filesystems: tuple[Filesystem, ...] = ()) -> None:
    """The answer to ``look``."""
    for cache in caches:
        channel.send("cache", encoder(MeasuredCache)(dataclasses.replace(cache, entries=())))
        channel.send("entries", encoder(tuple[Entry, ...])(cache.entries))
    channel.send("filesystems", encoder(tuple[Filesystem, ...])(filesystems))
    channel.send("seen")


def in_a_child(work: Callable[[], int]) -> int:
    """Does ``work`` in a process of its own, whose memory can be measured; what it returned."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, str(work()).encode())
        except BaseException:  # noqa: BLE001 - a child must never return into the test
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        told = answer.read()
    os.waitpid(pid, 0)
    return int(told)
