"""``history``: past cycles and what they freed."""

import time

from cachewarden.cli import wishes
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import history, json
from cachewarden.cli.session import Session
from cachewarden.model.units import Instant

_USUAL = 20
_ALL = 1_000_000


def arguments(parser: Parser) -> None:
    """How many."""
    parser.add_argument("--limit", metavar="N", help=f"at most so many; default: {_USUAL}, with --json all")


def run(session: Session) -> int:
    """Always 0: a past that cannot be read is empty, and a warning."""
    limit = wishes.number("--limit", session.options.limit)
    store = session.program.store(writable=False)
    cycles = store.cycles(limit or (_ALL if session.options.json else _USUAL))
    moves = store.moves(limit or (_ALL if session.options.json else _USUAL))
    session.mention(store)
    if store.trouble and not session.options.json:
        return 0  # that it cannot be read was said; it must not look as if nothing had happened
    if session.options.json:
        session.answer(json.history(cycles, moves))
    else:
        session.show(history.history(cycles, moves, session.view(Instant(time.time_ns()))))
    return 0
