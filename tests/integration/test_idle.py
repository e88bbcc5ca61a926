"""What an idle service costs, beside a bare interpreter with the same packages measured in the same run."""

import os
import time
from collections.abc import Iterator

import pytest

from bench import idle
from builders.meters import FIELD_PACKAGES, effort, memory, settle, tree

_BOUND = 2.9
"""Measured: 2.1 in user mode, 2.3 in system mode; 2.7 and 3.1 before what docs/performance.md tells of."""


@pytest.fixture(scope="module", params=["user", "system"])
def service(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "system" and os.geteuid() != 0:
        pytest.skip("serving all users needs root")
    with idle.user_mode() if request.param == "user" else idle.system_mode() as root:
        assert settle(root, 4, 200)
        yield root


def test_an_idle_service_is_three_processes_within_a_small_multiple_of_the_bare_imports(service: int) -> None:
    pids = tree(service)
    assert len(pids) == 3
    whole, bare = sum(memory(pid).pss for pid in pids), idle.bare(FIELD_PACKAGES).pss
    assert whole <= _BOUND * bare, f"{whole / bare:.2f}"


def test_an_idle_service_writes_nothing_starts_nothing_and_hardly_wakes(service: int) -> None:
    pids = tree(service)
    before, began = [effort(pid) for pid in pids], time.monotonic()
    time.sleep(12)
    after, took = [effort(pid) for pid in pids], time.monotonic() - began
    assert tree(service) == pids
    assert [each.written for each in after] == [each.written for each in before]
    wakeups = [last.wakeups - first.wakeups for first, last in zip(before, after, strict=True)]
    assert wakeups[1:] == [0, 0]  # launcher and watcher sleep until somebody asks or something happens
    assert wakeups[0] <= 2 * took
    seconds = sum(last.seconds - first.seconds for first, last in zip(before, after, strict=True))
    assert seconds / took < 0.005  # 0.05 % is measured over an hour; in seconds on a busy machine noise is more
