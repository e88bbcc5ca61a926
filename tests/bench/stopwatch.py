"""Runs one command and says what it took, as JSON on its standard output; by itself it is a small process.

usage: python -I -S stopwatch.py COMMAND...

The kernel counts the peak of the process that starts a command as the command's own (``ru_maxrss`` survives
``exec``). Started from the bench itself, ``du`` would seem to take 60 MB; from here that floor is 11 MB. What the
command leaves behind without waiting for it (a launcher and its workers) is waited for here, and counted.
"""

import contextlib
import ctypes
import json
import os
import sys
import time

_SET_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of linux/prctl.h: orphans become children of this process."""


def main() -> None:
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    null = os.open(os.devnull, os.O_RDWR)
    quiet = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
    began = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
    _, status, first = os.wait4(pid, 0)
    wall, used = time.perf_counter() - began, [first]
    with contextlib.suppress(ChildProcessError):
        while True:
            used.append(os.wait4(-1, 0)[2])
    said = {
        "wall": wall,
        "cpu": sum(each.ru_utime + each.ru_stime for each in used),
        "peak": max(each.ru_maxrss for each in used) << 10,
        "status": os.waitstatus_to_exitcode(status),
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
