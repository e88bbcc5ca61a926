"""pip's locally built wheels: ``wheels/aa/bb/cc/<rest of the key>/`` with wheels and ``origin.json`` (PEP 610).

Builds run inside the key's folder, in ``tmpXXXXXXXX`` (pip's ``wheel_builder.py``): while one is there, nothing of
that folder may go.
"""

import re

from cachewarden.ecosystems.direct_url import read_origin
from cachewarden.ecosystems.interpreters import tags_of_file
from cachewarden.ecosystems.pip_names import Named, named_by_file, named_by_url
from cachewarden.ecosystems.pip_shards import Draft, Past, Shard, ShardTree
from cachewarden.ecosystems.trees import Tally, is_file, is_folder, reason, survey, weigh_strangers
from cachewarden.model.caches import Kind, Problem
from cachewarden.system.ports import Folder, Node

BUILD = re.compile(r"tmp[a-z0-9_]{8}")
BUILDING = "a build is under way in it, or was interrupted"
FOREIGN = "it holds something that pip does not make"
_MOST_TAGS = 64
_REST = re.compile(r"[0-9a-f]{50}")
_ORIGIN = "origin.json"


class WheelTree:
    """Reads ``wheels``; ``drafts`` and ``problems`` are filled by ``read``."""

    def __init__(self, tally: Tally, past: Past) -> None:
        """Everything met is added to ``tally``."""
        self.tree = ShardTree(3, "[0-9a-f]{2}", tally, self._bottom, past)
        self._tally = tally

    def read(self, cache: Folder, node: Node) -> None:
        """Walks the tree once."""
        self.tree.read(cache, node)

    def _bottom(self, folder: Folder, shard: Shard, nodes: list[Node]) -> list[Node]:
        strangers: list[Node] = []
        for node in nodes:
            if is_folder(node) and _REST.fullmatch(node.name):
                self._key(folder, shard, node)
            else:
                strangers.append(node)
        return strangers

    def _key(self, parent: Folder, shard: Shard, node: Node) -> None:
        draft = Draft.of(shard, [node], Kind.BUILT_WHEEL)
        draft.tree = True
        draft.tally.add(node.stat)
        try:
            with parent.folder(node.name) as folder:
                self._contents(folder, Shard.of(f"{shard.path}/{node.name}", node, shard), draft)
        except OSError as error:
            draft.hold = f"it cannot be read whole: {reason(error)}"
            self.tree.problems.append(Problem(f"{parent.path}/{node.name}", reason(error)))
        self.tree.draft(draft, node)

    def _contents(self, folder: Folder, key: Shard, draft: Draft) -> None:
        for inner in folder.nodes():
            if is_folder(inner) and BUILD.fullmatch(inner.name):
                self._build(folder, key, inner)
                draft.hold = BUILDING
                continue
            self._tally.add(inner.stat)
            draft.tally.add(inner.stat)
            draft.tally.accessed = max(draft.tally.accessed, inner.stat.st_atime_ns)
            if _is_of_a_wheel(inner):
                _learn(folder, inner, draft)
            else:
                draft.hold = draft.hold or FOREIGN
                self.tree.problems.extend(weigh_strangers(folder, [inner], self._tally))

    def _build(self, folder: Folder, key: Shard, node: Node) -> None:
        """What a build that died has left; with pip running it is held (see ``pip``)."""
        draft = Draft.of(key, [node], Kind.DEBRIS)
        draft.tree = True
        draft.tally.add(node.stat)
        with folder.folder(node.name) as inner:
            survey(inner, draft.tally)
        self._tally.merge(draft.tally)
        key.count(strangers=1)
        self.tree.drafts.append(draft)


def why_a_wheel_stays(folder: Folder) -> str | None:
    """As it is now: a build in the folder of a wheel, or something that is not pip's; ``None`` when it may go."""
    for node in folder.nodes():
        if is_folder(node) and BUILD.fullmatch(node.name):
            return BUILDING
        if not _is_of_a_wheel(node):
            return FOREIGN
    return None


def _is_of_a_wheel(node: Node) -> bool:
    return is_file(node) and (node.name.endswith(".whl") or node.name == _ORIGIN)


def _learn(folder: Folder, node: Node, draft: Draft) -> None:
    """What a wheel's name or its ``origin.json`` tells; pip writes that after the wheel (``wheel_builder.build``)."""
    clues = draft.clues
    if node.name.endswith(".whl"):
        if len(clues.tags) < _MOST_TAGS:  # pip puts one wheel there; what else somebody puts there is not gathered
            clues.tags += tags_of_file(node.name)
        clues.cached = max(clues.cached, node.stat.st_mtime_ns)
        draft.named = _better(draft.named, named_by_file(node.name))
        return
    clues.origin = read_origin(lambda most: folder.read(node.name, most))
    if clues.origin:
        draft.named = _better(draft.named, named_by_url(clues.origin.url))


def _better(one: Named, other: Named) -> Named:
    """The one that knows more."""
    return other if bool(other.name) + bool(other.version) > bool(one.name) + bool(one.version) else one
