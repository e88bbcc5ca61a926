"""The journal of moves: one small file per move in the owner's own state folder, each step written before it is done.

It is the owner's, and not the service's: what finishes a move after a kill runs with the owner's rights and believes
nobody else about what to write into the owner's configuration.
"""

import dataclasses
import json
import os
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from cachewarden.model.relocations import Phase, Relocation
from cachewarden.model.units import Instant
from cachewarden.system import durable
from cachewarden.system.ports import Files

VERSION = 1
LONGEST_PAUSE = 86_400
"""Seconds: no move is put off for longer."""
_LIMIT = 8 << 20
"""Bytes; a configuration file of 1 MiB is in it twice, in base64."""
_MOST = 64
_ENDING = ".json"


class Records:
    """The moves of one owner, in ``folder``. OSError as the disk gives.

    What others than the owner and root wrote counts for nothing: root with another user's HOME (sudo) must not do
    what that user's files say.
    """

    def __init__(self, folder: str, files: Files | None = None) -> None:
        """``folder`` need not be there; ``files`` tells whose word counts, ``None`` for everybody's."""
        self.folder = folder
        self._files = files

    def all(self) -> tuple[Relocation, ...]:
        """Every move that can be read, the oldest first. What is damaged is passed over: see ``damaged``."""
        found = (self._load(name) for name in self._names())
        return tuple(sorted((each for each in found if each), key=lambda each: (each.begun, each.id)))

    def any(self) -> bool:
        """Whether there are any, good or damaged."""
        return bool(self._names())

    def damaged(self) -> tuple[str, ...]:
        """Paths of records that nobody can read any more."""
        return tuple(f"{self.folder}/{name}" for name in self._names() if self._load(name) is None)

    def _names(self) -> list[str]:
        if not self._is_trusted():
            return []
        return [name for name in durable.names(self.folder, 4 * _MOST) if name.endswith(_ENDING)][:_MOST]

    def _is_trusted(self) -> bool:
        """Whether the folder is there and nobody else laid the way to it."""
        try:
            return self._files is None or bool(self._files.trusted_path(self.folder))
        except OSError:
            return False

    def _nearest(self) -> str:
        """The folder, or the nearest one above it that is there."""
        path = self.folder
        while path != "/" and not durable.is_there(path):
            path = os.path.dirname(path)
        return path

    def _load(self, name: str) -> Relocation | None:
        try:
            path = f"{self.folder}/{name}"
            data = durable.read(self._files.trusted_path(path) if self._files else path, _LIMIT)
        except OSError:
            return None
        return None if data is None else parse(data)

    def save(self, record: Relocation) -> None:
        """On the disk when this returns; a move that is over is forgotten."""
        path = f"{self.folder}/{_name(record)}"
        if record.phase is Phase.OVER:
            durable.remove(path)
            return
        durable.make_folders(self.folder)
        durable.write(path, form(record))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """BusyError when another process is at work on these moves."""
        if self._files:
            self._files.trusted_path(self._nearest())  # nothing is made where somebody else leads to
        durable.make_folders(self.folder)
        if self._files:
            self._files.trusted_path(self.folder)
        with durable.alone(self.folder):
            durable.sweep(self.folder)
            yield


def _name(record: Relocation) -> str:
    import hashlib

    digest = hashlib.sha256(record.id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{record.ecosystem}-{digest}{_ENDING}"


def form(record: Relocation) -> bytes:
    """As it is written."""
    plain = {
        each.name: value.value if isinstance(value := getattr(record, each.name), Enum) else value
        for each in dataclasses.fields(record)
    }
    return json.dumps({"version": VERSION, **plain}, indent=1).encode("ascii")


def parse(data: bytes) -> Relocation | None:
    """What a file says; ``None`` for one that is no record of this version."""
    import base64

    try:
        plain = json.loads(str(data, "ascii"))
        if not isinstance(plain, dict) or plain.pop("version", None) != VERSION:
            return None
        hints = typing.get_type_hints(Relocation)
        fields: dict[str, typing.Any] = {key: _value(hints[key], value) for key, value in plain.items()}
        record = Relocation(**fields)
        for text in (record.original, record.written):
            base64.b64decode(text or "", validate=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    sound = (
        all(_is_a_place(each) for each in (record.old, record.new))
        and record.id.isalnum()
        and record.ecosystem.isalpha()
    )
    return record if sound else None


def _value(wanted: typing.Any, value: object) -> object:  # noqa: ANN401 - any type of a field
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return wanted(value)
    if wanted is Instant or wanted is int:
        wanted = int
    allowed = typing.get_args(wanted) or (wanted,)
    if type(value) not in allowed:
        raise ValueError("not of its type")
    return value


def _is_a_place(path: str) -> bool:
    parts = path.split("/")
    return path.startswith("/") and len(parts) > 2 and not {"", ".", ".."} & set(parts[1:]) and "\0" not in path
