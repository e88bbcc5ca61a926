"""How what is gone comes back: the right command for a package, and none for anything that only looks like one."""

import json
import re
import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from cachewarden.cli.render import explain, json_explain, tables
from cachewarden.cli.render import json as documents
from cachewarden.cli.render.words import View
from cachewarden.model.caches import Kind
from cachewarden.model.regaining import Lost, command, is_package_name, way_back
from cachewarden.model.units import Bytes
from cachewarden.model.worth import Regain
from cachewarden.system.memory import PastRemoval
from makers import NOW, ago

FIXED = {"pip", "conda", "download", "wheel", "install", "--no-deps", "--no-binary", "--download-only"}
ARGUMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!=-]*", re.ASCII)


def pip(kind: str = "download", name: str | None = "numpy", version: str | None = "1.26.4") -> Lost:
    return Lost("pip", kind, name, version, "/home/ann/.cache/pip/http-v2/a/b")


def conda(path: str, kind: str = "package", name: str | None = None, version: str | None = None) -> Lost:
    return Lost("conda", kind, name, version, f"/opt/conda/pkgs/{path}")


@pytest.mark.parametrize(
    ("lost", "line"),
    [
        (pip(), "pip download --no-deps numpy==1.26.4"),
        (pip("built-wheel", "docopt", "0.6.2"), "pip wheel --no-deps --no-binary docopt docopt==0.6.2"),
        (pip(name="torch", version="2.1.0+cu118"), "pip download --no-deps torch==2.1.0+cu118"),
        (pip(name="zope.interface", version="1!6.0rc1.post2.dev3"),
         "pip download --no-deps 'zope.interface==1!6.0rc1.post2.dev3'"),
        (pip(name="old", version="1.0-1"), "pip download --no-deps old==1.0-1"),
        (conda("numpy-1.26.4-py312h1_0", name="numpy", version="1.26.4"),
         "conda install --download-only --no-deps numpy=1.26.4=py312h1_0"),
        (conda("https/host/forge/noarch/tz-data-2024a-h0_1.conda", "tarball"),
         "conda install --download-only --no-deps tz-data=2024a=h0_1"),
        (conda("_libgcc_mutex-0.1-main.tar.bz2", "tarball"),
         "conda install --download-only --no-deps _libgcc_mutex=0.1=main"),
        (conda("ros-1!2.0-0"), "conda install --download-only --no-deps 'ros=1!2.0=0'"),
    ],
)  # fmt: skip
def test_a_package_has_the_command_that_fetches_or_builds_exactly_it(lost: Lost, line: str) -> None:
    assert (command(lost), way_back(lost).command) == (line, line)
    assert "by itself" in way_back(lost).text


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("-rx", "1"), ("--index-url=x", "1"), ("a b", "1"), ("a;rm", "1"), ("$(x)", "1"), ("a/b", "1"), ("..", "1"),
        ("é", "1"), ("a\n", "1"), ("x", "1 2"), ("x", "1.*"), ("x", "1;reboot"), ("x", "1+a.zip"), ("x", "1+WHL.whl"),
        ("x", "-1"), ("x", "1\u0661"), ("x", ""), ("", "1"), (":all:", "1"), ("a,b", "1"),
        ("x" * 500, "1"), ("x", "1" * 500), (None, "1"), ("x", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["download", "built-wheel"])
def test_what_is_no_name_and_version_of_pip_gives_no_command_and_says_why(
    name: str | None, version: str | None, kind: str
) -> None:
    back = way_back(pip(kind, name, version))
    assert back.command is None
    assert "no command is shown" in back.text
    assert not name or len(name) < 3 or name not in back.text


@pytest.mark.parametrize(
    "path",
    [
        "-p-1-0", "numpy-1.0", "a b-1-0", "x-1-$(id)", "x-1-0.conda.conda", "x-1-0.tar.bz2.tar.bz2", "x-1-*", "x-*-0",
        "x=1-1-0", "main::x-1-0", "x-1-0\n", "x-1-é", "", "x" * 300 + "-1-0",
    ],
)  # fmt: skip
def test_what_is_no_distribution_of_conda_gives_no_command_and_says_why(path: str) -> None:
    back = way_back(conda(path))
    assert back.command is None
    assert "no command is shown" in back.text


def test_a_record_that_says_otherwise_than_the_name_of_the_folder_gives_no_command() -> None:
    assert command(conda("numpy-1.0-0", name="other")) is None
    assert command(conda("numpy-1.0-0", name="numpy", version="2.0")) is None


