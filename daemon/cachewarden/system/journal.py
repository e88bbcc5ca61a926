"""Structured messages: to journald where it listens, else to standard error."""

import os
import select
import socket
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from cachewarden.model.text import printable
from cachewarden.system.ports import Journal

_SOCKET = "/run/systemd/journal/socket"
_PATIENCE = 0.3
_DEAF_SECONDS = 30.0
"""For so long a journal that took nothing is not waited for again."""
_WORDS = {0: "emergency", 1: "alert", 2: "critical", 3: "error", 4: "warning", 5: "notice", 6: "info", 7: "debug"}


class SystemdJournal:
    """journald's native protocol, fields and all."""

    def __init__(self, *, verbose: bool, place: str = _SOCKET) -> None:
        """``verbose`` lets debug messages through; ``place`` is where it is asked whether it takes any."""
        self._limit = 7 if verbose else 6
        self._place = place
        self._deaf_until = 0.0

    def send(self, priority: int, message: str, fields: Mapping[str, str | int]) -> None:
        """One entry; a journal that is gone, or hangs (its disk is full, too), is no reason to stop working."""
        if priority > self._limit:
            return
        if not self._takes_messages():
            _write(sys.stderr, f"cachewarden: journal takes nothing: {message}")
            return
        from systemd import journal

        plain = plain_fields(fields)
        try:
            journal.send(printable(message), PRIORITY=priority, SYSLOG_IDENTIFIER="cachewarden", **plain)
        except OSError as error:
            _write(sys.stderr, f"cachewarden: journal not reached ({error}): {message}")

    def _takes_messages(self) -> bool:
        """libsystemd would wait for ever for room in its queue (``sd_journal_send`` has no timeout)."""
        now = time.monotonic()
        has_room = takes_messages(self._place, 0.0 if now < self._deaf_until else _PATIENCE)
        self._deaf_until = 0.0 if has_room else now + _DEAF_SECONDS
        return has_room


def takes_messages(place: str, seconds: float) -> bool:
    """Whether a datagram would be taken at a socket within so many seconds. Where nobody listens none waits."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(place)
            poll = select.poll()
            poll.register(probe, select.POLLOUT)
            return bool(poll.poll(seconds * 1000))
    except OSError:
        return True


def plain_fields(fields: Mapping[str, str | int]) -> dict[str, str]:
    """Texts that no terminal obeys and no reader takes for several lines: names of files may hold anything."""
    return {name: printable(str(value)) for name, value in fields.items()}


class StreamJournal:
    """The same as lines of text, for machines without systemd and for terminals."""

    def __init__(self, *, verbose: bool, stream: TextIO | None = None) -> None:
        """``stream``: standard error unless given."""
        self._limit = 7 if verbose else 6
        self._stream = stream

    def send(self, priority: int, message: str, fields: Mapping[str, str | int]) -> None:  # noqa: ARG002 - the protocol's
        """One line, control characters escaped; the fields are left to journald."""
        if priority <= self._limit:
            _write(self._stream or sys.stderr, f"cachewarden: {_WORDS.get(priority, '')}: {printable(message)}")


def is_reached() -> bool:
    """Whether journald takes messages now."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(_SOCKET)
    except OSError:
        return False
    return True


def best_journal(*, verbose: bool) -> Journal:
    """journald where its socket is and no person watches the terminal, else standard error."""
    found = None if sys.stderr.isatty() else journald(verbose=verbose)
    return found or StreamJournal(verbose=verbose)


def journald(*, verbose: bool) -> Journal | None:
    """journald where its socket is."""
    return SystemdJournal(verbose=verbose) if os.path.exists(_SOCKET) else None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _write(stream: TextIO, line: str) -> None:
    try:
        stream.write(_encodable(line) + "\n")
        stream.flush()
    except (OSError, ValueError):
        return  # a full disk below a redirected stream, or a closed one: nobody left to tell
