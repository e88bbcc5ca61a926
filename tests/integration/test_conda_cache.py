"""Package caches in the formats of conda, mamba and rattler, measured and purged."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.conda_caches import (
    PLACEHOLDER,
    CondaBase,
    Link,
    build_package,
    environment_problems,
    environment_works,
    rattler_install,
    tree_digest,
)
from builders.disks import give_to
from builders.looks import Scene, as_user, broken_packages, du, files_below, frees_of
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.conda_entries import RANK_STANDING_TARBALL, RANKS
from cachewarden.model.caches import Entry, Kind
from cachewarden.system.folders import open_folder

TRASH = ".cachewarden-trash"
LIBRARY: dict[str, bytes | Link] = {"lib/libfoo.so.1": b"\x7fELF\0" + b"foo" * 5000, "include/foo.h": b"int foo;\n"}
PYTHON: dict[str, bytes | Link] = {
    "bin/python3.12": b"\x7fELF\0python" * 1000,
    "bin/python3": Link("bin/python3.12"),
    "bin/python": Link("python3.12", hard=False),
    "lib/python3.12/os.py": b"name = 'posix'\n",
}
PATCHED: dict[str, bytes | Link] = {
    "bin/tool": f"#!{PLACEHOLDER}/bin/python\nprint(1)\n".encode(),
    "lib/libbar.so": f"\x7fELF\0{PLACEHOLDER}/share/bar\0tail".encode(),
}
DISTS = ["libfoo-1.0-0", "python-3.12.1-h1_0", "patched-2.0-0", "metaonly-1.0-0"]
NOBODY = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A library, a python that links to itself, one that is all prefix-replaced, one that is only metadata."""
    folder = tmp_path_factory.mktemp("built")
    return [
        build_package(folder, "libfoo", "1.0", files=LIBRARY),
        build_package(folder, "python", "3.12.1", "h1_0", files=PYTHON),
        build_package(folder, "patched", "2.0", files=PATCHED, fmt=".tar.bz2", prefix_files=tuple(PATCHED)),
        build_package(folder, "metaonly", "1.0"),
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def make_base(home: Path, packages: list[Path], *, nested: bool = False) -> CondaBase:
    built = CondaBase(home / "miniforge3", home, nested=nested)
    for package in packages:
        built.fetch(package)
    return built


@pytest.fixture
def base(home: Path, packages: list[Path]) -> CondaBase:
    return make_base(home, packages)


@pytest.fixture
def scene(base: CondaBase) -> Scene:
    return scene_of(base)


def scene_of(base: CondaBase) -> Scene:
    return Scene(Conda(), base.pkgs, base.home)


def package_holds(scene: Scene) -> dict[str, str | None]:
    return {Path(entry.path).name: entry.hold for entry in scene.of_kind(Kind.PACKAGE)}


# ---------------------------------------------------------------------------------------------------------
# In use or not


def test_unused_packages_are_free_to_go_internal_hard_links_or_not(scene: Scene) -> None:
    assert package_holds(scene) == dict.fromkeys(DISTS)
    for entry in scene.of_kind(Kind.PACKAGE):
        assert entry.frees == entry.size == du(scene.root / entry.path)
        assert entry.shares == ()


def test_packages_carry_name_and_version_of_their_record(base: CondaBase, scene: Scene) -> None:
    record = base.extracted("libfoo-1.0-0") / "info/repodata_record.json"
    record.write_text(json.dumps({"name": "other_name", "version": "9"}))
    (base.extracted("metaonly-1.0-0") / "info/repodata_record.json").write_text("{broken")
    (base.extracted("patched-2.0-0") / "info/repodata_record.json").write_text("[" * 100_000)
    found = {entry.path: (entry.name, entry.version) for entry in scene.of_kind(Kind.PACKAGE)}
    assert found["libfoo-1.0-0"] == ("other_name", "9")
    assert found["metaonly-1.0-0"] == ("metaonly", "1.0")
    assert found["patched-2.0-0"] == ("patched", "2.0")


@pytest.mark.parametrize("link", ["hard", "copy", "soft"])
def test_packages_of_a_registered_environment_are_held_by_its_records(
    base: CondaBase, scene: Scene, tmp_path: Path, link: str
) -> None:
    env = base.create_env(tmp_path / "elsewhere", DISTS, link=link)  # type: ignore[arg-type]
    assert package_holds(scene) == dict.fromkeys(DISTS, f"in use by {env} (recorded in its conda-meta)")


def test_packages_of_an_environment_of_the_base_are_held_though_not_registered(base: CondaBase, scene: Scene) -> None:
    env = base.create_env(base.path / "envs/work", ["metaonly-1.0-0"], register=False)
    holds = package_holds(scene)
    assert holds.pop("metaonly-1.0-0") == f"in use by {env} (recorded in its conda-meta)"
    assert set(holds.values()) == {None}


def test_hard_links_of_an_unknown_environment_hold(base: CondaBase, scene: Scene, tmp_path: Path) -> None:
    base.create_env(tmp_path / "unknown", DISTS, register=False)
    holds = package_holds(scene)
    assert holds["libfoo-1.0-0"] == "in use: 2 of its files are hard-linked outside of the cache"
    assert holds["python-3.12.1-h1_0"] == "in use: 2 of its files are hard-linked outside of the cache"
    assert (holds["patched-2.0-0"], holds["metaonly-1.0-0"]) == (None, None)


def test_symbolic_links_hold_where_the_records_are_gone(base: CondaBase, scene: Scene, tmp_path: Path) -> None:
    env = base.create_env(tmp_path / "linked", DISTS, link="soft")
    for record in (env / "conda-meta").glob("*.json"):
        record.unlink()
    holds = package_holds(scene)
    reason = f"in use by {env} (symbolic links point into it)"
    assert (holds["libfoo-1.0-0"], holds["python-3.12.1-h1_0"]) == (reason, reason)


def test_symbolic_links_by_another_name_of_the_cache_hold(base: CondaBase, scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(base.pkgs)
    env = base.create_env(tmp_path / "linked", ["metaonly-1.0-0"])
    (env / "foo.h").symlink_to("../alias/libfoo-1.0-0/include/foo.h")
    assert package_holds(scene)["libfoo-1.0-0"] == f"in use by {env} (symbolic links point into it)"


def test_nothing_is_provably_unused_when_conda_links_by_symlink(base: CondaBase, scene: Scene) -> None:
    (base.path / ".condarc").write_text("always_softlink: true\n")
    assert all((hold or "").endswith("it cannot be proved unused") for hold in package_holds(scene).values())
    assert [problem.path for problem in scene.measure().problems] == [str(base.pkgs)]
    assert {entry.kind for entry in scene.entries().values() if not entry.hold} == {Kind.TARBALL, Kind.INDEX}


def test_backup_by_hard_links_holds(base: CondaBase, scene: Scene, tmp_path: Path) -> None:
    subprocess.run(["cp", "-al", base.pkgs, tmp_path / "backup"], check=True)
    assert all((hold or "").endswith("hard-linked outside of the cache") for hold in package_holds(scene).values())


def test_package_linked_from_another_package_is_no_environment(base: CondaBase, scene: Scene) -> None:
    subprocess.run(["cp", "-al", base.pkgs / "libfoo-1.0-0", base.pkgs / "libfoo-1.0-1"], check=True)
    entries = [entry for path, entry in scene.entries().items() if path.startswith("libfoo-1.0-") and entry.tree]
    assert [entry.hold for entry in entries] == [None, None]
    assert scene.measure().cache.size == du(base.pkgs)
    before = du(base.pkgs)
    outcome = scene.purge(entries)
    assert outcome.failures == ()
    assert outcome.freed == frees_of(entries) == before - du(base.pkgs)
    assert all(entry.frees < du(base.pkgs) for entry in entries)


# ---------------------------------------------------------------------------------------------------------
# What else is there


def test_tarballs_are_cheaper_while_their_folder_stands(base: CondaBase, scene: Scene) -> None:
    shutil.rmtree(base.extracted("libfoo-1.0-0"))
    ranks = {entry.path: (entry.rank, entry.name, entry.version) for entry in scene.of_kind(Kind.TARBALL)}
    assert ranks == {
        "libfoo-1.0-0.conda": (RANKS[Kind.TARBALL], "libfoo", "1.0"),
        "python-3.12.1-h1_0.conda": (RANK_STANDING_TARBALL, "python", "3.12.1"),
        "patched-2.0-0.tar.bz2": (RANK_STANDING_TARBALL, "patched", "2.0"),
        "metaonly-1.0-0.conda": (RANK_STANDING_TARBALL, "metaonly", "1.0"),
    }
    assert RANK_STANDING_TARBALL < RANKS[Kind.TARBALL] < RANKS[Kind.PACKAGE]


def add_by_products(pkgs: Path) -> set[str]:
    """What tools leave beside packages; returns what must stay."""
    for name in (".logs/a.log", ".logs/2.log", "a-1-0.conda.partial", "b-1-0.tar.bz2.c~", ".trash/x",
                 ".trash/d/deep/y",
                 "cache/repodata_shards.db", "cache/repodata_shards.db-wal", "cache/01234567.json.zst",
                 "libfoo-0.9-0/info/index.json/odd", "notes.txt", "mine/a/b", "cache/mine.json", ".logs/folder/mine",
                 "pkgs.lock", "cache/cache.lock", "c-1-0.conda/mine"):  # fmt: skip
        path = pkgs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (pkgs / "linked-1.0-0").symlink_to(pkgs / "libfoo-1.0-0")
    (pkgs / "linked-1.0-0.conda").symlink_to(pkgs / "libfoo-1.0-0.conda")
    os.mkfifo(pkgs / "fifo-1.0-0.conda")
    return {"libfoo-0.9-0/info/index.json/odd", "notes.txt", "mine/a/b", "cache/mine.json", ".logs/folder/mine",
            "pkgs.lock", "cache/cache.lock", "c-1-0.conda/mine", "linked-1.0-0", "linked-1.0-0.conda",
            "fifo-1.0-0.conda", "urls", "urls.txt"}  # fmt: skip


def test_by_products_are_told_apart(base: CondaBase, scene: Scene) -> None:
    add_by_products(base.pkgs)
    found = {path: (entry.kind, entry.parts) for path, entry in scene.entries().items()
             if entry.kind not in {Kind.PACKAGE, Kind.TARBALL}}  # fmt: skip
    indexes = {path: parts for path, (kind, parts) in found.items() if kind is Kind.INDEX}
    assert indexes.pop("cache/repodata_shards.db") == ("repodata_shards.db-wal",)
    assert indexes.pop("cache/01234567.json.zst") == ()
    assert [parts for path, parts in indexes.items()] == [(f"{path[6:14]}.info.json",) for path in indexes]
    assert len(indexes) == 2
    assert {path: kind for path, (kind, _) in found.items() if kind is not Kind.INDEX} == {
        ".logs/a.log": Kind.LOG, ".logs/2.log": Kind.LOG, "a-1-0.conda.partial": Kind.DEBRIS,
        "b-1-0.tar.bz2.c~": Kind.DEBRIS, ".trash/x": Kind.DEBRIS, ".trash/d": Kind.DEBRIS,
    }  # fmt: skip


def test_size_is_what_du_says(base: CondaBase, scene: Scene) -> None:
    add_by_products(base.pkgs)
    base.create_env(base.path / "envs/work", DISTS[:2])
    (base.pkgs / TRASH / "left").mkdir(parents=True)
    os.link(base.pkgs / "libfoo-1.0-0/include/foo.h", base.pkgs / TRASH / "left/foo.h")
    os.link(base.pkgs / "libfoo-1.0-0/include/foo.h", base.pkgs / "mine/foo.h")
    assert scene.measure().cache.size == du(base.pkgs)


def test_purge_leaves_what_is_not_conda_s(base: CondaBase, scene: Scene) -> None:
    stays = add_by_products(base.pkgs)
    before, entries = du(base.pkgs), scene.entries()
    outcome = scene.purge()
    assert outcome.failures == ()
    assert files_below(base.pkgs) == stays
    assert outcome.freed == frees_of(entries.values()) == before - du(base.pkgs)
    assert not (base.pkgs / TRASH).exists()


def test_reading_moves_no_access_time(base: CondaBase, scene: Scene) -> None:
    files = [base.pkgs / name for name in files_below(base.pkgs)]
    for file in files:
        os.utime(file, ns=(10**18, file.lstat().st_mtime_ns), follow_symlinks=False)
    assert scene.of_kind(Kind.PACKAGE)[0].name
    assert {file.lstat().st_atime_ns for file in files} == {10**18}


def test_age_is_that_of_the_extraction_not_of_the_build(scene: Scene) -> None:
    for entry in scene.of_kind(Kind.PACKAGE):
        assert time.time() - entry.modified / 1e9 < 600
        assert entry.last_used
        assert entry.last_used >= entry.modified


# ---------------------------------------------------------------------------------------------------------
# Purging


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("link", ["hard", "copy", "soft"])
def test_environments_stay_byte_by_byte(home: Path, packages: list[Path], link: str, *, nested: bool) -> None:
    base = make_base(home, packages, nested=nested)
    scene = scene_of(base)
    used, unused = DISTS[:3], DISTS[3]
    envs = [
        base.create_env(base.path / "envs/work", used, link=link),  # type: ignore[arg-type]
        base.create_env(home / "project/env", used[:1], link=link),  # type: ignore[arg-type]
    ]
    before = [tree_digest(env) for env in envs]
    outcome = scene.purge()
    assert outcome.failures == ()
    assert unused in {Path(removed.path).name for removed in outcome.removed}
    assert [tree_digest(env) for env in envs] == before
    assert all(environment_works(env) for env in envs)
    assert set(package_holds(scene)) == set(used)
    assert not base.extracted(used[0]).with_name(f"{used[0]}.conda").exists()
    assert not list(base.pkgs.glob("cache/*.json"))


def test_purge_frees_what_was_promised_beside_environments(base: CondaBase, scene: Scene) -> None:
    base.create_env(base.path / "envs/work", DISTS[:1])
    before = du(base.path)
    entries = [entry for entry in scene.entries().values() if entry.hold is None]
    outcome = scene.purge(entries)
    assert outcome.freed == frees_of(entries) == before - du(base.path)


def test_hard_linked_package_stays_even_if_a_plan_wants_it(base: CondaBase, scene: Scene, tmp_path: Path) -> None:
    base.create_env(tmp_path / "unknown", DISTS[:2], register=False)
    entries = scene.of_kind(Kind.PACKAGE)
    before = du(tmp_path)
    outcome = scene.purge(entries)
    assert {failure.path for failure in outcome.failures} == set(DISTS[:2])
    assert outcome.freed == before - du(tmp_path) > 0


def test_file_with_other_names_leaves_and_frees_nothing(base: CondaBase, scene: Scene, tmp_path: Path) -> None:
    tarball = base.pkgs / "libfoo-1.0-0.conda"
    os.link(tarball, tmp_path / "backup.conda")
    entry = scene.entries()[tarball.name]
    assert (entry.frees, entry.frees_inodes, entry.hold) == (0, 0, None)
    outcome = scene.purge([entry])
    assert (outcome.freed, outcome.failures, tarball.exists()) == (0, (), False)
    assert (tmp_path / "backup.conda").stat().st_size > 0


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_cache_can_be_used_again_after_a_purge(home: Path, packages: list[Path], *, nested: bool) -> None:
    base = make_base(home, packages, nested=nested)
    scene_of(base).purge()
    assert list(base.pkgs.rglob("info/index.json")) == []
    for package in packages:
        base.fetch(package)
    assert environment_problems(base.create_env(base.path / "envs/new", DISTS)) == []


def test_rattler_fills_its_cache_again_after_a_purge(home: Path, packages: list[Path]) -> None:
    cache, channel = home / "rattler", home / "channel"
    env = rattler_install(packages, home / "project/env", cache, channel)
    (home / ".conda").mkdir()
    (home / ".conda/environments.txt").write_text(f"{env}\n")
    scene = Scene(Conda(), cache / "pkgs", home)
    digest = tree_digest(env)
    assert all(package_holds(scene).values())
    (home / ".conda/environments.txt").unlink()
    shutil.rmtree(env / "conda-meta")
    outcome = scene.purge([entry for entry in scene.of_kind(Kind.PACKAGE) if entry.hold is None])
    assert {removed.path for removed in outcome.removed} >= {"metaonly-1.0-0"}
    assert tree_digest(env).items() <= digest.items()
    shutil.rmtree(env)
    assert scene.purge().failures == ()
    assert scene.of_kind(Kind.PACKAGE) == []
    assert environment_problems(rattler_install(packages, home / "again", cache, channel)) == []


def test_nested_packages_are_entries_of_their_channel(home: Path, packages: list[Path]) -> None:
    base = make_base(home, packages, nested=True)
    scene = scene_of(base)
    found = {
        entry.path: entry.kind for entry in scene.entries().values() if entry.kind in {Kind.PACKAGE, Kind.TARBALL}
    }
    folder = str(base.package_folder("noarch").parent.relative_to(base.pkgs))
    assert len(found) == 2 * len(DISTS)
    assert all(path.startswith(f"{folder}/") for path in found)
    assert scene.measure().cache.size == du(base.pkgs)


def test_environment_made_after_the_measurement_keeps_its_packages(
    base: CondaBase, scene: Scene, tmp_path: Path
) -> None:
    entries = scene.of_kind(Kind.PACKAGE)
    base.create_env(tmp_path / "unknown", DISTS[:1], register=False)
    base.create_env(base.path / "envs/known", DISTS[2:3], link="copy")
    outcome = scene.purge(entries)
    assert {failure.path for failure in outcome.failures if failure.busy} == {DISTS[0], DISTS[2]}
    assert set(package_holds(scene)) == {DISTS[0], DISTS[2]}


def test_package_extracted_anew_since_the_measurement_stays(
    base: CondaBase, scene: Scene, packages: list[Path]
) -> None:
    entries = scene.of_kind(Kind.PACKAGE)
    shutil.rmtree(base.extracted("libfoo-1.0-0"))
    base.fetch(packages[0])
    outcome = scene.purge(entries)
    assert [failure.path for failure in outcome.failures] == ["libfoo-1.0-0"]
    assert set(package_holds(scene)) == {"libfoo-1.0-0"}


def test_vanished_entries_are_no_failures(home: Path, packages: list[Path]) -> None:
    base = make_base(home, packages, nested=True)
    scene = scene_of(base)
    entries = scene.entries()
    shutil.rmtree(base.package_folder("noarch").parent)
    shutil.rmtree(base.pkgs / "cache")
    outcome = scene.purge(entries.values())
    assert (outcome.failures, outcome.removed, outcome.freed) == ((), (), 0)


# ---------------------------------------------------------------------------------------------------------
# Interrupted


def leftovers(scene: Scene) -> list[Entry]:
    return [entry for entry in scene.entries().values() if entry.leftover]


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_no_half_package_is_left_wherever_a_purge_ends(home: Path, packages: list[Path], *, kill: bool) -> None:
    base = make_base(home, packages)
    scene = scene_of(base)
    subprocess.run(["cp", "-a", base.pkgs, home / "all"], check=True)
    ends = 0
    while not run_to(scene, ends, kill=kill):
        assert broken_packages(base.pkgs) == []
        assert {path.name for path in base.pkgs.iterdir() if path.is_dir()} <= {*DISTS, "cache", TRASH}
        shutil.rmtree(base.pkgs)
        subprocess.run(["cp", "-a", home / "all", base.pkgs], check=True)
        ends += 2  # what is between two names: nothing
    assert ends > 40


def run_to(scene: Scene, count: int, *, kill: bool) -> bool:
    """Purges the packages until it has asked ``count`` times; whether it came to its end, else finishes it."""
    entries = scene.of_kind(Kind.PACKAGE)
    asked = iter(range(count))
    if kill:
        done = os.waitstatus_to_exitcode(_purge_in_a_child(scene, entries, asked)) == 0
    else:
        done = not scene.purge(entries, may_go_on=lambda: next(asked, None) is not None).incomplete
    trash = leftovers(scene)
    assert all(entry.hold is None and entry.kind is Kind.DEBRIS for entry in trash)
    if not done:
        broken = broken_packages(scene.root)
        assert broken == []
    scene.purge(trash)
    assert leftovers(scene) == []
    return done


def _purge_in_a_child(scene: Scene, entries: list[Entry], asked: Iterator[int]) -> int:
    def go_on() -> bool:
        if next(asked, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    pid = os.fork()
    if pid == 0:
        scene.purge(entries, may_go_on=go_on)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def test_stopped_purge_counts_what_it_freed(base: CondaBase, scene: Scene) -> None:
    asked = iter(range(12))
    before = du(base.pkgs)
    outcome = scene.purge(may_go_on=lambda: next(asked, None) is not None)
    assert outcome.incomplete
    trash = base.pkgs / TRASH  # made meanwhile: nothing on tmpfs, a block elsewhere
    assert outcome.freed == before - du(base.pkgs) + (trash.stat().st_blocks * 512 if trash.exists() else 0)


def test_trash_of_any_shape_is_finished(base: CondaBase, scene: Scene) -> None:
    trash = base.pkgs / TRASH
    shutil.copytree(base.extracted("libfoo-1.0-0"), trash / "1-2-3-libfoo-1.0-0")
    (trash / "file").write_text("x")
    (trash / "link").symlink_to("/etc")
    (trash / "empty").mkdir()
    (trash / "closed").mkdir(mode=0)
    assert {entry.path.rpartition("/")[2] for entry in leftovers(scene)} == set(os.listdir(trash))
    assert scene.purge(leftovers(scene)).failures == ()
    assert not trash.exists()
    assert set(package_holds(scene)) == set(DISTS)


# ---------------------------------------------------------------------------------------------------------
# Somebody at work

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python under a chosen argument list; its code says when it is ready."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str, code: str = "") -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [*arguments],
            executable=sys.executable,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": ""},
        )
        started.append(process)
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{code}\nimport time\nprint(flush=True)\ntime.sleep(600)\n".encode())
        process.stdin.close()
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.mark.parametrize("tool", ["micromamba", "mamba", "pixi", "conda"])
def test_running_tool_holds_all_but_logs_and_our_trash(
    base: CondaBase, scene: Scene, start: Start, tool: str
) -> None:
    add_by_products(base.pkgs)
    (base.pkgs / TRASH).mkdir()
    (base.pkgs / TRASH / "left").write_text("x")
    entries = scene.entries()
    process = start(tool, "-", "install")
    free = {entry.path for entry in scene.entries().values() if entry.hold is None}
    assert free == {".logs/a.log", ".logs/2.log", f"{TRASH}/left"}
    assert {entry.hold for entry in scene.entries().values()} == {None, f"{tool} is running (process {process.pid})"}
    outcome = scene.purge(entries.values())
    assert {removed.path for removed in outcome.removed} == free
    assert all(failure.busy for failure in outcome.failures)
    process.kill()
    process.wait()
    time.sleep(0.3)
    assert scene.purge().failures == ()


def lock_code(path: Path) -> str:
    return f"import fcntl\nfile = open({str(path)!r}, 'r+b')\nfcntl.lockf(file, fcntl.LOCK_EX, 1, 21)\n"


@pytest.mark.parametrize("name", ["pkgs.lock", "cache/cache.lock", "cache/*.info.json", "x-1-0.conda.partial"])
def test_lock_of_a_tool_holds(base: CondaBase, scene: Scene, start: Start, name: str) -> None:
    if "*" not in name:
        (base.pkgs / name).write_text("x" * 40)
    locked = next(base.pkgs.glob(name))
    process = start("something", "-", code=lock_code(locked))
    assert {entry.hold for entry in scene.entries().values()} == {"a tool holds a lock in this cache"}
    process.kill()
    process.wait()
    assert {entry.hold for entry in scene.entries().values()} == {None}


@pytest.mark.parametrize("name", ["pkgs.lock", "cache/*.info.json", "x-1-0.conda.partial"])
def test_lock_taken_after_the_measurement_keeps_what_it_is_about(
    base: CondaBase, scene: Scene, start: Start, name: str
) -> None:
    (base.pkgs / "x-1-0.conda.partial").write_text("x")
    entries = scene.entries()
    if name == "pkgs.lock":
        (base.pkgs / name).touch()
    locked = next(base.pkgs.glob(name))
    start("something", "-", code=lock_code(locked))
    outcome = scene.purge(entries.values())
    kept = {failure.path for failure in outcome.failures if failure.error == "a tool holds a lock in this cache"}
    if name == "pkgs.lock":
        assert kept == set(entries)
    else:
        assert len(kept) == 1
        assert locked.exists()


def test_own_lock_is_released(base: CondaBase, scene: Scene) -> None:
    lock = base.pkgs / "pkgs.lock"
    lock.touch()
    scene.purge()
    with lock.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 21)


def test_debris_that_a_process_has_open_is_held(base: CondaBase, scene: Scene, start: Start) -> None:
    partial = base.pkgs / "x-1-0.conda.partial"
    partial.write_text("x")
    entry = scene.entries()[partial.name]
    start("downloader", "-", code=f"file = open({str(partial)!r})")
    assert scene.hold(partial.name) == "a process has it open"
    assert [failure.error for failure in scene.purge([entry]).failures] == ["a process has it open"]


# ---------------------------------------------------------------------------------------------------------
# Odd trees


def test_names_that_are_no_text_or_very_long_are_survived(base: CondaBase, scene: Scene) -> None:
    names = [
        b"\xff\xfe-1.0-0",
        b"new\nline-1.0-0",
        b"\x1b[31mred-1-0",
        b"a" * 251 + b"-1-0",
        "é".encode() * 125 + b"-1-0",
    ]
    for name in names:
        shutil.copytree(base.extracted("libfoo-1.0-0"), os.fsdecode(os.fsencode(base.pkgs) + b"/" + name))
        with open(os.fsencode(base.pkgs) + b"/" + name + b"/" + name, "w") as file:
            file.write("x")
    assert len(scene.of_kind(Kind.PACKAGE)) == len(DISTS) + len(names)
    assert scene.measure().cache.size == du(base.pkgs)
    assert scene.purge().failures == ()
    assert scene.of_kind(Kind.PACKAGE) == []
    assert not (base.pkgs / TRASH).exists()


def test_special_files_in_a_package_go_with_it(base: CondaBase, scene: Scene) -> None:
    folder = base.extracted("libfoo-1.0-0")
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("/etc")
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    entry = scene.entries()["libfoo-1.0-0"]
    assert entry.frees == du(folder)
    assert scene.purge([entry]).freed == entry.frees
    assert not folder.exists()


@pytest.mark.parametrize("name", ["cache", ".trash", ".logs", TRASH, "https"])
def test_file_where_a_folder_is_expected_stays(base: CondaBase, scene: Scene, name: str) -> None:
    shutil.rmtree(base.pkgs / name, ignore_errors=True)
    (base.pkgs / name).write_text("not a folder")
    outcome = scene.purge()
    assert (base.pkgs / name).read_text() == "not a folder"
    assert broken_packages(base.pkgs) == []
    assert bool(outcome.failures) == (name == TRASH)


@needs_root
def test_owner_removes_packages_with_closed_folders(packages: list[Path]) -> None:
    home = Path(tempfile.mkdtemp(prefix="cachewarden-closed-"))
    try:
        base = make_base(home, packages)
        give_to(home, NOBODY, NOBODY)
        for path in sorted(base.pkgs.rglob("*-*-*/**/*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o555)
        for dist in DISTS:
            base.extracted(dist).chmod(0o555)
        scene = scene_of(base)
        outcome = as_user(NOBODY, scene.purge)
        assert outcome.failures == ()
        assert scene.of_kind(Kind.PACKAGE) == []
        assert not (base.pkgs / TRASH).exists()
    finally:
        shutil.rmtree(home)


@needs_root
def test_package_that_cannot_be_seen_whole_stays(packages: list[Path]) -> None:
    home = Path(tempfile.mkdtemp(prefix="cachewarden-unseen-"))
    try:
        base = make_base(home, packages)
        give_to(home, NOBODY, NOBODY)
        (base.extracted("libfoo-1.0-0") / "lib").chmod(0)
        (base.pkgs / TRASH / "closed").mkdir(parents=True, mode=0)
        give_to(base.pkgs / TRASH, NOBODY, NOBODY)
        scene = scene_of(base)
        assert as_user(NOBODY, lambda: scene.hold("libfoo-1.0-0")) == "it cannot be seen whole: Permission denied"
        assert as_user(NOBODY, scene.purge).failures == ()
        assert (base.pkgs / "libfoo-1.0-0/lib").is_dir()
        assert not (base.pkgs / TRASH).exists()
    finally:
        shutil.rmtree(home)


@pytest.mark.parametrize(
    ("names", "is_one"),
    [
        ([], True),
        (["urls.txt"], True),
        (["zlib-1.3-0.conda"], False),
        (["zlib-1.3-0/info/index.json"], True),
        (["https/host.invalid/main/noarch/zlib-1.3-0/info/index.json"], True),
        ([".cachewarden-trash/x", "cache/x.json"], False),
        (["backup-2024.tar.bz2", ".trash/x"], False),
        (["cache/x", ".logs/x", "photos/1.jpg"], False),
        (["http/index.html"], False),
        (["file/a/b/letter.txt", ".trash/old"], False),
        (["projects/zlib/info/index.json"], False),
    ],
)
def test_only_what_conda_makes_is_taken_for_its_cache(tmp_path: Path, names: list[str], is_one: bool) -> None:
    for name in names:
        path = tmp_path / "pkgs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "pkgs").mkdir(exist_ok=True)
    with open_folder(str(tmp_path / "pkgs")) as folder:
        assert (Conda().recognise(folder) is None) is is_one
