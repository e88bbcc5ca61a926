"""Which versions of a package lie in a cache, and which of them are the newest."""

import re
from functools import lru_cache

from cachewarden.model.caches import Entry, Kind, MeasuredCache
from cachewarden.model.versions import VersionKey, version_key

NO_PACKAGE = frozenset({Kind.DEBRIS, Kind.LOG, Kind.INDEX})
"""Nothing of these is installed from, so an unknown name or version costs nobody a package."""


@lru_cache(maxsize=4096)
def normal(name: str) -> str:
    """The spellings of a name taken as one (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Shelf:
    """The versions of each package in one cache."""

    def __init__(self, cache: MeasuredCache) -> None:
        """Only what packages are made of counts."""
        found: dict[str, set[str]] = {}
        for entry in cache.entries:
            if entry.name and entry.version and entry.kind not in NO_PACKAGE:
                found.setdefault(normal(entry.name), set()).add(entry.version)
        self._known = {name: sorted({version_key(each) for each in those}) for name, those in found.items()}

    def superseded(self, entry: Entry) -> bool:
        """Whether a newer version of its package is here."""
        keys = self._of(entry)
        return bool(keys and entry.version) and version_key(entry.version or "") < keys[-1]

    def among_newest(self, entry: Entry, count: int) -> bool:
        """Whether its version is one of the ``count`` newest here."""
        keys = self._of(entry)
        return bool(keys and entry.version) and version_key(entry.version or "") in keys[-count:]

    def _of(self, entry: Entry) -> list[VersionKey]:
        return self._known.get(normal(entry.name), []) if entry.name else []
