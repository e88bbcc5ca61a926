"""``simulate`` as it is typed: scenes, traces from files and from the service, and what is wrong with one."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builders.synthetic import pip_responses

COMMAND = [sys.executable, "-m", "cachewarden", "--user"]
CAP = """\
version: 1
link_speed: 1 MB/s
keep: {newer_than: 0s}
policies:
  - name: cap
    size: {above: 30 MB}
    order: least-recently-used
    action: purge
"""


class Place:
    """A home without caches."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.policy = home / "cap.yaml"
        self.policy.write_text(CAP)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
        return subprocess.run(
            [*COMMAND, *words],
            capture_output=True,
            text=True,
            timeout=280,
            stdin=subprocess.DEVNULL,
            cwd=self.home,
            env=environ | {"HOME": str(self.home), "LANG": "C.UTF-8"},
        )

    def json(self, *words: str) -> dict[str, Any]:
        done = self.run("--json", "simulate", *words)
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["schema"] == 1
        return found


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_scene_that_is_written_and_read_comes_to_the_same(place: Place) -> None:
    assert place.run("simulate", "--scene", "pi", "--seed", "7", "--write", "pi.jsonl").returncode == 0
    words = ("--policy", str(place.policy), "--capacity", "1GB")
    from_file, made_up = place.json("pi.jsonl", *words), place.json("--scene", "pi", "--seed", "7", *words)
    assert from_file == made_up
    (result,) = from_file["results"]
    assert result["peak_bytes"] <= 30_000_000
    assert result["lost_seconds"] > 0
    assert result["wants"] == result["hits"] + result["first"] + result["wanted_again"]
    assert [each["policy"] for each in result["policies"]] == ["cap"]


def test_side_by_side_nobody_is_below_the_bound(place: Place) -> None:
    found = place.json("--scene", "pi", "--compare", "--capacity", "20%")
    names = [each["name"] for each in found["results"]]
    assert names == ["as configured", "cheapest-first", "least-recently-used", "oldest", "largest", "purge-all"]
    known = found["clairvoyant"]
    assert known["bound_seconds"] <= min(each["lost_seconds"] for each in found["results"])
    assert known["bound_seconds"] <= known["schedule_seconds"]
    assert found["results"][0]["lost_seconds"] == found["results"][1]["lost_seconds"]


def test_the_screen_has_a_line_for_each(place: Place) -> None:
    done = place.run("simulate", "--scene", "pi", "--compare", "--verbose")
    assert done.returncode == 0
    for word in ("scene pi, seed 1", "purge-all", "Knowing the future", "By policy, oldest", "keep-disk-free"):
        assert word in done.stdout
    assert "TO THE BOUND" in done.stdout
    assert "TO THE BOUND" not in place.run("simulate", "--scene", "pi").stdout


def test_twenty_thousand_events_take_seconds(place: Place) -> None:
    place.run("simulate", "--scene", "data-science", "--write", "one.jsonl")
    first, *lines = (place.home / "one.jsonl").read_text().splitlines()
    second = [each.replace('"ecosystem"', '"owner":1,"ecosystem"', 1) for each in lines]
    both = sorted([*lines, *second], key=lambda each: json.loads(each)["at"])[:20_000]
    (place.home / "two.jsonl").write_text("\n".join([first, *both, ""]))
    assert len(both) >= 15_000
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    place.json("two.jsonl", "--capacity", "30%")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 60  # of a processor: some 5 s


def test_what_is_wrong_with_a_trace_is_told_with_file_and_line(place: Place) -> None:
    (place.home / "bad.jsonl").write_text('{"cachewarden_trace": 1}\n{"at": -1}\nnonsense\n')
    done = place.run("simulate", "bad.jsonl")
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        "bad.jsonl:2: expected the key event, got none",
        "bad.jsonl:3: expected a JSON object, got nonsense",
    ]
    assert place.run("simulate", "/dev/zero").returncode == 78
    assert place.run("simulate", "missing.jsonl").returncode == 78


def test_a_policy_that_is_wrong_is_bad_configuration(place: Place) -> None:
    place.policy.write_text("version: 1\npolicies: [{name: a}]\n")
    done = place.run("simulate", "--scene", "pi", "--policy", str(place.policy))
    assert done.returncode == 78
    assert "action" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        (), ("a.jsonl", "--scene", "pi"), ("--scene", "lab"), ("--scene", "pi", "--seed", "-1"),
        ("--scene", "pi", "--seed", "x"), ("--scene", "pi", "--capacity", "10"), ("a.jsonl", "--write", "b.jsonl"),
        ("--scene", "pi", "--write", "b.jsonl", "--compare"), ("--scene", "pi", "--write", "b.jsonl", "--json"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_wrong_usage(place: Place, words: tuple[str, ...]) -> None:
    done = place.run("simulate", *words)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_trace_is_never_written_over_a_file(place: Place) -> None:
    (place.home / "mine").write_text("mine\n")
    done = place.run("simulate", "--scene", "pi", "--write", "mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert (place.home / "mine").read_text() == "mine\n"


def test_what_the_service_records_can_be_replayed(place: Place) -> None:
    cache = place.home / ".cache" / "pip"
    pip_responses(cache, 20)
    config = place.home / ".config/cachewarden/cachewarden.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("version: 1\nwatch: {trace: true}\npolicies: []\n")
    assert place.run("run").returncode == 0
    recorded = place.home / ".local/state/cachewarden/trace.jsonl"
    assert str(place.home) not in recorded.read_text()
    found = place.json(str(recorded))
    (result,) = found["results"]
    listed = json.loads(place.run("--json", "list").stdout)["entries"]
    assert result["wants"] == len(listed) > 0
    assert found["trace"]["about"] == "recorded by the service"


def test_nothing_is_recorded_by_default(place: Place) -> None:
    cache = place.home / ".cache" / "pip"
    pip_responses(cache, 20)
    assert place.run("run").returncode == 0
    assert not (place.home / ".local/state/cachewarden/trace.jsonl").exists()
