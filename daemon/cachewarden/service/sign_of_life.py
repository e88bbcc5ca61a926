"""How a worker shows that it is at work: by what it spends of a processor, which one that hangs does not."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from cachewarden.service.wire import HERE, Channel

_EVERY = 0.1
"""Seconds of processor time. One that waits for a slow disk spends some; one that was stopped or hangs, none."""


@contextmanager
def signs_of_life(channel: Channel) -> Iterator[None]:
    """Says ``here`` now and then, between messages. Only where this process is the worker: it takes a signal."""
    signal.signal(signal.SIGPROF, lambda *_: channel.say_if_free(HERE))
    # Calls of the kernel by number are not begun anew by Python.
    signal.siginterrupt(signal.SIGPROF, False)  # noqa: FBT003 - it takes no names
    signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
