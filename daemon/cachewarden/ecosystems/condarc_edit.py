"""Editing ``pkgs_dirs`` in the text of a condarc: nothing else in it changes by a byte.

The text is composed to nodes, which know where they stand; what is not understood for certain is refused. An edit is
read back by our own reader before it is handed out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachewarden.ecosystems.condarc import parse

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, ScalarNode

KEY = "pkgs_dirs"
_PLAIN = re.compile(r"/[A-Za-z0-9_./+@-]*[A-Za-z0-9_/+@]")
_LINE = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class _Document:
    """A text with its top mapping (``None``: nothing in it), and where ``pkgs_dirs`` stands in that."""

    text: str
    root: "MappingNode | None"
    key: "Node | None" = None
    value: "Node | None" = None

    @property
    def newline(self) -> str:
        found = _LINE.search(self.text)
        return found[0] if found else "\n"


def items_of(text: str) -> list[str]:
    """What the key lists, as written; ValueError, whose text goes on after a file's name, as for ``with_items``."""
    document = _read(text)
    return [] if document.value is None else [str(node.value) for node in _listed(document.value)]


def with_items(text: str, put_first: Sequence[str], drop: Sequence[str]) -> str:
    """The text with ``put_first`` at the head of the list and the items ``drop`` (as written) out of it.

    ValueError for what cannot be edited faithfully.
    """
    document = _read(text)
    before = [] if document.value is None else [str(node.value) for node in _listed(document.value)]
    wanted = [*put_first, *(item for item in before if item not in drop and item not in put_first)]
    if document.root is None or document.key is None:
        edited = _added(document, wanted)
    elif _is_block_list(document.value):
        edited = _in_block(document, put_first, [*drop, *put_first])
    else:
        edited = _replaced(document, wanted)
    return _checked(text, edited, wanted)


def without_key(text: str) -> str:
    """The text without the key and its list."""
    document = _read(text)
    if document.key is None or document.value is None:
        return text
    if document.root is not None and document.root.flow_style:
        raise ValueError("has its keys in braces: take pkgs_dirs out by hand")
    start, end = _lines_of(document)
    return _checked(text, text[:start] + text[end:], None)


def region(text: str) -> str | None:
    """The lines of the key and its list; ``None`` where there is none."""
    document = _read(text)
    if document.key is None or document.value is None or (document.root is not None and document.root.flow_style):
        return None
    start, end = _lines_of(document)
    return text[start:end]


def with_region(text: str, lines: str) -> str:
    """The text with other lines in place of the key and its list."""
    document = _read(text)
    if document.key is None or document.value is None:
        return text
    start, end = _lines_of(document)
    if end < len(text) and not lines.endswith(("\n", "\r")):  # it was the last line; others follow by now
        lines += document.newline
    result = text[:start] + lines + text[end:]
    if items_of(result) != items_of(lines):
        raise ValueError("cannot be edited without changing what it says: name the folder there by hand")
    return result


def _read(text: str) -> _Document:
    import yaml

    try:
        for token in yaml.scan(text, Loader=yaml.BaseLoader):
            if isinstance(token, (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken, yaml.DirectiveToken)):
                raise ValueError("uses anchors, aliases, tags or directives: name the folder there by hand")
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is no valid YAML ({str(error).splitlines()[0][:200]}): repair that first") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        return _Document(text, None)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("holds no keys and values: repair that first")
    found = [(key, value) for key, value in root.value if key.value == KEY]
    if len(found) > 1:
        raise ValueError(f"names {KEY} twice: keep one of them")
    if any(key.value == "<<" for key, _ in root.value):
        raise ValueError("uses merge keys: name the folder there by hand")
    return _Document(text, root, *(found[0] if found else (None, None)))


def _listed(value: "Node") -> "list[ScalarNode]":
    import yaml

    if isinstance(value, yaml.ScalarNode) and value.style is None and value.value in {"", "~", "null"}:
        return []
    if not isinstance(value, yaml.SequenceNode):
        raise ValueError(f"has a {KEY} that is no list: conda stops at it; repair that first")
    if not all(isinstance(each, yaml.ScalarNode) for each in value.value):
        raise ValueError(f"has items in {KEY} that are no texts: repair that first")
    return list(value.value)


