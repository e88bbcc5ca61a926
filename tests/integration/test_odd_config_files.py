"""Configuration files that cannot be edited: each is refused with its reason before anything is done."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cachewarden.ecosystems.base import Ecosystem, Edit, Surroundings
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.caches import Owner
from cachewarden.model.errors import RefusedError
from cachewarden.system.files import RealFiles

AS_ROOT = os.getuid() == 0


@dataclass(frozen=True)
class Tool:
    """A tool, the file that names its cache, and where it keeps that."""

    ecosystem: Ecosystem
    file: str
    text: str
    old: str


TOOLS = (
    Tool(Pip(), ".config/pip/pip.conf", "[global]\ntimeout = 5\n", ".cache/pip"),
    Tool(Conda(), ".condarc", "channels: [a]\n", "forge/pkgs"),
)


@pytest.fixture(params=TOOLS, ids=lambda tool: tool.ecosystem.name)
def tool(request: pytest.FixtureRequest) -> Tool:
    assert isinstance(request.param, Tool)
    return request.param


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for folder in ("forge/conda-meta", "forge/pkgs", ".config/pip", ".conda"):
        (home / folder).mkdir(parents=True)
    (home / ".conda/environments.txt").write_text(f"{home}/forge\n")
    return home


def point(home: Path, tool: Tool) -> Edit:
    owner = Owner(os.getuid(), os.getgid(), "tester", str(home))
    surroundings = Surroundings(owner, {}, RealFiles(owner))
    return tool.ecosystem.point(surroundings, f"{home}/{tool.old}", f"{home.parent}/new", keep=False)


def refusal(home: Path, tool: Tool) -> str:
    before = sorted(home.rglob("*"))
    with pytest.raises(RefusedError) as caught:
        point(home, tool)
    assert sorted(home.rglob("*")) == before
    return str(caught.value)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a fifo": (os.mkfifo, "not a regular file"),
    "a folder": (os.mkdir, "not a regular file"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "can be written by everybody"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "is a link to"),
    "a link to itself": (lambda path: path.symlink_to(path.name), ""),
    "huge": (lambda path: path.write_bytes(b"#" * (2 << 20)), "arge"),
    "no text": (lambda path: path.write_bytes(b"# caf\xe9\n"), "UTF-8"),
    "UTF-16": (lambda path: path.write_bytes("x: 1\n".encode("utf-16")), "UTF-8"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_is_none_that_can_be_edited_is_refused(home: Path, tool: Tool, name: str) -> None:
    make, why = ODD[name]
    make(home / tool.file)
    text = refusal(home, tool)
    assert str(home / tool.file) in text or "/dev/zero" in text
    assert why in text


def test_a_file_with_nul_bytes_is_refused_where_the_tool_stops_at_it_and_kept_where_it_does_not(home: Path) -> None:
    pip, conda = TOOLS
    (home / conda.file).write_bytes(b"x: \0\n")
    assert "is no valid YAML" in refusal(home, conda)
    (home / pip.file).write_bytes(b"# \0\n[global]\nproxy = \0\n")
    edit = point(home, pip)
    assert edit.after == f"# \0\n[global]\ncache-dir = {home.parent}/new\nproxy = \0\n".encode()


@pytest.mark.skipif(not AS_ROOT, reason="only root can make a file another's")
def test_a_file_of_somebody_else_is_refused(home: Path, tool: Tool) -> None:
    path = home / tool.file
    path.write_text(tool.text)
    os.chown(path, 4242, 4242)
    assert "belongs to" in refusal(home, tool)


def test_a_file_that_is_a_link_is_edited_where_it_leads(home: Path, tool: Tool) -> None:
    (home / "dots").write_text(tool.text)
    (home / tool.file).symlink_to(home / "dots")
    assert point(home, tool).path == f"{home}/dots"


@pytest.mark.skipif(AS_ROOT, reason="nothing is write-protected against root")
@pytest.mark.parametrize("what", ["file", "folder", "folder of none"])
def test_a_file_that_cannot_be_written_is_refused(home: Path, tool: Tool, what: str) -> None:
    path = home / tool.file
    if what != "folder of none":
        path.write_text(tool.text)
    locked = path if what == "file" else path.parent
    locked.chmod(0o500)
    try:
        assert f"{locked} is write-protected" in refusal(home, tool)
    finally:
        locked.chmod(0o700)


def test_another_condarc_that_cannot_be_read_may_say_anything(home: Path) -> None:
    other = home / ".config/conda/condarc"
    other.parent.mkdir(parents=True)
    for text in (b"pkgs_dirs: [/x\n", b"\xff", b"- a\n", b"#" * (1 << 20)):
        other.write_bytes(text)
        assert f"{other}: " in refusal(home, TOOLS[1])
