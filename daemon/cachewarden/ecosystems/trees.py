"""Adding up what is below a folder: blocks, and inodes with more than one name."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cachewarden.model.caches import Identity, Problem, Share
from cachewarden.model.units import Bytes, Instant
from cachewarden.system.ports import Folder, Node

BLOCK = 512
"""The unit of ``st_blocks``, whatever the filesystem's own block size (stat(2))."""
DEEPEST = 96
"""Far beyond any real package, and far below what descriptors and recursion allow."""


class TooDeepError(OSError):
    """A tree deeper than ``DEEPEST``."""


def blocks(status: os.stat_result) -> int:
    """Allocated bytes of one inode."""
    return status.st_blocks * BLOCK


def identity(status: os.stat_result) -> Identity:
    """What must still be the same just before removal."""
    return Identity(status.st_dev, status.st_ino, Instant(status.st_mtime_ns))


@dataclass(slots=True)
class Links:
    """The names of one inode that were met."""

    met: int
    needed: int
    size: int


@dataclass(slots=True)
class Tally:
    """What a tree occupies. ``size`` counts each inode once; ``single`` what its one-name inodes free."""

    size: int = 0
    single: int = 0
    single_inodes: int = 0
    shared: dict[tuple[int, int], Links] = field(default_factory=dict)
    modified: int = 0
    accessed: int = 0

    def add(self, status: os.stat_result) -> None:
        """Counts one more name."""
        modified = status.st_mtime_ns
        if modified > self.modified:
            self.modified = modified
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            self._add_linked(status)
            return
        size = status.st_blocks * BLOCK
        self.size += size
        self.single += size
        self.single_inodes += 1

    def add_all(self, nodes: Iterable[Node]) -> list[str]:
        """Counts the names of one folder, and tells those of the folders among them.

        As ``add`` does it one by one, for the many: this runs for each file of a package. What was counted before
        an error stays counted.
        """
        folders: list[str] = []
        single, inodes, latest = 0, 0, self.modified
        is_folder = stat.S_ISDIR
        try:
            for name, status in nodes:
                modified = status.st_mtime_ns
                if modified > latest:
                    latest = modified
                if is_folder(status.st_mode):
                    folders.append(name)
                elif status.st_nlink > 1:
                    self._add_linked(status)
                    continue
                single += status.st_blocks
                inodes += 1
        finally:
            self.modified = latest
            self.size += single * BLOCK
            self.single += single * BLOCK
            self.single_inodes += inodes
        return folders

    def _add_linked(self, status: os.stat_result) -> None:
        size = status.st_blocks * BLOCK
        links = self.shared.get((status.st_dev, status.st_ino))
        if links:
            links.met += 1
        else:
            self.size += size
            self.shared[status.st_dev, status.st_ino] = Links(1, status.st_nlink, size)

    def merge(self, part: "Tally") -> None:
        """Adds the figures of a part to the size of the whole, inodes that parts share once."""
        self.size += part.size
        self.modified = max(self.modified, part.modified)
        for key, links in part.shared.items():
            whole = self.shared.get(key)
            if whole:
                whole.met += links.met
                self.size -= links.size
            else:
                self.shared[key] = Links(links.met, links.needed, links.size)

    @property
    def frees(self) -> Bytes:
        """Bytes of the inodes all of whose names are here."""
        return Bytes(self.single + sum(links.size for links in self.shared.values() if links.met >= links.needed))

    @property
    def frees_inodes(self) -> int:
        """How many inodes have all their names here."""
        return self.single_inodes + sum(links.met >= links.needed for links in self.shared.values())

    def shares(self) -> tuple[Share, ...]:
        """The inodes that have names elsewhere."""
        return tuple(
            Share(device, inode, links.needed, links.met, Bytes(links.size))
            for (device, inode), links in self.shared.items()
            if links.met < links.needed
        )


def is_folder(node: Node) -> bool:
    """A real folder, not a link to one."""
    return stat.S_ISDIR(node.stat.st_mode)


def is_file(node: Node) -> bool:
    """A regular file."""
    return stat.S_ISREG(node.stat.st_mode)


def survey(folder: Folder, tally: Tally, depth: int = 0) -> None:
    """Adds everything below an open folder to ``tally`` (not the folder itself).

    Raises TooDeepError, and OSError for a folder that cannot be read: a part that is not seen must not count as
    absent. Another mount inside raises too (EXDEV): it makes the whole tree unfit for removal.
    """
    if depth > DEEPEST:
        raise TooDeepError(errno.ELOOP, f"deeper than {DEEPEST} levels", folder.path)
    # All of a folder is listed before its folders are entered: one descriptor a level, and they are never many.
    for name in tally.add_all(folder.nodes()):
        with folder.folder(name) as inner:
            survey(inner, tally, depth + 1)


def tolerant_size(folder: Folder, tally: Tally, depth: int = 0) -> Iterator[Problem]:
    """As ``survey`` for a tree that only has to be sized: what cannot be read is told and left out."""
    try:
        if depth > DEEPEST:
            raise TooDeepError(errno.ELOOP, f"deeper than {DEEPEST} levels", folder.path)
        for node in folder.nodes():
            tally.add(node.stat)
            if is_folder(node):
                yield from _size_inner(folder, node.name, tally, depth)
    except OSError as error:
        yield Problem(folder.path, reason(error))


def _size_inner(folder: Folder, name: str, tally: Tally, depth: int) -> Iterator[Problem]:
    try:
        inner = folder.folder(name)
    except OSError as error:
        yield Problem(f"{folder.path}/{name}", reason(error))
        return
    with inner:
        yield from tolerant_size(inner, tally, depth + 1)


def weigh_strangers(folder: Folder, nodes: Iterable[Node], tally: Tally) -> Iterator[Problem]:
    """Adds what is below those of ``nodes`` that are folders to ``tally``; they themselves are counted already."""
    for node in nodes:
        if is_folder(node):
            yield from _size_inner(folder, node.name, tally, 0)


def reason(error: OSError) -> str:
    """An ``OSError`` for people, with what it means here."""
    if error.errno == errno.EXDEV:
        return "another filesystem is mounted there: not entered"
    if error.errno == errno.ELOOP and not isinstance(error, TooDeepError):
        return "a symbolic link: not followed"
    return error.strerror or str(error)
