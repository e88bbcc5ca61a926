"""condarc files: what they say of caches, environments and links, and which of them wins.

The rules are conda's ``conda/common/configuration.py`` and ``conda/base/constants.py:SEARCH_PATH`` and libmamba's
``src/api/configuration.cpp``. The text may be hostile: it is only composed to nodes, nothing is constructed from it,
aliases are never expanded, and whatever is wrong becomes a ``Problem`` that names the file.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.conda_keys import KEYS, MAMBA_KEYS
from cachewarden.ecosystems.paths import home_of, plain_path
from cachewarden.model.caches import Problem

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

LIMIT = 256 * 1024
"""Bytes of all condarcs of one look: composing this much hostile YAML takes 4 s and 80 MiB on a fast machine."""

MOST_PROBLEMS = 200
_MOST_STRANGE = 20

CONDA_NAMES = frozenset((".condarc", "condarc"))
MAMBA_NAMES = CONDA_NAMES | {".mambarc", "mambarc"}

_LISTS = {"pkgs_dirs": "pkgs_dirs", "envs_dirs": "envs_dirs", "envs_path": "envs_dirs"}
_SWITCHES = {name: name for name in ("always_softlink", "allow_softlinks", "always_copy")}
_SWITCHES |= {"softlink": "always_softlink", "copy": "always_copy"}
# conda/base/context.py: lists are split at commas, environment folders at os.pathsep.
_DELIMITERS = {"pkgs_dirs": ",", "envs_dirs": ":"}
_TRUE = frozenset(("true", "yes", "on", "y"))
_FALSE = frozenset(("false", "off", "n", "no", "non", "none", "", "null", "~"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)
_COMMENT = re.compile(r"(?:^|\s)(#.*)")
_LINE_END = re.compile(r"[\r\n\x85\u2028\u2029]")


class Flag(StrEnum):
    """Comments that change the order of a merge: ``#!final`` on a key, the others on an item."""

    FINAL = "final"
    TOP = "top"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a list, as written. ``place`` is the file or the variable, ``source`` names it for people."""

    text: str
    place: str
    source: str
    flag: Flag | None = None


@dataclass(frozen=True, slots=True)
class ListSetting:
    """A list in one source; ``final`` shuts out every stronger source."""

    items: tuple[Item, ...]
    final: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """A boolean in one source."""

    value: bool
    source: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Condarc:
    """One source: ``pkgs_dirs``, ``envs_dirs``; ``always_softlink``, ``allow_softlinks``, ``always_copy``.

    ``strange``: keys that neither conda nor mamba knows. Not ``readable``: what it says cannot be known.
    """

    path: str
    lists: Mapping[str, ListSetting] = field(default_factory=dict)
    switches: Mapping[str, Switch] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    strange: tuple[str, ...] = ()
    readable: bool = True


@dataclass(slots=True)
class Reader:
    """Reads each file once, however many bases share it; collects each problem once, in the order found."""

    surroundings: Surroundings
    problems: dict[Problem, None] = field(default_factory=dict)
    known: dict[str, Condarc] = field(default_factory=dict)
    budget: int = LIMIT

    def complain(self, place: str, reason: str) -> None:
        """Adds a problem unless it is known, or there are so many that more would tell nobody anything."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.setdefault(Problem(place, reason))

    def load(self, entries: Iterable[str], names: frozenset[str]) -> list[Condarc]:
        """The files that the entries of a search path mean, weakest first, each at its first place only."""
        paths = dict.fromkeys(path for entry in entries for path in self._files(entry, names))
        return [self._read(path) for path in paths]

    def _files(self, entry: str, names: frozenset[str]) -> Iterator[str]:
        """``Configuration._expand_search_path``: any entry may be a file or a folder of YAML files."""
        mode = self._mode(entry)
        if stat.S_ISREG(mode) and is_condarc_name(entry, names):
            yield entry
        elif stat.S_ISDIR(mode):
            inside = (f"{entry}/{name}" for name in self.surroundings.files.names(entry) if _is_yaml(name))
            yield from (path for path in inside if stat.S_ISREG(self._mode(path)))

    def _mode(self, path: str) -> int:
        status = self.surroundings.files.stat(path)
        return status.st_mode if status else 0

    def _read(self, path: str) -> Condarc:
        if path not in self.known:
            self.known[path] = self._parse(path)
            for problem in self.known[path].problems:
                self.complain(problem.path, problem.reason)
        return self.known[path]

    def _parse(self, path: str) -> Condarc:
        try:
            text = self.surroundings.files.read_text(path, self.budget)
        except (FileNotFoundError, NotADirectoryError):
            return Condarc(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problem = Problem(path, f"conda's configuration cannot be read ({reason})")
            return Condarc(path, problems=(problem,), readable=False)
        self.budget -= len(text)
        return parse(path, text)


def expand_variables(text: str, surroundings: Surroundings) -> str:
    """``os.path.expandvars`` with the owner's variables; ``ValueError`` for one that is not known here."""
    owner = surroundings.owner
    known = {"HOME": owner.home, "USER": owner.name, "LOGNAME": owner.name, **surroundings.environ}

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2] or ""
        if name not in known:
            raise ValueError(f"uses ${name}, which is not set here")
        return known[name]

    return _VARIABLE.sub(value, text)


