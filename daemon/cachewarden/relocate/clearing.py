"""Removing what a move leaves behind, with the purge's own remover."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from cachewarden.model.caches import MARKER, OWN_NAMES, TRASH
from cachewarden.system.folders import OpenFolder, open_folder
from cachewarden.system.removal import Removal, StoppedError, TreeRemover, remove_empty


@dataclass(slots=True)
class Sums:
    """What came of a move so far, in bytes."""

    copied: int = 0
    freed: int = 0
    notes: list[str] = field(default_factory=list)


class Broom:
    """Removes folders that are the caller's own; what they gave back is added to ``sums``.

    StoppedError when it was asked to stop, OSError with the first thing that would not go.
    """

    def __init__(self, may_go_on: Callable[[], bool], sums: Sums) -> None:
        """``may_go_on`` is asked before every name."""
        self._may_go_on = may_go_on
        self._sums = sums

    def folder(self, path: str) -> None:
        """One that no tool looks for. Its marker goes last: by it the folder is known."""
        above, name = os.path.split(path)
        with open_folder(above) as parent, parent.folder(name) as inner:
            self._all(inner, but=MARKER)
            self._all(inner)
            self._remove_folder(parent, name)

    def in_place(self, path: str) -> None:
        """One that a tool may look at: entry by entry by way of the trash, half of a package is never to be seen.

        The folder itself may stay, where the one above it cannot be written. Its marker goes last: without it nobody
        would go on after a kill.
        """
        with open_folder(path) as root:
            with suppress(FileExistsError):
                root.make_folder(TRASH)
            with root.folder(TRASH) as trash:
                for node in list(root.nodes()):
                    if node.name not in OWN_NAMES:
                        root.move(node.name, trash, f"{time.time_ns():x}-{node.name[:100]}")
                self._all(trash)
            remove_empty(root, TRASH, Removal())
            with suppress(FileNotFoundError):
                root.unlink(MARKER)
        above, name = os.path.split(path)
        with suppress(OSError), open_folder(above) as parent:
            self._remove_folder(parent, name)

    def _all(self, folder: OpenFolder, but: str = "") -> None:
        removal = Removal()
        remover = TreeRemover(folder, self._may_go_on)
        try:
            for node in list(folder.nodes()):
                if not self._may_go_on():
                    raise StoppedError
                if node.name != but:
                    remover.remove(folder, node.name, removal)
        finally:
            self._sums.freed += removal.freed
        if removal.failures:
            path, error = removal.failures[0]
            raise OSError(error.errno, error.strerror or "cannot be removed", path)

    def _remove_folder(self, parent: OpenFolder, name: str) -> None:
        removal = Removal()
        remove_empty(parent, name, removal)
        self._sums.freed += removal.freed
