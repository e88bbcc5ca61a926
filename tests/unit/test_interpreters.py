"""Which Pythons there are, and which wheels fit none of them."""

import pytest

from cachewarden.ecosystems.interpreters import (
    Python,
    Tag,
    is_orphan,
    of_programs,
    python_of_program,
    python_of_release,
    tags_of_file,
    tags_of_python,
    tags_of_text,
)
from fakes import FakeFiles

HAVE = frozenset((Python(3, 9), Python(3, 11)))


@pytest.mark.parametrize(
    ("name", "version"),
    [("python3.11", (3, 11)), ("python2.7", (2, 7)), ("python3.13t", (3, 13)), ("pypy3.9", (3, 9)),
     ("python3", None), ("python3.11-config", None), ("python3.x", None), ("python3.9999999", None)],
)  # fmt: skip
def test_a_program_names_its_version(name: str, version: tuple[int, int] | None) -> None:
    assert python_of_program(name) == version


@pytest.mark.parametrize(
    ("name", "version"),
    [("3.11.7", (3, 11)), ("cpython-3.12.4-linux-x86_64-gnu", (3, 12)), ("3.13-dev", (3, 13)), ("3.8", (3, 8)),
     ("pypy-3.10-7.3.12", (3, 10)), ("miniconda3-latest", None), ("3.", None), ("", None)],
)  # fmt: skip
def test_a_folder_of_a_release_names_its_version(name: str, version: tuple[int, int] | None) -> None:
    assert python_of_release(name) == version


def test_the_machine_has_what_stands_in_its_program_folders() -> None:
    files = FakeFiles(
        {"/usr/bin/python3.9": "", "/usr/bin/ls": "", "/usr/local/bin/python3.12": "", "/opt/py38/bin/python3.8": "",
         "/home/ann/bin/python3.7": ""}
    )  # fmt: skip
    assert set(of_programs(files)) == {(3, 9), (3, 12), (3, 8)}
    assert (3, 7) in set(of_programs(files, ["/home/ann/bin"]))


def test_the_name_of_a_wheel_holds_all_its_tags() -> None:
    assert tags_of_file("six-1.16.0-py2.py3-none-any.whl") == (("py2", "none"), ("py3", "none"))
    assert tags_of_file("numpy-1.26.4-1-cp38-cp38-manylinux_2_17_x86_64.whl") == (("cp38", "cp38"),)
    assert tags_of_file("docopt-0.6.2.tar.gz") == ()
    assert tags_of_file("odd.whl") == ()


def test_a_wheel_file_tells_its_tags_and_nonsense_tells_none() -> None:
    text = "Wheel-Version: 1.0\nTag: cp37-abi3-manylinux_2_17_x86_64\nTag: cp37-abi3-musllinux\nTag: odd\nRoot: x\n"
    assert tags_of_text(text) == (("cp37", "abi3"),)
    assert tags_of_text("") == ()


@pytest.mark.parametrize(
    ("tags", "orphan"),
    [
        ([Tag("cp38", "cp38")], True),
        ([Tag("cp39", "cp39")], False),
        ([Tag("cp38", "cp38"), Tag("cp311", "cp311")], False),
        ([Tag("cp38", "none")], True),
        ([Tag("cp37", "abi3")], False),
        ([Tag("cp313", "abi3t")], False),
        ([Tag("py3", "none")], False),
        ([Tag("py2", "none")], True),
        ([Tag("py2", "none"), Tag("py3", "none")], False),
        ([Tag("py310", "none")], False),
        ([Tag("py312", "none")], True),
        ([Tag("cp3", "none")], False),
        ([Tag("pp39", "pypy39_pp73")], False),
        ([Tag("cp", "")], False),
        ([], False),
    ],
)
def test_a_wheel_is_an_orphan_when_it_fits_no_interpreter(tags: list[Tag], orphan: bool) -> None:
    assert is_orphan(tags, HAVE) is orphan


def test_without_an_interpreter_in_sight_nothing_is_an_orphan() -> None:
    assert not is_orphan([Tag("cp38", "cp38")], ())


def test_what_an_index_says_a_file_is_for() -> None:
    assert tags_of_python("py2.py3") == (("py2", "none"), ("py3", "none"))
    assert len(tags_of_python("py3." * 100_000)) <= 64
