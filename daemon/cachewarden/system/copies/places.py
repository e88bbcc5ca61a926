"""Where a copy is at work: pairs of open folders, the ways to them, and errors that name a path."""

import errno
import os
import stat
from collections.abc import Callable
from typing import Self

from cachewarden.system.folders import OpenFolder

TEMPORARY = ".cachewarden-new"
"""What is not yet whole has this name, in the folder that it is for."""
DEEPEST = 128
"""Levels; two descriptors are open for each, and a process has 1024 by default."""

Route = tuple[str, ...]
"""The names of the folders from the top of a tree to one in it."""
Tick = Callable[[int], None]
"""Told every few MiB how many bytes were dealt with; raises StoppedError when it is time to stop."""


def located(error: OSError, path: str) -> OSError:
    """The error with ``path``; one that names a path already stays as it is."""
    if isinstance(error.filename, str) and "/" in error.filename:
        return error
    return OSError(error.errno, error.strerror, path)


def check_depth(route: Route, path: str) -> None:
    """ELOOP for a folder deeper than ``DEEPEST``."""
    if len(route) > DEEPEST:
        raise OSError(errno.ELOOP, f"deeper than {DEEPEST} levels", path)


class Place:
    """One folder of the source and the one of the target that is made like it, both open."""

    __slots__ = (
        "empty", "fresh", "inherits", "kind", "mode", "route", "shown", "source", "source_fd", "target", "target_fd",
    )  # fmt: skip

    def __init__(
        self,
        source: OpenFolder,
        target: OpenFolder,
        route: Route,
        *,
        fresh: bool,
        inherits: bool,
        before: os.stat_result | None = None,
        shown: Route | None = None,
    ) -> None:
        """``fresh``: the target was just made, and so is ``empty``. ``inherits``: what is made in it gets an ACL.

        ``before``: what the target was before anything was done to it. ``shown``: the way to it for people, where
        ``route`` is not where it will stay.
        """
        self.source, self.target = source, target
        self.source_fd, self.target_fd = source.fileno(), target.fileno()
        self.route = route
        self.shown = route if shown is None else shown
        self.fresh = self.empty = fresh
        self.inherits = inherits
        status = target.stat()
        self.mode = stat.S_IMODE((before or status).st_mode)
        self.kind = (status.st_gid, status.st_mode & 0o2000)
        """What decides, with the mount, whose a new file is: the same for all folders of one kind."""

    def below(self, name: str) -> str:
        """The path of a name from the top of the tree, for people; of the folder itself with an empty name."""
        return "/".join((*self.shown, name) if name else self.shown) or "."

    def source_path(self, name: str) -> str:
        """For errors of the source."""
        return f"{self.source.path}/{name}"

    def target_path(self, name: str) -> str:
        """For errors of the target."""
        return f"{self.target.path}/{name}"


class Chain:
    """Opens folders below a top by their ways. What two ways in turn share stays open between them."""

    def __init__(self, top: OpenFolder) -> None:
        """``top`` stays the caller's."""
        self._top = top
        self._route: Route = ()
        self._open: list[OpenFolder] = []

    def __enter__(self) -> Self:
        """Nothing is open yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes all but the top."""
        self._leave(0)

    def at(self, route: Route) -> OpenFolder:
        """The folder there, open until the next call; OSError as ``OpenFolder.folder``."""
        if route != self._route:
            shared = _shared(self._route, route)
            self._leave(shared)
            for name in route[shared:]:
                parent = self._open[-1] if self._open else self._top
                self._open.append(parent.folder(name))
                self._route = route[: len(self._open)]
        return self._open[-1] if self._open else self._top

    def _leave(self, depth: int) -> None:
        while len(self._open) > depth:
            self._open.pop().__exit__(None, None, None)
        self._route = self._route[:depth]


def _shared(one: Route, other: Route) -> int:
    """How many names both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
