"""Real packages with their real sizes, for the scenes; ``packages.csv`` is the table.

Sources, read in November 2026:

- lines ``pip``: file sizes and days of upload as the Python package index tells pip (its JSON of each project): the
  wheel for CPython 3.11 on x86-64 or for any machine, and the source archive; 0 where there is none. Of projects with
  many releases about one a month of 2025 is in the table.
- lines ``conda-N``: sizes of archives as four published ``pixi.lock`` files record them, the 70 largest packages of
  each: 0 001Aashish/ml-learning-project 2f444ff, 1 2320sharon/STAC_downloader 6c50cb4, 2 3shn/BDA_py_demos bac988f,
  3 gbionics/rock-the-conda 6fee664.
- ``BUILDS``: measured once by ``pip wheel --no-deps --no-binary`` on two cores of an AMD EPYC that others used too
  (so they are long rather than short), the time to make the environment of the build included.
- ``PI_TIMES``: how many times longer a Pi takes is assumed, for no Pi was at hand. What it makes of numpy lies
  between what was published for a Pi 3 (20 minutes) and a Pi 1 (two and a half hours), of an older and smaller numpy:
  speakerdeck.com/bennuttall/piwheels-camjam. Which package costs more than which other does not depend on it.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from cachewarden.model.versions import version_key

BUILDS: Mapping[str, int] = {
    "markupsafe": 14, "pyyaml": 19, "psutil": 7, "regex": 22, "greenlet": 11, "wrapt": 5, "aiohttp": 45, "lxml": 248,
    "numpy": 855, "multidict": 28, "yarl": 16, "frozenlist": 20, "cffi": 22, "rpi-gpio": 11, "spidev": 8,
    "pillow": 74, "msgpack": 37, "sqlalchemy": 102, "coverage": 15,
}  # fmt: skip
"""Seconds, by package."""
PI_TIMES = 4.0
"""So many times longer takes a build on a Pi."""
UNPACKED = 3.5
"""So many times larger is a conda package once it is unpacked: a wheel of compiled code unpacks to 3.5 to 3.8 times
its size (torch 3.65, triton 3.55 and 3.78, measured); conda's are alike in kind."""
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a package of pip's; 0 bytes where there is no such file. ``uploaded`` is a day, YYYY-MM-DD."""

    name: str
    version: str
    uploaded: str
    wheel: int
    sdist: int


@dataclass(frozen=True, slots=True)
class Archive:
    """A conda package; ``version`` with its build."""

    name: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """``locks``: what each of the four environments is made of."""

    releases: Mapping[str, tuple[Release, ...]]
    locks: tuple[tuple[Archive, ...], ...]

    def newest(self, name: str, day: str) -> Release:
        """What an install without a version takes on a day; the oldest known one where none was there yet."""
        known = self.releases[name]
        there = [each for each in known if each.uploaded <= day] or [min(known, key=lambda each: each.uploaded)]
        return max(there, key=lambda each: version_key(each.version))


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The table, read once."""
    releases: dict[str, list[Release]] = {}
    locks: dict[str, list[Archive]] = {}
    with resources.files(__package__).joinpath("packages.csv").open(encoding="ascii") as file:
        for row in csv.DictReader(file):
            if row["source"] == "pip":
                one = Release(
                    row["name"], row["version"], row["uploaded"], int(row["archive_bytes"]), int(row["sdist_bytes"])
                )
                releases.setdefault(one.name, []).append(one)
            else:
                archive = Archive(row["name"], row["version"], int(row["archive_bytes"]))
                locks.setdefault(row["source"], []).append(archive)
    return Catalogue(
        {name: tuple(those) for name, those in releases.items()},
        tuple(tuple(those) for _, those in sorted(locks.items())),
    )


def on_disk(size: int) -> int:
    """Bytes that a file takes, with a block for what belongs to it."""
    return -(-size // _BLOCK) * _BLOCK + _BLOCK
