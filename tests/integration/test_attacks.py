"""Caches made to harm: whatever is in them, nothing outside is touched and nothing fails with a traceback.

The tests run with all the rights that the caller has (root's, where it is root): no permission protects the victim.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.conda_caches import tree_digest
from builders.disks import LoopDisk, why_no_loop_disks
from builders.looks import Scene, du, files_below, frees_of
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.caches import Kind
from cachewarden.model.plans import RemovedEntry
from cachewarden.system import folders
from cachewarden.system.folders import open_folder

TRASH = ".cachewarden-trash"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and immutable files need root")
KEYS = [f"{number:x}" * 56 for number in range(8)]
DISTS = ["libfoo-1.0-0", "libbar-2.0-0"]


def shard_of(root: Path, key: str) -> Path:
    return root.joinpath("http-v2", *key[:5])


def make_pip(home: Path) -> Scene:
    """The layout alone: content does not matter to an attack."""
    root = home / ".cache/pip"
    for key in KEYS:
        shard_of(root, key).mkdir(parents=True)
        (shard_of(root, key) / key).write_bytes(b"cc=4,\x80")
        (shard_of(root, key) / f"{key}.body").write_bytes(b"x" * 9000)
    wheel = root / "wheels/aa/bb/cc" / ("d" * 50)
    wheel.mkdir(parents=True)
    (wheel / "six-1.0-py3-none-any.whl").write_bytes(b"PK")
    return Scene(Pip(), root, home)


def add_package(folder: Path) -> None:
    (folder / "info").mkdir(parents=True)
    (folder / "info/index.json").write_text('{"name": "x", "version": "1"}')
    (folder / "info/paths.json").write_text('{"paths": [{"_path": "lib/a"}]}')
    (folder / "lib").mkdir()
    (folder / "lib/a").write_bytes(b"a" * 5000)


def make_conda(home: Path) -> Scene:
    root = home / "miniforge3/pkgs"
    for dist in DISTS:
        add_package(root / dist)
        (root / f"{dist}.conda").write_bytes(b"PK")
    (root / "urls.txt").touch()
    (root / "cache").mkdir()
    (root / "cache/01234567.json").write_text("{}")
    return Scene(Conda(), root, home)


@pytest.fixture
def pip(tmp_path: Path) -> Scene:
    return make_pip(tmp_path / "home")


@pytest.fixture
def conda(tmp_path: Path) -> Scene:
    return make_conda(tmp_path / "home")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """Somebody else's tree, with everything in it that a cache of either kind consists of; must stay as it is."""
    folder = tmp_path / "victim"
    scene = make_pip(folder)
    scene.root.rename(folder / "pip")
    make_conda(folder)
    add_package(folder)
    (folder / KEYS[0]).write_text("cc=4,")
    (folder / f"{KEYS[0]}.body").write_text("x")
    before = state(folder)
    yield folder
    assert state(folder) == before


def state(folder: Path) -> object:
    """Contents, modes and how many folders are in each folder."""
    return tree_digest(folder), {path: path.lstat().st_nlink for path in folder.rglob("*") if path.is_dir()}


