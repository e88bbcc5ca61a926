"""A tree that a group shares, on a real disk: modes, ACLs, hard links, and that mending heals what was broken."""

import grp
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cachewarden.model.caches import MARKER, TRASH, Cache, Owner
from cachewarden.model.findings import FactKind
from cachewarden.relocate.sharing import share
from cachewarden.system import acl, sharing
from cachewarden.system.folders import open_folder
from cachewarden.system.sharing import Faults

UID, GID = os.geteuid(), os.getegid()
ME = Owner(UID, GID, "me", "/nonexistent/me")
FOREIGN = (4_000_001, 4_000_002)
needs_root = pytest.mark.skipif(UID != 0, reason="giving files away needs root")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A cache as one user with umask 022 leaves it."""
    top = tmp_path / "pkgs"
    (top / "six-1.0" / "info").mkdir(parents=True)
    (top / "six-1.0" / "run").write_text("x")
    (top / "six-1.0" / "info" / "index.json").write_text("{}")
    (top / "urls.txt").write_text("")
    for path in (top, *top.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (top / "six-1.0" / "run").chmod(0o755)
    return top


def sharing_of(tree: Path, gid: int = GID) -> tuple[int, int, int, int]:
    with open_folder(str(tree)) as root:
        done = sharing.share_tree(root, gid)
    return done.folders, done.files, done.left, done.linked


def faults_of(tree: Path, gid: int = GID) -> Faults:
    with open_folder(str(tree)) as root:
        return sharing.faults(root, gid, UID)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def folders(tree: Path) -> list[Path]:
    return [tree, *(path for path in tree.rglob("*") if path.is_dir())]


def test_folders_get_setgid_all_rights_and_a_default_acl_and_files_what_their_owner_has(tree: Path) -> None:
    assert sharing_of(tree) == (3, 3, 0, 0)
    assert {mode(path) for path in folders(tree)} == {0o2775}
    assert mode(tree / "six-1.0" / "run") == 0o775
    assert mode(tree / "urls.txt") == 0o664
    for path in folders(tree):
        assert acl.unpacked(os.getxattr(path, acl.DEFAULT)) == acl.shared(GID, 5)
    assert not faults_of(tree).counts


def test_what_is_made_later_under_the_usual_umask_can_be_written_by_all(tree: Path) -> None:
    sharing_of(tree)
    before = os.umask(0o022)
    try:
        (tree / "http-v2" / "a").mkdir(parents=True)
        (tree / "http-v2" / "a" / "body").write_text("x")
    finally:
        os.umask(before)
    assert mode(tree / "http-v2" / "a") == 0o2775
    assert mode(tree / "http-v2" / "a" / "body") == 0o664
    assert not faults_of(tree).counts


def test_a_second_time_nothing_is_done(tree: Path) -> None:
    sharing_of(tree)
    before = {path: path.stat().st_ctime_ns for path in (tree, *tree.rglob("*"))}
    assert sharing_of(tree) == (0, 0, 0, 0)
    assert {path: path.stat().st_ctime_ns for path in (tree, *tree.rglob("*"))} == before


def test_a_private_folder_stays_closed_to_everybody_else(tree: Path) -> None:
    tree.chmod(0o700)
    sharing_of(tree)
    assert mode(tree) == 0o2770
    assert acl.unpacked(os.getxattr(tree, acl.DEFAULT)) == acl.shared(GID, 0)


def test_a_file_with_a_name_in_an_environment_is_never_touched(tree: Path, tmp_path: Path) -> None:
    os.link(tree / "six-1.0" / "run", tmp_path / "environment")
    assert sharing_of(tree) == (3, 2, 0, 1)
    assert mode(tmp_path / "environment") == 0o755
    found = faults_of(tree)
    assert found.counts == {FactKind.SHARED_LINKED: 1}
    assert found.mendable == 0


def test_a_file_all_of_whose_names_are_in_the_cache_is_shared(tree: Path) -> None:
    os.link(tree / "six-1.0" / "run", tree / "six-1.0" / "run3")
    assert faults_of(tree).counts[FactKind.SHARED_FILES] == 3
    assert sharing_of(tree) == (3, 3, 0, 0)
    assert mode(tree / "six-1.0" / "run3") == 0o775


def test_links_are_not_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").write_text("x")
    (outside / "file").chmod(0o644)
    (tree / "to-folder").symlink_to(outside)
    (tree / "to-file").symlink_to(outside / "file")
    assert sharing_of(tree) == (3, 3, 0, 0)
    assert (mode(outside), mode(outside / "file")) == (0o755, 0o644)


def test_our_own_names_are_left_alone(tree: Path) -> None:
    (tree / TRASH).mkdir(mode=0o700)
    (tree / MARKER).write_text("{}")
    (tree / MARKER).chmod(0o644)
    assert sharing_of(tree) == (3, 3, 0, 0)
    assert (mode(tree / TRASH), mode(tree / MARKER)) == (0o700, 0o644)


def strip(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        path.chmod(mode(path) & ~0o020)


def no_setgid(tree: Path) -> None:
    os.chmod(tree / "six-1.0", 0o775)


def no_default(tree: Path) -> None:
    os.removexattr(tree / "six-1.0", acl.DEFAULT)


def unreadable(tree: Path) -> None:
    (tree / "urls.txt").chmod(0o600)


@pytest.mark.parametrize(
    ("breaks", "counts"),
    [
        (strip, {FactKind.SHARED_CLOSED: 3, FactKind.SHARED_FILES: 3}),
        (no_setgid, {FactKind.SHARED_NO_SETGID: 1}),
        (no_default, {FactKind.SHARED_NO_DEFAULT: 1}),
        (unreadable, {FactKind.SHARED_FILES: 1}),
    ],
)
def test_what_broke_is_found_and_mending_heals_it(
    tree: Path, breaks: Callable[[Path], None], counts: dict[FactKind, int]
) -> None:
    sharing_of(tree)
    breaks(tree)
    found = faults_of(tree)
    assert found.counts == counts
    assert all(found.examples[kind].startswith(str(tree)) for kind in counts)
    with open_folder(str(tree)) as root:
        assert sharing.mend(root, GID).left == 0
    assert not faults_of(tree).counts


def test_an_acl_that_an_administrator_set_keeps_its_other_entries(tree: Path) -> None:
    own = (acl.Entry(1, 7), acl.Entry(2, 7, 55), acl.Entry(4, 5), acl.Entry(16, 7), acl.Entry(32, 0))
    for name in (acl.ACCESS, acl.DEFAULT):
        os.setxattr(tree, name, acl.packed(own))
    assert sharing_of(tree)[2] == 0
    for name in (acl.ACCESS, acl.DEFAULT):
        told = acl.unpacked(os.getxattr(tree, name))
        assert acl.Entry(2, 7, 55) in told
        assert acl.rights_of(told, GID) == acl.ALL
    assert not faults_of(tree).counts


@needs_root
def test_what_belongs_to_another_user_is_told_and_not_touched(tree: Path) -> None:
    os.chown(tree / "six-1.0" / "info", FOREIGN[0], GID)
    (tree / "six-1.0" / "info").chmod(0o2755)
    os.chown(tree / "urls.txt", FOREIGN[0], GID)
    assert faults_of(tree).counts[FactKind.SHARED_FOREIGN] == 2
    assert sharing_of(tree) == (2, 2, 2, 0)
    assert (mode(tree / "six-1.0" / "info"), mode(tree / "urls.txt")) == (0o2755, 0o644)


@needs_root
def test_a_tree_of_another_group_is_given_to_the_group(tree: Path) -> None:
    assert sharing_of(tree, FOREIGN[1]) == (3, 3, 0, 0)
    assert {path.stat().st_gid for path in (tree, *tree.rglob("*"))} == {FOREIGN[1]}
    assert faults_of(tree, GID).counts[FactKind.SHARED_OTHER_GROUP] == 3


@needs_root
def test_a_disk_that_is_mounted_in_the_cache_is_not_entered(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "inner").mkdir(parents=True)
    (tree / "mount").mkdir()
    if os.system(f"mount --bind {other} {tree}/mount") != 0:  # a path of pytest's own
        pytest.skip("nothing can be mounted here")
    try:
        assert sharing_of(tree)[2] == 0
        assert mode(other / "inner") & 0o2020 == 0
    finally:
        os.system(f"umount {tree}/mount")


def is_shared(tree: Path, owner: Owner) -> bool:
    with open_folder(str(tree)) as root:
        return sharing.is_shared(root, owner)


def test_a_cache_is_shared_by_its_default_acl_whatever_became_of_its_mode(tree: Path) -> None:
    assert not is_shared(tree, ME)
    sharing_of(tree)
    strip(tree)
    assert is_shared(tree, ME)


def test_the_mode_that_conda_gives_its_own_folders_makes_no_shared_cache(tree: Path) -> None:
    """It is 2775 in every home (conda/conda#6610)."""
    tree.chmod(0o2775)
    assert not is_shared(tree, ME)
    other = Owner(UID, GID + 1, "me", "/nonexistent/me")
    assert is_shared(tree, other)
    assert not is_shared(tree, Owner(UID, GID + 1, "me", str(tree.parent)))
    tree.chmod(0o2755)
    assert not is_shared(tree, other)


def test_a_cache_that_is_gone_is_told_as_left(tmp_path: Path) -> None:
    done = sharing.mend_shared(Cache("conda", f"{tmp_path}/gone", ME, "x"))
    assert done is not None
    assert (done.left, "No such file" in done.why) == (1, True)


def test_a_group_by_its_name_gets_a_whole_cache_and_nothing_is_to_be_told(tree: Path) -> None:
    assert share(str(tree), grp.getgrgid(GID).gr_name) == ()
    assert not faults_of(tree).counts
