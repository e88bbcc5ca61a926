"""YAML text to nodes with their places. Nothing is constructed from tags, so no file can make an object or a bomb.

Built from PyYAML's events with its pure-Python loader: that one reads lazily, so that a hostile file (nesting,
aliases) is left where it becomes hostile.
"""

import re
from typing import Any

import yaml

from cachewarden.settings.nodes import (
    Listing,
    Mark,
    Node,
    Report,
    Scalar,
    ScalarKind,
    Table,
    below,
    printable,
    quoted,
)

_DEEPEST = 16
_PREFIX = "tag:yaml.org,2002:"
_KINDS = {
    _PREFIX + "str": ScalarKind.TEXT,
    _PREFIX + "value": ScalarKind.TEXT,
    _PREFIX + "merge": ScalarKind.TEXT,
    _PREFIX + "int": ScalarKind.NUMBER,
    _PREFIX + "float": ScalarKind.NUMBER,
    _PREFIX + "bool": ScalarKind.BOOLEAN,
    _PREFIX + "timestamp": ScalarKind.DATE,
    _PREFIX + "null": ScalarKind.NOTHING,
}
# What YAML 1.1 forbids, and lone surrogates, which stand for bytes that are no UTF-8.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class _StopError(Exception):
    """The rest of the file is not worth reading; the problem is reported."""


def parse(text: str, report: Report) -> Node | None:
    """The one document in ``text``; ``None`` when it cannot be read, with the problem in ``report``.

    Undecodable bytes are expected as surrogates (``surrogateescape``).
    """
    if _reports_forbidden(text, report):
        return None
    builder = _Builder(text, report)
    try:
        return builder.document()
    except _StopError:
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = printable(error.problem or "unreadable")
        report.add(_mark(mark) if mark else builder.here(), "", f"expected YAML, got an error: {reason}")
    except (yaml.YAMLError, ValueError, OverflowError):
        # Not only YAMLError: PyYAML's scanner lets chr() and int() fail on "\U99999999" and on long version numbers.
        report.add(builder.here(), "", "expected YAML, got an escape or a number that is none")
    return None


def _reports_forbidden(text: str, report: Report) -> bool:
    found = _FORBIDDEN.search(text)
    if found is None:
        return False
    before, code = text[: found.start()], ord(found.group())
    mark = Mark(before.count("\n") + 1, found.start() - (before.rfind("\n") + 1) + 1)
    if 0xDC80 <= code <= 0xDCFF:
        report.add(mark, "", f"expected UTF-8, got the byte 0x{code - 0xDC00:02X}")
    else:
        report.add(mark, "", f"expected printable text, got the character U+{code:04X}")
    return True


def _mark(mark: Any) -> Mark:  # noqa: ANN401  # the stubs know two kinds of marks, of which we meet one
    return Mark(mark.line + 1, mark.column + 1)


class _Builder:
    """Turns the events of one text into nodes."""

    def __init__(self, text: str, report: Report) -> None:
        self._loader = yaml.SafeLoader(text)
        self._report = report

    def here(self) -> Mark:
        """How far the text was read."""
        return _mark(self._loader.get_mark())

    def document(self) -> Node | None:
        """The only document, or the reported reason why there is none."""
        self._next()
        if self._loader.check_event(yaml.StreamEndEvent):
            self._report.add(Mark(), "", "expected a mapping that begins with version: 1, got an empty file")
            return None
        self._next()
        node = self._node("", 0)
        self._next()
        if not self._loader.check_event(yaml.StreamEndEvent):
            self._report.add(self._peek_mark(), "", "expected one YAML document, got a second one")
            return None
        return node

    def _next(self) -> yaml.Event:
        event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]  # PyYAML
        return event

    def _peek_mark(self) -> Mark:
        return _mark(self._loader.peek_event().start_mark)  # type: ignore[no-untyped-call]  # PyYAML

    def _node(self, path: str, depth: int) -> Node:
        event = self._next()
        mark = _mark(event.start_mark)
        anchor = printable(getattr(event, "anchor", None) or "")
        if isinstance(event, yaml.AliasEvent):
            return self._broken(mark, path, f"expected a value, got the alias *{anchor}")
        if depth > _DEEPEST:
            self._report.add(mark, "", f"expected at most {_DEEPEST} levels, got a deeper one")
            raise _StopError
        if anchor:
            self._broken(mark, path, f"expected a value, got the anchor &{anchor}")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, mark, path)
        return self._collection(event, mark, path, depth)

    def _broken(self, mark: Mark, path: str, problem: str) -> Scalar:
        self._report.add(mark, path, problem)
        return Scalar(ScalarKind.BROKEN, "", mark)

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark, path: str) -> Scalar:
        tag = event.tag
        if tag is None or tag == "!":
            tag = str(self._loader.resolve(yaml.ScalarNode, event.value, event.implicit))  # type: ignore[no-untyped-call]  # PyYAML
        kind = _KINDS.get(tag)
        if kind is None:
            return self._broken(mark, path, f"expected a plain value, got the tag {printable(tag)}")
        if _FORBIDDEN.search(event.value):
            return self._broken(mark, path, f"expected printable text, got {quoted(event.value)}")
        return Scalar(kind, event.value, mark)

    def _collection(self, event: yaml.Event, mark: Mark, path: str, depth: int) -> Node:
        plain = _PREFIX + ("seq" if isinstance(event, yaml.SequenceStartEvent) else "map")
        tag = getattr(event, "tag", None)
        node = self._listing(mark, path, depth) if plain.endswith("seq") else self._table(mark, path, depth)
        if tag not in (None, "!", plain):
            return self._broken(mark, path, f"expected a plain value, got the tag {printable(tag or '')}")
        return node

    def _listing(self, mark: Mark, path: str, depth: int) -> Listing:
        items: list[Node] = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            items.append(self._node(f"{path}[{len(items)}]", depth + 1))
        self._next()
        return Listing(tuple(items), mark)

    def _table(self, mark: Mark, path: str, depth: int) -> Table:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            key = self._key(path, depth, pairs)
            value = self._node(below(path, key.text) if key else path, depth + 1)
            if key is not None:
                pairs.setdefault(key.text, (key, value))
        self._next()
        return Table(tuple(pairs.values()), mark)

    def _key(self, path: str, depth: int, pairs: dict[str, tuple[Scalar, Node]]) -> Scalar | None:
        key = self._node(path, depth + 1)
        if not isinstance(key, Scalar) or key.kind is not ScalarKind.TEXT:
            self._report.expected(key, path, "a text as the key")
            return None
        if key.text == "<<":
            self._report.add(key.mark, path, "expected a key, got the merge key <<")
            return None
        if key.text in pairs:
            first = pairs[key.text][0].mark
            problem = f"expected each key once, got {printable(key.text)} again (first at {first})"
            self._report.add(key.mark, below(path, key.text), problem)
        return key
