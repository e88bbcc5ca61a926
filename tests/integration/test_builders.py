"""The builders build what they say."""

import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.conda_caches import (
    PLACEHOLDER,
    SUBDIR,
    CondaBase,
    Link,
    build_package,
    environment_problems,
    environment_works,
    rattler_install,
    tree_digest,
)
from builders.disks import MIB, LoopDisk, give_to, why_no_loop_disks
from builders.pip_caches import (
    DEBIAN_12_PIP,
    LoopbackIndex,
    add_foreign_file,
    add_orphan_tmp,
    fill_pip_cache,
    pip_install,
    run_pip,
    wheelhouse,
)
from builders.service import eventually


@pytest.fixture
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as running:
        yield running


def bodies(cache: Path) -> list[Path]:
    return [path for path in (cache / "http-v2").rglob("*.body") if path.is_file()]


def test_newest_pip_fills_http_v2_wheels_and_selfcheck(tmp_path: Path, index: LoopbackIndex) -> None:
    cache = fill_pip_cache(tmp_path, index)
    assert bodies(cache)
    assert all(body.with_suffix("").exists() for body in bodies(cache))
    assert not (cache / "http").exists()
    assert [path.name[:7] for path in cache.rglob("*.whl")] == ["docopt-"]
    origin = json.loads(next(cache.rglob("origin.json")).read_text())
    assert origin["url"].endswith("docopt-0.6.2.tar.gz")
    assert list((cache / "selfcheck").iterdir())


def test_second_install_asks_for_no_file(tmp_path: Path, index: LoopbackIndex) -> None:
    fill_pip_cache(tmp_path, index, packages=("six",))
    assert index.file_requests()
    index.forget()
    done = pip_install(tmp_path, index, None, ["six", "docopt"], tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "docopt.py").exists()
    assert index.file_requests() == []
    assert index.page_requests() == []  # max-age is honoured since 26.2


