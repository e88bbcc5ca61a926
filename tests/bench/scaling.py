"""How the cost of a look grows with the cache, and with the number of owners."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import fleet
from bench.homes import DAEMON, PASS, Home
from bench.idle import SHIPPED
from bench.parts import Size
from bench.results import Beside, Found
from bench.rooms import room
from bench.timing import Taken, in_turn, timed
from bench.walking import FIRST, SECOND, counting
from builders.disks import why_no_loop_disks
from builders.machine import Machine
from builders.synthetic import conda_packages, pip_responses

CONDA = 1_000, 10_000, 100_000, 1_000_000
PIP = 1_000, 10_000, 100_000
OWNERS = 1, 10, 50, 100, 200
FIRST_CYCLE, SECOND_CYCLE = "run, first", "run, second"
_FIRST_UID = 20_000
_LARGE = 300_000
"""Of more files than this one round is taken: it takes minutes."""


def measure(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """Of a conda cache every file has a second name in an environment, which is what takes memory."""
    for files in CONDA[: size.of(len(CONDA), 2)]:
        say(f"a conda cache of {files:,} files, and an environment of all of them")
        with room(size, files, found) as made:
            home = Home(made.path)
            home.fill_conda(files)
            home.link_conda()
            made.settle()
            _one(f"{files:,} conda files in use", files, home, home.pkgs, size, found)
    for entries in PIP[: size.of(len(PIP), 2)]:
        say(f"a pip cache of {entries:,} entries")
        with room(size, entries * 7, found) as made:
            home = Home(made.path)
            home.fill_pip(entries)
            made.settle()
            _one(f"{entries:,} pip entries", entries, home, home.pip, size, found)


def _one(what: str, count: int, home: Home, cache: Path, size: Size, found: Found) -> None:
    counting(home, cache, None)[0]()  # now it is warm
    ways = [home.twice(FIRST, SECOND, "status"), *counting(home, cache, None), *home.starts()]
    times = in_turn(ways, 1 if count > _LARGE else size.rounds)
    lines = Beside(FIRST, "du -s", None, "beyond"), Beside(SECOND, "du -s", None, "beyond")
    found.group(what, times, *lines)
    found.groups[-1]["count"] = count


class Roster(Machine):
    """A machine of so many owners, each with small caches of both kinds."""

    def __init__(self, folder: Path, owners: int) -> None:
        roster = {f"owner{number}": _FIRST_UID + number for number in range(owners)}
        self.users = {"root": 0, **roster}
        super().__init__(folder)
        folder.chmod(0o755)
        shutil.copy(SHIPPED, self.config)
        for name in roster:
            pip_responses(self.home(name) / ".cache" / "pip", 50)
            conda_packages(self.home(name) / ".conda" / "pkgs", 5)
            self.give(self.home(name), name)


def measure_owners(size: Size, found: Found, say: Callable[[str], None]) -> None:
    """A whole cycle (``run``) of all owners of a machine, by the shipped policies, as root serves them."""
    if why := why_no_loop_disks():
        found.skip("cycles of many owners", f"serving all users needs root ({why})")
        return
    for count in OWNERS[: size.of(len(OWNERS), 2)]:
        say(f"cycles of {count} owners")
        with TemporaryDirectory(dir=size.place) as folder:
            roster = Roster(Path(folder), count)
            _is_whole(roster, count)
            start = Home(Path(folder) / "home" / "root").starts()[0]
            times = in_turn([partial(_cycles, roster), start], size.rounds)
            found.group(f"{count} owner{'s' if count > 1 else ''}", times, Beside(FIRST_CYCLE, PASS))
            found.groups[-1]["count"] = count
    say("cycles of a service that runs already")
    fleet.measure(OWNERS[: size.of(len(OWNERS), 2)], size.rounds, found)


def _cycles(roster: Roster) -> Taken:
    """One that knows nothing of any before, and the next."""
    keep = {".cache", ".conda"}
    ours = [path for path in roster.home("root").parent.glob("*/*") if path.name not in keep]
    for path in (*ours, *(roster.folder / "state").iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": DAEMON}
    # 1: the disk of the machine may be fuller than the shipped policy wants, with nothing that helps.
    names = FIRST_CYCLE, SECOND_CYCLE
    return {name: timed(roster.arguments("run"), environ, fine=(0, 1)) for name in names}


def _is_whole(roster: Roster, count: int) -> None:
    """That all are looked at: a time of half of them would be a good one."""
    done = roster.run("--json", "status")
    owners = {cache["owner"] for cache in json.loads(done.stdout)["caches"]}
    if len(owners) != count:
        raise SystemExit(f"{len(owners)} of {count} owners were looked at: {done.stderr}")
