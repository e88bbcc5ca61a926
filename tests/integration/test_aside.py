"""What a copy of this process finds out."""

import os
from pathlib import Path

import pytest

from cachewarden.system.aside import found_aside


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_what_was_found_aside_comes_back_whole_and_from_another_process() -> None:
    found = found_aside(lambda: str(os.getpid()).encode() + b" " * 200_000, 1 << 20)
    assert len(found) > 200_000
    assert int(found) != os.getpid()


def test_what_fails_aside_is_an_error_here_and_leaves_no_process_behind() -> None:
    def fail() -> bytes:
        os._exit(3)

    before = children()
    with pytest.raises(OSError, match="found out aside"):
        found_aside(fail, 10)
    assert children() == before


def test_more_than_was_to_be_expected_is_not_taken() -> None:
    with pytest.raises(OSError, match="found out aside"):
        found_aside(lambda: b"x" * 300_000, 1000)
