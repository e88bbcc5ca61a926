"""A tree of files without a disk, behind ``ports.Files`` and ``ports.Folder``: with times, owners, links, mounts."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from cachewarden.ecosystems.base import Context, Located, OneLook, Surroundings
from cachewarden.model.caches import Owner
from cachewarden.model.units import Instant
from cachewarden.system.ports import Allocation, Folder, Mount, Node, Opened, Process
from fakes import FakeFiles

HOME = "/home/ann"
UID = 1000
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Thing:
    """A file, unless ``content`` is ``None``: a folder then. ``link``: it is a link to there. Times in seconds."""

    content: bytes | None = b""
    mtime: int = 0
    uid: int = UID
    device: int = 1
    link: str | None = None
    mode: int = 0o755

    def stat(self) -> os.stat_result:
        """As ``lstat`` would say it."""
        form = stat.S_IFLNK if self.link else stat.S_IFDIR if self.content is None else stat.S_IFREG
        size = len(self.content or b"")
        short = (form | self.mode, 1, self.device, 1, self.uid, self.uid, size, self.mtime, self.mtime, self.mtime)
        nanoseconds = {f"st_{which}time_ns": self.mtime * SECOND for which in "amc"}
        return os.stat_result(short, {**nanoseconds, "st_blocks": 8 * bool(size)})


def folder(mtime: int = 0, *, uid: int = UID, device: int = 1) -> Thing:
    """A folder."""
    return Thing(None, mtime, uid, device)


class FakeTree(FakeFiles):
    """``things`` by absolute path; folders above them are there without being named.

    ``opened`` keeps which folders were opened. ``tracks_atime`` is what the one mount does; ``distrusted`` are
    paths that somebody else laid the way to.
    """

    def __init__(
        self,
        things: Mapping[str, Thing | str],
        *,
        tracks_atime: bool = True,
        distrusted: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.tracks_atime = tracks_atime
        self.distrusted = distrusted
        self.opened: list[str] = []
        self._things: dict[str, Thing] = {"/": folder()}
        for path, said in things.items():
            thing = said if isinstance(said, Thing) else Thing(said.encode())
            parts = path.strip("/").split("/")
            for depth in range(1, len(parts)):
                self._things.setdefault("/" + "/".join(parts[:depth]), folder())
            self._things[path] = thing
        self._inside: dict[str, set[str]] = {}
        for path in self._things:
            if path != "/":
                above, _, name = path.rpartition("/")
                self._inside.setdefault(above or "/", set()).add(name)

    def at(self, path: str) -> Thing:
        """What is there, not followed."""
        try:
            return self._things[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def inside(self, path: str) -> list[str]:
        """Names in a folder, in an order of no use."""
        return sorted(self._inside.get(path, ()), reverse=True)

    def names(self, path: str) -> list[str]:
        return sorted(self.inside(self._led(path)))

    def _led(self, path: str) -> str:
        thing = self._things.get(path)
        return self._led(thing.link) if thing and thing.link else path

    def stat(self, path: str) -> os.stat_result | None:
        thing = self._things.get(self._led(path))
        return thing.stat() if thing else None

    def trusted_path(self, path: str) -> str:
        real = self._led(path)
        self.at(real)
        if path in self.distrusted:
            raise PermissionError(errno.EPERM, "another's", path)
        return real

    def mount_of(self, path: str) -> Mount:
        return Mount("/", "ext4", tracks_atime=self.tracks_atime, read_only=False)

    def open_folder(self, path: str) -> Folder:
        self.opened.append(path)
        thing = self.at(path)
        if thing.link or thing.content is not None:
            raise OSError(errno.ELOOP if thing.link else errno.ENOTDIR, "not a folder", path)
        return FakeFolder(self, path)


class FakeFolder:
    """``ports.Folder`` of a ``FakeTree``."""

    def __init__(self, tree: FakeTree, path: str) -> None:
        self.path = path
        self._tree = tree

    def allocation(self, name: str) -> Allocation:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def _below(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"

    def stat(self) -> os.stat_result:
        return self._tree.at(self.path).stat()

    def nodes(self) -> Iterator[Node]:
        return (self.node(name) for name in self._tree.inside(self.path))

    def node(self, name: str) -> Node:
        return Node(name, self._tree.at(self._below(name)).stat())

    def status_of(self, path: str) -> os.stat_result:
        return self._tree.at(self._below(path)).stat()

    def folder(self, name: str) -> Folder:
        thing = self._tree.at(self._below(name))
        if thing.device != self._tree.at(self.path).device:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
        return self._tree.open_folder(self._below(name))

    def read(self, name: str, size: int, offset: int = 0) -> bytes:
        thing = self._tree.at(self._below(name))
        if thing.link or thing.content is None:
            raise OSError(errno.EINVAL, "not a regular file", name)
        return thing.content[offset : offset + size]

    def link_target(self, name: str) -> str:
        return self._tree.at(self._below(name)).link or ""


def installed(
    site: str, name: str, at: int, *, installer: str = "pip\n", direct_url: str | None = None
) -> dict[str, Thing | str]:
    """What an installation at a time (seconds) leaves in a ``site-packages``: ``six-1.16.0``."""
    at_that_time = Thing(installer.encode(), at)
    base = f"{site}/{name}.dist-info"
    found: dict[str, Thing | str] = {base: folder(at), f"{base}/INSTALLER": at_that_time}
    found[f"{base}/RECORD"] = replace(at_that_time, content=b"")
    if direct_url is not None:
        found[f"{base}/direct_url.json"] = direct_url
    return found


class NoProcesses:
    """``ports.Processes`` of an idle machine."""

    def running(self) -> tuple[Process, ...]:
        return ()

    def open_files(self, uid: int) -> frozenset[str]:
        return frozenset()

    def opened(self, uid: int, below: str) -> tuple[Opened, ...]:
        return ()

    def locked_inodes(self) -> frozenset[int]:
        return frozenset()


def context(
    files: FakeFiles, *, uid: int = 1000, environ: Mapping[str, str] | None = None, now: int = 1000,
    environments: tuple[str, ...] = (),
) -> Context:  # fmt: skip
    """A look at ann's home, or root's, at a time in seconds."""
    home = "/root" if uid == 0 else HOME
    surroundings = Surroundings(Owner(uid, uid, "ann", home), environ or {}, files)
    return Context(surroundings, Located(), NoProcesses(), Instant(now * SECOND), OneLook(environments))


def venv(path: str, python: str = "python3.11") -> dict[str, Thing | str]:
    """A virtual environment in which nothing is installed."""
    return {f"{path}/pyvenv.cfg": "", f"{path}/lib/{python}/site-packages": folder()}
