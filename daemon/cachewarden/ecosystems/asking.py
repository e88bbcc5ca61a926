"""How the real tools are asked where they keep things, after a configuration was changed: words only.

conda prints the merged list as JSON (``conda config --show pkgs_dirs --json``); pip prints a line (``pip cache dir``)
which is that of the section ``[cache]`` and of ``[global]``, not of ``[install]``.

Root's tools are never run, not even for a question: ``conda`` as uid 0 rewrites files of all users
(``conda/core/envs_manager.py``), and both load plugins and configuration that others may have put there.
"""

import json
from dataclasses import dataclass

from cachewarden.ecosystems.base import InForce, Surroundings
from cachewarden.ecosystems.pip_repoint import what_pip_cache_dir_says

_PIPS = ("/usr/bin/pip3", "/usr/bin/pip")
_OF_A_BASE = "conda of "


@dataclass(frozen=True, slots=True)
class Question:
    """A command that changes nothing, and the tool's name for people."""

    argv: tuple[str, ...]
    tool: str


def questions(ecosystem: str, surroundings: Surroundings, using: tuple[InForce, ...]) -> tuple[Question, ...]:
    """Of the programs that are there; ``using`` is what our own resolver says of the ecosystem's tools.

    None where the owner is uid 0, as whom no tool is run: then the resolver's word alone counts.
    """
    if surroundings.owner.uid == 0:
        return ()
    if ecosystem == "pip":
        there = [path for path in _PIPS if surroundings.files.stat(path) is not None]
        return tuple(Question((path, "cache", "dir"), path) for path in there[:1])
    bases = [each.tool.removeprefix(_OF_A_BASE) for each in using if each.tool.startswith(_OF_A_BASE)]
    programs = dict.fromkeys(f"{base}/bin/conda" for base in bases)
    return tuple(
        Question((program, "config", "--show", "pkgs_dirs", "--json"), program)
        for program in programs
        if surroundings.files.stat(program) is not None
    )


def expected(ecosystem: str, surroundings: Surroundings) -> str | None:
    """What pip prints of its section ``[cache]`` alone, by our own resolver: no sign of what installing does."""
    return what_pip_cache_dir_says(surroundings) if ecosystem == "pip" else None


def answer(question: Question, said: str) -> str | None:
    """The folder that the tool says it fills first; ``None`` for what is no answer."""
    if "--json" not in question.argv:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return lines[0] if len(lines) == 1 and lines[0].startswith("/") else None
    try:
        found = json.loads(said)["pkgs_dirs"][0]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and found.startswith("/") else None
