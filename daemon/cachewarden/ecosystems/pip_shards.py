"""The sharded trees of a pip cache: a few levels of folders named by digits, entries at the bottom.

The folders matter: a small entry occupies more in its folders than in its files, and every one is an inode.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cachewarden.ecosystems.direct_url import Origin
from cachewarden.ecosystems.interpreters import Tag
from cachewarden.ecosystems.known import Known, Settled, mark_of
from cachewarden.ecosystems.pip_names import Named
from cachewarden.ecosystems.trees import Tally, blocks, identity, is_folder, reason, weigh_strangers
from cachewarden.model.caches import Entry, Identity, Kind, Part, Problem, Share
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.model.worth import Facts, Signal
from cachewarden.system.ports import Folder, Node

RANKS = {Kind.DEBRIS: 0, Kind.INDEX: 20, Kind.DOWNLOAD: 40, Kind.BUILT_WHEEL: 60}


@dataclass(slots=True)
class Shard:
    """A folder of the tree, how many entries are below it, and how much else.

    What ``lstat`` said of it is kept in few words: there are more folders than entries. ``size``: that of its blocks.
    """

    path: str
    parent: "Shard | None" = None
    device: int = 0
    inode: int = 0
    size: int = 0
    modified: int = 0
    entries: int = 0
    strangers: int = 0
    _share: Share | None = None

    @property
    def share(self) -> Share:
        """What each of its entries has of it, once all are counted. One object for all of them: they are many."""
        if self._share is None:
            self._share = Share(self.device, self.inode, self.entries, 1, Bytes(self.size))
        return self._share

    @classmethod
    def of(cls, path: str, node: Node, parent: "Shard | None") -> "Shard":
        """The folder that ``node`` is, at ``path``."""
        status = node.stat
        return cls(path, parent, status.st_dev, status.st_ino, blocks(status), status.st_mtime_ns)

    def count(self, *, entries: int = 0, strangers: int = 0) -> None:
        """Adds to this folder and to all above."""
        shard: Shard | None = self
        while shard:
            shard.entries += entries
            shard.strangers += strangers
            shard = shard.parent


@dataclass(slots=True)
class Clues:
    """What was met on the way that tells what an entry is worth (see ``pip_worth``).

    ``cached``: when it came into the cache, in ns; pip writes a body or a wheel once. ``fetch``: bytes that came over
    the wire for it. ``source``: it is an sdist, ``wheel``: a wheel that was downloaded; ``python``: what the index
    says that is for (``cp311``). ``tags`` and ``origin`` are those of a wheel that was built.
    """

    cached: int = 0
    fetch: int | None = None
    source: bool = False
    wheel: bool = False
    python: str | None = None
    tags: tuple[Tag, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """What is known of an entry beside its files."""

    last_used: Instant
    signal: Signal
    facts: Facts


@dataclass(slots=True)
class Draft:
    """An entry in the making: the names at the bottom of ``shard`` that belong together, the one it goes by first.

    ``body``: bytes of the second file, where there is one.
    """

    shard: Shard
    names: tuple[str, ...]
    identity: Identity
    kind: Kind
    body: int | None = None
    tally: Tally = field(default_factory=Tally)
    named: Named = field(default_factory=Named)
    tree: bool = False
    hold: str | None = None
    clues: Clues = field(default_factory=Clues)

    @classmethod
    def of(cls, shard: Shard, nodes: list[Node], kind: Kind) -> "Draft":
        """Of the nodes that belong together; they are still to be counted."""
        body = nodes[1].stat.st_size if len(nodes) > 1 else None
        return cls(shard, tuple(node.name for node in nodes), identity(nodes[0].stat), kind, body)

    @property
    def path(self) -> str:
        """Relative to the cache root."""
        return f"{self.shard.path}/{self.names[0]}".removeprefix("/")

    def entry(self, worth: Worth) -> Entry:
        """The finished entry."""
        alone, shares = self._folders_above()
        folders = sum(shard.size for shard in alone)
        return Entry(
            path=self.path,
            kind=self.kind,
            name=self.named.name,
            version=self.named.version,
            size=Bytes(self.tally.size + folders),
            frees=Bytes(self.tally.frees + folders),
            frees_inodes=Inodes(self.tally.frees_inodes + len(alone)),
            modified=Instant(self.tally.modified),
            last_used=worth.last_used,
            identity=self.identity,
            rank=RANKS[self.kind],
            hold=self.hold,
            parts=self.names[1:],
            tree=self.tree,
            prune=self.shard.path.count("/"),
            shares=self.tally.shares() + shares,
            signal=worth.signal,
            facts=worth.facts,
            own_hold=self.hold,
        )

    def _folders_above(self) -> tuple[list[Shard], tuple[Share, ...]]:
        """Folders with nothing but this entry, and those it shares with others. The top one always stays."""
        alone: list[Shard] = []
        shared: list[Share] = []
        shard: Shard | None = self.shard
        while shard and shard.parent and not shard.strangers:
            if shard.entries == 1:
                alone.append(shard)
            else:
                shared.append(shard.share)
            shard = shard.parent
        return alone, tuple(shared)


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier looks tell of a cache, and what of this one may be told to the next."""

    known: Known
    settled: Settled


Bottom = Callable[[Folder, Shard, list[Node]], list[Node]]
"""Makes drafts of what it knows in a bottom folder and returns the strangers."""


