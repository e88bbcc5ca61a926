"""Writes the files that come from the table of keys; run by ``make generate``."""

import json
from pathlib import Path

from cachewarden.settings.reference import reference
from cachewarden.settings.schema import schema

ROOT = Path(__file__).resolve().parents[2]


def generated() -> dict[Path, str]:
    """Each generated file and what belongs in it."""
    return {
        ROOT / "config" / "policy.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "policy-reference.md": reference(),
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content, encoding="utf-8")
