"""System mode from end to end: root serves all users, each by a worker with that user's rights."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from builders.machine import Machine
from builders.service import eventually
from builders.synthetic import bodies, conda_packages, pip_responses

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]

PURGE_ALL = """\
version: 1
watch: {interval: 1h}
keep: {newer_than: 0s}
policies:
  - {name: all, action: purge}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tmp_path.chmod(0o755)
    return Machine(tmp_path)


def pip_cache(machine: Machine, name: str, count: int = 3) -> Path:
    cache = machine.home(name) / ".cache" / "pip"
    pip_responses(cache, count)
    machine.give(machine.home(name), name)
    return cache


def answer(machine: Machine, *words: str) -> dict[str, Any]:
    done = machine.run("--json", *words)
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def left(cache: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(cache))


def test_every_owner_is_served_with_the_interpreter_in_a_place_they_cannot_read(machine: Machine) -> None:
    caches = {name: pip_cache(machine, name) for name in ("root", "ann", "bob")}
    seen = answer(machine, "status")
    assert {(cache["owner"], cache["path"]) for cache in seen["caches"]} == {
        (name, f"/home/{name}/.cache/pip") for name in caches
    }
    assert seen["problems"] == []


def test_a_cycle_purges_each_cache_as_its_owner(machine: Machine) -> None:
    machine.config.write_text(PURGE_ALL)
    caches = [pip_cache(machine, name) for name in ("ann", "bob")]
    done = answer(machine, "run")
    assert [left(cache) for cache in caches] == [0, 0]
    assert {outcome["cache"] for outcome in done["outcomes"]} == {"/home/ann/.cache/pip", "/home/bob/.cache/pip"}


