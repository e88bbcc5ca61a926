"""pip's HTTP cache: ``http-v2`` (a metadata and a body file per response) and ``http`` (one file, pip <= 23.2).

Layout of both: ``a/b/c/d/e/<sha224 of the URL>``, the five folders being the first five digits
(pip's ``network/cache.py`` and CacheControl's ``FileCache``).
"""

import re
from collections.abc import Iterator

from cachewarden.ecosystems import pip_names
from cachewarden.ecosystems.interpreters import Tag
from cachewarden.ecosystems.msgpack import Blob, Fetch
from cachewarden.ecosystems.pip_names import Body, Named
from cachewarden.ecosystems.pip_shards import Draft, Past, Shard, ShardTree, descend
from cachewarden.ecosystems.trees import Tally, is_file, reason
from cachewarden.ecosystems.wheel_file import tags_of_wheel
from cachewarden.model.caches import Kind, Problem
from cachewarden.system.ports import Folder, Node

_HEAD = 9 << 10
"""Bytes: the magic and the first window of ``msgpack`` are in it."""
_KEY = re.compile(r"([0-9a-f]{56})(\.body)?([A-Za-z0-9_]{8}\.tmp)?")


class HttpTree:
    """Reads one of the two trees; ``drafts`` and ``problems`` are filled by ``read``."""

    def __init__(self, tally: Tally, past: Past) -> None:
        """Everything met is added to ``tally``."""
        self.tree = ShardTree(5, "[0-9a-f]", tally, self._bottom, past)
        self._pages: list[Draft] = []

    def read(self, cache: Folder, node: Node) -> None:
        """Walks the tree ``node`` of ``cache`` once and names what it can."""
        self.tree.read(cache, node)
        self._name_by_pages(cache)

    def _bottom(self, folder: Folder, shard: Shard, nodes: list[Node]) -> list[Node]:
        groups: dict[str, list[Node]] = {}
        strangers: list[Node] = []
        for node in nodes:
            match = _KEY.fullmatch(node.name) if is_file(node) else None
            if match is None:
                strangers.append(node)
            else:
                groups.setdefault(node.name if match.group(3) else match.group(1), []).append(node)
        for key, files in groups.items():
            files.sort(key=lambda node: len(node.name))  # the metadata first, it names the pair
            self.tree.draft(self._draft(folder, shard, key, files), files[0])
        return strangers

    def _draft(self, folder: Folder, shard: Shard, key: str, files: list[Node]) -> Draft:
        draft = Draft.of(shard, files, Kind.DEBRIS)
        for node in files:
            draft.tally.add(node.stat)
            draft.tally.accessed = max(draft.tally.accessed, node.stat.st_atime_ns)
        if key.endswith(".tmp") or files[0].name != key:
            return draft  # a body without its metadata is never a hit
        draft.kind = Kind.DOWNLOAD
        # The body, where it has a file of its own: a revalidation writes the metadata again (pip's network/cache.py).
        draft.clues.cached, draft.clues.fetch = files[-1].stat.st_mtime_ns, files[-1].stat.st_size
        try:
            self._identify(folder, draft)
        except OSError as error:
            self.tree.problems.append(Problem(f"{folder.path}/{key}", f"its package is unknown: {reason(error)}"))
        return draft

    def _identify(self, folder: Folder, draft: Draft) -> None:
        response = pip_names.response_of(_fetcher(folder, draft.names[0]))
        if response is None:
            return
        packed = _packed_body(folder, draft, response)
        draft.clues.fetch = packed.size
        body = pip_names.plain_body(response, packed)
        if pip_names.is_page(response):
            draft.kind, draft.named = Kind.INDEX, pip_names.page_name(body)
            self._pages.append(draft)
            return
        nature = pip_names.nature_of(body)
        draft.kind = Kind.INDEX if nature.index else Kind.DOWNLOAD
        draft.clues.source = nature.source or response.headers.get("x-pypi-file-package-type") == "sdist"
        draft.clues.wheel = nature.wheel and not draft.clues.source
        draft.clues.python = response.headers.get("x-pypi-file-python-version")
        by_headers = pip_names.named_by_headers(response)
        draft.named = by_headers if by_headers.version else nature.name()

    def _name_by_pages(self, cache: Folder) -> None:
        """Second pass, for what neither headers nor body named: the URLs that the cached pages list."""
        pages = {id(page) for page in self._pages}
        wanted = {
            draft.names[0]: draft
            for draft in self.tree.drafts
            if draft.kind in {Kind.DOWNLOAD, Kind.INDEX} and not draft.named.name and id(draft) not in pages
        }
        if not wanted:
            return
        for page in (*self._pages, *self._pages_before(cache)):
            for digest, named in self._links(cache, page):
                if digest in wanted:
                    wanted[digest].named = named

    def _pages_before(self, cache: Folder) -> Iterator[Draft]:
        """Those that may be pages among what an earlier look found: they name what is new as well."""
        for entry in self.tree.entries:
            if entry.kind is not Kind.INDEX:
                continue
            above = entry.path.rpartition("/")[0]
            try:
                with descend(cache, above) as folder:
                    nodes = [folder.node(name) for name in (entry.path[len(above) + 1 :], *entry.parts)]
            except OSError:
                continue  # it went since
            yield Draft.of(Shard(above), nodes, Kind.INDEX)

    def _links(self, cache: Folder, page: Draft) -> Iterator[tuple[str, Named]]:
        try:
            with descend(cache, page.shard.path) as folder:
                response = pip_names.response_of(_fetcher(folder, page.names[0]))
                if response and pip_names.is_page(response):
                    yield from pip_names.links_of_page(_body(folder, page, response))
        except OSError as error:
            self.tree.problems.append(Problem(f"{cache.path}/{page.path}", reason(error)))


def read_tags(cache: Folder, draft: Draft) -> tuple[Tag, ...]:
    """Of a wheel that was downloaded, as it says itself; empty when it does not."""
    try:
        with descend(cache, draft.shard.path) as folder:
            response = pip_names.response_of(_fetcher(folder, draft.names[0]))
            return tags_of_wheel(_packed_body(folder, draft, response)) if response else ()
    except OSError:
        return ()


def _fetcher(folder: Folder, name: str) -> Fetch:
    """Reads a file where it is asked; its beginning, which tells nearly all, is read once."""
    head: list[bytes] = []

    def fetch(offset: int, size: int) -> bytes:
        if offset + size > _HEAD:
            # A file that ended in the beginning has nothing beyond.
            if not head or len(head[0]) == _HEAD:
                return folder.read(name, size, offset)
        elif not head:
            head.append(folder.read(name, _HEAD, 0))
        return head[0][offset : offset + size]

    return fetch


def _body(folder: Folder, draft: Draft, response: pip_names.Response) -> Body:
    """The body file where there is one, else the part of the metadata file that is the body."""
    return pip_names.plain_body(response, _packed_body(folder, draft, response))


def _packed_body(folder: Folder, draft: Draft, response: pip_names.Response) -> Body:
    if draft.body is not None:
        return Body(draft.body, _fetcher(folder, draft.names[1]))
    inline = response.body
    if isinstance(inline, bytes):
        return Body(len(inline), lambda offset, size: inline[offset : offset + size])
    blob: Blob = inline
    whole = _fetcher(folder, draft.names[0])
    return Body(blob.size, lambda offset, size: whole(blob.offset + offset, max(0, min(size, blob.size - offset))))
