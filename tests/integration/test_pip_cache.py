"""Caches that real pips made, measured and purged."""

import contextlib
import gzip
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.disks import give_to, set_age
from builders.looks import Scene, as_found, as_user, du, files_below, frees_of, look
from builders.pip_caches import (
    DEBIAN_12_PIP,
    LoopbackIndex,
    add_foreign_file,
    add_orphan_tmp,
    fill_pip_cache,
    pip_install,
)
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.caches import Entry, Kind
from cachewarden.model.plans import RemovedEntry

PACKAGES = ("six", "idna", "packaging", "certifi", "click")
LAYOUTS = {"newest": None, "debian-12": DEBIAN_12_PIP}
TREES = {"newest": "http-v2", "debian-12": "http"}
NOBODY = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


class GzipIndex(LoopbackIndex):
    """Compresses its pages, as the public index does; pip keeps them as they came."""

    def _page(self, path: str, accept: str) -> tuple[bytes, dict[str, str]] | None:
        found = super()._page(path, accept)
        if found is None:
            return None
        body, headers = found
        return gzip.compress(body, mtime=0), headers | {"Content-Encoding": "gzip"}


@dataclass
class Filled:
    """A home whose cache a pip has filled, and the index that it was filled from."""

    home: Path
    index: LoopbackIndex
    layout: str

    def copy(self, to: Path) -> Scene:
        """The same cache for a test of its own, with inodes of its own and ages kept."""
        subprocess.run(["cp", "-a", f"{self.home}/.", to], check=True)
        return Scene(Pip(), to / ".cache" / "pip", to)

    def truth(self) -> dict[str, tuple[Kind, str, str | None]]:
        """By key: what each URL of the index is."""
        found: dict[str, tuple[Kind, str, str | None]] = {}
        for file in self.index.files:
            url = f"{self.index.root}/files/{file.path.name}"
            found[key_of(url)] = (Kind.DOWNLOAD, file.project, file.version)
            found[key_of(f"{url}.metadata")] = (Kind.INDEX, file.project, file.version)
            found[key_of(f"{self.index.url}{file.project}/")] = (Kind.INDEX, file.project, None)
        return found


def key_of(url: str) -> str:
    return hashlib.sha224(url.encode()).hexdigest()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[tuple[str, bool], Filled]]:
    """Caches by (layout, package headers)."""
    with contextlib.ExitStack() as running:
        made = {}
        for headers in (False, True):
            index = running.enter_context(LoopbackIndex(package_headers=headers))
            for layout, pip in LAYOUTS.items():
                home = tmp_path_factory.mktemp(f"{layout}-{headers}")
                fill_pip_cache(home, index, pip, packages=PACKAGES, build=() if headers else ("docopt",))
                made[layout, headers] = Filled(home, index, layout)
        yield made


@pytest.fixture(params=LAYOUTS)
def source(request: pytest.FixtureRequest, filled: Mapping[tuple[str, bool], Filled]) -> Filled:
    return filled[request.param, False]


@pytest.fixture
def scene(source: Filled, tmp_path: Path) -> Scene:
    return source.copy(tmp_path)


@pytest.fixture
def newest(filled: Mapping[tuple[str, bool], Filled], tmp_path: Path) -> Scene:
    return filled["newest", False].copy(tmp_path)


def http_entries(scene: Scene) -> list[Entry]:
    return [entry for entry in scene.entries().values() if entry.path.startswith("http")]


def one_download(scene: Scene) -> Entry:
    return next(entry for entry in scene.of_kind(Kind.DOWNLOAD) if entry.name == "six")


def drop_pages(scene: Scene) -> None:
    """Index pages vanish, so that only headers and bodies can name a file."""
    for entry in http_entries(scene):
        if entry.kind is Kind.INDEX and entry.version is None:
            for name in (Path(entry.path).name, *entry.parts):
                (scene.root / entry.path).with_name(name).unlink()
            with contextlib.suppress(OSError):
                os.removedirs((scene.root / entry.path).parent)