@pytest.mark.parametrize(
    ("regain", "says"),
    [
        (Regain.NOTHING, "nobody needs it back"),
        (Regain.NEVER, "it cannot be had again: its source was local"),
        (Regain.EXTRACT, "unpacks it again by itself from its archive"),
    ],
)
@pytest.mark.parametrize("lost", [pip(), conda("numpy-1.0-0")], ids=["pip", "conda"])
def test_what_needs_or_has_no_command_is_said_in_words(regain: Regain, says: str, lost: Lost) -> None:
    noted = Lost(lost.ecosystem, lost.kind, lost.name, lost.version, lost.path, regain)
    assert command(noted) is None
    assert says in way_back(noted).text


def test_a_state_that_did_not_note_it_is_answered_by_the_kind() -> None:
    found = {kind: way_back(Lost("pip", kind.value, "six", "1.0", "/c/x")) for kind in Kind}
    assert {kind for kind, back in found.items() if back.command} == {
        Kind.DOWNLOAD, Kind.BUILT_WHEEL, Kind.TARBALL, Kind.PACKAGE,
    }  # fmt: skip
    assert "nobody needs it" in found[Kind.DEBRIS].text
    assert "its index" in found[Kind.INDEX].text
    assert way_back(Lost("pip", "", "six", "1.0", "/c/x")).text == "how it comes back is not known"
    assert way_back(Lost("cargo", "download", "six", "1.0", "/c/x")).command is None


WORDS = some.one_of(
    some.none(),
    some.text(max_size=40),
    some.from_regex(r"[A-Za-z0-9._+!= ;$'\"-]{0,30}", fullmatch=True),
)
PATHS = some.one_of(
    some.text(max_size=60), some.from_regex(r"(/[a-z]{1,5}){0,3}/[A-Za-z0-9._+!= '-]{1,40}(\.conda|\.tar\.bz2)?")
)


@given(
    some.sampled_from(["pip", "conda", "other"]),
    some.sampled_from(["", "strange", *(kind.value for kind in Kind)]),
    WORDS,
    WORDS,
    PATHS,
    some.sampled_from([None, *Regain]),
)
@example("pip", "download", "a", "1'", "", None)
@example("conda", "package", None, None, "/x'-1-0", None)
@example("conda", "package", None, None, "/x-1-0'", None)
def test_no_command_ever_holds_a_character_outside_of_the_grammar(
    ecosystem: str, kind: str, name: str | None, version: str | None, path: str, regain: Regain | None
) -> None:
    back = way_back(Lost(ecosystem, kind, name, version, path, regain))
    assert back.text.isprintable()
    if back.command is None:
        return
    assert re.fullmatch(r"[A-Za-z0-9._+!= '-]+", back.command)
    first, *words = shlex.split(back.command)
    assert first == ecosystem
    for word in words:
        assert word in FIXED or ARGUMENT.fullmatch(word)
    assert shlex.join((first, *words)) == back.command


@given(some.text(max_size=50))
@example("numpy\n")
def test_a_package_name_is_safe_wherever_it_is_written(name: str) -> None:
    assert is_package_name(name) <= bool(re.fullmatch(r"[A-Za-z0-9._-]+", name, re.ASCII) and name[0].isalnum())


def gone(regain: Regain | None, **fields: str) -> PastRemoval:
    return PastRemoval(
        "c1",
        ago(60),
        "p",
        "pip",
        "ann",
        "/c/a",
        fields.get("name", "six"),
        "1.17",
        Bytes(1),
        "why",
        "download",
        regain,
    )


def test_explain_shows_how_what_is_gone_comes_back() -> None:
    shown = list(tables.plain(explain.explain([], [], [], [gone(Regain.DOWNLOAD)], View(NOW))))
    assert shown[-3:] == [
        "  to get it back: pip fetches it again by itself at the next install that wants it",
        "  by hand, as ann, from what the index has:",
        "    pip download --no-deps six==1.17",
    ]
    shown = list(tables.plain(explain.explain([], [], [], [gone(Regain.NEVER)], View(NOW))))
    assert shown[-1].startswith("  to get it back: it cannot be had again")


def test_json_has_how_it_comes_back() -> None:
    built, strange = gone(Regain.BUILD), gone(None, name="; rm")
    written = documents.text(json_explain.explained([], [], [], [built, strange]), pretty=False)
    first, second = json.loads(written)["removals"]
    assert (first["kind"], first["regain"]) == ("download", "build")
    assert first["how_back"]["command"] == "pip wheel --no-deps --no-binary six six==1.17"
    assert (second["regain"], second["how_back"]["command"]) == (None, None)
