"""``simulate``: what policies would have cost, had they been in force while a trace of installs was made."""

from typing import TYPE_CHECKING

from cachewarden.cli import wishes
from cachewarden.cli.arguments import Parser
from cachewarden.cli.session import Session
from cachewarden.model.errors import CachewardenError, UsageError
from cachewarden.settings import amounts
from cachewarden.system.files import RealFiles

if TYPE_CHECKING:
    from cachewarden.model.policies import Settings
    from cachewarden.simulate.trace import Trace

_SCENES = ("pi", "data-science", "ci")


def arguments(parser: Parser) -> None:
    """The trace, the policies, and how much room there is."""
    parser.add_argument("trace", nargs="?", metavar="FILE", help="the trace; docs/traces.md has its format")
    parser.add_argument("--policy", metavar="FILE", help="the policies; default: the configuration in force")
    room = "how large the disk of the caches is: 8GB, or a share of all that ever comes into them; default: 10%%"
    parser.add_argument("--capacity", metavar="SIZE", default="10%", help=room)
    compare = "the policies in every order too, with wiping everything, and with knowing the future"
    parser.add_argument("--compare", action="store_true", help=compare)
    parser.add_argument("--scene", choices=_SCENES, help="instead of a file: a trace that is made up")
    parser.add_argument("--seed", metavar="N", default="1", help="another one of the same scene; default: 1")
    parser.add_argument("--write", metavar="FILE", help="only write the trace of the scene into a new file")
    parser.epilog = "Nothing on this machine is looked at or changed. Nothing else is on the disk that is simulated."


def run(session: Session) -> int:
    """0; a trace or a configuration that is wrong is 78, with every problem."""
    given = session.options
    if (given.trace is None) == (given.scene is None):
        raise UsageError("give either a trace, or --scene to have one made up")
    if given.write is not None:
        return _write(session)
    from cachewarden.cli.render import simulation
    from cachewarden.simulate.report import report

    capacity = wishes.value("--capacity", given.capacity, amounts.size_or_share)
    settings = _settings(session)
    found = report(_trace(session), settings, capacity, compare=given.compare)
    if given.json:
        session.answer(simulation.document(found))
    else:
        session.show(simulation.screen(found, verbose=given.verbose))
    return 0


def _settings(session: Session) -> "Settings":
    if session.options.policy is None:
        return session.program.settings()
    from cachewarden.settings import loader

    return loader.load(RealFiles(), config=session.options.policy, folder="/")


def _trace(session: Session) -> "Trace":
    given = session.options
    if given.trace is not None:
        from cachewarden.simulate.parsing import load

        return load(RealFiles(), given.trace)
    from cachewarden.simulate.scenes import SCENES

    return SCENES[given.scene](wishes.value("--seed", given.seed, _seed))


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValueError("a whole number from 0")
    return int(text)


def _write(session: Session) -> int:
    given = session.options
    if given.scene is None:
        raise UsageError("--write needs --scene: there is a file of this trace already")
    if given.policy is not None or given.compare or given.json:
        raise UsageError(
            "--write only writes the trace: nothing is simulated for --policy, --compare or --json to tell"
        )
    from cachewarden.simulate.trace import header, line

    trace = _trace(session)
    try:
        with open(given.write, "x", encoding="ascii") as file:
            file.writelines(f"{each}\n" for each in (header(trace.about), *map(line, trace.events)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file has such a name"
        raise CachewardenError(f"{given.write} cannot be written: {reason}") from error
    return 0
