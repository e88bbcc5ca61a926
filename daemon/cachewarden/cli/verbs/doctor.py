"""``doctor``: what on this machine stands in the way, each with its remedy."""

import time
from collections.abc import Sequence

from cachewarden.cli.arguments import Parser
from cachewarden.cli.progress import Progress
from cachewarden.cli.render import doctor, json, words
from cachewarden.cli.session import Session
from cachewarden.model.caches import Problem
from cachewarden.model.errors import UsageError
from cachewarden.model.findings import Finding, Mended, Severity
from cachewarden.model.units import Instant
from cachewarden.service import doctor as service
from cachewarden.service.hooks import Hooks
from cachewarden.service.shared_remedies import FIX


def arguments(parser: Parser) -> None:
    """Whether it mends, and asks."""
    fix = "mend the rights in shared caches, with the rights of each cache's owner"
    parser.add_argument("--fix", action="store_true", help=fix)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.epilog = (
        "Without --fix it changes nothing; with it, groups, modes and default ACLs in caches that a group shares, "
        "and never a file that is hard-linked into an environment. As root it asks about the system service and all "
        "users, else about your own."
    )


def run(session: Session) -> int:
    """0 when nothing stands in the way any more (notes do not), else 1; 2 when nobody can be asked."""
    given = session.options
    if given.fix and not given.yes and not session.output.can_ask():
        raise UsageError("nothing was mended: there is no terminal to ask on; add --yes to go ahead")
    with _progress(session):
        visit = service.begin(session.program, session.environ)
        found = service.findings(visit, Hooks())
    fixed: list[Mended] | None = None
    failed: list[Problem] = []
    if given.fix and _wanted(session, found):
        with _progress(session):
            fixed, failed = service.mend(visit, Hooks())
            found = service.findings(visit, Hooks())
    _tell(session, found, fixed, failed)
    return int(bool(failed) or any(each.severity is not Severity.NOTE for each in found))


def _progress(session: Session) -> Progress:
    return Progress(shown=session.output.error_terminal, doing="Looking at the machine")


def _wanted(session: Session, found: Sequence[Finding]) -> bool:
    """Whether there is anything to mend, and somebody wants it; no is the default."""
    broken = [each for each in found if each.remedy == FIX]
    if not broken or session.options.yes:
        return bool(broken)
    session.output.show_beside(doctor.broken(broken, session.view(Instant(time.time_ns()))))
    if session.output.ask(f"Mend the rights in {words.count(len(broken), 'shared cache')}?"):
        return True
    session.output.warn("Nothing was mended.")
    return False


def _tell(
    session: Session, found: Sequence[Finding], fixed: Sequence[Mended] | None, failed: Sequence[Problem]
) -> None:
    if session.options.json:
        session.answer(json.findings(found) | (json.fixed(fixed or (), failed) if session.options.fix else {}))
        return
    view = session.view(Instant(time.time_ns()))
    mended = doctor.mended(fixed, failed, view) if fixed is not None else []
    session.show([*mended, *doctor.findings(found, view)])
