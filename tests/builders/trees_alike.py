"""Whether two trees are the same to everybody who could look: a comparison that shares no code with the copy."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LOOK = os.O_RDONLY | os.O_NOATIME | os.O_NOFOLLOW


def _attributes(path: Path) -> dict[str, bytes]:
    try:
        names = [name for name in os.listxattr(path, follow_symlinks=False) if "SGI_ACL" not in name]  # xfs, to root
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)}
    except OSError:
        return {}


def _data(fd: int, size: int) -> list[tuple[int, int]]:
    """Where there is data, as begin and end."""
    found: list[tuple[int, int]] = []
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:
            break
        end = os.lseek(fd, begin, os.SEEK_HOLE)
        found.append((begin, end))
    os.lseek(fd, 0, os.SEEK_SET)
    return found


def _one(path: Path) -> dict[str, Any]:
    status = path.lstat()
    found: dict[str, Any] = {
        "type": stat.S_IFMT(status.st_mode),
        "owner": (status.st_uid, status.st_gid),
        "mtime": status.st_mtime_ns,
    }
    if stat.S_ISLNK(status.st_mode):
        return found | {"target": os.readlink(path)}  # to read a link changes its access time
    found |= {"atime": status.st_atime_ns, "mode": stat.S_IMODE(status.st_mode), "attributes": _attributes(path)}
    if stat.S_ISREG(status.st_mode):
        with os.fdopen(os.open(path, _LOOK), "rb") as file:
            found |= {"size": status.st_size, "data": _data(file.fileno(), status.st_size), "contents": file.read()}
    return found


def _paths(folder: Path) -> Iterator[Path]:
    """The folder and all below it; the access times of folders stay."""
    yield folder
    fd = os.open(folder, _LOOK | os.O_DIRECTORY)
    try:
        names = sorted(os.listdir(fd))
    finally:
        os.close(fd)
    for name in names:
        path = folder / name
        if stat.S_ISDIR(path.lstat().st_mode):
            yield from _paths(path)
        else:
            yield path


def portrait(top: Path) -> dict[str, dict[str, Any]]:
    """All that is to be seen of a tree, by path below it; names of one file are told by the first of them."""
    found: dict[str, dict[str, Any]] = {}
    names: dict[tuple[int, int], list[str]] = defaultdict(list)
    for path in _paths(top):
        status = path.lstat()
        name = str(path.relative_to(top))
        found[name] = _one(path)
        if not stat.S_ISDIR(status.st_mode):
            names[status.st_dev, status.st_ino].append(name)
    for group in names.values():
        for name in group:
            found[name]["one with"] = group[0]
    return found


def assert_alike(one: Path, other: Path, *, leave_out: frozenset[str] = frozenset()) -> None:
    """Fails with what differs; ``leave_out`` names facts that need not be the same ("atime")."""
    left, right = portrait(one), portrait(other)
    assert sorted(left) == sorted(right)
    for path, facts in left.items():
        different = {
            key: (str(facts.get(key))[:200], str(right[path].get(key))[:200])
            for key in facts | right[path]
            if key not in leave_out and facts.get(key) != right[path].get(key)
        }
        assert not different, f"{path!r}: {different}"
