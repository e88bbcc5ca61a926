"""APScheduler without what it imports for uses that are not made of it here.

Its modules name asyncio (to tell whether a job is a coroutine function), multiprocessing (an executor of processes)
and the metadata of all installed packages (plug-ins, its own version). Those take more memory than all the rest of
it, for as long as the service runs. While it is imported, modules that hold nothing but the names it asks for stand
in for them (APScheduler 3.9 to 3.11). With a version that asks for more it is imported as it is.
"""

import importlib
import sys
from collections.abc import Mapping
from inspect import iscoroutinefunction
from types import ModuleType

_SCHEDULER = (
    "apscheduler.schedulers.background", "apscheduler.executors.debug", "apscheduler.triggers.interval",
)  # fmt: skip
_CRON = "apscheduler.triggers.cron", "apscheduler.triggers.combining"
_VERSION = "3.0.0"
"""Told to nobody: the state of job stores that outlive the process has it, of which there are none."""


class _NoSuchError(Exception):
    """Stands for errors of what is not there: a pool of processes, a package that is not installed."""


def _nothing(*_arguments: object, **_options: object) -> tuple[()]:
    return ()


def _version(_name: str) -> str:
    return _VERSION


_STAND_INS: Mapping[str, Mapping[str, object]] = {
    "asyncio": {"iscoroutinefunction": iscoroutinefunction},
    "concurrent.futures.process": {"BrokenProcessPool": _NoSuchError},
    "importlib.metadata": {"entry_points": _nothing, "version": _version, "PackageNotFoundError": _NoSuchError},
    "multiprocessing": {},
}


def load_scheduler() -> None:
    """Imports APScheduler's scheduler. Not to be called by two threads at once."""
    _load(_SCHEDULER)


def load_cron() -> None:
    """Imports APScheduler's cron triggers. Not to be called by two threads at once."""
    _load(_CRON)


def _load(names: tuple[str, ...]) -> None:
    known = set(sys.modules)
    if known.issuperset(names):
        return
    try:
        _import_with({name: each for name, each in _STAND_INS.items() if name not in known}, names)
    except (ImportError, AttributeError, TypeError):
        for name in set(sys.modules) - known:
            if name.partition(".")[0] == "apscheduler":
                del sys.modules[name]
        for name in names:
            importlib.import_module(name)


def _import_with(stand_ins: Mapping[str, Mapping[str, object]], names: tuple[str, ...]) -> None:
    try:
        for name, contents in stand_ins.items():
            sys.modules[name] = _module(name, contents)
        for name in names:
            importlib.import_module(name)
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)


def _module(name: str, contents: Mapping[str, object]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module
