"""Destinations: whose they are, whether they are here, and why one is no place for a cache."""

import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.paths import forbidden, plain_path
from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import MARKER
from cachewarden.model.relocations import Phase, Presence, Relocation
from cachewarden.system import durable, places
from cachewarden.system.ports import Files, Mount
from cachewarden.system.trust import may_hang

_REMOVABLE = ("/media", "/mnt", "/run/media")
_PASSING = ("/run", "/tmp", "/var/run", "/var/tmp")  # noqa: S108 - refused
IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
_REPOSITORIES = {
    ".git": "a git repository", ".hg": "a Mercurial repository", ".svn": "a Subversion checkout",
    ".bzr": "a Bazaar repository", ".jj": "a Jujutsu repository", ".dvc": "a DVC repository",
    "conda-meta": "a conda environment", "pyvenv.cfg": "a virtual environment",
    "CACHEDIR.TAG": "another tool's cache",
}  # fmt: skip
"""What, in a folder, says that all below it is some other tool's to keep in order."""
_GONE = {
    errno.ENOENT, errno.ENOTDIR, errno.ENOTCONN, errno.EACCES, errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM,
    errno.ESTALE,
}  # fmt: skip
_LEAST_ROOM, _LEAST_SHARE, _ROOM_AGAIN = 16 << 20, 100, 4
"""A disk is full with less than 16 MiB or one percent, whichever is less; and is not again at four times that."""
_MARKER_LIMIT = 4096
_OURS = ".cachewarden-"
"""What begins the endings of folders that a move puts beside a place."""


def write_marker(folder: str, record: Relocation) -> None:
    """Says in a destination whose it is."""
    plain = {"id": record.id, "ecosystem": record.ecosystem, "from": record.old}
    note = (
        "Put here by cachewarden, which looks for it to see whether this disk is here. `cachewarden restore` ends it."
    )
    durable.write(f"{folder}/{MARKER}", json.dumps({"note": note, **plain}, indent=1).encode("ascii"), 0o644)


