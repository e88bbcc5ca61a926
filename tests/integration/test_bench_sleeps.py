"""What strace is asked, of a process whose sleeps are known."""

import shutil
import subprocess
import sys

import pytest

from builders.sleeps import sleeps

_NAPS = "import select, time\nprint('here', flush=True)\nwhile True: select.poll().poll(200)"


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not on this machine; only the bench needs it")
def test_a_process_that_naps_is_seen_to_be_woken_by_its_own_time_limit() -> None:
    with subprocess.Popen([sys.executable, "-c", _NAPS], stdout=subprocess.PIPE) as napping:
        try:
            assert napping.stdout
            napping.stdout.readline()
            found = sleeps([napping.pid], 2.0)
        finally:
            napping.kill()
    if found is None:
        pytest.skip("strace may not look at processes here")
    (only,) = found
    assert (only.thread, only.call, only.ended_by_time) == (napping.pid, "poll", True)
    assert 2 <= only.count <= 11
    assert only.seconds == pytest.approx(0.2, abs=0.1)
