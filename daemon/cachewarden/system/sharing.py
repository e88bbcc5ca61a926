"""Rights of a group on a whole tree: setgid, group-writable, and default ACLs, so that new folders stay so.

pip's new sub-folders get what the umask leaves (``utils/filesystem.py``), and so do the packages that conda extracts:
without a default ACL, what one member makes is closed to the next.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from cachewarden.model.caches import OWN_NAMES, Cache, Owner
from cachewarden.model.findings import MENDABLE, FactKind, Mended
from cachewarden.system import acl, privileges
from cachewarden.system.folders import OpenFolder, open_folder
from cachewarden.system.ports import Node

_DEEPEST = 96
_NO_ACLS = {errno.EOPNOTSUPP, errno.ENOSYS}
_ABSENT = {errno.ENODATA, *_NO_ACLS}
_CHOWN = 1 << 0


@dataclass(slots=True)
class Faults:
    """What is broken in a shared tree: how many of each kind, and the first path of each.

    A folder may have several faults. ``acls``: whether the filesystem has any.
    """

    counts: Counter[FactKind] = field(default_factory=Counter)
    examples: dict[FactKind, str] = field(default_factory=dict)
    acls: bool = True

    def tell(self, kind: FactKind, path: str) -> None:
        """One more."""
        self.counts[kind] += 1
        self.examples.setdefault(kind, path)

    @property
    def mendable(self) -> int:
        """How many the owner could mend."""
        return sum(self.counts[kind] for kind in MENDABLE)


@dataclass(frozen=True, slots=True)
class Shared:
    """A cache that is shared with the group ``gid``."""

    gid: int
    faults: Faults


def look_at(cache: Cache) -> Shared | None:
    """What is broken in a shared cache, ``None`` for one that is its owner's alone; OSError as the disk gives."""
    with open_folder(cache.path) as root:
        if not is_shared(root, cache.owner):
            return None
        gid = root.stat().st_gid
        return Shared(gid, faults(root, gid, cache.owner.uid))


def mend_shared(cache: Cache) -> Mended | None:
    """Mends the rights in a shared cache, ``None`` for one that is its owner's alone; never raises."""
    try:
        with open_folder(cache.path) as root:
            return mend(root, root.stat().st_gid) if is_shared(root, cache.owner) else None
    except OSError as error:
        return Mended(cache.path, left=1, why=f"{cache.path}: {error.strerror}")


def is_shared(root: OpenFolder, owner: Owner) -> bool:
    """Whether a cache is meant for a group: setgid, and writable by that group or with a default ACL for it.

    conda makes its folders 2775, whoever uses them (conda/conda#6610). So the mode says something only outside of the
    owner's home and of another group than the owner's own; the ACL, which nobody sets by accident, always.
    """
    status = root.stat()
    if not status.st_mode & stat.S_ISGID:
        return False
    default = _acl_of(root, acl.DEFAULT)
    if default is not None and acl.rights_of(default, status.st_gid) == acl.ALL:
        return True
    at_home = f"{root.path}/".startswith(f"{owner.home.rstrip('/')}/")
    return bool(status.st_mode & stat.S_IWGRP) and status.st_gid != owner.gid and not at_home


def faults(root: OpenFolder, gid: int, uid: int) -> Faults:
    """What in a tree keeps members of ``gid`` out. ``uid`` is the owner, who can mend what is the owner's."""
    return _Survey(gid, uid).look(root)


def share_tree(root: OpenFolder, gid: int) -> Mended:
    """Gives ``gid`` all that is below an open folder and the folder itself, as far as that is not so already.

    Touched is only what belongs to this process's user, and no file that has a name outside of the tree: it may be
    an environment's. What is refused is told as left. OSError when the tree cannot be walked.
    """
    survey = _Survey(gid, os.geteuid())
    found = survey.look(root)
    done = _Mending(gid, os.geteuid(), survey.whole)
    if found.mendable:
        done.work(root)
    foreign = found.counts[FactKind.SHARED_FOREIGN]
    example = found.examples.get(FactKind.SHARED_FOREIGN)
    why = done.why or (f"{example}: it is somebody else's" if example else "")
    return Mended(root.path, done.folders, done.files, done.left + foreign, why, found.counts[FactKind.SHARED_LINKED])


def mend(root: OpenFolder, gid: int) -> Mended:
    """As ``share_tree``, of what was shared before."""
    return share_tree(root, gid)


def has_acls(folder: OpenFolder) -> bool:
    """Whether the filesystem of an open folder has ACLs; OSError when that cannot be told."""
    return _asked(folder.fileno())


def keeps_acls(folder: str) -> bool:
    """Whether the filesystem of a folder has ACLs; OSError when that cannot be told."""
    return _asked(folder)


