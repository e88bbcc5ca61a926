"""The attacks of one user on all others, part one: where the ways in that user's home and configuration lead.

One daemon serves everybody through all of it. After each attack (see the fixture ``siege``) the same process must be
alive, bob served, and every victim as it was, to the number of links of each file.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from builders.disks import LoopDisk, why_no_loop_disks
from builders.siege import (
    ANN,
    BOBS,
    KEY,
    ROOTS,
    SHARD,
    VICTIMS,
    WHEEL,
    Siege,
    exchange,
    fill_conda,
    fill_pip,
    fingerprint,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]

PIP, CONDA = ".cache/pip", ".conda/pkgs"
PACKAGE, TRASH = "made0-1.0-0", ".cachewarden-trash"
OPEN = BOBS[1], ROOTS[1]
"""What ann has the right to destroy: only cachewarden's own care protects these from her worker."""
IN_PIP = (
    "http-v2", f"http-v2/{KEY[0]}", SHARD, f"{SHARD}/{KEY}", f"{SHARD}/{KEY}.body", "wheels", "wheels/aa", WHEEL,
    f"{WHEEL}/six-1.0-py3-none-any.whl", "selfcheck",
)  # fmt: skip
IN_CONDA = (
    PACKAGE, f"{PACKAGE}/lib", f"{PACKAGE}/info", f"{PACKAGE}/info/index.json", f"{PACKAGE}.conda", "cache",
    "cache/01234567.json", ".trash", ".trash/x", TRASH, f"{TRASH}/x", f"{TRASH}/x/{PACKAGE}",
)  # fmt: skip
GO_AS_NAMES = {f"{CONDA}/{place}" for place in (f"{PACKAGE}/lib", ".trash/x", f"{TRASH}/x", f"{TRASH}/x/{PACKAGE}")}
"""Links there are part of something that goes whole: removed, and not followed."""
INSIDE = [*(f"{PIP}/{place}" for place in IN_PIP), *(f"{CONDA}/{place}" for place in IN_CONDA)]
ROOTS_OF_CACHES = {PIP: "pip", ".cache": "", CONDA: "pkgs", ".conda": ""}
"""With what a victim has in their place."""


def fill(siege: Siege, count: int = 4) -> Path:
    """ann's two caches, in an empty home: nothing is to be written through a link of an earlier attack."""
    siege.start_over()
    home = siege.home("ann")
    fill_pip(home / PIP, count)
    fill_conda(home / CONDA, count)
    siege.give(home, "ann")
    return home


def counterpart(place: str) -> str:
    """What corresponds to a place of ann's home in a victim."""
    for root, other in ROOTS_OF_CACHES.items():
        if place == root or place.startswith(f"{root}/"):
            return f"{other}{place.removeprefix(root)}"
    raise ValueError(place)


def put_link(siege: Siege, place: str, target: str) -> None:
    path = siege.home("ann") / place
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)
    os.lchown(path, ANN, ANN)


# ---------------------------------------------------------------------------------------------------------
# Links


@pytest.mark.parametrize("place", ROOTS_OF_CACHES)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_link_for_a_cache_or_above_it_is_refused_with_the_reason(siege: Siege, place: str, victim: str) -> None:
    fill(siege)
    put_link(siege, place, f"{victim}/{counterpart(place)}")
    log = siege.cycle()
    owner = "bob" if victim in BOBS else "root"
    path, source = (PIP, "default") if "cache" in place else (CONDA, "default of conda")
    assert f"/home/ann/{path}: refused as a cache ({source}): it belongs to {owner}, not to ann" in log


@pytest.mark.parametrize("place", INSIDE)
def test_a_link_inside_of_a_cache_is_not_followed_and_the_rest_goes(siege: Siege, place: str) -> None:
    home = fill(siege)
    put_link(siege, place, f"{OPEN[INSIDE.index(place) % 2]}/{counterpart(place)}")
    log = siege.cycle()
    assert (home / place).is_symlink() is (place not in GO_AS_NAMES)
    for cache in (PIP, CONDA):
        assert f"entries of /home/ann/{cache}" in log
    if place.removeprefix(f"{PIP}/") in {"http-v2", "wheels", "selfcheck"}:
        assert f"warning: /home/ann/{place}: a symbolic link or special file: not followed" in log


RACES = [
    PIP, ".conda", f"{PIP}/http-v2/{KEY[0]}", f"{PIP}/{SHARD}", f"{CONDA}/{PACKAGE}", f"{CONDA}/{PACKAGE}/lib",
    f"{CONDA}/{TRASH}",
]  # fmt: skip


@pytest.mark.parametrize("place", RACES)
def test_a_folder_that_is_swapped_with_a_link_while_purges_run_leads_nowhere(siege: Siege, place: str) -> None:
    for victim in OPEN:
        fill(siege, 30)
        put_link(siege, "aside", f"{victim}/{counterpart(place)}")
        with siege.at_it("ann", lambda: exchange(place, "aside")):
            siege.cycle()


