"""Whether an entry that is to be removed has a place and a form that measuring a pip cache could have given it.

Asked just before removal: the request may come from a service that somebody has taken over.
"""

import re

from cachewarden.model.caches import Entry, Kind

_HTTP = re.compile(r"http(-v2)?((/[0-9a-f]){5})/([0-9a-f]{56}(\.body)?([A-Za-z0-9_]{8}\.tmp)?)")
_WHEEL = re.compile(r"wheels(/[0-9a-f]{2}){3}/[0-9a-f]{50}")
_BUILD = re.compile(r"wheels(/[0-9a-f]{2}){3}/[0-9a-f]{50}/tmp[a-z0-9_]{8}")
_SELFCHECK = re.compile(r"selfcheck/[0-9a-f]{56}([a-z0-9_]{8}\.tmp)?")
_EMPTY = re.compile(r"(http(-v2)?(/[0-9a-f]){1,5}|wheels(/[0-9a-f]{2}){1,3})")


def is_an_entry(entry: Entry) -> bool:
    """Whether pip could have made it, and it is taken for what it is."""
    path, name = entry.path, entry.path.rpartition("/")[2]
    if entry.leftover or not 0 <= entry.prune <= path.count("/"):
        return False
    if _HTTP.fullmatch(path):
        broken = name.endswith((".tmp", ".body"))
        kinds = {Kind.DEBRIS} if broken else {Kind.DOWNLOAD, Kind.INDEX}
        return not entry.tree and entry.kind in kinds and set(entry.parts) <= {f"{name}.body"}
    if entry.parts:
        return False
    if entry.tree:
        pattern = {Kind.BUILT_WHEEL: _WHEEL, Kind.DEBRIS: _BUILD}.get(entry.kind)
        return bool(pattern and pattern.fullmatch(path))
    if path == "selfcheck.json" or _SELFCHECK.fullmatch(path):
        return entry.kind is (Kind.DEBRIS if name.endswith(".tmp") else Kind.INDEX)
    return entry.kind is Kind.DEBRIS and bool(_EMPTY.fullmatch(path))
