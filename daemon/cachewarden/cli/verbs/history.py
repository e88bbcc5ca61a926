"""``history``: past cycles and what they freed; ``--regretted``: what of that was wanted again."""

import time
from contextlib import suppress

from cachewarden.cli import regretting, wishes
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import history, json, regrets
from cachewarden.cli.session import Session
from cachewarden.model.errors import ConfigError
from cachewarden.model.policies import LINK_SPEED, Settings
from cachewarden.model.units import Instant
from cachewarden.system.memory import Store

_USUAL = 20
_ALL = 1_000_000


def arguments(parser: Parser) -> None:
    """How many, and of what."""
    parser.add_argument("--limit", metavar="N", help=f"at most so many; default: {_USUAL}, with --json all")
    parser.add_argument(
        "--regretted", action="store_true", help="what was removed and came back: by policy, the costliest packages"
    )


def run(session: Session) -> int:
    """Always 0: a past that cannot be read is empty, and a warning."""
    limit = wishes.number("--limit", session.options.limit) or (_ALL if session.options.json else _USUAL)
    store = session.program.store(writable=False)
    (_tell_regrets if session.options.regretted else _tell_cycles)(session, store, limit)
    return 0


def _tell_cycles(session: Session, store: Store, limit: int) -> None:
    cycles, moves = store.cycles(limit), store.moves(limit)
    session.mention(store)
    if session.options.json:
        session.answer(json.history(cycles, moves))
    elif not store.trouble:  # that it cannot be read was said; it must not look as if nothing had happened
        session.show(history.history(cycles, moves, session.view(Instant(time.time_ns()))))


def _tell_regrets(session: Session, store: Store, limit: int) -> None:
    """Of all that is remembered; the limit is one of what is shown."""
    settings = _settings(session)
    past = store.regrets(_ALL)
    link_speed = settings.link_speed if settings else LINK_SPEED
    policies = regretting.by_policy(store.removed(), past, link_speed)
    packages = regretting.by_package(past, link_speed)
    session.mention(store)
    found = regrets.Findings(policies, packages, past, regretting.advice(policies, packages, settings), limit)
    if session.options.json:
        session.answer(regrets.document(found))
    elif not store.trouble:
        session.show(regrets.screen(found, session.view(Instant(time.time_ns()))))


def _settings(session: Session) -> Settings | None:
    """The past can be told without them: only for what may be changed they are asked."""
    with suppress(ConfigError):
        return session.program.settings()
    return None
