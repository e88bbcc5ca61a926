"""Files as they will be once an edit is written: what a tool would then say can be asked beforehand."""

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import replace

from cachewarden.ecosystems.base import Edit, Surroundings
from cachewarden.model.caches import Owner, Quota
from cachewarden.system.ports import Files, Folder, Mount, Space


def with_edit(surroundings: Surroundings, edit: Edit) -> Surroundings:
    """The same surroundings, in which ``edit`` has been written by their owner."""
    return replace(surroundings, files=_Overlay(surroundings.files, edit, surroundings.owner))


class _Overlay:
    """``Files`` in which one file reads otherwise; it exists, and so do the folders above it."""

    def __init__(self, files: Files, edit: Edit, owner: Owner) -> None:
        self._files = files
        self._edit = edit
        self._owner = owner

    def _is_it(self, path: str) -> bool:
        return path == self._edit.path or self._files.real_path(path) == self._edit.path

    def _next_name(self, folder: str) -> str | None:
        """What the edited file adds to a folder on the way to it."""
        real = self._files.real_path(folder).rstrip("/") + "/"
        return self._edit.path[len(real) :].split("/")[0] if self._edit.path.startswith(real) else None

    def read_text(self, path: str, limit: int) -> str:
        if not self._is_it(path):
            return self._files.read_text(path, limit)
        if len(self._edit.after) > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        return self._edit.after.decode("utf-8", "surrogateescape")

    def names(self, path: str) -> list[str]:
        return self._with_ours(path, self._files.names(path))

    def listing(self, path: str) -> list[str]:
        if self._next_name(path) and self._files.stat(path) is None:
            return self._with_ours(path, [])
        return self._with_ours(path, self._files.listing(path))

    def _with_ours(self, path: str, names: list[str]) -> list[str]:
        ours = self._next_name(path)
        return sorted({*names, ours}) if ours else names

    def stat(self, path: str) -> os.stat_result | None:
        found = self._files.stat(path)
        if found is not None:
            return found
        if self._is_it(path):
            return self._made(stat.S_IFREG | 0o600, len(self._edit.after))
        return self._made(stat.S_IFDIR | 0o700, 0) if self._next_name(path) else None

    def _made(self, mode: int, size: int) -> os.stat_result:
        return os.stat_result((mode, 0, 0, 1, self._owner.uid, self._owner.gid, size, 0, 0, 0))

    def real_path(self, path: str) -> str:
        return self._files.real_path(path)

    def trusted_path(self, path: str) -> str:
        try:
            return self._files.trusted_path(path)
        except (FileNotFoundError, NotADirectoryError):
            real = self._files.real_path(path)
            if self._is_it(path) or self._next_name(path):
                return real
            raise

    def may_write(self, path: str) -> bool:
        if self._files.stat(path) is None and self.stat(path) is not None:
            return True
        return self._files.may_write(path)

    def mounts(self) -> Mapping[str, Mount]:
        return self._files.mounts()

    def open_folder(self, path: str) -> Folder:
        return self._files.open_folder(path)

    def mount_of(self, path: str) -> Mount:
        return self._files.mount_of(path)

    def space(self, path: str) -> Space:
        return self._files.space(path)

    def quota(self, path: str, uid: int) -> Quota | None:
        return self._files.quota(path, uid)

    def is_roots_alone(self, path: str) -> bool:
        return self._files.is_roots_alone(path)
