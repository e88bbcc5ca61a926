"""The way into the policy language: files to ``Settings``, or ``ConfigError`` with every problem at once."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from cachewarden.model.errors import ConfigError
from cachewarden.model.policies import LINK_SPEED, Keep, Offline, Settings, Watch
from cachewarden.settings import keys
from cachewarden.settings.assemble import Named, Part, part
from cachewarden.settings.default import builtin
from cachewarden.settings.nodes import Mark, Report, quoted
from cachewarden.system.ports import Files

MAIN_NAME = "cachewarden.yaml"
DROP_INS_NAME = "policies.d"
LIMIT = 1024 * 1024
"""Bytes of one file; PyYAML takes seconds for that much, and nobody writes it by hand."""

T = TypeVar("T")

__all__ = ["DROP_INS_NAME", "LIMIT", "MAIN_NAME", "builtin", "check_file", "load"]


@dataclass(frozen=True, slots=True)
class _Read:
    """One file as read, with its problems."""

    path: str
    report: Report
    part: Part
    absent: bool = False


def load(files: Files, *, config: str | None, folder: str) -> Settings:
    """The settings from ``config`` alone, or from ``folder``'s main file and drop-ins, in this order.

    Lists of drop-ins (policies, caches, keep.packages) add to what came before; other values replace it. No file
    at all gives ``builtin()``; a ``config`` that is missing is a problem. Raises ``ConfigError`` with all problems.
    """
    if config is not None:
        return _merge([_read(files, config, drop_in=False)])
    main = _read(files, f"{folder}/{MAIN_NAME}", drop_in=False)
    reads = [] if main.absent else [main]  # one that is there and cannot be read is a problem, not the default
    reads += _drop_ins(files, f"{folder}/{DROP_INS_NAME}")
    return _merge(reads) if reads else builtin()


def check_file(files: Files, path: str) -> tuple[str, ...]:
    """The problems of one file on its own; empty when it is good. In a ``policies.d`` it is read as a drop-in."""
    drop_in = path.split("/")[-2:-1] == [DROP_INS_NAME]
    read = _read(files, path, drop_in=drop_in)
    _check_names([read])
    return read.report.lines()


def _drop_ins(files: Files, folder: str) -> list[_Read]:
    """A folder that cannot be listed is a problem: policies that are not seen must not be passed over."""
    try:
        names = files.listing(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        report = Report(folder)
        report.add(Mark(), "", f"expected a folder of configuration files, got {_reason(error)}")
        return [_Read(folder, report, Part())]
    wanted = sorted(name for name in names if name.endswith(".yaml") and not name.startswith("."))
    return [_read(files, f"{folder}/{name}", drop_in=True) for name in wanted]


def _read(files: Files, path: str, *, drop_in: bool) -> _Read:
    report = Report(path)
    try:
        text = files.read_text(path, LIMIT)
    except OSError as error:
        report.add(Mark(), "", f"expected a configuration file, got {_reason(error)}")
        return _Read(path, report, Part(), absent=isinstance(error, FileNotFoundError | NotADirectoryError))
    return _Read(path, report, _parse(text, report, drop_in=drop_in))


def _reason(error: OSError) -> str:
    if error.errno == errno.EFBIG:
        return "one of more than 1 MiB"
    if error.errno == errno.EINVAL:
        return "something that is not a regular file"
    if error.errno == errno.EACCES:
        return "permission denied (the system service reads it as the user cachewarden)"
    return (error.strerror or type(error).__name__).lower()


def _parse(text: str, report: Report, *, drop_in: bool) -> Part:
    from cachewarden.settings.document import parse  # imports yaml: only where there is a file

    node = parse(text, report)
    top = None if node is None else (keys.DROP_IN if drop_in else keys.MAIN).read(node, "", report)
    return Part() if top is None else part(top, report)


def _check_names(reads: Iterable[_Read]) -> None:
    first: dict[str, tuple[_Read, Named]] = {}
    for read in reads:
        for named in read.part.policies:
            name = named.policy.name
            if name not in first:
                first[name] = (read, named)
                continue
            other, earlier = first[name]
            problem = f"expected a name of its own, got {quoted(name)} again (first at {other.path}:{earlier.mark})"
            read.report.add(named.mark, named.path, problem)


def _merge(reads: list[_Read]) -> Settings:
    _check_names(reads)
    problems = tuple(line for read in reads for line in read.report.lines())
    if problems:
        raise ConfigError(problems)
    parts = [read.part for read in reads]
    owners = _last((each.owners for each in parts), ())
    return Settings(
        watch=Watch(
            interval=_last((each.interval for each in parts), Watch().interval),
            react=_last((each.react for each in parts), Watch().react),
            horizon=_last((each.horizon for each in parts), Watch().horizon),
            trace=_last((each.trace for each in parts), Watch().trace),
            trace_names=_last((each.trace_names for each in parts), Watch().trace_names),
        ),
        owners=owners or None,
        caches=tuple(cache for each in parts for cache in each.caches),
        keep=Keep(
            newer_than=_last((each.newer_than for each in parts), Keep().newer_than),
            packages=tuple(package for each in parts for package in each.packages),
            versions=_last((each.versions for each in parts), Keep().versions),
        ),
        link_speed=_last((each.link_speed for each in parts), LINK_SPEED),
        offline=_last((each.offline for each in parts), Offline.AS_USUAL),
        policies=tuple(named.policy for each in parts for named in each.policies),
        files=tuple(read.path for read in reads),
    )


def _last(values: Iterable[T | None], default: T) -> T:
    found = [value for value in values if value is not None]
    return found[-1] if found else default
