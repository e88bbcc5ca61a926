"""``run``: one cycle now."""

from cachewarden.cli import work
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import json, outcome
from cachewarden.cli.session import Session
from cachewarden.model.plans import CycleRecord


def arguments(parser: Parser) -> None:
    """None of its own."""
    parser.epilog = "Ctrl-C stops it between two entries; what is removed by then is told and recorded."


def run(session: Session) -> int:
    """0 done, 1 an action failed or something is wanting, 130 or 143 when it was stopped."""
    record, status = work.carry_out(session, work.Order(session.program.settings(), "by hand"))
    tell(session, record)
    return status


def tell(session: Session, record: CycleRecord, *, by_hand: bool = False) -> None:
    """Shows what was done."""
    if session.options.json:
        session.answer(json.done(record))
    else:
        session.show(outcome.outcome(record, session.view(record.finished_at), by_hand=by_hand))
