"""``env``: where the caches are now, as environment variables for those who prefer them."""

import shlex

from cachewarden.cli.arguments import Parser
from cachewarden.cli.session import Session
from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.registry import ECOSYSTEMS
from cachewarden.model.errors import UsageError
from cachewarden.system.files import RealFiles

_VARIABLES = {"pip": "PIP_CACHE_DIR", "conda": "CONDA_PKGS_DIRS"}
_READ_OTHERWISE = {"pip": "", "conda": ",$"}
"""What the tool gives a meaning when it stands in the variable (``base/context.py``: expandvars, and a list)."""


def arguments(parser: Parser) -> None:
    """None of its own."""
    parser.epilog = 'In a shell: eval "$(cachewarden env)". It says where the tools of the caller keep their caches.'


def run(session: Session) -> int:
    """Always 0: a tool that keeps no cache, or one that a variable cannot name, is left out."""
    program = session.program
    if session.options.system:
        raise UsageError("env is about the caller's own caches: it has no system mode")
    surroundings = Surroundings(program.owner, session.environ, RealFiles(program.owner))
    places: dict[str, str] = {}
    for ecosystem in ECOSYSTEMS:
        found = next((each.path for each in ecosystem.in_force(surroundings) if each.path), None)
        if not found or ecosystem.name not in _VARIABLES:
            continue
        if why := _why_not(ecosystem.name, found):
            session.output.warn(f"{found} is left out: {why}")
        else:
            places[_VARIABLES[ecosystem.name]] = found
    if session.options.json:
        session.answer({"schema": 1, "variables": places})
    else:
        for name, value in places.items():
            session.output.write(f"export {name}={shlex.quote(value)}")
    return 0


def _why_not(ecosystem: str, path: str) -> str | None:
    """Why a variable cannot name this folder."""
    if set(path) & set(_READ_OTHERWISE[ecosystem]):
        return f"{ecosystem} gives '$' and ',' in a variable a meaning"
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not valid UTF-8"
    return None
