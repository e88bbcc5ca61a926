"""What a wheel says of itself: the compatibility tags in its ``WHEEL`` file, read in two small pieces."""

import re
import zlib
from contextlib import suppress

from cachewarden.ecosystems.interpreters import Tag, tags_of_text
from cachewarden.ecosystems.pip_names import Body

_TAIL = 65_536
_WHEEL = re.compile(rb"[^/]{1,300}\.dist-info/WHEEL")
_LONGEST_PACKED = 16_384
_LONGEST_TEXT = 65_536
_STORED, _DEFLATED = 0, 8


def tags_of_wheel(body: Body) -> tuple[Tag, ...]:
    """Empty for what is no wheel, or none whose directory is at its end. OSError as reading raises it.

    A wheel keeps its ``.dist-info`` last, so the end of the central directory has it; the form of that and of a
    member's head is APPNOTE 4.3.12 and 4.3.7.
    """
    size = min(body.size, _TAIL)
    tail = body.fetch(body.size - size, size)
    begin = tail.find(b"PK\x01\x02")
    while begin >= 0:
        length = _number(tail, begin + 28, 2)
        if _WHEEL.fullmatch(tail[begin + 46 : begin + 46 + length]):
            method, packed, offset = (_number(tail, begin + at, width) for at, width in ((10, 2), (20, 4), (42, 4)))
            return tags_of_text(_member(body, method, min(packed, _LONGEST_PACKED), offset))
        begin = tail.find(b"PK\x01\x02", begin + 46)
    return ()


def _member(body: Body, method: int, packed: int, offset: int) -> str:
    head = body.fetch(offset, 30)
    if head[:4] != b"PK\x03\x04":
        return ""
    data = body.fetch(offset + 30 + _number(head, 26, 2) + _number(head, 28, 2), packed)
    plain = data if method == _STORED else b""
    if method == _DEFLATED:
        with suppress(zlib.error):
            plain = zlib.decompressobj(wbits=-15).decompress(data, _LONGEST_TEXT)
    return plain.decode("utf-8", "replace")


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")
