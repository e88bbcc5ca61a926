"""Which Pythons a machine has, and whether a wheel fits any of them (compatibility tags: PEP 425)."""

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from cachewarden.system.ports import Files

_PROGRAM = re.compile(r"(?:python|pypy)([23])\.(\d{1,3})t?")
_RELEASE = re.compile(r"(?:cpython-|pypy-?)?([23])\.(\d{1,3})(?:[.\-].{0,100})?")
_PYTHON_TAG = re.compile(r"(cp|py)([23])(\d{0,3})")
_PROGRAM_FOLDERS = ("/usr/bin", "/usr/local/bin")
_OPTIONAL = "/opt"
_MOST_FOLDERS = 50
_MOST_TAGS = 64


class Python(NamedTuple):
    """An interpreter by its version, as far as wheels care."""

    major: int
    minor: int


class Tag(NamedTuple):
    """The first two parts of a compatibility tag: ``cp311``, ``abi3``."""

    python: str
    abi: str


def python_of_program(name: str) -> Python | None:
    """``python3.11`` -> 3.11; of a program, and of the folder in ``lib`` that is named like it."""
    found = _PROGRAM.fullmatch(name)
    return Python(int(found[1]), int(found[2])) if found else None


def python_of_release(name: str) -> Python | None:
    """``3.11.7``, ``cpython-3.12.4-linux-x86_64-gnu`` -> its version: the folders of pyenv, asdf and uv."""
    found = _RELEASE.fullmatch(name)
    return Python(int(found[1]), int(found[2])) if found else None


def of_programs(files: Files, folders: Iterable[str] = ()) -> Iterator[Python]:
    """Those with a program in the usual folders, in ``/opt/*/bin`` and in ``folders``."""
    optional = [f"{_OPTIONAL}/{name}/bin" for name in files.names(_OPTIONAL)[:_MOST_FOLDERS]]
    for folder in dict.fromkeys((*_PROGRAM_FOLDERS, *optional, *islice(folders, _MOST_FOLDERS))):
        for name in files.names(folder):
            if name.startswith(("python", "pypy")) and (python := python_of_program(name)):
                yield python


def tags_of_file(name: str) -> tuple[Tag, ...]:
    """Of a wheel's file name; each part may be several, joined by dots (PEP 425). Empty for what is no wheel."""
    parts = name.removesuffix(".whl").split("-")
    return _expanded(parts[-3], parts[-2]) if name.endswith(".whl") and len(parts) >= 5 else ()


def tags_of_text(text: str) -> tuple[Tag, ...]:
    """Of the ``Tag:`` lines of a wheel's own ``WHEEL`` file."""
    found: list[Tag] = []
    for line in text.splitlines()[:_MOST_TAGS]:
        key, _, value = line.partition(":")
        parts = value.strip().split("-")
        if key.lower() == "tag" and len(parts) == 3:
            found.extend(_expanded(parts[0], parts[1]))
    return tuple(dict.fromkeys(found[:_MOST_TAGS]))


def tags_of_python(text: str) -> tuple[Tag, ...]:
    """As an index names what a file is for: ``cp38``, ``py2.py3``."""
    return _expanded(text[:200], "none")


def _expanded(pythons: str, abis: str) -> tuple[Tag, ...]:
    found = [Tag(python, abi) for python in pythons.split(".") for abi in abis.split(".")]
    return tuple(found[:_MOST_TAGS])


def is_orphan(tags: Iterable[Tag], have: Collection[Python]) -> bool:
    """Whether a wheel with these tags fits no interpreter; never where either side is not known."""
    tags = tuple(tags)
    return bool(tags and have) and not any(_fits(tag, have) for tag in tags)


def _fits(tag: Tag, have: Collection[Python]) -> bool:
    """``cp38`` means that very version, ``py38`` that or a later one; ``abi3`` and what is not known always fit.

    The rules are those of ``packaging.tags`` (``cpython_tags``, ``compatible_tags``), which pip goes by.
    """
    found = _PYTHON_TAG.fullmatch(tag.python)
    if tag.abi.startswith("abi") or not found:
        return True
    major, minor = int(found[2]), found[3]
    if not minor:
        return any(python.major == major for python in have)
    wanted = Python(major, int(minor))
    if found[1] == "cp":
        return wanted in have
    return any(python.major == major and python >= wanted for python in have)
