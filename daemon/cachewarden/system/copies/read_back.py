"""What was written is read back from the device before it counts: batch by batch, beside the copying."""

import ctypes
import errno
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from cachewarden.system.copies import contents
from cachewarden.system.copies.ahead import TOGETHER, ask_for
from cachewarden.system.copies.contents import PIECE, Reader, Summer
from cachewarden.system.copies.one_copy import Written
from cachewarden.system.copies.places import Chain, located
from cachewarden.system.folders import OpenFolder

_MOST_FILES = 20_000
_MOST_BYTES = 256 << 20


def sync_filesystem(folder: OpenFolder) -> None:
    """Returns when all that was written to the filesystem of ``folder`` is on the device.

    OSError (EIO, ENOSPC, EDQUOT) when something could not be written since the folder was opened (Linux 5.8).
    """
    call = ctypes.CDLL(None, use_errno=True).syncfs
    if call(ctypes.c_int(folder.fileno())) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), folder.path)


class ReadBack:
    """Collects what was written; a full batch is synced, read from the device and compared in a thread.

    That thread is waited for before the next batch begins its way, so two batches at most are in memory. Its errors
    are raised here, by the next call.
    """

    def __init__(self, top: OpenFolder, read: Reader = os.preadv) -> None:
        """``read`` is how the target is read."""
        self._top = top
        self._summer = Summer(read)
        self._batch: list[Written] = []
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._errors: list[OSError] = []

    def __enter__(self) -> Self:
        """Nothing to do."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the thread; what it found is lost unless ``finish`` was called."""
        if self._thread:
            self._thread.join()
            self._thread = None

    def add(self, written: Written) -> None:
        """Takes one more; OSError of a batch before."""
        self._batch.append(written)
        self._bytes += written.size
        if len(self._batch) >= _MOST_FILES or self._bytes >= _MOST_BYTES:
            self._wait()
            self._begin()

    def finish(self) -> None:
        """Syncs and reads back what is left. OSError: EIO with the path when something reads differently."""
        self._wait()
        self._check(self._take())
        self._tell()

    def _begin(self) -> None:
        batch = self._take()
        thread = threading.Thread(target=self._check, args=(batch,))
        try:
            thread.start()
        except RuntimeError:  # a process that may have no second thread
            self._check(batch)
            self._tell()
        else:
            self._thread = thread

    def _take(self) -> list[Written]:
        batch, self._batch, self._bytes = self._batch, [], 0
        return batch

    def _wait(self) -> None:
        if self._thread:
            self._thread.join()
            self._thread = None
        self._tell()

    def _tell(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _check(self, batch: Sequence[Written]) -> None:
        try:
            sync_filesystem(self._top)
            with Chain(self._top) as chain:
                for begin in range(0, len(batch), TOGETHER):
                    self._compare(chain, batch[begin : begin + TOGETHER])
        except OSError as error:
            self._errors.append(error)

    def _compare(self, chain: Chain, group: Sequence[Written]) -> None:
        with ExitStack() as opened:
            files = [(written, self._open(chain, written, opened)) for written in group]
            for written, fd in files:
                path = self._path(written)
                try:
                    found = self._summer.sum(fd, written.size, sparse=written.sparse)
                except OSError as error:
                    raise located(error, path) from error
                if found != (written.size, written.sum):
                    with suppress(OSError):  # it must not be taken for a good one later
                        chain.at(written.route).unlink(written.name)
                    raise OSError(errno.EIO, "what was read back differs from what was written", path)

    def _open(self, chain: Chain, written: Written, opened: ExitStack) -> int:
        """A file that is synced; what memory holds of it is dropped, so that it comes from the device."""
        try:
            fd = contents.open_to_read(chain.at(written.route).fileno(), written.name)
        except OSError as error:
            raise located(error, self._path(written)) from error
        opened.callback(os.close, fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        if written.size > PIECE:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        ask_for(fd)
        return fd

    def _path(self, written: Written) -> str:
        return "/".join((self._top.path, *written.route, written.name))
