"""Which ways are trusted: every step the owner's or root's, and none that everybody may replace."""

import os
from pathlib import Path

import pytest

from cachewarden.model.caches import Owner
from cachewarden.system import acl
from cachewarden.system.files import RealFiles
from cachewarden.system.trust import trusted_way

ME = Owner(os.geteuid(), os.getegid(), "me", "/nonexistent/me")
OTHER = Owner(4_000_001, 4_000_001, "other", "/nonexistent/other")


def refusal(path: Path, owner: Owner) -> str | None:
    try:
        trusted_way(str(path), owner)
    except PermissionError as error:
        return error.strerror
    return None


def test_my_own_files_and_links_are_trusted(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "again").symlink_to(tmp_path / "link")
    assert trusted_way(str(tmp_path / "again"), ME) == str(tmp_path / "real")


def test_what_everybody_may_replace_is_not_unless_the_folder_is_sticky(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "file").write_text("x")
    folder.chmod(0o777)
    assert refusal(folder / "file", ME) == f"{folder} can be written by everybody: its word counts for nobody"
    folder.chmod(0o1777)
    assert refusal(folder / "file", ME) is None
    (folder / "file").chmod(0o666)
    assert refusal(folder / "file", ME) == f"{folder}/file can be written by everybody: its word counts for nobody"


TEAM = 4_000_007
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")


def by_the_team(mode: int, *paths: Path) -> None:
    for path in paths:
        os.chown(path, -1, TEAM)
        path.chmod(mode)


@as_root
def test_what_a_group_may_replace_is_not_unless_it_is_sticky_or_the_group_is_the_owners(
    tmp_path: Path,
) -> None:
    folder, owner = tmp_path / "team", Owner(ME.uid, TEAM, "me", ME.home)
    folder.mkdir()
    (folder / "file").write_text("x")
    by_the_team(0o2775, folder)
    why = f"{folder} can be written by members of group {TEAM}: its word does not count for me"
    assert refusal(folder / "file", ME) == why
    assert refusal(folder / "file", owner) is None
    folder.chmod(0o3775)
    assert refusal(folder / "file", ME) is None
    os.chown(folder, -1, 0)
    folder.chmod(0o2775)
    assert refusal(folder / "file", ME) is None


@as_root
def test_a_file_that_a_group_may_change_is_not_and_a_sticky_bit_does_not_help_it(tmp_path: Path) -> None:
    path = tmp_path / "condarc"
    path.write_text("x")
    for mode in (0o664, 0o1664):
        by_the_team(mode, path)
        assert f"members of group {TEAM}" in str(refusal(path, ME))
        with pytest.raises(PermissionError):
            RealFiles(ME).read_text(str(path), 100)
    path.chmod(0o1666)
    assert "by everybody" in str(refusal(path, ME))


@as_root
def test_a_cache_that_a_group_shares_is_trusted_and_nothing_in_it(tmp_path: Path) -> None:
    pkgs = tmp_path / "pkgs"
    (pkgs / "new").mkdir(parents=True)
    by_the_team(0o2775, pkgs)
    (tmp_path / "link").symlink_to(pkgs)
    for way in (pkgs, tmp_path / "link"):
        assert refusal(way, ME) is None
        assert trusted_way(f"{way}/", ME) == str(pkgs)
        assert refusal(way / "new", ME) is not None
        with pytest.raises(PermissionError, match=f"members of group {TEAM}"):
            trusted_way(f"{way}/.", ME)


@as_root
def test_whom_an_access_list_lets_write_counts_and_whom_it_lets_read_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "listed"
    folder.mkdir()
    (folder / "file").write_text("x")
    base = [acl.Entry(1, 7), acl.Entry(4, 7), acl.Entry(16, 7), acl.Entry(32, 5)]

    def listed(*more: acl.Entry) -> str | None:
        try:
            os.setxattr(folder, acl.ACCESS, acl.packed([*base, *more]))
        except OSError:
            pytest.skip("no access lists here")
        return refusal(folder / "file", ME)

    assert listed(acl.Entry(2, 5, OTHER.uid)) is None
    assert f"can be written by uid {OTHER.uid}:" in str(listed(acl.Entry(2, 7, OTHER.uid)))
    assert f"can be written by members of group {TEAM}:" in str(listed(acl.Entry(8, 3, TEAM)))
    assert listed(acl.Entry(2, 7, 0), acl.Entry(8, 7, ME.gid)) is None


@as_root
def test_the_way_to_a_home_may_be_a_groups(tmp_path: Path) -> None:
    home = tmp_path / "lab" / "me"
    home.mkdir(parents=True)
    by_the_team(0o2775, tmp_path / "lab")
    assert refusal(home, ME) is not None
    assert refusal(home, Owner(ME.uid, ME.gid, "me", str(home))) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_step_of_somebody_else_is_not_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("x")
    os.chown(tmp_path / "theirs", OTHER.uid, OTHER.gid)
    (tmp_path / "link").symlink_to(tmp_path / "theirs" / "file")
    for path in (tmp_path / "theirs" / "file", tmp_path / "link"):
        assert f"belongs to uid {OTHER.uid}, whose word does not count for me" in str(refusal(path, ME))
    assert refusal(tmp_path / "theirs" / "file", OTHER) is None
    (tmp_path / "foreign-link").symlink_to("mine")
    (tmp_path / "mine").write_text("x")
    os.lchown(tmp_path / "foreign-link", OTHER.uid, OTHER.gid)
    assert refusal(tmp_path / "foreign-link", ME) is not None
    assert refusal(tmp_path / "mine", ME) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_whoever_owns_the_way_to_a_home_is_trusted_with_it(tmp_path: Path) -> None:
    home = tmp_path / "group" / "me"
    home.mkdir(parents=True)
    os.chown(tmp_path / "group", OTHER.uid, OTHER.gid)
    assert refusal(home, ME) is not None
    assert refusal(home, Owner(ME.uid, ME.gid, "me", str(home))) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_file_of_somebody_else_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "condarc"
    path.write_text("pkgs_dirs: [/x]")
    assert RealFiles(ME).read_text(str(path), 100) == "pkgs_dirs: [/x]"
    os.chown(path, OTHER.uid, OTHER.gid)
    with pytest.raises(PermissionError):
        RealFiles(ME).read_text(str(path), 100)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        trusted_way(str(tmp_path / "a"), ME)


def test_more_links_than_anybody_follows_lead_nowhere_and_are_no_error(tmp_path: Path) -> None:
    for number in range(1500):
        (tmp_path / str(number)).symlink_to(str(number + 1))
    (tmp_path / "1500").mkdir()
    start = str(tmp_path / "0")
    # Python 3.13 follows them one by one, those before give up; the kernel follows forty.
    assert RealFiles().real_path(start) in {start, str(tmp_path / "1500")}
    assert RealFiles().stat(start) is None
