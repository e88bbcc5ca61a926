"""The command line as data, taken from the parsers themselves: manual page and completions are written from this."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from cachewarden.cli import arguments
from cachewarden.cli.verbs import VERBS
from cachewarden.settings.vocabulary import ECOSYSTEMS, KINDS

FILES, FOLDERS = "files", "folders"
"""What a shell completes by itself."""

_WORDS = {"ECOSYSTEM": tuple(ECOSYSTEMS), "KIND": tuple(kind.value for kind in KINDS)}
_PATHS = {"FILE": FILES, "PATH-OR-PACKAGE": FILES, "PATH": FILES, "DIR": FOLDERS, "DEST": FOLDERS}


@dataclass(frozen=True, slots=True)
class Value:
    """What stands behind an option, or by itself: one of ``words``, a path, or anything (neither)."""

    name: str
    words: tuple[str, ...] = ()
    paths: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """``names`` as written, the long one last; ``value`` when it takes one."""

    names: tuple[str, ...]
    text: str
    value: Value | None = None
    many: bool = False

    @property
    def long(self) -> str:
        """``--name``."""
        return self.names[-1]


@dataclass(frozen=True, slots=True)
class Place:
    """A word that is no option."""

    value: Value
    text: str
    many: bool = False
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """The program, or one verb of it; ``more`` is what its help says at the end."""

    name: str
    text: str
    options: tuple[Option, ...]
    places: tuple[Place, ...] = ()
    more: str = ""


def program() -> Command:
    """What stands before the verb."""
    # The parsers are the program's own affair; a second public way to them would serve nobody but this.
    parser = arguments._global_parser()
    return Command("cachewarden", parser.description or "", tuple(_options(parser)))


def verbs() -> list[Command]:
    """Each with its own options, in the order of the help."""
    return [_verb(name, text) for name, text in VERBS.items()]


def everywhere() -> tuple[Option, ...]:
    """What every verb takes behind it as well; ``test_commands`` compares that with each verb's own help."""
    return tuple(option for option in program().options if option.long in {"--help", "--json", "--verbose"})


def _verb(name: str, text: str) -> Command:
    parser = arguments.Parser(prog=f"cachewarden {name}", add_help=False)
    arguments.verb(name).arguments(parser)
    return Command(name, text, tuple(_options(parser)), tuple(_places(parser)), parser.epilog or "")


def _options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    for action in parser._actions:
        if action.option_strings and action.help is not argparse.SUPPRESS:
            names = tuple(sorted(action.option_strings, key=len))
            many = isinstance(action, argparse._AppendAction)
            yield Option(names, _help(action), None if action.nargs == 0 else _value(action), many)


def _places(parser: argparse.ArgumentParser) -> Iterator[Place]:
    for action in parser._actions:
        if not action.option_strings and action.help is not argparse.SUPPRESS:
            yield Place(_value(action), _help(action), action.nargs in ("*", "+"), action.nargs in (None, "+"))


def _help(action: argparse.Action) -> str:
    """As it is shown: argparse wants a percent sign doubled."""
    return (action.help or "").replace("%%", "%")


def _value(action: argparse.Action) -> Value:
    words = tuple(str(word) for word in action.choices or ())
    name = str(action.metavar or action.dest.upper())
    return Value(name, words or _WORDS.get(name, ()), _PATHS.get(name, ""))
