"""The package under the booted systemd of Debian 12 and 13: install, work, reload, stop, kill, upgrade, purge.

The tests of a release go on from one another, as a machine's life does. What they measure is kept in
``build/booted-<release>.txt``, which ``.ci/run`` prints.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.booted import ROOT, Booted, deb, older, why_not
from builders.conda_caches import CondaBase, build_package, environment_problems
from builders.disks import MIB, LoopDisk, give_to
from builders.pip_caches import LoopbackIndex, fill_pip_cache
from builders.synthetic import bodies, conda_packages, half_packages, pip_responses

pytestmark = [
    pytest.mark.root,
    pytest.mark.booted,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]
POLICIES = """\
version: 1
watch: {interval: 1h}
keep: {newer_than: 0s}
policies:
  - {name: cap, match: {ecosystem: pip}, size: {above: 400 kB, until: 200 kB}, action: purge}
"""
SMALL_DISK = """\
  - {name: small, match: {path: /mnt/small/pkgs}, free_space: {below: 40%, until: 50%}, action: purge}
"""
TO_A_DISK_OF_ROOTS = """\
  - name: to-roots
    match: {ecosystem: pip, owner: carol}
    size: {above: 10 kB}
    action: relocate
    to: /media/roots/{owner}/{ecosystem}
"""
ALL_OF_ANNS_CONDA = "  - {name: all, match: {ecosystem: conda, owner: ann}, kinds: [package], action: purge}\n"
STOP_ANNS = """\
import os, pwd, signal, time
ann = pwd.getpwnam("ann").pw_uid
while not os.path.exists("/enough"):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid in (0, ann):
                status = open(f"/proc/{pid}/status").read()
                if "Name:\\tcachewarden" in status and f"Uid:\\t{ann}" in status:
                    os.kill(int(pid), signal.SIGSTOP)
        except OSError:
            continue
    time.sleep(0.005)
"""
PACKAGES = ("six", "idna", "packaging", "click", "certifi")
KILL_LOCKER = """\
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{pid}/cmdline").read()
    except OSError:
        continue
    if "fcntl.lockf" in words and int(pid) != os.getpid():
        os.kill(int(pid), signal.SIGKILL)
