"""Rules of the house that a machine can check."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cachewarden.record import Event
from cachewarden.service.talking import STOP_SECONDS_OF_A_MOVE

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "daemon").rglob("*.py"))
UNITS = sorted((ROOT / "units").rglob("*.service"))


def test_daemon_is_a_source_root_and_no_package() -> None:
    assert not (ROOT / "daemon" / "__init__.py").exists()


def test_importing_any_module_does_nothing() -> None:
    """No output, no file opened for writing, no process started, no socket made."""
    paths = [path.relative_to(ROOT / "daemon").with_suffix("") for path in SOURCES]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    program = (
        "import sys, importlib\n"
        "def audit(event, arguments):\n"
        "    writes = event == 'open' and isinstance(arguments[1], str) and set(arguments[1]) & set('wax+')\n"
        "    if writes or event in {'os.fork', 'subprocess.Popen', 'os.system', 'socket.bind', 'socket.connect'}:\n"
        "        print(event, arguments)\n"
        "sys.addaudithook(audit)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    command = [sys.executable, "-W", "error", "-B", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def functions(path: Path) -> list[tuple[str, int]]:
    return [
        (f"{path.name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_function_has_more_than_60_lines_and_no_file_more_than_400() -> None:
    assert [each for path in SOURCES for each in functions(path) if each[1] > 60] == []
    assert [path.name for path in SOURCES if path.read_text().count("\n") > 400] == []


def test_every_escape_from_a_rule_says_why() -> None:
    silent = re.compile(r"#\s*(noqa(:\s*[A-Z0-9, ]+)?|type: ignore(\[[\w, -]+\])?)\s*$")
    assert [
        f"{path.name}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if silent.search(line)
    ] == []


def test_only_the_guards_around_an_owner_and_an_ecosystem_catch_everything() -> None:
    guards = [path.name for path in SOURCES if re.search(r"except Exception\b", path.read_text())]
    assert guards == ["measure.py", "worker.py"]


def test_the_catalog_explains_every_event_and_no_other() -> None:
    catalog = (ROOT / "units" / "cachewarden.catalog").read_text()
    assert sorted(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.MULTILINE)) == sorted(each.value for each in Event)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: str(path.relative_to(ROOT)))
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    copy = tmp_path / "cachewarden.service"
    text = unit.read_text().replace("/usr/bin/cachewarden", "/bin/true").replace("env cachewarden", "env true")
    copy.write_text(text)
    scope = "--user" if "user" in unit.parts else "--system"
    done = subprocess.run(
        ["systemd-analyze", scope, "--man=no", "verify", str(copy)], capture_output=True, text=True, timeout=240
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "cachewarden" in line]
    assert ours == []


def test_a_reason_stands_beside_the_directives_of_a_unit() -> None:
    for unit in UNITS:
        assert unit.read_text().count("\n#") >= 2


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_unit_waits_for_a_move_to_stop_before_it_kills(unit: Path) -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)
    rest = 5  # for what the service itself does at its end, and for workers that hang
    assert int(seconds) >= STOP_SECONDS_OF_A_MOVE + rest


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_unit_keeps_its_user_from_giving_files_to_a_group_of_the_users(unit: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--json=short", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if not done.stdout.startswith("["):
        pytest.skip(f"systemd-analyze cannot look at a file here: {done.stderr}")
    said = {each["json_field"]: each["description"] for each in json.loads(done.stdout)}
    filters = unit.read_text()
    denied = "@privileged" in "".join(re.findall(r"^SystemCallFilter=~(.*)$", filters, re.MULTILINE))
    assert not denied or "(e.g. chown is allowed)" in said["SystemCallFilter_privileged"]


def test_the_readme_names_only_verbs_and_targets_that_there_are() -> None:
    readme = (ROOT / "README.md").read_text()
    help_text = subprocess.run(
        [str(Path(sys.executable).with_name("cachewarden")), "--help"], capture_output=True, text=True, timeout=30
    ).stdout
    for verb in re.findall(r"^\| `([a-z]+)[^`]*` \|", readme, re.MULTILINE):
        assert re.search(rf"^\s+{verb}\b", help_text, re.MULTILINE), verb
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"[`$ ]+make ([a-z-]+)(?=[`\s]*(?:#|`|&&))", readme)) <= targets


def test_every_file_that_a_document_links_to_is_there() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