class ShardTree:
    """Walks one tree; ``drafts`` are its entries, ``problems`` what could not be seen.

    A branch of it is one of the folders below its top. One that is as it was known to be is not walked: its entries
    are in ``entries``, and not in ``drafts``. ``parts`` are the branches that the next look may know.
    """

    def __init__(self, levels: int, digits: str, tally: Tally, bottom: Bottom, past: Past) -> None:
        """``levels`` of folders whose names match ``digits``; all that is met is added to ``tally``."""
        self.drafts: list[Draft] = []
        self.entries: list[Entry] = []
        self.parts: list[Part] = []
        self.problems: list[Problem] = []
        self._past = past
        self._met: dict[str, os.stat_result] = {}
        """What the mark of a branch is made of, while it is walked."""
        self._levels = levels
        self._digits = re.compile(digits)
        self._tally = tally
        self._bottom = bottom

    def read(self, cache: Folder, node: Node) -> None:
        """Walks the tree ``node`` in ``cache`` once."""
        self._enter(cache, node, Shard.of(node.name, node, None), 0)

    def draft(self, draft: Draft, node: Node) -> None:
        """Takes an entry up, that goes by the name of ``node``."""
        if _is_met(draft.kind, tree=draft.tree):
            self._met[draft.path] = node.stat
        draft.shard.count(entries=1)
        self.drafts.append(draft)

    def _enter(self, folder: Folder, own: Node, shard: Shard, level: int) -> None:
        if shard.parent:
            self._met[shard.path] = own.stat
        try:
            with folder.folder(own.name) as inner:
                nodes = list(inner.nodes())
                for node in nodes:
                    self._tally.add(node.stat)
                if not nodes and shard.parent:
                    self._empty(own, shard.parent)
                elif level == self._levels:
                    self._strangers(inner, shard, self._bottom(inner, shard, nodes))
                else:
                    self._between(inner, shard, nodes, level)
        except OSError as error:
            shard.count(strangers=1)
            self.problems.append(Problem(f"{folder.path}/{own.name}", reason(error)))

    def _between(self, folder: Folder, shard: Shard, nodes: list[Node], level: int) -> None:
        known = [node for node in nodes if is_folder(node) and self._digits.fullmatch(node.name)]
        for node in known:
            path = f"{shard.path}/{node.name}"
            if level:
                self._enter(folder, node, Shard.of(path, node, shard), level + 1)
            elif not self._is_known(folder, path):
                self._branch(folder, node, Shard.of(path, node, shard))
        if len(known) < len(nodes):
            others = {node.name for node in nodes}.difference(node.name for node in known)
            self._strangers(folder, shard, [node for node in nodes if node.name in others])

    def _is_known(self, top: Folder, path: str) -> bool:
        """Whether a branch is as it was; then its entries are taken from there."""
        part, known = self._past.known.part(path), self._past.known.entries(path)
        if part is None or part.mark != _mark_now(top, path, known):
            return False
        self.entries.extend(known)
        self.parts.append(part)
        self._tally.size += part.size
        return True

    def _branch(self, top: Folder, node: Node, shard: Shard) -> None:
        self._met = {}
        size, problems, drafts = self._tally.size, len(self.problems), len(self.drafts)
        self._enter(top, node, shard, 1)
        own = self.drafts[drafts:]
        if shard.strangers or len(self.problems) > problems or not own:
            return
        # Hard links: what an entry frees changes with names that are elsewhere, of which no folder here tells.
        changed = max(max(each.st_mtime_ns, each.st_ctime_ns) for each in self._met.values())
        if self._past.settled.is_settled(changed) and not any(draft.hold or draft.tally.shared for draft in own):
            mark = mark_of(sorted(self._met.items()))
            self.parts.append(Part(shard.path, mark, Bytes(self._tally.size - size)))

    def _empty(self, own: Node, parent: Shard) -> None:
        """An empty folder is left behind by an old purge: an inode and a block for nothing.

        No ``tree``: it goes only while it is empty.
        """
        draft = Draft.of(parent, [own], Kind.DEBRIS)
        draft.tally.add(own.stat)
        self.draft(draft, own)

    def _strangers(self, folder: Folder, shard: Shard, nodes: list[Node]) -> None:
        """Not ours to remove, yet they occupy the disk and keep their folders."""
        shard.count(strangers=len(nodes))
        self.problems.extend(weigh_strangers(folder, nodes, self._tally))


def _is_met(kind: Kind, *, tree: bool) -> bool:
    """Whether an entry is itself a folder whose change its own times tell, or is a file that may still be written."""
    return tree or kind is Kind.DEBRIS


def _mark_now(top: Folder, branch: str, entries: list[Entry]) -> str:
    """The mark of a branch, by the folders that there must be for its entries; empty when one is gone."""
    paths: set[str] = set()
    for entry in entries:
        path = entry.path if _is_met(entry.kind, tree=entry.tree) else entry.path.rpartition("/")[0]
        while len(path) >= len(branch) and path not in paths:
            paths.add(path)
            path = path.rpartition("/")[0]
    start = branch.index("/") + 1
    try:
        return mark_of([(path, top.status_of(path[start:])) for path in sorted(paths)])
    except OSError:
        return ""


def descend(folder: Folder, path: str) -> Folder:
    """Opens a relative path step by step; the caller closes what it gets."""
    current = folder
    for name in path.split("/"):
        inner = current.folder(name)
        if current is not folder:
            current.__exit__(None, None, None)
        current = inner
    return current
