"""Purges beside what a user would run instead, each of a cache that was just made."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.homes import Home
from bench.parts import Size
from bench.results import Beside, Found
from bench.timing import Taken, Way, forget, in_turn, may_forget, timed
from builders.pip_caches import pip_env, pip_python

FIRST, KNOWN = "purge, first", "purge, after a status"
OF_RM, OF_PIP = 1.2, 1 / 3
Prepare = Callable[[], object]


def conda_clean(home: Home, found: Found, prepare: Prepare) -> list[Way]:
    """``conda clean`` for this cache, where there is a conda."""
    path = shutil.which("conda")
    if path is None:
        found.skip("conda clean", "no conda is on the path")
        return []

    def way() -> Taken:
        prepare()
        environ = pip_env(home.path, CONDA_PKGS_DIRS=str(home.pkgs))
        return {"conda clean": timed([path, "clean", "--packages", "--tarballs", "--yes"], environ)}

    return [way]


def _ours(home: Home, ecosystem: str, prepare: Prepare) -> list[Way]:
    words = ("purge", ecosystem, "--all", "--yes")

    def look() -> None:
        prepare()
        home.run("status")

    return [home.ours(FIRST, *words, prepare=prepare), home.ours(KNOWN, *words, prepare=look)]


def _of_rm(of: str = "beyond") -> list[Beside]:
    return [Beside(FIRST, "rm -rf", OF_RM, of), Beside(KNOWN, "rm -rf", OF_RM, of)]


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """Conda warm and cold, pip warm and cold."""
    with TemporaryDirectory(dir=size.place) as folder:
        home = Home(Path(folder))
        home.run("status")
        _conda(home, size, found, say)
        home.drop_conda()
        _pip(home, size, found, say)


def _conda(home: Home, size: Size, found: Found, say: Callable[[str], None]) -> None:
    files = size.of(20_000, 2_000)
    what = f"{files:,} conda files"

    def again() -> None:
        home.fill_conda(files)

    say(f"purges of {what}")
    rm = home.theirs("rm -rf", "rm", "-rf", str(home.pkgs), prepare=again)
    clean = conda_clean(home, found, again)
    ways = [*_ours(home, "conda", again), rm, *clean, *home.starts()]
    lines = [*_of_rm(), *([Beside(FIRST, "conda clean")] if clean else [])]
    found.group(f"{what}, warm", in_turn(ways, size.rounds), *lines)
    _cold(home, "conda", what, again, size, found, say)


def _pip(home: Home, size: Size, found: Found, say: Callable[[str], None]) -> None:
    entries = size.of(10_000, 1_000)
    what = f"{entries:,} pip entries"

    def again() -> None:
        home.fill_pip(entries)

    say(f"purges of {what}")
    pip = home.theirs("pip cache purge", str(pip_python(None)), "-m", "pip", "cache", "purge", prepare=again)
    rm = home.theirs("rm -rf", "rm", "-rf", str(home.pip), prepare=again)
    times = in_turn([*_ours(home, "pip", again), pip, rm, *home.starts()], size.rounds)
    lines = [Beside(FIRST, "pip cache purge", OF_PIP), Beside(KNOWN, "pip cache purge", OF_PIP), *_of_rm()]
    found.group(f"{what}, warm", times, *lines)
    _cold(home, "pip", what, again, size, found, say)


def _cold(
    home: Home, ecosystem: str, what: str, again: Prepare, size: Size, found: Found, say: Callable[[str], None]
) -> None:
    """The same after the kernel forgot the disk."""
    if not may_forget():
        found.skip(f"purges of {what}, cold", "dropping the kernel's caches needs root")
        return
    say(f"purges of {what}, cold")

    def again_cold() -> None:
        again()
        forget()

    folder = home.pkgs if ecosystem == "conda" else home.pip
    words = ("purge", ecosystem, "--all", "--yes")
    rm = home.theirs("rm -rf", "rm", "-rf", str(folder), prepare=again_cold)
    times = in_turn([home.ours(FIRST, *words, prepare=again_cold), rm, *home.starts(prepare=forget)], size.rounds)
    found.group(f"{what}, cold", times, Beside(FIRST, "rm -rf", OF_RM, "beyond"))
