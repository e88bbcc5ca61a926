"""Importing what is needed later, where the user that this process is about to become cannot read the program.

An installed program everybody can read; a checkout in root's home, for one, nobody else can.
"""

import importlib
import os
import pkgutil
import stat
from contextlib import suppress

import cachewarden
from cachewarden.model.caches import Owner
from cachewarden.system import lean

_OTHERS = (
    "apscheduler.executors.pool", "apscheduler.schedulers.background", "apscheduler.triggers.cron",
    "apscheduler.triggers.interval", "concurrent.futures.thread", "encodings.ascii", "encodings.idna",
    "encodings.latin_1", "encodings.unicode_escape", "encodings.utf_8", "getpass", "sqlite3.dbapi2", "stringprep",
    "systemd.daemon", "systemd.journal", "traceback", "watchdog.observers", "zoneinfo",
)  # fmt: skip
_OF_COMMANDS = "cachewarden.cli", "cachewarden.simulate.", "cachewarden.service.doctor", "cachewarden.examine"
_SCREENS = (
    "rich.console", "rich.live", "rich.padding", "rich.progress", "rich.spinner", "rich.table", "rich.text",
)  # fmt: skip

_OF_THE_SERVICE = ("sqlite3", "watchdog.observers")


def for_the_service() -> None:
    """What the service uses anyway, before it forks: its pages are shared then with all that it forks."""
    lean.load_scheduler()
    for name in _OF_THE_SERVICE:
        importlib.import_module(name)
    from apscheduler.triggers.interval import IntervalTrigger

    IntervalTrigger(seconds=1)  # reads the machine's time zone


def for_a_stranger(user: Owner, *, screens: bool) -> None:
    """Imports everything, unless ``user`` can read our files and those of the interpreter.

    Without ``screens`` what only a command needs is left out: the service shows none, and stays.
    """
    folders = (os.path.dirname(cachewarden.__file__), os.path.dirname(os.__file__))
    if all(_can_enter(user, folder) for folder in folders):
        return
    names = [each.name for each in pkgutil.walk_packages(cachewarden.__path__, "cachewarden.")]
    lean.load_scheduler()
    lean.load_cron()
    if not screens:
        names = [name for name in names if not name.startswith(_OF_COMMANDS)]
    for name in (*names, *_OTHERS, *(_SCREENS if screens else ())):
        with suppress(ImportError):  # what is not on this machine is not needed on it either
            importlib.import_module(name)


def _can_enter(user: Owner, folder: str) -> bool:
    """By the mode bits of the folder and all above it."""
    real = os.path.realpath(folder)
    while real != "/":
        if not _can_search(user, os.stat(real)):
            return False
        real = os.path.dirname(real)
    return True


def _can_search(user: Owner, status: os.stat_result) -> bool:
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
