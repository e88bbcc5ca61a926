"""Our idea of where pip's cache is against what a real pip computes from the same files and variables.

The pip is the one beside this interpreter; ``CACHEWARDEN_PIP_PATH`` names a folder with another to compare with.
"""

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cachewarden.ecosystems.base import Located, Surroundings
from cachewarden.ecosystems.pip_config import locate
from cachewarden.model.caches import Owner
from cachewarden.system.files import RealFiles

# What pip itself does before a command runs: parse, then normalise (cli/base_command.py).
ASK = """
import contextlib, io, json
from pip._internal.commands import commands_dict, create_command
from pip._internal.utils.misc import normalize_path
def ask(name):
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            options, _ = create_command(name).parse_args([])
    except SystemExit:
        return "stops"
    return normalize_path(options.cache_dir) if options.cache_dir else None
names = [name for name in ("install", "download", "wheel", "lock", "cache") if name in commands_dict]
print(json.dumps({name: ask(name) for name in names}))
"""
USER = "home/.config/pip/pip.conf"
XDG = "xdg/pip/pip.conf"


@dataclass(frozen=True)
class Case:
    """Files below a temporary folder, and variables; ``{t}`` in both is that folder."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    newest_only: bool = False


def conf(section: str = "global", key: str = "cache-dir", value: str = "{t}/x") -> str:
    return f"[{section}]\n{key} = {value}\n"


CASES = (
    Case("nothing is configured"),
    Case("XDG_CACHE_HOME", environ={"XDG_CACHE_HOME": "{t}/moved"}),
    Case("relative XDG_CACHE_HOME", environ={"XDG_CACHE_HOME": "moved"}, newest_only=True),
    Case("PIP_CACHE_DIR", environ={"PIP_CACHE_DIR": "{t}/x"}),
    Case("PIP_CACHE_DIR with a tilde", environ={"PIP_CACHE_DIR": "~/x//y/./"}),
    Case("empty PIP_CACHE_DIR", {USER: conf()}, {"PIP_CACHE_DIR": ""}),
    Case("user file", {USER: conf()}),
    Case("user file, other spelling", {USER: conf(key="Cache_Dir")}),
    Case("legacy user file", {"home/.pip/pip.conf": conf()}),
    Case("user file beats legacy", {"home/.pip/pip.conf": conf(value="{t}/old"), USER: conf()}),
    Case("XDG_CONFIG_HOME", {"conf/pip/pip.conf": conf()}, {"XDG_CONFIG_HOME": "{t}/conf"}),
    Case("global file", {XDG: conf()}),
    Case("user beats global", {XDG: conf(value="{t}/g"), USER: conf()}),
    Case(
        "the last of XDG_CONFIG_DIRS wins",
        {XDG: conf(value="{t}/g"), "xdg2/pip/pip.conf": conf()},
        {"XDG_CONFIG_DIRS": "{t}/xdg:{t}/xdg2"},
    ),
    Case("section beats file", {XDG: conf("install"), USER: conf(value="{t}/user")}),
    Case("section [download]", {USER: conf("download")}),
    Case("section [wheel]", {USER: conf("wheel")}),
    Case("section [cache]", {USER: conf("cache")}),
    Case("section [DEFAULT] alone", {USER: conf("DEFAULT")}),
    Case("section [DEFAULT] and another", {USER: conf("DEFAULT") + "[global]\nquiet = 0\n"}),
    Case("section [:env:]", {USER: conf(":env:") + conf("install", value="{t}/weak")}),
    Case("empty value hides a weaker one", {XDG: conf(), USER: conf(value="")}),
    Case("empty section value falls back to global", {USER: conf() + conf("install", value="")}),
    Case("no interpolation", {USER: conf(value="{t}/%(x)s")}),
    Case("comments and odd spacing", {USER: "# a\n[global]\n; b\n  cache-dir  :  {t}/x ; no comment\n"}),
    Case("carriage returns", {USER: conf().replace("\n", "\r\n")}),
    Case("PIP_CONFIG_FILE", {"my.conf": conf(), USER: conf(value="{t}/user")}, {"PIP_CONFIG_FILE": "{t}/my.conf"}),
    Case("PIP_CONFIG_FILE hides the user's", {"my.conf": "", USER: conf()}, {"PIP_CONFIG_FILE": "{t}/my.conf"}),
    Case("PIP_CONFIG_FILE leaves the global", {"my.conf": "", XDG: conf()}, {"PIP_CONFIG_FILE": "{t}/my.conf"}),
    Case("PIP_CONFIG_FILE is missing", {USER: conf()}, {"PIP_CONFIG_FILE": "{t}/gone.conf"}),
    Case("PIP_CONFIG_FILE is /dev/null", {USER: conf(), XDG: conf()}, {"PIP_CONFIG_FILE": "/dev/null"}),
    Case("interpreter's file", {"venv/pip.conf": conf(), USER: conf(value="{t}/user")}),
    Case("it is beaten", {"venv/pip.conf": conf(), "m": conf(value="{t}/m")}, {"PIP_CONFIG_FILE": "{t}/m"}),
    Case("cache off", {USER: conf(key="no-cache-dir", value="true")}),
    Case("cache off by false", {USER: conf(key="no-cache-dir", value="false")}, {"PIP_CACHE_DIR": "{t}/x"}),
    Case("cache off by 0 in a variable", {USER: conf()}, {"PIP_NO_CACHE_DIR": "0"}),
    Case("cache off for install", {USER: conf("install", "no-cache-dir", "on")}),
    Case("empty switch hides one", {XDG: "[global]\nno-cache-dir = 1", USER: "[global]\nno-cache-dir ="}),
    Case("switch is no boolean", {USER: conf(key="no-cache-dir", value="banana")}),
    Case("switch is no boolean in one section", {USER: conf("wheel", "no-cache-dir", "banana")}),
    Case("option twice", {USER: conf() + "cache-dir = {t}/y\n"}),
    Case("section twice", {USER: conf() + conf(value="{t}/y")}),
    Case("no section header", {USER: "cache-dir = {t}/x\n"}),
    Case("no key", {USER: conf() + "just words\n"}),
    Case("byte order mark", {USER: "\ufeff" + conf()}),
)  # fmt: skip


@pytest.fixture(scope="module")
def pip_path() -> str:
    """The folder to import pip from."""
    import pip

    return os.environ.get("CACHEWARDEN_PIP_PATH") or str(Path(pip.__file__).parent.parent)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a home and an interpreter whose ``sys.prefix`` is ours to write to."""
    (tmp_path / "home").mkdir()
    venv.EnvBuilder(symlinks=True).create(tmp_path / "venv")
    return tmp_path


