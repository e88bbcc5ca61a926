"""The tags of a wheel are read from its end, and from nothing that is no wheel."""

import io
import zipfile

import pytest

from cachewarden.ecosystems.pip_names import Body
from cachewarden.ecosystems.wheel_file import tags_of_wheel

TEXT = "Wheel-Version: 1.0\nTag: cp37-abi3-manylinux_2_17_x86_64\n"


def body(data: bytes) -> Body:
    return Body(len(data), lambda offset, size: data[offset : offset + size])


def wheel(text: str = TEXT, *, packed: bool = True, padding: int = 0, name: str = "x-1.dist-info/WHEEL") -> bytes:
    whole = io.BytesIO()
    form = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(whole, "w", form) as archive:
        archive.writestr("x/vendored/six-1.dist-info/WHEEL", "Tag: cp27-cp27mu-any\n")
        archive.writestr("x/data", b"\0" * padding, zipfile.ZIP_STORED)
        archive.writestr(name, text)
        archive.writestr("x-1.dist-info/RECORD", "")
    return whole.getvalue()


@pytest.mark.parametrize("data", [wheel(), wheel(packed=False), wheel(padding=200_000)])
def test_the_tags_are_those_of_its_own_file(data: bytes) -> None:
    assert tags_of_wheel(body(data)) == (("cp37", "abi3"),)


@pytest.mark.parametrize("data", [b"", b"PK\x01\x02", wheel(name="x/WHEEL"), wheel("")[:-40], b"PK\x01\x02" * 9999])
def test_what_is_no_whole_wheel_says_nothing(data: bytes) -> None:
    assert tags_of_wheel(body(data)) == ()


def test_no_damage_of_a_byte_makes_it_raise() -> None:
    whole = wheel()
    for at in range(len(whole)):
        broken = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        assert isinstance(tags_of_wheel(body(broken)), tuple)


def test_a_bomb_is_not_unpacked_whole() -> None:
    assert tags_of_wheel(body(wheel(TEXT + "x" * 50_000_000))) == (("cp37", "abi3"),)
