"""Recognising a running tool by its argument list, however it was started."""

import os
import re
from collections.abc import Iterable

from cachewarden.system.ports import Process

_PYTHON = re.compile(r"(python|pypy)[0-9.]*[a-z]{0,2}(-\w+)?")
_WITH_VALUE = {"-W", "-X", "--check-hash-based-pycs"}


def tools_of(process: Process) -> tuple[str, ...]:
    """Names under which a process may be known: its program, and for a Python its script or module.

    ``/usr/bin/python3 -I -m pip install x`` -> ``("python3", "pip")``.
    """
    if not process.arguments:
        return (process.name,)
    program = _base(process.arguments[0])
    if not _PYTHON.fullmatch(program):
        return (program, process.name)
    script = _script(process.arguments[1:])
    return (program, process.name, *((script,) if script else ()))


def _script(arguments: Iterable[str]) -> str | None:
    rest = iter(arguments)
    for argument in rest:
        if argument == "-m":
            return next(rest, "").split(".")[0]
        if argument.startswith("-m") and not argument.startswith("--"):
            return argument[2:].split(".")[0]
        if argument == "-c" or (argument.startswith("-") and argument.endswith("c") and argument[1:].isalpha()):
            return None
        if argument in _WITH_VALUE:
            next(rest, None)
        elif not argument.startswith("-"):
            return _base(argument)
    return None


def _base(path: str) -> str:
    return os.path.basename(path.rstrip("/"))


def first_running(processes: Iterable[Process], pattern: re.Pattern[str], uid: int | None) -> Process | None:
    """The first process of ``uid`` (of anybody for ``None``) known by a name that ``pattern`` matches whole."""
    for process in processes:
        if uid in (None, process.uid) and any(pattern.fullmatch(name) for name in tools_of(process)):
            return process
    return None


def describe(process: Process, pattern: re.Pattern[str]) -> str:
    """``pip is running (process 812)``, by the name that ``pattern`` matches: any other may be anything."""
    names = (name for name in tools_of(process) if pattern.fullmatch(name))
    return f"{next(names, 'a tool')} is running (process {process.pid})"