def condarcs_of(folder: str) -> tuple[str, str, str]:
    """The three places for configuration in a folder, weakest first."""
    folder = folder.rstrip("/")
    return f"{folder}/.condarc", f"{folder}/condarc", f"{folder}/condarc.d"


def search_path(surroundings: Surroundings, base: str | None, prefix: str | None) -> tuple[str, ...]:
    """conda's, weakest first (``base/constants.py``). ``prefix`` is the environment that a command works on."""
    home, environ = home_of(surroundings), surroundings.environ
    folders = ["/etc/conda", "/var/lib/conda", base, _config_home(environ), f"{home}/.config/conda", f"{home}/.conda"]
    entries = [entry for folder in folders if folder for entry in condarcs_of(folder)]
    entries.append(f"{home}/.condarc")
    entries.extend(condarcs_of(prefix) if prefix else ())
    entries.extend(_named(surroundings, "CONDARC"))
    return tuple(dict.fromkeys(entries))


def mamba_search_path(surroundings: Surroundings, root: str | None) -> tuple[str, ...]:
    """What libmamba reads beside conda's files (``compute_default_rc_sources``), weakest first."""
    home = home_of(surroundings)
    folder = (surroundings.environ.get("XDG_CONFIG_HOME") or f"{home}/.config").rstrip("/")
    system = ["/etc/conda/.mambarc", "/var/lib/conda/.mambarc", *([f"{root}/.mambarc"] if root else [])]
    places, names = (f"{folder}/mamba", f"{home}/.mamba"), (".mambarc", "mambarc", "mambarc.d")
    user = [f"{place}/{name}" for place in places for name in names]
    return tuple(dict.fromkeys([*system, *user, f"{home}/.mambarc", *_named(surroundings, "MAMBARC")]))


def environment(surroundings: Surroundings) -> Condarc:
    """``CONDA_*`` and ``MAMBA_*`` variables: the strongest source, which ``#!final`` in a file still shuts out."""
    lists: dict[str, ListSetting] = {}
    switches: dict[str, Switch] = {}
    problems: list[Problem] = []
    for name, value in surroundings.environ.items():
        key = name[6:].lower() if name.startswith(("CONDA_", "MAMBA_")) else ""
        source = f"{name} in the environment"
        if key in _LISTS and name.startswith("CONDA_"):
            words = (word.strip() for word in value.split(_DELIMITERS[_LISTS[key]]))
            before = lists.get(_LISTS[key], ListSetting(()))
            items = tuple(Item(word, name, source) for word in words if word)
            lists[_LISTS[key]] = ListSetting(before.items + items)
        elif key in _SWITCHES:
            try:
                switches[_SWITCHES[key]] = Switch(_boolean(value), source)
            except ValueError as error:
                problems.append(Problem(name, f"{value!r} {error}"))
    return Condarc("environment", lists, switches, tuple(problems))


def merge(settings: Sequence[ListSetting]) -> tuple[Item, ...]:
    """``SequenceLoadedParameter.merge``: all sources from weakest to strongest, up to the first that is final."""
    end = next((place + 1 for place, setting in enumerate(settings) if setting.final), len(settings))
    relevant = settings[:end]
    top = [item for setting in relevant for item in setting.items if item.flag is Flag.TOP]
    bottom = [item for setting in reversed(relevant) for item in setting.items if item.flag is Flag.BOTTOM]
    every = [item for setting in reversed(relevant) for item in setting.items]
    front = _unique([*top, *every])
    # Reversed twice: of an item that is marked bottom the last place counts.
    return tuple(reversed(_unique([*reversed(bottom), *reversed(front)])))


def parse(path: str, text: str) -> Condarc:
    """What a file says. A wrong value is a problem and left out, the rest still counts; never an exception."""
    try:
        root = _compose(text)
    except ValueError as error:
        return Condarc(path, problems=(Problem(path, str(error)),), readable=False)
    return _Reading(path, text).run(root) if root else Condarc(path)