def prepared(place: Path, case: Case) -> dict[str, str]:
    for name, text in case.files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.replace("{t}", str(place)).encode())
    given = {name: value.replace("{t}", str(place)) for name, value in case.environ.items()}
    return {"HOME": f"{place}/home", "XDG_CONFIG_DIRS": f"{place}/xdg", "VIRTUAL_ENV": f"{place}/venv", **given}


def ask_pip(place: Path, pip_path: str, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {**environ, "PYTHONPATH": pip_path, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    command = [f"{place}/venv/bin/python", "-W", "ignore", *arguments]
    return subprocess.run(command, env=clean, cwd=place / "home", capture_output=True, text=True, timeout=240)


def ask_us(place: Path, environ: dict[str, str], files: RealFiles | None = None) -> Located:
    owner = Owner(os.getuid(), os.getgid(), "tester", f"{place}/home")
    return locate(Surroundings(owner, environ, files or RealFiles()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_folders_are_those_of_a_real_pip(case: Case, place: Path, pip_path: str) -> None:
    environ = prepared(place, case)
    if case.newest_only and version(place, pip_path, environ) < (26,):
        pytest.skip("this pip follows a relative XDG_CACHE_HOME, newer ones ignore it")
    answers: dict[str, str | None] = json.loads(ask_pip(place, pip_path, environ, "-c", ASK).stdout)
    told = answers.pop("cache")
    located = ask_us(place, environ)
    in_use = {os.path.realpath(each.path) for each in located.candidates if "left behind" not in each.source}
    texts = [problem.reason for problem in located.problems]
    stops = "stops" in answers.values()
    assert any("pip stops" in text for text in texts) == stops
    if stops:
        return
    expected = {answer for answer in answers.values() if answer}
    # The interpreter's own file counts for it alone: without it another answer holds, which we give too.
    assert expected <= in_use if "venv/pip.conf" in case.files else expected == in_use
    assert any("cache is off" in text for text in texts) == (None in answers.values())
    assert any("disagrees" in text for text in texts) == (told != answers["install"])


def version(place: Path, pip_path: str, environ: dict[str, str]) -> tuple[int, ...]:
    text = ask_pip(place, pip_path, environ, "-m", "pip", "--version").stdout.split()[1]
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: case.name)
def test_pip_cache_dir_says_the_first_candidate(case: Case, place: Path, pip_path: str) -> None:
    environ = prepared(place, case)
    if case.newest_only and version(place, pip_path, environ) < (26,):
        pytest.skip("this pip follows a relative XDG_CACHE_HOME, newer ones ignore it")
    said = ask_pip(place, pip_path, environ, "-m", "pip", "cache", "dir").stdout.strip()
    assert said == os.path.realpath(ask_us(place, environ).candidates[0].path)


class Recording(RealFiles):
    """Real files, and a note of which were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def read_text(self, path: str, limit: int) -> str:
        self.read.append(path)
        return super().read_text(path, limit)


@pytest.mark.parametrize("extra", [{}, {"PIP_CONFIG_FILE": "{t}/my.conf"}, {"PIP_CONFIG_FILE": "/dev/null"}])
def test_the_files_that_are_read_are_those_of_pip_config_debug(
    extra: dict[str, str], place: Path, pip_path: str
) -> None:
    environ = prepared(place, Case("", {USER: "", XDG: "", "venv/pip.conf": "", "my.conf": ""}, extra))
    lines = ask_pip(place, pip_path, environ, "-m", "pip", "config", "debug").stdout.splitlines()
    named = [line.strip().removesuffix(", exists: True") for line in lines if line.endswith(", exists: True")]
    recording = Recording()
    ask_us(place, environ, recording)
    existing = {path for path in recording.read if os.path.exists(path)}
    # pip names the files also where /dev/null turns them off; /usr/pip.conf is another interpreter's.
    expected = set() if extra.get("PIP_CONFIG_FILE") == "/dev/null" else {os.path.normpath(path) for path in named}
    assert existing - {"/usr/pip.conf", "/usr/local/pip.conf"} == expected


def test_importing_needs_no_yaml() -> None:
    code = (
        "import sys, cachewarden.ecosystems.conda_config, cachewarden.ecosystems.pip_config;"
        "sys.exit('yaml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
