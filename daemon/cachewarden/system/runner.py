"""The one door for running a program: by its place below the system's folders, with a limit, never by a shell."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

_FOLDERS = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
_SECONDS = 10.0
_PATIENCE = 60.0
"""Seconds for a tool of a user: conda takes ten to start on a small board."""
_MOST = 1 << 20
_KEPT = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")


def ask_own(arguments: Sequence[str], environ: Mapping[str, str], seconds: float = _PATIENCE) -> str | None:
    """What a tool of this process's own user says; ``None`` when it fails or takes too long.

    Never with more rights than that user's. What the tool started goes with it, and is not waited for longer.
    """
    try:
        tool = subprocess.Popen(  # noqa: S603 - by its whole path, which the caller has found to be nobody else's
            list(arguments), env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
    except OSError:
        return None
    with tool:
        try:
            said, _ = tool.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(tool.pid, signal.SIGKILL)
    return said[:_MOST].decode("utf-8", "surrogateescape") if tool.returncode == 0 else None


def run(program: str, arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What a program of the system says on standard output; ``None`` when it is not there, fails or takes too long.

    Of ``environ`` only what leads to the caller's own service manager is passed on.
    """
    path = next((f"{folder}/{program}" for folder in _FOLDERS if os.access(f"{folder}/{program}", os.X_OK)), None)
    if path is None:
        return None
    clean = {name: environ[name] for name in _KEPT if name in environ} | {
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
    }
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program of the system, by its whole path, and no shell
            [path, *arguments], env=clean, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout[:_MOST].decode("utf-8", "surrogateescape") if done.returncode == 0 else None
