"""pip: what its cache consists of, and when a part of it may go (facts: pip's own sources, named where used)."""

import re
from dataclasses import replace

from cachewarden.ecosystems import pip_config, pip_repoint
from cachewarden.ecosystems.base import (
    NO_ENTRY,
    Context,
    Edit,
    Guard,
    InForce,
    Located,
    Measured,
    Surroundings,
)
from cachewarden.ecosystems.pip_http import HttpTree
from cachewarden.ecosystems.pip_shape import is_an_entry
from cachewarden.ecosystems.pip_shards import Draft, Shard
from cachewarden.ecosystems.pip_wheels import WheelTree, why_a_wheel_stays
from cachewarden.ecosystems.pip_worth import appraise
from cachewarden.ecosystems.running import describe, first_running
from cachewarden.ecosystems.trees import Tally, is_file, is_folder, reason, weigh_strangers
from cachewarden.model.caches import OWN_NAMES, Cache, Entry, Kind, MeasuredCache, Problem
from cachewarden.model.units import Bytes
from cachewarden.system.ports import Folder, Node

_HTTP = ("http", "http-v2")
_KNOWN = {*_HTTP, "wheels", "selfcheck", "selfcheck.json"}
_TOOL = re.compile(r"pip(-?\d+(\.\d+)*)?(\.pyz|\.py)?|__pip-runner__\.py|pip(x|-sync|-compile)|piptools|pipenv")
_USED = re.compile(
    r"(http(?:-v2)?/(?:[0-9a-f]/){5}[0-9a-f]{56})(?:\.body)?|(wheels/(?:[0-9a-f]{2}/){3}[0-9a-f]{50})/[^/]+\.whl"
)
_SELFCHECK = re.compile(r"[0-9a-f]{56}([a-z0-9_]{8}\.tmp)?")


class Pip:
    """The ``Ecosystem`` of pip."""

    name = "pip"
    kinds: tuple[Kind, ...] = (Kind.DEBRIS, Kind.INDEX, Kind.DOWNLOAD, Kind.BUILT_WHEEL)
    trees: tuple[str, ...] = ("http", "http-v2", "wheels")
    grows_in: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()

    def locate(self, surroundings: Surroundings) -> Located:
        """See ``pip_config``."""
        return pip_config.locate(surroundings)

    def recognise(self, folder: Folder) -> str | None:
        """A pip cache holds ``http``, ``http-v2``, ``wheels`` or ``selfcheck``, or nothing yet."""
        names = {node.name for node in folder.nodes()} - OWN_NAMES
        if names and not names & _KNOWN:
            return "does not look like a pip cache: neither http, http-v2, wheels nor selfcheck is in it"
        return None

    def measure(self, cache: Cache, folder: Folder, context: Context) -> Measured:
        """All entries; a folder that is not pip's is counted in the size and left alone."""
        tally = Tally()
        tally.add(folder.stat())
        drafts: list[Draft] = []
        problems: list[Problem] = []
        strangers: list[Node] = []
        for node in folder.nodes():
            tally.add(node.stat)
            try:
                found = _part(folder, node, tally, problems)
            except OSError as error:
                problems.append(Problem(f"{folder.path}/{node.name}", reason(error)))
                continue
            drafts.extend(found or ())
            if found is None:
                strangers.append(node)
        problems.extend(weigh_strangers(folder, strangers, tally))
        finished = [draft.entry(worth) for draft, worth in appraise(drafts, cache, folder, context)]
        entries = _held(finished, cache, context)
        return Measured(
            MeasuredCache(cache, folder.stat().st_dev, Bytes(tally.size), tuple(entries)), tuple(problems)
        )

    def guard(self, cache: Cache, context: Context) -> Guard:
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

    def in_force(self, surroundings: Surroundings) -> tuple[InForce, ...]:
        """See ``pip_repoint``."""
        return pip_repoint.in_force(surroundings)

    def point(self, surroundings: Surroundings, old: str, new: str, *, keep: bool) -> Edit:  # noqa: ARG002 - one cache
        """See ``pip_repoint``."""
        return pip_repoint.point(surroundings, old, new)

    def point_back(self, current: bytes, edit: Edit, old: str, new: str) -> bytes | None:  # noqa: ARG002 - one cache
        """See ``pip_repoint``."""
        return pip_repoint.point_back(current, edit, new)

    def opened(self, path: str) -> str | None:
        """pip opens metadata and body of a response that it uses, and the wheel that it built once."""
        match = _USED.fullmatch(path)
        return match[1] or match[2] if match else None

    def busy(self, cache: Cache, context: Context) -> str | None:
        """Any pip of the owner: it may be building in ``wheels``, and reads the configuration when it starts."""
        process = first_running(context.processes.running(), _TOOL, cache.owner.uid)
        return describe(process, _TOOL) if process else None


def _part(folder: Folder, node: Node, tally: Tally, problems: list[Problem]) -> list[Draft] | None:
    """The entries of one name at the top of a cache; ``None`` for what pip did not make."""
    if is_folder(node) and node.name in _HTTP:
        tree = HttpTree(tally)
        tree.read(folder, node)
        problems.extend(tree.problems)
        return tree.drafts
    if is_folder(node) and node.name == "wheels":
        wheels = WheelTree(tally)
        wheels.read(folder, node)
        problems.extend(wheels.problems)
        return wheels.drafts
    if is_folder(node) and node.name == "selfcheck":
        return _selfchecks(folder, node, tally, problems)
    if is_file(node) and node.name == "selfcheck.json":
        return [_selfcheck(_Top(), node)]
    if node.name in _KNOWN:
        problems.append(Problem(f"{folder.path}/{node.name}", "a symbolic link or special file: not followed"))
    return None


class _Top(Shard):
    """The cache root as a shard: its entries have no folder of their own."""

    def __init__(self) -> None:
        super().__init__("", None, None)  # type: ignore[arg-type]  # the root itself is never freed


def _selfchecks(folder: Folder, node: Node, tally: Tally, problems: list[Problem]) -> list[Draft]:
    shard = Shard(node.name, node, None)
    found: list[Draft] = []
    strangers: list[Node] = []
    with folder.folder(node.name) as inner:
        for item in inner.nodes():
            tally.add(item.stat)
            if is_file(item) and _SELFCHECK.fullmatch(item.name):
                found.append(_selfcheck(shard, item))
            else:
                strangers.append(item)
        problems.extend(weigh_strangers(inner, strangers, tally))
    return found


def _selfcheck(shard: Shard, node: Node) -> Draft:
    draft = Draft(shard, [node], Kind.DEBRIS if node.name.endswith(".tmp") else Kind.INDEX)
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
            process = first_running(self._context.processes.running(), _TOOL, uid)
            if process:
                return describe(process, _TOOL)
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
