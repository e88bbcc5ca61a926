"""Writes the files that come from the table of keys and from the parsers of the command line; run by ``make generate``."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from cachewarden.settings.reference import reference  # noqa: E402 - tests/ must be on the path for what follows
from cachewarden.settings.schema import schema  # noqa: E402 - likewise
from project import completions, manual  # noqa: E402 - likewise


def generated() -> dict[Path, str]:
    """Each generated file and what belongs in it."""
    docs = ROOT / "docs"
    return {
        ROOT / "config" / "policy.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        docs / "policy-reference.md": reference(),
        docs / "man" / "cachewarden.1": manual.command(),
        docs / "man" / "cachewarden.yaml.5": manual.policy_file(),
        docs / "completions" / "cachewarden.bash": completions.bash(),
        docs / "completions" / "_cachewarden": completions.zsh(),
        docs / "completions" / "cachewarden.fish": completions.fish(),
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content, encoding="utf-8")
