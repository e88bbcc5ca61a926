"""``status``: what is there, and how far each policy is from acting."""

from cachewarden.cli import looking
from cachewarden.cli.arguments import Parser
from cachewarden.cli.session import Session
from cachewarden.service.reaching import reach_of
from cachewarden.service.sizes import foretell


def arguments(parser: Parser) -> None:
    """None of its own."""
    parser.epilog = "With --verbose each cache is shown kind by kind, how it was found and how it grows."


def run(session: Session) -> int:
    """Always 0: that a policy is triggered is no failure."""
    seen = looking.look(session, anew=False)
    expected = foretell(seen.store, seen.snapshot, seen.settings)
    reach = reach_of(session.program.state_folder)
    session.mention(seen.store)
    if session.options.json:
        from cachewarden.cli.render import json

        session.answer(json.status(seen.snapshot, seen.plan, expected, reach))
    else:
        from cachewarden.cli.render import status

        view = session.view(seen.snapshot.taken_at)
        session.show(status.status(seen.snapshot, seen.plan, view, expected, reach))
    return 0
