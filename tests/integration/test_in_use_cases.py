"""In use or not: every case built for real, judged, and compared with what the documentation says of it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builders.in_use_cases import CASES, Bench, Judged, Says, Truth, bench_of, conda_clean_says, judge, packages
from project.in_use import BEGIN, DOCUMENT, is_right, written

CONDA = shutil.which("conda")
TOLD = [case for case in CASES if not case.untold]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return packages(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def judged(built: list[Path]) -> list[Judged]:
    return [judge(case, built) for case in CASES]


def titles(judged: list[Judged]) -> list[str]:
    return [each.case.title for each in judged]


def test_nothing_that_is_used_is_called_unused_where_anything_tells_of_it(judged: list[Judged]) -> None:
    wrong = [each for each in judged if each.case.truth is not Truth.FREE and each.ours is Says.FREE]
    assert [title for title in titles(wrong) if title in {case.title for case in TOLD}] == []
    assert titles(wrong) == [case.title for case in CASES if case.untold]


def test_what_stays_though_it_is_free_is_told_why_and_is_this_and_no_more(judged: list[Judged]) -> None:
    wrong = [each for each in judged if each.case.truth is Truth.FREE and each.ours is not Says.FREE]
    assert titles(wrong) == [
        "softlinks enabled; nothing uses it",
        "another user cannot be looked at now; nothing uses it",
        "a registered environment that its user cannot read; nothing uses it",
        "hard-linked by a backup (`cp -al`), nothing uses it",
    ]
    assert [each.evidence.rpartition(": ")[2] for each in wrong[:3]] == [
        "it cannot be proved unused", "they may use it", "it may use it",
    ]  # fmt: skip


def test_link_counts_alone_are_wrong_both_ways(judged: list[Judged]) -> None:
    """What the comparison is about: else conda's rule would do."""
    wrong = {each.case.truth for each in judged if not is_right(each.conda, each.case.truth)}
    assert wrong == set(Truth)


def test_the_documentation_says_of_each_case_what_is_so(judged: list[Judged]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert BEGIN in text
    assert text == written(text, judged), "python -m project.in_use writes the tables anew"


@pytest.mark.skipif(CONDA is None, reason="no conda is installed here")
@pytest.mark.skipif(os.geteuid() == 0, reason="conda is never run as root")
def test_a_real_conda_says_what_its_rule_says(built: list[Path]) -> None:
    wrong = []
    for case in CASES:
        with bench_of(case, built) as bench:
            says = conda_clean_says(bench.base.pkgs, bench.subject)
            if (bench.subject in named_by_conda(bench)) is not (says is Says.FREE):
                wrong.append(case.title)
    assert wrong == []


def named_by_conda(bench: Bench) -> set[str]:
    """What ``conda clean`` would remove."""
    bench.home.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(bench.home), "CONDA_PKGS_DIRS": str(bench.base.pkgs)}
    done = subprocess.run(
        [str(CONDA), "clean", "--packages", "--tarballs", "--dry-run", "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
        env=environment,
        cwd=bench.root,
    )
    told = json.loads(done.stdout)
    lists = [names for part in ("packages", "tarballs") for names in told[part]["pkgs_dirs"].values()]
    return {name for names in lists for name in names}
