"""``restore``: takes a move back."""

from cachewarden.cli import wishes, work
from cachewarden.cli.arguments import Parser
from cachewarden.cli.session import Session
from cachewarden.cli.verbs import relocate as relocate_verb
from cachewarden.model.relocations import Errand, MoveOrder


def arguments(parser: Parser) -> None:
    """Which one, and whether its data come along."""
    parser.add_argument("ecosystem", metavar="ECOSYSTEM", help="pip or conda")
    relocate_verb.whose(parser)
    left = "only take the configuration back: what is at the destination stays there"
    parser.add_argument("--leave-data", action="store_true", help=left)
    parser.epilog = (
        "The configuration file becomes what it was, byte for byte; in one that was edited since, only our key "
        "changes. A move that is not finished is undone."
    )


def run(session: Session) -> int:
    """As ``relocate``."""
    (ecosystem,) = wishes.ecosystems([session.options.ecosystem])
    session.program.settings()
    workers = session.program.workers(writing=True)
    order = MoveOrder(Errand.RESTORE, ecosystem, session.options.cache or "", leave_data=session.options.leave_data)
    owner = relocate_verb.choose(session, workers, order)
    record, status = work.carry_out_move(session, owner, order, workers)
    relocate_verb.tell(session, record)
    return status