def assert_all_named(scene: Scene, truth: Mapping[str, tuple[Kind, str, str | None]]) -> None:
    found = {Path(entry.path).name: (entry.kind, entry.name, entry.version) for entry in http_entries(scene)}
    assert sum(kind is Kind.DOWNLOAD for kind, _, _ in found.values()) >= len(PACKAGES)
    assert found == {key: truth.get(key) for key in found}


# ---------------------------------------------------------------------------------------------------------
# Measuring


@pytest.mark.parametrize("pages", [True, False], ids=["pages", "no-pages"])
@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no-headers"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_response_is_known_by_kind_name_and_version(
    filled: Mapping[tuple[str, bool], Filled], tmp_path: Path, layout: str, *, headers: bool, pages: bool
) -> None:
    source = filled[layout, headers]
    scene = source.copy(tmp_path)
    if not pages:
        drop_pages(scene)
    assert_all_named(scene, source.truth())
    assert {Path(entry.path).parts[0] for entry in http_entries(scene)} == {TREES[layout]}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pages_that_the_index_compressed_are_named_too(tmp_path: Path, layout: str) -> None:
    with GzipIndex() as index:
        fill_pip_cache(tmp_path, index, LAYOUTS[layout], packages=("six", "idna"), build=())
        scene = Scene(Pip(), tmp_path / ".cache/pip", tmp_path)
        found = {Path(e.path).name: (e.kind, e.name, e.version) for e in http_entries(scene)}
        truth = Filled(tmp_path, index, layout).truth()
    assert found[key_of(f"{index.url}six/")] == (Kind.INDEX, "six", None)
    assert found == {key: truth.get(key) for key in found}


def test_unreadable_body_is_named_by_the_pages(newest: Scene) -> None:
    body = newest.root / f"{one_download(newest).path}.body"
    body.write_bytes(b"\0" * body.stat().st_size)
    assert one_download(newest).version == "1.17.0"


def test_pages_that_an_earlier_look_found_name_what_is_new(newest: Scene) -> None:
    """A file comes anew from an index that tells nothing of it, and its page is where nothing changed."""
    known = look(newest)
    body = newest.root / f"{one_download(newest).path}.body"
    (body.parent / "new").write_bytes(b"\0" * body.stat().st_size)
    (body.parent / "new").rename(body)
    assert as_found(look(newest, known)) == as_found(look(newest))


def test_built_wheel_is_named_by_itself_or_by_its_origin(scene: Scene) -> None:
    [wheel] = scene.of_kind(Kind.BUILT_WHEEL)
    assert (wheel.name, wheel.version, wheel.hold) == ("docopt", "0.6.2", None)
    for path in scene.root.rglob("docopt*.whl"):
        path.rename(path.with_name("odd.whl"))
    [wheel] = scene.of_kind(Kind.BUILT_WHEEL)
    assert (wheel.name, wheel.version) == ("docopt", "0.6.2")


def test_every_file_belongs_to_exactly_one_entry(scene: Scene) -> None:
    covered: list[str] = []
    for entry in scene.entries().values():
        if entry.tree:
            covered += [f"{entry.path}/{name}" for name in files_below(scene.root / entry.path)]
        else:
            covered += [entry.path, *(str(Path(entry.path).with_name(part)) for part in entry.parts)]
    assert sorted(covered) == sorted(files_below(scene.root))
    assert [entry.path for entry in scene.entries().values() if entry.hold] == []


def test_self_checks_are_index_entries_and_their_orphans_debris(scene: Scene) -> None:
    state = next((scene.root / "selfcheck").iterdir())
    (scene.root / "selfcheck.json").write_text("{}")
    state.with_name(f"{state.name}ab12_xyz.tmp").write_text("{")
    found = {path: entry.kind for path, entry in scene.entries().items() if path.startswith("selfcheck")}
    assert found == {
        f"selfcheck/{state.name}": Kind.INDEX,
        "selfcheck.json": Kind.INDEX,
        f"selfcheck/{state.name}ab12_xyz.tmp": Kind.DEBRIS,
    }


