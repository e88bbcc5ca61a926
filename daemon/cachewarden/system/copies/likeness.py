"""Whether what a target has is what the source has."""

import os
import stat
from collections.abc import Callable

from cachewarden.system.copies import contents
from cachewarden.system.copies.places import Place, located


def status_of(folder: int, name: str) -> os.stat_result | None:
    """Of a name in an open folder, not followed; ``None`` when it is not there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_open(status: os.stat_result) -> bool:
    """Whether the owner of a folder may do all in it."""
    return status.st_mode & stat.S_IRWXU == stat.S_IRWXU


class Likeness:
    """The rules by which things are the same."""

    def __init__(self, *, mirror: bool, trust: bool, granularity: int, ask: Callable[[], None]) -> None:
        """As in ``copy_tree``; ``ask`` may raise StoppedError."""
        self.mirror = mirror
        self.granularity = granularity
        self.exact = granularity == 1
        """Whether the target has times to the nanosecond, and so is taken for one that has modes too."""
        self.reads = not trust
        """Whether contents are compared, where nothing else tells two files apart."""
        self.compared = 0
        """Files whose contents were compared."""
        self._summer = contents.Summer(tick=lambda _: ask())

    def wins(self, there: os.stat_result, here: os.stat_result) -> bool:
        """Whether the source's, which is not the same, is to replace the target's in a merge.

        The newer does; of two with one time the source's, which is the one that a tool has used last.
        """
        return here.st_mtime_ns - there.st_mtime_ns < self.granularity

    def of_files(
        self, place: Place, name: str, there: os.stat_result, here: os.stat_result, *, trusted: bool = False
    ) -> bool:
        """Whether the target's, ``here``, is the source's, ``there``. ``trusted``: its contents are known."""
        apart = abs(there.st_mtime_ns - here.st_mtime_ns)
        if there.st_size != here.st_size or apart >= self.granularity:
            return False
        modes_count = self.exact and self.mirror  # what a cache was shared with at the target stays as it is there
        if stat.S_IFMT(there.st_mode) != stat.S_IFMT(here.st_mode) or (modes_count and there.st_mode != here.st_mode):
            return False
        return trusted or not self.reads or self._contents(place, name, there, here)

    def _contents(self, place: Place, name: str, there: os.stat_result, here: os.stat_result) -> bool:
        self.compared += 1
        sparse = contents.is_sparse(there) or contents.is_sparse(here)

        def summed(fd: int) -> tuple[int, int]:
            return self._summer.sum(fd, there.st_size, sparse=sparse)

        try:
            fd = contents.open_to_read(place.source_fd, name)
        except FileNotFoundError:
            return True  # it vanished: nothing can be copied
        except OSError as error:
            raise located(error, place.source_path(name)) from error
        try:
            wanted = summed(fd)
        except OSError as error:
            raise located(error, place.source_path(name)) from error
        finally:
            os.close(fd)
        fd = contents.open_to_read(place.target_fd, name)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            return summed(fd) == wanted
        finally:
            os.close(fd)
