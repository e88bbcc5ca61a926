"""The text of a condarc as nodes that know where they stand, for edits that change one key and no other byte."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachewarden.ecosystems.condarc import parse

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, ScalarNode

KEY = "pkgs_dirs"
LINE_END = re.compile(r"\r\n|\n|\r")
_PLAIN = re.compile(r"/[A-Za-z0-9_./+@-]*[A-Za-z0-9_/+@]")
_BY_HAND = "name the folder there by hand"


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its top mapping (``None``: nothing in it), and where ``pkgs_dirs`` stands in that.

    ``others`` are keys and values but for ours, as numbers that are equal where they say the same. ``plain``: neither
    anchors nor tags, nor anything else that makes one place speak for another.
    """

    text: str
    root: "MappingNode | None" = None
    key: "Node | None" = None
    value: "Node | None" = None
    others: tuple[int, ...] = ()
    plain: bool = True

    @property
    def newline(self) -> str:
        found = LINE_END.search(self.text)
        return found[0] if found else "\n"

    @property
    def in_braces(self) -> bool:
        return self.root is not None and bool(self.root.flow_style)

    @property
    def nodes(self) -> "list[ScalarNode]":
        """The items of the list."""
        return [] if self.value is None else _listed(self.value)

    @property
    def items(self) -> list[str]:
        """The same, as what they say."""
        return [str(node.value) for node in self.nodes]

    @property
    def is_block_list(self) -> bool:
        import yaml

        value = self.value
        return isinstance(value, yaml.SequenceNode) and not value.flow_style and bool(value.value)

    @property
    def is_flow_list(self) -> bool:
        import yaml

        return isinstance(self.value, yaml.SequenceNode) and bool(self.value.flow_style)

    def span(self) -> tuple[int, int]:
        """All behind the colon of the key: to the end of the value, of a block list to that of its last line."""
        assert self.key is not None  # by the callers
        assert self.value is not None
        begin = self.text.index(":", self.key.end_mark.index) + 1
        if not self.is_block_list:
            return begin, max(begin, self.value.end_mark.index)
        return begin, before_line_end(self.text, self.nodes[-1].end_mark.index)


def read(text: str) -> Document:
    """ValueError, whose text goes on after a file's name, for what cannot be edited."""
    import yaml

    try:
        marks = [
            token.start_mark.index
            for token in yaml.scan(text, Loader=yaml.BaseLoader)
            if isinstance(token, (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken, yaml.DirectiveToken))
        ]
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"is no valid YAML ({str(error).splitlines()[0][:200]}): repair that first") from None
    except (RecursionError, ValueError, OverflowError, IndexError):  # too deep; escapes and versions out of range
        raise ValueError("is no valid YAML: repair that first") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        return Document(text, plain=not marks)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("holds no keys and values: repair that first")
    own = [(key, value) for key, value in root.value if key.value == KEY]
    if len(own) > 1:
        raise ValueError(f"names {KEY} twice: keep one of them")
    for key, value in own:
        # An alias stands elsewhere than what it means.
        if value.start_mark.index < key.end_mark.index or any(
            key.start_mark.index <= mark < value.end_mark.index for mark in marks
        ):
            raise ValueError(f"uses anchors, aliases, tags or directives in {KEY}: {_BY_HAND}")
    others = _others(root)
    merges = any(key.value == "<<" for key, _ in root.value)
    key, value = own[0] if own else (None, None)
    return Document(text, root, key, value, others, plain=not marks and not merges)


def _others(root: "MappingNode") -> tuple[int, ...]:
    known: dict[int, int] = {}
    try:
        return tuple(_sum(node, known) for pair in root.value if pair[0].value != KEY for node in pair)
    except RecursionError:
        raise ValueError("is nested too deeply to be configuration: repair that first") from None


def _sum(node: "Node", known: dict[int, int]) -> int:
    """Each node once, however many aliases lead to it."""
    import yaml

    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 0  # what leads back to it while it is being added up
    if isinstance(node, yaml.ScalarNode):
        inside: object = (node.style, node.value)
    elif isinstance(node, yaml.MappingNode):
        inside = tuple(_sum(each, known) for pair in node.value for each in pair)
    else:
        inside = tuple(_sum(each, known) for each in node.value)
    known[id(node)] = hash((type(node).__name__, node.tag, inside))
    return known[id(node)]


def _listed(value: "Node") -> "list[ScalarNode]":
    import yaml

    if isinstance(value, yaml.ScalarNode) and value.style is None and value.value in {"", "~", "null"}:
        return []
    if not isinstance(value, yaml.SequenceNode):
        raise ValueError(f"has a {KEY} that is no list: conda stops at it; repair that first")
    if not all(isinstance(each, yaml.ScalarNode) for each in value.value):
        raise ValueError(f"has items in {KEY} that are no texts: repair that first")
    return list(value.value)


def checked(before: Document, after: str, wanted: list[str] | None) -> str:
    """What our reader says of the result must be what was meant, and of all else what it said before."""
    old, new = parse("", before.text), parse("", after)
    items = [item.text for item in new.lists[KEY].items] if KEY in new.lists else None
    kept = read(after).others == before.others
    if (items or None) != (wanted or None) or not kept or len(new.problems) > len(old.problems):
        raise ValueError(f"cannot be edited without changing what it says: {_BY_HAND}")
    return after


def quoted(path: str) -> str:
    """A path as YAML reads it back."""
    if _PLAIN.fullmatch(path):
        return path
    return "'" + path.replace("'", "''") + "'"


def line_start(text: str, index: int) -> int:
    return max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1


def line_end(text: str, index: int) -> int:
    """Behind the end of the line."""
    found = LINE_END.search(text, index)
    return found.end() if found else len(text)


def before_line_end(text: str, index: int) -> int:
    found = LINE_END.search(text, index)
    return found.start() if found else len(text)
