"""Moves from end to end on small disks: what is refused and why, stopping, going away and coming back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.conda_caches import CondaBase
from builders.disks import LoopDisk, why_no_loop_disks
from builders.moves import House, fill_conda, fill_pip, house, in_a_child, looks
from builders.synthetic import pip_responses
from builders.trees_alike import portrait
from cachewarden.model.caches import MARKER, Owner
from cachewarden.model.relocations import Errand, Heading, Method, MoveOrder, Phase, Relocation
from cachewarden.model.units import Instant
from cachewarden.relocate.records import Records, form
from cachewarden.service import moving
from cachewarden.service.worker import Whom
from cachewarden.system.files import RealFiles

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
COMMAND = str(Path(sys.executable).with_name("cachewarden"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, 160) as made:
        yield made


def command(place: House, *words: str, status: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {"HOME": str(place.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environ}
    done = subprocess.run(
        [COMMAND, "--user", *words], env=clean, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL
    )
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def answer(place: House, *words: str, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(place, "--json", *words, status=status).stdout)
    return found


def alike(one: Path, other: Path) -> bool:
    """Times, links, attributes, sparse files and all; but for our marker and the top folder's time."""
    found = [portrait(each) for each in (one, other)]
    for each in found:
        each.pop(MARKER, None)
        each["."].pop("mtime", None)
        for entry in each.values():
            entry.pop("atime", None)
            entry.pop("data", None)  # where a filesystem puts its holes is its own affair
    return found[0] == found[1]


# What a person sees


def test_a_move_and_its_way_back_by_command(place: House, tmp_path: Path) -> None:
    cache, conf = place.home / ".cache/pip", place.home / ".config/pip/pip.conf"
    fill_pip(cache)
    subprocess.run(["cp", "-a", str(cache), str(tmp_path / "copy")], check=True)
    conf.parent.mkdir(parents=True)
    conf.write_bytes(b"# mine\n[global]\nquiet = 1\n")
    conf.chmod(0o640)
    to = place.to("pip")
    dry = answer(place, "relocate", "pip", str(to), "--dry-run")
    assert dry["possible"]
    assert dry["frees_bytes"] > 0
    assert not to.exists()
    assert conf.read_bytes() == b"# mine\n[global]\nquiet = 1\n"
    done = answer(place, "relocate", "pip", str(to))
    (outcome,) = done["outcomes"]
    assert (outcome["phase"], outcome["freed_bytes"] > 0, done["freed_bytes"]) == (
        "settled",
        True,
        outcome["freed_bytes"],
    )
    assert alike(to, tmp_path / "copy")
    assert not os.path.lexists(cache)
    assert conf.read_text() == f"# mine\n[global]\ncache-dir = {to}\nquiet = 1\n"
    assert command(place, "env").stdout == f"export PIP_CACHE_DIR={to}\n"
    (seen,) = answer(place, "status")["relocations"]
    assert (seen["from"], seen["to"], seen["unfinished"], seen["disk"]) == (str(cache), str(to), False, "here")
    assert answer(place, "restore", "pip")["outcomes"][0]["action"] == "restore"
    assert alike(cache, tmp_path / "copy")
    assert conf.read_bytes() == b"# mine\n[global]\nquiet = 1\n"
    assert conf.stat().st_mode & 0o777 == 0o640
    assert not to.exists()
    assert [each["unfinished"] for each in answer(place, "history")["moves"]] == [False, False]


def test_restore_leaves_what_was_edited_since_but_for_our_key(place: House, tmp_path: Path) -> None:
    base = fill_conda(place.home, tmp_path)
    rc = place.home / ".condarc"
    rc.write_text("# mine\nchannels:\n  - defaults\n")
    command(place, "relocate", "conda", str(place.to("conda")))
    assert str(place.to("conda")) in rc.read_text()
    rc.write_text(rc.read_text().replace("- defaults", "- conda-forge  # better"))
    command(place, "restore", "conda")
    assert rc.read_text() == "# mine\nchannels:\n  - conda-forge  # better\n"
    assert base.pkgs.is_dir()


