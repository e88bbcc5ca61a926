"""``purge``: removal by hand. A policy made up for the occasion goes the way of all others."""

import argparse
from dataclasses import replace

from cachewarden.cli import looking, wishes, work
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import plan as plan_screen
from cachewarden.cli.render import words
from cachewarden.cli.session import Session
from cachewarden.cli.verbs import plan as plan_verb
from cachewarden.cli.verbs import run as run_verb
from cachewarden.model.errors import UsageError
from cachewarden.model.plans import Purge
from cachewarden.model.policies import ActionKind, Keep, Match, Policy, Settings
from cachewarden.model.units import Bytes, Seconds, human_bytes
from cachewarden.settings import amounts

BY_HAND = "by-hand"
_NOTHING_ASKED = (
    "say what may go: --all, --to-free SIZE, --unused-for AGE, --kind KIND or --package GLOB, alone or together"
)


def arguments(parser: Parser) -> None:
    """What may go, and how much is asked."""
    wishes.arguments(parser)
    parser.add_argument("--all", action="store_true", help="everything that may go")
    parser.add_argument("--to-free", metavar="SIZE", help="only until so much is freed, cheapest first: 500MB, 2GiB")
    parser.add_argument("--unused-for", metavar="AGE", help="only what nobody used for so long: 12h, 30d, 8w")
    parser.add_argument("--dry-run", action="store_true", help="show what would go, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--ignore-keep", action="store_true", help="also packages that the configuration keeps")
    parser.epilog = "What is in use stays, and so do the packages that the configuration keeps (keep.packages)."


def run(session: Session) -> int:
    """As ``run``; 2 when nobody can be asked, 0 when the answer is no."""
    given = session.options
    policy = _policy(given)
    asks = not (given.yes or given.dry_run)
    if asks and not session.output.can_ask():
        raise UsageError("nothing was removed: there is no terminal to ask on; add --yes to go ahead, or --dry-run")
    settings = _settings(session.program.settings(), policy, ignore_keep=given.ignore_keep)
    if given.dry_run:
        return plan_verb.tell(session, looking.look(session, settings), by_hand=True)
    workers = session.program.workers(writing=True)
    expected = None
    if asks:
        seen = looking.look(session, settings, workers)
        expected = _entries(seen)
        if expected and not _agreed(session, seen):
            session.output.warn("Nothing was removed.")
            return 0
    order = work.Order(settings, "purge by hand", expected, forgetful=True)
    record, status = work.carry_out(session, order, workers)
    run_verb.tell(session, record, by_hand=True)
    return status


def _policy(given: argparse.Namespace) -> Policy:
    """UsageError for what is missing, contradictory or not there."""
    ecosystems = wishes.ecosystems(given.ecosystems)
    kinds = wishes.kinds(given.kind, ecosystems)
    packages = wishes.packages(given.package)
    unused_for = _unused_for(given.unused_for)
    to_free = _to_free(given.to_free)
    if given.all and to_free is not None:
        raise UsageError("--all and --to-free contradict each other: give one of them")
    if not (given.all or kinds or packages or unused_for is not None or to_free is not None):
        raise UsageError(_NOTHING_ASKED)
    return Policy(
        name=BY_HAND,
        action=ActionKind.PURGE,
        match=Match(ecosystems=ecosystems),
        kinds=kinds,
        unused_for=unused_for,
        packages=packages,
        to_free=to_free,
    )


def _unused_for(text: str | None) -> Seconds | None:
    return None if text is None else wishes.value("--unused-for", text, amounts.duration)


def _to_free(text: str | None) -> Bytes | None:
    return None if text is None else wishes.value("--to-free", text, amounts.size)


def _settings(settings: Settings, policy: Policy, *, ignore_keep: bool) -> Settings:
    """By hand what was written just now may go as well."""
    keep = Keep() if ignore_keep else settings.keep
    return replace(settings, keep=replace(keep, newer_than=Seconds(0)), policies=(policy,))


def _entries(seen: looking.Seen) -> int:
    return sum(len(action.entries) for action in seen.plan.actions if isinstance(action, Purge))


def _agreed(session: Session, seen: looking.Seen) -> bool:
    """Shows what would go and asks; no is the default."""
    view = session.view(seen.snapshot.taken_at)
    session.output.show_beside(plan_screen.summary(seen.plan, view))
    size = human_bytes(sum(action.frees for action in seen.plan.actions))
    return session.output.ask(f"Remove {words.entries(_entries(seen))} and free {size}?")
