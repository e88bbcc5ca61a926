"""Where the caches that are looked at lie: on a disk of their own, whose files can be made older than they are.

What changed within the last minutes may still be in the making, so that no look remembers it (docs/decisions/0026). A
cache that was made for the bench a moment ago would be walked anew for ever, which no cache is that somebody has. No
call sets the time of a file's last change (ctime), so it is set in the filesystem while that is not mounted.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.parts import Size
from bench.results import Found
from builders.disks import LoopDisk, why_no_loop_disks

_DAY = 86_400
_DEBUGFS = "/usr/sbin/debugfs"


class Room:
    """A folder for a home. ``settle`` is called when all is made."""

    def __init__(self, path: Path, disk: LoopDisk | None) -> None:
        self.path = path
        self._disk = disk

    def settle(self) -> None:
        """From now on all of it was changed a day ago, if this is a disk; without root it stays as it is."""
        if self._disk is None:
            return
        os.sync()
        numbers = _inodes(self.path)
        moment = time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() - _DAY))
        wanted = "".join(
            f"set_inode_field <{number}> {field} {moment}\n" for number in numbers for field in ("ctime", "mtime")
        )
        self._disk.unmount()
        try:
            subprocess.run(
                [_DEBUGFS, "-w", "-f", "-", self._disk.device], input=wanted, text=True, check=True,
                capture_output=True,
            )  # fmt: skip
        finally:
            self._disk.mount()
        youngest = max(os.lstat(folder).st_ctime for folder, _, _ in os.walk(self.path))
        if youngest > time.time() - _DAY / 2:
            raise RuntimeError(f"{self.path}: its folders were to be a day old, and debugfs has not made them so")


def _inodes(path: Path) -> set[int]:
    """Of all files and folders."""
    found = {path.stat().st_ino}
    pending = [str(path)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                found.add(entry.inode())
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return found


@contextmanager
def room(size: Size, files: int, found: Found) -> Iterator[Room]:
    """For so many files of a block each, and their folders."""
    if why_no_loop_disks():
        found.skip("second looks as they are", "what is minutes old is not remembered; as root it is made older")
        with TemporaryDirectory(dir=size.place) as folder:
            yield Room(Path(folder), None)
        return
    # A block and an inode for each, and for folders: twice what that takes. The image is sparse.
    with LoopDisk(200 + files // 60, mkfs_options=["-N", str(10_000 + files * 2)]) as disk:
        home = disk.path / "home"
        home.mkdir()
        yield Room(home, disk)
