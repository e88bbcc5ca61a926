"""Looking for virtual environments in a home, within bounds: it is asked in every look, and homes can be huge."""

import stat
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import islice

from cachewarden.system.ports import Files, Folder, Node

MARK = "pyvenv.cfg"
"""The file at the top of each of them (PEP 405)."""
_CONDA_MARK = "conda-meta"
_HIDDEN_BUT_USUAL = frozenset((".env", ".nox", ".tox", ".venv", ".venvs", ".virtualenv", ".virtualenvs"))
_NEVER = frozenset(("__pycache__", "node_modules", "site-packages", "snap"))


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the search goes: ``levels`` of folders, so many ``folders``, ``names`` in each, and ``seconds``."""

    levels: int = 4
    folders: int = 2_000
    names: int = 2_000
    seconds: float = 0.3


def venvs_below(
    files: Files,
    home: str,
    barred: Collection[str] = (),
    reach: Reach = Reach(),
    timer: Callable[[], float] = time.monotonic,
) -> list[str]:
    """Absolute paths of the environments below ``home`` (links resolved), the nearest first; never raises.

    Not entered: links, other filesystems, folders of others, hidden ones but the usual, what is ``barred``, and
    folders with more names than a person puts into one. When the time is over, the deepest are missing.
    """
    until = timer() + reach.seconds
    waiting = deque([(home.rstrip("/"), 0)])
    found: list[str] = []
    seen = 0
    device: int | None = None
    while waiting and seen < reach.folders and timer() < until:
        path, level = waiting.popleft()
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
            own = (node.name for node in inner if _is_near(node, status.st_uid, device))
            waiting.extend((f"{path}/{name}", level + 1) for name in sorted(own) if f"{path}/{name}" not in barred)
    return found


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
