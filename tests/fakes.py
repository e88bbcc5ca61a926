"""Stand-ins for the machine that behave like it, without a disk."""

import errno
import os
import posixpath
import stat
from collections.abc import Mapping

from cachewarden.system.ports import Folder, Mount, Space


class FakeFiles:
    """``ports.Files`` over a dict: path -> text, bytes, or the ``OSError`` that reading raises."""

    def __init__(self, contents: Mapping[str, str | bytes | OSError] | None = None) -> None:
        self.contents = dict(contents or {})

    def read_text(self, path: str, limit: int) -> str:
        content = self.contents.get(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path))
        if isinstance(content, OSError):
            raise content
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        if len(data) > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return data.decode("utf-8", "surrogateescape")

    def names(self, path: str) -> list[str]:
        prefix = path.rstrip("/") + "/"
        return sorted({name[len(prefix) :].split("/")[0] for name in self.contents if name.startswith(prefix)})

    def stat(self, path: str) -> os.stat_result | None:
        if path in self.contents:
            return os.stat_result((stat.S_IFREG | 0o644, 1, 1, 1, 0, 0, 0, 0, 0, 0))
        return os.stat_result((stat.S_IFDIR | 0o755, 1, 1, 2, 0, 0, 0, 0, 0, 0)) if self.names(path) else None

    def real_path(self, path: str) -> str:
        return posixpath.normpath(path)

    def open_folder(self, path: str) -> Folder:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def mount_of(self, path: str) -> Mount:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def space(self, path: str) -> Space:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
