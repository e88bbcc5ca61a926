"""The environments into which an owner's pip installs, and what was installed there, and when.

pip leaves no sign in its cache that an entry was used: where the mount keeps access times still, what it installed
is the only one. pip's ``operations/install/wheel.py`` (``_install_wheel``) writes every file of a distribution anew,
with the time of day and not that of the archive, and after those ``INSTALLER``, ``direct_url.json`` (PEP 610) and
``RECORD`` into ``<name>-<version>.dist-info``; nothing touches ``INSTALLER`` again. Shown with real pips in
``tests/integration/test_pip_signals.py``.
"""

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from cachewarden.ecosystems import interpreters
from cachewarden.ecosystems.base import Context, Surroundings
from cachewarden.ecosystems.direct_url import Origin, read_origin
from cachewarden.ecosystems.interpreters import Python, python_of_program, python_of_release
from cachewarden.ecosystems.paths import home_of
from cachewarden.ecosystems.pip_names import Named, named_distribution
from cachewarden.ecosystems.venv_search import venvs_below
from cachewarden.model.units import Instant
from cachewarden.system.ports import Files, Folder, Node

MOST_PLACES = 500
"""Environments of one owner that are looked at."""
MOST_DISTRIBUTIONS = 50_000
"""Of one owner, over all environments."""
_MOST_NAMES = 20_000
_LONGEST_INSTALLER = 64
_OWN_INSTALLER = b"pip"


@dataclass(frozen=True, slots=True)
class Install:
    """An installation by pip: when, and from where if it was not an index."""

    at: Instant
    origin: Origin | None = None


class Distribution(NamedTuple):
    """The folder of something installed, and when a name in it last changed."""

    folder: str
    written: Instant


@dataclass(frozen=True, slots=True)
class Site:
    """A ``site-packages`` folder and what is installed in it."""

    path: str
    distributions: Mapping[Named, Distribution]


@dataclass(frozen=True, slots=True)
class Environments:
    """What one look found; ``pythons`` are all interpreters of the machine that this owner's pip may run on.

    ``whole``: the bounds of the search sufficed, so that there are hardly any others.
    """

    sites: tuple[Site, ...] = ()
    pythons: frozenset[Python] = frozenset()
    whole: bool = True

    def has(self, named: Named) -> bool | None:
        """Whether any environment has it now; ``None`` where that cannot be told."""
        if not self.sites or not named.name or not named.version:
            return None
        return any(named in site.distributions for site in self.sites) or (False if self.whole else None)

    def installs(self, files: Files, wanted: Mapping[Named, Instant], now: Instant) -> dict[Named, list[Install]]:
        """Those by pip of what is ``wanted`` that came later than the time that is given with it.

        Each ``site-packages`` is opened once. A time to come counts as ``now``.
        """
        found: dict[Named, list[Install]] = {}
        for site in self.sites:
            # The folder of a distribution is never older than what was put into it.
            later = {
                named: each.folder
                for named, each in site.distributions.items()
                if named in wanted and each.written > wanted[named]
            }
            if not later:
                continue
            with suppress(OSError), files.open_folder(site.path) as folder:
                for named, name in later.items():
                    install = _install(folder, name, now)
                    if install and install.at > wanted[named]:
                        found.setdefault(named, []).append(install)
        return found


def _install(site: Folder, name: str, now: Instant) -> Install | None:
    """``None`` when it was not pip that installed it: uv, conda and Debian have caches of their own."""
    try:
        with site.folder(name) as folder:
            if folder.read("INSTALLER", _LONGEST_INSTALLER).strip() != _OWN_INSTALLER:
                return None
            at = min(folder.node("INSTALLER").stat.st_mtime_ns, now)
            return Install(Instant(at), read_origin(lambda most: folder.read("direct_url.json", most)))
    except OSError:
        return None


def find(context: Context) -> Environments:
    """The environments of an owner; never raises. Asked once per look (``OneLook.once``).

    Only what the owner or root laid the way to is entered; below that no link and no other mount.
    """
    surroundings = context.surroundings
    sites: list[Site] = []
    pythons = set(interpreters.of_programs(surroundings.files, _program_folders(surroundings)))
    pythons.update(_of_releases(surroundings))
    left = MOST_DISTRIBUTIONS
    prefixes, whole = _prefixes(context)
    for prefix in prefixes:
        for python, site in _sites(surroundings.files, prefix, left):
            if python and prefix not in _user_bases(surroundings):
                pythons.add(python)
            if site:
                sites.append(site)
                left -= len(site.distributions)
    return Environments(tuple(sites), frozenset(pythons), whole and left > 0)


