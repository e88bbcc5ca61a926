"""``explain``: why something stays or goes, under which policy; or when and why it went."""

from cachewarden.cli import looking
from cachewarden.cli.arguments import Parser
from cachewarden.cli.explaining import Explainer, removals
from cachewarden.cli.render import explain, json_explain
from cachewarden.cli.session import Session


def arguments(parser: Parser) -> None:
    """What is asked about."""
    parser.add_argument(
        "word",
        metavar="PATH-OR-PACKAGE",
        help="a path, a cache, a package (torch, 'torch==2.*') or a policy",
    )


def run(session: Session) -> int:
    """0 when anything was found, else 1."""
    word: str = session.options.word
    seen = looking.look(session)
    explainer = Explainer(seen.snapshot, seen.plan, seen.settings)
    caches, entries = explainer.caches(word), explainer.entries(word)
    policies, gone = explainer.policies(word), removals(seen.store, word)
    found = bool(policies or caches or entries or gone)
    if session.options.json:
        session.answer(json_explain.explained(policies, caches, entries, gone))
    elif found:
        view = session.view(seen.snapshot.taken_at)
        session.show(explain.explain(policies, caches, entries, gone, view))
    else:
        whole = not seen.snapshot.problems and not seen.store.trouble
        session.show(explain.not_found(word, whole=whole))
    return 0 if found else 1
