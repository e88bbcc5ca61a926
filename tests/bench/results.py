"""What was measured, in a file: raw figures of every round, by part; tables are made from it (``render``)."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.timing import Spent, Times

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "performance.json"
DOCUMENTS = tuple(ROOT / "docs" / name for name in ("performance.md", "judgement.md", "forecast.md"))
SCHEMA = 1
_NUMBERS = re.compile(r"\[\s+((?:-?\d[\d.e+-]*,?\s+)+)\]")
Part = dict[str, Any]
"""JSON: ``machine``, ``taken_at``, ``took_seconds``, ``quick``, ``rounds``; and what ``Found`` has."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A line of a table: one way beside another of the same group. ``goal`` bounds the ratio, or what ``of`` says."""

    ours: str
    theirs: str | None
    goal: float | None = None
    of: str = "ratio"


@dataclass(slots=True)
class Found:
    """What one part found, as it is collected."""

    groups: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)

    def group(self, what: str, times: Times, *lines: Beside) -> None:
        """Ways that were taken in turn, and which of them are to be compared."""
        compared = [{"ours": each.ours, "theirs": each.theirs, "goal": each.goal, "of": each.of} for each in lines]
        self.groups.append({"what": what, "times": as_json(times), "lines": compared})

    def row(self, table: str, **cells: object) -> None:
        """A line of a table that is no comparison."""
        self.rows.append({"table": table, **cells})

    def skip(self, what: str, why: str) -> None:
        """Something that could not be measured here."""
        self.skipped.append({"what": what, "why": why})


def as_json(times: Times) -> dict[str, dict[str, list[float]]]:
    """Seconds to a tenth of a millisecond, peaks in bytes."""
    return {name: _columns(spent) for name, spent in times.items()}


def _columns(spent: list[Spent]) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {
        "wall": [round(each.wall, 4) for each in spent],
        "cpu": [round(each.cpu, 4) for each in spent],
    }
    if any(each.peak for each in spent):
        columns["peak"] = [each.peak for each in spent]
    return columns


def load(path: Path) -> dict[str, Part]:
    """The parts in a file; none where there is no file."""
    if not path.exists():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    if told["schema"] != SCHEMA:
        raise ValueError(f"{path}: expected schema {SCHEMA}, got {told['schema']}")
    parts: dict[str, Part] = told["parts"]
    return parts


def store(path: Path, parts: dict[str, Part]) -> None:
    """One line for each list of figures, so that a difference can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"schema": SCHEMA, "parts": dict(sorted(parts.items()))}
    path.write_text(_short_lists(json.dumps(told, indent=1, ensure_ascii=False)) + "\n", encoding="utf-8")


def _short_lists(text: str) -> str:
    """Lists of numbers on one line each: ``indent`` gives each number its own."""
    return _NUMBERS.sub(lambda found: f"[{', '.join(found[1].split())}]".replace(",,", ","), text)
