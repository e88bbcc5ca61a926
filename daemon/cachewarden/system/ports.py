"""The seams to the machine, as protocols; ``tests/fakes.py`` holds stand-ins that behave.

Reading and removing are different types, so that what measures cannot delete: the type checker refuses it.
Ports raise ``OSError``; the stages turn it into our errors.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from cachewarden.model.caches import Quota
from cachewarden.model.units import Bytes, Inodes, Instant


class Node(NamedTuple):
    """A name in a folder with what ``lstat`` said of it. There is one for each file: a tuple is made fastest."""

    name: str
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class Allocation:
    """Bytes that the filesystem gets back when a file goes: ``sure`` at least, and at ``most``."""

    sure: int
    most: int


@dataclass(frozen=True, slots=True)
class Listed:
    """What was in a folder when it was looked through, and in the folders in it, by their names."""

    nodes: list[Node]
    inner: dict[str, "Listed"]


class Folder(Protocol):
    """An open folder of a cache: names are single components; links and other mounts are never entered."""

    path: str
    """For messages only: nothing is opened by it."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def stat(self) -> os.stat_result:
        """Of the folder itself."""
        ...

    def nodes(self) -> Iterator[Node]:
        """What is in it, in no order; what vanishes meanwhile is left out."""
        ...

    def node(self, name: str) -> Node:
        """One name; ``FileNotFoundError`` when it is not there."""
        ...

    def status_of(self, path: str) -> os.stat_result:
        """Of a name some levels down, as ``lstat`` tells; nothing is opened. Links on the way are followed by the
        kernel: it is for comparing with what was there, each level of its own.
        """
        ...

    def folder(self, name: str) -> "Folder":
        """Opens a folder in it; ``OSError`` for a link (ELOOP), another mount (EXDEV), a file (ENOTDIR)."""
        ...

    def read(self, name: str, size: int, offset: int = 0) -> bytes:
        """Up to ``size`` bytes of a regular file, leaving its access time alone."""
        ...

    def link_target(self, name: str) -> str:
        """What a symbolic link says."""
        ...

    def allocation(self, name: str) -> Allocation:
        """What a regular file in it gives back; ``OSError`` where that cannot be told. Its access time stays."""
        ...


class WritableFolder(Folder, Protocol):
    """A folder from which entries may be removed. Only ``act`` gets one."""

    def folder(self, name: str) -> "WritableFolder": ...

    def below(self, way: str) -> "WritableFolder":
        """Opens a folder some levels down, ``a/b/c``; each of its names is refused as ``folder`` does."""
        ...

    def unlink(self, name: str) -> None:
        """Removes a name that is not a folder."""
        ...

    def remove_folder(self, name: str) -> None:
        """Removes an empty folder."""
        ...

    def make_folder(self, name: str) -> None:
        """Makes a folder that only the owner can enter."""
        ...

    def move(self, name: str, target: "WritableFolder", new_name: str) -> None:
        """Renames within the filesystem, replacing nothing that is there."""
        ...

    def open_up(self, name: str) -> None:
        """Gives the owner all rights on a folder in it, so that what is in there can be removed."""
        ...


@dataclass(frozen=True, slots=True)
class Space:
    """What ``statvfs`` says, for an ordinary user."""

    total: Bytes
    free: Bytes
    inodes_total: Inodes
    inodes_free: Inodes


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo that matters.

    ``read_only`` here: in a sandbox a disk can be so that is writable elsewhere. ``disk_read_only``: for everybody.
    ``relatime``: an access time moves when it is a day old, or older than the last change (mount(8)).
    ``root`` is the folder of the filesystem ``device`` (major:minor) that is seen at the mount point; ``source`` is
    what was mounted, in the words of its type: a device, a dataset, a share.
    """

    mount: str
    type: str
    tracks_atime: bool
    read_only: bool
    disk_read_only: bool = False
    device: str = ""
    root: str = ""
    source: str = ""
    relatime: bool = False


class Files(Protocol):
    """Configuration files and the way to a cache root, by path and with the owner's rights.

    Links are followed: people keep their dot files elsewhere.
    """

    def read_text(self, path: str, limit: int) -> str:
        """A regular file of at most ``limit`` bytes, undecodable bytes kept as surrogates.

        ``OSError`` with EFBIG when larger, EINVAL when it is no regular file (never blocks on a FIFO), EPERM when
        it is neither the owner's nor root's.
        """
        ...

    def names(self, path: str) -> list[str]:
        """What is in a folder, sorted; empty when it is not there or unreadable."""
        ...

    def listing(self, path: str) -> list[str]:
        """What is in a folder, sorted; ``OSError`` when it cannot be told."""
        ...

    def stat(self, path: str) -> os.stat_result | None:
        """Following links; ``None`` when nothing can be reached there."""
        ...

    def real_path(self, path: str) -> str:
        """Absolute, all links resolved, whether or not it exists."""
        ...

    def trusted_path(self, path: str) -> str:
        """As ``real_path`` of what exists; EPERM when anybody but the owner or root laid the way to it."""
        ...

    def may_write(self, path: str) -> bool:
        """Whether an existing path may be written to by its permissions; a read-only mount does not count."""
        ...

    def mounts(self) -> Mapping[str, Mount]:
        """All mounts, by mount point."""
        ...

    def open_folder(self, path: str) -> Folder:
        """An absolute path without links in it, each component opened below the one before."""
        ...

    def mount_of(self, path: str) -> Mount:
        """The mount that holds an existing path."""
        ...

    def space(self, path: str) -> Space:
        """Of the filesystem that holds an existing path."""
        ...

    def quota(self, path: str, uid: int) -> Quota | None:
        """A user's quota of blocks on the filesystem that holds ``path``; ``None`` without one, or untold."""
        ...

    def is_roots_alone(self, path: str) -> bool:
        """Whether no user decides what a path leads to, and asking about it cannot block: see ``trust``."""
        ...


@dataclass(frozen=True, slots=True)
class Process:
    """A running process, as far as it lets itself be seen."""

    pid: int
    uid: int
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file that a process has open: where it was opened, with ``fstat`` of it."""

    path: str
    stat: os.stat_result
    pid: int
    name: str


class Processes(Protocol):
    """Who runs what, and holds what."""

    def running(self) -> tuple[Process, ...]:
        """All processes but our own."""
        ...

    def open_files(self, uid: int) -> frozenset[str]:
        """Paths that processes of ``uid`` hold open, as far as visible."""
        ...

    def opened(self, uid: int, below: str) -> tuple[Opened, ...]:
        """What processes of ``uid`` but our own have open below a folder, as far as visible; bounded."""
        ...

    def locked_inodes(self) -> frozenset[int]:
        """Inode numbers with any file lock, without device: on btrfs the kernel names another than stat."""
        ...


class Clock(Protocol):
    """The time of day."""

    def now(self) -> Instant:
        """Nanoseconds since the epoch."""
        ...


class Journal(Protocol):
    """Where structured messages go."""

    def send(self, priority: int, message: str, fields: Mapping[str, str | int]) -> None:
        """``priority`` as in syslog (3 error, 4 warning, 6 info, 7 debug); never raises."""
        ...
