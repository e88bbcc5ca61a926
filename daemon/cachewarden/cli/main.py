"""``cachewarden``: parses, dispatches, and turns every error of ours into a message and an exit status."""

import gc
import os
import sys

from cachewarden import __version__

DONE, FAILED, WRONG_USAGE, BUSY, BAD_CONFIGURATION = 0, 1, 2, 75, 78
INTERRUPTED, NO_READER = 130, 141
"""What a shell gives for SIGINT and SIGPIPE."""
_SELDOM = 50_000
"""Objects that come into being between two searches for cycles: to import makes very many, which all stay."""


def entry_point() -> int:
    """The console script. ``--version`` alone loads nothing."""
    words = sys.argv[1:]
    if words == ["--version"]:
        print(f"cachewarden {__version__}")
        return DONE
    if "daemon" not in words:  # which stays, and is to stay small
        gc.set_threshold(_SELDOM)
    status = _status(words)
    gc.freeze()  # at its end the interpreter would search all of it once more
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
    except OSError:  # a terminal that is gone: the interpreter's own try at it would end with 120
        _silence()
    return status


def _status(words: list[str]) -> int:
    try:
        return _main(words)
    except BrokenPipeError:
        _silence()
        return NO_READER
    except KeyboardInterrupt as interrupt:
        return 128 + getattr(interrupt, "number", INTERRUPTED - 128)


def _main(words: list[str]) -> int:
    from cachewarden.cli.arguments import parse, verb
    from cachewarden.cli.output import Output, OutputError
    from cachewarden.cli.session import Session
    from cachewarden.model.errors import CachewardenError, ConfigError

    output = Output()
    try:
        options = parse(words)
        return verb(options.verb).run(Session(options, os.environ, output))
    except CachewardenError as error:
        # The lines of a configuration begin with FILE:LINE:COLUMN, which editors jump to.
        output.warn(str(error) if isinstance(error, ConfigError) else f"cachewarden: {error}")
        if isinstance(error, OutputError):
            _silence()
        return exit_status_of(error)


def exit_status_of(error: Exception) -> int:
    """As documented for the command line."""
    from cachewarden.model.errors import BusyError, ConfigError, UsageError

    statuses = {ConfigError: BAD_CONFIGURATION, UsageError: WRONG_USAGE, BusyError: BUSY}
    return next((status for kind, status in statuses.items() if isinstance(error, kind)), FAILED)


def _silence() -> None:
    """What is left in the buffers is lost; the interpreter is not to complain about it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream:
            os.dup2(nowhere, stream.fileno())
