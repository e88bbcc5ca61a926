"""The command line as manual page and completions tell it: complete, and really completing."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from cachewarden.cli import arguments
from cachewarden.cli.verbs import VERBS
from cachewarden.settings.loader import load
from fakes import FakeFiles
from project import manual
from project.grammar import everywhere, program, verbs

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs" / "man" / "cachewarden.1"
PAGES = sorted((ROOT / "docs" / "man").iterdir())
BASH, ZSH, FISH = (
    ROOT / "docs" / "completions" / name for name in ("cachewarden.bash", "_cachewarden", "cachewarden.fish")
)
_ASK = """\
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_cachewarden
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words: str, folder: Path = ROOT) -> set[str]:
    """What bash offers for the last of the words."""
    command = ["bash", "--norc", "-c", _ASK, "bash", str(BASH), "cachewarden", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


@pytest.mark.parametrize("name", VERBS)
def test_the_grammar_has_every_option_of_a_verb_and_no_other(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments.parse([name, "--help"])
    told = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    verb = next(each for each in verbs() if each.name == name)
    assert {option.long for option in (*verb.options, *everywhere())} == told


def test_the_manual_page_has_every_verb_and_option() -> None:
    text = MANUAL.read_text().replace("\\-", "-")
    for verb in verbs():
        part = text.split(f"\n.SS {verb.name}\n")[1].split("\n.S")[0]
        assert [option.long for option in verb.options if f"\\fB{option.long}\\fR" not in part] == []
    assert [option.long for option in program().options if f"\\fB{option.long}\\fR" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_man_has_nothing_to_say_about_a_page(page: Path) -> None:
    text = page.read_text()
    assert text.isascii()
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-T", "lint", str(page)], capture_output=True, text=True, timeout=120)
        assert done.stdout + done.stderr == ""
    if not shutil.which("man"):
        pytest.skip("man is not on this machine")
    command = ["man", "--warnings", "-Tutf8", "-Z", "--local-file", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_verbs_and_the_options_before_them() -> None:
    assert complete("") == set(VERBS)
    assert complete("pu") == {"purge"}
    assert complete("--") == {option.long for option in program().options}
    assert complete("--json", "sta") == {"status"}
    assert complete("--config", "status", "pl") == {"plan"}  # a file may have the name of a verb
    assert complete("--config", "=", "status", "pl") == {"plan"}


def test_bash_completes_options_of_a_verb_and_their_values() -> None:
    assert {"--to-free", "--dry-run", "--json"} <= complete("purge", "--")
    assert complete("purge", "--to-") == {"--to-free"}
    assert complete("purge", "") == {"pip", "conda"}
    assert complete("--user", "purge", "pip", "c") == {"conda"}
    assert {"debris", "built-wheel", "package"} <= complete("purge", "--kind", "")
    assert complete("list", "--sort", "=", "l") == {"last-used"}
    assert complete("list", "--sort", "=") == {"size", "frees", "last-used", "name"}
    assert complete("purge", "--to-free", "") == set()


def test_bash_completes_files_where_a_file_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "folder").mkdir()
    assert complete("check", "", folder=tmp_path) == {"mine.yaml", "folder"}
    assert complete("--config", "m", folder=tmp_path) == {"mine.yaml"}
    assert complete("--state-dir", "", folder=tmp_path) == {"folder"}
    assert complete("status", "", folder=tmp_path) == set()


def test_a_percent_sign_is_written_once() -> None:
    """argparse wants it doubled in a help text."""
    assert not [path.name for path in (BASH, ZSH, FISH, MANUAL) if "%%" in path.read_text()]


@pytest.mark.parametrize(("shell", "path"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_the_shell_understands_its_completions(shell: str, path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not on this machine")
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", manual.EXAMPLES)
def test_the_examples_of_the_manual_page_are_understood(words: str) -> None:
    assert arguments.parse(shlex.split(words.partition(" && ")[0])[1:]).verb in VERBS


def test_the_example_of_the_policy_file_loads() -> None:
    found = load(FakeFiles({"/a.yaml": manual.POLICY_FILE}), config="/a.yaml", folder="/nowhere")
    assert [policy.name for policy in found.policies] == ["remove-debris", "cap-pip", "keep-disk-free"]
