"""Figures in documents are those that were measured: nobody edits them by hand."""

import re
from pathlib import Path

import pytest

from bench.__main__ import PARTS
from bench.render import document
from bench.results import DOCUMENTS, FILE, load


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_are_what_the_renderer_makes_of_the_committed_figures(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert document(text, load(FILE)) == text, "run `python -m bench --render`"


def test_every_part_of_the_bench_has_its_place_in_a_document_and_only_one() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert sorted(re.findall(r"^<!-- bench: ([a-z]+) -->$", text, re.MULTILINE)) == sorted([*PARTS, "machine"])
    assert text.count("<!-- end of bench: ") == len(PARTS) + 1


def test_what_is_committed_is_of_parts_that_there_are() -> None:
    assert set(load(FILE)) <= set(PARTS)
