"""Figures of the machine as a whole."""

import os
import re

_WATCHES = "/proc/sys/fs/inotify/max_user_watches"
_NET = "/proc/1/net"
_ROUTES = (("route", (1, 7, 3)), ("ipv6_route", (0, 1, 8)))
_UP, _REACHABLE = 1, 0x201
"""RTF_UP, and with it RTF_REJECT (``linux/route.h``): a route may say that there is no way."""
_LONGEST_TABLE = 1 << 20
_SYNCHRONIZED = "/run/systemd/timesync/synchronized"
_TIMESYNC = "/run/systemd/timesync"
_IO_PRESSURE = "/proc/pressure/io"
_SOME = re.compile(r"some avg10=(\d{1,3}\.\d{2}) ")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def most_watches() -> int | None:
    """How many file watches each user may have; ``None`` where the kernel does not tell."""
    try:
        with open(_WATCHES, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def io_pressure() -> float | None:
    """Percent of the last ten seconds in which a task waited for a disk; ``None`` where the kernel does not tell."""
    return some_pressure(_text(_IO_PRESSURE) or "")


def some_pressure(table: str) -> float | None:
    """Of a file of the kernel's pressure stall information (``Documentation/accounting/psi.rst``)."""
    match = _SOME.match(table)
    return float(match[1]) if match else None


def clock_is_not_synchronized() -> bool:
    """Whether systemd-timesyncd keeps the clock and has not reached a server since the boot."""
    return os.path.isdir(_TIMESYNC) and not os.path.exists(_SYNCHRONIZED)


def has_a_way_out() -> bool:
    """Whether there is a default route, by IPv4 or IPv6, for the first process: a service may have no network itself.

    True where the kernel does not tell: that there is none must be known, not guessed.
    """
    tables = [(_text(f"{_NET}/{name}"), fields) for name, fields in _ROUTES]
    if all(text is None for text, _ in tables):
        return True
    return any(default_route(text or "", *fields) for text, fields in tables)


def default_route(table: str, target: int, mask: int, flags: int) -> bool:
    """Whether a table of routes has one for everything; the numbers are those of the columns.

    As in man 5 proc, and ``net/ipv6/route.c``; a line that is none counts as one: see ``has_a_way_out``.
    """
    try:
        return any(
            not int(row[target] + row[mask], 16) and int(row[flags], 16) & _REACHABLE == _UP
            for row in map(str.split, table.splitlines())
            if row and row[0] != "Iface"
        )
    except (ValueError, IndexError):
        return True


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(_LONGEST_TABLE)
    except (OSError, ValueError):
        return None


def installed_at() -> float:
    """Seconds since the epoch when this program's files were made: no right clock shows less."""
    return os.stat(__file__).st_mtime
