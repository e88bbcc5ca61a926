"""What is in a tree that is to be moved, found by one walk that reads no contents."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from cachewarden.system.copies.contents import held
from cachewarden.system.copies.places import check_depth, located
from cachewarden.system.folders import OpenFolder
from cachewarden.system.ports import Node
from cachewarden.system.removal import StoppedError

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of names and bytes; paths are below the top of the tree, "" where there is no such thing.

    ``files``: names of regular files; ``folders``: the top one included; ``symlinks``: symbolic links; ``links``:
    names of an inode of which another was met before. ``contents``: bytes of regular files, holes not counted.
    ``allocated``: bytes of all blocks; both count an inode once. ``frees``: blocks of inodes all of whose names are
    in the tree, folders included. ``longest_name``: bytes. ``foreign``: names of what is not the owner's.
    ``special``: the first that is neither file, folder nor link. ``unreadable``: the first file or folder that
    cannot be opened. ``mounted``: the first mount point. ``case_clashes``: the first two names of a folder that are
    equal but for case, as "a/Readme, a/README". What is below ``unreadable`` and ``mounted`` is not counted.
    """

    files: int
    folders: int
    links: int
    contents: int
    allocated: int
    frees: int
    longest_name: int
    foreign: int
    first_foreign: str
    special: str
    unreadable: str
    mounted: str
    symlinks: int
    case_clashes: str


def census(folder: OpenFolder, uid: int, may_go_on: Callable[[], bool]) -> Census:
    """Walks the tree; ``uid`` is its owner's.

    StoppedError when ``may_go_on``, asked before every name, says no. OSError with the path: ELOOP for a tree that is
    too deep to be copied, and what cannot be told apart from a failing disk.
    """
    walk = _Walk(uid, may_go_on)
    walk.count("", folder.stat())
    walk.folder(folder, ())
    return walk.result()


class _Walk:
    def __init__(self, uid: int, may_go_on: Callable[[], bool]) -> None:
        self.files = self.folders = self.symlinks = self.links = 0
        self.contents = self.allocated = self.frees = self.longest_name = self.foreign = 0
        self.first_foreign = self.special = self.unreadable = self.mounted = self.case_clashes = ""
        self._uid = uid
        self._may_go_on = may_go_on
        self._unmet: dict[tuple[int, int], int] = {}

    def result(self) -> Census:
        """What was found."""
        return Census(
            files=self.files,
            folders=self.folders,
            links=self.links,
            contents=self.contents,
            allocated=self.allocated,
            frees=self.frees,
            longest_name=self.longest_name,
            foreign=self.foreign,
            first_foreign=self.first_foreign,
            special=self.special,
            unreadable=self.unreadable,
            mounted=self.mounted,
            symlinks=self.symlinks,
            case_clashes=self.case_clashes,
        )

    def folder(self, folder: OpenFolder, route: tuple[str, ...]) -> None:
        check_depth(route, folder.path)
        deeper: list[str] = []
        spellings: dict[str, str] = {}
        for node in folder.nodes():
            if not self._may_go_on():
                raise StoppedError
            path = "/".join((*route, node.name))
            self._spelling(spellings, node.name, path)
            self.count(path, node.stat)
            if stat.S_ISDIR(node.stat.st_mode):
                deeper.append(node.name)
            elif stat.S_ISREG(node.stat.st_mode) and not self._readable(folder, node):
                self.unreadable = self.unreadable or path
        for name in deeper:
            self._inner(folder, name, (*route, name))

    def _inner(self, folder: OpenFolder, name: str, route: tuple[str, ...]) -> None:
        path = "/".join(route)
        try:
            inner = folder.folder(name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.EXDEV:
                self.mounted = self.mounted or path
            elif error.errno in {errno.EACCES, errno.EPERM}:
                self.unreadable = self.unreadable or path
            else:
                raise located(error, f"{folder.path}/{name}") from error
            return
        with inner:
            try:
                self.folder(inner, route)
            except PermissionError:  # it may be listed, but nothing in it looked at
                self.unreadable = self.unreadable or path

    def _spelling(self, spellings: dict[str, str], name: str, path: str) -> None:
        size = len(name) if name.isascii() else len(os.fsencode(name))
        self.longest_name = max(self.longest_name, size)
        other = spellings.setdefault(name.casefold(), name)
        if other != name and not self.case_clashes:
            self.case_clashes = f"{path.removesuffix(name)}{other}, {path}"

    def count(self, path: str, status: os.stat_result) -> None:
        """One name."""
        kind = stat.S_IFMT(status.st_mode)
        if status.st_uid != self._uid:
            self.foreign += 1
            self.first_foreign = self.first_foreign or path or "."
        if kind == stat.S_IFDIR:
            self.folders += 1
        elif kind == stat.S_IFREG:
            self.files += 1
        elif kind == stat.S_IFLNK:
            self.symlinks += 1
        else:
            self.special = self.special or path
        if kind == stat.S_IFDIR or status.st_nlink <= 1:
            self._new(status)
            self.frees += status.st_blocks * _BLOCK
        else:
            self._one_of_several(status)

    def _one_of_several(self, status: os.stat_result) -> None:
        key = (status.st_dev, status.st_ino)
        unmet = self._unmet.get(key)
        if unmet is None:
            self._new(status)
            unmet = status.st_nlink
        else:
            self.links += 1
        self._unmet[key] = unmet - 1
        if unmet == 1:
            self.frees += status.st_blocks * _BLOCK

    def _new(self, status: os.stat_result) -> None:
        self.allocated += status.st_blocks * _BLOCK
        if stat.S_ISREG(status.st_mode):
            self.contents += held(status)

    def _readable(self, folder: OpenFolder, node: Node) -> bool:
        """Whether a file can be opened; asked of the kernel only where its mode does not say so."""
        if node.stat.st_uid == self._uid == os.geteuid() and node.stat.st_mode & stat.S_IRUSR:
            return True
        try:
            return os.access(node.name, os.R_OK, dir_fd=folder.fileno(), effective_ids=True)
        except OSError:
            return False
