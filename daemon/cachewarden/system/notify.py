"""Telling systemd how it goes (sd_notify(3)); without a service manager nothing is said."""

import os
import time


class Notifier:
    """Says READY, RELOADING, STATUS, WATCHDOG and STOPPING through systemd-python."""

    def __init__(self) -> None:
        """The module is loaded only under a service manager."""
        self._send = None
        if os.environ.get("NOTIFY_SOCKET"):
            from systemd import daemon

            self._send = daemon.notify
        self._last_beat = 0.0
        self.watchdog_seconds = _watchdog_seconds()

    def say(self, *lines: str) -> None:
        """Assignments such as ``STATUS=…``; a manager that does not listen is no error of ours."""
        if self._send:
            try:
                self._send("\n".join(lines))
            except OSError:
                return

    def ready(self, status: str) -> None:
        """The service serves."""
        self.say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is read anew; ``ready`` ends it."""
        self.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def beat(self) -> None:
        """Keeps the watchdog content, at most once in a second."""
        now = time.monotonic()
        if self.watchdog_seconds and now - self._last_beat >= min(1.0, self.watchdog_seconds / 2):
            self._last_beat = now
            self.say("WATCHDOG=1")


def _watchdog_seconds() -> float:
    """Seconds after which systemd takes us for stuck; 0 without a watchdog meant for this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    value = os.environ.get("WATCHDOG_USEC", "")
    return int(value) / 1_000_000 if value.isdigit() else 0.0
