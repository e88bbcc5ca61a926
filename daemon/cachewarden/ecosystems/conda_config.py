"""Where conda, mamba and micromamba keep packages and environments for one owner.

Every installation (base) has its own default cache and its own condarc: all are looked for, by what the tools
themselves leave behind. No tool is asked and no shell file is run: ``conda info`` as root rewrites users' files
(``conda/core/envs_manager.py``), and any conda runs plugins of its base.
"""

import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cachewarden.ecosystems.base import Candidate, Located, Surroundings, strange_key
from cachewarden.ecosystems.conda_keys import KEYS
from cachewarden.ecosystems.condarc import (
    CONDA_NAMES,
    MAMBA_NAMES,
    Condarc,
    Item,
    Reader,
    condarcs_of,
    environment,
    expand_variables,
    is_condarc_name,
    mamba_search_path,
    merge,
    search_path,
)
from cachewarden.ecosystems.paths import home_of, plain_path

MOST_ENVIRONMENTS = 10_000
"""More are left out, with a problem: packages in use there may then look unused."""

MOST_CANDIDATES = 1_000
MOST_BASES = 200
LIMIT = 1024 * 1024
"""Bytes of a shell file and of ``environments.txt``."""

_HOME_PLACES = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "conda")
_SHELL_FILES = (".bashrc", ".bash_profile", ".profile", ".zshrc", ".config/fish/config.fish")
_BLOCK_BEGINS = ("# >>> conda initialize >>>", "# >>> mamba initialize >>>")
_BLOCK_ENDS = ("# <<< conda initialize <<<", "# <<< mamba initialize <<<")
# conda/core/initialize.py and libmamba/src/core/shell_init.cpp write paths of these forms, quoted or bare.
_TAILS = re.compile(
    r"/(?:bin|condabin)(?:/(?:conda|mamba))?|/etc/(?:profile\.d|fish/conf\.d)/(?:conda|mamba)\.(?:sh|csh|fish)"
)
_WORD = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^\s\"';]+)")
_ROOT = re.compile(r"\s*(?:export |set -gx )?MAMBA_ROOT_PREFIX[ =]")


@dataclass(frozen=True, slots=True)
class Base:
    """An installation, and what it was found by (for people)."""

    path: str
    found_by: str


