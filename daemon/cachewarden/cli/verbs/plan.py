"""``plan``: what a cycle would do now, and why, and why not. Writes nothing."""

from cachewarden.cli import looking
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import json, plan
from cachewarden.cli.session import Session


def arguments(parser: Parser) -> None:
    """None of its own."""
    parser.epilog = "With --verbose every entry is shown: those that go in their order, and those that stay."


def run(session: Session) -> int:
    """Always 0, even with a shortfall: nothing was promised yet."""
    return tell(session, looking.look(session))


def tell(session: Session, seen: looking.Seen, *, by_hand: bool = False) -> int:
    """Shows a plan: of a cycle, or of a removal ``by_hand``."""
    snapshot = seen.snapshot
    if session.options.json:
        session.answer(json.plan(snapshot.taken_at, seen.plan, snapshot.problems))
    else:
        view = session.view(snapshot.taken_at)
        session.show(plan.plan(seen.plan, snapshot.problems, view, by_hand=by_hand))
    return 0
