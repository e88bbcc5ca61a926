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


def test_where_nothing_could_be_measured_there_is_no_table_and_the_reason() -> None:
    missing = {"what": "the copy of a move", "why": "loop disks need root"}
    made = table("copy", {"copy": part(skipped=(missing,))})
    assert made.splitlines()[1:] == ["Not measured: the copy of a move: loop disks need root."]
    assert "|" not in made


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
    assert [line.partition(",")[0] for line in made.splitlines()[:2]] == ["- Slide rule", "- Abacus"]
    assert made.splitlines()[1].endswith("(purge, walk)")
    assert made.splitlines()[-1] == "Measuring all of it took 3 min."


def idle_rows(**whole: object) -> list[dict[str, Any]]:
    """A service whose launcher is gone at the end of an hour."""
    service = {
        "table": "idle", "mode": "user", "process": "service", "pss_before": 10_000_000, "pss": 11_000_000,
        "anonymous": 0, "cpu_seconds": 0.36, "cpu_of_children": 0.72, "written": 4096, "wakeups": 120, "threads": {},
    }  # fmt: skip
    launcher = {"table": "idle", "mode": "user", "process": "launcher", "gone": True}
    all_of_it = {
        "table": "idle-whole", "mode": "user", "seconds": 3600.0, "pss": 11_000_000, "pss_before": 12_000_000,
        "bare_pss": 10_000_000, "cpu_seconds": 1.08, "processes_begun": 2, "threads_begun": 0, "disk_written": None,
        "same_processes": False,
    }  # fmt: skip
    return [service, launcher, all_of_it | whole]


def test_the_idle_hour_is_told_in_shares_and_rates() -> None:
    made = table("idle", {"idle": part() | {"rows": idle_rows()}})
    assert "User mode, 60 min; the processes were **not** the same at the end:" in made
    assert "| service | 10.0 MB | 11.0 MB |  | 0.0100% | 0.0200% | 4096 B | 2.0 |" in made
    assert "| launcher | gone |" in made
    assert "| together | 12.0 MB | 11.0 MB | **1.10** (goal: 1.25) | **0.0300%**, children included" in made
    assert "Processes begun: 2; threads: 0; bytes that reached the disk of home and state: not counted." in made


def test_what_wakes_a_thread_is_said_beside_how_long_it_slept() -> None:
    sleep = {
        "table": "sleeps", "mode": "user", "process": "service", "main": True, "call": "poll", "ended_by_time": True,
        "per_minute": 12.0, "seconds": 5.0,
    }  # fmt: skip
    made = table("idle", {"idle": part() | {"rows": [*idle_rows(), sleep]}})
    assert "| user | service | main | poll | its time limit | 12.0 | 5.00 s |" in made


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "12.3 ms"), (0.9949, "995 ms"), (0.995, "0.99 s"), (1.234, "1.23 s"), (123.4, "123 s")],
)
def test_seconds_have_three_digits_at_the_most(value: float, shown: str) -> None:
    assert seconds(value) == shown
