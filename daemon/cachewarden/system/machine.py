"""Figures of the machine as a whole."""

import os

_WATCHES = "/proc/sys/fs/inotify/max_user_watches"
_SYNCHRONIZED = "/run/systemd/timesync/synchronized"
_TIMESYNC = "/run/systemd/timesync"


def most_watches() -> int | None:
    """How many file watches each user may have; ``None`` where the kernel does not tell."""
    try:
        with open(_WATCHES, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def clock_is_not_synchronized() -> bool:
    """Whether systemd-timesyncd keeps the clock and has not reached a server since the boot."""
    return os.path.isdir(_TIMESYNC) and not os.path.exists(_SYNCHRONIZED)


def installed_at() -> float:
    """Seconds since the epoch when this program's files were made: no right clock shows less."""
    return os.stat(__file__).st_mtime
