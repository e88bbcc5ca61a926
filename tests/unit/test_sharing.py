"""Caches that a group shares: what is right and wrong with a folder, and what is said of it."""

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

import makers
from cachewarden.cli.render import doctor as screen
from cachewarden.cli.render import json, tables
from cachewarden.cli.render.words import View
from cachewarden.ecosystems.base import Surroundings
from cachewarden.examine import examine
from cachewarden.model.caches import Cache, Problem
from cachewarden.model.errors import WorkerError
from cachewarden.model.findings import Fact, FactKind, Finding, Mended, Severity
from cachewarden.relocate import sharing as relocating
from cachewarden.relocate.places import Place
from cachewarden.service import doctor, remedies
from cachewarden.service.shared_remedies import FIX
from cachewarden.service.worker import MOST_MENDED
from cachewarden.service.workers import _hear_mended
from cachewarden.system import acl
from cachewarden.system.ports import Mount
from cachewarden.system.sharing import Faults, Shared, file_is_wrong, folder_wrongs
from fakes import FakeFiles

ANN = makers.owner("ann")
GID, OTHER = 4_000_100, 4_000_200
PLACE = "/srv/pkgs"
GOOD = acl.shared(GID, 5)
CLOSED, NO_SETGID, NO_DEFAULT = FactKind.SHARED_CLOSED, FactKind.SHARED_NO_SETGID, FactKind.SHARED_NO_DEFAULT


def status(mode: int, gid: int = GID, *, kind: int = stat.S_IFDIR) -> os.stat_result:
    return os.stat_result((kind | mode, 1, 1, 1, 1000, gid, 0, 0, 0, 0))


def told(facts: list[Fact]) -> list[Finding]:
    return list(remedies.findings(ANN, facts, None))


# -- ACLs --------------------------------------------------------------------------------------------------------


def test_an_acl_has_the_bytes_that_the_kernel_keeps() -> None:
    data = acl.packed(acl.shared(7, 5))
    assert data == struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, rights, who)
        for tag, rights, who in (
            (1, 7, 2**32 - 1),
            (4, 7, 2**32 - 1),
            (8, 7, 7),
            (16, 7, 2**32 - 1),
            (32, 5, 2**32 - 1),
        )
    )
    assert acl.unpacked(data) == acl.shared(7, 5)


@pytest.mark.parametrize("data", [b"", b"\2\0\0", b"\1\0\0\0", b"\2\0\0\0abc"])
def test_what_is_no_acl_is_not_taken_for_one(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an ACL"):
        acl.unpacked(data)


def test_the_mask_takes_rights_away_and_any_entry_of_the_group_gives_them() -> None:
    entries = [acl.Entry(1, 7), acl.Entry(4, 1), acl.Entry(8, 6, GID), acl.Entry(8, 7, OTHER), acl.Entry(32, 0)]
    assert acl.rights_of((*entries, acl.Entry(16, 7)), GID) == 7
    assert acl.rights_of((*entries, acl.Entry(16, 5)), GID) == 5
    assert acl.rights_of((acl.Entry(1, 7), acl.Entry(4, 5), acl.Entry(32, 0)), GID) == 5


def test_widening_keeps_what_an_administrator_gave_to_others() -> None:
    before = (acl.Entry(1, 7), acl.Entry(2, 7, 55), acl.Entry(4, 5), acl.Entry(16, 5), acl.Entry(32, 0))
    after = acl.unpacked(acl.packed(acl.widened(before, GID)))
    assert acl.rights_of(after, GID) == 7
    assert {acl.Entry(2, 7, 55), acl.Entry(32, 0), acl.Entry(1, 7)} <= set(after)
    assert [each.tag for each in after] == [1, 2, 4, 8, 16, 32]
    assert acl.widened(acl.widened(before, GID), GID) == acl.widened(before, GID)


# -- folders and files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "gid", "default", "wrongs"),
    [
        (0o2775, GID, GOOD, []),
        (0o2755, GID, GOOD, [CLOSED]),
        (0o775, GID, GOOD, [NO_SETGID]),
        (0o2775, GID, None, [NO_DEFAULT]),
        (0o2775, GID, acl.shared(OTHER, 5)[:1], [NO_DEFAULT]),
        (0o2775, OTHER, GOOD, [FactKind.SHARED_OTHER_GROUP]),
        (0o700, GID, None, [CLOSED, NO_SETGID, NO_DEFAULT]),
    ],
)
def test_each_thing_that_keeps_members_out_of_a_folder_is_found(
    mode: int, gid: int, default: acl.Acl | None, wrongs: list[FactKind]
) -> None:
    assert list(folder_wrongs(status(mode, gid), GID, None, default)) == wrongs