def _asked(folder: str | int) -> bool:
    try:
        os.getxattr(folder, acl.DEFAULT)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return error.errno not in _NO_ACLS
    return True


def may_give(gid: int) -> bool:
    """Whether this process may give its files to a group: chown(2) asks for membership, or the capability."""
    return gid in {os.getegid(), *os.getgroups()} or bool(privileges.permitted() & _CHOWN)


# -- what is right and wrong -----------------------------------------------------------------------------------------


def folder_wrongs(
    status: os.stat_result, gid: int, access: acl.Acl | None, default: acl.Acl | None, *, acls: bool = True
) -> Iterator[FactKind]:
    """What is wrong with a folder of a cache that is to be shared with ``gid``."""
    if status.st_gid != gid:
        yield FactKind.SHARED_OTHER_GROUP
    granted = acl.rights_of(access, gid) if access is not None else status.st_mode >> 3 & acl.ALL
    if granted & status.st_mode >> 3 & acl.ALL != acl.ALL:
        yield FactKind.SHARED_CLOSED
    if not status.st_mode & stat.S_ISGID:
        yield FactKind.SHARED_NO_SETGID
    if acls and (default is None or acl.rights_of(default, gid) != acl.ALL):
        yield FactKind.SHARED_NO_DEFAULT


def file_is_wrong(status: os.stat_result, gid: int) -> bool:
    """Whether the group lacks what the owner may. Never of a setuid or setgid file: it is not to be written to."""
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID) or not stat.S_ISREG(status.st_mode):
        return False
    return status.st_gid != gid or bool(_lacking(status.st_mode))


def _lacking(mode: int) -> int:
    """The bits of the group that the owner has and it has not."""
    return (mode & stat.S_IRWXU) >> 3 & ~mode


def _acl_of(folder: OpenFolder, name: str) -> acl.Acl | None:
    """Of an open folder; ``None`` where there is none, or none that we understand."""
    try:
        return acl.unpacked(os.getxattr(folder.fileno(), name))
    except ValueError:
        return None
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def _wrongs_of(folder: OpenFolder, gid: int, *, acls: bool) -> tuple[FactKind, ...]:
    access, default = _acl_of(folder, acl.ACCESS), _acl_of(folder, acl.DEFAULT)
    return tuple(folder_wrongs(folder.stat(), gid, access, default, acls=acls))


# -- the walk --------------------------------------------------------------------------------------------------------

_Refused = Callable[[OpenFolder, Node, OSError], bool]
"""Told of a folder that cannot be entered; whether to try once more."""


def _walk(folder: OpenFolder, refused: _Refused, depth: int = 0) -> Iterator[tuple[OpenFolder, list[Node]]]:
    """Every folder, open, with the files in it. Links are not followed, other mounts not entered."""
    nodes = [node for node in folder.nodes() if depth or node.name not in OWN_NAMES]
    yield folder, [node for node in nodes if stat.S_ISREG(node.stat.st_mode)]
    for node in nodes:
        if not stat.S_ISDIR(node.stat.st_mode):
            continue
        if depth >= _DEEPEST:
            refused(folder, node, OSError(errno.ELOOP, f"deeper than {_DEEPEST} levels"))
            continue
        inner = _entered(folder, node, refused)
        if inner is None:
            continue
        with inner:
            yield from _tolerant(inner, folder, node, refused, depth + 1)


def _tolerant(
    inner: OpenFolder, folder: OpenFolder, node: Node, refused: _Refused, depth: int
) -> Iterator[tuple[OpenFolder, list[Node]]]:
    for _ in range(2):
        try:
            yield from _walk(inner, refused, depth)
        except PermissionError as error:  # it may be listed, but nothing in it looked at
            if not refused(folder, node, error):
                return
        else:
            return


def _entered(folder: OpenFolder, node: Node, refused: _Refused) -> OpenFolder | None:
    for _ in range(2):
        try:
            return folder.folder(node.name)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EXDEV} or not refused(folder, node, error):
                return None
    return None


