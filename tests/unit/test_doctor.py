"""What stands in the way: each thing is found, has a remedy, and is not found where it is not so."""

from dataclasses import replace

import pytest

import makers
from cachewarden.cli.render import doctor as screen
from cachewarden.cli.render import json, tables
from cachewarden.cli.render.words import View
from cachewarden.ecosystems import conda_config, pip_config
from cachewarden.ecosystems.base import StrangeKey, Surroundings
from cachewarden.examine import examine
from cachewarden.model.caches import Problem
from cachewarden.model.findings import Fact, FactKind, Finding, Severity
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant
from cachewarden.service import doctor, remedies
from cachewarden.service.doctor import Machine
from cachewarden.system.ports import Mount, Space
from cachewarden.system.unit import UnitState
from fakes import FakeFiles

ANN = makers.owner("ann")
GOOD = UnitState(is_loaded=True, is_enabled=True, is_active=True, needs_reload=False, writable=None)
WELL = Machine(booted=True, state=GOOD, journal_reached=True, lingers=True)
MIB = makers.MIB


def told(asked: Machine, *, system: bool = True, has_user: bool = True) -> list[tuple[str, str, str]]:
    found = list(doctor.service(asked, system=system, has_user=has_user))
    assert all(each.remedy for each in found)
    return [(each.severity.value, each.problem, each.remedy) for each in found]


def test_where_all_is_well_nothing_is_said() -> None:
    assert told(WELL) == []


