"""Reading a conda package cache: flat as conda keeps it, or nested as mamba >= 2.6 does."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cachewarden.ecosystems.conda import SCHEMES
from cachewarden.ecosystems.conda_worth import NOWHERE, Origin, Worth, distribution_of, origin_of
from cachewarden.ecosystems.known import Known, Settled, mark_of
from cachewarden.ecosystems.linked import LinkTable, Unmet
from cachewarden.ecosystems.trees import (
    Tally,
    identity,
    is_file,
    is_folder,
    reason,
    survey,
    tolerant_size,
    weigh_strangers,
)
from cachewarden.model.caches import ARCHIVE_ENDINGS, TRASH, Entry, Kind, Part, Problem
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.model.worth import Facts, Regain
from cachewarden.system.ports import Folder, Node

DEBRIS_ENDINGS = (".partial", ".c~", ".conda_trash")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!~-]{0,199}")
_DISTRIBUTION = re.compile(r"(?P<name>[^/]+)-(?P<version>[^-/]+)-(?P<build>[^-/]+)")
_INDEX_FILE = re.compile(
    r"(?P<key>[0-9a-f]{8})(\.info)?(\.json|\.msgpack\.zst|\.state\.json|\.solv|\.json\.zst|\.jlap)"
)
_SHARDS = "repodata_shards.db"
DEEPEST_CHANNEL = 8
_LONGEST_RECORD = 1 << 20
RANK_STANDING_TARBALL = 30
"""Its extracted folder stands: conda does without it."""
_PACKED = {Kind.TARBALL, Kind.PACKAGE}
RANKS = {Kind.DEBRIS: 0, Kind.LOG: 10, Kind.INDEX: 20, Kind.TARBALL: 40, Kind.PACKAGE: 50}
Users = Callable[[str], str]
Names = Mapping[str, Node]
"""What is in one folder."""


@dataclass(slots=True)
class Draft:
    """An entry in the making."""

    path: str
    kind: Kind
    nodes: list[Node]
    tally: Tally = field(default_factory=Tally)
    name: str | None = None
    version: str | None = None
    accessed: int = 0
    written: int = 0
    tree: bool = False
    leftover: bool = False
    hold: str | None = None
    origin: Origin = NOWHERE
    unmet: tuple[Unmet, ...] = ()
    mark: str = ""
    has_record: bool = False
    """``repodata_record.json``, which tools write when all else is unpacked."""
    known: Entry | None = None
    """As it was found before, when nothing about it has changed; then it has not been looked at."""

    @property
    def distribution(self) -> str:
        """``name-version-build`` of a package or tarball."""
        return distribution_of(self.path.rpartition("/")[2])


class PackagesFolder:
    """Reads one cache root; ``drafts`` and ``problems`` are filled by ``read``."""

    def __init__(
        self, known: Known | None = None, users: Users = lambda _: "", settled: Settled | None = None
    ) -> None:
        """Packages and archives that are as they were ``known`` to be are not walked again.

        ``users`` tells in one word which environments record a distribution: with them link counts change, of which
        no folder tells. What is not ``settled`` is not known the next time.
        """
        self.drafts: list[Draft] = []
        self.problems: list[Problem] = []
        self.lock_files: list[int] = []
        """Inodes whose lock means that a tool is at work (mamba's, conda's of its index)."""
        self.links = LinkTable()
        self.size = 0
        """Bytes of all that was met, each inode once. Those of the root are the caller's to add."""
        self._known = known or Known(None)
        self._users = users
        self._settled = settled or Settled(0)
        self._rest = Tally()
        """What belongs to no entry."""

    def read(self, folder: Folder) -> None:
        """Walks everything once that is not known."""
        self._level(folder, "", 0)
        self.links.take(self._rest)
        self.size += self._rest.size - self.links.overlap()

    def _level(self, folder: Folder, path: str, depth: int) -> None:
        nodes = list(folder.nodes())
        names = {node.name: node for node in nodes}
        for node in nodes:
            below = f"{path}/{node.name}" if path else node.name
            try:
                if is_file(node):
                    self._file(node, below, names)
                elif not is_folder(node):
                    self._rest.add(node.stat)
                elif not self._is_known(node, below, Kind.PACKAGE, names):
                    self._folder(folder, node, below, depth, names)
            except OSError as error:
                self.problems.append(Problem(f"{folder.path}/{node.name}", reason(error)))

    def _mark(self, node: Node, names: Names) -> str:
        """Changes with what can change about an entry without its folder: its partner, and who is linked to it."""
        distribution = distribution_of(node.name)
        partners = (distribution, *_archives_of(distribution))
        there = [("", node.stat), *((each, names[each].stat) for each in partners if each in names)]
        return mark_of(there, self._users(distribution))

    def _is_known(self, node: Node, path: str, kind: Kind, names: Names) -> bool:
        part = self._known.part(path)
        entry = self._known.entry(path) if part and part.mark == self._mark(node, names) else None
        if part is None or entry is None or entry.kind is not kind:
            return False
        # What is to be said of an archive that is looked at its package tells, which then has to be, too.
        above = path.removesuffix(node.name)
        if not all(self._known.part(above + each) for each in _archives_of(node.name) if each in names):
            return False
        self.size += part.size
        self.drafts.append(Draft(path, kind, [node], mark=part.mark, known=entry))
        return True

    def _file(self, node: Node, path: str, names: Names) -> None:
        if node.name.endswith(ARCHIVE_ENDINGS):
            if not self._is_known(node, path, Kind.TARBALL, names):
                self._add(Draft(path, Kind.TARBALL, [node], mark=self._mark(node, names)))
        elif node.name.endswith(DEBRIS_ENDINGS):
            self.lock_files.append(node.stat.st_ino)
            self._add(Draft(path, Kind.DEBRIS, [node]))
        else:
            self._rest.add(node.stat)
            if node.name.endswith(".lock"):
                self.lock_files.append(node.stat.st_ino)

    def _add(self, draft: Draft) -> None:
        for node in draft.nodes:
            draft.tally.add(node.stat)
            draft.accessed = max(draft.accessed, node.stat.st_atime_ns)
        match = _DISTRIBUTION.fullmatch(draft.distribution) if draft.kind is Kind.TARBALL else None
        if match:
            draft.name, draft.version = _word(match["name"]), _word(match["version"])
        self._finish(draft)

    def _finish(self, draft: Draft) -> None:
        draft.unmet = self.links.take(draft.tally)
        self.size += draft.tally.size
        self.drafts.append(draft)

    def _folder(self, parent: Folder, node: Node, path: str, depth: int, names: Names) -> None:
        with parent.folder(node.name) as folder:
            if depth == 0 and node.name in {TRASH, ".trash"}:
                self._rest.add(node.stat)
                self._trash(folder, path, leftover=node.name == TRASH)
            elif depth == 0 and node.name == ".logs":
                self._rest.add(node.stat)
                self._logs(folder, path)
            elif node.name == "cache":
                self._rest.add(node.stat)
                self._index(folder, path)
            elif is_package(folder):
                self._package(folder, node, path, names)
            elif depth < DEEPEST_CHANNEL and (depth or node.name in SCHEMES):
                self._rest.add(node.stat)
                self._level(folder, path, depth + 1)
            else:
                self._rest.add(node.stat)
                self.problems.extend(tolerant_size(folder, self._rest))

    def _trash(self, folder: Folder, path: str, *, leftover: bool) -> None:
        for node in folder.nodes():
            draft = Draft(f"{path}/{node.name}", Kind.DEBRIS, [node], tree=is_folder(node), leftover=leftover)
            draft.tally.add(node.stat)
            # Trash may have any shape, and goes whatever it is: what cannot be weighed is not told as a hold.
            self.problems.extend(weigh_strangers(folder, [node], draft.tally))
            self._finish(draft)

    def _logs(self, folder: Folder, path: str) -> None:
        for node in folder.nodes():
            if is_file(node):
                self._add(Draft(f"{path}/{node.name}", Kind.LOG, [node]))
            else:
                self._rest.add(node.stat)
                self.problems.extend(weigh_strangers(folder, [node], self._rest))

    def _index(self, folder: Folder, path: str) -> None:
        """Repodata: the files of one channel go together."""
        groups: dict[str, list[Node]] = {}
        for node in folder.nodes():
            if not is_file(node):
                self._rest.add(node.stat)
                self.problems.extend(weigh_strangers(folder, [node], self._rest))
                continue
            if node.name.endswith((".info.json", ".lock")):
                self.lock_files.append(node.stat.st_ino)
            match = _INDEX_FILE.fullmatch(node.name)
            if match:
                groups.setdefault(match["key"], []).append(node)
            elif node.name.startswith(_SHARDS):
                groups.setdefault(_SHARDS, []).append(node)
            else:
                self._rest.add(node.stat)
        for nodes in groups.values():
            nodes.sort(key=lambda node: (len(node.name), node.name))
            self._add(Draft(f"{path}/{nodes[0].name}", Kind.INDEX, nodes))

    def _package(self, folder: Folder, node: Node, path: str, names: Names) -> None:
        draft = Draft(path, Kind.PACKAGE, [node], tree=True, mark=self._mark(node, names))
        draft.tally.add(node.stat)
        draft.written = node.stat.st_mtime_ns
        try:
            survey(folder, draft.tally)
        except OSError as error:
            draft.hold = f"it cannot be seen whole: {reason(error)}"
            self.problems.append(Problem(folder.path, reason(error)))
        self._record(folder, draft)
        self._finish(draft)

    def _record(self, package: Folder, draft: Draft) -> None:
        """Name and version by ``repodata_record.json``, the source of truth, or ``index.json``."""
        match = _DISTRIBUTION.fullmatch(draft.distribution)
        if match:
            draft.name, draft.version = _word(match["name"]), _word(match["version"])
        with package.folder("info") as info:
            for name in ("repodata_record.json", "index.json"):
                try:
                    node = info.node(name)
                    draft.accessed = max(draft.accessed, node.stat.st_atime_ns)
                    if name == "repodata_record.json":
                        draft.written = max(draft.written, node.stat.st_mtime_ns)
                        draft.has_record = True
                    record = json.loads(info.read(name, _LONGEST_RECORD))
                except (OSError, ValueError, RecursionError):
                    continue
                if not isinstance(record, dict):
                    continue
                if name == "repodata_record.json":
                    draft.origin = origin_of(record)
                name_in_it = _word(record.get("name"))
                if name_in_it:
                    draft.name, draft.version = name_in_it, _word(record.get("version"))
                    return

    def distributions(self) -> frozenset[str]:
        """``name-version-build`` of all packages and archives that were looked at."""
        return frozenset(draft.distribution for draft in self.drafts if draft.kind in _PACKED and not draft.known)

    def known_before(self) -> frozenset[str]:
        """The paths of entries that were not looked at."""
        return frozenset(draft.path for draft in self.drafts if draft.known)

    def entries(self, worth: Worth) -> Iterator[Entry]:
        """What was read, ``hold`` as far as the cache itself tells."""
        standing = {draft.path: draft.origin for draft in self.drafts if draft.kind is Kind.PACKAGE}
        archives = {distribution_of(draft.path) for draft in self.drafts if draft.kind is Kind.TARBALL}
        for draft in self.drafts:
            yield draft.known or self._entry(draft, standing, archives, worth)

    def parts(self, entries: Iterable[Entry]) -> Iterator[Part]:
        """Of the finished entries, in their order: those that the next look can know without walking them.

        Not those that share inodes with others, whose figures change when the others do; and not those that are so
        new that they may be in the making, in folders further down, of which the one at the top does not tell.
        """
        for draft, entry in zip(self.drafts, entries, strict=True):
            if not draft.mark or draft.hold or entry.shares or entry.held_open:
                continue
            if draft.known is not None:
                size = self._known.size(draft.path)
            elif self._is_finished(draft, entry) and self.links.judge(draft.unmet).alone:
                size = Bytes(draft.tally.size)
            else:
                continue
            yield Part(draft.path, draft.mark, size)

    def _is_finished(self, draft: Draft, entry: Entry) -> bool:
        """Whether all of it is there. A copy has old times; unpacking may take long, and ends with the record."""
        if draft.kind is Kind.PACKAGE and not draft.has_record:
            return False
        return self._settled.is_settled(max(entry.modified, draft.nodes[0].stat.st_ctime_ns))

    def has_strange_links(self, recorded: Callable[[str], object]) -> bool:
        """Whether something was looked at that has names beyond what was, and beyond all environments that use it:

        they may be in what was ``known``, of whose inodes nothing is.
        """
        return any(
            draft.mark and self.links.judge(draft.unmet).outside and not recorded(draft.distribution)
            for draft in self.drafts
        )

    def _entry(self, draft: Draft, standing: Mapping[str, Origin], archives: set[str], worth: Worth) -> Entry:
        rank = RANKS[draft.kind]
        if draft.kind is Kind.TARBALL and distribution_of(draft.path) in standing:
            rank = RANK_STANDING_TARBALL
        # An extracted file carries the time of its build, years ago: only folder and record tell of this machine.
        modified = draft.written if draft.kind is Kind.PACKAGE else draft.tally.modified
        named = draft.distribution if draft.kind in _PACKED else None
        last_used, signal = worth.last_use(named, draft.accessed, modified)
        judged = self.links.judge(draft.unmet)
        hold = draft.hold or (_in_use(judged.outside) if draft.kind is Kind.PACKAGE else None)
        return Entry(
            path=draft.path,
            kind=draft.kind,
            name=draft.name,
            version=draft.version,
            size=Bytes(draft.tally.size),
            frees=draft.tally.frees,
            frees_inodes=Inodes(draft.tally.frees_inodes),
            modified=Instant(modified),
            last_used=last_used,
            identity=identity(draft.nodes[0].stat),
            rank=rank,
            hold=hold,
            parts=tuple(node.name for node in draft.nodes[1:]),
            tree=draft.tree,
            leftover=draft.leftover,
            shares=judged.shares,
            signal=signal,
            facts=_facts(draft, modified, standing, archives, worth),
            own_hold=hold,
        )


