"""Looks beside what counts the same bytes: the first look, the next with the same state, warm and cold."""

import shutil
from collections.abc import Callable
from pathlib import Path

from bench.homes import Home
from bench.parts import Size
from bench.results import Beside, Found
from bench.rooms import room
from bench.timing import Way, forget, in_turn, may_forget
from builders.pip_caches import pip_python

FIRST, SECOND = "status, first", "status, second"
OF_FIRST, OF_SECOND = 1.3, 0.1
"""Goals, beyond the interpreter's own start: times ``du -s``."""


def gdu(found: Found) -> str | None:
    """Where it is; if it is not, that is told."""
    path = shutil.which("gdu", path="/usr/bin:/usr/local/bin")
    if path is None:
        found.skip("gdu", "it is not on this machine: apt-get install gdu")
    return path


def counting(
    home: Home, folder: Path, gdu_path: str | None, prepare: Callable[[], object] = lambda: None
) -> list[Way]:
    """The system's own ways of adding up a tree."""
    ways = [home.theirs("du -s", "du", "-s", str(folder), prepare=prepare)]
    if gdu_path is not None:
        words = (gdu_path, "--non-interactive", "--no-progress", "--summarize", str(folder))
        ways.append(home.theirs("gdu", *words, prepare=prepare))
    return ways


def _lines(found_gdu: str | None, *more: Beside) -> list[Beside]:
    lines = [Beside(FIRST, "du -s", OF_FIRST, "beyond"), Beside(SECOND, "du -s", OF_SECOND, "beyond")]
    if found_gdu is not None:
        lines += [Beside(FIRST, "gdu"), Beside(SECOND, "gdu")]
    return [*lines, *more]


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """A conda cache that no environment uses, and a pip cache."""
    path = gdu(found)
    files, entries = size.of(160_000, 10_000), size.of(10_000, 1_000)
    with room(size, files, found) as made:
        home = Home(made.path)
        say(f"a conda cache of {files:,} files is made")
        home.fill_conda(files)
        made.settle()
        _conda(home, files, path, size, found, say)
    with room(size, entries * 7, found) as made:
        home = Home(made.path)
        say(f"a pip cache of {entries:,} entries")
        home.fill_pip(entries)
        made.settle()
        home.theirs("du -s", "du", "-s", str(home.pip))()
        info = home.theirs("pip cache info", str(pip_python(None)), "-m", "pip", "cache", "info")
        ways = [home.twice(FIRST, SECOND, "status"), *counting(home, home.pip, path), info, *home.starts()]
        more = Beside(FIRST, "pip cache info"), Beside(SECOND, "pip cache info")
        found.group(f"{entries:,} pip entries, warm", in_turn(ways, size.rounds), *_lines(path, *more))


def _conda(home: Home, files: int, path: str | None, size: Size, found: Found, say: Callable[[str], None]) -> None:
    say("walks, warm")
    ways = [home.twice(FIRST, SECOND, "status"), *counting(home, home.pkgs, path), *home.starts()]
    home.theirs("du -s", "du", "-s", str(home.pkgs))()  # now it is warm
    found.group(f"{files:,} conda files, warm", in_turn(ways, size.rounds), *_lines(path))
    if not may_forget():
        found.skip("walks of what the kernel does not remember", "dropping its caches needs root")
        return
    say("walks, cold")
    ways = [
        home.twice(FIRST, SECOND, "status", cold=True),
        *counting(home, home.pkgs, path, prepare=forget),
        *home.starts(prepare=forget),
    ]
    found.group(f"{files:,} conda files, cold", in_turn(ways, size.rounds), *_lines(path))