def test_restore_can_leave_the_data_and_a_later_move_takes_them_up_again(place: House) -> None:
    cache = place.home / ".cache/pip"
    fill_pip(cache)
    whole = looks(cache)
    command(place, "relocate", "pip", str(place.to("pip")))
    command(place, "restore", "pip", "--leave-data")
    assert not cache.exists()
    assert looks(place.to("pip")) == whole
    pip_responses(cache, 3, size=10)
    command(place, "relocate", "pip", str(place.to("pip")))
    assert looks(place.to("pip")).keys() >= whole.keys()


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("{home}/elsewhere", "same disk"),
        ("/media/nothing/pip", "no disk is mounted"),
        ("/etc/pip", "system folder"),
        ("{disk}", "a whole disk"),
        ("{disk}/full", "is not empty"),
        ("{disk}/work/sub", "a git repository"),
        ("{disk}/env/pip", "a virtual environment"),
        ("{home}/.cache/pip/sub", "would lie in each other"),
        ("/run/pip", "does not last"),
    ],
)  # fmt: skip
def test_an_unfit_destination_is_refused_with_the_reason_and_nothing_is_touched(
    tmp_path: Path, to: str, why: str
) -> None:
    with LoopDisk(40) as own, house(tmp_path) as place:
        place.home = own.path / "home"
        fill_pip(place.home / ".cache/pip")
        before = looks(place.home / ".cache/pip")
        for name in ("full/file", "work/.git/HEAD", "env/pyvenv.cfg", "lost+found/x"):
            (place.disk.path / name).parent.mkdir(parents=True, exist_ok=True)
            (place.disk.path / name).write_text("")
        destination = to.format(home=place.home, disk=place.disk.path)
        for words in (("--dry-run",), ()):
            done = command(place, "relocate", "pip", destination, *words, status=1)
            assert why in done.stdout
        assert looks(place.home / ".cache/pip") == before
        assert not place.records()


def test_a_disk_that_is_too_small_is_refused_with_figures(place: House) -> None:
    fill_pip(place.home / ".cache/pip", count=20, size=300_000)
    place.disk.fill(3 << 20)
    moved = place.run(Errand.RELOCATE)
    assert "free, and" in moved.error
    assert not place.to("pip").exists()


def test_packages_that_environments_link_free_nothing_and_future_copies_are_foretold(
    place: House, tmp_path: Path
) -> None:
    base = fill_conda(place.home, tmp_path, synthetic=0)
    found = answer(place, "relocate", "conda", str(place.to("conda")), "--dry-run")
    assert any("full copy, not a hard link" in each for each in found["warnings"])
    linked = (base.extracted("alpha-1.0-0") / "lib/a").stat()
    assert linked.st_nlink > 2
    everything = sum(each.lstat().st_blocks for each in (base.pkgs, *base.pkgs.rglob("*"))) * 512
    assert 0 < found["frees_bytes"] < everything


def test_an_overriding_variable_is_refused_and_a_link_serves(place: House) -> None:
    cache = place.home / ".cache/pip"
    fill_pip(cache)
    place.environ["PIP_CACHE_DIR"] = str(cache)
    refused = place.run(Errand.RELOCATE)
    assert "PIP_CACHE_DIR in the environment" in refused.error
    assert not place.to("pip").exists()
    assert not place.run(Errand.RELOCATE, method=Method.SYMLINK).error
    assert cache.readlink() == place.to("pip")
    assert not place.run(Errand.RESTORE).error
    assert cache.is_dir()
    assert not cache.is_symlink()


def test_conda_keeps_its_old_folder_listed_when_that_is_asked_for(place: House, tmp_path: Path) -> None:
    base: CondaBase = fill_conda(place.home, tmp_path)
    command(place, "relocate", "conda", str(place.to("conda")), "--keep-old")
    rc = place.home / ".condarc"
    assert rc.read_text() == f"pkgs_dirs:\n  - {place.to('conda')}\n  - {base.pkgs}\n"
    assert base.pkgs.is_dir()
    command(place, "restore", "conda")
    assert not rc.exists()


# Stopping and resuming


def test_what_was_stopped_is_resumed_and_only_what_is_missing_is_copied(place: House) -> None:
    fill_pip(place.home / ".cache/pip", count=100, size=20_000)
    whole = looks(place.home / ".cache/pip")
    asked = [0]

    def may_go_on() -> bool:
        asked[0] += 1
        return asked[0] < 1100

    (first,) = place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=may_go_on)
    assert first.stopped
    assert first.copied > 0
    assert looks(place.named("pip")) == whole
    (seen,) = answer(place, "status")["relocations"]
    assert (seen["phase"], seen["unfinished"]) == ("copying", True)
    second = place.run(Errand.RELOCATE)
    assert not second.error
    assert second.copied > 0
    total = sum(int(str(each.get("size", 0))) for each in whole.values())
    assert first.copied + second.copied <= total
    assert looks(place.to("pip")) == whole


