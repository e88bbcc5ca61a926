"""Entries that make each other cheap to lose, for as long as the other is there.

An archive whose package is unpacked is wanted only once that is gone, and the package is unpacked again while its
archive stands; a source is wanted only once the wheels that were built of it are gone. Who loses both pays in full.
"""

from collections.abc import Sequence
from dataclasses import replace

from cachewarden.decide.shelf import Shelf
from cachewarden.decide.worth import usual
from cachewarden.model.caches import Entry, Kind, MeasuredCache, unpacked_of
from cachewarden.model.worth import Regain


class Partners:
    """Of one cache: for each entry that is cheap because of others, which those are, and what it is without them."""

    def __init__(self, cache: MeasuredCache, shelf: Shelf) -> None:
        """By the names of entries alone; a worker that lies about them changes the order of its own caches."""
        unpacked = {entry.path for entry in cache.entries if entry.kind is Kind.PACKAGE}
        self._archives: dict[str, dict[str, Entry]] = {}
        self._rests: dict[str, Sequence[str]] = {}
        for entry in cache.entries if unpacked else ():
            if entry.kind is Kind.TARBALL and (package := unpacked_of(entry.path)) in unpacked:
                self._archives.setdefault(package, {})[entry.path] = entry
                self._rests[entry.path] = (package,)
        for package, archives in self._archives.items():
            self._rests[package] = sorted(archives)
        for entry in cache.entries if shelf.has_built else ():
            if wheels := shelf.built_of(entry):
                self._rests[entry.path] = wheels

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rests)

    def of(self, entry: Entry) -> Sequence[str]:
        """The paths of those that make it cheap: one of them is enough. One object for all that have the same."""
        return self._rests.get(entry.path, ())

    def alone(self, entry: Entry) -> Entry:
        """The entry as it is once they are gone."""
        facts = entry.facts
        if facts is None:
            return entry
        if archives := self._archives.get(entry.path):
            if facts.regain is not Regain.EXTRACT:
                return entry
            archive = archives[self._rests[entry.path][0]]
            back = archive.facts or usual(archive.kind)
            return replace(entry, facts=replace(facts, regain=back.regain, fetch=back.fetch))
        return replace(entry, facts=replace(facts, standing=False)) if facts.standing else entry
