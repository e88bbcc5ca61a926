"""``check``: whether configuration files are right; every error at once."""

from cachewarden.cli.arguments import Parser
from cachewarden.cli.session import Session
from cachewarden.model.errors import ConfigError
from cachewarden.model.text import printable
from cachewarden.settings import loader
from cachewarden.system.files import RealFiles


def arguments(parser: Parser) -> None:
    """The files."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="each on its own; default: what is in force")


def run(session: Session) -> int:
    """0 when all is right; ConfigError, told on standard error, is 78."""
    files, problems = _named(session) if session.options.files else _in_force(session)
    good = [path for path in files if not any(line.startswith(f"{path}:") for line in problems)]
    if session.options.json:
        session.answer({"schema": 1, "files": [{"path": path, "ok": path in good} for path in files],
                        "problems": list(problems)})  # fmt: skip
    else:
        for path in good:
            session.output.write(f"{printable(path)}: ok")
    if problems:
        raise ConfigError(problems)
    return 0


def _named(session: Session) -> tuple[list[str], tuple[str, ...]]:
    paths: list[str] = list(dict.fromkeys(session.options.files))
    reader = RealFiles()
    return paths, tuple(line for path in paths for line in loader.check_file(reader, path))


def _in_force(session: Session) -> tuple[list[str], tuple[str, ...]]:
    program = session.program
    try:
        settings = program.settings()
    except ConfigError as error:
        return [], error.problems
    if not settings.files and not session.options.json:
        session.output.write(f"{printable(program.config_folder)}: no configuration; the built-in default holds")
    return list(settings.files), ()