def test_what_a_power_cut_left_without_its_contents_is_found_even_when_resuming_was_stopped_between(
    place: House,
) -> None:
    """A file may have its name, size and time on the disk, and no contents, when the machine went off."""
    fill_pip(place.home / ".cache/pip", count=100, size=20_000)
    whole = looks(place.home / ".cache/pip")
    asked = [0]

    def killed() -> bool:
        asked[0] += 1
        if asked[0] > 1200:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    order = place.order(Errand.RELOCATE, "pip")
    assert in_a_child(lambda: place.settle_all(order, may_go_on=killed)) == signal.SIGKILL
    copied = max(place.to("pip").rglob("*.body"))
    times = copied.stat()
    copied.write_bytes(b"\0" * 20_000)
    os.utime(copied, ns=(times.st_atime_ns, times.st_mtime_ns))
    left = [900]

    def may_go_on() -> bool:
        left[0] -= 1
        return left[0] > 0

    assert place.settle_all(order, may_go_on=may_go_on)[0].stopped
    assert not place.run(Errand.RELOCATE).error
    assert looks(place.to("pip")) == whole


def test_a_signal_ends_the_command_with_its_status_and_the_next_run_goes_on(place: House) -> None:
    fill_pip(place.home / ".cache/pip", count=3000, size=3000)
    environ = {"HOME": str(place.home), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [COMMAND, "--user", "relocate", "pip", str(place.to("pip"))], env=environ, stdout=subprocess.PIPE, text=True
    ) as moving_:
        until = time.monotonic() + 120
        while not (place.to("pip") / "http-v2").exists() and time.monotonic() < until:
            time.sleep(0.01)
        moving_.terminate()
        assert moving_.wait(120) == 143
    assert [each.phase for each in place.records()] == [Phase.COPYING]
    (unfinished,) = [each for each in answer(place, "history")["moves"] if each["unfinished"]]
    assert unfinished["to"] == str(place.to("pip"))
    done = answer(place, "run")
    assert [each["phase"] for each in done["outcomes"]] == ["settled"]
    assert place.named("pip") == place.to("pip")
    assert not [each for each in answer(place, "history")["moves"] if each["unfinished"]]


def test_a_move_that_is_under_way_can_be_taken_back(place: House) -> None:
    fill_pip(place.home / ".cache/pip")
    whole = looks(place.home / ".cache/pip")
    asked = [0]

    def may_go_on() -> bool:
        asked[0] += 1
        return asked[0] < 500

    assert place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=may_go_on)[0].stopped
    command(place, "restore", "pip")
    assert not place.records()
    assert not place.to("pip").exists()
    assert looks(place.named("pip")) == whole


# Disks that come and go


def test_a_disk_that_goes_and_comes_is_followed_and_both_caches_become_one(place: House) -> None:
    cache, to = place.home / ".cache/pip", place.to("pip")
    fill_pip(cache)
    command(place, "relocate", "pip", str(to))
    moved = looks(to)
    place.disk.unmount()
    assert "its disk is missing" in command(place, "status").stdout
    command(place, "run")
    assert place.named("pip") == cache
    assert not to.exists()
    assert os.listdir(place.disk.path) == []
    pip_responses(cache, 60, size=50)  # of which forty are those that are on the disk, only newer
    place.disk.mount()
    command(place, "run")
    assert place.named("pip") == to
    assert not cache.exists()
    assert looks(to).keys() >= moved.keys()
    assert len(list(to.rglob("*.body"))) == 60
    assert all(each.stat().st_size == 50 for each in to.rglob("*.body"))


def test_a_disk_that_turns_read_only_is_left_and_taken_again(place: House) -> None:
    cache = place.home / ".cache/pip"
    fill_pip(cache)
    command(place, "relocate", "pip", str(place.to("pip")))
    subprocess.run(["mount", "-o", "remount,ro", str(place.disk.path)], check=True)
    command(place, "run")
    assert place.named("pip") == cache
    subprocess.run(["mount", "-o", "remount,rw", str(place.disk.path)], check=True)
    command(place, "run")
    assert place.named("pip") == place.to("pip")


