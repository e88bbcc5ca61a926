"""Noticing that the configuration changed, also where there was none before."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

_CHANGES = {"created", "modified", "moved", "deleted", "closed"}
"""Our own reading opens and closes files too: that is no change."""


class ConfigWatch:
    """Rings when a YAML file of the watched folders changes, or such a folder comes or goes.

    A folder that is not there is awaited in the nearest one that is: a first configuration is noticed as well.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        """``ring`` is called in watchdog's thread."""
        self._ring = ring
        self._observer: Any = None
        self._watched: list[str] = []

    def follow(self, folders: Iterable[str]) -> None:
        """Watches these folders from now on; call it again after a change, folders may have come."""
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        wanted = list(folders)
        watched = sorted({_nearest(folder) for folder in wanted})
        if watched == self._watched:
            return
        ring = self._ring

        class Handler(FileSystemEventHandler):
            """Asks of each event whether it concerns the configuration."""

            def on_any_event(self, event: FileSystemEvent) -> None:
                """Called in watchdog's thread."""
                paths = (os.fsdecode(event.src_path), os.fsdecode(getattr(event, "dest_path", "") or ""))
                if event.event_type in _CHANGES and any(concerns(path, wanted) for path in paths):
                    ring()

        if self._observer is None:
            self._observer = Observer()
            self._observer.start()
        self._observer.unschedule_all()
        for folder in watched:
            with suppress(OSError):
                self._observer.schedule(Handler(), folder, recursive=False)
        self._watched = watched

    def stop(self) -> None:
        """Ends its threads."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
            self._observer = None


def concerns(path: str, folders: Iterable[str]) -> bool:
    """Whether a change of ``path`` may change what is read from ``folders``: a YAML file in one, or the way to it."""
    return any(
        folder == path
        or folder.startswith(path + "/")
        or (path.endswith(".yaml") and os.path.dirname(path) == folder)
        for folder in folders
        if path
    )


def _nearest(folder: str) -> str:
    """The folder, or the nearest above it that is there."""
    while not os.path.isdir(folder) and folder != "/":
        folder = os.path.dirname(folder)
    return folder
