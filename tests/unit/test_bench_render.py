"""What the bench makes of its figures."""

from typing import Any

import pytest

from bench.render import document, seconds, table
from bench.results import Part


def part(*, groups: tuple[dict[str, Any], ...] = (), skipped: tuple[dict[str, str], ...] = ()) -> Part:
    """Of a machine that exists nowhere."""
    return {
        "machine": {
            "processor": "Abacus", "cores": 1, "memory_bytes": 2**30, "kernel": "Linux 1.0", "python": "3.11.1",
            "filesystem": "ext4, noatime", "disk": "mmcblk0, SD or eMMC",
        },
        "taken_at": "2026-01-02T03:04:05Z", "load_before": [0.5, 0.25, 1.0], "took_seconds": 60, "quick": False,
        "rounds": 3, "groups": list(groups), "rows": [], "skipped": list(skipped),
    }  # fmt: skip


def times(**walls: list[float]) -> dict[str, dict[str, list[float]]]:
    return {name: {"wall": wall, "cpu": wall} for name, wall in walls.items()}


def group(ours: list[float], theirs: list[float], goal: float | None = None, of: str = "ratio") -> dict[str, Any]:
    """One line: ours beside theirs."""
    line = {"ours": "ours", "theirs": "theirs", "goal": goal, "of": of}
    return {"what": "a tree", "times": times(ours=ours, theirs=theirs), "lines": [line]}


def row(made: str) -> list[str]:
    return [cell.strip() for cell in made.splitlines()[2].strip("|").split("|")]


def test_a_ratio_is_the_median_of_those_of_the_rounds_with_its_spread() -> None:
    made = table("walk", {"walk": part(groups=(group([1.0, 9.0, 4.0], [1.0, 3.0, 1.0]),))})
    assert row(made)[:4] == ["ours : theirs, a tree", "4.00 s", "1.00 s", "3.00 (1.00–4.00)"]


@pytest.mark.parametrize(("goal", "said"), [(2.0, "2, met"), (1.9, "1.9, **missed**")])
def test_a_goal_is_said_to_be_met_or_missed(goal: float, said: str) -> None:
    assert row(table("walk", {"walk": part(groups=(group([2.0], [1.0], goal),))}))[-1] == said


def test_a_goal_beyond_the_start_is_judged_without_the_start_of_the_interpreter() -> None:
    compared = group([3.0], [1.0], 2.0, "beyond")
    compared["times"] |= times(**{"python -c pass": [1.5], "status of nothing": [2.0]})
    cells = row(table("walk", {"walk": part(groups=(compared,))}))
    assert cells[3:6] == ["3.00", "1.50", "1.00"]
    assert cells[-1] == "2, met"


def test_a_table_says_when_and_how_it_was_made_and_what_is_not_in_it() -> None:
    missing = {"what": "gdu", "why": "it is not on this machine"}
    made = table("walk", {"walk": part(groups=(group([2.0], [1.0]),), skipped=(missing,))})
    assert "2026-01-02 03:04 UTC, load before 0.50, 0.25, 1.00; a full run of 60 s." in made
    assert "Not measured: gdu: it is not on this machine." in made


def test_a_document_keeps_what_is_written_by_hand_and_gets_the_tables_anew() -> None:
    parts = {"walk": part(groups=(group([2.0], [1.0]),))}
    text = "before\n<!-- bench: walk -->\nedited by hand: 0.01\n<!-- end of bench: walk -->\nafter\n"
    made = document(text, parts)
    assert made.startswith("before\n<!-- bench: walk -->\n|")
    assert made.endswith("<!-- end of bench: walk -->\nafter\n")
    assert "edited by hand" not in made
    assert document(made, parts) == made


def test_what_was_not_measured_yet_is_called_so() -> None:
    text = "<!-- bench: walk -->\n<!-- end of bench: walk -->\n"
    assert document(text, {}) == "<!-- bench: walk -->\nNot measured yet.\n<!-- end of bench: walk -->\n"


def test_a_mark_that_nothing_is_known_of_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"expected one of machine, start, .*, got nonsense"):
        document("<!-- bench: nonsense -->\n<!-- end of bench: nonsense -->\n", {})


def test_parts_that_were_measured_on_different_machines_say_on_which() -> None:
    other = part()
    other["machine"] = other["machine"] | {"processor": "Slide rule"}
    made = table("machine", {"walk": part(), "purge": part(), "idle": other})
    assert [line.partition(",")[0] for line in made.splitlines()] == ["- Slide rule", "- Abacus"]
    assert made.splitlines()[1].endswith("(purge, walk)")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "12.3 ms"), (0.9949, "995 ms"), (0.995, "0.99 s"), (1.234, "1.23 s"), (123.4, "123 s")],
)
def test_seconds_have_three_digits_at_the_most(value: float, shown: str) -> None:
    assert seconds(value) == shown
