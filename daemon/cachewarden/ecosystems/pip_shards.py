"""The sharded trees of a pip cache: a few levels of folders named by digits, entries at the bottom.

The folders matter: a small entry occupies more in its folders than in its files, and every one is an inode.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cachewarden.ecosystems.direct_url import Origin
from cachewarden.ecosystems.interpreters import Tag
from cachewarden.ecosystems.pip_names import Named
from cachewarden.ecosystems.trees import Tally, blocks, identity, is_folder, reason, weigh_strangers
from cachewarden.model.caches import Entry, Kind, Problem, Share
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.model.worth import Facts, Signal
from cachewarden.system.ports import Folder, Node

RANKS = {Kind.DEBRIS: 0, Kind.INDEX: 20, Kind.DOWNLOAD: 40, Kind.BUILT_WHEEL: 60}


@dataclass(slots=True)
class Shard:
    """A folder of the tree, how many entries are below it, and how much else."""

    path: str
    node: Node
    parent: "Shard | None"
    entries: int = 0
    strangers: int = 0

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
    """An entry in the making: the nodes at the bottom of ``shard`` that belong together."""

    shard: Shard
    nodes: list[Node]
    kind: Kind
    tally: Tally = field(default_factory=Tally)
    named: Named = field(default_factory=Named)
    tree: bool = False
    hold: str | None = None
    clues: Clues = field(default_factory=Clues)

    @property
    def path(self) -> str:
        """Relative to the cache root."""
        return f"{self.shard.path}/{self.nodes[0].name}".removeprefix("/")

    def entry(self, worth: Worth) -> Entry:
        """The finished entry."""
        alone, shares = self._folders_above()
        folders = sum(blocks(shard.node.stat) for shard in alone)
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
            identity=identity(self.nodes[0].stat),
            rank=RANKS[self.kind],
            hold=self.hold,
            parts=tuple(node.name for node in self.nodes[1:]),
            tree=self.tree,
            prune=self.shard.path.count("/"),
            shares=self.tally.shares() + shares,
            signal=worth.signal,
            facts=worth.facts,
        )

    def _folders_above(self) -> tuple[list[Shard], tuple[Share, ...]]:
        """Folders with nothing but this entry, and those it shares with others. The top one always stays."""
        alone: list[Shard] = []
        shared: list[Share] = []
        shard: Shard | None = self.shard
        while shard and shard.parent and not shard.strangers:
            status = shard.node.stat
            if shard.entries == 1:
                alone.append(shard)
            else:
                shared.append(Share(status.st_dev, status.st_ino, shard.entries, 1, Bytes(blocks(status))))
            shard = shard.parent
        return alone, tuple(shared)


Bottom = Callable[[Folder, Shard, list[Node]], list[Node]]
"""Makes drafts of what it knows in a bottom folder and returns the strangers."""


class ShardTree:
    """Walks one tree; ``drafts`` are its entries, ``problems`` what could not be seen."""

    def __init__(self, levels: int, digits: str, tally: Tally, bottom: Bottom) -> None:
        """``levels`` of folders whose names match ``digits``; all that is met is added to ``tally``."""
        self.drafts: list[Draft] = []
        self.problems: list[Problem] = []
        self._levels = levels
        self._digits = re.compile(digits)
        self._tally = tally
        self._bottom = bottom

    def read(self, cache: Folder, node: Node) -> None:
        """Walks the tree ``node`` in ``cache`` once."""
        self._enter(cache, Shard(node.name, node, None), 0)

    def draft(self, draft: Draft) -> None:
        """Takes an entry up."""
        draft.shard.count(entries=1)
        self.drafts.append(draft)

    def _enter(self, folder: Folder, shard: Shard, level: int) -> None:
        try:
            with folder.folder(shard.node.name) as inner:
                nodes = list(inner.nodes())
                for node in nodes:
                    self._tally.add(node.stat)
                if not nodes and shard.parent:
                    self._empty(shard)
                elif level == self._levels:
                    self._strangers(inner, shard, self._bottom(inner, shard, nodes))
                else:
                    self._between(inner, shard, nodes, level)
        except OSError as error:
            shard.count(strangers=1)
            self.problems.append(Problem(f"{folder.path}/{shard.node.name}", reason(error)))

    def _between(self, folder: Folder, shard: Shard, nodes: list[Node], level: int) -> None:
        known = [node for node in nodes if is_folder(node) and self._digits.fullmatch(node.name)]
        for node in known:
            self._enter(folder, Shard(f"{shard.path}/{node.name}", node, shard), level + 1)
        if len(known) < len(nodes):
            self._strangers(folder, shard, [node for node in nodes if node not in known])

    def _empty(self, shard: Shard) -> None:
        """An empty folder is left behind by an old purge: an inode and a block for nothing.

        No ``tree``: it goes only while it is empty.
        """
        if shard.parent:
            draft = Draft(shard.parent, [shard.node], Kind.DEBRIS)
            draft.tally.add(shard.node.stat)
            self.draft(draft)

    def _strangers(self, folder: Folder, shard: Shard, nodes: list[Node]) -> None:
        """Not ours to remove, yet they occupy the disk and keep their folders."""
        shard.count(strangers=len(nodes))
        self.problems.extend(weigh_strangers(folder, nodes, self._tally))


def descend(folder: Folder, path: str) -> Folder:
    """Opens a relative path step by step; the caller closes what it gets."""
    current = folder
    for name in path.split("/"):
        inner = current.folder(name)
        if current is not folder:
            current.__exit__(None, None, None)
        current = inner
    return current