def replace_by_link(path: Path, target: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


# ---------------------------------------------------------------------------------------------------------
# Links


PIP_PLACES = {
    "http-v2": "pip/http-v2", "http": "pip/http-v2", "wheels": "pip/wheels", "selfcheck": ".",
    "selfcheck.json": KEYS[0],
    "http-v2/0": "pip/http-v2/0", "http-v2/0/0/0/0/0": "pip/http-v2/0/0/0/0/0",
    f"http-v2/0/0/0/0/0/{KEYS[0]}": KEYS[0], f"http-v2/0/0/0/0/0/{KEYS[0]}.body": f"{KEYS[0]}.body",
    "wheels/aa": "pip/wheels/aa", "wheels/aa/bb/cc/" + "d" * 50: "pip/wheels/aa/bb/cc/" + "d" * 50,
    "wheels/aa/bb/cc/" + "d" * 50 + "/tmpabcd1234": ".",
}  # fmt: skip


@pytest.mark.parametrize("place", PIP_PLACES)
def test_link_in_a_pip_cache_is_not_followed(pip: Scene, victim: Path, place: str) -> None:
    replace_by_link(pip.root / place, victim / PIP_PLACES[place])
    measured = pip.measure()
    assert measured.cache.size == du(pip.root)
    pip.purge()
    assert (pip.root / place).is_symlink()


@pytest.mark.parametrize("place", PIP_PLACES)
def test_link_put_into_a_pip_cache_after_the_measurement_is_not_followed(
    pip: Scene, victim: Path, place: str
) -> None:
    entries = pip.entries()
    replace_by_link(pip.root / place, victim / PIP_PLACES[place])
    pip.purge(entries.values())


CONDA_PLACES = {
    "libfoo-1.0-0": ".", "libfoo-1.0-0/info": "info", "libfoo-1.0-0/lib": "lib", "libfoo-1.0-0/info/index.json":
    "info/index.json", "cache": "miniforge3/pkgs/cache", "cache/01234567.json": KEYS[0], ".trash": ".", ".logs": ".",
    TRASH: ".", f"{TRASH}/x": ".", f"{TRASH}/y/z": ".", ".trash/x": ".", "https": "miniforge3",
    "libfoo-1.0-0.conda": KEYS[0], "a-1-0.conda.partial": KEYS[0], ".logs/a.log": KEYS[0],
}  # fmt: skip


@pytest.mark.parametrize("place", CONDA_PLACES)
def test_link_in_a_conda_cache_is_not_followed(conda: Scene, victim: Path, place: str) -> None:
    replace_by_link(conda.root / place, victim / CONDA_PLACES[place])
    assert conda.measure().cache.size == du(conda.root)
    conda.purge()


@pytest.mark.parametrize("place", CONDA_PLACES)
def test_link_put_into_a_conda_cache_after_the_measurement_is_not_followed(
    conda: Scene, victim: Path, place: str
) -> None:
    (conda.root / TRASH / "y/z").mkdir(parents=True)
    entries = conda.entries()
    replace_by_link(conda.root / place, victim / CONDA_PLACES[place])
    conda.purge(entries.values())


def test_root_replaced_by_a_link_after_it_was_opened_is_left(pip: Scene, victim: Path) -> None:
    entries = pip.entries()
    folder = open_folder(str(pip.root))
    pip.root.rename(pip.root.with_name("real"))
    pip.root.symlink_to(victim / "pip")
    outcome = pip.purge(entries.values(), folder=folder)
    assert len(outcome.removed) == len(entries)
    assert files_below(pip.root.with_name("real")) == set()


def test_root_that_is_a_link_is_not_opened(pip: Scene, victim: Path) -> None:
    shutil.rmtree(pip.root)
    pip.root.symlink_to(victim / "pip")
    with pytest.raises(OSError, match=r"(?i)not a directory|symbolic"):
        pip.measure()


@contextlib.contextmanager
def swapping(path: Path, target: Path) -> Iterator[None]:
    """Exchanges a folder and a link to ``target`` as fast as it goes, as somebody who races with us would."""
    away, link, ended = path.with_name("away"), path.with_name("link"), threading.Event()
    link.symlink_to(target)

    def swap() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                path.rename(away)
                link.rename(path)
            with contextlib.suppress(OSError):
                path.rename(link)
                away.rename(path)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("place", ["http-v2", "http-v2/1", "http-v2/1/1/1/1/1", "wheels/aa/bb/cc/" + "d" * 50])
def test_shard_swapped_with_a_link_in_a_tight_loop_leads_nowhere(pip: Scene, victim: Path, place: str) -> None:
    entries = pip.entries()
    path = pip.root / place
    subprocess.run(["cp", "-a", path, pip.home / "kept"], check=True)
    with swapping(path, victim / "pip" / place):
        for _ in range(15):
            pip.purge(entries.values())
            with contextlib.suppress(OSError):
                pip.measure()
            subprocess.run(
                ["cp", "-a", "--update=none", f"{pip.home}/kept/.", path], check=False, capture_output=True
            )


@pytest.mark.parametrize("place", ["libfoo-1.0-0", "libfoo-1.0-0/lib", "libfoo-1.0-0/info", f"{TRASH}/deep/er"])
def test_package_swapped_with_a_link_in_a_tight_loop_leads_nowhere(conda: Scene, victim: Path, place: str) -> None:
    path = conda.root / place
    path.mkdir(parents=True, exist_ok=True)
    with swapping(path, victim):
        for _ in range(15):
            with contextlib.suppress(OSError):
                conda.purge()
            with contextlib.suppress(OSError):
                if not (conda.root / "libfoo-1.0-0").exists():
                    add_package(conda.root / "libfoo-1.0-0")
                path.mkdir(parents=True, exist_ok=True)


def test_hard_links_to_others_files_take_only_the_name(
    pip: Scene, conda: Scene, victim: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 100_000)
    for path in (shard_of(pip.root, KEYS[0]) / f"{KEYS[0]}.body", conda.root / "x-1-0.conda"):
        path.unlink(missing_ok=True)
        os.link(secret, path)
    before = du(tmp_path)
    outcomes = [scene.purge() for scene in (pip, conda)]
    assert sum(outcome.freed for outcome in outcomes) == before - du(tmp_path)
    assert secret.read_bytes() == b"s" * 100_000
    assert secret.stat().st_nlink == 1


def test_package_with_hard_links_to_others_files_is_held(conda: Scene, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    os.link(tmp_path / "secret", conda.root / "libfoo-1.0-0/lib/b")
    assert conda.hold("libfoo-1.0-0") == "in use: 1 of its files is hard-linked outside of the cache"


# ---------------------------------------------------------------------------------------------------------
# Shapes


def dig(folder: Path, levels: int, *, mode: int = 0o755) -> None:
    """Folders in folders, deeper than any path may be long."""
    folder.mkdir(parents=True, exist_ok=True)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 10, 0o755, dir_fd=here)
        inner = os.open("d" * 10, os.O_RDONLY, dir_fd=here)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=inner))
        os.fchmod(here, mode)
        os.close(here)
        here = inner
    os.close(here)


