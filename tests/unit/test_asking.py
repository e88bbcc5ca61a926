"""Which tools are asked where their cache is, with which words, and what counts as an answer."""

import pytest

from cachewarden.ecosystems.asking import Question, answer, questions
from cachewarden.ecosystems.base import InForce, Surroundings
from cachewarden.model.caches import Owner
from fakes import FakeFiles

ALICE = Owner(1000, 1000, "alice", "/home/alice")
ROOT = Owner(0, 0, "root", "/root")
USING = (InForce("conda of /opt/forge", "/opt/forge/pkgs", "", "the default"),)
THERE = {"/usr/bin/pip3": "", "/usr/bin/pip": "", "/opt/forge/bin/conda": ""}
PIP = Question(("/usr/bin/pip3", "cache", "dir"), "/usr/bin/pip3")
CONDA = Question(("/opt/forge/bin/conda", "config", "--show", "pkgs_dirs", "--json"), "/opt/forge/bin/conda")


def asked(ecosystem: str, owner: Owner, files: dict[str, str]) -> tuple[Question, ...]:
    return questions(ecosystem, Surroundings(owner, {}, FakeFiles(files)), USING)


@pytest.mark.parametrize(("ecosystem", "question"), [("pip", PIP), ("conda", CONDA)])
def test_a_users_tool_is_asked_once(ecosystem: str, question: Question) -> None:
    assert asked(ecosystem, ALICE, THERE) == (question,)
    assert asked(ecosystem, ALICE, {}) == ()


@pytest.mark.parametrize("ecosystem", ["pip", "conda"])
def test_no_tool_is_run_as_root_not_even_for_a_question(ecosystem: str) -> None:
    assert asked(ecosystem, ROOT, THERE) == ()


@pytest.mark.parametrize(
    ("question", "said", "told"),
    [
        (PIP, "/c/pip\n", "/c/pip"),
        (PIP, "WARNING: old\n/c/pip\n", None),
        (PIP, "relative\n", None),
        (CONDA, '{"pkgs_dirs": ["/a", "/b"]}', "/a"),
        (CONDA, '{"pkgs_dirs": []}', None),
        (CONDA, '{"pkgs_dirs": [1]}', None),
        (CONDA, "[" * 100_000, None),
        (CONDA, "Traceback", None),
    ],
)
def test_only_a_path_is_an_answer(question: Question, said: str, told: str | None) -> None:
    assert answer(question, said) == told
