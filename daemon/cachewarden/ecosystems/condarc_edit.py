"""Editing ``pkgs_dirs`` in the text of a condarc: nothing else in it changes by a byte.

The text is composed to nodes, which know where they stand; what is not understood for certain is refused. An edit is
read back by our own reader before it is handed out.
"""

import re
from collections.abc import Sequence
from contextlib import suppress

from cachewarden.ecosystems.condarc_document import (
    KEY,
    Document,
    checked,
    line_end,
    line_start,
    quoted,
    read,
)
from cachewarden.ecosystems.condarc_lists import on_one_line, rewritten

_DOCUMENT_END = re.compile(r"^\.\.\.\s*$", re.MULTILINE)


def items_of(text: str) -> list[str]:
    """What the key lists, as written; ValueError, whose text goes on after a file's name, as for the others."""
    return read(text).items


def with_items(text: str, put_first: Sequence[str], drop: Sequence[str]) -> str:
    """The text with ``put_first`` at the head of the list and the items ``drop`` (as written) out of it.

    ValueError for what cannot be edited faithfully.
    """
    document = read(text)
    if not document.plain:
        raise ValueError("uses anchors, aliases, tags, directives or merge keys: name the folder there by hand")
    out = {*drop, *put_first}
    wanted = [*put_first, *(item for item in document.items if item not in out)]
    if document.key is None:
        return checked(document, _added(document, wanted), wanted)
    return checked(document, rewritten(document, wanted, None), wanted)


def taken_back(now: str, was: str, made: str, wanted: Sequence[str] | None) -> str:
    """``now`` with the list of ``was``, if the list is still that of ``made``, else with the list ``wanted``.

    ``None`` is no key at all. ValueError when it cannot be read or edited.
    """
    current, original, written = read(now), read(was), read(made)
    if current.key is None:
        return now
    if wanted is None:
        return checked(current, _without_key(current, original), None)
    if list(wanted) == current.items:
        return now
    if (again := _as_it_was(current, original, written)) is not None:
        with suppress(ValueError):  # it may not fit into what the file is by now
            return checked(current, again, original.items)
    try:
        return checked(current, rewritten(current, wanted, original), list(wanted))
    except ValueError:
        return checked(current, on_one_line(current, wanted), list(wanted))


def has_key(text: str) -> bool:
    """Whether the key is there, whatever its value."""
    return read(text).key is not None


def _as_it_was(current: Document, original: Document, written: Document) -> str | None:
    """The current text with the list of the original byte for byte, if it still is, byte for byte, what we wrote."""
    if original.key is None or written.key is None:
        return None
    begin, end = original.span()
    list_, behind = original.text[begin:end], original.text[end:]
    ours = written.text[written.span()[0] :]
    if not ours.endswith(behind):
        return None
    ours = ours[: len(ours) - len(behind)]
    begin = current.span()[0]
    rest = current.text[begin:]
    if not ours or not rest.startswith(ours):
        return None
    rest = rest[len(ours) :]
    if rest and ours.endswith(("\n", "\r")):  # it was the last line of the file; others follow by now
        list_ += current.newline
    return current.text[:begin] + list_ + rest


def _added(document: Document, items: Sequence[str]) -> str:
    """The key at the end of the mapping."""
    text, root, newline = document.text, document.root, document.newline
    if root is not None and document.in_braces:
        inside = f"{KEY}: [{', '.join(map(quoted, items))}]"
        at = root.start_mark.index + 1
        return f"{text[:at]}{inside}{', ' if root.value else ''}{text[at:]}"
    indent = " " * (root.start_mark.column if root is not None else 0)
    lines = newline.join([f"{indent}{KEY}:", *(f"{indent}  - {quoted(item)}" for item in items)]) + newline
    mark = _DOCUMENT_END.search(text)
    end = mark.start() if mark else len(text)
    head = text[:end]
    if head and not head.endswith(("\n", "\r")):
        head += newline
    return head + lines + text[end:]


def _without_key(document: Document, original: Document) -> str:
    """Its lines, or its part of what is in braces; and the end of a line which was not there before us."""
    text, key, value, root = document.text, document.key, document.value, document.root
    assert key is not None  # by the caller
    assert value is not None
    assert root is not None
    if document.in_braces:
        begin, end = _pair_in_braces(document)
        return text[:begin] + text[end:]
    begin, end = line_start(text, key.start_mark.index), line_end(text, document.span()[1])
    head, tail = text[:begin], text[end:]
    if not tail and original.text and not original.text.endswith(("\n", "\r")):
        head = re.sub(r"(\r\n|\n|\r)\Z", "", head)
    return head + tail


def _pair_in_braces(document: Document) -> tuple[int, int]:
    """With the comma that parts it from its neighbour."""
    text, key, value, root = document.text, document.key, document.value, document.root
    assert key is not None  # by the caller
    assert value is not None
    assert root is not None
    begin, end = key.start_mark.index, document.span()[1]
    if behind := re.match(r"\s*,[ \t]*", text[end:]):
        return begin, end + behind.end()
    if ahead := re.search(r",[ \t]*\Z", text[:begin]):
        return ahead.start(), end
    return begin, end
