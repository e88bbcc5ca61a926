"""Which versions of a package lie in a cache, and which of them are the newest."""

import re
from functools import lru_cache

from cachewarden.model.caches import Entry, Kind, MeasuredCache
from cachewarden.model.versions import version_key

NO_PACKAGE = frozenset({Kind.DEBRIS, Kind.LOG, Kind.INDEX})
"""Nothing of these is installed from, so an unknown name or version costs nobody a package."""


@lru_cache(maxsize=16384)
def normal(name: str) -> str:
    """The spellings of a name taken as one (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Shelf:
    """The versions of each package in one cache."""

    def __init__(self, cache: MeasuredCache) -> None:
        """Only what packages are made of counts."""
        found: dict[str, set[str]] = {}
        for entry in cache.entries:
            if entry.version and entry.name and entry.kind not in NO_PACKAGE:
                found.setdefault(normal(entry.name), set()).add(entry.version)
        self._known = {
            name: sorted({version_key(each) for each in those}) for name, those in found.items() if len(those) > 1
        }
        self._single = found.keys() - self._known.keys()
        self._built = {
            (normal(entry.name), entry.version)
            for entry in cache.entries
            if entry.kind is Kind.BUILT_WHEEL and entry.name and entry.version
        }

    def superseded(self, entry: Entry) -> bool:
        """Whether a newer version of its package is here."""
        if not self._known or not entry.name or not entry.version:
            return False
        keys = self._known.get(normal(entry.name))
        return keys is not None and version_key(entry.version) < keys[-1]

    def is_built(self, entry: Entry) -> bool:
        """Whether a download is the source of a wheel that was built and lies here."""
        if not self._built or entry.kind is not Kind.DOWNLOAD or not entry.name:
            return False
        return (normal(entry.name), entry.version) in self._built

    def among_newest(self, entry: Entry, count: int) -> bool:
        """Whether its version is one of the ``count`` newest here."""
        if not entry.name or not entry.version:
            return False
        name = normal(entry.name)
        return name in self._single or version_key(entry.version) in self._known.get(name, [])[-count:]