class _Survey:
    """Finds what is broken. ``whole``: how many names each inode has that has several, all of them in the tree."""

    def __init__(self, gid: int, uid: int) -> None:
        self.whole: dict[tuple[int, int], int] = {}
        self._gid = gid
        self._uid = uid
        self._found = Faults()
        self._linked: dict[tuple[int, int], list[str]] = {}  # broken files of several names: those that were met
        self._names: dict[tuple[int, int], int] = {}

    def look(self, root: OpenFolder) -> Faults:
        self._found.acls = has_acls(root)
        for folder, files in _walk(root, self._refused):
            self._folder(folder)
            for node in files:
                self._file(folder, node)
        for key, paths in self._linked.items():
            if len(paths) == self._names[key]:
                self.whole[key] = len(paths)
            kind = FactKind.SHARED_FILES if key in self.whole else FactKind.SHARED_LINKED
            self._found.tell(kind, paths[0])
        return self._found

    def _folder(self, folder: OpenFolder) -> None:
        wrongs = _wrongs_of(folder, self._gid, acls=self._found.acls)
        if wrongs and folder.stat().st_uid != self._uid:
            wrongs = (FactKind.SHARED_FOREIGN,)
        for kind in wrongs:
            self._found.tell(kind, folder.path)

    def _file(self, folder: OpenFolder, node: Node) -> None:
        status = node.stat
        if not file_is_wrong(status, self._gid):
            return
        path = f"{folder.path}/{node.name}"
        if status.st_uid != self._uid:
            self._found.tell(FactKind.SHARED_FOREIGN, path)
        elif status.st_nlink > 1:
            key = (status.st_dev, status.st_ino)
            self._names[key] = status.st_nlink
            self._linked.setdefault(key, []).append(path)
        else:
            self._found.tell(FactKind.SHARED_FILES, path)

    def _refused(self, folder: OpenFolder, node: Node, error: OSError) -> bool:
        own = node.stat.st_uid == self._uid and error.errno == errno.EACCES
        kind = FactKind.SHARED_CLOSED if own else FactKind.SHARED_FOREIGN
        self._found.tell(kind, f"{folder.path}/{node.name}")
        return False


class _Mending:
    """Gives the group its rights where they are wanting; what is refused stays and is counted in ``left``."""

    def __init__(self, gid: int, uid: int, whole: Mapping[tuple[int, int], int]) -> None:
        self.folders = self.files = self.left = 0
        self.why = ""
        self._gid = gid
        self._uid = uid
        self._whole = whole
        self._opened: set[int] = set()

    def work(self, root: OpenFolder) -> None:
        acls = has_acls(root)
        for folder, files in _walk(root, self._refused):
            status = folder.stat()
            if status.st_uid == self._uid and _wrongs_of(folder, self._gid, acls=acls):
                with self._counting(folder.path):
                    self._folder(folder, acls=acls)
                    self.folders += 1
            for node in files:
                if node.stat.st_uid == self._uid and file_is_wrong(node.stat, self._gid):
                    with self._counting(f"{folder.path}/{node.name}"):
                        self.files += self._file(folder, node.name)

    @contextmanager
    def _counting(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            return
        except OSError as error:
            self.left += 1
            self.why = self.why or f"{path}: {error.strerror}"

    def _folder(self, folder: OpenFolder, *, acls: bool) -> None:
        """The group first: the kernel drops setgid in silence for one that is not the process's."""
        fd, status = folder.fileno(), folder.stat()
        if status.st_gid != self._gid:
            os.fchown(fd, -1, self._gid)
        os.fchmod(fd, stat.S_IMODE(status.st_mode) | stat.S_ISGID | stat.S_IRWXG)
        access, default = _acl_of(folder, acl.ACCESS), _acl_of(folder, acl.DEFAULT)
        if access is not None and acl.rights_of(access, self._gid) != acl.ALL:
            os.setxattr(fd, acl.ACCESS, acl.packed(acl.widened(access, self._gid)))
        if acls and (default is None or acl.rights_of(default, self._gid) != acl.ALL):
            others = status.st_mode & (stat.S_IROTH | stat.S_IXOTH)
            wanted = acl.shared(self._gid, others) if default is None else acl.widened(default, self._gid)
            os.setxattr(fd, acl.DEFAULT, acl.packed(wanted))
        if _wrongs_of(folder, self._gid, acls=acls):
            raise OSError(errno.EPERM, "the kernel did not keep the rights: is its owner a member of the group?")

    def _file(self, folder: OpenFolder, name: str) -> int:
        """1 when it was given. What is open is looked at once more: it may just have been linked into somewhere."""
        with folder.handle(name) as fd:
            status = os.fstat(fd)
            inside = self._whole.get((status.st_dev, status.st_ino), 1)
            if status.st_uid != self._uid or status.st_nlink > inside or not file_is_wrong(status, self._gid):
                return 0
            place = f"/proc/self/fd/{fd}"
            if status.st_gid != self._gid:
                os.chown(place, -1, self._gid)
            os.chmod(place, stat.S_IMODE(status.st_mode) | _lacking(status.st_mode))
            return 1

    def _refused(self, folder: OpenFolder, node: Node, error: OSError) -> bool:
        """What its own user cannot enter is opened up, once."""
        own = node.stat.st_uid == self._uid and error.errno == errno.EACCES
        if own and node.stat.st_ino not in self._opened:
            self._opened.add(node.stat.st_ino)
            with self._counting(f"{folder.path}/{node.name}"):
                folder.open_up(node.name)
                return True
        elif own:
            self.left += 1
        return False
