"""Whether an entry that is to be removed has a place and a form that measuring a conda cache could have given it.

Asked just before removal: the request may come from a service that somebody has taken over.
"""

import re

from cachewarden.ecosystems.conda import SCHEMES
from cachewarden.ecosystems.conda_entries import DEBRIS_ENDINGS, DEEPEST_CHANNEL
from cachewarden.model.caches import ARCHIVE_ENDINGS, TRASH, Entry, Kind

_INDEX = re.compile(r"[0-9a-f]{8}(\.info)?(\.json|\.msgpack\.zst|\.state\.json|\.solv|\.json\.zst|\.jlap)")
_SHARDS = re.compile(r"repodata_shards\.db[^/]*")


def is_an_entry(entry: Entry) -> bool:
    """Whether conda or its kin could have made it, and it is taken for what it is."""
    *folders, name = entry.path.split("/")
    if entry.prune or entry.leftover != (folders == [TRASH]):
        return False
    if entry.kind is not Kind.INDEX and entry.parts:
        return False
    if folders in ([TRASH], [".trash"]):
        return entry.kind is Kind.DEBRIS
    if folders == [".logs"]:
        return entry.kind is Kind.LOG and not entry.tree
    if entry.kind is Kind.INDEX:
        return not entry.tree and folders[-1:] == ["cache"] and _is_level(folders[:-1]) and _one_index(entry, name)
    if not _is_level(folders):
        return False
    if entry.kind is Kind.PACKAGE:
        return entry.tree and name not in {TRASH, ".trash", ".logs", "cache"}
    endings = {Kind.TARBALL: ARCHIVE_ENDINGS, Kind.DEBRIS: DEBRIS_ENDINGS}.get(entry.kind)
    return not entry.tree and bool(endings and name.endswith(endings))


def _is_level(folders: list[str]) -> bool:
    """The root of the cache, or a channel in mamba's nested layout."""
    return not folders or (folders[0] in SCHEMES and len(folders) <= DEEPEST_CHANNEL)


def _one_index(entry: Entry, name: str) -> bool:
    """All its files are of one channel, or of the database of shards."""
    for pattern, first in ((_INDEX, name[:8]), (_SHARDS, "repodata_shards.db")):
        if pattern.fullmatch(name):
            return all(pattern.fullmatch(part) and part.startswith(first) for part in entry.parts)
    return False
