"""Telling a tool of another place and taking that back, on real files; the tools are stand-ins.

The owner is another uid than root's wherever the tests run: root's tools are never asked.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cachewarden.ecosystems.base import Ecosystem, Surroundings
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip
from cachewarden.model.caches import Owner
from cachewarden.model.errors import RefusedError
from cachewarden.model.relocations import Heading, Method, Phase, Relocation
from cachewarden.model.units import Instant
from cachewarden.relocate.switching import Switch, tell
from cachewarden.system.files import RealFiles

ALICE = 4242


@dataclass
class Place:
    """A home with a conda, a folder to move to, and what the tools say when they are asked."""

    top: Path
    uid: int = ALICE
    says: Callable[[tuple[str, ...]], str | None] = lambda _: None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def new(self) -> str:
        return f"{self.top}/usb"

    def switch(self, ecosystem: Ecosystem) -> Switch:
        owner = Owner(self.uid, self.uid, "alice", str(self.home))
        # Whose files these are is not what is tested: with no owner every path is believed.
        return Switch(Surroundings(owner, {}, RealFiles()), ecosystem, self._ask)

    def _ask(self, arguments: tuple[str, ...]) -> str | None:
        self.asked.append(arguments)
        return self.says(arguments)

    def record(self, ecosystem: str, old: str) -> Relocation:
        return Relocation(
            "x", ecosystem, old, self.new, Method.CONFIG, Phase.SWITCHING, Heading.OUT, Instant(0), "by-hand"
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for folder in ("usb", "home/forge/conda-meta", "home/forge/pkgs", "home/forge/bin", "home/.config/pip"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "home/forge/bin/conda").touch()
    (tmp_path / "home/.conda").mkdir()
    (tmp_path / "home/.conda/environments.txt").write_text(f"{tmp_path}/home/forge\n")
    return Place(tmp_path)


@dataclass(frozen=True)
class Tool:
    """A tool with its file, what is in it, and where it then keeps things."""

    ecosystem: Ecosystem
    file: str
    text: str
    old: str
    answer: str


PIP = Tool(Pip(), ".config/pip/pip.conf", "# mine\n[global]\ntimeout = 5\n", ".cache/pip", "{old}\n")
CONDA = Tool(Conda(), ".condarc", "# mine\nchannels: [a]\n", "forge/pkgs", '{{"pkgs_dirs": ["{old}"]}}')
both = pytest.mark.parametrize("tool", [PIP, CONDA], ids=lambda tool: tool.ecosystem.name)


def prepared(place: Place, tool: Tool) -> tuple[Switch, Relocation, Path]:
    path = place.home / tool.file
    path.write_text(tool.text)
    switch = place.switch(tool.ecosystem)
    return switch, switch.prepare(place.record(tool.ecosystem.name, f"{place.home}/{tool.old}")), path


@both
def test_a_tool_that_is_asked_and_says_otherwise_stops_the_move(place: Place, tool: Tool) -> None:
    switch, record, path = prepared(place, tool)
    place.says = lambda _: tool.answer.format(old=record.old)
    if tool is PIP and not Path("/usr/bin/pip3").exists():
        pytest.skip("no pip of the system is here to be asked")
    with pytest.raises(RefusedError, match="says that it still uses"):
        switch.forward(record)
    assert len(place.asked) == 1
    assert path.read_text() == tool.text


@both
def test_nobody_is_asked_as_root_and_the_files_word_counts(place: Place, tool: Tool) -> None:
    place.uid = 0
    place.says = lambda _: tool.answer.format(old="/somewhere")
    switch, record, path = prepared(place, tool)
    switch.forward(record)
    assert place.asked == []
    assert place.new in path.read_text()


@both
def test_what_is_written_while_the_tools_are_asked_stays_when_the_move_is_refused(place: Place, tool: Tool) -> None:
    switch, record, path = prepared(place, tool)
    if tool is PIP and not Path("/usr/bin/pip3").exists():
        pytest.skip("no pip of the system is here to be asked")

    def says(_: tuple[str, ...]) -> str:
        path.write_text(path.read_text() + "# typed meanwhile\n")
        return tool.answer.format(old=record.old)

    place.says = says
    with pytest.raises(RefusedError):
        switch.forward(record)
    assert path.read_text() == tool.text + "# typed meanwhile\n"
    switch.backward(record)
    assert path.read_text() == tool.text + "# typed meanwhile\n"


@both
def test_a_file_that_was_made_goes_when_the_move_is_refused(place: Place, tool: Tool) -> None:
    switch = place.switch(tool.ecosystem)
    record = switch.prepare(place.record(tool.ecosystem.name, f"{place.home}/{tool.old}"))
    stronger = {"PIP_CACHE_DIR" if tool is PIP else "CONDA_PKGS_DIRS": f"{place.home}/else"}
    beaten = Switch(Surroundings(switch.surroundings.owner, stronger, RealFiles()), tool.ecosystem, switch.ask)
    with pytest.raises(RefusedError, match="does not use"):
        beaten.forward(record)
    assert not (place.home / tool.file).exists()


@both
def test_going_back_twice_does_no_more_than_once(place: Place, tool: Tool) -> None:
    switch, record, path = prepared(place, tool)
    switch.forward(record)
    for text in (path.read_text(), path.read_text() + "# more\n"):
        path.write_text(text)
        switch.backward(record)
        once = path.read_text()
        assert once == tool.text + text.removeprefix(decoded(record.written))
        switch.backward(record)
        assert path.read_text() == once


def decoded(written: str) -> str:
    return base64.b64decode(written).decode()


@both
def test_a_file_that_was_removed_meanwhile_stays_so(place: Place, tool: Tool) -> None:
    switch, record, path = prepared(place, tool)
    switch.forward(record)
    path.unlink()
    switch.backward(record)
    assert not path.exists()


def test_another_line_of_the_same_file_that_names_the_new_place_keeps_a_move_from_being_undone(place: Place) -> None:
    switch, record, path = prepared(place, PIP)
    switch.forward(record)
    path.write_text(path.read_text() + f"[install]\ncache-dir = {place.new}\n")
    back = Relocation(**{each: getattr(record, each) for each in record.__slots__} | {"heading": Heading.BACK})
    with pytest.raises(RefusedError, match=r"pip install still uses .*/usb, by .*pip\.conf \[install\] cache-dir"):
        tell(switch, back)


@both
def test_whether_a_file_names_the_new_place_is_told_without_a_working_directory(
    place: Place, tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's is gone; once the file says nothing any more, a default or a variable decides, which is no path."""
    switch, record, path = prepared(place, tool)
    switch.forward(record)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert switch.is_named(record)
    path.unlink()
    assert not switch.is_named(record)