def test_the_services_own_variables_say_nothing_about_other_owners(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_cache(machine, "ann")
    monkeypatch.setenv("PIP_CACHE_DIR", str(machine.home("bob") / "elsewhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/bob/other")
    assert [cache["path"] for cache in answer(machine, "status")["caches"]] == ["/home/ann/.cache/pip"]


def test_a_cache_behind_a_link_to_another_users_files_is_refused_with_the_reason(machine: Machine) -> None:
    victim = pip_cache(machine, "bob")
    link = machine.home("ann") / ".cache" / "pip"
    link.parent.mkdir()
    machine.config.write_text(PURGE_ALL.replace("- {name: all", "- {name: all, match: {owner: ann}"))
    link.symlink_to("/home/bob/.cache/pip")
    machine.give(link.parent, "ann")
    done = answer(machine, "run")
    assert left(victim) == 6
    reasons = {problem["path"]: problem["reason"] for problem in answer(machine, "status")["problems"]}
    assert "it is a link to /home/bob/.cache/pip, out of reach" in reasons["/home/ann/.cache/pip"]
    machine.home("bob").chmod(0o755)
    (problem,) = answer(machine, "status")["problems"]
    assert "it belongs to bob, not to ann" in problem["reason"]
    assert done["outcomes"] == []


def test_a_cache_that_sudo_took_over_is_refused_with_the_reason(machine: Machine) -> None:
    cache = pip_cache(machine, "bob")
    machine.give(cache, "root")
    (problem,) = answer(machine, "status")["problems"]
    assert (problem["path"], "it belongs to root, not to bob" in problem["reason"]) == ("/home/bob/.cache/pip", True)


def test_odd_times_and_names_do_not_cost_an_owner_the_look(machine: Machine) -> None:
    cache = pip_cache(machine, "ann")
    bodies = sorted(cache.rglob("*.body"))
    os.utime(bodies[0], (-4_000_000_000, -4_000_000_000))
    os.utime(bodies[1], (2**33, 2**33))
    pkgs = machine.home("ann") / ".conda" / "pkgs"
    for number, (package, name) in enumerate(
        zip(conda_packages(pkgs, 4), ("\ud800bad", "a\0b", "x" * 70_000, "../../etc"), strict=True)
    ):
        (package / "info" / "repodata_record.json").write_text(json.dumps({"name": name, "version": number}))
    machine.give(machine.home("ann"), "ann")
    machine.config.write_text(PURGE_ALL)
    assert {entry["name"] for entry in answer(machine, "list", "conda")["entries"]} == {f"made{n}" for n in range(4)}
    done = answer(machine, "run")
    assert ([path.name for path in pkgs.iterdir()], done["shortfall_bytes"]) == (["urls.txt"], 0)
    assert len(answer(machine, "history")["cycles"]) == 1


def test_a_package_cache_below_opt_is_served_by_its_own_owner(machine: Machine) -> None:
    base = machine.folder / "opt" / "lab"
    (base / "conda-meta").mkdir(parents=True)
    (base / "conda-meta" / "history").write_text("")
    conda_packages(base / "pkgs", 1)
    with (machine.folder / "passwd").open("a") as passwd:
        passwd.write("\nsvc:x:451:451::/nonexistent:/usr/sbin/nologin\n")
    os.chown(base / "pkgs", 451, 451)
    assert [(cache["owner"], cache["path"]) for cache in answer(machine, "status")["caches"]] == [
        ("svc", "/opt/lab/pkgs")
    ]


def test_files_of_root_in_a_users_cache_are_a_failure_and_stay(machine: Machine) -> None:
    machine.config.write_text(PURGE_ALL)
    cache = pip_cache(machine, "ann", 2)
    shard = next(path for path in sorted(cache.rglob("*.body"))).parent
    os.chown(shard, 0, 0)
    done = answer(machine, "run")
    assert left(cache) == 2
    (outcome,) = done["outcomes"]
    assert outcome["failures"][0]["error"] == "Permission denied"


def test_a_machine_wide_conda_is_served_by_the_owner_of_its_folder_and_kept_for_everybody(machine: Machine) -> None:
    machine.config.write_text(PURGE_ALL)
    base = machine.folder / "opt" / "miniforge3"
    (base / "conda-meta").mkdir(parents=True)
    (base / "conda-meta" / "history").write_text("")
    conda_packages(base / "pkgs", 2)
    environment = machine.home("ann") / "env" / "conda-meta"
    environment.mkdir(parents=True)
    (environment / "made0-1.0-0.json").write_text("{}")
    (environment / "history").write_text("")
    (machine.home("ann") / ".conda").mkdir()
    (machine.home("ann") / ".conda" / "environments.txt").write_text("/home/ann/env\n")
    machine.give(machine.home("ann"), "ann")
    done = answer(machine, "run")
    assert [outcome["cache"] for outcome in done["outcomes"]] == ["/opt/miniforge3/pkgs"]
    assert sorted(path.name for path in (base / "pkgs").iterdir()) == ["made0-1.0-0", "urls.txt"]
    listed = answer(machine, "list")["entries"]
    assert [entry["hold"] for entry in listed] == [
        "in use by an environment of another user (recorded in its conda-meta)"
    ]


def test_only_the_owners_that_are_named_are_served(machine: Machine) -> None:
    pip_cache(machine, "ann")
    pip_cache(machine, "bob")
    machine.config.write_text("version: 1\nowners: [bob]\npolicies: []\n")
    assert [cache["owner"] for cache in answer(machine, "status")["caches"]] == ["bob"]


def test_an_extra_cache_is_served_by_the_owner_of_its_folder(machine: Machine) -> None:
    pkgs = machine.home("bob") / "data" / "pkgs"
    conda_packages(pkgs, 1)
    machine.give(machine.home("bob"), "bob")
    machine.config.write_text("version: 1\ncaches: [{ecosystem: conda, path: /home/bob/data/pkgs}]\npolicies: []\n")
    (cache,) = answer(machine, "status")["caches"]
    assert (cache["owner"], cache["source"]) == ("bob", "named in the configuration of cachewarden")


def test_the_daemon_serves_all_and_its_watchers_bring_the_next_look_forward(machine: Machine) -> None:
    machine.config.write_text(PURGE_ALL)
    pip_cache(machine, "ann")
    log = machine.folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(machine.arguments("--verbose", "daemon", "--for", "280s"), stderr=stream)
    try:
        wait_for(log, "cycle (start)")
        eventually((machine.folder / "state" / "watching.json").exists)
        cache = pip_cache(machine, "ann", 4)
        wait_for(log, "cycle (file events)")
        eventually(lambda: left(cache) == 0, 200)  # a cycle may have come before all of it was there
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)


def test_a_disk_that_only_its_owner_can_reach_is_sampled_by_that_owners_watcher(machine: Machine) -> None:
    """As ``/media/pi/…``: the service may not even enter the folder above it."""
    machine.config.write_text(
        "version: 1\nwatch: {interval: 1h}\nkeep: {newer_than: 0s}\n"
        "caches: [{ecosystem: pip, path: /home/ann/media/usb/pip}]\n"
        "policies:\n  - {name: usb, match: {owner: ann}, free_space: {below: 50%}, action: purge}\n"
    )
    (machine.home("ann") / "media" / "usb").mkdir(parents=True)
    machine.give(machine.home("ann"), "ann")
    log = machine.folder / "log"
    daemon = machine.arguments("--verbose", "daemon", "--for", "280s")
    pip_responses(machine.folder / "filled", 3)
    # The cache is full before anybody watches it: file events are to bring nothing forward here.
    usb = "/home/ann/media/usb"
    mount = f"mount -t tmpfs -o size=16m,mode=755,uid=1001,gid=1001 usb {usb}"
    script = f'{mount}; cp -r /srv/filled {usb}/pip; chown -R 1001:1001 {usb}/pip; exec "$@"'
    words = [*machine.inside("sh", "-c", script, "sh"), *daemon[len(machine.inside()) :]]
    with log.open("w") as stream:
        process = subprocess.Popen(words, stderr=stream)
    try:
        wait_for(log, "cycle (start)")
        eventually((machine.folder / "state" / "watching.json").exists)
        seen = Path(f"/proc/{process.pid}/root{usb}")
        assert usb in (Path(f"/proc/{process.pid}") / "mountinfo").read_text()
        assert len(bodies(seen)) == 3
        (seen / "film").write_bytes(b"x" * (10 << 20))
        wait_for(log, "cycle (a disk filled up)")
        assert bodies(seen) == []
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 200
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"])
def test_json_in_any_encoding_costs_nobody_the_look(machine: Machine, encoding: str) -> None:
    """The interpreter loads codecs late, and its files may be closed to the owner."""
    cache = pip_cache(machine, "ann")
    wheel = cache / "wheels/aa/bb/cc" / ("d" * 50)
    wheel.mkdir(parents=True)
    (wheel / "origin.json").write_bytes('{"url": "https://x.invalid/six-1.0.tar.gz"}'.encode(encoding))
    (package,) = conda_packages(machine.home("ann") / ".conda" / "pkgs", 1)
    (package / "info" / "repodata_record.json").write_bytes('{"name": "six"}'.encode(encoding))
    machine.give(machine.home("ann"), "ann")
    seen = answer(machine, "status")
    assert (len(seen["caches"]), seen["problems"]) == (2, [])


def test_a_home_that_is_gone_costs_nobody_anything(machine: Machine) -> None:
    pip_cache(machine, "bob")
    shutil.rmtree(machine.home("ann"))
    seen = answer(machine, "status")
    assert ([cache["owner"] for cache in seen["caches"]], seen["problems"]) == (["bob"], [])
