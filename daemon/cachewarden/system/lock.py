"""A lock that is never waited for."""

import fcntl
import os

from cachewarden.model.errors import BusyError


class Lock:
    """An exclusive lock on a folder or file, never waited for; it ends with the process."""

    def __init__(self, path: str) -> None:
        """``path`` is a folder, which can be locked even where nothing can be written; OSError when missing."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def take(self, what: str) -> None:
        """BusyError, naming ``what`` is at work, when somebody else has it."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{what} is at work on the same state; try again later") from None

    def release(self) -> None:
        """Lets others have it."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Releases and forgets it."""
        os.close(self._fd)
