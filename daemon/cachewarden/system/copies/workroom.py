"""The folder at the top of a target for what is no part of it yet, and for how far an interrupted comparison came."""

import json
import os
from contextlib import suppress
from typing import Self

from cachewarden.model.caches import COPYING
from cachewarden.system.copies.places import Route, located
from cachewarden.system.folders import OpenFolder
from cachewarden.system.removal import Removal, TreeRemover

_COMPARED = "compared"
_LIMIT = 1 << 20
_FILE, _FOLDER, _END = range(3)

Position = tuple[tuple[int, str], ...]
"""A point of the walk over a tree: of each folder the files come first, then its folders, both by name."""


def at_file(route: Route, name: str) -> Position:
    """Behind a name that is no folder."""
    return (*((_FOLDER, each) for each in route), (_FILE, name))


def behind_folder(route: Route) -> Position:
    """Behind a folder and all that is in it."""
    return (*((_FOLDER, each) for each in route), (_END, ""))


class Workroom:
    """Made when something is put into it. What is in it after a kill is half of something, and goes."""

    def __init__(self, top: OpenFolder) -> None:
        """``top`` of the target stays the caller's."""
        self._top = top
        self._room: OpenFolder | None = None
        self._serial = 0

    def __enter__(self) -> Self:
        """Nothing is open yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the folder; what is in it stays."""
        if self._room:
            self._room.__exit__(None, None, None)
            self._room = None

    def begin(self) -> Position:
        """Removes it, durably; up to where an earlier run that was stopped had compared all."""
        found: Position = ()
        try:
            with self._top.folder(COPYING) as room, suppress(OSError):
                found = _position(room.read(_COMPARED, _LIMIT))
        except FileNotFoundError:
            return found
        except OSError:
            pass  # no folder of ours
        self.clear()
        os.fsync(self._top.fileno())
        return found

    def clear(self) -> None:
        """Removes all of it."""
        self.__exit__()
        self._remove(self._top, COPYING)

    def remove(self, slot: str) -> None:
        """Removes one thing in it."""
        self._remove(self.folder(), slot)

    def _remove(self, folder: OpenFolder, name: str) -> None:
        removal = Removal()
        TreeRemover(self._top, lambda: True).remove(folder, name, removal)
        for path, error in removal.failures:
            raise located(error, path)

    def folder(self) -> OpenFolder:
        """It, open until the end."""
        if self._room is None:
            with suppress(FileExistsError):
                self._top.make_folder(COPYING)
            self._room = self._top.folder(COPYING)
        return self._room

    def slot(self) -> str:
        """A new folder in it."""
        self._serial += 1
        self.folder().make_folder(name := f"{self._serial}")
        return name

    def leave_note(self, position: Position) -> None:
        """All before ``position`` was compared, or written and read back: the next run need not do it again."""
        room = self.folder().fileno()
        fd = os.open(_COMPARED, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=room)
        with open(fd, "wb") as file:
            file.write(json.dumps(position).encode("ascii"))
            file.flush()
            os.fsync(fd)
        os.fsync(room)
        os.fsync(self._top.fileno())


def _position(data: bytes) -> Position:
    try:
        found = tuple((kind, name) for kind, name in json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return ()
    sound = all(kind in (_FILE, _FOLDER, _END) and isinstance(name, str) for kind, name in found)
    return found if sound else ()
