"""What is known of an environment that cannot be read: nothing, so that every package may be in use by it."""

import errno
import os

import pytest

from cachewarden.ecosystems.base import Context, Located, Surroundings
from cachewarden.ecosystems.conda_use import Use
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