@pytest.fixture
def cleared(tmp_path: Path) -> Iterator[Path]:
    """pytest's own removal gives up on deep trees."""
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path / "home"], check=True)


@pytest.mark.parametrize(("levels", "mode"), [(64, 0o755), (65, 0o500), (66, 0o755), (200, 0o500), (2000, 0o755)])
def test_deep_trash_of_ours_goes_whole(cleared: Path, conda: Scene, levels: int, mode: int) -> None:
    for name in ("x", "y"):
        dig(conda.root / TRASH / name, levels, mode=mode)
    leftovers = [entry for entry in conda.entries().values() if entry.leftover]
    before = du(conda.root) - (conda.root / TRASH).stat().st_blocks * 512
    outcome = conda.purge(leftovers)
    assert outcome.failures == ()
    assert not (conda.root / TRASH).exists()
    assert outcome.freed == before - du(conda.root)


def test_deep_trash_is_finished_after_a_stop_at_any_depth(cleared: Path, conda: Scene) -> None:
    dig(conda.root / TRASH / "x", 400)
    for _ in range(30):
        asked = iter(range(90))
        leftovers = [entry for entry in conda.entries().values() if entry.leftover]
        conda.purge(leftovers, may_go_on=lambda: next(asked, None) is not None)  # noqa: B023 - used at once
    assert not (conda.root / TRASH).exists()


@pytest.mark.parametrize("levels", [90, 2000])
def test_deep_tree_in_a_package_is_kept_or_goes_whole(cleared: Path, conda: Scene, levels: int) -> None:
    dig(conda.root / "libfoo-1.0-0/lib", levels)
    hold = conda.hold("libfoo-1.0-0")
    assert hold == (None if levels < 96 else "it cannot be seen whole: deeper than 96 levels")
    outcome = conda.purge()
    assert outcome.failures == ()
    assert (conda.root / "libfoo-1.0-0").exists() == bool(hold)
    assert not (conda.root / TRASH).exists()


@pytest.mark.parametrize("place", ["http-v2/mine", "http-v2/0/0/0/0/0/mine", "notes", "selfcheck/x", "wheels/aa/x"])
def test_deep_foreign_tree_in_a_pip_cache_is_a_problem_and_stays(cleared: Path, pip: Scene, place: str) -> None:
    dig(pip.root / place, 2000 if place == "notes" else 120)
    assert any("deeper than 96 levels" in problem.reason for problem in pip.measure().problems)
    assert pip.purge().failures == ()
    assert (pip.root / place).is_dir()


