"""Shapes of values: each reads a node or reports what it expected, and gives the JSON schema of the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from cachewarden.settings.nodes import Listing, Mark, Node, Report, Scalar, ScalarKind, Table, below, printable, shown

Json = dict[str, object]
T = TypeVar("T")
E = TypeVar("E", bound=str)
T_co = TypeVar("T_co", covariant=True)

_TRUE, _FALSE = frozenset({"yes", "true", "on"}), frozenset({"no", "false", "off"})
_TYPES = {ScalarKind.NUMBER: "number", ScalarKind.BOOLEAN: "boolean", ScalarKind.DATE: "date"}


class Shape(Protocol[T_co]):
    """``expected`` completes the sentence «expected …, got …»; it is also the reference's column «value»."""

    @property
    def expected(self) -> str: ...

    def read(self, node: Node, path: str, report: Report) -> T_co | None:
        """The value; ``None`` when a problem was reported."""
        ...

    def schema(self) -> Json:
        """JSON schema (draft 7) of what ``read`` accepts, as far as a schema can say it."""
        ...


@dataclass(frozen=True, slots=True)
class Key(Generic[T_co]):
    """A key that may be written. ``default`` is YAML, for people; ``None`` where there is none."""

    name: str
    shape: Shape[T_co]
    doc: str
    default: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A text that ``parse`` understands (``ValueError`` with a reason otherwise). ``pattern`` must match all of it.

    ``numbers``: what YAML takes for a number is given to ``parse`` too, which knows better what is amiss.
    """

    expected: str
    parse: Callable[[str], T]
    pattern: str
    examples: tuple[str, ...] = ()
    numbers: bool = False
    number_type: bool = False

    def read(self, node: Node, path: str, report: Report) -> T | None:
        """See ``Shape``."""
        if not isinstance(node, Scalar) or not self._accepts(node.kind):
            report.expected(node, path, self.expected, quotes_hint(node))
            return None
        try:
            return self.parse(node.text)
        except ValueError as error:
            report.expected(node, path, self.expected, str(error))
            return None

    def _accepts(self, kind: ScalarKind) -> bool:
        return kind is ScalarKind.TEXT or (self.numbers and kind is ScalarKind.NUMBER)

    def schema(self) -> Json:
        """See ``Shape``."""
        types: Json = {"type": ["string", "integer"], "minimum": 0} if self.number_type else {"type": "string"}
        return types | {"pattern": f"^({self.pattern})$", "examples": list(self.examples)}


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean in any spelling of YAML 1.1."""

    expected: str = "true or false"

    def read(self, node: Node, path: str, report: Report) -> bool | None:
        """See ``Shape``."""
        word = node.text.lower() if isinstance(node, Scalar) and node.kind is ScalarKind.BOOLEAN else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        report.expected(node, path, self.expected)
        return None

    def schema(self) -> Json:
        """See ``Shape``."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Constant:
    """One number and no other."""

    number: int

    @property
    def expected(self) -> str:
        """See ``Shape``."""
        return str(self.number)

    def read(self, node: Node, path: str, report: Report) -> int | None:
        """See ``Shape``."""
        if isinstance(node, Scalar) and node.kind is ScalarKind.NUMBER and node.text == str(self.number):
            return self.number
        report.expected(node, path, self.expected)
        return None

    def schema(self) -> Json:
        """See ``Shape``."""
        return {"const": self.number}


@dataclass(frozen=True, slots=True)
class Choice(Generic[E]):
    """One of some words, each with its meaning."""

    words: Mapping[E, str]

    @property
    def expected(self) -> str:
        """See ``Shape``."""
        return either(tuple(str(word) for word in self.words))

    def read(self, node: Node, path: str, report: Report) -> E | None:
        """See ``Shape``."""
        if isinstance(node, Scalar) and node.kind is ScalarKind.TEXT:
            for word in self.words:
                if word == node.text:
                    return word
        report.expected(node, path, self.expected)
        return None

    def schema(self) -> Json:
        """See ``Shape``; ``enumDescriptions`` is what editors show beside each word."""
        return {
            "type": "string",
            "enum": [str(word) for word in self.words],
            "enumDescriptions": list(self.words.values()),
        }


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list; ``single``: one item may stand for a list of one. ``word``: this text stands for the empty list."""

    item: Shape[T]
    expected: str
    single: bool = False
    filled: bool = False
    word: str | None = None

    def read(self, node: Node, path: str, report: Report) -> tuple[T, ...] | None:
        """See ``Shape``; items with problems are left out."""
        if isinstance(node, Listing):
            return self._items(node, path, report)
        if isinstance(node, Scalar) and node.kind is ScalarKind.TEXT and self.word == node.text:
            return ()
        if self.single and isinstance(node, Scalar) and node.kind is not ScalarKind.NOTHING:
            one = self.item.read(node, path, report)
            return None if one is None else (one,)
        empty = isinstance(node, Scalar) and node.kind is ScalarKind.NOTHING and not self.filled
        report.expected(node, path, self.expected, "write [] for none" if empty else "")
        return None

    def _items(self, node: Listing, path: str, report: Report) -> tuple[T, ...] | None:
        if self.filled and not node.items:
            report.add(node.mark, path, f"expected {self.expected}, got an empty list")
            return None
        read = (self.item.read(item, f"{path}[{number}]", report) for number, item in enumerate(node.items))
        return tuple(value for value in read if value is not None)

    def schema(self) -> Json:
        """See ``Shape``."""
        listed: Json = {"type": "array", "items": self.item.schema()}
        if self.filled:
            listed["minItems"] = 1
        if self.word is not None:
            return {"anyOf": [{"const": self.word}, listed]}
        return {"anyOf": [self.item.schema(), listed]} if self.single else listed


