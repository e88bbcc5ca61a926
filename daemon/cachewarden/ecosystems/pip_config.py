"""Where pip keeps its cache, by pip's own rules (paths below are pip's ``src/pip/_internal/``).

Files and their order: ``configuration.py``; sections and empty values: ``cli/parser.py``; the options:
``cli/cmdoptions.py``; defaults: ``_vendor/platformdirs``. pip itself is never asked: ``pip cache dir`` reads the
section ``[cache]``, which ``pip install`` does not, and a root that runs pip runs the user's configuration.
"""

import configparser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from itertools import islice

from cachewarden.ecosystems.base import Candidate, Located, StrangeKey, Surroundings, strange_key
from cachewarden.ecosystems.paths import home_of, plain_path
from cachewarden.ecosystems.pip_keys import KEYS, SECTIONS
from cachewarden.model.caches import Problem

COMMANDS = ("install", "download", "wheel", "lock")
"""The commands that fill the cache; each has its own section."""

LIMIT = 1024 * 1024
"""Bytes of a configuration file; a larger one is a problem, not a file to parse."""

MOST_LINES = 5_000
"""configparser gathers the lines that it cannot read in quadratic time: 1 MiB of them took it minutes."""

_MOST_STRANGE = 20
_SITE_PREFIXES = ("/usr", "/usr/local")
ENVIRONMENT = ":env:"
_BOOLEANS = frozenset(("y", "yes", "t", "true", "on", "1", "n", "no", "f", "false", "off", "0"))
_KEYS = frozenset(("cache-dir", "no-cache-dir"))
_SECTIONS = frozenset(("global", ENVIRONMENT, *COMMANDS, "cache"))


@dataclass(frozen=True, slots=True)
class Setting:
    """``place`` is a file or a variable; ``where`` names it with its section, for people."""

    section: str
    key: str
    value: str
    place: str
    where: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command does: ``directory`` unless ``off``; ``broken`` settings make it stop."""

    directory: Setting | None
    off: Setting | None
    broken: tuple[Setting, ...]


Table = dict[tuple[str, str], Setting]
"""By section and key."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What one interpreter's pip reads, weakest first; ``site`` is the interpreter's own file, if it has one."""

    site: str | None
    settings: Sequence[Setting]


@dataclass(slots=True)
class Search:
    """One look at one owner; problems are collected once each, in the order found."""

    surroundings: Surroundings
    problems: dict[Problem, None] = field(default_factory=dict)
    read: dict[str, tuple[Setting, ...]] = field(default_factory=dict)
    strange: list[StrangeKey] = field(default_factory=list)

    def complain(self, place: str, reason: str) -> None:
        self.problems.setdefault(Problem(place, reason))

    def settings(self, path: str) -> tuple[Setting, ...]:
        """What a file sets; empty for one that is not there. Each file is read once."""
        if path not in self.read:
            self.read[path] = tuple(_parse(self, path, _read(self, path)))
        return self.read[path]

    def path(self, setting: Setting) -> str | None:
        """The folder that a ``cache-dir`` names; ``None`` with a problem when it cannot be known."""
        try:
            return plain_path(setting.value, self.surroundings)
        except ValueError as error:
            self.complain(setting.place, f"cache-dir = {setting.value[:200]!r} of {setting.where} {error}")
            return None


def locate(surroundings: Surroundings) -> Located:
    """Every folder that some ``pip`` of this owner may use or has left behind.

    Interpreters differ in their own ``pip.conf`` and commands in their sections: all answers are given, those in
    use first. A broken file or value is a problem that names it, never an exception.
    """
    search = Search(surroundings)
    tables = [merge(stack.settings) for stack in stacks(search)]
    answers = [(command, resolve(table, command)) for table in tables for command in COMMANDS]
    _report_broken(search, answers)
    _report_off(search, answers)
    for table in tables:
        _report_disagreement(search, table)
    found = (*_in_use(search, answers), *_left_behind(search, answers))
    first: dict[str, Candidate] = {}
    for candidate in found:
        first.setdefault(candidate.path, candidate)
    strange = tuple(dict.fromkeys(search.strange))
    return Located(candidates=tuple(first.values()), problems=tuple(search.problems), strange=strange)


def stacks(search: Search) -> Iterator[Stack]:
    """Per interpreter the settings from weakest to strongest (``OVERRIDE_ORDER``, ``iter_config_files``)."""
    environ = search.surroundings.environ
    variables = list(_variables(environ))
    named = environ.get("PIP_CONFIG_FILE")
    if named == "/dev/null":
        yield Stack(None, variables)
        return
    shared = [*_global_files(environ), *_user_files(search, named)]
    strongest = [named] if _usable(search, named) and named else []
    for site in (None, *(f"{prefix}/pip.conf" for prefix in _prefixes(environ))):
        if site is None or search.settings(site):
            files = [*shared, *([site] if site else []), *strongest]
            yield Stack(site, [setting for file in files for setting in search.settings(file)] + variables)


