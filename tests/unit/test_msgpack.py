"""The MessagePack reader against the specification and against hostile bytes."""

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cachewarden.ecosystems.msgpack import Blob, Fetch, NotMessagePackError, unpack


def fetcher(data: bytes) -> Fetch:
    return lambda offset, size: data[offset : offset + size]


def pack(value: object) -> bytes:
    """What the usual library writes, by the specification's smallest form."""
    match value:
        case None | bool():
            return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
        case int():
            return _integer(value)
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case str():
            data = value.encode()
            return _head(len(data), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + data
        case bytes():
            return _head(len(value), None, 0, (0xC4, 0xC5, 0xC6)) + value
        case list():
            return _head(len(value), 0x90, 16, (None, 0xDC, 0xDD)) + b"".join(map(pack, value))
        case dict():
            body = b"".join(pack(key) + pack(item) for key, item in value.items())
            return _head(len(value), 0x80, 16, (None, 0xDE, 0xDF)) + body
    raise TypeError(type(value))


def _integer(value: int) -> bytes:
    if -32 <= value <= 127:
        return struct.pack("b", value)
    if value > 0:
        code, form = next(each for each in zip((0xCC, 0xCD, 0xCE, 0xCF), "BHIQ", strict=True)
                          if value < 256 ** struct.calcsize(each[1]))  # fmt: skip
    else:
        code, form = next(each for each in zip((0xD0, 0xD1, 0xD2, 0xD3), "bhiq", strict=True)
                          if value >= -(256 ** struct.calcsize(each[1])) // 2)  # fmt: skip
    return bytes([code]) + struct.pack(f">{form}", value)


def _head(size: int, small: int | None, below: int, codes: tuple[int | None, int, int]) -> bytes:
    if small is not None and size < below:
        return bytes([small | size])
    for code, form in zip(codes, "BHI", strict=True):
        if code is not None and size < 256 ** struct.calcsize(form):
            return bytes([code]) + struct.pack(f">{form}", size)
    raise ValueError(size)


simple = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(), st.binary()
)
keys = st.one_of(st.text(), st.integers(-(2**63), 2**64 - 1), st.binary())
values = st.recursive(simple, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


@given(values)
@settings(max_examples=20)
def test_reads_back_what_was_packed(value: object) -> None:
    def deep(each: object) -> int:
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        return 1 + max(map(deep, inner), default=0)

    if deep(value) <= 8:
        assert unpack(fetcher(pack(value)), 0) == value


@given(st.binary(max_size=400), st.integers(0, 10))
@example(b"\xdd\xff\xff\xff\xff", 0)
@example(b"\xdf\xff\xff\xff\xff\x01\x02", 0)
@example(b"\xc6\xff\xff\xff\xff", 0)
@example(b"\xc7\x01\x02\x03", 0)
@example(b"\x81\x90\x00", 0)
@example(b"\x81\xca\x00\x00\x00\x00\x00", 0)
@settings(max_examples=60)
def test_arbitrary_bytes_raise_nothing_else(data: bytes, offset: int) -> None:
    try:
        unpack(fetcher(data), offset)
    except NotMessagePackError:
        return


@given(values, st.integers(0, 200))
@settings(max_examples=20)
def test_truncated_values_end_too_early_or_are_blobs(value: object, cut: int) -> None:
    packed = pack(value)
    try:
        unpack(fetcher(packed[: max(0, len(packed) - 1 - cut)]), 0)
    except NotMessagePackError as error:
        assert str(error)  # noqa: PT017 - or no error: a shorter value may be whole


def test_long_strings_are_stepped_over_without_being_read() -> None:
    body = b"x" * 5_000_000
    packed = pack({"response": {"body": body, "headers": {"a": "b"}}})
    asked: list[int] = []

    def fetch(offset: int, size: int) -> bytes:
        asked.append(size)
        return packed[offset : offset + size]

    found = unpack(fetch, 0)
    blob = Blob(packed.index(b"xxx"), len(body))
    assert found == {"response": {"body": blob, "headers": {"a": "b"}}}
    assert sum(asked) < 100_000


@pytest.mark.parametrize(
    "packed", [b"\x91" * 5000 + b"\xc0", b"\x81\x01" * 5000 + b"\xc0", b"\xdc\xff\xff" + b"\xc0" * 65_535]
)
def test_deep_and_crowded_values_are_refused(packed: bytes) -> None:
    with pytest.raises(NotMessagePackError, match="too deep or too many"):
        unpack(fetcher(packed), 0)


def test_many_long_strings_are_refused_before_they_fill_the_memory() -> None:
    packed = b"\xdc\x27\x00" + (b"\xc5\xff\xff" + b"y" * 65_535) * 200
    with pytest.raises(NotMessagePackError, match="too long"):
        unpack(fetcher(packed), 0)


def test_undecodable_text_is_kept_readable() -> None:
    assert unpack(fetcher(b"\xa2\xff\xfe"), 0) == "\ufffd\ufffd"


def test_starts_where_it_is_told_to() -> None:
    assert unpack(fetcher(b"cc=4,\x93\x01\x02\x03"), 5) == [1, 2, 3]
