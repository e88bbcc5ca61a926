"""``explain``: why something stays or goes, under which policy; or when and why it went."""

from cachewarden.cli import work
from cachewarden.cli.arguments import Parser
from cachewarden.cli.explaining import Explainer, removals
from cachewarden.cli.render import explain, json
from cachewarden.cli.session import Session


def arguments(parser: Parser) -> None:
    """What is asked about."""
    parser.add_argument(
        "word", metavar="PATH-OR-PACKAGE", help="a path, a cache, a package: torch, 'torch*', 'numpy==1.26.*'"
    )


def run(session: Session) -> int:
    """0 when anything was found, else 1."""
    word: str = session.options.word
    seen = work.look(session)
    explainer = Explainer(seen.snapshot, seen.plan, seen.settings)
    caches, entries = explainer.caches(word), explainer.entries(word)
    gone = removals(seen.store, word)
    if session.options.json:
        session.answer(json.explained(caches, entries, gone))
    elif caches or entries or gone:
        session.show(explain.explain(caches, entries, gone, session.view(seen.snapshot.taken_at)))
    else:
        session.show(explain.not_found(word))
    return 0 if caches or entries or gone else 1
