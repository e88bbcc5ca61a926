"""How screens word what they show."""

from dataclasses import dataclass

from cachewarden.cli.render.blocks import Cell, Tone
from cachewarden.model.caches import Cache, Entry, Filesystem, MeasuredCache
from cachewarden.model.plans import State
from cachewarden.model.units import Instant, human_bytes, human_span, seconds_between

TONES = {State.SATISFIED: Tone.GOOD, State.TRIGGERED: Tone.WARN, State.WAITING: Tone.DIM}


@dataclass(frozen=True, slots=True)
class View:
    """For whom a screen is: ``home`` becomes ``~`` (empty in a pipe, where paths stay whole)."""

    now: Instant
    home: str = ""
    verbose: bool = False

    def path(self, path: str) -> str:
        """``/home/pi/.cache/pip`` -> ``~/.cache/pip`` for pi."""
        home = self.home.rstrip("/")
        return f"~{path[len(home) :]}" if home and (path == home or path.startswith(home + "/")) else path

    def ago(self, moment: Instant | None) -> str:
        """``5d3h ago``; a dash for what is not known."""
        if moment is None:
            return "-"
        seconds = seconds_between(moment, self.now)
        return f"{human_span(seconds)} ago" if seconds >= 0 else "in the future"


def where(cache: Cache, path: str) -> str:
    """An absolute path, of one that may be within the cache."""
    return path if path.startswith("/") else f"{cache.path}/{path}"


def label(name: str | None, version: str | None, path: str) -> str:
    """``torch 2.1.0``; the path of what has no name."""
    if not name:
        return path
    return f"{name} {version}" if version else name


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 entry``, ``2 entries``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def entries(number: int) -> str:
    """``1 entry``, ``2 entries``."""
    return count(number, "entry", "entries")


_NOTABLE = 100
"""What may come on top of a figure is told from one part in so many on."""


def frees(size: int, maybe: int = 0) -> Cell:
    """Nothing to free is told quietly. ``maybe``: what may come on top, as in ``between``."""
    return Cell(between(size, maybe), Tone.PLAIN if size or maybe else Tone.DIM)


def between(size: int, maybe: int) -> str:
    """``1.2 GiB``; ``0 B to 1.2 GiB`` where as much as that may come back."""
    if maybe * _NOTABLE <= size:
        return human_bytes(size)
    return f"{human_bytes(size)} to {human_bytes(size + maybe)}"


def later(held_open: int) -> str:
    """``; 12 MiB more when what has it open closes it``; empty without."""
    return f"; {human_bytes(held_open)} more when the programs that have it open close it" if held_open else ""


def share(part: int, total: int) -> str:
    """``7%`` of a filesystem, rounded down: just below a mark must not read as the mark."""
    return f"{100 * part // total}%" if total else "-"


def free(filesystem: Filesystem) -> str:
    """``3.1 GiB (7%)``."""
    return f"{human_bytes(filesystem.free)} ({share(filesystem.free, filesystem.total)})"


def of_cache(cache: MeasuredCache, entry: Entry) -> str:
    """The absolute path of an entry."""
    return f"{cache.cache.path}/{entry.path}"
