"""What workers say is untrusted: everything that is not exactly of its type is refused."""

import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachewarden.model.caches import Entry, Identity, Kind, Share
from cachewarden.model.errors import WorkerError
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.service.wire import MESSAGE_LIMIT, Channel, decoder, encoder

ENTRY = Entry(
    path="http-v2/a/b\udcff\n",
    kind=Kind.DOWNLOAD,
    name="six",
    version=None,
    size=Bytes(4096),
    frees=Bytes(4096),
    frees_inodes=Inodes(1),
    modified=Instant(5),
    last_used=None,
    identity=Identity(1, 2, Instant(3)),
    rank=40,
    parts=("b.body",),
    shares=(Share(1, 9, 2, 1, Bytes(4096)),),
)


def over_the_wire(value: object) -> object:
    return json.loads(json.dumps(value))


def test_an_entry_survives_the_wire_with_undecodable_names() -> None:
    assert decoder(Entry)(over_the_wire(encoder(Entry)(ENTRY))) == ENTRY


def test_a_time_before_1970_is_a_time() -> None:
    old = replace(ENTRY, modified=Instant(-5 * 10**18), identity=Identity(1, 2, Instant(-1)))
    assert decoder(Entry)(over_the_wire(encoder(Entry)(old))) == old


def test_an_inode_has_all_its_64_bits() -> None:
    """mergerfs makes its numbers of a hash: every second one is that large."""
    large = (1 << 64) - 1
    share = replace(ENTRY.shares[0], inode=large)
    wide = replace(ENTRY, identity=Identity(1, large, Instant(3)), shares=(share,))
    assert decoder(Entry)(over_the_wire(encoder(Entry)(wide))) == wide
    larger = replace(ENTRY, identity=Identity(1, large + 1, Instant(3)))
    with pytest.raises(WorkerError, match=r"from 0 to 2\^64"):
        decoder(Entry)(over_the_wire(encoder(Entry)(larger)))


def test_tuples_of_entries_survive_the_wire() -> None:
    whole = (ENTRY, ENTRY)
    assert decoder(tuple[Entry, ...])(over_the_wire(encoder(tuple[Entry, ...])(whole))) == whole


@pytest.mark.parametrize(
    ("place", "lie"),
    [
        (0, 7), (0, "a" * 70_000), (0, "a\0b"), (1, "no-kind"), (1, None), (2, 7), (4, -1), (4, 1 << 63), (4, 1.5),
        (4, True), (4, "12"), (9, [1, 2]), (9, {"device": 1}), (12, "b.body"), (13, 1), (16, [[1, 2, 3]]),
    ],
    ids=str,
)  # fmt: skip
def test_a_field_of_the_wrong_type_or_size_is_refused(place: int, lie: object) -> None:
    told = over_the_wire(encoder(Entry)(ENTRY))
    assert isinstance(told, list)
    told[place] = lie
    with pytest.raises(WorkerError):
        decoder(Entry)(told)


def test_missing_and_additional_fields_are_refused() -> None:
    told = over_the_wire(encoder(Entry)(ENTRY))
    assert isinstance(told, list)
    others: tuple[object, ...] = (told[:-1], [*told, 1], {}, None, "entry")
    for other in others:
        with pytest.raises(WorkerError):
            decoder(Entry)(other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
@settings(max_examples=50, deadline=None)
def test_no_json_makes_a_decoder_raise_anything_else(value: object) -> None:
    for wanted in (Entry, tuple[Entry, ...], Kind, str | None):
        try:
            decoder(wanted)(value)
        except WorkerError:
            continue


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Channel]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, Channel(theirs)


Pair = tuple[socket.socket, Channel]


def test_messages_arrive_in_order_and_the_end_is_none(pair: Pair) -> None:
    ours, channel = pair
    Channel(ours).send("entries", [1, 2])
    Channel(ours).send("seen")
    ours.close()
    assert [channel.receive(), channel.receive(), channel.receive()] == [("entries", [1, 2]), ("seen", None), None]


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">I", MESSAGE_LIMIT + 1),
        struct.pack(">I", 4) + b"nope",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 10) + b'[2,"a",1] ',
        struct.pack(">I", 8) + b"[1,3,4] ",
        struct.pack(">I", 100) + b"[1,",
        b"\0\0",
        struct.pack(">I", 100_000) + b"[" * 100_000,
    ],
    ids=["too long", "no json", "no list", "other version", "no word", "cut short", "half a head", "deep"],
)
def test_what_is_no_message_is_a_worker_error(pair: Pair, raw: bytes) -> None:
    ours, channel = pair
    ours.settimeout(5)
    ours.sendall(raw)
    ours.close()
    with pytest.raises(WorkerError):
        channel.receive()


def test_a_message_that_is_too_long_is_not_sent(pair: Pair) -> None:
    with pytest.raises(WorkerError):
        Channel(pair[0]).send("entries", "x" * (MESSAGE_LIMIT + 1))