@pytest.mark.parametrize("place", [".trash/x", ".logs/x", "cache/x", "mine", "https/a/b"])
def test_deep_tree_in_a_conda_cache_is_a_problem(cleared: Path, conda: Scene, place: str) -> None:
    dig(conda.root / place, 2000 if place == ".trash/x" else 120)
    assert conda.measure().problems
    conda.purge()
    assert not (conda.root / "libfoo-1.0-0").exists()


def test_deep_build_folder_holds_its_wheel(cleared: Path, pip: Scene) -> None:
    wheel = "wheels/aa/bb/cc/" + "d" * 50
    dig(pip.root / wheel / "tmpabcd1234", 120)
    assert pip.hold(wheel)
    pip.purge()
    assert (pip.root / wheel).exists()


def test_twenty_thousand_names_are_measured_and_purged(pip: Scene) -> None:
    shard = shard_of(pip.root, KEYS[0])
    for number in range(1, 10_000):
        (shard / f"{KEYS[0][:5]}{number:051x}").write_bytes(b"")
        (shard / f"{KEYS[0][:5]}{number:051x}.body{number:08x}.tmp").write_bytes(b"")
    entries = pip.entries()
    assert len(entries) == 2 * 9_999 + len(KEYS) + 1
    before = du(pip.root)
    outcome = pip.purge(entries.values())
    assert outcome.failures == ()
    assert outcome.freed == frees_of(entries.values()) == before - du(pip.root)


def test_special_files_named_like_entries_stay(pip: Scene, conda: Scene) -> None:
    names = ("fifo-1-0.conda", "c-1-0.conda.partial", "b-1-0.tar.bz2")
    os.mkfifo(conda.root / names[0])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(conda.root / names[1]))
    os.mkfifo(conda.root / "cache/89abcdef.json")
    os.mkfifo(conda.root / "libbar-2.0-0/info/repodata_record.json")
    with contextlib.suppress(PermissionError):
        os.mknod(conda.root / names[2], 0o600 | 0o060000, os.makedev(7, 0))
    shard = shard_of(pip.root, KEYS[0])
    os.mkfifo(shard / ("9" * 56))
    for scene in (pip, conda):
        assert scene.measure().cache.size == du(scene.root)
        assert scene.purge().failures == ()
    assert (conda.root / names[0]).is_fifo()
    assert (conda.root / names[1]).is_socket()
    assert (conda.root / "cache/89abcdef.json").is_fifo()
    assert not (conda.root / "libbar-2.0-0").exists()
    assert (shard / ("9" * 56)).is_fifo()


def test_fifo_put_in_the_place_of_an_entry_blocks_nobody(pip: Scene, conda: Scene) -> None:
    shard = shard_of(pip.root, KEYS[0])
    (shard / KEYS[0]).unlink()
    os.mkfifo(shard / KEYS[0])
    (conda.root / "libfoo-1.0-0/info/index.json").unlink()
    os.mkfifo(conda.root / "libfoo-1.0-0/info/index.json")
    assert pip.entries()
    assert "libfoo-1.0-0" not in conda.entries()


def test_sparse_files_count_by_their_blocks(pip: Scene, conda: Scene) -> None:
    body = shard_of(pip.root, KEYS[0]) / f"{KEYS[0]}.body"
    for path in (body, conda.root / "libfoo-1.0-0/lib/a", conda.root / "libbar-2.0-0.conda"):
        with path.open("r+b") as file:
            file.truncate(1 << 40)
    for scene in (pip, conda):
        entries, before = scene.entries(), du(scene.root)
        outcome = scene.purge()
        assert frees_of(entries.values()) == outcome.freed == before - du(scene.root) < 1 << 30


def test_loop_of_links_is_no_traceback(pip: Scene, conda: Scene) -> None:
    for folder in (
        pip.root,
        shard_of(pip.root, KEYS[0]),
        conda.root,
        conda.root / "libfoo-1.0-0",
        conda.root / "cache",
    ):
        (folder / "a").symlink_to("b")
        (folder / "b").symlink_to("a")
        (folder / "here").symlink_to(".")
    replace_by_link(pip.root / "http-v2/7", Path("7"))
    replace_by_link(conda.root / ".trash", Path(".trash"))
    for scene in (pip, conda):
        assert scene.purge().failures == ()


