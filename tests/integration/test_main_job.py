"""The main job from end to end with the command as it is installed: real pip, real packages, conda-format caches."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builders.conda_caches import (
    CondaBase,
    Link,
    build_package,
    environment_problems,
    environment_works,
    rattler_install,
    tree_digest,
)
from builders.looks import broken_packages, du
from builders.pip_caches import (
    DEBIAN_12_PIP,
    LoopbackIndex,
    add_foreign_file,
    add_orphan_tmp,
    fill_pip_cache,
    pip_install,
)

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
PACKAGES = ("six", "idna", "packaging", "click", "certifi")
CAP = """\
version: 1
keep: {{newer_than: 0s}}
policies:
  - {{name: cap, match: {{ecosystem: pip}}, size: {{above: {above} B, until: {until} B}}, action: purge}}
"""
AGGRESSIVE = "version: 1\nkeep: {newer_than: 0s}\npolicies:\n  - {name: all, action: purge}\n"


def run(home: Path, *words: str) -> dict[str, Any]:
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    command = [COMMAND, "--user", "--json", *words]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def configured(home: Path, text: str) -> str:
    path = home / "policies.yaml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module", params=[None, DEBIAN_12_PIP], ids=["newest pip", "Debian 12's pip"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str | None, Path]:
    """A pip, and a home whose cache it filled; a test works on a copy."""
    home = tmp_path_factory.mktemp("filled")
    with LoopbackIndex() as index:
        fill_pip_cache(home, index, request.param, packages=PACKAGES)
    return request.param, home


def copied(filled: tuple[str | None, Path], home: Path) -> Path:
    cache = home / ".cache" / "pip"
    subprocess.run(["cp", "-a", str(filled[1] / ".cache"), str(home)], check=True)
    return cache


def test_purge_empties_every_layout_and_the_next_install_works(
    tmp_path: Path, filled: tuple[str | None, Path]
) -> None:
    pip, cache = filled[0], copied(filled, tmp_path)
    with LoopbackIndex() as index:
        # The other layout too, as a home has it that knew several pips.
        fill_pip_cache(tmp_path, index, None if pip else DEBIAN_12_PIP, packages=("six",), build=())
        orphan, foreign = add_orphan_tmp(cache, 7 * 86_400), add_foreign_file(cache)
        kinds = {entry["kind"] for entry in run(tmp_path, "list", "pip")["entries"]}
        assert kinds == {"debris", "index", "download", "built-wheel"}
        done = run(tmp_path, "purge", "pip", "--all", "--yes")
        assert [path for path in cache.rglob("*") if path.is_file()] == [foreign]
        assert not orphan.exists()
        assert done["freed_bytes"] > 0
        again = pip_install(tmp_path, index, pip, PACKAGES, tmp_path / "again")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_a_cap_ends_at_most_one_entry_below_until_and_built_wheels_stay(
    tmp_path: Path, filled: tuple[str | None, Path], share: float
) -> None:
    cache = copied(filled, tmp_path)
    until = int(du(cache) * share)
    config = configured(tmp_path, CAP.format(above=until + 1, until=until))
    done = run(tmp_path, "--config", config, "run")
    (action,) = done["actions"]
    assert du(cache) <= until
    # Without its last entry it would not have been enough.
    assert du(cache) + action["entries"][-1]["adds_bytes"] > until
    kinds = [entry["kind"] for entry in action["entries"]]
    assert "debris" not in kinds[kinds.count("debris") :], "what nobody wants back goes first"
    assert list(cache.rglob("*.whl")), "the built wheel is the dearest of all"
    assert run(tmp_path, "--config", config, "run")["actions"] == []


def environments(home: Path) -> tuple[CondaBase, dict[str, Path], list[str]]:
    """One environment per way of using a package, and two packages that nobody uses."""
    made = home / "made"
    made.mkdir()
    base = CondaBase(home / "miniforge3", home)

    def fetch(name: str, **more: Any) -> str:  # noqa: ANN401 - the builder's own options
        more.setdefault("files", {"lib/a": os.urandom(50_000), "lib/b": os.urandom(1000)})
        return base.fetch(build_package(made, name, "1.0", **more)).name

    hard, copied, soft, meta = fetch("hard"), fetch("copied"), fetch("soft"), fetch("meta", files={})
    prefixed = fetch("prefixed", prefix_files=("lib/p",), files={"lib/p": prefix_text()})
    unused = [
        fetch("unused"),
        fetch("python", files={"bin/python3.12": os.urandom(90_000), "bin/python3": Link("bin/python3.12")}),
    ]
    envs = {
        "hard": base.create_env(home / "envs" / "hard", [hard, meta, prefixed]),
        "copied": base.create_env(home / "envs" / "copied", [copied], link="copy"),
        "soft": base.create_env(base.path / "envs" / "soft", [soft], link="soft", register=False),
    }
    return base, envs, unused


def prefix_text() -> bytes:
    from builders.conda_caches import PLACEHOLDER

    return f"#!{PLACEHOLDER}/bin/python\n".encode() * 20


def test_after_an_aggressive_run_every_environment_is_byte_for_byte_the_same(tmp_path: Path) -> None:
    base, envs, unused = environments(tmp_path)
    before = {name: tree_digest(prefix) for name, prefix in envs.items()}
    done = run(tmp_path, "--config", configured(tmp_path, AGGRESSIVE), "run")
    gone = {entry["path"] for action in done["actions"] for entry in action["entries"] if entry["kind"] == "package"}
    assert gone == {str(base.pkgs / name) for name in unused}
    assert {name: tree_digest(prefix) for name, prefix in envs.items()} == before
    assert {name: environment_problems(prefix) for name, prefix in envs.items()} == {name: [] for name in envs}
    assert broken_packages(base.pkgs) == []
    holds = {entry["name"]: entry["hold"] for entry in run(tmp_path, "list", "conda")["entries"]}
    assert set(holds) == {"hard", "copied", "soft", "meta", "prefixed"}
    assert all("in use by" in hold for hold in holds.values())


def test_after_an_aggressive_run_a_real_conda_tool_still_uses_the_channel(tmp_path: Path) -> None:
    environments(tmp_path)
    run(tmp_path, "--config", configured(tmp_path, AGGRESSIVE), "run")
    channel = tmp_path / "channel"
    package = build_package(channel, "fresh", "2.0", files={"lib/f": b"content"})
    assert environment_works(rattler_install([package], tmp_path / "new-env", tmp_path / "rattler-cache", channel))


def test_conda_itself_agrees_on_tarballs_and_is_no_braver_on_packages(tmp_path: Path) -> None:
    conda = shutil.which("conda")
    if conda is None:
        pytest.skip("no conda on PATH to compare with")
    base, _, unused = environments(tmp_path)
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "CONDA_PKGS_DIRS": str(base.pkgs)}
    told = subprocess.run(
        [conda, "clean", "--all", "--dry-run", "--json"], env=environ, capture_output=True, text=True, check=True
    )
    theirs = json.loads(told.stdout)
    ours = run(tmp_path, "list", "conda")["entries"]
    tarballs = {Path(entry["path"]).name for entry in ours if entry["kind"] == "tarball"}
    assert set(theirs["tarballs"]["pkgs_dirs"].get(str(base.pkgs), [])) <= tarballs
    assert set(unused) <= {Path(entry["path"]).name for entry in ours if entry["hold"] is None}
