"""A daemon in user mode as a process of its own, with a throw-away home."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_DAEMON = str(Path(__file__).resolve().parents[2] / "daemon")
"""This checkout, whatever is installed."""
COMMAND = str(Path(sys.executable).with_name("cachewarden"))


class Service:
    """A daemon under test: its home, its configuration, and the process."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.pip = self.home / ".cache" / "pip"
        self.pkgs = self.home / ".conda" / "pkgs"
        self.config = folder / "config" / "cachewarden.yaml"
        self.state = folder / "state"
        self.log = folder / "log"
        for each in (self.home, self.config.parent):
            each.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        own = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": _DAEMON}
        return own | more

    def command(self, *words: str) -> list[str]:
        options = ["--user", "--verbose", "--config", str(self.config), "--state-dir", str(self.state)]
        return [COMMAND, *options, *words]

    @contextmanager
    def running(self, *words: str, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command("daemon", *words), env=self.environment(**environ), stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(60)

    def said(self) -> str:
        return self.log.read_text()

    def watches(self) -> bool:
        """Whether each watcher has told that it watches: a file that comes earlier is of no event."""
        return (self.state / "watching.json").exists()


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    """``seconds`` are those of a machine that is busy with other things, whose disks stall: no promise of ours."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether a process is over, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except OSError:
        return True


def blocks(path: Path) -> int:
    """What ``du`` says; it stumbles over what vanishes meanwhile and says a sum all the same."""
    done = subprocess.run(
        ["du", "-s", "--block-size=1", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return int(done.stdout.split()[0])
