"""What is known of an environment that cannot be read: nothing, so that every package may be in use by it."""

import errno
import os
from collections.abc import Iterator

import pytest

from cachewarden.ecosystems.base import Context, Located, Surroundings
from cachewarden.ecosystems.conda_use import Use
from cachewarden.system.ports import Process
from cachewarden.system.processes import RealProcesses
from fakes import FakeFiles
from makers import NOW, cache, owner

CACHE = cache(path="/home/ann/miniforge3/pkgs", ecosystem="conda").cache


def use(contents: dict[str, str | bytes | OSError], *environments: str) -> Use:
    located = Located(environments=environments)
    return Use(CACHE, Context(Surroundings(owner(), {}, FakeFiles(contents)), located, RealProcesses(), NOW))


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_an_environment_that_cannot_be_read_may_use_anything(code: int) -> None:
    closed = use({"/env/conda-meta": OSError(code, os.strerror(code))}, "/env")
    assert closed.recorded("six-1-0") is None
    assert closed.unprovable() == f"the environment /env cannot be read ({os.strerror(code)}): it may use it"


def test_one_that_can_be_read_or_has_no_records_yet_tells_what_it_uses() -> None:
    read = use({"/env/conda-meta/six-1-0.json": "{}", "/new/bin/python": ""}, "/env", "/new", "/gone")
    assert read.unprovable() is None
    assert read.recorded("six-1-0") == "in use by /env (recorded in its conda-meta)"


def test_what_another_environment_records_is_said_rather_than_that_one_cannot_be_read() -> None:
    denied = OSError(errno.EACCES, "Permission denied")
    both = use({"/env/conda-meta/six-1-0.json": "{}", "/closed/conda-meta": denied}, "/closed", "/env")
    assert both.recorded("six-1-0") == "in use by /env (recorded in its conda-meta)"
    assert both.unprovable()


class Shifting(RealProcesses):
    """Processes that the test starts; how often they were looked through is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.processes = Looked()

    def running(self) -> tuple[Process, ...]:
        return self.processes


class Looked(tuple[Process, ...]):
    """A tuple that counts who goes through it."""

    __slots__ = ()

    times = 0

    def __iter__(self) -> Iterator[Process]:
        type(self).times += 1
        return super().__iter__()


def test_processes_are_looked_through_once_for_many_entries_and_anew_when_they_change() -> None:
    processes = Shifting()
    surroundings = Surroundings(owner(), {}, FakeFiles())
    asked = Use(cache().cache, Context(surroundings, Located(), processes, NOW))
    Looked.times = 0
    assert [asked.busy() for _ in range(3)] == [None] * 3
    assert Looked.times == 1
    processes.processes = Looked((Process(7, 0, "conda", ("/opt/conda/bin/conda", "install")),))
    assert asked.busy() is not None
    processes.processes = Looked(())
    assert asked.busy() is None
