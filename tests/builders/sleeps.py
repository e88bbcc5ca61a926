"""What the threads of a process sleep in and what wakes them: of strace(1), by thread."""

import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_CALL = re.compile(r"^[\d.]+ (?P<name>\w+)\((?P<rest>.*)\s= (?P<result>-?\w+)(?P<error> E\w+)?.*<(?P<took>[\d.]+)>$")
_WAITS = "futex,poll,ppoll,epoll_wait,epoll_pwait,epoll_pwait2,select,pselect6,clock_nanosleep,nanosleep,pause,"
_CALLS = _WAITS + "rt_sigtimedwait,wait4,waitid,read,recvfrom,recvmsg,accept4"
_SHORT = 0.001
"""Seconds: less is no sleep but the call itself."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """All sleeps of one thread that ended in one way; ``seconds`` is their median."""

    thread: int
    call: str
    ended_by_time: bool
    count: int
    seconds: float


def sleeps(pids: Collection[int], seconds: float) -> list[Sleep] | None:
    """What ended within ``seconds`` from now; None where strace is missing or may not look."""
    program = shutil.which("strace")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        which = [word for pid in pids for word in ("-p", str(pid))]
        options = ["-f", "-ff", "-q", "-ttt", "-T", "-e", f"trace={_CALLS}", "-o", f"{folder}/thread"]
        tracer = subprocess.Popen([program, *options, *which], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while tracer.poll() is None and not all(map(_is_traced, pids)):
            time.sleep(0.02)
        time.sleep(seconds)
        if tracer.poll() is not None:
            return None
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)
        return [each for path in sorted(Path(folder).iterdir()) for each in of_thread(path)]


def _is_traced(pid: int) -> bool:
    """Whether somebody looks on already; nobody needs to of one that is gone."""
    try:
        return "\nTracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def of_thread(path: Path) -> list[Sleep]:
    """Of one thread's file, whose name ends with its number."""
    ended: dict[tuple[str, bool], list[float]] = {}
    for line in path.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if found and float(found["took"]) > _SHORT:
            ended.setdefault((found["name"], _by_time(found)), []).append(float(found["took"]))
    thread = int(path.suffix[1:])
    return [Sleep(thread, name, late, len(took), statistics.median(took)) for (name, late), took in ended.items()]


def _by_time(call: "re.Match[str]") -> bool:
    if call["error"]:
        return call["error"].strip() in {"ETIMEDOUT", "EAGAIN"}
    return call["result"] == "0" and ("poll" in call["name"] or "select" in call["name"] or "sleep" in call["name"])
