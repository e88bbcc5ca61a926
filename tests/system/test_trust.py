"""Whose word counts: nobody makes a worker of root, or of another user, touch what that user could not.

Nothing here needs a race or a fault: only configuration, folders and links that a user may make.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from builders.machine import Machine
from builders.siege import wait_until
from builders.synthetic import conda_packages, pip_responses

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]
PURGE_ALL = "version: 1\nwatch: {interval: 1h}\nkeep: {newer_than: 0s}\npolicies:\n  - {name: all, action: purge}\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tmp_path.chmod(0o755)
    made = Machine(tmp_path)
    made.config.write_text(PURGE_ALL)
    return made


def victim(machine: Machine, path: Path, name: str) -> Path:
    """A folder that has the marks of a conda cache, and is somebody's backup."""
    conda_packages(path, 1)
    (path / "db-2024.tar.bz2").write_bytes(b"precious")
    machine.give(path, name)
    return path


def contents(path: Path) -> list[str]:
    return sorted(str(each.relative_to(path)) for each in path.rglob("*"))


def anns_base(machine: Machine) -> Path:
    """A conda installation in /opt that ann owns, as ``chown -R`` leaves it."""
    base = machine.folder / "opt" / "anns"
    (base / "conda-meta").mkdir(parents=True)
    (base / "conda-meta" / "history").write_text("")
    return base


def test_a_condarc_of_one_user_names_no_cache_of_another(machine: Machine) -> None:
    machine.home("bob").chmod(0o755)
    backups = [
        victim(machine, machine.home("bob") / "backups", "bob"),
        victim(machine, machine.folder / "opt" / "rootbackups", "root"),
    ]
    before = [contents(each) for each in backups]
    base = anns_base(machine)
    (base / ".condarc").write_text("pkgs_dirs: [/home/bob/backups, /opt/rootbackups]\n")
    machine.give(base, "ann")
    machine.run("run")
    assert [contents(each) for each in backups] == before


def test_a_link_that_one_user_made_leads_another_nowhere(machine: Machine) -> None:
    backups = victim(machine, machine.folder / "opt" / "rootbackups", "root")
    before = contents(backups)
    base = anns_base(machine)
    (base / "pkgs").symlink_to("/opt/rootbackups")
    machine.give(base, "ann")
    machine.run("run")
    assert contents(backups) == before


def test_a_configured_cache_that_its_owner_replaced_by_a_link_is_not_followed_by_root(machine: Machine) -> None:
    backups = victim(machine, machine.folder / "opt" / "rootbackups", "root")
    before = contents(backups)
    (machine.home("ann") / "data").mkdir()
    (machine.home("ann") / "data" / "pkgs").symlink_to("/opt/rootbackups")
    machine.give(machine.home("ann"), "ann")
    machine.config.write_text(PURGE_ALL + "caches: [{ecosystem: conda, path: /home/ann/data/pkgs}]\n")
    machine.run("run")
    assert contents(backups) == before


def test_an_environment_of_one_user_says_nothing_to_root_and_root_quotes_no_secret(machine: Machine) -> None:
    backups = victim(machine, machine.folder / "opt" / "rootbackups", "root")
    before = contents(backups)
    secret = machine.folder / "opt" / "secret"
    secret.write_text("pkgs_dirs: [TOPSECRET]\n")
    secret.chmod(0o600)
    for number, text in enumerate(("pkgs_dirs: [/opt/rootbackups]\n", None)):
        environment = machine.home("ann") / f"env{number}"
        (environment / "conda-meta").mkdir(parents=True)
        (environment / "conda-meta" / "history").write_text("")
        if text:
            (environment / "condarc").write_text(text)
        else:
            (environment / "condarc").symlink_to("/opt/secret")
    machine.give(machine.home("ann"), "ann")
    machine.home("ann").chmod(0o755)
    (machine.home("root") / ".conda").mkdir()
    (machine.home("root") / ".conda" / "environments.txt").write_text("/home/ann/env0\n/home/ann/env1\n")
    done = machine.run("--json", "run")
    assert contents(backups) == before
    assert "TOPSECRET" not in done.stdout + done.stderr


def test_a_cache_that_is_not_private_waits_for_everybodys_conda(machine: Machine) -> None:
    base = machine.folder / "opt" / "miniforge3"
    (base / "conda-meta").mkdir(parents=True)
    (base / "conda-meta" / "history").write_text("")
    conda_packages(base / "pkgs", 2)
    with (machine.folder / "passwd").open("a") as passwd:
        passwd.write("\nsvc:x:1450:1450::/opt/miniforge3:/bin/bash\n")
    for path in (base, *base.rglob("*")):
        os.lchown(path, 1450, 1450)
    running = subprocess.Popen(
        ["setpriv", "--reuid", "1002", "--clear-groups", "bash", "-c", "exec -a conda sleep 600"]
    )
    try:
        command = Path(f"/proc/{running.pid}/cmdline")
        wait_until(lambda: command.read_bytes().startswith(b"conda\0"), "it runs")
        machine.run("run")
        assert len(contents(base / "pkgs")) > 20
    finally:
        running.kill()
        running.wait(60)
    machine.run("run")
    assert contents(base / "pkgs") == ["urls.txt"]


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def worker_of(uid: int, service: int) -> int | None:
    for launcher in children_of(service):
        for each in children_of(launcher):
            try:
                if f"Uid:\t{uid}\t" in Path(f"/proc/{each}/status").read_text():
                    return each
            except OSError:
                continue
    return None


def test_a_worker_that_its_owner_has_stopped_does_not_keep_the_service_from_ending(machine: Machine) -> None:
    pip_responses(machine.home("ann") / ".cache" / "pip", 3000)
    machine.give(machine.home("ann"), "ann")
    process = subprocess.Popen(machine.arguments("daemon"), stderr=subprocess.DEVNULL)
    try:
        stopped = None
        deadline = time.monotonic() + 60
        while stopped is None and time.monotonic() < deadline:
            stopped = worker_of(1001, process.pid)
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert time.monotonic() - began < 30, "its unit has it killed then"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)
