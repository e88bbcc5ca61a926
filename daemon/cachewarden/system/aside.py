"""Finding something out in a copy of this process, which takes what it touched along when it ends."""

import errno
import os
from collections.abc import Callable


def found_aside(work: Callable[[], bytes], most: int) -> bytes:
    """What ``work`` gives, done by a child; OSError when it failed, or gave more than ``most`` bytes.

    For a process that stays. Memory that it shares with the one it was forked from becomes its own wherever it
    writes, and merely calling a function of Python's does that. Call it before any thread starts.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.close(reader)
            with open(writer, "wb") as answer:
                answer.write(work())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as answer:
        data = answer.read(most + 1)
    _, ended = os.waitpid(pid, 0)
    if ended or len(data) > most:
        raise OSError(errno.EIO, "what was to be found out aside was not")
    return data
