"""A tool that is asked is not waited for longer than said, and leaves nothing behind."""

import os
import time
from pathlib import Path

import pytest

from cachewarden.system.runner import ask_own


def is_running(pid: int) -> bool:
    """One that has ended, and that nobody has reaped, is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@pytest.mark.parametrize(
    ("tool", "seconds", "answer"),
    [
        # The child keeps the pipe open: there is no end of the answer.
        ("sleep 300 & echo $! >pid; echo /here", 4.0, None),
        ("sleep 300 >/dev/null & echo $! >pid; echo /here", 60.0, "/here\n"),
    ],
)
def test_what_a_tool_started_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, seconds: float, answer: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    assert ask_own(["/bin/sh", "-c", tool], {"PATH": os.defpath}, seconds) == answer
    assert time.monotonic() - began < 60
    child, until = int((tmp_path / "pid").read_text()), time.monotonic() + 60
    while is_running(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(child)


def test_a_tool_that_fails_or_is_not_there_says_nothing() -> None:
    assert ask_own(["/bin/false"], {}) is None
    assert ask_own(["/nonexistent/conda"], {}) is None
