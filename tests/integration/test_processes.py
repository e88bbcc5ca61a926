"""Processes as ``/proc`` shows them, among others some that were made to be looked at."""

import os
import subprocess
import sys
import time

from cachewarden.ecosystems.running import tools_of
from cachewarden.system.ports import Process
from cachewarden.system.processes import RealProcesses


def seen(pid: int) -> Process:
    """As it is once exec is through: for an instant in it the kernel shows no arguments at all."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in RealProcesses().running():
            if process.pid == pid and process.arguments:
                return process
        time.sleep(0.05)
    raise AssertionError(f"{pid} is not seen")


def test_a_process_is_seen_with_its_uid_name_and_arguments() -> None:
    script = "import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script, "a b", ""]) as child:
        try:
            process = seen(child.pid)
            assert process.uid == os.getuid()
            assert process.name.startswith("python")
            assert process.arguments[1:4] == ("-c", script, "a b")
        finally:
            child.kill()


def test_of_an_endless_command_line_only_the_start_is_read() -> None:
    """Any user may have one of gigabytes, and workers of all the others look at it."""
    endless = ["x" * 100_000] * 12
    script = "import sys, time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script, *endless]) as child:
        try:
            process = seen(child.pid)
            assert sum(map(len, process.arguments)) <= 8192
            assert tools_of(process)[0].startswith("python")
        finally:
            child.kill()
