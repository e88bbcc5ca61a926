"""``doctor``: what on this machine stands in the way, each with its remedy."""

import time

from cachewarden.cli.arguments import Parser
from cachewarden.cli.progress import Progress
from cachewarden.cli.render import doctor, json
from cachewarden.cli.session import Session
from cachewarden.model.findings import Severity
from cachewarden.model.units import Instant
from cachewarden.service import doctor as service
from cachewarden.service.workers import Hooks


def arguments(parser: Parser) -> None:
    """None of its own."""
    parser.epilog = "It changes nothing. As root it asks about the system service and all users, else about your own."


def run(session: Session) -> int:
    """0 when nothing stands in the way (notes do not), else 1."""
    with Progress(shown=session.output.error_terminal, doing="Looking at the machine"):
        found = service.findings(session.program, session.environ, Hooks())
    if session.options.json:
        session.answer(json.findings(found))
    else:
        session.show(doctor.findings(found, session.view(Instant(time.time_ns()))))
    return int(any(each.severity is not Severity.NOTE for each in found))
