"""What people name on the command line, checked: ecosystems, kinds, globs, sizes, ages."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from cachewarden.cli.arguments import Parser, nearest
from cachewarden.model.caches import Kind
from cachewarden.model.errors import UsageError
from cachewarden.settings import words
from cachewarden.settings.vocabulary import KINDS_OF

T = TypeVar("T")


def arguments(parser: Parser) -> None:
    """The options that narrow down what a verb is about."""
    several = "may be repeated"
    parser.add_argument("ecosystems", nargs="*", metavar="ECOSYSTEM", help="pip, conda; default: all")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND", help=f"only this kind; {several}")
    globs = f"only these: 'torch*', 'numpy==1.*'; {several}"
    parser.add_argument("--package", action="append", default=[], metavar="GLOB", help=globs)


def ecosystems(names: Sequence[str]) -> tuple[str, ...]:
    """Those there are; UsageError names the nearest."""
    for name in names:
        _known(name, KINDS_OF, "ecosystem")
    return tuple(dict.fromkeys(names))


def kinds(names: Sequence[str], chosen: Sequence[str]) -> frozenset[Kind]:
    """Kinds that at least one of the ``chosen`` ecosystems (all when empty) has."""
    for name in names:
        _known(name, [kind.value for kind in Kind], "kind")
        if not any(name in KINDS_OF[each] for each in chosen or KINDS_OF):
            own = ", ".join(kind.value for each in chosen for kind in KINDS_OF[each])
            raise UsageError(f"{' and '.join(chosen)} has no entries of kind {name!r}; there are {own}")
    return frozenset(Kind(name) for name in names)


def packages(globs: Sequence[str]) -> tuple[str, ...]:
    """Globs over ``name`` or ``name==version``."""
    return tuple(value("--package", glob, words.package_glob) for glob in globs)


def value(option: str, text: str, read: Callable[[str], T]) -> T:
    """What ``read`` makes of the text of an option."""
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} cannot be understood: {error}") from error


def number(option: str, text: str | None) -> int | None:
    """A count of at least 1."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text[:18]) < 1:
        raise UsageError(f"{option} {text!r} cannot be understood: a whole number from 1")
    return int(text[:18])


def _known(name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        hint = nearest(name, known) or f"; there are {', '.join(known)}"
        raise UsageError(f"there is no {what} {name!r}{hint}")