def test_a_disk_that_is_full_is_left_only_when_a_cycle_could_not_help(place: House) -> None:
    cache, to = place.home / ".cache/pip", place.to("pip")
    fill_pip(cache)
    command(place, "relocate", "pip", str(to))
    place.disk.fill(1 << 16, reserve_too=True)
    config = place.home / "none.yaml"
    config.write_text("version: 1\npolicies: []\n")
    command(place, "--config", str(config), "run")
    assert place.named("pip") == to
    command(place, "--config", str(config), "run")
    assert place.named("pip") == cache
    (seen,) = answer(place, "status")["caches"]
    assert (seen["path"], seen["filesystem"]) == (str(to), str(place.disk.path))  # it can be purged
    place.disk.ballast.unlink()
    command(place, "--config", str(config), "run")
    assert place.named("pip") == to


def test_a_tool_that_was_told_otherwise_meanwhile_is_left_alone(place: House) -> None:
    cache, conf = place.home / ".cache/pip", place.home / ".config/pip/pip.conf"
    fill_pip(cache)
    command(place, "relocate", "pip", str(place.to("pip")))
    place.disk.unmount()
    command(place, "run")
    conf.write_text("[global]\ncache-dir = /srv/mine\n")
    place.disk.mount()
    command(place, "run")
    assert conf.read_text() == "[global]\ncache-dir = /srv/mine\n"
    assert not place.records()
    assert place.to("pip").is_dir()


# By policy


POLICY = (
    "version: 1\npolicies:\n"
    "  - {{name: away, match: {{ecosystem: pip}}, action: relocate, to: {to}, otherwise: {otherwise}}}\n"
)


def configured(place: House, to: Path, otherwise: str) -> tuple[str, str]:
    config = place.home / "policies.yaml"
    config.write_text(f"keep: {{newer_than: 0s}}\n{POLICY.format(to=to, otherwise=otherwise)}")
    return "--config", str(config)


def test_a_policy_moves_once_and_is_content(place: House) -> None:
    fill_pip(place.home / ".cache/pip")
    config = configured(place, place.to("pip"), "report")
    (action,) = answer(place, *config, "plan")["actions"]
    assert (action["action"], action["to"], action["config"].endswith("pip.conf")) == (
        "relocate",
        str(place.to("pip")),
        True,
    )
    assert action["copies_bytes"] > 0
    assert [each["phase"] for each in answer(place, *config, "run")["outcomes"]] == ["settled"]
    again = answer(place, *config, "run")
    assert (again["actions"], again["outcomes"]) == ([], [])


def test_without_its_disk_a_policy_takes_otherwise(place: House) -> None:
    cache = place.home / ".cache/pip"
    fill_pip(cache)
    place.disk.unmount()
    config = configured(place, Path("/media/nowhere/pip"), "purge")
    decided = answer(place, *config, "plan")
    assert {each["action"] for each in decided["actions"]} == {"purge"}
    done = answer(place, *config, "run")
    assert done["freed_bytes"] > 0
    assert not list(cache.rglob("*.body"))
    assert not os.path.lexists("/media/nowhere")
    place.disk.mount()


# Whose word counts


def test_root_with_the_home_of_another_does_nothing_that_is_recorded_there(place: House, tmp_path: Path) -> None:
    """`sudo --preserve-env=HOME cachewarden --user run`: the record is ann's, and tells to remove root's."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("root's")
    there = place.disk.path / "there"
    there.mkdir()
    record = Relocation(
        "1", "pip", str(victim), str(there), Method.CONFIG, Phase.REMOVING, Heading.OUT, Instant(0), "x",
        verified=True,
    )  # fmt: skip
    (there / MARKER).write_text(json.dumps({"id": "1"}))
    folder = place.state / "relocations"
    folder.mkdir(parents=True)
    (folder / "pip-0.json").write_bytes(form(record))
    for each in (place.home, *place.home.rglob("*")):
        os.chown(each, 41001, 41001)
    command(place, "run", "--verbose")
    command(place, "restore", "pip", status=1)
    assert (victim / "precious").read_text() == "root's"
    ann = Owner(41001, 41001, "ann", str(place.home))
    assert Records(str(folder), RealFiles(ann)).all() == (record,)


def test_a_service_that_was_taken_over_names_neither_destinations_nor_groups(place: House) -> None:
    fill_pip(place.home / ".cache/pip")
    to = str(place.to("pip"))
    whom: Whom = replace(place.whom(), destinations=(to,))
    for order, why in (
        (MoveOrder(Errand.RELOCATE, "pip", to=str(place.disk.path / "other")), "names"),
        (MoveOrder(Errand.RELOCATE, "pip", to=to, shared_group="root"), "as a group to share with"),
    ):
        (moved,) = moving.move(whom, order, may_go_on=lambda: True, progress=lambda _: None)
        assert why in moved.error
    assert not place.records()