def _global_files(environ: Mapping[str, str]) -> list[str]:
    """``utils/appdirs.py:site_config_dirs``; relative folders are ignored (platformdirs ``_xdg_dir_list``)."""
    named = [part.strip() for part in environ.get("XDG_CONFIG_DIRS", "").split(":")]
    folders = [part for part in named if part.startswith("/")] or ["/etc/xdg"]
    return [*(f"{folder.rstrip('/')}/pip/pip.conf" for folder in folders), "/etc/pip.conf"]


def _user_files(search: Search, named: str | None) -> list[str]:
    """The legacy file, then the XDG one; neither when ``PIP_CONFIG_FILE`` names something that exists."""
    if named and _usable(search, named) and search.surroundings.files.stat(named) is not None:
        return []
    return list(user_files(search.surroundings))


def user_files(surroundings: Surroundings) -> tuple[str, str]:
    """The legacy file, and the one that ``pip config set --user`` writes (``configuration.py:get_file_to_edit``)."""
    home = home_of(surroundings)
    folder = _xdg(surroundings.environ, "XDG_CONFIG_HOME") or f"{home}/.config"
    return f"{home}/.pip/pip.conf", f"{folder}/pip/pip.conf"


def _usable(search: Search, named: str | None) -> bool:
    if named and not named.startswith("/"):
        search.complain("PIP_CONFIG_FILE", f"{named!r} is relative: it depends on pip's working folder")
        return False
    return True


def _prefixes(environ: Mapping[str, str]) -> list[str]:
    """``sys.prefix`` of the interpreters that can be known: the system's and the active virtual environment."""
    active = environ.get("VIRTUAL_ENV", "").rstrip("/")
    return [*_SITE_PREFIXES, active] if active.startswith("/") else list(_SITE_PREFIXES)


def _xdg(environ: Mapping[str, str], name: str) -> str | None:
    """An XDG folder; a relative one is as good as unset (the XDG specification, platformdirs ``_xdg_dir``)."""
    value = environ.get(name, "").strip()
    return value.rstrip("/") if value.startswith("/") else None


def _variables(environ: Mapping[str, str]) -> Iterator[Setting]:
    """``configuration.py:get_environ_vars``: any ``PIP_*``, its name made the same as a key."""
    for name, value in environ.items():
        if name.startswith("PIP_") and (key := _normal(name[4:])) in _KEYS:
            yield Setting(ENVIRONMENT, key, value, name, f"{name} in the environment")


def _normal(name: str) -> str:
    """``configuration.py:_normalize_name``."""
    return name.lower().replace("_", "-").removeprefix("--")


