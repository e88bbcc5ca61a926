"""doctor as root, on a machine with users: what sudo left behind, and whether the remedy that it names heals it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builders.machine import Machine
from builders.synthetic import conda_packages, pip_responses

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tmp_path.chmod(0o755)
    return Machine(tmp_path)


def findings(machine: Machine, check: str) -> list[dict[str, Any]]:
    done = machine.run("--json", "doctor")
    assert done.returncode in {0, 1}, done.stderr
    return [each for each in json.loads(done.stdout)["findings"] if each["check"] == check]


def do(machine: Machine, remedy: str) -> None:
    subprocess.run(machine.inside("sh", "-c", remedy), check=True, timeout=240)


def test_files_that_sudo_left_in_a_cache_are_found_and_the_remedy_heals_them(machine: Machine) -> None:
    cache = machine.home("ann") / ".cache" / "pip"
    pip_responses(cache, 3)
    machine.give(machine.home("ann"), "ann")
    body = next(iter(sorted(cache.rglob("*.body"))))
    os.chown(body, 0, 0)
    os.chown(body.parent, 0, 0)
    (found,) = findings(machine, "files of others")
    assert (found["severity"], found["subject"]) == ("warning", "/home/ann/.cache/pip")
    assert "2 files or folders in it belong to root" in found["problem"]
    do(machine, found["remedy"])
    assert findings(machine, "files of others") == []
    assert (body.stat().st_uid, body.parent.stat().st_uid) == (1001, 1001)


def test_a_cache_that_is_roots_altogether_is_found_and_healed(machine: Machine) -> None:
    cache = machine.home("bob") / ".cache" / "pip"
    pip_responses(cache, 2)
    machine.give(machine.home("bob"), "bob")
    machine.give(cache, "root")
    (found,) = findings(machine, "files of others")
    assert "the cache belongs to root, not to bob" in found["problem"]
    do(machine, found["remedy"])
    assert findings(machine, "files of others") == []


def test_the_remedy_gives_away_no_file_that_has_a_name_elsewhere(machine: Machine) -> None:
    """A package file may be an environment's, and a hostile user may have linked a file of root's into the cache."""
    pkgs = machine.home("ann") / ".conda" / "pkgs"
    (package,) = conda_packages(pkgs, 1)
    machine.give(machine.home("ann"), "ann")
    secret = machine.folder / "home" / "secret"
    secret.write_text("root's")
    os.link(secret, package / "root-secret")
    (found,) = findings(machine, "files of others")
    do(machine, found["remedy"])
    assert secret.stat().st_uid == 0


def test_what_a_link_leads_to_is_never_offered_to_be_given_away(machine: Machine) -> None:
    """With a pip.conf that names a place behind a link of ann's, also one that she lays after the look."""
    secret = machine.folder / "opt" / "etc" / "pip"
    pip_responses(secret, 2)
    (machine.home("ann") / "x").symlink_to("/opt/etc")
    config = machine.home("ann") / ".config" / "pip"
    config.mkdir(parents=True)
    (config / "pip.conf").write_text("[global]\ncache-dir = /home/ann/x/pip\n")
    machine.give(machine.home("ann"), "ann")
    assert findings(machine, "files of others") == []
    (machine.home("ann") / "x").unlink()
    pip_responses(machine.home("ann") / "x" / "pip", 2)
    machine.give(machine.home("ann") / "x", "ann")
    machine.give(machine.home("ann") / "x" / "pip", "root")
    (found,) = findings(machine, "files of others")
    (machine.home("ann") / "x").rename(machine.home("ann") / "y")
    (machine.home("ann") / "x").symlink_to("/opt/etc")
    assert subprocess.run(machine.inside("sh", "-c", found["remedy"]), timeout=240).returncode != 0
    assert {path.stat().st_uid for path in secret.rglob("*")} == {0}


def test_unknown_owners_missing_homes_and_misspelt_keys_are_found_with_a_remedy(machine: Machine) -> None:
    machine.config.write_text("version: 1\nowners: [ann, bob, eve]\npolicies: []\n")
    (machine.home("ann") / ".condarc").write_text("pkg_dirs: [/x]\n")
    machine.give(machine.home("ann"), "ann")
    machine.home("bob").rmdir()
    told = {each["subject"]: each for each in (*findings(machine, "owner"), *findings(machine, "configuration"))}
    assert set(told) == {"eve", "bob", "/home/ann/.condarc"}
    assert "no such user" in told["eve"]["problem"]
    assert told["/home/ann/.condarc"]["remedy"] == "'pkgs_dirs' is near: correct it"


def test_a_broken_configuration_is_a_finding_and_does_not_stop_the_others(machine: Machine) -> None:
    machine.config.write_text("version: 1\npolicys: []\n")
    machine.home("bob").rmdir()
    (found,) = findings(machine, "policies")
    assert (found["severity"], "policys" in found["problem"]) == ("error", True)
    assert [each["subject"] for each in findings(machine, "owner")] == ["bob"]
