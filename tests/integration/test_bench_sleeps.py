"""What strace is asked, of a process whose sleeps are known."""

import shutil
import subprocess
import sys
import time

import pytest

from builders.sleeps import sleeps

_NAPS = "import select, time\nprint('here', flush=True)\nwhile True: select.poll().poll(200)"


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not on this machine; only the bench needs it")
def test_a_process_that_naps_is_seen_to_be_woken_by_its_own_time_limit() -> None:
    with subprocess.Popen([sys.executable, "-c", _NAPS], stdout=subprocess.PIPE) as napping:
        try:
            assert napping.stdout
            napping.stdout.readline()
            began = time.monotonic()
            found = sleeps([napping.pid], 3.0)
            took = time.monotonic() - began
        finally:
            napping.kill()
    if found is None:
        pytest.skip("strace may not look at processes here")
    (only,) = found
    assert (only.thread, only.call, only.ended_by_time) == (napping.pid, "poll", True)
    assert 2 <= only.count <= took / 0.2 + 1
    # None is shorter than asked for, and all of them together last no longer than was looked on: half are the median.
    assert 0.199 <= only.seconds <= 2 * took / only.count