def _user_bases(surroundings: Surroundings) -> set[str]:
    """Where ``pip install --user`` puts things (site.py): it has a ``lib/python3.11``, but no interpreter."""
    home = home_of(surroundings)
    named = surroundings.environ.get("PYTHONUSERBASE", "")
    return {surroundings.files.real_path(path) for path in (f"{home}/.local", named) if path.startswith("/")}


def _prefixes(context: Context) -> tuple[list[str], bool]:
    """Every environment once, links resolved; and whether these are all that the search could have found."""
    surroundings = context.surroundings
    found: dict[str, None] = {}
    for path in _named_places(context):
        if len(found) >= MOST_PLACES:
            break
        with suppress(OSError, ValueError):
            found[surroundings.files.trusted_path(path)] = None
    try:
        home = surroundings.files.trusted_path(home_of(surroundings))
    except (OSError, ValueError):
        return list(found), False
    venvs = venvs_below(surroundings.files, home, found)
    found.update(dict.fromkeys(venvs.paths))
    return list(found)[:MOST_PLACES], venvs.whole and len(found) <= MOST_PLACES


def _named_places(context: Context) -> Iterator[str]:
    surroundings = context.surroundings
    home, environ, files = home_of(surroundings), surroundings.environ, surroundings.files
    yield from sorted(_user_bases(surroundings))
    if surroundings.owner.uid == 0:
        yield "/usr/local"  # Debian's pip installs there as root, into dist-packages
    yield from context.look.environments
    parents = (
        environ.get("PYENV_ROOT", f"{home}/.pyenv") + "/versions",
        environ.get("WORKON_HOME", f"{home}/.virtualenvs"),
        environ.get("PIPX_HOME", f"{home}/.local/share/pipx") + "/venvs",
        f"{home}/.local/pipx/venvs",
        f"{home}/.local/share/virtualenvs",
        f"{home}/.cache/pypoetry/virtualenvs",
    )
    for parent in dict.fromkeys(parents):
        if parent.startswith("/"):
            yield from (f"{parent}/{name}" for name in files.names(parent)[:MOST_PLACES])


def _program_folders(surroundings: Surroundings) -> list[str]:
    """Where this owner's commands are: uv puts ``python3.12`` into ``~/.local/bin``."""
    home = home_of(surroundings)
    named = surroundings.environ.get("PATH", "").split(":")
    return [f"{home}/.local/bin", f"{home}/bin", *(path for path in named if path.startswith("/"))]


def _of_releases(surroundings: Surroundings) -> Iterator[Python]:
    """Interpreters whose folders are named by their release: those of asdf and of uv; pyenv's are environments."""
    home = home_of(surroundings)
    for parent in (f"{home}/.asdf/installs/python", f"{home}/.local/share/uv/python"):
        for name in surroundings.files.names(parent)[:MOST_PLACES]:
            if python := python_of_release(name):
                yield python


def _sites(files: Files, prefix: str, left: int) -> Iterator[tuple[Python | None, Site | None]]:
    """``lib/python3.11/site-packages`` and the like of a prefix; ``lib64`` is another folder on some systems."""
    for library in ("lib", "lib64"):
        try:
            with files.open_folder(f"{prefix}/{library}") as folder:
                named = [node.name for node in islice(folder.nodes(), _MOST_NAMES) if _is_python(node)]
                for name in named:
                    yield python_of_program(name), _site(folder, name, f"{prefix}/{library}/{name}", left)
        except OSError:
            continue


def _is_python(node: Node) -> bool:
    return stat.S_ISDIR(node.stat.st_mode) and python_of_program(node.name) is not None


def _site(library: Folder, python: str, path: str, left: int) -> Site | None:
    with suppress(OSError), library.folder(python) as folder:
        for name in ("site-packages", "dist-packages"):
            with suppress(OSError), folder.folder(name) as site:
                found = islice(_distributions(islice(site.nodes(), _MOST_NAMES)), max(0, left))
                return Site(f"{path}/{name}", dict(found))
    return None


def _distributions(nodes: Iterable[Node]) -> Iterator[tuple[Named, Distribution]]:
    for node in nodes:
        if stat.S_ISDIR(node.stat.st_mode) and (named := named_distribution(node.name)):
            yield named, Distribution(node.name, Instant(node.stat.st_mtime_ns))
