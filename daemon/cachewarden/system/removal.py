"""Removing names below open folders, and counting what the filesystem gets back.

A link is removed, never followed; a mount point is never entered; a folder that forbids writing is opened up first,
as its owner may. Depth is bounded by moving what lies too deep to the top, so that no tree, however hostile, exhausts
descriptors or the stack.
"""

import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cachewarden.system.ports import Listed, Node, WritableFolder

_BLOCK = 512
_NOT_EMPTY = {errno.ENOTEMPTY, errno.EEXIST}
_OTHER_KIND = {errno.EISDIR, errno.ENOTDIR, errno.ELOOP}
_DEEPEST = 64
_ATTEMPTS = 3


Inode = tuple[int, int]


class StoppedError(Exception):
    """The caller asked to stop; what was removed so far is counted."""


@dataclass(slots=True)
class Removal:
    """What one removal gave back, and what would not go (path and error).

    ``opened`` are inodes that processes have open: what is removed of them is ``held`` and not freed. ``ended`` are
    those of the ``watched`` inodes that went.
    """

    freed: int = 0
    failures: list[tuple[str, OSError]] = field(default_factory=list)
    opened: frozenset[Inode] = frozenset()
    watched: frozenset[Inode] = frozenset()
    held: dict[Inode, int] = field(default_factory=dict)
    ended: set[Inode] = field(default_factory=set)

    def count(self, status: os.stat_result) -> None:
        """Counts an inode whose name has just gone; one that has other names stays on the disk."""
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            return
        inode, size = (status.st_dev, status.st_ino), status.st_blocks * _BLOCK
        if inode in self.watched:
            self.ended.add(inode)
        if inode in self.opened and size:
            self.held[inode] = size
        else:
            self.freed += size


def remove_file(folder: WritableFolder, node: Node, removal: Removal) -> None:
    """Removes one name that is no folder; raises OSError. One that is gone already is fine, and frees nothing."""
    try:
        folder.unlink(node.name)
    except FileNotFoundError:
        return
    removal.count(node.stat)


def remove_empty(folder: WritableFolder, name: str, removal: Removal) -> bool:
    """Removes a folder if it is empty; whether it went. No error of it matters to anybody."""
    try:
        status = folder.node(name).stat
        folder.remove_folder(name)
    except OSError:
        return False
    removal.count(status)
    return True


def _can_be_emptied(folder: Node) -> bool:
    return folder.stat.st_mode & stat.S_IRWXU == stat.S_IRWXU


class TreeRemover:
    """Removes whole trees. ``spill`` takes what lies deeper than 64 levels; without it that fails."""

    def __init__(self, spill: WritableFolder | None, may_go_on: Callable[[], bool]) -> None:
        """``may_go_on`` is asked before every name; StoppedError when it says no."""
        self._spill = spill
        self._may_go_on = may_go_on
        self._spilled: list[str] = []
        self._serial = 0

    def remove(self, folder: WritableFolder, name: str, removal: Removal, listed: Listed | None = None) -> None:
        """Removes ``name`` with all below it, as far as that goes; what stays is in ``removal.failures``.

        ``listed`` is what somebody saw in it a moment ago: it is not listed again, unless something is left then.
        """
        self._remove(folder, name, removal, 0, listed)
        while self._spill and self._spilled:
            self._remove(self._spill, self._spilled.pop(), removal, 0, None)

    def _remove(self, folder: WritableFolder, name: str, removal: Removal, depth: int, listed: Listed | None) -> None:
        try:
            node = folder.node(name)
            if not stat.S_ISDIR(node.stat.st_mode):
                remove_file(folder, node, removal)
                return
            if not _can_be_emptied(node):
                folder.open_up(name)
            if depth > _DEEPEST:
                self._move_up(folder, name)
            else:
                self._take_apart(folder, node, removal, depth, listed)
        except FileNotFoundError:
            return
        except OSError as error:
            removal.failures.append((f"{folder.path}/{name}", error))

    def _move_up(self, folder: WritableFolder, name: str) -> None:
        if self._spill is None:
            raise OSError(errno.ELOOP, f"deeper than {_DEEPEST} levels", name)
        self._serial += 1
        spilled = f"deep-{time.time_ns():x}-{self._serial}"
        folder.move(name, self._spill, spilled)
        self._spilled.append(spilled)

    def _take_apart(
        self, parent: WritableFolder, node: Node, removal: Removal, depth: int, listed: Listed | None
    ) -> None:
        """Empties a folder and removes it; once more when something was put in or not listed meanwhile."""
        for attempt in range(_ATTEMPTS):
            known = len(removal.failures)
            with parent.folder(node.name) as inner:
                if listed is not None and not attempt:
                    self._empty_as_listed(inner, listed, removal, depth)
                else:
                    self._empty(inner, removal, depth)
            if len(removal.failures) > known:
                return  # what stays was told; that it keeps its folders needs no telling
            try:
                parent.remove_folder(node.name)
            except OSError as error:
                if error.errno not in _NOT_EMPTY or attempt == _ATTEMPTS - 1:
                    raise
            else:
                removal.count(node.stat)
                return

    def _empty(self, folder: WritableFolder, removal: Removal, depth: int) -> None:
        for item in folder.nodes():
            if not self._may_go_on():
                raise StoppedError
            if stat.S_ISDIR(item.stat.st_mode):
                self._remove(folder, item.name, removal, depth + 1, None)
                continue
            try:
                remove_file(folder, item, removal)
            except OSError as error:
                removal.failures.append((f"{folder.path}/{item.name}", error))

    def _empty_as_listed(self, folder: WritableFolder, listed: Listed, removal: Removal, depth: int) -> None:
        """By names that are known. What became of another kind since is left to the next listing."""
        for item in listed.nodes:
            if not self._may_go_on():
                raise StoppedError
            if stat.S_ISDIR(item.stat.st_mode):
                self._remove(folder, item.name, removal, depth + 1, listed.inner.get(item.name))
                continue
            try:
                # How many names an inode has changes with each that goes: of one that had several it is asked anew.
                known = item if item.stat.st_nlink == 1 else folder.node(item.name)
                remove_file(folder, known, removal)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in _OTHER_KIND:
                    removal.failures.append((f"{folder.path}/{item.name}", error))