@dataclass(slots=True)
class Search:
    """One look at one owner; problems are in its ``reader``."""

    surroundings: Surroundings
    reader: Reader
    home: str
    used: list[Candidate] = field(default_factory=list)
    defaults: list[Candidate] = field(default_factory=list)
    left: list[Candidate] = field(default_factory=list)

    def is_folder(self, path: str) -> bool:
        """Whether one can be reached there."""
        status = self.surroundings.files.stat(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def sources(self, base: "Base | None", variables: Condarc) -> tuple[list[Condarc], list[Condarc]]:
        """Of conda, and what mamba reads beside those, each weakest first."""
        root = base.path if base else None
        prefix = self.surroundings.environ.get("CONDA_PREFIX", "") or root
        conda = self.reader.load(search_path(self.surroundings, root, prefix), CONDA_NAMES)
        mamba = self.reader.load(mamba_search_path(self.surroundings, root), MAMBA_NAMES)
        return [*conda, variables], mamba

    def folder(self, text: str, place: str) -> str | None:
        """The path that ``place`` names; ``None`` with a problem when it cannot be known."""
        try:
            return plain_path(text, self.surroundings)
        except ValueError as error:
            self.reader.complain(place, f"{text[:200]!r} {error}")
            return None

    def named(self, item: Item) -> str | None:
        """The same for a value of a condarc, in which variables are expanded."""
        try:
            return self.folder(expand_variables(item.text, self.surroundings), item.place)
        except ValueError as error:
            self.reader.complain(item.place, f"{item.text[:200]!r} {error}")
            return None

    def lines(self, path: str) -> list[str]:
        """Of a text file; none, with a problem unless it is not there, when it cannot be read."""
        try:
            return self.surroundings.files.read_text(path, LIMIT).split("\n")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.reader.complain(path, f"cannot be read ({reason}): conda installations may stay unknown")
            return []


def search_of(surroundings: Surroundings) -> tuple[Search, list[Base], Condarc]:
    """A look at one owner with the installations found, and the variables as a source."""
    search = Search(surroundings, Reader(surroundings), home_of(surroundings))
    variables = _environment(search)
    return search, _first_bases(search, _registered(search)), variables


def locate(surroundings: Surroundings) -> Located:
    """Every package cache that some conda-like tool of this owner may use or has left behind; never raises.

    Candidates: what is configured, then the defaults in force, then what was left behind.
    """
    search = Search(surroundings, Reader(surroundings), home_of(surroundings))
    variables = _environment(search)
    registered = _registered(search)
    bases = _first_bases(search, registered)
    for base in (*bases, None):
        _resolve(search, base, variables)
    environments = _environments(search, [base.path for base in bases], registered, variables)
    _add_own_files(search, environments)
    sources = [*search.reader.known.values(), variables]
    return Located(
        candidates=_candidates(search),
        environments=environments,
        softlinks=tuple(dict.fromkeys(_softlinks(sources))),
        problems=tuple(search.reader.problems),
        strange=tuple(
            strange_key(source.path, key, KEYS) for source in search.reader.known.values() for key in source.strange
        ),
    )


def _environment(search: Search) -> Condarc:
    """The variables as a source; with a word on the files that they name in vain."""
    variables = environment(search.surroundings)
    for problem in variables.problems:
        search.reader.complain(problem.path, problem.reason)
    for name, names in (("CONDARC", CONDA_NAMES), ("MAMBARC", MAMBA_NAMES)):
        text = search.surroundings.environ.get(name, "")
        path = search.named(Item(text, name, name)) if text else None
        if path and not search.is_folder(path) and not is_condarc_name(path, names):
            search.reader.complain(name, f"{path} is ignored by the tool: its name must end in .yml or .yaml")
    return variables


def _candidates(search: Search) -> tuple[Candidate, ...]:
    """Each path once, by its best reason."""
    first: dict[str, Candidate] = {}
    for candidate in (*search.used, *search.defaults, *search.left):
        first.setdefault(candidate.path, candidate)
    if len(first) > MOST_CANDIDATES:
        search.reader.complain(search.home, f"{len(first)} conda caches are named; {MOST_CANDIDATES} are looked at")
    return tuple(first.values())[:MOST_CANDIDATES]


def _softlinks(sources: Iterable[Condarc]) -> Iterator[str]:
    """A switch that another file overrides counts: environments made elsewhere or earlier obeyed it."""
    for source in sources:
        for name in ("always_softlink", "allow_softlinks"):
            switch = source.switches.get(name)
            if switch and switch.value:
                yield switch.source


# --- installations -----------------------------------------------------------------------------------------------


def _first_bases(search: Search, registered: Iterable[str]) -> list[Base]:
    """Each once, by its best reason; not without end, since each has a chain of files to resolve."""
    first: dict[str, Base] = {}
    for base in _bases(search, registered):
        if base.path not in first and len(first) == MOST_BASES:
            search.reader.complain(
                search.home, f"more than {MOST_BASES} conda installations: the others are left out"
            )
            break
        first.setdefault(base.path, base)
    return list(first.values())


def _bases(search: Search, registered: Iterable[str]) -> Iterator[Base]:
    """Installations that exist, the best reason to believe in each first."""
    yield from _bases_of_environment(search)
    for name in _SHELL_FILES:
        path = f"{search.home}/{name}"
        for base in _bases_in_shell_file(search.lines(path)):
            yield from _existing(search, base, path)
    for prefix in registered:
        yield from _base_of_prefix(search, prefix, f"{search.home}/.conda/environments.txt")
    for place in _usual_places(search):
        yield from _existing(search, place, "its usual place")


def _bases_of_environment(search: Search) -> Iterator[Base]:
    environ = search.surroundings.environ
    for name in ("CONDA_ROOT", "MAMBA_ROOT_PREFIX"):
        if environ.get(name):
            yield from _existing(search, environ[name], name)
    executable = re.fullmatch(r"(/.*)/(?:bin|condabin)/conda", environ.get("CONDA_EXE", ""))
    if executable:
        yield from _existing(search, executable[1], "CONDA_EXE")
    if environ.get("CONDA_PREFIX"):
        yield from _base_of_prefix(search, environ["CONDA_PREFIX"], "CONDA_PREFIX")


def _bases_in_shell_file(lines: Iterable[str]) -> Iterator[str]:
    """The paths in the blocks that ``conda init`` and ``mamba shell init`` keep; nothing is run."""
    inside = False
    for line in lines:
        if line.startswith((*_BLOCK_BEGINS, *_BLOCK_ENDS)):
            inside = line.startswith(_BLOCK_BEGINS)
        elif inside:
            yield from _bases_in_line(line)


def _bases_in_line(line: str) -> Iterator[str]:
    words = [next(filter(None, groups), "") for groups in _WORD.findall(line)]
    if _ROOT.match(line):
        roots = [word.removeprefix("MAMBA_ROOT_PREFIX=") for word in words]
        yield from [word for word in roots if word.startswith("/")][:1]
        return
    for part in (part for word in words for part in word.split(":") if part.startswith("/")):
        tail = _TAILS.search(part)
        while tail and tail.end() != len(part):  # a folder named bin on the way
            tail = _TAILS.search(part, tail.start() + 1)
        if tail:
            yield part[: tail.start()]


def _base_of_prefix(search: Search, prefix: str, found_by: str) -> Iterator[Base]:
    """An environment ``<base>/envs/<name>`` tells its base; a base may be listed itself."""
    above, envs, _ = prefix.rstrip("/").rpartition("/envs/")
    if envs:
        yield from _existing(search, above, found_by)
    elif any(search.is_folder(f"{prefix}/{name}") for name in ("pkgs", "envs", "condabin")):
        yield from _existing(search, prefix, found_by)


def _existing(search: Search, text: str, found_by: str) -> Iterator[Base]:
    path = search.folder(text, found_by)
    if path is None or path in (f"{search.home}/.conda", f"{search.home}/.mamba"):
        return  # these hold caches and environments of every base, and are none
    # micromamba's root has no conda-meta before something is installed in it.
    if any(search.is_folder(f"{path}/{name}") for name in ("conda-meta", "pkgs", "envs")):
        yield Base(path, found_by)


def _usual_places(search: Search) -> Iterator[str]:
    yield from (f"{search.home}/{name}" for name in _HOME_PLACES)
    yield f"{search.home}/.local/share/mamba"
    data = search.surroundings.environ.get("XDG_DATA_HOME", "")
    if data.startswith("/"):
        yield f"{data.rstrip('/')}/mamba"
    for folder in (f"{search.home}/opt", "/opt"):
        for name in search.surroundings.files.names(folder):
            if search.is_folder(f"{folder}/{name}/conda-meta"):
                yield f"{folder}/{name}"


# --- package caches ----------------------------------------------------------------------------------------------


def _resolve(search: Search, base: Base | None, variables: Condarc) -> None:
    """What conda (``base/context.py:pkgs_dirs``) and mamba (``fallback_pkgs_dirs_hook``) of one base use."""
    conda, mamba = search.sources(base, variables)
    conda_items = merged(conda)
    # mamba joins the lists of all files and knows no flags; where an item stands does not matter here.
    mamba_items = (*conda_items, *merged(mamba))
    search.used += _named(search, mamba_items)
    if base:
        source = f"default of the base {base.path} (found by {base.found_by})"
        _add_default(search, f"{base.path}/pkgs", source, in_force=not conda_items)
    _add_default(search, f"{search.home}/.conda/pkgs", "default of conda", in_force=not conda_items)
    _add_default(search, f"{search.home}/.mamba/pkgs", "default of mamba", in_force=not mamba_items)


def merged(sources: Iterable[Condarc]) -> tuple[Item, ...]:
    """Of ``pkgs_dirs``, the first that counts first."""
    return merge([source.lists["pkgs_dirs"] for source in sources if "pkgs_dirs" in source.lists])


def _named(search: Search, items: Iterable[Item]) -> Iterator[Candidate]:
    for item in items:
        if path := search.named(item):
            yield Candidate("conda", path, item.source, configured=True)


def _add_default(search: Search, text: str, source: str, *, in_force: bool) -> None:
    path = search.folder(text, search.home)
    if path and in_force:
        search.defaults.append(Candidate("conda", path, source))
    elif path:
        search.left.append(Candidate("conda", path, f"left behind: {path} is no longer in pkgs_dirs"))


def _add_own_files(search: Search, environments: Iterable[str]) -> None:
    """Environments may have a condarc of their own, in force while they are active (``conda config --env``)."""
    for prefix in environments:
        for source in search.reader.load(condarcs_of(prefix), CONDA_NAMES):
            if "pkgs_dirs" in source.lists:
                search.used += _named(search, source.lists["pkgs_dirs"].items)


# --- environments ------------------------------------------------------------------------------------------------


def _registered(search: Search) -> list[str]:
    """The prefixes in ``~/.conda/environments.txt`` (``conda/core/envs_manager.py``), there or not."""
    path = f"{search.home}/.conda/environments.txt"
    lines = [line.strip() for line in search.lines(path)]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) > MOST_ENVIRONMENTS:
        search.reader.complain(path, f"has {len(lines)} lines; those after {MOST_ENVIRONMENTS} are left out")
    prefixes = (search.folder(line, path) for line in lines[:MOST_ENVIRONMENTS])
    return [prefix for prefix in prefixes if prefix]


