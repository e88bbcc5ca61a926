"""How far the watchers of a running service see, in a small file beside the state, for ``status`` to tell.

Written only when that changes. It is true for as long as the process that wrote it lives.
"""

import json
import os
from contextlib import suppress

from cachewarden.model.errors import WorkerError
from cachewarden.model.watching import Reach, Watched
from cachewarden.service.wire import decoder, encoder
from cachewarden.system import durable
from cachewarden.system.ports import Clock
from cachewarden.system.processes import began

FILE = "watching.json"
_LONGEST = 4 << 20


class Reaching:
    """Keeps the file; a state that cannot be written to costs nothing else."""

    def __init__(self, folder: str, clock: Clock) -> None:
        """Nothing is written before it is told something."""
        self._path = os.path.join(folder, FILE)
        self._clock = clock
        self._told: tuple[Watched, ...] | None = None

    def tell(self, watched: tuple[Watched, ...]) -> None:
        """What is watched now."""
        if watched == self._told:
            return
        self._told = watched
        reach = Reach(self._clock.now(), os.getpid(), began(os.getpid()) or 0, watched)
        with suppress(OSError):
            durable.write(self._path, json.dumps(encoder(Reach)(reach)).encode("ascii"))

    def end(self) -> None:
        """The service ends."""
        if self._told is not None:
            with suppress(OSError):
                os.unlink(self._path)


def reach_of(folder: str) -> Reach | None:
    """What the service that works on this state reaches; ``None`` when there is none that tells."""
    try:
        data = durable.read(os.path.join(folder, FILE), _LONGEST)
        reach: Reach = decoder(Reach)(json.loads(data or b"null"))
    except (OSError, ValueError, RecursionError, WorkerError):
        return None
    return reach if reach.began and began(reach.pid) == reach.began else None
