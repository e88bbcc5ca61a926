"""The way into a trace: every line is from outside, so each is bounded, checked and told about by its number."""

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cachewarden.model.caches import Kind
from cachewarden.model.errors import ConfigError
from cachewarden.model.text import printable
from cachewarden.model.worth import Regain, Signal
from cachewarden.settings.vocabulary import KINDS_OF
from cachewarden.simulate.trace import VERSION, VERSION_KEY, Event, Gone, Item, Lost, Trace, Want, usual_regain
from cachewarden.system.ports import Files

LIMIT = 64 * 1024 * 1024
"""Bytes of one trace; a recorded one is a quarter of that at most."""
LONGEST_LINE = 8192
MOST_EVENTS = 500_000
MOST_PROBLEMS = 50
"""Problems told at once; who has more has a file that is no trace."""
_LONGEST_TEXT = 512
_LARGEST = 2**53
"""What every reader of JSON can count to."""
_LAST = 253_402_300_799
"""Seconds: the end of the year 9999, the last that a calendar has."""
_MOST_OWNERS = 100_000
_LONGEST_BUILD = 30 * 86_400
_SHOWN = 40

T = TypeVar("T")


class TraceError(ConfigError):
    """What is wrong with a trace; each problem ``FILE:LINE: expected …, got …``."""


class _WrongError(Exception):
    """A line that is not what it should be; the text says what was expected."""


def load(files: Files, path: str) -> Trace:
    """The trace in a file. Raises ``TraceError`` with all problems up to a bound."""
    try:
        text = files.read_text(path, LIMIT)
    except (OSError, ValueError) as error:
        raise TraceError((f"{printable(path)}: expected a trace, got {_reason(error)}",)) from error
    return parse(text, path)


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "a name that no file has"
    if error.errno == errno.EFBIG:
        return "a file of more than 64 MiB"
    if error.errno == errno.EINVAL:
        return "something that is not a regular file"
    return (error.strerror or type(error).__name__).lower()


def parse(text: str, path: str) -> Trace:
    """As ``load``, of a text; ``path`` is what the file is called in problems."""
    reader = _Reader(printable(path))
    for number, one in enumerate(text.split("\n"), 1):
        if number == 1:
            reader.first(one)
        elif one:
            reader.event(number, one)
        if reader.full():
            break
    if reader.problems:
        raise TraceError(tuple(reader.problems))
    return Trace(reader.about, tuple(reader.events))


@dataclass(slots=True)
class _Reader:
    """Collects events and problems; ``at`` is the time of the last good event."""

    path: str
    about: str = ""
    events: list[Event] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    at: int = 0
    stopped: bool = False

    def full(self) -> bool:
        """Whether reading on makes no sense."""
        return self.stopped or len(self.problems) >= MOST_PROBLEMS

    def first(self, one: str) -> None:
        """The line with the version."""
        expected = f'{{"{VERSION_KEY}": {VERSION}}} in the first line'
        try:
            fields = _fields(one)
        except _WrongError:
            fields = {}
        version = fields.get(VERSION_KEY)
        if isinstance(version, bool) or version != VERSION:
            shown = f"version {_shown(version)}" if VERSION_KEY in fields else _shown(one)
            self.problems.append(f"{self.path}:1: expected {expected}, got {shown}")
            return
        try:
            self.about = _optional(fields, "about", _text) or ""
            _no_others(fields, {VERSION_KEY, "about"})
        except _WrongError as error:
            self.problems.append(f"{self.path}:1: {error}")

    def event(self, number: int, one: str) -> None:
        """One line more."""
        try:
            if len(self.events) >= MOST_EVENTS:
                self.stopped = True
                raise _WrongError(f"expected at most {MOST_EVENTS} events, got more")
            event = _event(_fields(one))
            if event.at < self.at:
                raise _WrongError(f"at: expected a time that is not before {self.at}, got {event.at}")
        except _WrongError as error:
            self.problems.append(f"{self.path}:{number}: {error}")
            return
        self.at = event.at
        self.events.append(event)


