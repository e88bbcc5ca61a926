"""Trees with all that a cache can hold, by chance: odd names, links of both kinds, holes, attributes, any mode."""

import os
import struct
from pathlib import Path
from random import Random

MIB = 1 << 20
_NAMES = (b"a", b"B", b"setup.py", b"\xff\xfe", b"new\nline", "Größe".encode(), b" ", b"-rf", b"x" * 200, b"q\"'")
_MODES = (0o644, 0o600, 0o755, 0o444, 0o400, 0o555, 0o666, 0o4755, 0o2640, 0o1777)
_KINDS = ("file", "file", "large", "holes", "link", "name", "folder", "folder")
_SIZES = (0, 1, 100, 4096, 9000)
_FOLDER_MODES = (0o755, 0o700, 0o555, 0o2775, 0o1777)


def acl(user: int) -> bytes:
    """rw- for the owner, r-- for ``user``, the group and the mask, nothing for others; as the kernel keeps it."""
    undefined = 0xFFFFFFFF
    entries = ((1, 6, undefined), (2, 4, user), (4, 4, undefined), (16, 4, undefined), (32, 0, undefined))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def takes_attributes(folder: Path) -> bool:
    """Whether the filesystem has attributes of users."""
    try:
        os.setxattr(folder, "user.probe", b"1")
        os.removexattr(folder, "user.probe")
    except OSError:
        return False
    return True


def holey(path: Path, *runs: tuple[int, bytes], size: int) -> None:
    """A file with data at the offsets, and holes elsewhere."""
    with path.open("wb") as file:
        for offset, data in runs:
            file.seek(offset)
            file.write(data)
        file.truncate(size)


class RandomTree:
    """Fills ``top``; the same chance makes the same tree."""

    def __init__(self, top: Path, chance: Random) -> None:
        self._chance = chance
        self._attributes = takes_attributes(top)
        self._files: list[bytes] = []
        self._fill(os.fsencode(top), 0)

    def _fill(self, folder: bytes, depth: int) -> None:
        for name in self._chance.sample(_NAMES, self._chance.randrange(len(_NAMES))):
            path = folder + b"/" + name
            kind = self._chance.choice(_KINDS)
            if kind == "folder" and depth < 3:
                os.mkdir(path)
                self._fill(path, depth + 1)
                self._dress(path, _FOLDER_MODES)
            elif kind == "link":
                os.symlink(self._chance.choice((b"nowhere", b".", b"../a", folder, b"\xff")), path)
                os.utime(path, ns=self._times(), follow_symlinks=False)
            elif kind == "name" and self._files:
                os.link(self._chance.choice(self._files), path)
            else:
                self._file(path, kind)
        os.utime(folder, ns=self._times())

    def _file(self, path: bytes, kind: str) -> None:
        if kind == "holes":
            runs = sorted(self._chance.randrange(3 * MIB) for _ in range(self._chance.randrange(4)))
            data = self._chance.randbytes(5000)
            holey(Path(os.fsdecode(path)), *((offset, data) for offset in runs), size=3 * MIB + 7000)
        else:
            size = (
                self._chance.randrange(2 * MIB) if kind == "large" else self._chance.choice((0, 1, 100, 4096, 9000))
            )
            with open(path, "wb") as file:
                file.write(self._chance.randbytes(size))
        self._files.append(path)
        self._dress(path, _MODES)

    def _dress(self, path: bytes, modes: tuple[int, ...]) -> None:
        if self._attributes and self._chance.random() < 0.2:
            os.setxattr(path, "user.origin", self._chance.randbytes(30))
        if self._chance.random() < 0.1:
            os.setxattr(path, "system.posix_acl_access", acl(self._chance.randrange(1000, 2000)))
        os.chmod(path, self._chance.choice(modes))
        os.utime(path, ns=self._times())

    def _times(self) -> tuple[int, int]:
        # Access after modification, and lately: nothing that only looks moves it then (relatime).
        return self._chance.randrange(10**18, 2 * 10**18), self._chance.randrange(10**17, 10**18)