def test_an_acl_that_gives_the_group_less_than_the_mode_shows_counts() -> None:
    access = (acl.Entry(1, 7), acl.Entry(2, 7, 55), acl.Entry(4, 5), acl.Entry(16, 7), acl.Entry(32, 0))
    assert list(folder_wrongs(status(0o2770), GID, access, GOOD)) == [CLOSED]


def test_where_there_are_no_acls_a_folder_without_one_is_right() -> None:
    assert list(folder_wrongs(status(0o2775), GID, None, None, acls=False)) == []


@pytest.mark.parametrize(
    ("mode", "wrong"),
    [(0o664, False), (0o644, True), (0o444, False), (0o400, True), (0o755, True), (0o775, False), (0o4755, False)],
)
def test_the_group_of_a_file_gets_what_its_owner_has_but_never_of_a_setuid_one(mode: int, wrong: bool) -> None:
    assert file_is_wrong(status(mode, kind=stat.S_IFREG), GID) is wrong
    assert file_is_wrong(status(mode, kind=stat.S_IFLNK), GID) is False


def test_a_file_of_another_group_is_wrong() -> None:
    assert file_is_wrong(status(0o664, OTHER, kind=stat.S_IFREG), GID)


# -- what is said ------------------------------------------------------------------------------------------------


def faults(*kinds: FactKind, acls: bool = True) -> Faults:
    found = Faults(acls=acls)
    for kind in kinds:
        found.tell(kind, f"{PLACE}/{kind}")
    return found


def facts_of(found: Faults | OSError | None) -> list[Fact]:
    cache = Cache("conda", PLACE, ANN, "x")

    def look(asked: Cache) -> Shared | None:
        assert asked is cache
        if isinstance(found, OSError):
            raise found
        return Shared(GID, found) if found else None

    surroundings = Surroundings(ANN, {}, FakeFiles(folders=["/home/ann"]))
    return [each for each in examine(surroundings, [cache], [], look) if each.kind.value.startswith("shared")]


def test_a_cache_that_is_not_shared_or_cannot_be_looked_at_has_no_such_facts() -> None:
    assert facts_of(None) == facts_of(OSError(5, "bad")) == []


def test_the_faults_of_a_cache_are_one_finding_with_the_first_of_each_and_the_command_that_mends_them() -> None:
    facts = facts_of(faults(CLOSED, CLOSED, FactKind.SHARED_FILES))
    assert facts[1] == Fact(CLOSED, PLACE, f"{PLACE}/shared-closed", count=2, gid=GID)
    broken, trusting = told(facts)
    assert (broken.severity, broken.subject, broken.remedy) == (Severity.WARNING, PLACE, FIX)
    assert f"cannot write in 2 folders, the first is {PLACE}/shared-closed: their downloads" in broken.problem
    assert f"1 file cannot be read or changed by members of gid {GID}" in broken.problem
    assert trusting.severity is Severity.NOTE


def test_every_fault_has_words() -> None:
    for kind in (each for each in FactKind if each.value.startswith("shared")):
        (found,) = told([Fact(kind, PLACE, "conda", count=3, gid=GID)])
        assert found.problem
        assert found.remedy


def test_a_shared_cache_is_a_note_with_the_safe_form_and_no_path_that_a_worker_named() -> None:
    (found,) = told(facts_of(faults()))
    assert (found.severity, found.subject) == (Severity.NOTE, PLACE)
    assert f"each member of gid {GID} can change what the others install" in found.problem
    assert "conda config --append pkgs_dirs FOLDER" in found.remedy
    (pip,) = told([Fact(FactKind.SHARED, "/x; id", "pip", gid=GID)])
    assert "find-links" in pip.remedy
    assert "id" not in told([Fact(FactKind.SHARED, "/x; id", "; id", gid=GID)])[0].remedy.split()