def _fields(one: str) -> dict[str, object]:
    if len(one) > LONGEST_LINE:
        raise _WrongError(f"expected at most {LONGEST_LINE} characters in a line, got {len(one)}")
    try:
        found = json.loads(one, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _WrongError(f"expected a JSON object, got {_shown(one)}") from None
    if not isinstance(found, dict):
        raise _WrongError(f"expected a JSON object, got {_shown(one)}")
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _WrongError("expected each key once, got one twice")
    return found


def _no_constant(word: str) -> float:
    raise _WrongError(f"expected a number, got {word}")


_WANT = frozenset({
    "at", "event", "ecosystem", "owner", "key", "kind", "size_bytes", "frees_bytes", "name", "version", "regain",
    "fetch_bytes", "build_seconds", "installed", "orphan", "source_of", "signal",
})  # fmt: skip
_GONE = frozenset({"at", "event", "ecosystem", "owner", "key"})


def _event(fields: dict[str, object]) -> Event:
    word = _needed(fields, "event", _word("want", "gone", "lost"))
    at = _needed(fields, "at", _whole(_LAST))
    ecosystem = _needed(fields, "ecosystem", _word(*KINDS_OF))
    owner = _optional(fields, "owner", _whole(_MOST_OWNERS)) or 0
    key = _needed(fields, "key", _text)
    if word == "want":
        return _want(fields, at, ecosystem, owner, key)
    _no_others(fields, _GONE if word == "gone" else _GONE | {"by_us"})
    if word == "gone":
        return Gone(at, (ecosystem, owner, key))
    return Lost(at, (ecosystem, owner, key), by_us=_optional(fields, "by_us", _flag) or False)


def _want(fields: dict[str, object], at: int, ecosystem: str, owner: int, key: str) -> Want:
    _no_others(fields, _WANT)
    kind = Kind(_needed(fields, "kind", _word(*(kind.value for kind in KINDS_OF[ecosystem]))))
    size = _needed(fields, "size_bytes", _whole(_LARGEST))
    frees = _optional(fields, "frees_bytes", _whole(_LARGEST))
    regain = _optional(fields, "regain", _word(*(each.value for each in Regain)))
    signal = _optional(fields, "signal", _word(*(each.value for each in Signal)))
    source_of = _optional(fields, "source_of", _text)
    if source_of == key:
        raise _WrongError("source_of: expected the key of another entry, got its own")
    item = Item(
        ecosystem=ecosystem,
        owner=owner,
        key=key,
        kind=kind,
        size=size,
        frees=size if frees is None else frees,
        name=_optional(fields, "name", _text),
        version=_optional(fields, "version", _text),
        regain=Regain(regain) if regain else usual_regain(kind),
        fetch=_optional(fields, "fetch_bytes", _whole(_LARGEST)),
        build=_optional(fields, "build_seconds", _whole(_LONGEST_BUILD)),
        installed=_optional(fields, "installed", _flag),
        orphan=_optional(fields, "orphan", _flag) or False,
    )
    return Want(at, item, source_of, Signal(signal) if signal else None)


def _needed(fields: Mapping[str, object], key: str, read: Callable[[str, object], T]) -> T:
    if key not in fields:
        raise _WrongError(f"expected the key {key}, got none")
    return read(key, fields[key])


def _optional(fields: Mapping[str, object], key: str, read: Callable[[str, object], T]) -> T | None:
    return None if fields.get(key) is None else read(key, fields[key])


def _no_others(fields: Mapping[str, object], known: set[str] | frozenset[str]) -> None:
    for key in fields:
        if key not in known:
            raise _WrongError(f"expected only known keys, got {_shown(key)}")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT or not printable(value) == value:
        raise _WrongError(f"{key}: expected 1 to {_LONGEST_TEXT} printable characters, got {_shown(value)}")
    return value


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongError(f"{key}: expected true or false, got {_shown(value)}")
    return value


def _whole(most: int) -> Callable[[str, object], int]:
    def read(key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise _WrongError(f"{key}: expected a whole number from 0 to {most}, got {_shown(value)}")
        return value

    return read


def _word(*words: str) -> Callable[[str, object], str]:
    def read(key: str, value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise _WrongError(f"{key}: expected {' or '.join(words)}, got {_shown(value)}")
        return value

    return read


def _shown(value: object) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (ValueError, RecursionError):
        return "something endless"
    return f"{printable(text[:_SHOWN])}{'…' if len(text) > _SHOWN else ''}" or "nothing"