@pytest.mark.parametrize(
    ("folder", "name", "tree"),
    [(f"{CONDA}/{TRASH}", "{}", f"pkgs/{PACKAGE}"), (f"{CONDA}/{TRASH}/x", "{}", f"pkgs/{PACKAGE}"),
     (f"{PIP}/wheels/aa/bb/cc", "{:050}", f"pip/{WHEEL}")],
    ids=["trash", "in trash", "wheels"],
)  # fmt: skip
def test_many_trees_that_are_swapped_with_links_while_they_are_removed_lead_nowhere(
    siege: Siege, folder: str, name: str, tree: str
) -> None:
    """What goes as a whole, and stays where it is meanwhile: nothing but the way folders are opened protects here."""
    names = [name.format(number) for number in range(100)]
    for victim in OPEN:
        home = fill(siege)
        (home / "links").mkdir()
        for each in names:
            shutil.copytree(siege.at(victim) / tree, home / folder / each)
            (home / "links" / each).symlink_to(f"{victim}/{tree}")
        siege.give(home, "ann")

        def swap() -> None:
            for each in names:
                with suppress(OSError):
                    exchange(f"{folder}/{each}", f"links/{each}")

        with siege.at_it("ann", swap):
            siege.cycle()


@pytest.mark.parametrize(("root", "victim"), list(zip(ROOTS_OF_CACHES, OPEN * 2, strict=True)))
def test_a_cache_that_is_renamed_away_and_back_while_it_is_purged_leads_nowhere(
    siege: Siege, root: str, victim: str
) -> None:
    """Away it goes, a link comes in its place, and back it comes: by four renames of which each may be seen."""
    fill(siege, 60)
    put_link(siege, "aside", f"{victim}/{counterpart(root)}")

    def rename() -> None:
        os.rename(root, "away")
        os.rename("aside", root)
        os.rename(root, "aside")
        os.rename("away", root)

    with siege.at_it("ann", rename):
        siege.cycle()
    fill(siege)
    assert f"entries of /home/ann/{PIP}" in siege.cycle()


# ---------------------------------------------------------------------------------------------------------
# Names of others' files, and others' disks


@pytest.mark.parametrize("secret", ["/home/bob/thesis.tex", "/opt/open/db-2024.tar.bz2", "/etc/passwd"])
def test_hard_links_to_others_files_lose_a_name_at_most(siege: Siege, secret: str) -> None:
    """Made by root: fs.protected_hardlinks is not everywhere."""
    home = fill(siege)
    names = [home / PIP / SHARD / f"{KEY}.body", home / CONDA / f"{PACKAGE}.conda", home / CONDA / PACKAGE / "lib/f0"]
    for name in names:
        name.unlink()
        os.link(siege.at(secret), name)
    log = siege.cycle()
    assert f"entries of /home/ann/{PIP}" in log
    assert [name.exists() for name in names] == [False, False, True]
    listed = siege.run("list", "--package", "made0", "conda").stdout.decode()
    assert "in use: 1 of its files is hard-linked outside of the cache" in listed
    siege.start_over()


MOUNTS = [*(f"{PIP}/{place}" for place in ("http-v2", f"http-v2/{KEY[0]}", SHARD, "wheels", WHEEL, "selfcheck")),
          *(f"{CONDA}/{place}" for place in (PACKAGE, f"{PACKAGE}/lib", f"{PACKAGE}/info", "cache", ".trash",
                                             ".trash/x", TRASH, f"{TRASH}/x"))]  # fmt: skip


@pytest.mark.parametrize("place", MOUNTS)
def test_what_is_mounted_in_a_cache_is_not_entered(siege: Siege, place: str) -> None:
    """Somebody's tree by a bind mount; and a disk of its own, on which everything is ann's to destroy."""
    fill(siege)
    with siege.mounted(f"/home/ann/{place}", "--bind", f"{OPEN[MOUNTS.index(place) % 2]}/{counterpart(place)}"):
        assert "another filesystem is mounted there: not entered" in siege.cycle()
    fill(siege)
    with siege.mounted(f"/home/ann/{place}", "-t", "tmpfs", "tmpfs"):
        siege.do("cp", "-a", f"{OPEN[0]}/{counterpart(place)}/.", f"/home/ann/{place}")
        siege.do("chown", "-R", f"{ANN}:{ANN}", f"/home/ann/{place}")
        before = fingerprint(siege.seen(f"/home/ann/{place}"))
        assert "another filesystem is mounted there: not entered" in siege.cycle()
        assert fingerprint(siege.seen(f"/home/ann/{place}")) == before


@pytest.mark.parametrize("root", ROOTS_OF_CACHES)
def test_anothers_tree_mounted_over_a_cache_is_refused(siege: Siege, root: str) -> None:
    for victim, owner in zip(OPEN, ("bob", "root"), strict=True):
        fill(siege)
        with siege.mounted(f"/home/ann/{root}", "--bind", f"{victim}/{counterpart(root)}"):
            assert f"it belongs to {owner}, not to ann" in siege.cycle()


@pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks()))
@pytest.mark.parametrize("place", [f"{PIP}/http-v2/{KEY[0]}", f"{CONDA}/{PACKAGE}/lib"])
def test_a_disk_in_a_cache_is_not_entered(siege: Siege, place: str) -> None:
    with LoopDisk(16) as disk:
        tree = disk.path / "tree"
        shutil.copytree(siege.at(OPEN[0]) / counterpart(place), tree)
        siege.give(tree, "ann")
        before = fingerprint(tree)
        fill(siege)
        with siege.mounted("/opt/disk", disk.device), siege.mounted(f"/home/ann/{place}", "--bind", "/opt/disk/tree"):
            assert "another filesystem is mounted there: not entered" in siege.cycle()
        assert fingerprint(tree) == before
    shutil.rmtree(siege.at("/opt/disk"))


# ---------------------------------------------------------------------------------------------------------
# Configuration


ELSEWHERE = {
    "/": "it is a system folder",
    "/etc": "it is in a system folder",
    "/home": "it is a system folder",
    "/home/ann": "it is a home, or holds one",
    "/home/bob": "it belongs to bob, not to ann",
    "/home/bob/open/pip": "it belongs to bob, not to ann",
    "/home/bob/open/pkgs": "it belongs to bob, not to ann",
    "/opt/open/pip": "it belongs to root, not to ann",
    "/opt/open/pkgs": "it belongs to root, not to ann",
    "/home/ann/fifo": "it is not a folder",
    "/home/ann/disk": "it is not a folder",
    "/dev/zero": "it is in a system folder",
    "/proc/self/fd/3": "it is in a system folder",
    "/proc/self/root/home/bob": "it is in a system folder",
    "/proc/self/cwd": "it is in a system folder",
    "/proc/1/root/home/bob/open/pip": "cannot be looked at: Permission denied",
    "/home/ann/../bob/open/pip": "has .. in it: name the folder itself",
    "../bob/open/pip": "is relative: it depends on the tool's working folder; name an absolute path",
    "~bob/open/pip": "is in the home of bob: name an absolute path",
    "/dev/shm/x": "it is in a system folder",
    "/srv/home/bob/open/pip": "it belongs to bob, not to ann",
    "/home/ann/way/open/pkgs": "it belongs to bob, not to ann",
}
"""Where no configuration of ann's leads, and why. ``/srv`` is another way to all homes; ``way`` a link to bob's."""


BOBS_OWN = ("/home/bob/.cache/pip", "/home/bob/.conda/pkgs")
"""Nobody is told that ann may not have them, since bob has."""


def prepare_elsewhere(siege: Siege) -> None:
    home = siege.home("ann")
    os.mkfifo(home / "fifo")
    os.mknod(home / "disk", 0o660 | 0o060000, os.makedev(240, 7))  # local use: there is no such disk
    (home / "way").symlink_to("/home/bob")
    siege.give(home, "ann")
    siege.do("cp", "-a", "/home/bob/open/pip", "/dev/shm/x")
    siege.do("chown", "-R", f"{ANN}:{ANN}", "/dev/shm/x")


@pytest.mark.parametrize("path", [path for path in ELSEWHERE if not path.endswith("pkgs")])
def test_a_pip_conf_leads_to_no_place_of_others(siege: Siege, path: str) -> None:
    prepare_elsewhere(siege)
    before = fingerprint(siege.seen("/dev/shm/x"))
    conf = siege.home("ann") / ".config" / "pip" / "pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"[global]\ncache-dir = {path}\n[download]\ncache-dir={path}/\n")
    siege.give(siege.home("ann"), "ann")
    log = siege.cycle()
    assert [line for line in log.split("\n") if path in line and ELSEWHERE[path] in line] != []
    assert fingerprint(siege.seen("/dev/shm/x")) == before


def test_a_condarc_and_a_list_of_environments_lead_to_no_place_of_others(siege: Siege) -> None:
    """All at once; the environments are read for what they record, which frees nothing and keeps nothing of bob's."""
    prepare_elsewhere(siege)
    before = fingerprint(siege.seen("/dev/shm/x"))
    home = siege.home("ann")
    (home / ".condarc").write_text("pkgs_dirs:\n" + "".join(f"  - {path}\n" for path in (*ELSEWHERE, *BOBS_OWN)))
    (home / ".conda").mkdir()
    (home / ".conda" / "environments.txt").write_text("\n".join([*ELSEWHERE, *BOBS_OWN]))
    siege.give(home, "ann")
    log = siege.cycle()
    for path, reason in ELSEWHERE.items():
        assert [line for line in log.split("\n") if path in line and reason in line] != [], path
    assert fingerprint(siege.seen("/dev/shm/x")) == before
