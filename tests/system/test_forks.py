"""The count of forks that the idle measurement stands on."""

import os
import subprocess
import sys
import time

import pytest

from builders.forks import Forks

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the kernel tells root alone of forks"),
]
_FIRST = "pid:[4026531836]"
"""The first namespace of processes of a machine (``PROC_PID_INIT_INO``): the kernel tells of forks by its numbers."""
_THREAD = "import threading; thread = threading.Thread(target=int); thread.start(); thread.join()"
THREE = f"read line; (true); (true); {sys.executable} -S -c '{_THREAD}'"


@pytest.mark.skipif(os.readlink("/proc/self/ns/pid") != _FIRST, reason="in a namespace of processes of its own")
def test_processes_and_threads_below_a_process_are_counted_and_those_of_others_are_not() -> None:
    shell = subprocess.Popen(["sh", "-c", f"{THREE}; true"], stdin=subprocess.PIPE)
    with Forks([shell.pid]) as forks:
        subprocess.run(["sh", "-c", "(true); (true)"], check=True)
        shell.communicate(b"go\n", timeout=240)
        time.sleep(2)
    assert not forks.lost
    assert (forks.processes, forks.threads) == (3, 1)
