"""The language between service and workers: length-prefixed JSON, every field checked on arrival.

A worker runs with an owner's rights and reads an owner's files, so what it says is untrusted: each value is built
from its type's fields alone, with bounds, and anything else is a WorkerError. Paths may hold bytes that are no
text; JSON carries them as lone surrogates.
"""

import dataclasses
import json
import operator
import socket
import struct
import time
import types
import typing
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import lru_cache

from cachewarden.model.errors import WorkerError
from cachewarden.model.units import Instant, Serial

VERSION = 1
HERE = "here"
"""What a worker says while it is at work, so that it is not taken for one that hangs."""
MESSAGE_LIMIT = 4 << 20
_LONGEST_TEXT = 65_536
_LARGEST = 1 << 63
_HEAD = struct.Struct(">I")
_PIECE = 1 << 16
Message = tuple[str, object]

Decoder = Callable[[object], typing.Any]
Encoder = Callable[[typing.Any], object]


@lru_cache(maxsize=256)
def decoder(wanted: typing.Any) -> Decoder:  # noqa: ANN401 - any type expression
    """A function that turns plain JSON values into ``wanted`` or raises WorkerError.

    Knows dataclasses (as arrays of their fields), enums, ``X | None``, homogeneous tuples, and the plain types;
    NewTypes count as what they are made of, no number but an Instant is negative, and none but a Serial 2^63 or more.
    """
    if wanted is Instant:
        return _instant
    if wanted == Serial:
        return _serial
    wanted = getattr(wanted, "__supertype__", wanted)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return _optional(arguments)
    if origin is tuple:
        return _sequence(decoder(arguments[0]))
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _member(wanted)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _fields(wanted)
    if wanted in (int, str, bool):
        return {int: _number, str: _text, bool: _truth}[wanted]
    raise TypeError(f"no decoder for {wanted!r}")


def _optional(arguments: tuple[typing.Any, ...]) -> Decoder:
    inner = decoder(next(each for each in arguments if each is not type(None)))
    return lambda value: None if value is None else inner(value)