@pytest.mark.parametrize(
    ("change", "severity", "problem", "remedy"),
    [
        ({"is_loaded": False}, "error", "the unit is not installed", "install the package"),
        ({"is_active": False}, "error", "it does not run", "why it ended: journalctl -u cachewarden"),
        ({"is_enabled": False}, "warning", "it is not started with the machine",
         "systemctl enable --now cachewarden"),
        ({"needs_reload": True}, "warning", "its unit was changed on disk", "systemctl daemon-reload"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_unit_is_told(
    change: dict[str, bool], severity: str, problem: str, remedy: str
) -> None:
    ((is_severity, is_problem, is_remedy),) = told(replace(WELL, state=replace(GOOD, **change)))  # type: ignore[arg-type]  # all of the changes are booleans
    assert is_severity == severity
    assert problem in is_problem
    assert remedy in is_remedy


def test_a_users_own_service_has_commands_of_its_own() -> None:
    machine = replace(WELL, state=replace(GOOD, is_enabled=False), lingers=False)
    assert [remedy for _, _, remedy in told(machine, system=False)] == [
        "systemctl --user enable --now cachewarden",
        "loginctl enable-linger",
    ]


def test_a_missing_user_a_deaf_journal_and_a_machine_without_systemd_are_told() -> None:
    assert [each[0] for each in told(WELL, has_user=False)] == ["error"]
    assert "told to nobody" in told(replace(WELL, journal_reached=False))[0][1]
    assert [each[0] for each in told(Machine(False, None, journal_reached=False, lingers=True))] == ["note"]
    assert "does not answer" in told(replace(WELL, state=None))[0][1]


def test_disks_that_are_read_only_or_do_not_track_use_are_told() -> None:
    disk = makers.filesystem()
    blind, stuck = replace(disk, tracks_atime=False, mount="/a"), replace(disk, read_only=True, mount="/b")
    found = list(doctor.disks([replace(disk, tracks_atime=True), blind, stuck]))
    assert [(each.check, each.severity.value, each.subject) for each in found] == [
        ("last use", "note", "/a"),
        ("disk", "warning", "/b"),
    ]


@pytest.mark.parametrize(
    ("type_", "size", "severity"),
    [
        ("tmpfs", 208, Severity.WARNING),
        ("tmpfs", 700, Severity.NOTE),
        ("tmpfs", 4096, None),
        ("ext4", 208, None),
    ],
)
def test_a_small_tmp_in_memory_is_told(type_: str, size: int, severity: Severity | None) -> None:
    mount = Mount("/tmp", type_, tracks_atime=True, read_only=False)
    space = Space(Bytes(size * MIB), Bytes(size * MIB), Inodes(1), Inodes(1))
    assert [each.severity for each in doctor.temporary_folder(mount, space)] == ([severity] if severity else [])


def test_a_cache_that_the_sandbox_hides_is_told_with_the_line_that_mends_it() -> None:
    state = replace(GOOD, writable=("/home", "/srv"))
    caches = [makers.cache(path=path) for path in ("/home/ann/.cache/pip", "/srv", "/srvx/pkgs", "/data/pkgs")]
    found = list(doctor.hidden(state, caches))
    assert [each.subject for each in found] == ["/srvx/pkgs", "/data/pkgs"]
    assert "ReadWritePaths=-/data/pkgs" in found[1].remedy
    assert list(doctor.hidden(GOOD, caches)) == list(doctor.hidden(None, caches)) == []


def test_a_clock_that_was_never_set_or_went_back_is_told() -> None:
    year = 365 * 86_400 * NANOSECONDS
    now = Instant(70 * year)
    assert [each.severity for each in doctor.clock(Instant(year), [])] == [Severity.WARNING]
    assert [each.severity for each in doctor.clock(now, [Instant(now + year)])] == [Severity.WARNING]
    assert all(each.severity is Severity.NOTE for each in doctor.clock(now, [Instant(now - year)]))


def test_a_problem_that_is_explained_better_is_not_told_twice() -> None:
    snapshot = replace(makers.snapshot(), problems=(Problem("/a", "broken"), Problem("/b", "odd")))
    known = Finding("files of others", Severity.WARNING, "/a", "x", "y")
    assert [each.subject for each in doctor.problems(snapshot, [known])] == ["/b"]


def test_keys_that_the_tools_do_not_know_are_found_with_the_nearest_that_they_do() -> None:
    files = {
        "/home/ann/.config/pip/pip.conf": "[global]\ncache_dirr = /x\nindex-url = y\n[instal]\nuser = 1\n",
        "/home/ann/.condarc": "pkg_dirs: [/x]\nalways_yes: true\nuse_uv: true\nfoo: 1\n",
    }
    surroundings = Surroundings(ANN, {"HOME": "/home/ann"}, FakeFiles(files))
    pip, conda = pip_config.locate(surroundings), conda_config.locate(surroundings)
    assert pip.strange == (
        StrangeKey("/home/ann/.config/pip/pip.conf", "cache-dirr", "cache-dir"),
        StrangeKey("/home/ann/.config/pip/pip.conf", "[instal]", "[install]"),
    )
    assert conda.strange == (
        StrangeKey("/home/ann/.condarc", "pkg_dirs", "pkgs_dirs"),
        StrangeKey("/home/ann/.condarc", "foo", None),
    )
    found = list(remedies.findings(ANN, examine(surroundings, [], [pip, conda], lambda _: None), None))
    keys = [each for each in found if each.check == "configuration"]
    assert [(each.subject, each.problem, each.remedy) for each in keys][2:] == [
        ("/home/ann/.condarc", "conda does not know 'pkg_dirs' and ignores it", "'pkgs_dirs' is near: correct it"),
        ("/home/ann/.condarc", "conda does not know 'foo' and ignores it", "correct or remove it"),
    ]


def test_a_home_that_is_not_there_is_told() -> None:
    (found,) = remedies.findings(ANN, examine(Surroundings(ANN, {}, FakeFiles()), [], [], lambda _: None), None)
    assert (found.severity, "the home /home/ann is not there" in found.problem) == (Severity.NOTE, True)


def test_the_screen_has_the_remedy_in_one_piece_and_ends_with_a_verdict() -> None:
    found = [
        Finding("service", Severity.ERROR, "x", "it does not run", "systemctl start x"),
        Finding("last use", Severity.NOTE, "/home/ann/x", "noatime", "nothing"),
    ]
    lines = list(tables.plain(screen.findings(found, View(makers.NOW))))
    assert lines[:4] == ["error: service: x", "  it does not run", "  remedy: systemctl start x", ""]
    assert lines[-1] == "1 thing stands in the way, and 1 note."
    assert list(tables.plain(screen.findings([], View(makers.NOW)))) == ["Nothing stands in the way."]
    assert json.findings(found)["findings"][0] == {  # type: ignore[index]  # a list of findings
        "check": "service", "severity": "error", "subject": "x", "problem": "it does not run",
        "remedy": "systemctl start x",
    }  # fmt: skip


@pytest.mark.parametrize(
    "place",
    ["/etc/systemd", "/home/ann", "/home/ann/../bob", "/home/ann//x", "/home/annex/x", "/home/ann/x\n; id", "x"],
)
def test_no_command_is_offered_for_a_place_that_is_not_plainly_in_the_owners_home(place: str) -> None:
    """A worker may lie, and root types what is offered."""
    for kind in (FactKind.TAKEN_OVER, FactKind.FOREIGN_FILES):
        (found,) = remedies.findings(ANN, [Fact(kind, place, "x; id", uid=0)], None)
        assert "chown" not in found.remedy


def test_a_command_quotes_the_place_and_looks_where_it_is() -> None:
    (found,) = remedies.findings(ANN, [Fact(FactKind.TAKEN_OVER, "/home/ann/$(id) x", uid=0)], None)
    assert found.remedy.startswith("""(cd -P '/home/ann/$(id) x' && [ "$PWD" = '/home/ann/$(id) x' ] && find . """)


def test_a_name_that_a_user_chose_for_a_mount_or_a_cache_is_no_command_and_no_second_path() -> None:
    (disk,) = doctor.disks([replace(makers.filesystem(read_only=True), mount="/media/ann/$(id)>x")])
    assert disk.remedy.startswith("mount -o remount,rw '/media/ann/$(id)>x';")
    (shut,) = doctor.hidden(replace(GOOD, writable=("/home",)), [makers.cache(path="/data/x /etc")])
    assert "/etc" not in shut.remedy
