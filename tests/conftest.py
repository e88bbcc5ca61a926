"""What holds for every test: no thread is left behind, and property tests print how to repeat a failure."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Examples are few, for speed: run with --hypothesis-profile=thorough before touching a property.
# How long making one takes says nothing where others use the machine.
_SLOW = (HealthCheck.too_slow,)
settings.register_profile("thorough", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.register_profile("quick", max_examples=40, deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.load_profile("quick")


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    """Threads that a test starts end with it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 30
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.01)
