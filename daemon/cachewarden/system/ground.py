"""What an answer rests on: the names that were asked about to find it, and whether one of them has changed since."""

import os
from collections.abc import Iterable, Iterator, Mapping

from cachewarden.model.caches import Owner
from cachewarden.system.files import RealFiles
from cachewarden.system.folders import OpenFolder
from cachewarden.system.inotify import (
    CREATED,
    DELETED,
    GONE,
    LOST,
    MOVED_AWAY,
    MOVED_HERE,
    ONLY_FOLDERS,
    RIGHTS,
    SELF_DELETED,
    SELF_MOVED,
    WRITTEN,
    Inotify,
)
from cachewarden.system.ports import Mount
from cachewarden.system.trust import may_hang

_MASK = (
    CREATED | DELETED | MOVED_AWAY | MOVED_HERE | WRITTEN | RIGHTS | SELF_DELETED | SELF_MOVED | ONLY_FOLDERS
)  # fmt: skip
_NEVER_ASKED = "/proc"
_ITSELF = SELF_DELETED | SELF_MOVED | GONE


class Asking(RealFiles):
    """Reads as ever, and notes about which paths something was ``asked``, and of which folders what is in them."""

    def __init__(self, owner: Owner) -> None:
        """Nothing was asked yet."""
        super().__init__(owner)
        self.asked: set[str] = set()
        self.listed: set[str] = set()

    def read_text(self, path: str, limit: int) -> str:
        """See ``RealFiles``."""
        self.asked.add(path)
        return super().read_text(path, limit)

    def listing(self, path: str) -> list[str]:
        """See ``RealFiles``."""
        self.asked.add(path)
        self.listed.add(path)
        return super().listing(path)

    def stat(self, path: str) -> os.stat_result | None:
        """See ``RealFiles``."""
        self.asked.add(path)
        return super().stat(path)

    def real_path(self, path: str) -> str:
        """See ``RealFiles``."""
        self.asked.add(path)
        return super().real_path(path)

    def open_folder(self, path: str) -> OpenFolder:
        """See ``RealFiles``."""
        self.asked.add(path)
        self.listed.add(path)
        return super().open_folder(path)


class Ground:
    """Tells when a name that matters comes, goes, or is written: an inotify of its own, of folders alone."""

    def __init__(self) -> None:
        """OSError where the kernel gives none (``max_user_instances``)."""
        self._inotify = Inotify()
        self._names: dict[int, set[str]] = {}
        self._any: dict[int, bool] = {}

    def stand_on(self, path: str) -> None:
        """An absolute path, there or not; of a link, what it leads to as well. OSError with the kernel's reason."""
        for each in {path, os.path.realpath(path)}:
            folder, name = _nearest(each)
            self._names.setdefault(self._inotify.add(folder, _MASK), set()).add(name)

    def stand_in(self, folder: str, *, grows: bool) -> None:
        """All that is in it matters; ``grows``: that is no reason to find out anew what to follow. OSError as above.

        A folder that is not there matters by its name.
        """
        self.stand_on(folder)
        if os.path.isdir(folder):
            self._any[self._inotify.add(folder, _MASK)] = grows

    def has_room(self) -> bool:
        """Whether the kernel gives one more watch: else folders that come are not followed, and nobody is told."""
        try:
            number = self._inotify.add(_NEVER_ASKED, SELF_DELETED)
        except OSError:
            return False
        self._inotify.remove(number)
        return True

    def read(self) -> Iterator[bool]:
        """Waits for the next that matters; whether it only ``grows``."""
        for number, mask, name in self._inotify.read():
            if mask & LOST:
                yield False
            elif number in self._names or number in self._any:
                if mask & _ITSELF or name in self._names.get(number, ()):
                    yield False
                elif number in self._any:
                    yield self._any[number]

    def close(self) -> None:
        """Ends it."""
        self._inotify.close()


def is_told(paths: Iterable[str], mounts: Mapping[str, Mount]) -> bool:
    """Whether the kernel tells of all changes at these paths: through a network come some that it is not told of."""
    return not any(may_hang(_type_of(os.path.realpath(path), mounts)) for path in paths)


def _type_of(path: str, mounts: Mapping[str, Mount]) -> str:
    while path not in mounts and path != "/":
        path = os.path.dirname(path)
    return mounts[path].type if path in mounts else ""


def _nearest(path: str) -> tuple[str, str]:
    """The nearest folder above a path that is there, and the name in it that leads on."""
    folder, name = os.path.split(path)
    while not os.path.isdir(folder) and folder != "/":
        folder, name = os.path.split(folder)
    return os.path.realpath(folder), name