def _compose(text: str) -> "MappingNode | None":
    """The top mapping, ``None`` for an empty file; ``ValueError`` with the reason for anything else."""
    import yaml

    try:
        # BaseLoader resolves nothing: texts stay texts, and no tag can ask for a type.
        root: Node | None = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        summary = " ".join(str(getattr(error, "problem", None) or error).split())[:300]
        raise ValueError(f"is no valid YAML{line}, conda ignores it or stops: {summary}") from None
    except RecursionError:
        raise ValueError("is nested too deeply to be configuration") from None
    except (ValueError, OverflowError, IndexError) as error:  # escapes and versions out of range
        raise ValueError(f"is no valid YAML: {error}") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value in _NULL):
        return None
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("must hold keys and values: conda stops at it")
    return root


@dataclass(slots=True)
class _Reading:
    """One file being read."""

    path: str
    text: str
    lists: dict[str, ListSetting] = field(default_factory=dict)
    switches: dict[str, Switch] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def run(self, root: "MappingNode") -> Condarc:
        seen: set[str] = set()
        for key, value in root.value:
            name = key.value if isinstance(key.value, str) else ""
            meaning = _LISTS.get(name) or _SWITCHES.get(name) or name
            if meaning and meaning in seen:
                self._complain(f"{name} is given twice: conda stops; the last one is used here")
            seen.add(meaning)
            if name in _LISTS:
                self._list(name, key, value)
            elif name in _SWITCHES:
                self._switch(name, value)
            elif name and name not in KEYS and name not in MAMBA_KEYS:
                self.strange.append(name)
        strange = tuple(self.strange[:_MOST_STRANGE])
        return Condarc(self.path, self.lists, self.switches, tuple(self.problems), strange)

    def _complain(self, reason: str) -> None:
        self.problems.append(Problem(self.path, reason))

    def _list(self, name: str, key: "Node", value: "Node") -> None:
        from yaml import SequenceNode

        if isinstance(value.value, str) and _text(value) is None:
            return
        if not isinstance(value, SequenceNode):
            self._complain(f"{name} must be a list: conda stops")
            return
        source = f"{name} in {self.path}"
        items = []
        for node in value.value:
            text = _text(node)
            if text is None:
                self._complain(f"{name}: an item that is no text is left out")
            else:
                items.append(Item(text, self.path, source, None if value.flow_style else self._flag(node)))
        final = self._flag(value if value.flow_style else key) is Flag.FINAL
        self.lists[_LISTS[name]] = ListSetting(tuple(items), final)

    def _switch(self, name: str, value: "Node") -> None:
        try:
            word = value.value if isinstance(value.value, str) else "a collection"
            setting = Switch(_boolean(word), f"{name} in {self.path}", self._flag(value) is Flag.FINAL)
        except ValueError as error:
            self._complain(f"{name} {error}")
        else:
            self.switches[_SWITCHES[name]] = setting

    def _flag(self, node: "Node") -> Flag | None:
        """The comment behind a node, on the line where it ends (``ParameterFlag.from_string``)."""
        tail = _LINE_END.split(self.text[node.end_mark.index : node.end_mark.index + 400], maxsplit=1)[0]
        comment = _COMMENT.search(tail)
        word = comment[1].strip().strip("!#") if comment else ""
        return Flag(word) if word in tuple(Flag) else None


def _boolean(text: str) -> bool:
    """``conda/auxlib/type_coercion.py:boolify``."""
    word = text.strip().lower().replace(".", "", 1)
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    try:
        return bool(complex(word))
    except ValueError:
        raise ValueError("is neither true nor false: conda stops") from None


def _text(node: "Node") -> str | None:
    """A scalar's text; ``None`` for null and for collections."""
    from yaml import ScalarNode

    if not isinstance(node, ScalarNode) or (node.style is None and node.value in _NULL):
        return None
    return str(node.value)


def is_condarc_name(path: str, names: frozenset[str]) -> bool:
    """Whether the tool reads a file of this name at all; others it passes over in silence."""
    name = os.path.basename(path)
    return name in names or _is_yaml(name)


def _is_yaml(name: str) -> bool:
    """``pathlib`` sees a suffix only behind a name: ``.yml`` has none."""
    return os.path.splitext(name)[1] in (".yml", ".yaml")


def _config_home(environ: Mapping[str, str]) -> str | None:
    folder = environ.get("XDG_CONFIG_HOME", "")
    return f"{folder.rstrip('/')}/conda" if folder.startswith("/") else None


def _named(surroundings: Surroundings, variable: str) -> tuple[str, ...]:
    """The file that a variable names; a relative one cannot be found from here."""
    try:
        return (plain_path(expand_variables(surroundings.environ.get(variable, ""), surroundings), surroundings),)
    except ValueError:
        return ()


def _unique(items: Iterable[Item]) -> list[Item]:
    first: dict[str, Item] = {}
    for item in items:
        first.setdefault(item.text, item)
    return list(first.values())
