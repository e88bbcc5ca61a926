"""A parsed file as values that know where they stand, and the problems found in it."""

from dataclasses import dataclass, field
from enum import Enum, auto

from cachewarden.model.text import printable as safe

_LONGEST, _SHOWN = 240, 60


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; both count from 1, the column in characters."""

    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        """As editors and compilers write it."""
        return f"{self.line}:{self.column}"


class ScalarKind(Enum):
    """What YAML 1.1 takes a scalar for."""

    TEXT = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    DATE = auto()
    NOTHING = auto()
    BROKEN = auto()
    """Already reported: whoever meets it says nothing more."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """``text`` is what was written, without quotes and with escapes resolved."""

    kind: ScalarKind
    text: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Listing:
    """A YAML sequence."""

    items: tuple["Node", ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping; its keys are texts, each there once."""

    pairs: tuple[tuple[Scalar, "Node"], ...]
    mark: Mark


Node = Scalar | Listing | Table


@dataclass(slots=True)
class Report:
    """Collects the problems of one file."""

    file: str
    _found: list[tuple[Mark, str]] = field(default_factory=list)

    def add(self, mark: Mark, path: str, text: str) -> None:
        """``path`` is like ``policies[2].size.above``; empty for the file as a whole."""
        where = f"{printable(self.file)}:{mark}: "
        self._found.append((mark, f"{where}{path}: {text}" if path else f"{where}{text}"))

    def expected(self, node: Node, path: str, what: str, hint: str = "") -> None:
        """The usual form of a problem: ``expected WHAT, got NODE (HINT)``; silent for what is reported already."""
        if isinstance(node, Scalar) and node.kind is ScalarKind.BROKEN:
            return
        self.add(node.mark, path, f"expected {what}, got {shown(node)}" + (f" ({printable(hint)})" if hint else ""))

    def lines(self) -> tuple[str, ...]:
        """All problems in the order of the file."""
        return tuple(line for _, line in sorted(self._found, key=lambda found: found[0]))


def below(path: str, key: str) -> str:
    """The path of a key in the mapping at ``path``."""
    name = key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else quoted(key)
    return f"{path}.{name}" if path else name


def shown(node: Node) -> str:
    """What a node is, for people, on one line."""
    if isinstance(node, Listing):
        return "a list"
    if isinstance(node, Table):
        return "a mapping"
    if node.kind is ScalarKind.NOTHING:
        return "nothing"
    return quoted(node.text) if node.kind is ScalarKind.TEXT else printable(node.text)


def quoted(text: str) -> str:
    """The text in double quotes, on one line."""
    return f'"{printable(text)}"'


def printable(text: str) -> str:
    """On one line whatever is in it, shortened, with control and undecodable characters as escapes."""
    return safe(text if len(text) <= _LONGEST else text[:_SHOWN] + "…")