def _is_block_list(value: "Node | None") -> bool:
    import yaml

    return isinstance(value, yaml.SequenceNode) and not value.flow_style and bool(value.value)


def quoted(path: str) -> str:
    """A path as YAML reads it back."""
    if _PLAIN.fullmatch(path):
        return path
    return "'" + path.replace("'", "''") + "'"


def _added(document: _Document, items: Sequence[str]) -> str:
    """The key at the end of the mapping."""
    text, root, newline = document.text, document.root, document.newline
    if root is not None and root.flow_style:
        inside = f"{KEY}: [{', '.join(map(quoted, items))}]"
        at = root.start_mark.index + 1
        return f"{text[:at]}{inside}{', ' if root.value else ''}{text[at:]}"
    indent = " " * (root.start_mark.column if root is not None else 0)
    lines = newline.join([f"{indent}{KEY}:", *(f"{indent}  - {quoted(item)}" for item in items)]) + newline
    end = len(text)
    mark = re.search(r"^\.\.\.\s*$", text, re.MULTILINE)
    if mark:
        end = mark.start()
    head = text[:end]
    if head and not head.endswith(("\n", "\r")):
        head += newline
    return head + lines + text[end:]


def _replaced(document: _Document, items: Sequence[str]) -> str:
    """A list in brackets, or nothing at all, becomes another list in brackets."""
    text, value, key = document.text, document.value, document.key
    assert value is not None  # by the caller
    assert key is not None
    start, end = value.start_mark.index, value.end_mark.index
    if start == end:  # ``pkgs_dirs:`` with nothing behind it
        start = end = text.index(":", key.end_mark.index) + 1
        return f"{text[:start]} [{', '.join(map(quoted, items))}]{text[end:]}"
    return f"{text[:start]}[{', '.join(map(quoted, items))}]{text[end:]}"


def _in_block(document: _Document, put_first: Sequence[str], drop: Sequence[str]) -> str:
    """Line by line: comments stay with the lines that stay."""
    text, value = document.text, document.value
    nodes = _listed(value) if value is not None else []
    starts = [_line_start(text, text.rindex("-", 0, node.start_mark.index)) for node in nodes]
    for node in nodes:
        if node.start_mark.line != node.end_mark.line:
            raise ValueError(f"has an item in {KEY} that is longer than a line: name the folder there by hand")
    indent = re.match(r"[ ]*", text[starts[0] :])
    lead = indent[0] if indent else ""
    if any(
        not re.fullmatch(r"[ ]*-[ ]+", text[at : node.start_mark.index])
        for at, node in zip(starts, nodes, strict=True)
    ):
        raise ValueError(f"has a list under {KEY} that is written in an unusual way: name the folder there by hand")
    new = "".join(f"{lead}- {quoted(item)}{document.newline}" for item in put_first)
    for at, node in reversed(list(zip(starts, nodes, strict=True))):
        if node.value in drop:
            text = text[:at] + text[_line_end(text, at) :]
    return text[: starts[0]] + new + text[starts[0] :]


def _line_start(text: str, index: int) -> int:
    return max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1


def _line_end(text: str, index: int) -> int:
    found = _LINE.search(text, index)
    return found.end() if found else len(text)


def _lines_of(document: _Document) -> tuple[int, int]:
    """From the line of the key to the end of the last line of its list."""
    key, value, text = document.key, document.value, document.text
    assert key is not None  # by the callers
    assert value is not None
    start = _line_start(text, key.start_mark.index)
    last = key.end_mark.index
    if value.end_mark.index > value.start_mark.index:
        nodes = list(value.value) if _is_block_list(value) else [value]
        last = nodes[-1].end_mark.index
    return start, _line_end(text, last)


def _checked(before: str, after: str, wanted: Sequence[str] | None) -> str:
    """What our reader says of the result must be what was meant, and of all else what it said before."""
    old, new = parse("", before), parse("", after)
    items = [item.text for item in new.lists[KEY].items] if KEY in new.lists else None
    others = [{name: value for name, value in each.lists.items() if name != KEY} for each in (old, new)]
    kept = others[0].keys() == others[1].keys() and old.switches.keys() == new.switches.keys()
    if items != (None if wanted is None else list(wanted)) or not kept or len(new.problems) > len(old.problems):
        raise ValueError("cannot be edited without changing what it says: name the folder there by hand")
    return after
