"""Where text goes: screens and JSON to standard output, warnings and questions to standard error."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from cachewarden.model.errors import CachewardenError
from cachewarden.model.text import printable

if TYPE_CHECKING:
    from cachewarden.cli.render.blocks import Block


class OutputError(CachewardenError):
    """Standard output takes nothing more (a full disk below it); what was to be done is done all the same."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at it."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


class Output:
    """The streams of this process as they were at the start."""

    def __init__(self) -> None:
        """A stream that was closed by the caller takes everything and shows nothing."""
        self._out = sys.stdout or _nowhere()
        self._err = sys.stderr or _nowhere()
        self.terminal = is_terminal(self._out)
        self.error_terminal = is_terminal(self._err)
        for stream in (self._out, self._err):
            if reconfigure := getattr(stream, "reconfigure", None):
                reconfigure(errors="backslashreplace")

    def show(self, blocks: "Iterable[Block]") -> None:
        """A screen."""
        with _writing():
            _show(blocks, self._out, rich=self.terminal)

    def show_beside(self, blocks: "Iterable[Block]") -> None:
        """A screen on standard error: what a question is about."""
        with _writing():
            _show(blocks, self._err, rich=self.terminal and self.error_terminal)

    def write(self, text: str) -> None:
        """A line of ours as it is."""
        with _writing():
            print(text, file=self._out, flush=True)

    def warn(self, text: str) -> None:
        """Lines on standard error, each made safe; where that is full too, nobody is left to tell."""
        with suppress(OSError):
            for line in text.split("\n"):
                print(printable(line), file=self._err, flush=True)

    def ask(self, question: str) -> bool:
        """Whether a person says yes; the end of input is a no."""
        print(f"{printable(question)} [y/N] ", end="", file=self._err, flush=True)
        answer = ""
        try:
            answer = sys.stdin.readline() if sys.stdin else ""
        finally:  # after Ctrl-C and the end of input the cursor is still in the line
            if not answer.endswith("\n"):
                print(file=self._err, flush=True)
        return answer.strip().lower() in {"y", "yes"}

    def can_ask(self) -> bool:
        """Whether somebody can read a question and answer it."""
        return is_terminal(sys.stdin) and self.error_terminal


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the output cannot be written: {error.strerror}") from error


def _show(blocks: "Iterable[Block]", stream: TextIO, *, rich: bool) -> None:
    from cachewarden.cli.render import tables

    if rich:
        tables.show_on_terminal(blocks, stream)
    else:
        for line in tables.plain(blocks):
            print(line, file=stream)
    stream.flush()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")