def marker_of(files: Files, folder: str) -> dict[str, object]:
    """What a destination says; empty without a marker. OSError as the disk gives."""
    with files.open_folder(folder) as opened:
        try:
            data = opened.read(MARKER, _MARKER_LIMIT)
        except FileNotFoundError:
            return {}
    try:
        plain = json.loads(str(data, "ascii"))
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def presence(files: Files, record: Relocation) -> Presence:
    """How the destination of a move is found now, with the owner's rights."""
    try:
        if marker_of(files, record.new).get("id") != record.id:
            return Presence.MISSING
        with files.open_folder(record.new) as folder:
            next(iter(folder.nodes()), None)
        if files.mount_of(record.new).disk_read_only:
            return Presence.READ_ONLY
        space = files.space(record.new)
    except OSError as error:
        return Presence.MISSING if error.errno in _GONE else Presence.FAILING
    least = min(_LEAST_ROOM, space.total // _LEAST_SHARE)
    least *= _ROOM_AGAIN if record.phase is Phase.AWAY else 1
    full = space.free < least or bool(space.inodes_total and not space.inodes_free)
    return Presence.FULL if full else Presence.HERE


def is_set_aside(files: Files, record: Relocation) -> bool:
    """Whether what has the name is what was at the destination, by its number or by the marker that is in it.

    FAT gives folders new numbers whenever it is mounted. A marker proves nothing in a folder of another user, who may
    have copied it.
    """
    inode = durable.inode(record.aside_there)
    if not inode or not record.set_aside or inode == record.set_aside:
        return bool(inode and record.set_aside)
    try:
        return durable.is_own(record.aside_there) and marker_of(files, record.aside_there).get("id") == record.id
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Place:
    """A destination that may do: its path with all links resolved, and the part of it that exists."""

    path: str
    exists: str
    mount: Mount


def own_mount(files: Files, path: str) -> str | None:
    """Why a cache cannot be moved from a folder that a disk is mounted at: its name cannot change places."""
    mounts = files.mounts()
    mount = mounts.get(path)
    if mount is None:
        return None
    if _is_seen_again(mount, mounts):
        return (
            f"{path} is mounted onto itself: where the sandbox of the service does that, let ReadWritePaths name"
            f" {os.path.dirname(path)}"
        )
    return (
        f"{path} is a mount point ({mount.source or mount.type}): a cache that came back could not take its place"
        f" in one step. Move it to a folder on that disk first, or mount the other disk there"
    )


def left_over(files: Files, path: str) -> str | None:
    """Why a cache cannot be moved from where an earlier move left something that no record tells of."""
    above, name = os.path.split(path)
    left = [each for each in files.names(above) if each.startswith(f"{name}{_OURS}")]
    if not left:
        return None
    return (
        f"{above.rstrip('/')}/{left[0]} is there, which looks like what an earlier move left, and nobody knows from"
        " what: see whether anything in it is needed, then remove it or give it another name"
    )


def judge(surroundings: Surroundings, to: str, source: str, caches: Iterable[str]) -> Place | str:
    """The place that ``to`` is, or why no cache can be moved there. Nothing is made or changed.

    ``source`` is the cache's folder, or the nearest one above it; ``caches`` are those there are.
    """
    files, owner = surroundings.files, surroundings.owner
    try:
        plain = plain_path(to, surroundings)
    except ValueError as error:
        return f"the destination {to!r} {error}"
    exists = _nearest(files, plain)
    if why := not_here(files, plain):
        return why
    try:
        # Who may write to the folder decides about what is going to be made in it.
        real = files.trusted_path(exists if exists == plain else f"{exists.rstrip('/')}/.")
        mount = files.mount_of(real)
    except OSError as error:
        return f"{exists} is not to be trusted: {reason(error)}"
    path = real.rstrip("/") + plain[len(exists.rstrip("/")) :]
    if why := forbidden(path, owner.home) or _passing(path, mount):
        return f"{path} cannot hold a cache: {why}"
    for fault in (*_faults(files, path, real, mount), *_overlaps(path, caches)):
        return fault
    return _same_disk(files, real, source, mount) or Place(path, real, mount)


def _nearest(files: Files, path: str) -> str:
    """The path itself, or the nearest folder above it that exists."""
    while path != "/" and files.stat(path) is None:
        path = os.path.dirname(path)
    return path


def not_here(files: Files, path: str) -> str | None:
    """A bare mount point is on the disk that is to be relieved: what is written there fills it unseen.

    Nothing is looked at but the tables of mounts: it may be asked of any path.
    """
    mounts = _disks(files.mounts())
    for point in sorted(places.planned_mounts(), key=len, reverse=True):
        if point != "/" and _within(path, point) and point not in mounts:
            return f"{point} is not mounted (/etc/fstab has a disk for it)"
    for above in _REMOVABLE:
        if _within(path, above):
            inside = [point for point in mounts if point != above and _within(path, point) and _within(point, above)]
            if not inside and mounts.get(above, _ROOT).mount == "/":
                return f"no disk is mounted at {_first_below(path, above)}: it is a folder of the system's own disk"
    return None


_ROOT = Mount("/", "", tracks_atime=True, read_only=False)


def _disks(mounts: Mapping[str, Mount]) -> dict[str, Mount]:
    """Without folders that are mounted onto themselves, as the sandbox of a service does: no disk came with that."""
    return {point: mount for point, mount in mounts.items() if not _is_seen_again(mount, mounts)}


def _is_seen_again(mount: Mount, mounts: Mapping[str, Mount]) -> bool:
    above = [point for point in mounts if point != mount.mount and _within(mount.mount, point)]
    if not above or not mount.device:
        return False
    around = mounts[max(above, key=len)]
    below = mount.mount[len(around.mount.rstrip("/")) :]
    return (mount.device, mount.root) == (around.device, around.root.rstrip("/") + below)


def is_for_disks(path: str) -> bool:
    """Whether a path is in one of the folders that hold disks and nothing else."""
    return any(_within(path, above) for above in _REMOVABLE)


def rooted(files: Files, to: str, place: Place) -> bool:
    """Whether root would make what is missing of a place: root alone decides about the way to it, no link is on it.

    To be asked with the owner's rights, who must be able to get there afterwards.
    """
    missing = place.path[len(place.exists.rstrip("/")) + 1 :]
    first = f"{place.exists.rstrip('/')}/{missing.split('/')[0]}"
    return bool(missing) and place.path == to and files.is_roots_alone(first) and places.may_enter(place.exists)


def no_place_of_roots(surroundings: Surroundings, to: str) -> str | None:
    """Why root makes no folder there, whoever asks. Nothing of the way is touched: it may be anybody's.

    What is left to be seen is seen step by step, by whoever makes the folder.
    """
    try:
        if plain_path(to, surroundings) != to:
            return "it is no plain path"
    except ValueError as error:
        return f"it {error}"
    mounts = surroundings.files.mounts()
    around = mounts.get(max((point for point in mounts if _within(to, point)), key=len, default="/"), _ROOT)
    if any(_within(to, point) and may_hang(mount.type) for point, mount in mounts.items()):
        return "its filesystem may keep everybody waiting"
    return not_here(surroundings.files, to) or forbidden(to, surroundings.owner.home) or _passing(to, around)


def _first_below(path: str, above: str) -> str:
    return "/".join(path.split("/")[: above.count("/") + 2])


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _passing(path: str, mount: Mount) -> str | None:
    """A disk that is mounted below such a folder is not meant: systemd-tmpfiles stays on the folder's own."""
    for folder in _PASSING:
        apart = mount.mount != folder and _within(mount.mount, folder)
        if _within(path, folder) and not apart and not _within(path, "/run/media"):
            return f"what is in {folder} does not last"
    if found := places.purged_by_age(path):
        folder, where = found
        if mount.mount == folder or not _within(mount.mount, folder):
            return f"{where} has old files removed from {folder}"
    return None


def _faults(files: Files, path: str, real: str, mount: Mount) -> Iterator[str]:
    if mount.disk_read_only:
        yield f"{mount.mount} is mounted read-only"
    elif mount.read_only:
        yield (
            f"{mount.mount} cannot be written here; where the sandbox of the service does that, allow it with"
            f" `systemctl edit cachewarden`: [Service], ReadWritePaths=-{mount.mount}"
        )
    folder = real
    while True:
        for name in files.names(folder):
            if name in _REPOSITORIES:
                yield f"{path} is inside {_REPOSITORIES[name]}, {folder}"
        if folder in (mount.mount, "/"):
            return
        folder = os.path.dirname(folder)


def _overlaps(path: str, caches: Iterable[str]) -> Iterator[str]:
    for other in caches:
        if _within(path, other) or _within(other, path):
            yield f"it and the cache {other} would lie in each other"


def _same_disk(files: Files, real: str, source: str, mount: Mount) -> str | None:
    there, here = files.stat(real), files.stat(source)
    if there is None or here is None:
        return f"{real} went away while it was looked at"
    if not stat.S_ISDIR(there.st_mode):
        return f"{real} is not a folder"
    try:
        around = files.mount_of(source)
    except OSError as error:
        return f"the disk of {source} cannot be told: {reason(error)}"
    if there.st_dev == here.st_dev or share_room(mount, around):
        return f"it is on the same disk as the cache ({mount.mount}), which would gain nothing"
    return None


def share_room(one: Mount, other: Mount) -> bool:
    """Whether two mounts are of one filesystem or one pool: what is freed in one is free in the other.

    Subvolumes of btrfs differ in the device that stat(2) gives, not in that of mountinfo; datasets of zfs in both.
    """
    if one.type == other.type == "zfs":
        return one.source.split("/")[0] == other.source.split("/")[0]
    if one.type == other.type == "btrfs" and one.source == other.source:
        return True
    return bool(one.device) and one.device == other.device