def test_debian_12_pip_fills_http_and_revalidates_its_pages(tmp_path: Path, index: LoopbackIndex) -> None:
    cache = fill_pip_cache(tmp_path, index, DEBIAN_12_PIP, packages=("six", "idna"))
    assert not (cache / "http-v2").exists()
    assert [path for path in (cache / "http").rglob("*") if path.is_file()]
    assert list((cache / "wheels").rglob("origin.json"))
    assert list((cache / "selfcheck").iterdir())
    index.forget()
    done = pip_install(tmp_path, index, DEBIAN_12_PIP, ["six", "docopt"], tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert index.file_requests() == []
    assert {each.status for each in index.page_requests()} == {304}


def test_install_works_again_after_the_cache_is_gone(tmp_path: Path, index: LoopbackIndex) -> None:
    cache = fill_pip_cache(tmp_path, index, packages=("idna",), build=())
    cache.rename(tmp_path / "gone")
    index.forget()
    assert pip_install(tmp_path, index, None, ["idna"], tmp_path / "again").returncode == 0
    assert index.file_requests()


def test_pip_knows_the_cache(tmp_path: Path, index: LoopbackIndex) -> None:
    cache = fill_pip_cache(tmp_path, index, packages=("six",))
    done = run_pip(tmp_path, index, None, ["cache", "info"])
    assert str(cache / "http-v2") in done.stdout
    assert "Number of locally built wheels: 1" in done.stdout


def test_home_configuration_moves_the_cache(tmp_path: Path, index: LoopbackIndex) -> None:
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(f"[global]\ncache-dir = {tmp_path}/moved\n")
    fill_pip_cache(tmp_path, index, packages=("six",), build=())
    assert bodies(tmp_path / "moved")
    assert not (tmp_path / ".cache").exists()


def test_caller_pip_settings_do_not_leak(
    tmp_path: Path, index: LoopbackIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert bodies(fill_pip_cache(tmp_path, index, packages=("six",), build=()))


def test_package_headers_are_kept_in_the_cache(tmp_path: Path) -> None:
    with LoopbackIndex(package_headers=True) as index:
        cache = fill_pip_cache(tmp_path, index, packages=("six==1.16.0",), build=())
    wanted = (b"x-pypi-file-project", b"x-pypi-file-version", b"1.16.0", b"bdist_wheel")
    texts = [body.with_suffix("").read_bytes() for body in bodies(cache)]
    assert any(all(each in text for each in wanted) for text in texts)


def test_index_speaks_html_to_who_does_not_ask_for_json(index: LoopbackIndex) -> None:
    with urllib.request.urlopen(index.url + "six/") as answer:
        assert answer.headers["Content-Type"].startswith("text/html")
        page = answer.read().decode()
    assert page.count("data-core-metadata") == 2
    with urllib.request.urlopen(index.url) as answer:
        assert "/simple/docopt/" in answer.read().decode()
    assert index.count("/simple/six/") == 1


def test_index_serves_metadata_and_says_404(index: LoopbackIndex) -> None:
    with urllib.request.urlopen(f"{index.root}/files/six-1.17.0-py2.py3-none-any.whl.metadata") as answer:
        assert answer.read().startswith(b"Metadata-Version:")
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        urllib.request.urlopen(f"{index.url}unknown-project/")
    missing.value.close()


def test_wheelhouse_is_small() -> None:
    assert sum(path.stat().st_size for path in wheelhouse().iterdir()) < 12_000_000


def test_orphans_and_foreign_files(tmp_path: Path) -> None:
    orphan = add_orphan_tmp(tmp_path, age_seconds=86400)
    assert orphan.suffix == ".tmp"
    assert time.time() - orphan.stat().st_mtime == pytest.approx(86400, abs=60)
    assert add_foreign_file(tmp_path, "http-v2/mine.txt").read_text()
    assert os.listdir(tmp_path) == ["http-v2"]


# ---------------------------------------------------------------------------------------------------------
# conda


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


@pytest.fixture
def packages(tmp_path: Path) -> list[Path]:
    """A library, a python that links to itself, one that is all prefix-replaced, one that is only metadata."""
    folder = tmp_path / "built"
    return [
        build_package(folder, "libfoo", "1.0", files=LIBRARY),
        build_package(folder, "python", "3.12.1", "h1_0", files=PYTHON),
        build_package(folder, "patched", "2.0", files=PATCHED, fmt=".tar.bz2", prefix_files=tuple(PATCHED)),
        build_package(folder, "metaonly", "1.0"),
    ]


DISTS = ["libfoo-1.0-0", "python-3.12.1-h1_0", "patched-2.0-0", "metaonly-1.0-0"]


@pytest.fixture
def base(tmp_path: Path, packages: list[Path]) -> CondaBase:
    built = CondaBase(tmp_path / "miniforge3", tmp_path / "home")
    for package in packages:
        built.fetch(package)
    return built


def test_fetched_packages_look_as_conda_leaves_them(base: CondaBase) -> None:
    tarballs = ["libfoo-1.0-0.conda", "metaonly-1.0-0.conda", "patched-2.0-0.tar.bz2", "python-3.12.1-h1_0.conda"]
    assert sorted(os.listdir(base.pkgs)) == sorted([*tarballs, *DISTS, "cache", "urls", "urls.txt"])
    assert len((base.pkgs / "urls.txt").read_text().splitlines()) == len(DISTS)
    assert len(list((base.pkgs / "cache").glob("*.info.json"))) == 2
    record = json.loads((base.extracted("patched-2.0-0") / "info/repodata_record.json").read_text())
    assert record["fn"] == "patched-2.0-0.tar.bz2"
    assert record["size"] == (base.pkgs / record["fn"]).stat().st_size
    assert (base.extracted("patched-2.0-0") / "info/has_prefix").read_text().count(PLACEHOLDER) == 2
    assert time.time() - (base.extracted("libfoo-1.0-0") / "include/foo.h").stat().st_mtime > 365 * 86400


def test_extracted_package_keeps_its_inner_hard_link(base: CondaBase) -> None:
    folder = base.extracted("python-3.12.1-h1_0") / "bin"
    assert (folder / "python3").samefile(folder / "python3.12")
    assert (folder / "python3").stat().st_nlink == 2
    assert (folder / "python").is_symlink()


def test_hard_linked_environment_shares_inodes_except_replaced_files(base: CondaBase) -> None:
    env = base.create_env(base.path / "envs/work", DISTS)
    assert environment_problems(env) == []
    assert (env / "include/foo.h").samefile(base.extracted("libfoo-1.0-0") / "include/foo.h")
    assert (env / "include/foo.h").stat().st_nlink == 2
    assert (env / "bin/python3").stat().st_nlink == 4
    assert (env / "bin/tool").stat().st_nlink == 1
    assert f"#!{env}/bin/python\n" in (env / "bin/tool").read_text()
    assert (env / "lib/libbar.so").stat().st_size == len(f"\x7fELF\0{PLACEHOLDER}/share/bar\0tail")
    assert base.environments_txt.read_text() == f"{env}\n"
    assert json.loads((env / "conda-meta/libfoo-1.0-0.json").read_text())["link"]["type"] == 1


def test_copied_environment_outlives_its_cache_and_is_not_registered(base: CondaBase) -> None:
    env = base.create_env(base.path / "envs/work", DISTS, link="copy", register=False)
    assert not base.environments_txt.exists()
    assert all(path.stat().st_nlink == 1 for path in env.rglob("*") if path.is_file())
    base.pkgs.rename(base.path / "away")
    assert environment_works(env)


def test_softlinked_environment_breaks_without_its_cache(base: CondaBase) -> None:
    env = base.create_env(base.path / "envs/work", DISTS, link="soft")
    assert os.readlink(env / "include/foo.h") == str(base.extracted("libfoo-1.0-0") / "include/foo.h")
    assert environment_works(env)
    base.pkgs.rename(base.path / "away")
    assert "include/foo.h: No such file or directory" in environment_problems(env)


def test_changed_file_is_found(base: CondaBase) -> None:
    env = base.create_env(base.path / "envs/work", DISTS)
    before = tree_digest(env)
    (env / "include/foo.h").write_text("int boo;\n")
    assert environment_problems(env) == ["include/foo.h: sha256 differs"]
    assert [name for name, digest in tree_digest(env).items() if before[name] != digest] == ["include/foo.h"]


def test_empty_prefix_does_not_work(tmp_path: Path) -> None:
    assert environment_problems(tmp_path) == ["conda-meta: holds no package"]


def test_nested_layout_is_that_of_mamba(tmp_path: Path, packages: list[Path]) -> None:
    base = CondaBase(tmp_path / "mamba", tmp_path / "home", nested=True)
    extracted = [base.fetch(package, keep_tarball=False) for package in packages]
    assert extracted[0] == base.pkgs / "https/conda.invalid/main" / SUBDIR / "libfoo-1.0-0"
    assert not list(base.pkgs.rglob("*.conda"))
    assert environment_works(base.create_env(tmp_path / "env", DISTS))


def test_noarch_python_lands_in_site_packages(base: CondaBase, tmp_path: Path) -> None:
    package = build_package(
        tmp_path / "built", "pure", "1", files={"site-packages/pure.py": b"x = 1\n"}, noarch="python"
    )
    assert base.fetch(package).name == "pure-1-0"
    env = base.create_env(tmp_path / "env", ["pure-1-0"])
    assert (env / "lib/python3.12/site-packages/pure.py").stat().st_nlink == 2
    assert environment_works(env)


def test_prefix_file_without_placeholder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold PLACEHOLDER"):
        build_package(tmp_path, "wrong", "1", files={"bin/x": b"x"}, prefix_files=("bin/x",))


def test_rattler_installs_our_packages(tmp_path: Path, packages: list[Path]) -> None:
    cache = tmp_path / "rattler-cache"
    env = rattler_install(packages, tmp_path / "env", cache, tmp_path / "channel")
    assert environment_problems(env) == []
    assert {path.parent.parent.name for path in cache.glob("pkgs/*/info/index.json")} == set(DISTS)
    assert (cache / "pkgs/libfoo-1.0-0.lock").exists()
    assert sorted(path.stem for path in env.glob("conda-meta/*.json")) == sorted(DISTS)
    assert f"#!{env}/bin/python\n" in (env / "bin/tool").read_text()


# ---------------------------------------------------------------------------------------------------------
# disks


NO_DISKS = why_no_loop_disks()


def mounted() -> str:
    return Path("/proc/self/mountinfo").read_text()


def fail_with_an_open_file(later: contextlib.ExitStack, disk: LoopDisk) -> None:
    with disk:
        later.enter_context((disk.path / "open").open("wb"))
        raise RuntimeError("of the test")


@pytest.mark.root
@pytest.mark.skipif(NO_DISKS is not None, reason=str(NO_DISKS))
class TestLoopDisk:
    def test_is_a_filesystem_of_its_own_and_goes_away(self, tmp_path: Path) -> None:
        with LoopDisk(16, mount_options="noatime") as disk:
            assert disk.path.stat().st_dev != tmp_path.stat().st_dev
            assert str(disk.path) in mounted()
            assert os.statvfs(disk.path).f_flag & os.ST_NOATIME
            path, device = disk.path, disk.device
        assert not path.parent.exists()
        assert str(path) not in mounted()
        # The kernel lets go of it when the last who has it open does, udev among them.
        eventually(lambda: not Path("/sys/block", Path(device).name, "loop/backing_file").exists())

    def test_fills_to_the_wanted_rest_and_shrinks_again(self) -> None:
        with LoopDisk(32) as disk:
            for rest in (4 * MIB, 1 * MIB, 0, 8 * MIB):
                disk.fill(leave_free=rest)
                assert disk.free_bytes() == pytest.approx(rest, abs=64 * 1024)

    def test_reserve_hides_the_first_bytes_freed(self) -> None:
        with LoopDisk(64) as disk:
            (disk.path / "freed").write_bytes(b"x" * MIB)
            disk.fill(0, reserve_too=True)
            (disk.path / "freed").unlink()
            assert disk.free_bytes() == 0

    def test_is_undone_after_an_error_and_while_busy(self) -> None:
        disk = LoopDisk(16)
        with contextlib.ExitStack() as later, pytest.raises(RuntimeError, match="of the test"):
            fail_with_an_open_file(later, disk)
        assert str(disk.path) not in mounted()  # other tests may have disks of their own meanwhile

    def test_can_be_taken_away_and_brought_back(self) -> None:
        with LoopDisk(16) as disk:
            (disk.path / "file").touch()
            disk.unmount()
            assert list(disk.path.iterdir()) == []
            disk.mount()
            assert (disk.path / "file").exists()
            disk.unmount()

    def test_environment_across_disks_is_copied_but_called_hard(self, base: CondaBase) -> None:
        with LoopDisk(16) as disk:
            env = base.create_env(disk.path / "env", DISTS)
            assert (env / "include/foo.h").stat().st_nlink == 1
            assert json.loads((env / "conda-meta/libfoo-1.0-0.json").read_text())["link"]["type"] == 1
            assert environment_works(env)

    def test_whole_tree_is_given_away(self) -> None:
        with LoopDisk(16) as disk:
            (disk.path / "a").mkdir()
            (disk.path / "a/link").symlink_to("/etc/passwd")
            give_to(disk.path / "a", 12345, 12345)
            assert {path.lstat().st_uid for path in disk.path.rglob("a*")} == {12345}
            assert (disk.path / "a/link").lstat().st_uid == 12345
            assert Path("/etc/passwd").stat().st_uid == 0


def test_unknown_filesystem_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of ext4"):
        LoopDisk(16, "reiserfs")
