"""``status``: what is there, and how far each policy is from acting."""

from cachewarden.cli import work
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import json, status
from cachewarden.cli.session import Session
from cachewarden.service.reaching import reach_of


def arguments(parser: Parser) -> None:
    """None of its own."""
    parser.epilog = "With --verbose each cache is shown kind by kind, and how it was found."


def run(session: Session) -> int:
    """Always 0: that a policy is triggered is no failure."""
    seen = work.look(session)
    reach = reach_of(session.program.state_folder)
    if session.options.json:
        session.answer(json.status(seen.snapshot, seen.plan, reach))
    else:
        session.show(status.status(seen.snapshot, seen.plan, session.view(seen.snapshot.taken_at), reach))
    return 0
