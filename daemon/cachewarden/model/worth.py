"""What is known of an entry's worth: by what sign its last use is known, and what it takes to get it back."""

from dataclasses import dataclass
from enum import StrEnum

from cachewarden.model.units import Bytes, Seconds


class Signal(StrEnum):
    """By what sign a last use is known."""

    WRITTEN = "written"
    """Only that it was written then: nothing here tells of reading."""
    ACCESSED = "accessed"
    """The access time moved (``relatime`` moves it once a day, ``noatime`` never)."""
    OPENED = "opened"
    """A watcher saw it opened."""
    INSTALLED = "installed"
    """Its package was installed into an environment after it was cached."""


class Regain(StrEnum):
    """How an entry comes back when it is wanted again; also what the history says of one that went."""

    NOTHING = "nothing"
    """Nobody wants it back: left-overs, logs."""
    DOWNLOAD = "download"
    EXTRACT = "extract"
    """Its archive stands beside it: it is unpacked again."""
    BUILD = "build"
    """It is built again on this machine, from sources that are downloaded."""
    NEVER = "never"
    """It cannot be had again: a local or withdrawn source, no address known."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an ecosystem knows of one entry.

    ``fetch``: bytes to be downloaded to get it back, ``None`` where that is not known (its size stands in).
    ``build``: seconds that building takes, ``measured`` where pip's own time stamps tell, else estimated; ``None``
    where nothing is known. ``uses``: how often a use was noticed since it was cached, the first not counted.
    ``installed``: whether an environment has it now, ``None`` where that cannot be seen. ``orphan``: it is for an
    interpreter that is no longer on this machine. ``standing``: the package in this archive is unpacked.
    """

    regain: Regain
    fetch: Bytes | None = None
    build: Seconds | None = None
    measured: bool = False
    uses: int = 0
    installed: bool | None = None
    orphan: bool = False
    standing: bool = False
