"""``daemon``: the service, in the foreground."""

from cachewarden.cli import wishes
from cachewarden.cli.arguments import Parser
from cachewarden.cli.session import Session
from cachewarden.settings import amounts


def arguments(parser: Parser) -> None:
    """How long."""
    parser.add_argument("--for", dest="seconds", metavar="AGE", help="end after this time: 30s, 5m")
    parser.epilog = "TERM ends it, HUP makes it read its configuration again."


def run(session: Session) -> int:
    """Whatever the service ends with."""
    text = session.options.seconds
    seconds = None if text is None else wishes.value("--for", text, amounts.duration)
    from cachewarden.service import daemon

    return daemon.run(session.program, seconds)
