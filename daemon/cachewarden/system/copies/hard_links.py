"""Which files of a tree have several names in it, and where the first of them went."""

import os
from array import array
from itertools import pairwise
from typing import Self

from cachewarden.system.copies.places import Chain, Route, check_depth, located
from cachewarden.system.folders import OpenFolder

_BUCKETS = 64


class HardLinks:
    """Remembers the files whose inodes are met again in the tree; packages of conda have most names elsewhere."""

    def __init__(self, source: OpenFolder, target: OpenFolder) -> None:
        """The tops of both trees, which stay the caller's."""
        self._source = source
        self._target = Chain(target)
        self._twice: frozenset[int] | None = None
        self._first: dict[tuple[int, int], tuple[Route, str]] = {}

    def __enter__(self) -> Self:
        """Nothing is open yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the folders of the target that are open."""
        self._target.__exit__()

    def first(self, status: os.stat_result) -> tuple[OpenFolder, str] | None:
        """Where in the target the same file is already: a folder, open until the next call, and a name."""
        found = self._first.get((status.st_dev, status.st_ino)) if status.st_nlink > 1 else None
        if found is None:
            return None
        route, name = found
        return self._target.at(route), name

    def note(self, status: os.stat_result, listed: int, route: Route, name: str) -> None:
        """The target has the file there. ``listed`` is the inode number that the folder of the source gives.

        Remembered only if the tree has it more than once, or if numbers in folders are not those of files (some
        layered filesystems) and so do not tell.
        """
        if status.st_nlink <= 1:
            return
        if self._twice is None:
            self._twice = _met_twice(self._source)
        if listed in self._twice or listed != status.st_ino:
            self._first.setdefault((status.st_dev, status.st_ino), (route, name))

    def moved(self, old: Route, new: Route) -> None:
        """A folder of the target has another way to it now."""
        for key, (route, name) in self._first.items():
            if route[: len(old)] == old:
                self._first[key] = ((*new, *route[len(old) :]), name)


def _met_twice(top: OpenFolder) -> frozenset[int]:
    """Inode numbers that more than one name in the tree has: listings alone tell, eight bytes for each name."""
    numbers = [array("Q") for _ in range(_BUCKETS)]
    _list(top, (), numbers)
    twice: set[int] = set()
    for bucket in numbers:
        # A bucket at a time: sorting makes objects of the numbers.
        twice.update(one for one, other in pairwise(sorted(bucket)) if one == other)
    return frozenset(twice)


def _list(folder: OpenFolder, route: Route, numbers: "list[array[int]]") -> None:
    check_depth(route, folder.path)
    deeper: list[str] = []
    with os.scandir(folder.fileno()) as found:
        for item in found:
            if item.is_dir(follow_symlinks=False):
                deeper.append(item.name)
            else:
                number = item.inode()
                numbers[number % _BUCKETS].append(number)
    for name in deeper:
        try:
            inner = folder.folder(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise located(error, f"{folder.path}/{name}") from error
        with inner:
            _list(inner, (*route, name), numbers)
