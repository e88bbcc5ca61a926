"""The unit under a real systemd, with the Python packages of Debian 12 and 13: start, work, reload, restart, stop."""

import json
import time
from collections.abc import Iterator

import pytest

from builders.booted import Booted, why_not
from builders.synthetic import conda_packages, half_packages, pip_responses

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
  - {name: cap, match: {ecosystem: pip}, size: {above: 200 kB, until: 100 kB}, action: purge}
"""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    booted = Booted(request.param, tmp_path_factory.mktemp("booted"))
    booted.configure(POLICIES)
    home = booted.user("ann")
    pip_responses(home / ".cache" / "pip", 40)
    booted.give(home, "ann")
    with booted:
        yield booted


def cycles(debian: Booted) -> int:
    return debian.journal().count("cycle (")


def test_it_starts_brings_a_users_cache_below_its_cap_and_says_so_in_fields(debian: Booted) -> None:
    debian.run("systemctl", "start", "cachewarden")
    debian.wait(lambda: cycles(debian) == 1)
    assert debian.property("ActiveState") == "active"
    assert "last cycle freed" in debian.property("StatusText")
    messages = [json.loads(line) for line in debian.journal("--output=json").splitlines()]
    (removed,) = [
        message for message in messages if "removed" in message["MESSAGE"] and "CACHEWARDEN_CACHE" in message
    ]
    assert removed["CACHEWARDEN_POLICY"] == "cap"
    assert removed["CACHEWARDEN_CACHE"] == "/home/ann/.cache/pip"
    assert removed["CACHEWARDEN_OWNER"] == "ann"
    assert int(removed["CACHEWARDEN_FREED_BYTES"]) > 100_000
    assert "holds" in removed["CACHEWARDEN_REASON"]


def test_the_catalog_explains_its_messages(debian: Booted) -> None:
    debian.run("journalctl", "--update-catalog")
    assert "The policy cap removed entries of a pip cache" in debian.journal("--catalog")


def test_a_broken_policy_leaves_the_service_running_and_a_right_one_is_taken_over(debian: Booted) -> None:
    debian.configure("version: 1\npolicys: []\n")
    debian.wait(lambda: "the running policies stay in force" in debian.journal())
    assert "cachewarden.yaml:2:1: policys:" in debian.journal()
    debian.configure(POLICIES)
    debian.run("systemctl", "reload", "cachewarden")
    debian.wait(lambda: "the configuration was read anew; policies: cap" in debian.journal())
    assert debian.property("ActiveState") == "active"


def test_stop_in_the_middle_of_a_purge_ends_within_five_seconds_and_leaves_nothing_half(debian: Booted) -> None:
    home = debian.root / "home" / "ann"
    pkgs = home / ".conda" / "pkgs"
    debian.run("systemctl", "stop", "cachewarden")
    conda_packages(pkgs, 60, files=200)
    debian.give(home, "ann")
    debian.configure(POLICIES + "  - {name: conda, match: {ecosystem: conda}, action: purge}\n")
    debian.run("systemctl", "start", "cachewarden")
    debian.wait((pkgs / ".cachewarden-trash").exists)
    began = time.monotonic()
    debian.run("systemctl", "stop", "cachewarden")
    assert time.monotonic() - began < 5
    assert debian.property("Result") == "success"
    assert half_packages(pkgs, 200) == []


def test_killed_it_is_restarted_and_finishes_what_was_begun(debian: Booted) -> None:
    pkgs = debian.root / "home" / "ann" / ".conda" / "pkgs"
    drop_in = debian.root / "etc/systemd/system/cachewarden.service.d"
    drop_in.mkdir()
    (drop_in / "quick.conf").write_text("[Service]\nRestartSec=1\n")
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "start", "cachewarden")
    debian.run("systemctl", "kill", "--signal=KILL", "cachewarden")
    debian.wait(lambda: debian.property("NRestarts") == "1")
    debian.wait(lambda: [path.name for path in pkgs.iterdir()] == ["urls.txt"], 60)


def test_the_sandbox_is_in_force(debian: Booted) -> None:
    debian.wait(lambda: debian.property("ActiveState") == "active")
    main = debian.property("MainPID")
    inside = debian.run("cat", f"/proc/{main}/status").stdout
    fields = dict(line.split(":", 1) for line in inside.splitlines() if ":" in line)
    # CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_DAC_READ_SEARCH
    assert int(fields["CapBnd"], 16) == 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 2
    assert fields["NoNewPrivs"].strip() == "1"