def _read(search: Search, path: str) -> str:
    try:
        text = search.surroundings.files.read_text(path, LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        search.complain(path, f"pip's configuration cannot be read ({reason}): where its cache is may be wrong")
        return ""
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        search.complain(path, "is not valid UTF-8: pip stops at this file; save it as UTF-8")
    text = with_plain_line_ends(text)
    if text.count("\n") > MOST_LINES:
        search.complain(path, f"has more than {MOST_LINES} lines: too long to be pip's configuration, not read")
        return ""
    return text


def with_plain_line_ends(text: str) -> str:
    """pip opens the file as text, which makes every line end a ``\\n``; a string is parsed as it is."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Dialect(configparser.RawConfigParser):
    """pip's dialect: no interpolation, keys without regard to case, ``_`` and a leading ``--``."""

    def optionxform(self, optionstr: str) -> str:
        return _normal(optionstr)


def _parse(search: Search, path: str, text: str) -> Iterator[Setting]:
    """The settings that matter. A file that makes pip stop still tells what it can."""
    parser = Dialect()
    try:
        parser.read_file(StringIO(text), source=path)
    except configparser.Error as error:
        summary = " ".join(str(error).split())[:300]
        search.complain(path, f"pip stops at this file: {summary}")
        parser = Dialect(strict=False)
        _read_leniently(parser, text)
    search.strange.extend(islice(_strange(path, parser), _MOST_STRANGE))
    for section in (name for name in parser.sections() if name in _SECTIONS):
        # items() adds what [DEFAULT] says to every section, as it does for pip.
        for key, value in parser.items(section):
            if key in _KEYS and isinstance(value, str):
                yield Setting(section, key, value, path, f"{path} [{section}]")


def _strange(path: str, parser: configparser.RawConfigParser) -> Iterator[StrangeKey]:
    """What pip ignores without a word: sections of no command, and keys of no option."""
    for section in parser.sections():
        if section not in SECTIONS and section != ENVIRONMENT:
            yield strange_key(path, f"[{section}]", [f"[{each}]" for each in SECTIONS])
        else:
            yield from (strange_key(path, key, KEYS) for key in parser.options(section) if key not in KEYS)


def _read_leniently(parser: configparser.RawConfigParser, text: str) -> None:
    try:
        parser.read_file(StringIO(text))
    except configparser.Error:
        return  # the lines before and after those in error have been taken in


def merge(settings: Sequence[Setting]) -> Table:
    """The strongest of each section and key. An empty value hides weaker ones, then counts as absent."""
    table: Table = {}
    for setting in settings:
        table[setting.section, setting.key] = setting
    return {key: setting for key, setting in table.items() if setting.value}


def resolve(table: Table, command: str) -> Answer:
    """``cli/parser.py:_get_ordered_configuration_items``: sections beat files, and all sections are looked at."""
    sections = ("global", command, ENVIRONMENT)
    directories = [table[section, "cache-dir"] for section in sections if (section, "cache-dir") in table]
    switches = [table[section, "no-cache-dir"] for section in sections if (section, "no-cache-dir") in table]
    # Any boolean, false too, turns the cache off: cli/cmdoptions.py:_handle_no_cache_dir.
    valid = [switch for switch in switches if switch.value.lower() in _BOOLEANS]
    return Answer(
        directory=directories[-1] if directories else None,
        off=valid[-1] if valid else None,
        broken=tuple(switch for switch in switches if switch not in valid),
    )


def _report_broken(search: Search, answers: Sequence[tuple[str, Answer]]) -> None:
    for _, answer in answers:
        for setting in answer.broken:
            search.complain(
                setting.place, f"pip stops: no-cache-dir = {setting.value[:200]!r} of {setting.where} is no boolean"
            )


def _report_off(search: Search, answers: Sequence[tuple[str, Answer]]) -> None:
    commands: dict[Setting, list[str]] = {}
    for command, answer in answers:
        if answer.off and command not in commands.setdefault(answer.off, []):
            commands[answer.off].append(command)
    for setting, off in commands.items():
        whom = "" if len(off) == len(COMMANDS) else f" for pip {', '.join(off)}"
        search.complain(
            setting.place,
            f"pip's cache is off{whom} by no-cache-dir = {setting.value} of {setting.where} (false too disables it)",
        )


def _report_disagreement(search: Search, table: Table) -> None:
    """``pip cache`` is a command with a section of its own, and knows nothing of ``[install]``."""
    told, used = resolve(table, "cache"), resolve(table, "install")
    if _fate(told) == _fate(used):
        return
    cause = _cause(table, "cache") or _cause(table, "install")
    if cause:
        search.complain(
            cause.place,
            f"pip cache dir disagrees with pip install because of {cause.where}: "
            f"it says {_fate(told)}, pip install uses {_fate(used)}",
        )


def _fate(answer: Answer) -> str:
    if answer.off:
        return "no cache"
    return answer.directory.value[:200] if answer.directory else "the default"


def _cause(table: Table, section: str) -> Setting | None:
    return table.get((section, "no-cache-dir")) or table.get((section, "cache-dir"))


def _in_use(search: Search, answers: Sequence[tuple[str, Answer]]) -> Iterator[Candidate]:
    for _, answer in answers:
        if answer.off:
            continue
        if answer.directory is None:
            yield from default(search)
        elif path := search.path(answer.directory):
            source = answer.directory.where
            if answer.directory.section != ENVIRONMENT:
                source += " cache-dir"
            yield Candidate("pip", path, source, configured=True)


def default(search: Search) -> Iterator[Candidate]:
    """``locations/base.py:USER_CACHE_DIR``: what pip uses while nothing names another folder."""
    moved = _xdg(search.surroundings.environ, "XDG_CACHE_HOME")
    if moved is None:
        yield from _folder(search, f"{home_of(search.surroundings)}/.cache/pip", "default")
    else:
        yield from _folder(search, f"{moved}/pip", "default below XDG_CACHE_HOME")


def _folder(search: Search, text: str, source: str) -> Iterator[Candidate]:
    try:
        yield Candidate("pip", plain_path(text, search.surroundings), source)
    except ValueError as error:
        search.complain(text[:200], str(error))


def _left_behind(search: Search, answers: Sequence[tuple[str, Answer]]) -> Iterator[Candidate]:
    """Folders that configuration turned pip away from: what it stored there before is still on the disk."""
    for setting in _named_folders(search):
        if path := search.path(setting):
            why = f"left behind: cache-dir of {setting.where} is overridden or the cache is off"
            yield Candidate("pip", path, why)
    for candidate in default(search):
        yield replace(candidate, source=f"left behind at the default path ({_why(answers[0][1])})")
    moved = _xdg(search.surroundings.environ, "XDG_CACHE_HOME")
    usual = f"{home_of(search.surroundings)}/.cache/pip"
    yield from _folder(search, usual, f"left behind at the default path (XDG_CACHE_HOME is {moved})")


def _named_folders(search: Search) -> Iterator[Setting]:
    files = [setting for settings in search.read.values() for setting in settings]
    for setting in (*files, *_variables(search.surroundings.environ)):
        if setting.key == "cache-dir" and setting.value and setting.section != "cache":
            yield setting


def _why(answer: Answer) -> str:
    if answer.off:
        return f"the cache is off by {answer.off.where}"
    if answer.directory:
        return f"cache-dir is {answer.directory.value[:200]} by {answer.directory.where}"
    return "not in use"
