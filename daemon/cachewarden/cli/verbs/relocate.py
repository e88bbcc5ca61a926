"""``relocate``: moves a cache to another disk and points its tool there."""

import argparse
import os

from cachewarden.cli import wishes, work
from cachewarden.cli.arguments import Parser
from cachewarden.cli.render import json
from cachewarden.cli.render import moves as moves_screen
from cachewarden.cli.session import Session
from cachewarden.decide.relocation import filled_in
from cachewarden.model.caches import Owner
from cachewarden.model.errors import UsageError
from cachewarden.model.plans import CycleRecord
from cachewarden.model.relocations import Errand, Method, MoveOrder
from cachewarden.service.hooks import Hooks
from cachewarden.service.workers import Workers, look_at


def arguments(parser: Parser) -> None:
    """What goes where, and how its tool is told."""
    parser.add_argument("ecosystem", metavar="ECOSYSTEM", help="pip or conda")
    parser.add_argument("destination", metavar="DEST", help="a folder on another disk; it is made if it is not there")
    whose(parser)
    parser.add_argument(
        "--method", choices=[each.value for each in Method], default=Method.CONFIG.value,
        help="tell the tool by its configuration (default), or by a symbolic link at the old place",
    )  # fmt: skip
    kept = "conda: the old folder stays, and stays listed behind the new one"
    parser.add_argument("--keep-old", action="store_true", help=kept)
    shared = "make it a cache for all of this group: what is and will be in it can be changed by them"
    parser.add_argument("--shared-group", metavar="GROUP", help=shared)
    parser.add_argument("--dry-run", action="store_true", help="say whether and how it would go, and change nothing")
    parser.epilog = (
        "The copy is read back before the tool is pointed to it, and only then the old place is cleared. "
        "Killed at any instant, the next `cachewarden run`, or the same command again, finishes or undoes it. "
        "`cachewarden restore ECOSYSTEM` takes it back."
    )


def whose(parser: Parser) -> None:
    """Which cache, where there are several."""
    parser.add_argument("--cache", metavar="PATH", help="which cache, where there are several")
    parser.add_argument("--owner", metavar="USER", help="whose, for root in system mode; default: the only one's")


def run(session: Session) -> int:
    """0 done, 1 refused or failed, 75 when a tool is running, 130 or 143 when it was stopped."""
    given = session.options
    order = _order(given)
    session.program.by_hand = (given.destination,)
    session.program.groups_by_hand = (given.shared_group,) if given.shared_group else ()
    session.program.settings()
    workers = session.program.workers(writing=not given.dry_run)
    owner = choose(session, workers, order)
    order = for_owner(order, owner)
    if given.dry_run:
        (moved,) = workers.move(owner, order, Hooks())[:1]
        if session.options.json:
            session.answer(json.prospect(moved))
        else:
            session.show(moves_screen.prospect(order, moved))
        return (75 if moved.busy else 1) if moved.error else 0
    record, status = work.carry_out_move(session, owner, order, workers)
    tell(session, record)
    return status


def _order(given: argparse.Namespace) -> MoveOrder:
    (ecosystem,) = wishes.ecosystems([given.ecosystem])
    destination = given.destination
    if not destination.startswith("/"):
        raise UsageError(
            f"the destination {destination!r} is relative: give its whole path, {os.path.abspath(destination)}"
        )
    if ".." in destination.split("/"):
        raise UsageError(f"the destination {destination!r} has '..' in it: name the folder itself")
    if given.keep_old and ecosystem != "conda":
        raise UsageError("--keep-old is for conda, which can use several folders; pip has one")
    if given.keep_old and given.method == Method.SYMLINK.value:
        raise UsageError("--keep-old and --method symlink contradict each other")
    return MoveOrder(
        Errand.CHECK if given.dry_run else Errand.RELOCATE, ecosystem, given.cache or "", destination,
        method=Method(given.method), keep=given.keep_old, shared_group=given.shared_group or "",
    )  # fmt: skip


def for_owner(order: MoveOrder, owner: Owner) -> MoveOrder:
    """With the placeholders of the destination filled in."""
    from dataclasses import replace

    return replace(order, to=filled_in(order.to, owner.name, order.ecosystem))


def choose(session: Session, workers: Workers, order: MoveOrder) -> Owner:
    """Whose cache is meant; UsageError when that cannot be told."""
    owners, name = workers.owners(), session.options.owner
    if name:
        found = next((each for each in owners if each.name == name), None)
        if found is None:
            raise UsageError(f"{name} is nobody who is served here")
        return found
    if len(owners) == 1:
        return owners[0]
    if session.environ.get("SUDO_USER"):
        found = next((each for each in owners if each.name == session.environ["SUDO_USER"]), None)
        if found:
            return found
    having = [each for each in owners if _has(workers, each, order)]
    if len(having) == 1:
        return having[0]
    listed = ", ".join(each.name for each in having)
    raise UsageError(
        f"say whose with --owner USER: {listed} have {order.ecosystem} caches" if having
        else f"nobody has a {order.ecosystem} cache here"
    )  # fmt: skip


def _has(workers: Workers, owner: Owner, order: MoveOrder) -> bool:
    seen = look_at(workers, owner, Hooks())
    if order.errand is Errand.RESTORE:
        return any(each.ecosystem == order.ecosystem for each in seen.relocations)
    caches = [each.cache for each in seen.caches if each.cache.ecosystem == order.ecosystem]
    return any(not order.cache or each.path == order.cache for each in caches)


def tell(session: Session, record: CycleRecord) -> None:
    """Shows what was done."""
    if session.options.json:
        session.answer(json.done(record))
    else:
        session.show(moves_screen.moved(record))
