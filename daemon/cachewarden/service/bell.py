"""A bell that threads and signal handlers may ring and the main loop can poll."""

import os
import queue
from contextlib import suppress


class Bell:
    """Words of one kind count once until they are heard; nothing else travels with them."""

    def __init__(self) -> None:
        """Makes a pipe that closes with the process."""
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()

    def fileno(self) -> int:
        """Readable when something rang."""
        return self._reader

    def ring(self, word: str) -> None:
        """From anywhere. A pipe that is full has been rung already."""
        self._words.put(word)
        with suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def heard(self) -> set[str]:
        """What rang since the last time."""
        with suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        words: set[str] = set()
        while not self._words.empty():
            words.add(self._words.get())
        return words
