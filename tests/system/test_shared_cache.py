"""One cache for two users: what each makes the other can use, and what breaks that ``doctor`` finds and mends."""

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.machine import Machine
from builders.synthetic import conda_packages
from cachewarden.system.folders import open_folder
from cachewarden.system.sharing import share_tree

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]
CONDA = 1500
"""The gid of a group of ann and bob."""


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Below pytest's own folder nobody but root can go."""
    folder = Path(tempfile.mkdtemp(prefix="cachewarden-shared-"))
    folder.chmod(0o755)
    try:
        made = Machine(folder)
        with (folder / "group").open("a") as file:
            file.write(f"\nconda:x:{CONDA}:ann,bob\n")
        for name in ("ann", "bob"):
            (made.home(name) / ".condarc").write_text("pkgs_dirs: [/srv/conda-pkgs]\n")
            made.give(made.home(name), name)
        yield made
    finally:
        shutil.rmtree(folder)


def as_user(name: str, do: Callable[[], object], *, umask: int = 0o022) -> bool:
    """Whether ``do`` works with the rights of a user who is a member of the group."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            uid = Machine.users[name]
            os.setgroups([uid, CONDA])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.umask(umask)
            do()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def give_to_group(pkgs: Path) -> None:
    with open_folder(str(pkgs)) as root:
        assert share_tree(root, CONDA).left == 0


@pytest.fixture
def pkgs(machine: Machine) -> Path:
    """Ann's cache, shared with the group."""
    place = machine.folder / "conda-pkgs"
    conda_packages(place, 2, files=3)
    machine.give(place, "ann")
    assert as_user("ann", lambda: give_to_group(place))
    return place


def doctor(machine: Machine, *words: str) -> dict[str, Any]:
    done = machine.run("--json", "doctor", *words)
    assert done.returncode in {0, 1}, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def told(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What is said of the cache: how much it matters, and the remedy."""
    of_cache = [each for each in answer["findings"] if each["subject"] == "/srv/conda-pkgs"]
    return [(each["severity"], each["remedy"]) for each in of_cache if each["check"] != "sandbox"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def make(folder: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("x")


def test_each_member_can_write_in_folders_that_another_made_with_the_usual_umask(pkgs: Path) -> None:
    assert as_user("ann", lambda: make(pkgs / "by-ann"))
    assert as_user("bob", lambda: make(pkgs / "by-ann" / "sub" / "by-bob"))
    assert as_user("ann", lambda: make(pkgs / "by-ann" / "sub" / "by-bob" / "sub" / "again"))
    assert as_user("bob", lambda: (pkgs / "by-ann" / "sub" / "file").write_text("changed"))


def test_a_shared_cache_in_order_is_a_note_for_its_owner_and_no_problem_of_the_others(
    machine: Machine, pkgs: Path
) -> None:
    as_user("bob", lambda: make(pkgs / "by-bob-1.0-0"))
    ((severity, remedy),) = told(doctor(machine))
    assert severity == "note"
    assert "pkgs_dirs FOLDER" in remedy


def test_what_chmod_broke_is_found_and_mended_but_no_file_of_an_environment(machine: Machine, pkgs: Path) -> None:
    in_environment = machine.home("ann") / "environment"
    os.link(pkgs / "made0-1.0-0" / "lib" / "f0", in_environment)
    subprocess.run(["chmod", "-R", "g-w", str(pkgs)], check=True)
    assert not as_user("bob", lambda: make(pkgs / "made0-1.0-0" / "lib" / "by-bob"))
    assert ("warning", "cachewarden doctor --fix") in told(doctor(machine))

    refused = machine.run("doctor", "--fix")
    assert (refused.returncode, "add --yes" in refused.stderr) == (2, True)
    assert mode(pkgs) == 0o2755

    answer = doctor(machine, "--fix", "--yes")
    assert [(each["path"], each["folders"], each["left"], each["linked"]) for each in answer["fixed"]] == [
        ("/srv/conda-pkgs", 7, 0, 1)
    ]
    assert answer["problems"] == []
    assert {severity for severity, _ in told(answer)} == {"note"}
    assert mode(in_environment) == 0o644
    assert mode(pkgs / "made0-1.0-0" / "lib" / "f1") == 0o664
    assert as_user("bob", lambda: make(pkgs / "made0-1.0-0" / "lib" / "by-bob"))
    assert doctor(machine, "--fix", "--yes")["fixed"] == []


def test_what_another_member_shut_is_told_and_stays(machine: Machine, pkgs: Path) -> None:
    as_user("bob", lambda: make(pkgs / "by-bob"))
    as_user("bob", lambda: (pkgs / "by-bob" / "sub").chmod(0o700))
    answer = doctor(machine, "--fix", "--yes")
    assert answer["fixed"] == []
    assert "warning" in {severity for severity, _ in told(answer)}
    assert mode(pkgs / "by-bob" / "sub") & 0o077 == 0


def test_fixing_shows_counts_and_then_what_is_left(machine: Machine, pkgs: Path) -> None:
    (pkgs / "made1-1.0-0" / "info").chmod(0o755)
    shown = machine.run("doctor", "--fix", "--yes").stdout
    assert "/srv/conda-pkgs: 1 folder and 0 files" in shown
    assert "the way" in shown