def _sequence(inner: Decoder) -> Decoder:
    def decode(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise WorkerError(f"expected a list, got {type(value).__name__}")
        return tuple(inner(each) for each in value)

    return decode


def _member(wanted: type[Enum]) -> Decoder:
    members = {member.value: member for member in wanted}

    def decode(value: object) -> Enum:
        if not isinstance(value, str) or value not in members:
            raise WorkerError(f"no {wanted.__name__}: {str(value)[:80]!r}")
        return members[value]

    return decode


def _fields(wanted: type) -> Decoder:
    hints = typing.get_type_hints(wanted, include_extras=True)
    decoders = [decoder(hints[each.name]) for each in dataclasses.fields(wanted)]

    def decode(value: object) -> object:
        if not isinstance(value, list) or len(value) != len(decoders):
            raise WorkerError(f"expected the {len(decoders)} fields of {wanted.__name__}")
        return wanted(*[decode_one(each) for decode_one, each in zip(decoders, value, strict=True)])

    return decode


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise WorkerError(f"expected a number from 0 to 2^63, got {str(value)[:80]!r}")
    return value


def _serial(value: object) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST << 1:
        raise WorkerError(f"expected a number from 0 to 2^64, got {str(value)[:80]!r}")
    return value


def _instant(value: object) -> int:
    """A time, which may lie before 1970: any user can give a file one."""
    if type(value) is not int or not -_LARGEST <= value < _LARGEST:
        raise WorkerError(f"expected a time, got {str(value)[:80]!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value:
        raise WorkerError("expected a text without NUL of at most 64 KiB")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise WorkerError("expected true or false")
    return value


@lru_cache(maxsize=256)
def encoder(wanted: typing.Any) -> Encoder:  # noqa: ANN401 - any type expression
    """The inverse of ``decoder``."""
    wanted = getattr(wanted, "__supertype__", wanted)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        inner = encoder(next(each for each in arguments if each is not type(None)))
        return inner if inner is _as_it_is else lambda value: None if value is None else inner(value)
    if origin is tuple:
        each_of = encoder(arguments[0])
        if each_of is _as_it_is:
            return list
        return lambda value: [each_of(each) for each in value]
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return lambda value: value.value
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _tell_fields(wanted)
    return _as_it_is


def _as_it_is(value: object) -> object:
    return value


def _tell_fields(wanted: type) -> Encoder:
    """All fields are taken at once, and only those are gone through that are no plain values."""
    hints = typing.get_type_hints(wanted)
    names = [each.name for each in dataclasses.fields(wanted)]
    encoders = [(number, encoder(hints[name])) for number, name in enumerate(names)]
    others = [(number, encode) for number, encode in encoders if encode is not _as_it_is]
    # With one name, it would give no tuple.
    take = operator.attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)

    def encode_all(value: object) -> list[object]:
        told = list(take(value))
        for number, encode in others:
            told[number] = encode(told[number])
        return told

    return encode_all


def frame(word: str, value: object = None) -> bytes:
    """A message as it goes over the stream; WorkerError when it is too long."""
    data = json.dumps([VERSION, word, value], separators=(",", ":")).encode("ascii")
    if len(data) > MESSAGE_LIMIT:
        raise WorkerError(f"a message of {len(data)} bytes is too long")
    return _HEAD.pack(len(data)) + data


def _message(data: bytes) -> Message:
    try:
        message = json.loads(str(data, "ascii"))  # of bytes, json would guess the encoding
    except (ValueError, RecursionError) as error:
        raise WorkerError("a message is not JSON") from error
    if not isinstance(message, list) or len(message) != 3 or message[0] != VERSION:
        raise WorkerError("a message has not the form of this version")
    if not isinstance(message[1], str):
        raise WorkerError("a message without a word")
    return message[1], message[2]


class Inbox:
    """Messages as ``Channel`` sends them, taken in without ever waiting: for whoever listens to several at once."""

    def __init__(self, stream: socket.socket) -> None:
        """``received`` counts bytes. The stream is read here and nowhere else."""
        self._stream = stream
        self._data = bytearray()
        self.received = 0

    def take_in(self) -> bool:
        """Reads what is there, once and at most ``_PIECE`` bytes; false at the end of the stream."""
        try:
            part = self._stream.recv(_PIECE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self._data += part
        self.received += len(part)
        return bool(part)

    @property
    def is_begun(self) -> bool:
        """Whether something is here, whole or not."""
        return bool(self._data)

    @property
    def is_ready(self) -> bool:
        """Whether there is a whole message, or one that cannot be."""
        if len(self._data) < _HEAD.size:
            return False
        length: int = _HEAD.unpack_from(self._data)[0]
        return length > MESSAGE_LIMIT or len(self._data) >= _HEAD.size + length

    def message(self) -> Message:
        """The next message, when there ``is_ready`` one; WorkerError for what is none."""
        (length,) = _HEAD.unpack_from(self._data)
        if length > MESSAGE_LIMIT:
            raise WorkerError(f"a message of {length} bytes was announced, more than is allowed")
        data = bytes(memoryview(self._data)[_HEAD.size : _HEAD.size + length])
        del self._data[: _HEAD.size + length]
        return _message(data)


class Channel:
    """Messages over a stream socket: ``(word, value)`` pairs, each at most ``MESSAGE_LIMIT`` bytes."""

    def __init__(self, stream: socket.socket) -> None:
        """Takes the socket; a time limit on it is the caller's to set. ``received`` counts bytes."""
        self._stream = stream
        self.received = 0
        self._deadline: float | None = None
        self._sending = False

    def send(self, word: str, value: object = None) -> None:
        """OSError when the other side is gone; WorkerError when the message is too long."""
        self.pass_on(frame(word, value))

    def pass_on(self, data: bytes) -> None:
        """Sends one message as ``frame`` makes it."""
        self._sending = True
        self._stream.sendall(data)
        self._sending = False

    def say_if_free(self, word: str) -> None:
        """From a signal handler: between two messages, and where there is room for it; else it is left out."""
        if not self._sending:
            with suppress(OSError):
                self._stream.send(frame(word), socket.MSG_DONTWAIT)

    def receive(self, *, seconds: float | None = None, limit: int = MESSAGE_LIMIT) -> Message | None:
        """The next message, ``None`` at the end; WorkerError for what is none, OSError as the socket gives.

        The whole message must be there within ``seconds``: one that drips byte by byte is none.
        """
        self._deadline = None if seconds is None else time.monotonic() + seconds
        head = self._exactly(_HEAD.size, at_start=True)
        if head is None:
            return None
        (length,) = _HEAD.unpack(head)
        if length > limit:
            raise WorkerError(f"a message of {length} bytes was announced, more than is allowed")
        self.received += length
        return _message(self._exactly(length, at_start=False) or b"")

    def _some(self, most: int) -> bytes:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise WorkerError("a message took too long to arrive")
            self._stream.settimeout(left)
        try:
            return self._stream.recv(most)
        except TimeoutError as error:
            raise WorkerError("a message took too long to arrive") from error

    def _exactly(self, size: int, *, at_start: bool) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            part = self._some(min(size - len(data), _PIECE))
            if not part:
                if at_start and not data:
                    return None
                raise WorkerError("the channel ended in the middle of a message")
            data += part
        return bytes(data)
