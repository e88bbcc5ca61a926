"""Which versions of a package lie in a cache, and which of them are the newest."""

import re
from collections.abc import Sequence
from functools import lru_cache

from cachewarden.model.caches import Entry, Kind, MeasuredCache
from cachewarden.model.versions import version_key

NO_PACKAGE = frozenset({Kind.DEBRIS, Kind.LOG, Kind.INDEX})
"""Nothing of these is installed from, so an unknown name or version costs nobody a package."""


_LONGEST_KEPT = 200


def normal(name: str) -> str:
    """The spellings of a name taken as one (PEP 503)."""
    # A worker may say names of 64 KiB: sixteen thousand of those would stay in memory for good.
    return _normal(name) if len(name) <= _LONGEST_KEPT else _normal.__wrapped__(name)


@lru_cache(maxsize=16384)
def _normal(name: str) -> str:
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
        self._built: dict[tuple[str, str], list[str]] = {}
        for entry in cache.entries:
            if entry.kind is Kind.BUILT_WHEEL and entry.name and entry.version:
                self._built.setdefault((normal(entry.name), entry.version), []).append(entry.path)

    @property
    def has_built(self) -> bool:
        """Whether any wheel here was built."""
        return bool(self._built)

    def superseded(self, entry: Entry) -> bool:
        """Whether a newer version of its package is here."""
        if not self._known or not entry.name or not entry.version:
            return False
        keys = self._known.get(normal(entry.name))
        return keys is not None and version_key(entry.version) < keys[-1]

    def built_of(self, entry: Entry) -> Sequence[str]:
        """The paths of the wheels that were built of a download and lie here."""
        if not self._built or entry.kind is not Kind.DOWNLOAD or not entry.name or not entry.version:
            return ()
        return self._built.get((normal(entry.name), entry.version), ())

    def among_newest(self, entry: Entry, count: int) -> bool:
        """Whether its version is one of the ``count`` newest here."""
        if not entry.name or not entry.version:
            return False
        name = normal(entry.name)
        return name in self._single or version_key(entry.version) in self._known.get(name, [])[-count:]
