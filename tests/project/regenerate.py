"""Writes the files that come from the table of keys and from the parsers; run by ``make generate``."""

import json
from pathlib import Path

from cachewarden.settings.reference import reference
from cachewarden.settings.schema import schema
from project import completions, manual

ROOT = Path(__file__).resolve().parents[2]


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
