"""How the bench takes times: a bench that measures something else than it says is worse than none."""

import sys
from pathlib import Path

import pytest

from bench.results import Found, load, store
from bench.timing import CommandFailedError, Spent, Taken, Way, in_turn, timed
from builders.sleeps import of_thread

ENVIRON = {"PATH": "/usr/bin:/bin"}
MANY = 200_000_000


def test_a_peak_is_that_of_the_command_and_not_of_the_bench() -> None:
    held = bytearray(MANY)
    assert timed(["true"], ENVIRON).peak < MANY // 4
    assert timed([sys.executable, "-c", f"bytearray({MANY})"], ENVIRON).peak > MANY
    assert len(held) == MANY


def test_the_time_of_a_command_is_its_own_without_the_start_of_what_measures() -> None:
    asleep = timed(["sleep", "0.3"], ENVIRON)
    assert asleep.wall >= 0.3
    assert asleep.cpu < 0.1


def test_children_that_a_command_waits_for_count_as_its_own() -> None:
    busy = f"{sys.executable} -c 'sum(range(10_000_000))'"
    assert timed(["sh", "-c", f"{busy}; true"], ENVIRON).cpu > 0.1


def test_what_a_command_leaves_behind_counts_too_but_not_by_the_clock() -> None:
    busy = f"import time; bytearray({MANY}); sum(range(30_000_000)); time.sleep(5)"
    spent = timed(["sh", "-c", f"({sys.executable} -c '{busy}' & )"], ENVIRON)
    assert spent.cpu > 0.3
    assert spent.peak > MANY
    assert spent.wall < 5


def test_a_command_that_fails_has_no_time() -> None:
    with pytest.raises(CommandFailedError, match="status 3: on its error"):
        timed(["sh", "-c", "echo on its error >&2; exit 3"], ENVIRON)
    assert timed(["sh", "-c", "exit 1"], ENVIRON, fine=(0, 1)).wall > 0


def test_all_ways_run_in_every_round_and_each_is_the_first_of_one() -> None:
    order: list[str] = []

    def way(name: str) -> Way:
        def run() -> Taken:
            order.append(name)
            return {name: Spent(float(len(order)), 0.0)}

        return run

    times = in_turn([way("a"), way("b"), way("c")], 3)
    assert "".join(order) == "abcbcacab"
    assert [each.wall for each in times["b"]] == [2.0, 4.0, 9.0]


def test_figures_come_back_from_their_file_as_they_went_in(tmp_path: Path) -> None:
    found = Found()
    found.group("a tree", {"ours": [Spent(0.12346, 1.0, 4096), Spent(-1.0, 0.5, 8192)]})
    found.row("idle", threads={"futex_wait": 3, "0": 1}, gone=None, same=True)
    parts = {"walk": {"groups": found.groups, "rows": found.rows, "load_before": [0.5, 1e-05, 2.0]}}
    store(tmp_path / "deep" / "figures.json", parts)
    assert load(tmp_path / "deep" / "figures.json") == parts
    assert "[0.1235, -1.0]" in (tmp_path / "deep" / "figures.json").read_text()
    assert load(tmp_path / "none.json") == {}


def test_sleeps_are_told_apart_by_what_ended_them(tmp_path: Path) -> None:
    lines = (
        "1.0 futex(0x7f, FUTEX_WAIT_BITSET_PRIVATE, 0, {tv_sec=5}, X) = -1 ETIMEDOUT (Timed out) <5.000100>",
        "6.0 futex(0x7f, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, X) = 0 <1.500000>",
        "7.0 poll([{fd=4, events=POLLIN}], 1, 90000) = 0 (Timeout) <3.000000>",
        "8.0 poll([{fd=4, events=POLLIN}], 1, 90000) = 1 ([{fd=4, revents=POLLIN}]) <2.000000>",
        '9.0 read(4, "\\0", 1) = 1 <0.000012>',
        "9.1 epoll_wait(5, [], 1, 500) = 0 <0.500000>",
        "9.9 poll([{fd=4, events=POLLIN}], 1, 90000) = ? ERESTART_RESTARTBLOCK (Interrupted by signal) <1.0>",
    )
    file = tmp_path / "thread.17"
    file.write_text("\n".join(lines))
    told = {(each.call, each.ended_by_time): (each.thread, each.count, each.seconds) for each in of_thread(file)}
    assert told == {
        ("futex", True): (17, 1, 5.0001),
        ("futex", False): (17, 1, 1.5),
        ("poll", True): (17, 1, 3.0),
        ("poll", False): (17, 1, 2.0),
        ("epoll_wait", True): (17, 1, 0.5),
    }