def _archives_of(distribution: str) -> list[str]:
    return [distribution + ending for ending in ARCHIVE_ENDINGS]


def _in_use(outside: int) -> str | None:
    """Hard links that are in no entry of this cache are an environment's, or somebody's copy of it."""
    if not outside:
        return None
    return f"in use: {outside} of its files {'is' if outside == 1 else 'are'} hard-linked outside of the cache"


def _facts(draft: Draft, cached: int, standing: Mapping[str, Origin], archives: set[str], worth: Worth) -> Facts:
    if draft.kind is Kind.PACKAGE:
        return worth.of_package(draft.distribution, draft.origin, cached, archived=draft.path in archives)
    size = sum(node.stat.st_size for node in draft.nodes)
    if draft.kind is Kind.TARBALL:
        origin = standing.get(distribution_of(draft.path), NOWHERE)
        facts = worth.of_archive(draft.distribution, origin, cached, size)
        return worth.shared(replace(facts, standing=distribution_of(draft.path) in standing))
    return worth.shared(Facts(Regain.DOWNLOAD, Bytes(size)) if draft.kind is Kind.INDEX else Facts(Regain.NOTHING))


def _word(value: object) -> str | None:
    """Only what has the form of a package name or a version is believed to be one."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def is_package(folder: Folder) -> bool:
    """``info/index.json`` is all that conda asks of an extracted package (``models/records.py``)."""
    try:
        with folder.folder("info") as info:
            return is_file(info.node("index.json"))
    except OSError:
        return False
