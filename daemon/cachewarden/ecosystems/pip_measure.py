"""What is in pip's cache, and when a part of it may go (facts: pip's own sources, named where used)."""

import re
from dataclasses import replace

from cachewarden.ecosystems.base import NO_ENTRY, Context, Guard, Measured
from cachewarden.ecosystems.known import Known, Settled
from cachewarden.ecosystems.pip import HTTP, KNOWN, TOOL
from cachewarden.ecosystems.pip_http import HttpTree
from cachewarden.ecosystems.pip_shape import is_an_entry
from cachewarden.ecosystems.pip_shards import Draft, Past, Shard
from cachewarden.ecosystems.pip_wheels import WheelTree, why_a_wheel_stays
from cachewarden.ecosystems.pip_worth import appraise
from cachewarden.ecosystems.running import describe, first_running
from cachewarden.ecosystems.trees import Tally, is_file, is_folder, reason, weigh_strangers
from cachewarden.model.caches import Cache, Entry, Kind, MeasuredCache, Part, Problem
from cachewarden.model.units import Bytes
from cachewarden.system.ports import Folder, Node

_SELFCHECK = re.compile(r"[0-9a-f]{56}([a-z0-9_]{8}\.tmp)?")


def measure(cache: Cache, folder: Folder, context: Context, known: Known) -> Measured:
    """All entries; a folder that is not pip's is counted in the size and left alone."""
    found = _Found(Past(known, Settled(context.now)))
    found.tally.add(folder.stat())
    for node in folder.nodes():
        found.tally.add(node.stat)
        try:
            found.look_into(folder, node)
        except OSError as error:
            found.problems.append(Problem(f"{folder.path}/{node.name}", reason(error)))
    found.problems.extend(weigh_strangers(folder, found.strangers, found.tally))
    finished = [draft.entry(worth) for draft, worth in appraise(found.drafts, cache, folder, context)]
    taken_over = frozenset(entry.path for entry in found.entries)
    entries = tuple(_held(finished + found.entries, cache, context))
    size = Bytes(found.tally.size)
    measured = MeasuredCache(cache, folder.stat().st_dev, size, entries, parts=tuple(found.parts))
    return Measured(measured, tuple(found.problems), taken_over)


def guard(cache: Cache, context: Context) -> Guard:
    """Looks again for a running pip and for a build before a built wheel goes."""
    busy = _Busy(cache, context)

    def ask(root: Folder, parent: Folder, entry: Entry) -> str | None:  # noqa: ARG001 - a Guard
        if not is_an_entry(entry):
            return NO_ENTRY
        if reason_to_stay := busy.reason(entry):
            return reason_to_stay
        if entry.kind is not Kind.BUILT_WHEEL:
            return None
        with parent.folder(entry.path.rpartition("/")[2]) as folder:
            return why_a_wheel_stays(folder)

    return ask


class _Found:
    """What is in a cache: entries in the making, those that are known, and the strangers at its top."""

    def __init__(self, past: Past) -> None:
        self.tally = Tally()
        self.drafts: list[Draft] = []
        self.entries: list[Entry] = []
        self.parts: list[Part] = []
        self.problems: list[Problem] = []
        self.strangers: list[Node] = []
        self._past = past

    def look_into(self, folder: Folder, node: Node) -> None:
        """Takes up one name at the top of the cache."""
        if is_folder(node) and node.name in HTTP:
            self._take(HttpTree(self.tally, self._past), folder, node)
        elif is_folder(node) and node.name == "wheels":
            self._take(WheelTree(self.tally, self._past), folder, node)
        elif is_folder(node) and node.name == "selfcheck":
            self._selfchecks(folder, node)
        elif is_file(node) and node.name == "selfcheck.json":
            self.drafts.append(_selfcheck(Shard(""), node))  # the root is no folder of its own: it is never freed
        else:
            if node.name in KNOWN:
                why = "a symbolic link or special file: not followed"
                self.problems.append(Problem(f"{folder.path}/{node.name}", why))
            self.strangers.append(node)

    def _take(self, reader: HttpTree | WheelTree, folder: Folder, node: Node) -> None:
        reader.read(folder, node)
        self.drafts.extend(reader.tree.drafts)
        self.entries.extend(reader.tree.entries)
        self.parts.extend(reader.tree.parts)
        self.problems.extend(reader.tree.problems)

    def _selfchecks(self, folder: Folder, node: Node) -> None:
        shard = Shard.of(node.name, node, None)
        strangers: list[Node] = []
        with folder.folder(node.name) as inner:
            for item in inner.nodes():
                self.tally.add(item.stat)
                if is_file(item) and _SELFCHECK.fullmatch(item.name):
                    self.drafts.append(_selfcheck(shard, item))
                else:
                    strangers.append(item)
            self.problems.extend(weigh_strangers(inner, strangers, self.tally))


def _selfcheck(shard: Shard, node: Node) -> Draft:
    draft = Draft.of(shard, [node], Kind.DEBRIS if node.name.endswith(".tmp") else Kind.INDEX)
    draft.tally.add(node.stat)
    draft.tally.accessed = node.stat.st_atime_ns
    draft.clues.fetch = node.stat.st_size
    return draft


class _Busy:
    """Whether somebody is at work in the cache; asked of the machine only where it matters."""

    def __init__(self, cache: Cache, context: Context) -> None:
        self._cache = cache
        self._context = context

    def reason(self, entry: Entry) -> str | None:
        """Why the entry must stay now."""
        if entry.kind not in {Kind.DEBRIS, Kind.BUILT_WHEEL}:
            return None  # pip heals a vanished response by itself (pypa/pip#5110)
        uid = self._cache.owner.uid
        if entry.path.startswith("wheels/"):
            process = first_running(self._context.processes.running(), TOOL, uid)
            if process:
                return describe(process, TOOL)
        path = f"{self._cache.path}/{entry.path}"
        opened = self._context.processes.open_files(uid)
        if path in opened or (entry.tree and any(each.startswith(path + "/") for each in opened)):
            return "a process has it open"
        return None


def _held(entries: list[Entry], cache: Cache, context: Context) -> list[Entry]:
    busy = _Busy(cache, context)
    return [
        replace(entry, hold=why) if entry.hold is None and (why := busy.reason(entry)) else entry for entry in entries
    ]
