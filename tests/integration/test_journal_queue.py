"""A journal that hangs, as journald does when its own disk is full, keeps nobody from working."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cachewarden.system.journal import SystemdJournal, takes_messages


@contextmanager
def listening(place: Path, *, full: bool) -> Iterator[None]:
    """A socket whose owner reads nothing."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
    ):
        journal.bind(str(place))
        other.connect(str(place))
        other.setblocking(False)
        with suppress(BlockingIOError):
            while full:
                other.send(b"x")
        yield


def test_a_queue_with_room_takes_messages_and_a_full_one_does_not(tmp_path: Path) -> None:
    with listening(tmp_path / "a", full=False):
        assert takes_messages(str(tmp_path / "a"), 0.0)
    with listening(tmp_path / "b", full=True):
        assert not takes_messages(str(tmp_path / "b"), 0.0)


def test_where_nobody_listens_nothing_is_waited_for(tmp_path: Path) -> None:
    assert takes_messages(str(tmp_path / "none"), 9.0)


def test_a_journal_that_hangs_is_waited_for_once_and_what_was_to_be_told_is_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(tmp_path / "j", full=True):
        journal = SystemdJournal(verbose=False, place=str(tmp_path / "j"))
        began = time.monotonic()
        for number in range(50):
            journal.send(4, f"message {number}", {})
        took = time.monotonic() - began
    assert took < 12, "fifty times its patience"
    assert capsys.readouterr().err.splitlines()[::49] == [
        "cachewarden: journal takes nothing: message 0",
        "cachewarden: journal takes nothing: message 49",
    ]
