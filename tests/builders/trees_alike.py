"""Whether two trees are the same to everybody who could look: a comparison that shares no code with the copy."""

import os
import stat
from collections import defaultdict
from pathlib import Path
from typing import Any


def _attributes(path: Path) -> dict[str, bytes]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)}
    except OSError:
        return {}


def _data_map(path: Path, size: int) -> list[tuple[int, int]]:
    """Where there is data, as begin and end."""
    found: list[tuple[int, int]] = []
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    try:
        end = 0
        while end < size:
            try:
                begin = os.lseek(fd, end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(fd, begin, os.SEEK_HOLE)
            found.append((begin, end))
    finally:
        os.close(fd)
    return found


def _contents(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    with os.fdopen(fd, "rb") as file:
        return file.read()


def _one(path: Path) -> dict[str, Any]:
    status = path.lstat()
    found: dict[str, Any] = {
        "type": stat.S_IFMT(status.st_mode),
        "owner": (status.st_uid, status.st_gid),
        "mtime": status.st_mtime_ns,
        "atime": status.st_atime_ns,
    }
    if stat.S_ISLNK(status.st_mode):
        found["target"] = os.readlink(path)
        return found
    found["mode"] = stat.S_IMODE(status.st_mode)
    found["attributes"] = _attributes(path)
    if stat.S_ISREG(status.st_mode):
        found["size"] = status.st_size
        found["data"] = _data_map(path, status.st_size)
        found["contents"] = _contents(path)
    return found


def portrait(top: Path) -> dict[str, dict[str, Any]]:
    """All that is to be seen of a tree, by path below it; the names of one file are told by the first of them."""
    paths = [top]
    for folder, folders, files in os.walk(top):
        paths += [Path(folder, name) for name in (*folders, *files)]
    found = {str(path.relative_to(top)): _one(path) for path in sorted(paths)}
    names: dict[tuple[int, int], list[str]] = defaultdict(list)
    for path in sorted(paths):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            names[status.st_dev, status.st_ino].append(str(path.relative_to(top)))
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
