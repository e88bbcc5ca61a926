"""Python's search for cycles, put off while much is made that stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """A look at a large cache makes a million objects that all stay: to go through them again and again, for cycles
    that our values do not form, took a seventh of its time. Without cycles everything else is freed as ever.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