def test_what_belongs_to_others_is_linked_or_lies_where_there_are_no_acls_is_told_apart() -> None:
    found = told(facts_of(faults(FactKind.SHARED_FOREIGN, FactKind.SHARED_LINKED, acls=False)))
    assert [(each.severity.value, each.remedy == FIX) for each in found] == [
        ("warning", False), ("note", False), ("note", False), ("note", False),
    ]  # fmt: skip
    assert "they stay as they are" in found[1].problem
    assert "has no ACLs" in found[2].problem


def test_a_gid_beyond_all_bounds_is_only_a_number() -> None:
    (found,) = told([Fact(FactKind.SHARED, PLACE, "conda", gid=2**62)])
    assert f"gid {2**62}" in found.problem


def test_a_cache_that_others_list_behind_their_own_is_no_problem_of_theirs() -> None:
    cache = makers.cache(path=PLACE)
    refused = Problem(PLACE, "refused as a cache (~/.condarc): it belongs to ann, not to bob")
    snapshot = makers.snapshot(cache)
    assert list(doctor.problems(replace(snapshot, problems=(refused,)), [])) == []
    assert [each.subject for each in doctor.problems(replace(snapshot, problems=(Problem(PLACE, "odd"),)), [])] == [
        PLACE
    ]
    assert len(list(doctor.problems(replace(makers.snapshot(), problems=(refused,)), []))) == 1


def test_what_was_mended_and_what_is_left_is_shown_and_told_to_scripts() -> None:
    done = [Mended(PLACE, 12, 1, 2, f"{PLACE}/x: Operation not permitted", 3), Mended("/srv/pip", 1, 0)]
    failed = [Problem("bob", "the worker of bob failed")]
    lines = list(tables.plain(screen.mended(done, failed, View(makers.NOW))))
    assert [line.strip() for line in lines if line.strip()] == [
        "Mended",
        "/srv/pkgs: 12 folders and 1 file",
        "2 left as they are, the first: /srv/pkgs/x: Operation not permitted",
        "3 files with names elsewhere not touched",
        "/srv/pip: 1 folder and 0 files",
        "bob: the worker of bob failed",
    ]
    told = json.fixed(done, failed)
    assert told["fixed"][1] == {  # type: ignore[index]  # a list of what was mended
        "path": "/srv/pip", "folders": 1, "files": 0, "left": 0, "linked": 0, "reason": None,
    }  # fmt: skip
    assert told["problems"] == [{"path": "bob", "reason": "the worker of bob failed"}]


def test_before_it_mends_it_shows_what_is_broken() -> None:
    lines = list(tables.plain(screen.broken(told(facts_of(faults(CLOSED)))[:1], View(makers.NOW))))
    assert lines[0] == PLACE
    assert "cannot write in 1 folder" in lines[1]


@pytest.mark.parametrize(
    ("word", "value"),
    [("facts", []), ("mended", "x"), ("mended", [["/x", -1, 0, 0, "", 0]]), ("mended", [["/x", 1, 0, 0, ""]])],
)
def test_an_answer_about_mending_that_is_none_costs_the_owner_the_part(word: str, value: object) -> None:
    with pytest.raises(WorkerError):
        _hear_mended(lambda: (word, value))


def test_a_worker_cannot_tell_of_caches_without_end() -> None:
    assert len(_hear_mended(lambda: ("mended", [["/x", 1, 0, 0, "", 0]] * 1000))) == MOST_MENDED


# -- before a relocation -----------------------------------------------------------------------------------------


def test_a_group_that_is_not_there_or_not_the_owners_is_refused() -> None:
    assert relocating.refusal("no-such-group", ANN) == "there is no group no-such-group on this machine"
    assert relocating.refusal("root", ANN, lambda _: True) is None
    assert "is no member of root, and may give it nothing" in str(relocating.refusal("root", ANN, lambda _: False))
    root = makers.owner("root", uid=0)
    assert "log in again" in str(relocating.refusal("root", root, lambda _: False))


def warned(folder: str) -> Iterator[str]:
    mount = Mount("/nowhere", "ext4", tracks_atime=True, read_only=False)
    place = Place(folder, "/nowhere", mount)
    return relocating.warnings(FakeFiles(folders=[folder]), "conda", "root", place)


def test_whom_sharing_trusts_is_always_told_with_the_safe_form() -> None:
    first = next(warned("/srv/pkgs"))
    assert first.startswith("each member of root can change what the others install")
    assert "conda config --append pkgs_dirs FOLDER" in first
