"""Looking for virtual environments in a home, within bounds: it is asked in every look, and homes can be huge."""

import heapq
import stat
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import islice

from cachewarden.system.ports import Files, Folder, Node

MARK = "pyvenv.cfg"
"""The file at the top of each of them (PEP 405)."""
_CONDA_MARK = "conda-meta"
_USUAL = frozenset((".venv", "env", "venv"))
"""What people call the one in a project: looked into before all else that waits."""
_HIDDEN_BUT_USUAL = frozenset((".env", ".nox", ".tox", ".venv", ".venvs", ".virtualenv", ".virtualenvs"))
_NEVER = frozenset(("__pycache__", "node_modules", "site-packages", "snap"))


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the search goes: ``levels`` of folders, so many ``folders``, ``names`` in each, and ``seconds``."""

    levels: int = 4
    folders: int = 3_000
    names: int = 2_000
    seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Venvs:
    """Absolute paths of environments, links resolved; ``whole``: the bounds sufficed for all within the levels."""

    paths: tuple[str, ...]
    whole: bool


def venvs_below(
    files: Files,
    home: str,
    barred: Collection[str] = (),
    reach: Reach = Reach(),
    timer: Callable[[], float] = time.monotonic,
) -> Venvs:
    """The environments below ``home``, the nearest first; never raises.

    Not entered: links, other filesystems, folders of others, hidden ones but the usual, what is ``barred``, and
    folders with more names than a person puts into one. When the time is over, the deepest are missing.
    """
    until = timer() + reach.seconds
    waiting = [(0, 0, home.rstrip("/"), 0)]
    found: list[str] = []
    seen = 0
    device: int | None = None
    while waiting and seen < reach.folders and timer() < until:
        _, _, path, level = heapq.heappop(waiting)
        seen += 1
        try:
            with files.open_folder(path or "/") as folder:
                status = folder.stat()
                device = status.st_dev if device is None else device
                is_environment, inner = _look(folder, reach.names)
        except OSError:
            continue
        if is_environment:
            found.append(path)
        elif level < reach.levels:
            near = sorted(node.name for node in inner if _is_near(node, status.st_uid, device))
            for place, name in enumerate(name for name in near if f"{path}/{name}" not in barred):
                # The first of each folder before the second of any: a heap of folders does not keep others waiting.
                turn = (0, 0) if name in _USUAL else (level + 1, place)
                heapq.heappush(waiting, (*turn, f"{path}/{name}", level + 1))
    return Venvs(tuple(found), whole=not waiting)


def _look(folder: Folder, most: int) -> tuple[bool, list[Node]]:
    """Whether it is an environment, and the folders in it that may lead to some."""
    inner: list[Node] = []
    for count, node in enumerate(islice(folder.nodes(), most + 1)):
        if node.name == MARK and stat.S_ISREG(node.stat.st_mode):
            return True, []
        if node.name == _CONDA_MARK or count == most:
            return False, []  # of conda's environments its own settings tell
        if stat.S_ISDIR(node.stat.st_mode) and _may_lead_on(node.name):
            inner.append(node)
    return False, inner


def _may_lead_on(name: str) -> bool:
    return name in _HIDDEN_BUT_USUAL or not (name.startswith(".") or name in _NEVER)


def _is_near(node: Node, uid: int, device: int) -> bool:
    return node.stat.st_uid == uid and node.stat.st_dev == device
