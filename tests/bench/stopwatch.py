"""Runs one command and says what it took, as JSON on its standard output; by itself it is a small process.

usage: python -I -S stopwatch.py COMMAND...

The kernel counts the peak of the process that starts a command as the command's own (``ru_maxrss`` survives
``exec``). Started from the bench itself, ``du`` would seem to take 60 MB; from here that floor is 9 MB.
"""

import json
import os
import sys
import time


def main() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    quiet = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
    began = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    said = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss << 10}
    sys.stdout.write(json.dumps(said | {"status": os.waitstatus_to_exitcode(status)}))


if __name__ == "__main__":
    main()