@pytest.mark.parametrize(
    "name", ["\x1b[2J\x1b[31m", "a\nb", "\x7f\x07", "\udcff\udcfe", "\u202egpj", "-rf", "%s{0}", "$(x)"]
)
def test_names_with_escape_sequences_are_only_names(pip: Scene, conda: Scene, name: str) -> None:
    add_package(conda.root / f"{name}-1.0-0")
    (conda.root / f"{name}-1.0-0.conda").write_text("x")
    (shard_of(pip.root, KEYS[0]) / name).write_text("x")
    (pip.root / "wheels/aa/bb/cc" / ("d" * 50) / f"{name}-1.0-py3-none-any.whl").write_text("x")
    for scene in (pip, conda):
        assert scene.purge().failures == ()
    assert (shard_of(pip.root, KEYS[0]) / name).exists()
    assert not (conda.root / f"{name}-1.0-0").exists()


def test_times_of_no_calendar_are_survived(pip: Scene, conda: Scene) -> None:
    for moment in (-(2**31) * 10**9, 2**34 * 10**9 - 1):
        for scene in (pip, conda):
            for name in files_below(scene.root):
                os.utime(scene.root / name, ns=(moment, moment))
            assert scene.measure().problems == ()
    for scene in (pip, conda):
        assert scene.purge().failures == ()


# ---------------------------------------------------------------------------------------------------------
# With root's means


