"""The attacks of one user on all others, part six: what is looked at to judge entries by.

Environments, their records and histories, times of files, and how large they seem. As in part one: after each attack
the same daemon is alive, bob is served, and every victim is as it was.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.siege import KEY, SHARD, WHEEL, Siege, fill_conda, fill_pip

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]

PIP, CONDA = ".cache/pip", ".conda/pkgs"
BOUND = 60.0
"""Seconds that any attack may keep bob waiting."""
ENVIRONMENT = "project/.venv"
SITE = f"{ENVIRONMENT}/lib/python3.11/site-packages"
DEVICE = os.makedev(1, 5)
"""/dev/zero."""
LAST_OF_THE_CALENDAR = 253_402_300_799
"""The end of the year 9999; ext4 makes it 2446."""


def environment(home: Path) -> Path:
    """One with the distribution that ann's built wheel is of."""
    site = home / SITE
    info = site / "made-1.0.dist-info"
    info.mkdir(parents=True)
    (home / ENVIRONMENT / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (info / "INSTALLER").write_text("pip\n")
    return info


def conda_environment(home: Path) -> Path:
    meta = home / "env" / "conda-meta"
    meta.mkdir(parents=True)
    (home / ".conda" / "environments.txt").write_text("/home/ann/env\n")
    return meta


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mknod(path, 0o666 | 0o020000, DEVICE)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 43)


def deep(path: Path) -> None:
    path.write_text('{"url":' + "[" * 60_000)


def outside(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/home/bob/open/db-2024.tar.bz2")


def in_environment(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda home: make(environment(home) / name)


def in_conda(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda home: make(conda_environment(home) / name)


def below_each_other(home: Path) -> None:
    """Environments in environments, and a link that leads to the first of them."""
    place = home
    for _ in range(60):
        place = place / "v"
        place.mkdir()
    (place / "pyvenv.cfg").write_text("")
    (home / "v" / "loop").symlink_to(home / "v")
    environment(home)
    (home / ENVIRONMENT / "lib" / "python3.12").symlink_to("..")


def many_distributions(home: Path) -> None:
    site = environment(home).parent
    for number in range(100_000):
        os.mkdir(f"{site}/x{number}-1.0.dist-info")


def many_environments(home: Path) -> None:
    for number in range(3_000):
        (home / "venvs" / f"{number}").mkdir(parents=True)
        (home / "venvs" / f"{number}" / "pyvenv.cfg").touch()


def many_histories(home: Path) -> None:
    """Of the greatest length that is read, all of the same line, of the same environment by many names."""
    names = []
    for number in range(40):
        meta = home / f"env{number}" / "conda-meta"
        meta.mkdir(parents=True)
        line = "==> 2026-01-01 12:00:00 <==\n" + "+made0-1.0-0\n" * 200
        (meta / "history").write_text(line * 1400)
        names.append(f"/home/ann/env{number}\n")
    (home / ".conda" / "environments.txt").write_text("".join(names))


ATTACKS: dict[str, Callable[[Path], object]] = {
    "a FIFO for pyvenv.cfg": lambda home: fifo(environment(home).parents[3] / "pyvenv.cfg"),
    "a device for pyvenv.cfg": lambda home: device(environment(home).parents[3] / "pyvenv.cfg"),
    **{
        f"{what} for {name}": in_environment(name, make)
        for name in ("INSTALLER", "direct_url.json", "RECORD")
        for what, make in (("a FIFO", fifo), ("a device", device), ("8 TiB", sparse), ("a link to bob", outside))
    },
    "a deep direct_url.json": in_environment("direct_url.json", deep),
    **{
        f"{what} for {name}": in_conda(name, make)
        for name in ("history", "made0-1.0-0.json")
        for what, make in (("a FIFO", fifo), ("a device", device), ("8 TiB", sparse), ("a link to bob", outside))
    },
    "a history of strange times": in_conda(
        "history",
        lambda path: path.write_text(
            "".join(f"==> {year:04}-01-01 00:00:00 <==\n+made0-1.0-0\n" for year in (0, 1, 1969, 9999))
            + "==> 2026-99-99 99:99:99 <==\n+made1-1.0-0\n"
        ),
    ),
    "histories without end": many_histories,
    "environments below each other": below_each_other,
    "100,000 distributions": many_distributions,
    "3,000 environments": many_environments,
    "an 8 TiB wheel without a block": lambda home: sparse(home / PIP / WHEEL / "made-1.0-cp311-cp311-linux.whl"),
    "an 8 TiB body without a block": lambda home: sparse(home / PIP / SHARD / f"{KEY}.body"),
}
STAYS = {f"{what} for made0-1.0-0.json" for what in ("a FIFO", "a device", "8 TiB", "a link to bob")}
"""By its name it is a record that an environment uses the package: that stays, and nothing else does."""


def fill(siege: Siege) -> Path:
    siege.start_over()
    home = siege.home("ann")
    fill_pip(home / PIP, 4)
    fill_conda(home / CONDA, 4)
    siege.give(home, "ann")
    return home


def quick_cycle(siege: Siege) -> str:
    began = time.monotonic()
    log = siege.cycle(BOUND)
    assert time.monotonic() - began < BOUND
    return log


def all_went(home: Path, *more: str) -> None:
    assert [path for path in (home / PIP).rglob("*") if path.is_file()] == []
    assert sorted(path.name for path in (home / CONDA).iterdir()) == sorted([".trash", "cache", "urls.txt", *more])


@pytest.mark.parametrize("kind", ATTACKS)
def test_nothing_in_an_environment_makes_a_cache_stay_or_keeps_others_waiting(siege: Siege, kind: str) -> None:
    home = fill(siege)
    ATTACKS[kind](home)
    siege.give(home, "ann")
    log = quick_cycle(siege)
    assert "failed" not in log
    all_went(home, *(["made0-1.0-0"] if kind in STAYS else []))


@pytest.mark.parametrize("moment", [-62_135_596_800, -(2**31), 0, LAST_OF_THE_CALENDAR, 2**62], ids=str)
def test_no_time_stamp_makes_anything_stay(siege: Siege, moment: int) -> None:
    """A file of the year 9999 once made the whole look one that the service refuses."""
    home = fill(siege)
    environment(home)
    conda_environment(home)
    for folder, _, names in os.walk(home):
        for name in (*names, "."):
            os.utime(f"{folder}/{name}", ns=(moment * 10**9, moment * 10**9))
    siege.give(home, "ann")
    log = quick_cycle(siege)
    assert "failed" not in log
    all_went(home)
