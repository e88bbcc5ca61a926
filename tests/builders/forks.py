"""Processes and threads that a tree of processes begins, as the kernel tells of each one (proc connector; root)."""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

_CONNECTOR = 11
"""NETLINK_CONNECTOR of linux/netlink.h."""
_CN_PROC, _LISTEN, _IGNORE = 1, 1, 2
"""CN_IDX_PROC and what is sent to it (linux/connector.h, linux/cn_proc.h)."""
_FORK = 1
_EVENT = struct.Struct("=IIQ")
"""What, processor, when; after a netlink header (16 bytes) and a connector header (20)."""
_HEADERS = 36
_FOUR = struct.Struct("=IIII")


class Forks:
    """Counts while the ``with`` block runs; ``lost`` says that the kernel had more to tell than was heard in time."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._known = set(pids)
        self.processes = 0
        self.threads = 0
        self.lost = False
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _CONNECTOR)
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        try:
            self._socket.bind((0, _CN_PROC))
            self._socket.settimeout(0.5)
            self._tell(_LISTEN)
        except OSError:
            self._socket.close()
            raise
        self._going = True
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._going = False
        self._reader.join()
        with contextlib.suppress(OSError):
            self._tell(_IGNORE)
        self._socket.close()

    def _tell(self, wanted: int) -> None:
        body = struct.pack("=IIIIHHI", _CN_PROC, 1, 0, 0, 4, 0, wanted)
        self._socket.send(struct.pack("=IHHII", 16 + len(body), 3, 0, 0, os.getpid()) + body)

    def _read(self) -> None:
        while self._going:
            try:
                message = self._socket.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                self.lost = True
                continue
            what, _, _ = _EVENT.unpack_from(message, _HEADERS)
            if what == _FORK:
                self._begun(*_FOUR.unpack_from(message, _HEADERS + _EVENT.size))

    def _begun(self, _: int, parent: int, thread: int, child: int) -> None:
        """Parent and child are processes. The parent of a new thread is that of its process."""
        if thread != child:
            self.threads += child in self._known
        elif parent in self._known:
            self.processes += 1
            self._known.add(child)
