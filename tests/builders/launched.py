"""A real launcher with real workers, or with any other body of one: for tests of what they believe of each other."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from cachewarden.model.caches import Owner
from cachewarden.model.plans import CycleRecord
from cachewarden.model.policies import Settings
from cachewarden.record import Recorder
from cachewarden.service import worker
from cachewarden.service.cycle import Cycle
from cachewarden.service.remembering import Remembering
from cachewarden.service.workers import Hooks, LaunchedWorkers
from cachewarden.system.clock import SystemClock
from cachewarden.system.journal import StreamJournal
from cachewarden.system.launcher import Rules, fork_launcher
from cachewarden.system.runas import Limits
from cachewarden.system.store import SqliteStore

SERVICE = Owner(61_004, 61_004, "cw-service", "/")
Body = Callable[[Owner, socket.socket, str], None]


@contextmanager
def two_homes() -> Iterator[tuple[Owner, Owner]]:
    """Two users who exist nowhere else, with homes that they reach: below pytest's own folder nobody else can go."""
    folder = Path(tempfile.mkdtemp(prefix="cachewarden-homes-"))
    folder.chmod(0o755)
    try:
        owners = [Owner(uid, uid, name, f"{folder}/{name}") for uid, name in ((61_001, "ann"), (61_002, "bob"))]
        for owner in owners:
            os.mkdir(owner.home, 0o755)
            os.chown(owner.home, owner.uid, owner.gid)
        yield owners[0], owners[1]
    finally:
        shutil.rmtree(folder)


def give(owner: Owner) -> None:
    """Makes all of a home its owner's."""
    for folder, folders, files in os.walk(owner.home):
        for name in (".", *folders, *files):
            os.lchown(os.path.join(folder, name), owner.uid, owner.gid)


def honest(owner: Owner, stream: socket.socket, work: str) -> None:
    """What a worker does, with no variables but those of every login."""
    worker.serve(owner, stream, work, {"HOME": owner.home, "USER": owner.name}, ())


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
