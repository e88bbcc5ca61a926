"""What is in a package cache of conda, mamba and micromamba, and when a part of it may go."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from cachewarden.ecosystems.base import NO_ENTRY, Context, Guard, Measured
from cachewarden.ecosystems.conda_entries import PackagesFolder, is_package
from cachewarden.ecosystems.conda_shape import is_an_entry
from cachewarden.ecosystems.conda_use import Use
from cachewarden.ecosystems.conda_worth import Links, Worth, addresses
from cachewarden.ecosystems.known import Known, Settled
from cachewarden.ecosystems.linked import LinkTable
from cachewarden.ecosystems.trees import DEEPEST, Tally, TooDeepError, blocks, reason
from cachewarden.model.caches import Cache, Entry, Kind, MeasuredCache, Problem
from cachewarden.model.units import Bytes
from cachewarden.system.ports import Folder, Listed

OPENED = "a process has it open"
MOST_KEPT = 5000
"""Names of one package that are kept for its removal: some 4 MB. Larger packages are listed once more."""


def measure(cache: Cache, folder: Folder, context: Context, known: Known) -> Measured:
    """All entries, with the reasons why packages in use must stay."""
    use = Use(cache, context)
    reader = PackagesFolder(known, use.users, Settled(context.now))
    reader.read(folder)
    if reader.known_before() and reader.has_strange_links(use.recorded):
        reader = PackagesFolder(None, use.users, Settled(context.now))
        reader.read(folder)
    busy = use.busy() or _locked(reader.lock_files, context)
    worth = Worth(addresses(folder), Links(cache, context, reader.distributions()))
    entries = tuple(_with_hold(entry, use, busy) for entry in reader.entries(worth))
    status = folder.stat()
    size = Bytes(reader.size + blocks(status))
    measured = MeasuredCache(cache, status.st_dev, size, entries, parts=tuple(reader.parts(entries)))
    problems = (*reader.problems, *_softlink_problems(use, cache, entries))
    return Measured(measured, problems, reader.known_before())


def guard(cache: Cache, context: Context) -> Guard:
    """Looks again for a running tool, and for new links to a package, before it goes."""
    use, links = Use(cache, context), _Links()

    def ask(root: Folder, parent: Folder, entry: Entry) -> str | Listed | None:
        if not is_an_entry(entry):
            return NO_ENTRY
        if entry.leftover or entry.kind is Kind.LOG:
            return None
        if busy := use.busy() or _locked(_lock_inodes(root, parent, entry), context):
            return busy
        if entry.kind is Kind.PACKAGE:
            return _package_use(use, entry) or links.look(root, parent, entry)
        return OPENED if entry.kind is Kind.DEBRIS and use.open_in_it(entry.path) else None

    return ask


def busy(cache: Cache, context: Context) -> str | None:
    """A running tool, or a lock that is held anywhere in the cache."""
    return Use(cache, context).busy() or _locked(_locks_in(cache, context), context)


def _locks_in(cache: Cache, context: Context) -> list[int]:
    """Of every file that a tool may lock: see ``_lock_inodes``; rattler has ``.cache.lock``."""
    files = context.surroundings.files
    paths = (f"{folder}/{name}" for folder in (cache.path, f"{cache.path}/cache") for name in files.names(folder))
    found = (files.stat(path) for path in paths if path.endswith((".lock", ".partial", ".info.json")))
    return [status.st_ino for status in found if status]


def _with_hold(entry: Entry, use: Use, busy: str | None) -> Entry:
    hold = entry.hold
    if entry.leftover or entry.kind is Kind.LOG:
        return entry
    if busy:
        hold = busy
    elif entry.kind is Kind.PACKAGE:
        # The name of the environment says more than a number of links.
        hold = _package_use(use, entry, skip_links=hold is not None) or hold
    elif entry.kind is Kind.DEBRIS and use.open_in_it(entry.path):
        hold = OPENED
    return replace(entry, hold=hold) if hold != entry.hold else entry


def _package_use(use: Use, entry: Entry, *, skip_links: bool = False) -> str | None:
    recorded = use.recorded(entry.path.rpartition("/")[2])
    if recorded or skip_links:
        return recorded
    return use.linked(entry.path) or use.unprovable()


def _locked(inodes: list[int], context: Context) -> str | None:
    if inodes and context.processes.locked_inodes().intersection(inodes):
        return "a tool holds a lock in this cache"
    return None


def _lock_inodes(root: Folder, parent: Folder, entry: Entry) -> list[int]:
    """Locks that concern an entry, as they are now: mamba makes its lock file anew for each transaction.

    mamba locks ``<root>/<name of root>.lock`` and ``cache/cache.lock`` (``core/util.cpp``), conda the index files and
    partial downloads themselves (``gateways/disk/lock.py``).
    """
    own = [(root, f"{root.path.rstrip('/').rpartition('/')[2]}.lock")]
    if entry.kind in {Kind.INDEX, Kind.DEBRIS}:
        own += [(parent, name) for name in (entry.path.rpartition("/")[2], *entry.parts, "cache.lock")]
    found: list[int] = []
    for folder, name in own:
        try:
            found.append(folder.node(name).stat.st_ino)
        except OSError:
            continue
    return found


class _Links:
    """Link counts as they are now: an environment made after the measurement shows in them."""

    def __init__(self) -> None:
        self._whole: LinkTable | None = None

    def look(self, root: Folder, parent: Folder, entry: Entry) -> str | Listed | None:
        """Why it stays: names outside of the package and of the whole cache are an environment's.

        Else what is in it, where that is not too much.
        """
        tally, listing = Tally(), Listing()
        try:
            with parent.folder(entry.path.rpartition("/")[2]) as folder:
                if not is_package(folder):
                    return NO_ENTRY
                listed = listing.of(folder, tally)
        except OSError as error:
            return f"it cannot be seen whole: {reason(error)}"
        outside = [key for key, links in tally.shared.items() if links.met < links.needed]
        if not outside:
            return listed
        # Seldom: packages of one cache share files. Then all of the cache has to be counted.
        if self._whole is None:
            whole = PackagesFolder()
            whole.read(root)
            self._whole = whole.links
        met = self._whole.met(outside)
        if any(tally.shared[key].needed > met.get(key, 0) for key in outside):
            return "in use: it was linked into an environment since it was measured"
        self._whole = None  # names go with the package: the next one that shares is counted anew
        return listed


class Listing:
    """A survey of a package that keeps the names that it meets, so that its removal need not list them again."""

    def __init__(self) -> None:
        self._room = MOST_KEPT

    def of(self, folder: Folder, tally: Tally, depth: int = 0) -> Listed | None:
        """What is in an open folder, all of it counted; ``None`` where it was too much to keep.

        Raises as ``survey``.
        """
        if depth > DEEPEST:
            raise TooDeepError(errno.ELOOP, f"deeper than {DEEPEST} levels", folder.path)
        found = folder.nodes()
        nodes = list(islice(found, self._room + 1))
        self._room -= len(nodes)
        folders = tally.add_all(nodes)
        if self._room < 0:  # counted as they come: a folder may hold millions
            nodes = []
            folders += tally.add_all(found)
            self._room = -1
        inner: dict[str, Listed] = {}
        for name in folders:
            with folder.folder(name) as each:
                listed = self.of(each, tally, depth + 1)
            if listed:
                inner[name] = listed
        return Listed(nodes, inner) if self._room >= 0 else None


def _softlink_problems(use: Use, cache: Cache, entries: tuple[Entry, ...]) -> Iterator[Problem]:
    why = use.unprovable()
    count = sum(entry.kind is Kind.PACKAGE and entry.hold == why for entry in entries)
    if why and count:
        yield Problem(cache.path, f"{count} packages are kept: {why}")