def test_size_is_what_du_says(scene: Scene) -> None:
    add_foreign_file(scene.root, "notes/mine.txt")
    add_foreign_file(scene.root, "http-v2/a/b/deep/er/mine.txt")
    add_foreign_file(scene.root, "selfcheck/odd/mine.txt")
    add_foreign_file(scene.root, "wheels/aa/odd/mine.txt")
    key = scene.root / scene.of_kind(Kind.BUILT_WHEEL)[0].path
    add_foreign_file(key, "odd/mine.txt")
    add_foreign_file(key, "tmpabcd1234/built.txt")
    os.link(key / "tmpabcd1234/built.txt", scene.root / "notes/linked.txt")
    os.link(key / "tmpabcd1234/built.txt", key / "tmpabcd1234/again.txt")
    with (scene.root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert scene.measure().cache.size == du(scene.root)


def test_orphans_and_lone_bodies_are_debris(newest: Scene) -> None:
    orphan = add_orphan_tmp(newest.root, 86_400)
    download = one_download(newest)
    (newest.root / download.path).unlink()
    found = newest.entries()
    assert found[str(orphan.relative_to(newest.root))].kind is Kind.DEBRIS
    lone = found[f"{download.path}.body"]
    assert (lone.kind, lone.parts) == (Kind.DEBRIS, ())
    assert download.path not in found


def test_metadata_without_its_body_is_one_entry(newest: Scene) -> None:
    download = one_download(newest)
    (newest.root / f"{download.path}.body").unlink()
    alone = newest.entries()[download.path]
    assert (alone.kind, alone.parts, alone.name) == (Kind.DOWNLOAD, (), "six")
    assert newest.purge([alone]).failures == ()


def test_reading_moves_no_access_time(scene: Scene) -> None:
    long_ago = 1_500_000_000_000_000_000
    files = [scene.root / name for name in files_below(scene.root)]
    for file in files:
        os.utime(file, ns=(long_ago, file.stat().st_mtime_ns))
    assert {entry.name for entry in scene.of_kind(Kind.DOWNLOAD)} >= set(PACKAGES)
    assert {file.stat().st_atime_ns for file in files} == {long_ago}


def test_garbage_and_hostile_responses_are_downloads_without_a_name(newest: Scene) -> None:
    shard = (newest.root / one_download(newest).path).parent
    contents = {
        "0": b"", "1": b"cc=4,", "2": b"cc=4,\xdd\xff\xff\xff\xff", "3": b"cc=2,eJw=", "4": b"cc=4," + b"\x91" * 9000,
        "5": b"cc=4,\x81\xa8response\x81\xa4body\xc6\xff\xff\xff\xff", "6": os.urandom(5000),
    }  # fmt: skip
    for digit, content in contents.items():
        (shard / (digit * 56)).write_bytes(content)
    found = newest.entries()
    path = str(shard.relative_to(newest.root))
    assert {(found[f"{path}/{digit * 56}"].kind, found[f"{path}/{digit * 56}"].name) for digit in contents} == {
        (Kind.DOWNLOAD, None)
    }


# ---------------------------------------------------------------------------------------------------------
# Purging


def test_purge_frees_what_was_promised_and_leaves_an_empty_cache(scene: Scene) -> None:
    add_orphan_tmp(scene.root, 86_400)
    (scene.root / "http/0/1").mkdir(parents=True, exist_ok=True)  # left by an old purge
    before, entries = du(scene.root), scene.entries()
    outcome = scene.purge()
    assert outcome.failures == ()
    assert {removed.path for removed in outcome.removed} == set(entries)
    assert outcome.freed == frees_of(entries.values()) == before - du(scene.root)
    assert sum(removed.freed for removed in outcome.removed) == outcome.freed
    assert files_below(scene.root) == set()
    assert {path.name for path in scene.root.rglob("*")} <= {"http", "http-v2", "wheels", "selfcheck"}


def test_each_entry_alone_frees_at_least_what_it_says(source: Filled, tmp_path: Path) -> None:
    kinds = {}
    for number, kind in enumerate(Pip.kinds):
        scene = source.copy(tmp_path / str(number))
        add_orphan_tmp(scene.root, 86_400)
        entry = scene.of_kind(kind)[0]
        before = du(scene.root)
        outcome = scene.purge([entry])
        kinds[kind] = (outcome.freed, before - du(scene.root))
        assert entry.frees == outcome.freed
    assert all(said == real for said, real in kinds.values())


def test_foreign_files_stay_with_their_folders(scene: Scene) -> None:
    shard = Path(one_download(scene).path).parent
    names = {"notes.txt", "http-v2/mine.txt", "http/0/mine.txt", f"{shard}/mine.body", "wheels/aa/mine.whl",
             "selfcheck/mine", "http-v2/a/b/c/d/e/f/mine", "selfcheck.json.bak"}  # fmt: skip
    for name in names:
        add_foreign_file(scene.root, name)
    assert scene.purge().failures == ()
    assert files_below(scene.root) == names


def test_foreign_file_beside_a_built_wheel_holds_it(scene: Scene) -> None:
    [wheel] = scene.of_kind(Kind.BUILT_WHEEL)
    mine = add_foreign_file(scene.root, f"{wheel.path}/mine.txt")
    assert scene.hold(wheel.path) == "it holds something that pip does not make"
    scene.purge()
    assert mine.exists()
    mine.unlink()
    assert scene.hold(wheel.path) is None


def test_next_install_works_after_a_purge(source: Filled, tmp_path: Path) -> None:
    scene = source.copy(tmp_path)
    scene.purge()
    done = pip_install(tmp_path, source.index, LAYOUTS[source.layout], ["six", "docopt"], tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again/six.py").exists()
    assert scene.of_kind(Kind.BUILT_WHEEL)


@pytest.mark.parametrize("part", ["metadata", "body"])
def test_install_heals_half_an_entry(filled: Mapping[tuple[str, bool], Filled], tmp_path: Path, part: str) -> None:
    source = filled["newest", False]
    scene = source.copy(tmp_path)
    path = scene.root / one_download(scene).path
    (path if part == "metadata" else path.with_name(f"{path.name}.body")).unlink()
    done = pip_install(tmp_path, source.index, None, ["six"], tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert one_download(scene).parts


def test_pip_may_install_while_its_downloads_are_purged(
    filled: Mapping[tuple[str, bool], Filled], tmp_path: Path
) -> None:
    source = filled["newest", False]
    scene = source.copy(tmp_path)
    entries = http_entries(scene)

    def install(_: RemovedEntry) -> None:
        if not results:
            results.append(pip_install(tmp_path, source.index, None, ["six", "docopt"], tmp_path / "again"))

    results: list[subprocess.CompletedProcess[str]] = []
    scene.purge(entries, progress=install)
    assert [done.returncode for done in results] == [0], results[0].stderr


def test_changed_entry_stays(newest: Scene) -> None:
    download = one_download(newest)
    path = newest.root / download.path
    path.write_bytes(path.read_bytes())
    set_age(path, 5)
    outcome = newest.purge([download])
    assert path.exists()
    assert [(failure.path, failure.busy) for failure in outcome.failures] == [(download.path, True)]
    assert (outcome.freed, outcome.removed) == (0, ())


def test_replaced_entry_stays(newest: Scene) -> None:
    download = one_download(newest)
    path = newest.root / download.path
    status = path.stat()
    shutil.copy2(path, path.with_name("new"))
    path.with_name("new").rename(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert newest.purge([download]).removed == ()
    assert path.exists()


@pytest.mark.parametrize("above", range(4))
def test_vanished_entry_is_no_failure(scene: Scene, above: int) -> None:
    entries = scene.entries()
    victims = [one_download(scene), *scene.of_kind(Kind.BUILT_WHEEL)]
    for victim in victims:
        path = scene.root / victim.path
        for _ in range(above):
            path = path.parent
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    outcome = scene.purge(entries.values())
    assert outcome.failures == ()
    assert not {removed.path for removed in outcome.removed} & {victim.path for victim in victims}
    assert {Path(name).suffix for name in files_below(scene.root)} <= {".body"}


def test_folder_that_was_empty_stays_when_something_came(newest: Scene) -> None:
    empty = newest.root / "wheels/ff/ff"
    empty.mkdir(parents=True)
    entry = newest.entries()["wheels/ff/ff"]
    times = empty.stat()
    (empty / "fresh").write_text("a build begins")
    os.utime(empty, ns=(times.st_atime_ns, times.st_mtime_ns))
    newest.purge([entry])
    assert (empty / "fresh").exists()


def test_stopped_purge_is_incomplete_and_goes_on_later(scene: Scene) -> None:
    answers = iter([True] * 3)
    outcome = scene.purge(may_go_on=lambda: next(answers, False))
    assert outcome.incomplete
    assert 1 <= len(outcome.removed) <= 3
    assert scene.purge().incomplete is False
    assert files_below(scene.root) == set()


# ---------------------------------------------------------------------------------------------------------
# Somebody at work

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that sleeps under a chosen argument list."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(
        *arguments: str, code: str = "print(flush=True)\nimport time\ntime.sleep(600)\n"
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*arguments], executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdin
        assert process.stdout
        process.stdin.write(code.encode())
        process.stdin.close()
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def pip_module(tmp_path: Path) -> Path:
    """A folder with a module ``pip`` that only sleeps."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "pip.py").write_text("import time\nprint(flush=True)\ntime.sleep(600)\n")
    return folder


def run_pip_module(start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> "subprocess.Popen[bytes]":
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return start(sys.executable, "-m", "pip", "install", "numpy")


def test_running_pip_holds_built_wheels_and_nothing_else(
    scene: Scene, start: Start, pip_module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_orphan_tmp(scene.root, 86_400)
    process = run_pip_module(start, pip_module, monkeypatch)
    held = {entry.kind: entry.hold for entry in scene.entries().values() if entry.hold}
    assert held == {Kind.BUILT_WHEEL: f"pip is running (process {process.pid})"}
    process.kill()
    process.wait()
    time.sleep(0.3)
    assert [entry for entry in scene.entries().values() if entry.hold] == []


def test_pip_started_after_the_measurement_keeps_the_built_wheel(
    scene: Scene, start: Start, pip_module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = scene.entries()
    run_pip_module(start, pip_module, monkeypatch)
    outcome = scene.purge(entries.values())
    assert [failure.busy for failure in outcome.failures] == [True]
    assert {Path(name).parts[0] for name in files_below(scene.root)} == {"wheels"}


def test_build_in_progress_holds_its_wheels(scene: Scene) -> None:
    [wheel] = scene.of_kind(Kind.BUILT_WHEEL)
    build = scene.root / wheel.path / "tmpab12_xyz"
    (build / "source").mkdir(parents=True)
    entries = scene.entries()
    assert entries[wheel.path].hold == "a build is under way in it, or was interrupted"
    assert entries[f"{wheel.path}/tmpab12_xyz"].kind is Kind.DEBRIS
    assert scene.purge([wheel]).removed == ()
    assert build.exists()
    scene.purge()  # the build is dead: it goes, and then the wheel may
    assert not build.exists()
    assert scene.hold(wheel.path) is None


def test_build_begun_after_the_measurement_keeps_the_wheel(scene: Scene) -> None:
    [wheel] = scene.of_kind(Kind.BUILT_WHEEL)
    folder = scene.root / wheel.path
    times = folder.stat()
    (folder / "tmpab12_xyz").mkdir()
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    outcome = scene.purge([wheel])
    assert [failure.error for failure in outcome.failures] == ["a build is under way in it, or was interrupted"]
    assert (folder / "origin.json").exists()


def test_orphan_that_a_process_has_open_is_held(newest: Scene, start: Start) -> None:
    orphan = add_orphan_tmp(newest.root, 86_400)
    path = str(orphan.relative_to(newest.root))
    code = f"import time\nfile = open({str(orphan)!r})\nprint(flush=True)\ntime.sleep(600)\n"
    process = start(sys.executable, "-", code=code)
    entry = newest.entries()[path]
    assert entry.hold == "a process has it open"
    assert [failure.error for failure in newest.purge([entry]).failures] == ["a process has it open"]
    process.kill()
    process.wait()
    time.sleep(0.3)
    assert newest.hold(path) is None


# ---------------------------------------------------------------------------------------------------------
# Odd trees


def add_odd_things(shard: Path) -> None:
    """Everything that has the name of an entry but is none."""
    os.mkfifo(shard / ("1" * 56))
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(shard, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/{'2' * 56}")
        os.close(here)
    (shard / ("3" * 56)).mkdir()
    (shard / ("4" * 56)).symlink_to("/etc/passwd")
    (shard / ("5" * 56 + ".body")).symlink_to("nowhere")


def test_special_files_named_like_entries_stay(scene: Scene) -> None:
    shard = (scene.root / one_download(scene).path).parent
    add_odd_things(shard)
    entries = scene.entries()
    assert not [path for path in entries if len(set(Path(path).stem)) == 1]
    assert scene.measure().cache.size == du(scene.root)
    assert scene.purge().failures == ()
    assert len(list(shard.iterdir())) == 5


def test_names_that_are_no_text_are_survived(scene: Scene) -> None:
    names = [b"\xff\xfe", b"new\nline", b"\x1b[31mred", b"\xed\xa0\x80", b"a" * 255]
    shard = (scene.root / one_download(scene).path).parent
    wheel = scene.root / scene.of_kind(Kind.BUILT_WHEEL)[0].path
    for folder in (scene.root, shard, wheel.parent, scene.root / "selfcheck"):
        for name in names:
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).mkdir()
    assert scene.measure().cache.size == du(scene.root)
    assert scene.purge().failures == ()
    for name in names:
        assert os.path.isdir(os.fsencode(shard) + b"/" + name)


@pytest.mark.parametrize("name", ["http", "http-v2", "wheels", "selfcheck"])
def test_file_where_a_folder_is_expected_stays(scene: Scene, name: str) -> None:
    shutil.rmtree(scene.root / name, ignore_errors=True)
    (scene.root / name).write_text("not a folder")
    measured = scene.measure()
    assert measured.cache.size == du(scene.root)
    assert [problem.path for problem in measured.problems] == [f"{scene.root}/{name}"]
    scene.purge()
    assert (scene.root / name).read_text() == "not a folder"


def test_file_where_a_shard_was_is_no_traceback(scene: Scene) -> None:
    entries = scene.entries()
    shard = (scene.root / one_download(scene).path).parent
    shutil.rmtree(shard)
    shard.write_text("not a folder")
    outcome = scene.purge(entries.values())
    assert {Path(failure.path).parent for failure in outcome.failures} == {shard.relative_to(scene.root)}
    assert shard.read_text() == "not a folder"


@needs_root
@pytest.mark.parametrize("mode", [0o000, 0o300, 0o400])
def test_folder_that_cannot_be_read_is_told_and_left(
    filled: Mapping[tuple[str, bool], Filled], tmp_path_factory: pytest.TempPathFactory, mode: int
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="cachewarden-unreadable-"))
    folder.chmod(0o755)
    try:
        scene = filled["newest", False].copy(folder)
        download, [wheel] = one_download(scene), scene.of_kind(Kind.BUILT_WHEEL)
        closed = [(scene.root / download.path).parent, scene.root / wheel.path]
        give_to(folder, NOBODY, NOBODY)
        for each in closed:
            each.chmod(mode)
        measured = as_user(NOBODY, scene.measure)
        assert {problem.path for problem in measured.problems} >= {str(each) for each in closed}
        assert download.path not in {entry.path for entry in measured.cache.entries}
        outcome = as_user(NOBODY, scene.purge)
        assert outcome.failures == ()
        assert len(files_below(scene.root)) == len(download.parts) + 1 + len(list(closed[1].iterdir()))
    finally:
        shutil.rmtree(folder)