@contextlib.contextmanager
def bound(source: Path, place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", source, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def old_kernel() -> Iterator[None]:
    """A kernel before 5.6, or a sandbox that refuses ``openat2``."""
    kept = list(folders._kernel)
    kernel = folders._Kernel()
    kernel._missing = True
    folders._kernel[:] = [kernel]
    yield
    folders._kernel[:] = kept


@pytest.mark.usefixtures("old_kernel")
@pytest.mark.parametrize("place", ["http-v2", "http-v2/0/0/0/0/0", "wheels/aa"])
def test_links_are_not_followed_on_an_old_kernel_either(pip: Scene, victim: Path, place: str) -> None:
    entries = pip.entries()
    assert len(entries) == len(KEYS) + 1
    replace_by_link(pip.root / place, victim / PIP_PLACES[place])
    pip.purge()
    pip.purge(entries.values())
    assert (pip.root / place).is_symlink()


@as_root
@pytest.mark.root
@pytest.mark.usefixtures("old_kernel")
@pytest.mark.parametrize("place", ["libfoo-1.0-0", "libfoo-1.0-0/lib", f"{TRASH}/x/y"])
def test_bind_mounts_are_not_entered_on_an_old_kernel_either(conda: Scene, victim: Path, place: str) -> None:
    victim.chmod(0o500)
    with bound(victim, conda.root / place):
        assert conda.measure().problems
        conda.purge()
        assert victim.stat().st_mode & 0o777 == 0o500
    victim.chmod(0o755)


PIP_MOUNTS = ("http-v2", "http-v2/1", "http-v2/1/1/1/1/1", "wheels", "wheels/aa/bb/cc/" + "d" * 50, "selfcheck",
              "wheels/aa/bb/cc/" + "d" * 50 + "/tmpabcd1234")  # fmt: skip
CONDA_MOUNTS = ("libfoo-1.0-0", "libfoo-1.0-0/lib", "libfoo-1.0-0/info", "cache", ".trash", TRASH, f"{TRASH}/x",
                f"{TRASH}/x/y", ".trash/x/y", "https")  # fmt: skip


@as_root
@pytest.mark.root
@pytest.mark.parametrize("place", PIP_MOUNTS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_bind_mount_in_a_pip_cache_is_not_entered(pip: Scene, victim: Path, place: str, *, late: bool) -> None:
    source = victim / "pip" / place if (victim / "pip" / place).is_dir() else victim
    source.chmod(0o500)  # what a remover would have to open up first
    entries = pip.entries()
    with bound(source, pip.root / place):
        if not late:
            assert pip.measure().problems
            entries = pip.entries()
        pip.purge(entries.values())
        assert (pip.root / place).is_dir()
        assert source.stat().st_mode & 0o777 == 0o500
    source.chmod(0o755)


@as_root
@pytest.mark.root
@pytest.mark.parametrize("place", CONDA_MOUNTS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_bind_mount_in_a_conda_cache_is_not_entered(conda: Scene, victim: Path, place: str, *, late: bool) -> None:
    (conda.root / TRASH / "x/y").mkdir(parents=True)
    entries = conda.entries()
    victim.chmod(0o500)
    with bound(victim, conda.root / place):
        if not late:
            entries = conda.entries()
        conda.purge(entries.values())
        assert victim.stat().st_mode & 0o777 == 0o500
    victim.chmod(0o755)


@as_root
@pytest.mark.root
def test_mount_that_appears_while_a_package_goes_is_not_entered(conda: Scene, victim: Path) -> None:
    entries = [conda.entries()["libfoo-1.0-0"]]
    with contextlib.ExitStack() as later:
        calls = iter(range(100))

        def mount_at_first() -> bool:
            trash = list((conda.root / TRASH).glob("*/lib"))
            if trash and next(calls) == 0:
                later.enter_context(bound(victim, trash[0]))
            return True

        outcome = conda.purge(entries, may_go_on=mount_at_first)
        assert next(calls) > 0
        assert outcome.failures


@as_root
@pytest.mark.root
@pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks()))
@pytest.mark.parametrize("place", ["http-v2/1", "libfoo-1.0-0/lib"])
def test_another_filesystem_in_a_cache_is_not_entered(pip: Scene, conda: Scene, place: str) -> None:
    scene = pip if place.startswith("http") else conda
    with LoopDisk(16) as disk:
        (disk.path / "mine").write_text("kept")
        with bound(disk.path, scene.root / place):
            assert scene.measure().problems
            scene.purge()
        assert (disk.path / "mine").read_text() == "kept"


@contextlib.contextmanager
def immutable(path: Path, top: Path) -> Iterator[None]:
    """Afterwards the file is looked for below ``top``, wherever it was moved to."""
    inode = path.stat().st_ino
    done = subprocess.run(["chattr", "+i", path], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"chattr: {done.stderr.strip()}")
    try:
        yield
    finally:
        for found in [found for found in top.rglob("*") if found.lstat().st_ino == inode]:
            subprocess.run(["chattr", "-i", found], check=True)


@as_root
@pytest.mark.root
def test_immutable_file_is_one_failure_and_the_others_go(pip: Scene) -> None:
    path = shard_of(pip.root, KEYS[3]) / KEYS[3]
    entries = pip.entries()
    with immutable(path, pip.root):
        outcome = pip.purge()
        assert [(failure.path, failure.error, failure.busy) for failure in outcome.failures] == [
            (str(path.relative_to(pip.root)), "Operation not permitted", False)
        ]
        assert len(outcome.removed) == len(entries) - 1
        assert files_below(pip.root) == {str(path.relative_to(pip.root)), f"{path.relative_to(pip.root)}.body"}


@as_root
@pytest.mark.root
def test_immutable_file_in_a_package_leaves_no_half_package(conda: Scene) -> None:
    folder = conda.root / "libfoo-1.0-0"
    removed: list[RemovedEntry] = []
    with immutable(folder / "lib/a", conda.root):
        outcome = conda.purge(progress=removed.append)
        assert [failure.error for failure in outcome.failures] == ["Operation not permitted"]
        assert not folder.exists()
        assert {each.path for each in removed} >= {"libfoo-1.0-0", "libbar-2.0-0"}
        assert len([entry for entry in conda.entries().values() if entry.leftover]) == 1
    assert conda.purge().failures == ()
    assert not (conda.root / TRASH).exists()


@as_root
@pytest.mark.root
def test_immutable_package_folder_stays_whole(conda: Scene) -> None:
    folder = conda.root / "libfoo-1.0-0"
    before = tree_digest(folder)
    with immutable(folder, conda.root):
        outcome = conda.purge([entry for entry in conda.entries().values() if entry.kind is Kind.PACKAGE])
        assert [failure.path for failure in outcome.failures] == ["libfoo-1.0-0"]
        assert tree_digest(folder) == before
