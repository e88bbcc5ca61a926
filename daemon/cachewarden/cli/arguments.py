"""The grammar of the command line, with a hint for what is misspelt. Only the verb at hand is loaded."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NoReturn, Protocol, cast

from cachewarden import __version__
from cachewarden.cli.session import Session
from cachewarden.cli.verbs import VERBS
from cachewarden.model.errors import UsageError

_DESCRIPTION = """\
Keeps pip and conda caches from filling the disk: finds them, measures them, and
removes by policy what costs least to get back. Start with `cachewarden status`
and `cachewarden plan`: neither changes anything."""
_EXIT = """\
exit status:
  0   done
  1   an action failed, or a promise could not be kept
  2   wrong usage
  75  busy, try later
  78  bad configuration"""


class Verb(Protocol):
    """A module of ``verbs``."""

    arguments: Callable[["Parser"], None]
    run: Callable[[Session], int]


class Parser(argparse.ArgumentParser):
    """Never guesses an abbreviation, knows its options for hints, and says where to read more."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        """As ``argparse``."""
        self.words: list[str] = []
        super().__init__(**options, allow_abbrev=False)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:  # noqa: ANN401 - argparse's own
        """Remembers the options."""
        self.words += [name for name in names if name.startswith("--")]
        return super().add_argument(*names, **options)

    def error(self, message: str) -> NoReturn:
        """UsageError with where to read more."""
        raise UsageError(f"{message}\nSee `{self.prog} --help`.")


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'status'?``, or nothing."""
    import difflib  # only where something is misspelt

    near = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def verb(name: str) -> Verb:
    """The module of a verb."""
    return cast("Verb", import_module(f"cachewarden.cli.verbs.{name}"))


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options; UsageError for what cannot be understood, SystemExit after help."""
    parser = _global_parser()
    options, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(f"there is no option {unknown[0]!r}{nearest(unknown[0].partition('=')[0], parser.words)}")
    if options.verb is None:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    if options.verb not in VERBS:
        parser.error(f"there is no verb {options.verb!r}{nearest(options.verb, VERBS)}")
    return _parse_verb(options, parser.words)


def _parse_verb(options: argparse.Namespace, global_words: list[str]) -> argparse.Namespace:
    text = VERBS[options.verb]
    parser = Parser(prog=f"cachewarden {options.verb}", description=f"{text[0].upper()}{text[1:]}.")
    verb(options.verb).arguments(parser)
    for name, text in (("--json", "JSON on standard output"), ("--verbose", "more detail")):
        # May stand behind the verb as well; left out it must not undo what stands before.
        parser.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=text)
    rest = options.rest
    del options.rest
    options, unknown = parser.parse_known_intermixed_args(rest, options)
    if unknown:
        word = unknown[0].partition("=")[0]
        if word in global_words:
            parser.error(f"{word} stands before the verb: cachewarden {word} … {options.verb}")
        sort = "option" if word.startswith("-") else "place for"
        parser.error(f"there is no {sort} {unknown[0]!r}{nearest(word, parser.words)}")
    return options


def _global_parser() -> Parser:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:{width}}  {text}" for name, text in VERBS.items())
    parser = Parser(
        prog="cachewarden",
        usage="cachewarden [OPTION…] VERB […]",
        description=_DESCRIPTION,
        epilog=f"verbs (`cachewarden VERB --help` tells more):\n{verbs}\n\n{_EXIT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.add_argument("--config", metavar="FILE", help="read this configuration alone, without drop-ins")
    parser.add_argument("--state-dir", metavar="DIR", help="where history and locks are kept")
    modes = (
        ("--system", True, "serve all users of the machine (default for root)"),
        ("--user", False, "serve only your own caches (default for everybody else)"),
    )
    group = parser.add_mutually_exclusive_group()
    for option, value, text in modes:
        group.add_argument(option, dest="system", action="store_const", const=value, default=None, help=text)
        parser.words.append(option)
    parser.add_argument("--json", action="store_true", help="JSON on standard output, on every verb that reports")
    parser.add_argument("--verbose", action="store_true", help="more detail: every entry, every reason")
    parser.add_argument("--version", action="version", version=f"cachewarden {__version__}", help="show it")
    return parser