def _environments(search: Search, bases: list[str], registered: list[str], variables: Condarc) -> tuple[str, ...]:
    """Every prefix that may use packages of a cache and is there now, each once."""
    found: dict[str, None] = {}
    for prefix in _prefixes(search, bases, registered, variables):
        if prefix in found or not search.is_folder(prefix):
            continue
        if len(found) == MOST_ENVIRONMENTS:
            search.reader.complain(
                search.home, f"more than {MOST_ENVIRONMENTS} conda environments: packages in use may look unused"
            )
            break
        found[prefix] = None
    return tuple(found)


def _prefixes(search: Search, bases: list[str], registered: list[str], variables: Condarc) -> Iterator[str]:
    yield from bases
    yield from registered
    if (active := search.surroundings.environ.get("CONDA_PREFIX")) and (
        path := search.folder(active, "CONDA_PREFIX")
    ):
        yield path
    for folder in _environment_folders(search, bases, variables):
        for name in search.surroundings.files.names(folder):
            if path := search.folder(f"{folder}/{name}", folder):
                yield path


def _environment_folders(search: Search, bases: list[str], variables: Condarc) -> Iterator[str]:
    """``base/context.py:mockable_context_envs_dirs``: what is named adds to the fixed ones."""
    yield from (f"{base}/envs" for base in bases)
    yield f"{search.home}/.conda/envs"
    for source in [*search.reader.known.values(), variables]:
        for item in source.lists["envs_dirs"].items if "envs_dirs" in source.lists else ():
            if path := search.named(item):
                yield path