@dataclass(frozen=True, slots=True)
class Reading:
    """A mapping as read: the good values by key, and each known key's node, good or bad."""

    path: str
    mark: Mark
    values: Mapping[str, object]
    nodes: Mapping[str, Node]

    def get(self, key: Key[T]) -> T | None:
        """The value of a key; ``None`` when it is not there or was reported."""
        return cast(T | None, self.values.get(key.name))

    def has(self, key: Key[object]) -> bool:
        """Whether the key was written, with a good value or a bad one."""
        return key.name in self.nodes

    def mark_of(self, key: Key[object]) -> Mark:
        """Where its value stands; the mapping's own place when it was not written."""
        return self.nodes[key.name].mark if key.name in self.nodes else self.mark

    def written(self, key: Key[object]) -> str:
        """What was written there, for messages."""
        return shown(self.nodes[key.name]).strip('"') if key.name in self.nodes else "nothing"

    def path_of(self, key: Key[object]) -> str:
        """As problems name it."""
        return below(self.path, key.name)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys."""

    keys: tuple[Key[object], ...]
    expected: str = "a mapping"
    rules: tuple[Json, ...] = ()
    """For the schema only: what holds between the keys."""

    def read(self, node: Node, path: str, report: Report) -> Reading | None:
        """See ``Shape``."""
        if not isinstance(node, Table):
            report.expected(node, path, self.expected)
            return None
        known = {key.name: key for key in self.keys}
        values: dict[str, object] = {}
        nodes: dict[str, Node] = {}
        for written, value_node in node.pairs:
            key = known.get(written.text)
            if key is None:
                self._unknown(written, path, report)
                continue
            nodes[key.name] = value_node
            value = key.shape.read(value_node, below(path, key.name), report)
            if value is not None:
                values[key.name] = value
        self._missing(node.mark, path, nodes, report)
        return Reading(path, node.mark, values, nodes)

    def _unknown(self, written: Scalar, path: str, report: Report) -> None:
        from difflib import get_close_matches  # rarely wanted, and not small

        names = [key.name for key in self.keys]
        near = get_close_matches(written.text, names, n=1, cutoff=0.5)
        wanted = f"a known key (the nearest is {near[0]})" if near else f"one of the keys {', '.join(names)}"
        report.add(written.mark, below(path, written.text), f"expected {wanted}, got {printable(written.text)}")

    def _missing(self, mark: Mark, path: str, nodes: Mapping[str, Node], report: Report) -> None:
        for key in self.keys:
            if key.required and key.name not in nodes:
                report.add(mark, below(path, key.name), f"expected {key.shape.expected}, got nothing")

    def schema(self) -> Json:
        """See ``Shape``."""
        required = [key.name for key in self.keys if key.required]
        found: Json = {
            "type": "object",
            "additionalProperties": False,
            "properties": {key.name: key_schema(key) for key in self.keys},
        }
        if required:
            found["required"] = required
        return found | ({"allOf": list(self.rules)} if self.rules else {})


def key_schema(key: Key[object]) -> Json:
    """The schema of a key's value with what editors show of it."""
    default = f" Default: {key.default}." if key.default is not None else ""
    return key.shape.schema() | {"description": key.doc + default}


def either(words: tuple[str, ...]) -> str:
    """``("a", "b", "c")`` -> ``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def quotes_hint(node: Node) -> str:
    """What to say where a text was wanted and YAML 1.1 saw something else in it."""
    if not isinstance(node, Scalar) or node.kind not in _TYPES:
        return ""
    return f'YAML reads a {_TYPES[node.kind]}; in quotes it is a text: "{printable(node.text)}"'
