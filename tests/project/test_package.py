"""What is packaged and installed, as far as it can be told without building: names, versions, places."""

import os
import re
import subprocess
from pathlib import Path

import cachewarden

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "debian"
SETUP = ROOT / ".ci" / "setup"
RULES = (DEBIAN / "rules").read_text()
_ORIGINS = {
    "debhelper-compat": "debhelper",
    "dh-sequence-installsysusers": "debhelper",
    "dh-sequence-python3": "dh-python",
}
"""Build dependencies that are no packages, and the packages that are meant."""


def field(name: str) -> str:
    """A field of debian/control with all its lines."""
    found = re.search(rf"^{name}:(.*(?:\n .*)*)", (DEBIAN / "control").read_text(), re.MULTILINE)
    assert found, name
    return found[1]


def packaged() -> list[str]:
    """Every file and folder of the checkout that debian/ names."""
    lists = [DEBIAN / f"cachewarden.{kind}" for kind in ("install", "docs", "manpages")]
    return [line.split()[0] for path in lists for line in path.read_text().splitlines()] + re.findall(
        r"install -D -m 644 (\S+)", RULES
    )


def test_the_package_has_the_version_of_the_program() -> None:
    newest = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert newest.startswith(f"cachewarden ({cachewarden.__version__}) ")


def test_the_copyright_has_the_words_of_the_licence() -> None:
    told = " ".join((DEBIAN / "copyright").read_text().replace("\n .\n", "\n\n").split())
    owner, words = (ROOT / "LICENSE").read_text().split("\n\n", 2)[1:]
    assert " ".join(words.split()) in told
    assert owner.removeprefix("Copyright (c) ") in told


def test_what_is_to_be_installed_is_there() -> None:
    listed = packaged()
    assert len(listed) > 10
    assert [path for path in listed if not (ROOT / path).exists()] == []
    assert (DEBIAN / "cachewarden.service").read_text() == (ROOT / "units/system/cachewarden.service").read_text()


def test_what_make_install_puts_is_there() -> None:
    listed = re.findall(r"^ +put ([\w./]+) ", (ROOT / ".ci" / "install").read_text(), re.MULTILINE)
    assert len(listed) == 10
    assert [path for path in listed if not (ROOT / path).exists()] == []


def test_everything_packaged_is_in_the_clean_copy() -> None:
    copied = re.search(r"^cp -a (.+) ", (ROOT / ".ci" / "deb").read_text(), re.MULTILINE)
    assert copied
    names = copied[1].split()
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert {path.split("/")[0] for path in packaged()} <= set(names)


def test_the_packages_that_build_are_the_build_dependencies() -> None:
    wanted = {_ORIGINS.get(name, name) for name in re.findall(r"^ ([\w-]+)", field("Build-Depends"), re.MULTILINE)}
    listed = re.search(r"for package in ([\w\s\\-]+); do", SETUP.read_text())
    assert listed
    assert set(listed[1].replace("\\", "").split()) == wanted | {"build-essential", "lintian"}


def test_what_runs_as_root_takes_no_code_from_the_caller() -> None:
    assert "dh_python3 --shebang='/usr/bin/python3 -I'" in RULES
    assert "/bin/python -I|" in (ROOT / ".ci" / "install").read_text()


def test_nothing_needs_a_newer_build_tool_than_that_of_debian_12() -> None:
    assert 'requires = ["hatchling>=1.12"]' in (ROOT / "pyproject.toml").read_text()


def test_editors_are_told_where_the_schema_is_installed() -> None:
    scripts = {RULES: "/usr/share", (ROOT / ".ci" / "install").read_text(): "$share"}
    for text, place in scripts.items():
        for path, script in re.findall(r"'?\"?1s\|=(\S+?)/policy\|=(\S+?)/policy\|", text):
            assert path in {r"\.", r"\.\."}
            assert script in {f"{place}/cachewarden", "$1/cachewarden"}


def test_the_shell_scripts_are_runnable_and_understood() -> None:
    for script in [*(ROOT / ".ci").iterdir(), DEBIAN / "rules", DEBIAN / "cachewarden.postrm"]:
        if script.parent == ROOT / ".ci" or script.name == "rules":
            assert os.access(script, os.X_OK), script.name
        if script.read_text().startswith("#!/bin/sh"):
            assert subprocess.run(["sh", "-n", str(script)], timeout=120).returncode == 0, script.name


def test_a_staged_uninstall_takes_back_what_was_noted_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "opt" / "cachewarden"
    home.mkdir(parents=True)
    man = tmp_path / "usr" / "local" / "share" / "man" / "man1"
    man.mkdir(parents=True)
    (man / "cachewarden.1").touch()
    (man / "others.1").touch()
    (tmp_path / "etc" / "cachewarden").mkdir(parents=True)
    folders = ["/usr/local/share/man/", "/usr/local/share/man/man1/"]
    (home / "installed").write_text("\n".join([*folders, "/usr/local/share/man/man1/cachewarden.1", ""]))
    uninstall(tmp_path)
    left = {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if not path.is_dir() or not any(path.iterdir())
    }
    assert left == {"opt", "etc/cachewarden", "usr/local/share/man/man1/others.1"}
    uninstall(tmp_path, PURGE="1")
    assert not (tmp_path / "etc" / "cachewarden").exists()


def test_a_staged_install_leaves_alone_what_it_did_not_make(tmp_path: Path) -> None:
    checkout = tmp_path / "opt" / "cachewarden" / "README.md"
    checkout.parent.mkdir(parents=True)
    checkout.touch()
    done = script("install", tmp_path)
    assert done.returncode == 1
    assert "not from `make install`" in done.stderr
    uninstall(tmp_path)
    assert checkout.exists()


def uninstall(folder: Path, **environ: str) -> None:
    assert script("uninstall", folder, **environ).returncode == 0


def script(verb: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(ROOT / ".ci" / "install"), verb],
        capture_output=True,
        text=True,
        timeout=240,
        env={"PATH": os.environ["PATH"], "DESTDIR": str(folder), **environ},
    )