"""
DROP_INS = "etc/systemd/system/cachewarden.service.d"


class Report:
    """Figures of one release, for people."""

    def __init__(self, suite: str) -> None:
        self._path = ROOT / "build" / f"booted-{suite}.txt"
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text("")

    def add(self, what: str, figure: str) -> None:
        """One line."""
        with self._path.open("a") as file:
            file.write(f"{self._path.stem}: {what}: {figure}\n")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def disk(suite: str) -> Iterator[LoopDisk]:
    with LoopDisk(32, mkfs_options=["-m", "0"]) as made:
        yield made


@pytest.fixture(scope="module")
def debian(suite: str, tmp_path_factory: pytest.TempPathFactory, disk: LoopDisk) -> Iterator[Booted]:
    booted = Booted(suite, tmp_path_factory.mktemp("booted"), {disk.path: "/mnt/small"})
    home = booted.user("ann")
    booted.user("bob")
    # What `loginctl enable-linger` leaves; the one of Debian 13 does not find its way in such a machine.
    linger = booted.root / "var/lib/systemd/linger"
    linger.mkdir(parents=True)
    (linger / "bob").touch()
    # As root's, and given away afterwards: root's pip uses no cache in a folder of another user.
    filled = tmp_path_factory.mktemp("filled")
    with LoopbackIndex() as index:
        shutil.copytree(fill_pip_cache(filled, index, packages=PACKAGES), home / ".cache" / "pip")
    (home / ".condarc").write_text("pkgs_dirs: [/mnt/small/pkgs]\n")
    booted.give(home, "ann")
    with booted:
        yield booted


@pytest.fixture(scope="module")
def report(debian: Booted) -> Report:
    return Report(debian.suite)


def files_of(debian: Booted) -> set[str]:
    """All that is in the tree but what the machine itself writes while it runs."""
    own = {
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "mnt",
        "home",
        "root",
        "var/log",
        "var/cache",
        "var/tmp",
        "var/backups",
    }
    own |= {"var/lib/apt", "var/lib/dpkg", "var/lib/systemd"}
    found = set()
    for folder, folders, files in os.walk(debian.root):
        where = os.path.relpath(folder, debian.root)
        folders[:] = [each for each in folders if os.path.normpath(f"{where}/{each}") not in own]
        found |= {os.path.normpath(f"{where}/{each}") for each in (*folders, *files) if each != "__pycache__"}
    return {each for each in found if "__pycache__" not in each and not each.startswith("etc/passwd-")}


def database_of(debian: Booted) -> list[str]:
    return [(debian.root / "etc" / name).read_text() for name in ("passwd", "group")]


def first_cycle_is_over(debian: Booted) -> bool:
    return "last cycle" in debian.property("StatusText")


def cycles(debian: Booted) -> int:
    return debian.journal().count("cycle (")


def children(debian: Booted, pid: str) -> list[str]:
    return debian.run("cat", f"/proc/{pid}/task/{pid}/children").stdout.split()


def status_of(debian: Booted, pid: str) -> dict[str, str]:
    lines = debian.run("cat", f"/proc/{pid}/status").stdout.splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def memory_of(debian: Booted, pid: str) -> float:
    """Proportional set size in MB."""
    lines = debian.run("cat", f"/proc/{pid}/smaps_rollup").stdout.splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def test_a_fresh_install_starts_with_the_safe_default_and_purging_it_leaves_nothing(
    debian: Booted, report: Report
) -> None:
    before, users = files_of(debian), database_of(debian)
    began = time.monotonic()
    debian.install(deb())
    installed = time.monotonic()
    debian.wait(lambda: first_cycle_is_over(debian))
    report.add("apt install", f"{installed - began:.1f} s")
    report.add("from the start of apt install to the end of the first cycle", f"{time.monotonic() - began:.1f} s")
    assert debian.property("ActiveState") == "active"
    assert debian.run("systemctl", "is-enabled", "cachewarden").stdout.strip() == "enabled"
    assert debian.run("cachewarden", "check").stdout.strip() == "/etc/cachewarden/cachewarden.yaml: ok"
    (debian.root / "etc/cachewarden/policies.d/mine.yaml").write_text("version: 1\npolicies: []\n")
    debian.run("apt-get", "purge", "--yes", "cachewarden")
    assert files_of(debian) - before == set()
    assert before - files_of(debian) == set()
    assert database_of(debian) == users


def test_the_sandbox_is_at_most_2_and_in_force(debian: Booted, report: Report) -> None:
    debian.install(deb())
    debian.wait(lambda: first_cycle_is_over(debian))
    exposure = debian.run("systemd-analyze", "security", "--no-pager", "cachewarden").stdout.splitlines()[-1]
    report.add("systemd-analyze security", exposure.partition(": ")[2].split()[0])
    debian.run("systemd-analyze", "security", "--threshold=20", "cachewarden")
    assert "cachewarden" not in debian.run("systemd-analyze", "--man=no", "verify", "cachewarden.service").stderr
    main = debian.property("MainPID")
    inside = ("nsenter", f"--target={main}", "--mount", "touch")
    for place in (
        "/etc",
        "/usr",
        "/boot",
        "/var/lib",
        "/var/cache",
        "/var/spool",
        "/tmp",
        "/run",
        "/run/systemd",
        "/run/lock",
    ):
        refused = debian.run(*inside, f"{place}/written-by-the-service", check=False)
        assert "Read-only file system" in refused.stderr, place
    for place in ("/home/ann", "/opt", "/srv", "/mnt/small", "/media", "/root"):
        debian.run(*inside, f"{place}/written-by-the-service")
        debian.run("rm", f"{place}/written-by-the-service")


def test_each_process_has_the_rights_it_needs_and_no_others(debian: Booted, report: Report) -> None:
    uid = debian.run("id", "--user", "cachewarden").stdout.strip()
    main = debian.property("MainPID")
    (launcher,) = children(debian, main)
    debian.wait(lambda: len(children(debian, launcher)) == 1)  # ann's watcher
    (watcher,) = children(debian, launcher)
    service, middle, worker = (status_of(debian, pid) for pid in (main, launcher, watcher))
    names = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    kept = f"{1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 0:016x}"  # KILL, SETGID, SETUID, SETPCAP, CHOWN
    assert service["Uid"].split() == middle["Uid"].split() == [uid] * 4
    assert [service[name] for name in names] == ["0" * 16] * 5
    assert [middle[name] for name in names] == ["0" * 16, kept, kept, kept, "0" * 16]
    assert worker["Uid"].split() == [debian.run("id", "--user", "ann").stdout.strip()] * 4
    assert [worker[name] for name in names] == ["0" * 16] * 5
    assert {each["NoNewPrivs"] for each in (service, middle, worker)} == {"1"}
    assert {each["Seccomp"] for each in (service, middle, worker)} == {"2"}
    figures = zip(("service", "launcher", "ann's watcher"), (main, launcher, watcher), strict=True)
    report.add("memory (PSS)", ", ".join(f"{name} {memory_of(debian, pid):.1f} MB" for name, pid in figures))


def test_a_real_pip_cache_is_brought_below_its_cap_and_the_journal_has_it_in_fields(debian: Booted) -> None:
    debian.configure(POLICIES)
    debian.wait(lambda: cycles(debian) >= 1)
    used = debian.run("du", "-s", "--block-size=1", "/home/ann/.cache/pip").stdout.split()[0]
    assert int(used) <= 200_000
    messages = [json.loads(line) for line in debian.journal("--output=json").splitlines()]
    (removed,) = [
        message for message in messages if "removed" in message["MESSAGE"] and "CACHEWARDEN_CACHE" in message
    ]
    assert removed["CACHEWARDEN_POLICY"] == "cap"
    assert removed["CACHEWARDEN_CACHE"] == "/home/ann/.cache/pip"
    assert removed["CACHEWARDEN_ECOSYSTEM"] == "pip"
    assert removed["CACHEWARDEN_OWNER"] == "ann"
    assert int(removed["CACHEWARDEN_FREED_BYTES"]) > 100_000
    assert "holds" in removed["CACHEWARDEN_REASON"]
    assert len(removed["CACHEWARDEN_CYCLE"]) == 32
    assert removed["_UID"] == debian.run("id", "--user", "cachewarden").stdout.strip()


def test_the_catalog_explains_its_messages(debian: Booted) -> None:
    assert "The policy cap removed entries of a pip cache" in debian.journal("--catalog")


def test_a_conda_cache_on_a_small_disk_is_purged_until_the_mark_and_environments_stay(
    debian: Booted, disk: LoopDisk, tmp_path: Path
) -> None:
    base = CondaBase(disk.path / "base", debian.root / "home" / "ann", pkgs=disk.path / "pkgs")
    for number in range(16):
        files = {f"lib/{number}.so": os.urandom(MIB // 2), f"bin/x{number}": b"#!/bin/sh\n"}
        base.fetch(build_package(tmp_path, f"real{number}", "1.0", files=files))
    environment = base.create_env(disk.path / "env", ["real0-1.0-0", "real1-1.0-0"])
    with (debian.root / "home/ann/.conda/environments.txt").open("w") as known:
        known.write("/mnt/small/env\n")
    uid = int(debian.run("id", "--user", "ann").stdout)
    give_to(disk.path, uid, uid)
    debian.give(debian.root / "home" / "ann", "ann")
    disk.fill(4 * MIB)
    debian.configure(POLICIES + SMALL_DISK)
    debian.wait(lambda: "small: removed" in debian.journal())
    space = os.statvfs(disk.path)
    assert space.f_bavail >= 0.5 * space.f_blocks
    assert environment_problems(environment) == []
    left = {path.name for path in (disk.path / "pkgs").iterdir() if path.is_dir()}
    assert {"real0-1.0-0", "real1-1.0-0"} <= left
    assert "real9-1.0-0" not in left or len(left) < 16


def test_a_running_conda_of_the_owner_is_seen_from_within_the_sandbox(debian: Booted, disk: LoopDisk) -> None:
    conda_packages(disk.path / "pkgs", 2)
    uid = int(debian.run("id", "--user", "ann").stdout)
    give_to(disk.path / "pkgs", uid, uid)
    become = ("setpriv", "--reuid=ann", "--regid=ann", "--clear-groups")
    script = "echo $$ > /mnt/small/pid; exec -a conda sleep 600"
    running = subprocess.Popen(debian.command(*become, "bash", "-c", script))
    try:
        name = "tr '\\0' ' ' < /proc/$(cat /mnt/small/pid)/cmdline"
        debian.wait(lambda: debian.run("sh", "-c", name, check=False).stdout.startswith("conda "))
        debian.configure(POLICIES + ALL_OF_ANNS_CONDA)
        debian.wait(lambda: "policies: cap, all" in debian.journal())
        debian.wait(lambda: debian.property("StatusText").startswith("watching; nothing was to be done"))
        assert len(list((disk.path / "pkgs").glob("made?-1.0-0"))) == 2
    finally:
        debian.run("sh", "-c", "kill $(cat /mnt/small/pid)")
        running.wait(60)
    debian.run("systemctl", "reload", "cachewarden")
    debian.wait(lambda: len(list((disk.path / "pkgs").glob("made?-1.0-0"))) == 0)


def test_a_cache_of_root_in_opt_is_purged_by_a_worker_without_capabilities(debian: Booted) -> None:
    base = debian.root / "opt" / "miniforge3"
    (base / "conda-meta").mkdir(parents=True)
    (base / "conda-meta" / "history").write_text("")
    conda_packages(base / "pkgs", 3)
    debian.give(base, "root")
    debian.configure(POLICIES + "  - {name: opt, match: {owner: root, ecosystem: conda}, action: purge}\n")
    debian.wait(lambda: [path.name for path in (base / "pkgs").iterdir()] == ["urls.txt"])
    debian.wait(lambda: "opt: removed 3 entries of /opt/miniforge3/pkgs" in debian.journal())


def test_a_disk_that_is_mounted_later_is_served_and_can_be_unmounted(debian: Booted) -> None:
    """As a USB disk: below a folder that only its user can enter, with a lock of the tool first."""
    uid = debian.run("id", "--user", "ann").stdout.strip()
    script = f"mkdir -p /media/ann/usb && chown {uid} /media/ann && chmod 700 /media/ann"
    debian.run("sh", "-c", f"{script} && mount -t tmpfs -o size=16m,mode=755,uid={uid},gid={uid} usb /media/ann/usb")
    make = "mkdir -p /media/ann/usb/pkgs/a-1-0/info && cd /media/ann/usb/pkgs && touch urls.txt"
    debian.as_user("ann", "sh", "-c", f"{make} && echo '{{}}' > a-1-0/info/index.json && touch pkgs.lock")
    lock = "import fcntl, time; f = open('/media/ann/usb/pkgs/pkgs.lock', 'r+'); fcntl.lockf(f, 2); "
    lock += "open('/media/ann/usb/locked', 'w'); time.sleep(600)"
    locking = subprocess.Popen(debian.command("setpriv", f"--reuid={uid}", "--clear-groups", "python3", "-c", lock))
    there = ("test", "-e", "/media/ann/usb/pkgs/a-1-0")
    extra = "caches: [{ecosystem: conda, path: /media/ann/usb/pkgs}]\n"
    try:
        debian.wait(lambda: debian.run("test", "-e", "/media/ann/usb/locked", check=False).returncode == 0)
        debian.configure(POLICIES + "  - {name: usb, match: {path: /media/ann/usb/pkgs}, action: purge}\n" + extra)
        debian.wait(lambda: "policies: cap, usb" in debian.journal())
        debian.wait(lambda: debian.property("StatusText").startswith("watching; nothing was to be done"))
        assert debian.run(*there, check=False).returncode == 0
    finally:
        debian.run("python3", "-c", KILL_LOCKER)
        locking.wait(60)
    debian.run("systemctl", "reload", "cachewarden")
    debian.wait(lambda: debian.run(*there, check=False).returncode == 1)
    debian.unmount("/media/ann/usb")
    debian.wait(lambda: "/media/ann/usb/pkgs: named under caches, but it is not there" in debian.journal())
    assert "/media/ann/usb" not in debian.run("cat", f"/proc/{debian.property('MainPID')}/mountinfo").stdout


def test_root_by_hand_beside_the_service_works_on_the_same_state_and_leaves_nothing_of_root_there(
    debian: Booted,
) -> None:
    for words in (["status"], ["plan"], ["run"], ["purge", "pip", "--all", "--yes"], ["history"], ["list"]):
        debian.by_hand(*words)
    state = debian.run("find", "/var/lib/cachewarden", "!", "-user", "cachewarden").stdout
    assert state == ""
    assert debian.run("stat", "--format=%a %U", "/var/lib/cachewarden").stdout.split() == ["700", "cachewarden"]
    triggers = [
        each["trigger"] for each in json.loads(debian.run("cachewarden", "--json", "history").stdout)["cycles"]
    ]
    assert "purge by hand" in triggers
    assert len(triggers) >= 3
    assert debian.property("ActiveState") == "active"


def test_a_broken_policy_leaves_the_service_running_and_a_right_one_is_taken_over(debian: Booted) -> None:
    debian.configure("version: 1\npolicys: []\n")
    debian.wait(lambda: "the running policies stay in force" in debian.journal())
    assert "cachewarden.yaml:2:1: policys:" in debian.journal()
    failed = debian.run("cachewarden", "run", check=False)
    assert (failed.returncode, "policys" in failed.stderr) == (78, True)
    debian.configure(POLICIES)
    debian.run("systemctl", "reload", "cachewarden")
    debian.wait(lambda: "the configuration was read anew; policies: cap\n" in debian.journal())
    assert debian.property("ActiveState") == "active"


def test_a_cache_that_the_sandbox_hides_is_told_by_doctor_whose_remedy_helps(debian: Booted) -> None:
    pip_responses(debian.root / "data" / "pip", 30, size=20_000)
    (debian.root / "home/ann/.config/pip").mkdir(parents=True)
    (debian.root / "home/ann/.config/pip/pip.conf").write_text("[global]\ncache-dir = /data/pip\n")
    debian.give(debian.root / "data" / "pip", "ann")
    debian.give(debian.root / "home" / "ann", "ann")
    debian.run("systemctl", "reload", "cachewarden")
    debian.wait(lambda: "/data/pip: it is mounted read-only here" in debian.journal())
    found = json.loads(debian.run("cachewarden", "--json", "doctor", check=False).stdout)["findings"]
    (hidden,) = [each for each in found if each["check"] == "sandbox"]
    assert hidden["subject"] == "/data/pip"
    assert "ReadWritePaths=-/data/pip" in hidden["remedy"]
    folder = debian.root / DROP_INS
    folder.mkdir(parents=True, exist_ok=True)
    example = debian.root / "usr/share/doc/cachewarden/examples/extra-paths.conf"
    (folder / "extra-paths.conf").write_text(example.read_text())
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "restart", "cachewarden")
    debian.wait(lambda: len(bodies(debian.root / "data" / "pip")) <= 11)
    assert json.loads(debian.run("cachewarden", "--json", "doctor", check=False).stdout)["findings"] == [
        each for each in found if each["check"] != "sandbox"
    ]


def test_stop_in_the_middle_of_a_purge_ends_within_five_seconds_and_leaves_nothing_half(
    debian: Booted, report: Report
) -> None:
    home = debian.root / "home" / "bob"
    pkgs = home / ".conda" / "pkgs"
    debian.run("systemctl", "stop", "cachewarden")
    conda_packages(pkgs, 150, files=200)
    debian.give(home, "bob")
    debian.configure(POLICIES + "  - {name: conda, match: {owner: bob}, action: purge}\n")
    took: list[float] = []
    while len(took) < 3 and min(took, default=9) >= 5:  # a machine may be busy once, and is not each time
        debian.run("systemctl", "start", "cachewarden")
        debian.wait((pkgs / ".cachewarden-trash").exists)
        began = time.monotonic()
        debian.run("systemctl", "stop", "cachewarden")
        took.append(time.monotonic() - began)
        report.add("systemctl stop in the middle of a purge", f"{took[-1]:.2f} s")
    assert min(took) < 5
    assert debian.property("Result") == "success"
    assert half_packages(pkgs, 200) == []
    assert len(list(pkgs.iterdir())) > 5


def test_killed_it_is_restarted_and_finishes_what_was_begun(debian: Booted) -> None:
    pkgs = debian.root / "home" / "bob" / ".conda" / "pkgs"
    folder = debian.root / DROP_INS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quick.conf").write_text("[Service]\nRestartSec=1\n")
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "start", "cachewarden")
    debian.run("systemctl", "kill", "--signal=KILL", "cachewarden")
    debian.wait(lambda: debian.property("NRestarts") == "1")
    debian.wait(lambda: [path.name for path in pkgs.iterdir()] == ["urls.txt"])


def test_a_stuck_worker_is_ended_while_the_watchdog_stays_content_and_the_others_are_served(debian: Booted) -> None:
    """With a watchdog of 8 s and a limit of 24 s for a look, for the patience of the test alone."""
    code = debian.root / "usr/lib/python3/dist-packages/cachewarden/service/worker.py"
    text = code.read_text()
    assert text.count('"look": Limits(300.0)') == 1
    code.write_text(text.replace('"look": Limits(300.0)', '"look": Limits(24.0)'))
    (debian.root / DROP_INS / "watchdog.conf").write_text("[Service]\nWatchdogSec=8\n")
    pip_responses(debian.root / "home/bob/.cache/pip", 60, size=20_000)
    debian.give(debian.root / "home" / "bob", "bob")
    # Ann's worker is stopped as soon as it is there, as she may.
    stopper = subprocess.Popen(debian.command("python3", "-c", STOP_ANNS))
    try:
        debian.run("systemctl", "daemon-reload")
        debian.run("systemctl", "restart", "cachewarden")
        debian.wait(lambda: "the worker of ann failed" in debian.journal())
        debian.wait(lambda: len(bodies(debian.root / "home/bob/.cache/pip")) <= 11)
    finally:
        (debian.root / "enough").touch()
        stopper.wait(60)
        code.write_text(text)
        (debian.root / DROP_INS / "watchdog.conf").unlink()
    assert (debian.property("NRestarts"), debian.property("ActiveState")) == ("0", "active")
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "restart", "cachewarden")


def test_an_upgrade_keeps_configuration_and_state(debian: Booted, tmp_path: Path) -> None:
    before = json.loads(debian.run("cachewarden", "--json", "history").stdout)["cycles"]
    configured = (debian.root / "etc/cachewarden/cachewarden.yaml").read_text()
    debian.run("apt-get", "remove", "--yes", "cachewarden")
    debian.install(older(deb(), tmp_path))
    debian.wait(lambda: first_cycle_is_over(debian))
    # As the service left it before it had a user of its own.
    debian.run("chown", "-R", "root:", "/var/lib/cachewarden")
    debian.install(deb())
    debian.wait(lambda: first_cycle_is_over(debian))
    after = json.loads(debian.run("cachewarden", "--json", "history").stdout)["cycles"]
    assert {each["started_at"] for each in before} <= {each["started_at"] for each in after}
    assert (debian.root / "etc/cachewarden/cachewarden.yaml").read_text() == configured
    assert debian.run("find", "/var/lib/cachewarden", "!", "-user", "cachewarden").stdout == ""
    assert debian.property("ActiveState") == "active"


def test_a_policy_moves_a_cache_to_a_disk_of_roots_which_is_unplugged_and_plugged_in_again(
    debian: Booted, tmp_path: Path
) -> None:
    """From within the sandbox: root makes the folder, and the kernel tells of the disk."""
    image = tmp_path / "usb"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    debian.run("useradd", "--create-home", "carol")
    pip_responses(debian.root / "home/carol/.cache/pip", 20, size=20_000)
    debian.give(debian.root / "home/carol", "carol")
    debian.run("mkdir", "/media/roots")
    device = debian.plug_in(image, "/media/roots")
    debian.configure(POLICIES + TO_A_DISK_OF_ROOTS)
    found = ("stat", "--format=%U %a", "/media/roots", "/media/roots/carol", "/media/roots/carol/pip")
    debian.wait(lambda: "moved to /media/roots/carol/pip" in debian.journal())
    assert debian.run(*found).stdout.splitlines() == ["root 755", "root 755", "carol 755"]
    debian.pull_out(device, "/media/roots")
    debian.wait(lambda: "pip uses /home/carol/.cache/pip until /media/roots/carol/pip is back" in debian.journal())
    conf = debian.root / "home/carol/.config/pip/pip.conf"
    assert not conf.exists()
    assert list((debian.root / "media/roots").iterdir()) == []
    # What pip stores meanwhile joins the rest.
    pip_responses(debian.root / "home/carol/.cache/pip", 25, size=10_000)
    debian.give(debian.root / "home/carol", "carol")
    device = debian.plug_in(image, "/media/roots")
    debian.wait(lambda: "/media/roots/carol/pip is here again, and pip uses it" in debian.journal())
    assert "cache-dir = /media/roots/carol/pip" in conf.read_text()
    bodies = debian.run("find", "/media/roots/carol/pip", "-name", "*.body").stdout.split()
    assert (len(bodies), (debian.root / "home/carol/.cache/pip").exists()) == (25, False)
    debian.configure(POLICIES)
    debian.by_hand("restore", "pip", "--owner", "carol")
    assert (debian.root / "home/carol/.cache/pip/http-v2").exists()
    assert not conf.exists()
    debian.pull_out(device, "/media/roots")


def test_the_user_unit_serves_a_user_who_lingers(debian: Booted, report: Report) -> None:
    debian.run("systemctl", "stop", "cachewarden")
    cache = debian.root / "home/bob/.cache/pip"
    pip_responses(cache, 60, size=20_000)
    configuration = debian.root / "home/bob/.config/cachewarden"
    configuration.mkdir(parents=True, exist_ok=True)
    (configuration / "cachewarden.yaml").write_text(POLICIES)
    debian.give(debian.root / "home" / "bob", "bob")
    debian.wait(
        lambda: debian.as_user("bob", "systemctl", "--user", "is-system-running", check=False).returncode == 0
    )
    debian.as_user("bob", "systemctl", "--user", "enable", "--now", "cachewarden")
    debian.wait(lambda: len(bodies(cache)) <= 11)
    state = debian.as_user("bob", "systemctl", "--user", "show", "--property=ActiveState,NRestarts", "cachewarden")
    assert set(state.stdout.split()) == {"ActiveState=active", "NRestarts=0"}
    told = ("journalctl", "--no-pager", "--output=cat", "_SYSTEMD_USER_UNIT=cachewarden.service")
    debian.wait(lambda: "cap: removed" in debian.run(*told).stdout)
    exposure = debian.as_user("bob", "systemd-analyze", "--user", "security", "--no-pager", "cachewarden").stdout
    report.add("systemd-analyze --user security", exposure.splitlines()[-1].partition(": ")[2].split()[0])
    doctor = json.loads(debian.as_user("bob", "cachewarden", "--json", "doctor").stdout)["findings"]
    assert [each for each in doctor if each["check"] == "service"] == []
