"""What a command and a worker cost before they do anything."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.homes import NOTHING, PASS, VERSION, Home
from bench.parts import Size
from bench.results import Beside, Found
from bench.timing import Spent, Taken, in_process, in_turn
from cachewarden.service.wire import Channel
from cachewarden.service.worker import LIMITS, preload
from cachewarden.service.workers import LaunchedWorkers
from cachewarden.system.launcher import Rules, fork_launcher
from cachewarden.system.users import current_owner

_STARTS = 20
_WORKERS, _PASSES = f"{_STARTS} workers", f"python -c pass, {_STARTS} times"


def start_workers() -> None:
    """From the request to the first word of a worker that has become its owner, again and again."""
    owner = current_owner(None)
    rules = Rules(
        lambda: [owner], lambda _, stream, __: Channel(stream).send("here"), LIMITS, switch=os.geteuid() == 0
    )
    with fork_launcher(rules) as channel:
        workers = LaunchedWorkers(channel)
        for _ in range(_STARTS):
            job = workers.start(owner, "look")
            if job.channel.receive() is None:
                raise SystemExit("a worker did not start")
            job.close()


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """Commands by the clock as a user waits for them."""
    rounds = size.of(21, 7)
    with TemporaryDirectory(dir=size.place) as folder:
        home = Home(Path(folder))
        home.run("status")  # from now on its modules are compiled, as those of an installed program are
        say("starts of commands")
        times = in_turn([home.version, *home.starts()], rounds)
        found.group("a command", times, Beside(VERSION, PASS, 2.0), Beside(NOTHING, PASS))
        preload()
        say("starts of workers")
        loop = home.theirs(_PASSES, "sh", "-c", f"for i in $(seq {_STARTS}); do {sys.executable} -c pass; done")

        def workers() -> Taken:
            return {_WORKERS: Spent(in_process(start_workers).wall, 0.0)}  # the processor is used by the launcher

        found.group("a worker", in_turn([workers, loop], size.of(5, 3)), Beside(_WORKERS, _PASSES))
