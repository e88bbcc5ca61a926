"""Which folders somebody lists.

watchdog tells of files that are opened, and keeps to itself that folders are. Yet that tells the two apart who open
files of a cache: whoever looks through it (a backup, a search, our own look) lists its folders first, and a tool that
uses an entry goes to its file by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cachewarden.system.inotify import (
    CLOSED,
    CREATED,
    IS_FOLDER,
    LOST,
    MOVED_HERE,
    NO_LINKS,
    ONLY_FOLDERS,
    OPENED,
    Inotify,
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder was opened or closed (``opened``), or has come into being (``new``). ``path`` as it was followed."""

    path: str
    opened: bool = False
    new: bool = False


class Listings:
    """An inotify of its own: of the folders that are followed, and of those in them."""

    def __init__(self) -> None:
        """OSError where the kernel gives none (``max_user_instances``)."""
        self._inotify = Inotify()
        self._paths: dict[int, str] = {}

    def follow(self, path: str) -> None:
        """Adds a folder; OSError where there is none, for a link, and where the kernel gives no more watches."""
        mask = OPENED | CLOSED | CREATED | MOVED_HERE | ONLY_FOLDERS | NO_LINKS
        self._paths[self._inotify.add(path, mask)] = path

    def read(self) -> Iterator[Listing]:
        """Waits for the next ones. What the kernel had to leave out counts as a listing of all that is followed."""
        for number, mask, name in self._inotify.read():
            if mask & LOST:
                yield from (Listing(path) for path in set(self._paths.values()))
            elif mask & IS_FOLDER and number in self._paths:
                path = f"{self._paths[number]}/{name}" if name else self._paths[number]
                yield Listing(path, opened=bool(mask & OPENED), new=bool(mask & (CREATED | MOVED_HERE)))

    def close(self) -> None:
        """Ends it."""
        self._inotify.close()
