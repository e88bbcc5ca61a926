"""Three scenes as traces: made by chance from a seed, the same for the same seed, of packages with real sizes.

They are stories, not measurements: what is real is the packages, their sizes and the days on which new versions came
out. Each scene says what it takes for granted.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from cachewarden.model.caches import Kind
from cachewarden.model.worth import Regain
from cachewarden.simulate.catalogue import BUILDS, PI_TIMES, UNPACKED, Archive, Release, catalogue, on_disk
from cachewarden.simulate.trace import Event, Gone, Item, Place, Trace, Want

_FIRST_DAY = date(2025, 1, 1)
_DAY = 86_400
_START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())


def _day(at: int) -> str:
    return (_FIRST_DAY + timedelta(days=(at - _START) // _DAY)).isoformat()


@dataclass(slots=True)
class _Tape:
    """Collects what happens; environments are known by a name and hold entries until they are removed."""

    chance: random.Random
    events: list[Event] = field(default_factory=list)
    environments: dict[str, set[Place]] = field(default_factory=dict)

    def pip(self, at: int, release: Release, *, build: float | None, environment: str | None) -> None:
        """An install by pip, of the wheel or, with the seconds of a ``build``, from source."""
        installed = True if environment else None
        wheel = f"{release.name}-{release.version}.whl"
        if build is None and release.wheel:
            item = _item("pip", Kind.DOWNLOAD, wheel, release, release.wheel)
            self._want(Want(at, replace(item, installed=installed)), environment)
            return
        source = _item("pip", Kind.DOWNLOAD, f"{release.name}-{release.version}.tar.gz", release, release.sdist)
        made = replace(
            _item("pip", Kind.BUILT_WHEEL, f"built/{wheel}", release, release.wheel or release.sdist),
            regain=Regain.BUILD, fetch=release.sdist, build=max(1, round(build or 0)), installed=installed,
        )  # fmt: skip
        self.events.append(Want(at, source, source_of=made.key))
        self._want(Want(at, made), environment)

    def conda(self, at: int, archive: Archive, environment: str) -> None:
        """An install by conda: what is not unpacked yet is unpacked, from an archive that may be downloaded."""
        key = f"{archive.name}-{archive.version}"
        tarball = _item("conda", Kind.TARBALL, f"{key}.conda", archive, archive.size)
        package = replace(
            _item("conda", Kind.PACKAGE, key, archive, int(archive.size * UNPACKED)),
            fetch=archive.size, installed=True,
        )  # fmt: skip
        self.events.append(Want(at, tarball, source_of=key))
        self._want(Want(at, package), environment)

    def _want(self, want: Want, environment: str | None) -> None:
        self.events.append(want)
        if environment:
            self.environments.setdefault(environment, set()).add(want.item.place)

    def drop(self, at: int, environment: str) -> None:
        """Removes an environment: what no other has is installed nowhere."""
        had = self.environments.pop(environment, set())
        others: set[Place] = set().union(*self.environments.values()) if self.environments else set()
        self.events += [Gone(at, place) for place in sorted(had - others)]

    def trace(self, about: str) -> Trace:
        """All of it, in the order of time."""
        return Trace(about, tuple(sorted(self.events, key=lambda event: event.at)))


def _item(ecosystem: str, kind: Kind, key: str, what: Release | Archive, size: int) -> Item:
    """An entry that takes as much of a disk as a file of ``size`` bytes."""
    takes = on_disk(size)
    return Item(ecosystem, 0, key, kind, takes, takes, what.name, what.version, fetch=size)


@dataclass(slots=True)
class _Project:
    """What is installed for one project. ``pins``: the versions that it stays with."""

    name: str
    packages: tuple[str, ...]
    pinned: bool
    pins: dict[str, Release] = field(default_factory=dict)

    def releases(self, at: int) -> Iterable[Release]:
        """What an install takes now."""
        known = catalogue()
        for name in self.packages:
            if self.pinned:
                yield self.pins.setdefault(name, known.newest(name, _day(at)))
            else:
                yield known.newest(name, _day(at))


_WEB = ("requests", "urllib3", "certifi", "charset-normalizer", "idna")
_FLASK = ("flask", "jinja2", "markupsafe", "click", "werkzeug")
_PI_PROJECTS = (
    ("weather", ("rpi-gpio", "smbus2", "gpiozero", "paho-mqtt", *_WEB)),
    ("dashboard", (*_FLASK, *_WEB, "psutil", "pyyaml")),
    ("camera", ("numpy", "pillow", *_FLASK)),
    ("display", ("luma-oled", "pillow", "smbus2", "spidev", "rpi-gpio")),
    ("home", ("aiohttp", "yarl", "multidict", "frozenlist", "idna", "pyyaml", "paho-mqtt", "psutil")),
    ("logger", ("pandas", "numpy", "sqlalchemy", "greenlet", *_FLASK)),
    ("scraper", ("lxml", "regex", "pyyaml", *_WEB)),
    ("robot", ("numpy", "pyserial", "rpi-gpio", "spidev", "wrapt", "msgpack", "coverage")),
)
_PI_TRIALS = (
    "opencv-python-headless", "scipy", "scikit-learn", "matplotlib", "polars", "django", "fastapi", "pydantic",
    "pydantic-core", "uvicorn", "grpcio", "protobuf", "boto3", "botocore", "black", "mypy", "ruff", "cryptography",
    "cffi", "pytest", "numba", "llvmlite",
)  # fmt: skip


def pi(seed: int) -> Trace:
    """A year of a hobbyist: eight small projects that are worked on for some weeks and then rest for months.

    Taken for granted: the board's index has no wheels of what ``BUILDS`` names, so that is built; an environment is
    made anew every few days of work and often removed when a project rests; every third install is a trial of
    something that is seldom tried twice; a third of the projects pin their versions.
    """
    tape = _Tape(random.Random(f"pi {seed}"))  # noqa: S311 - a story, no secret
    chance, moments = tape.chance, []
    for number, (name, packages) in enumerate(_PI_PROJECTS):
        project = _Project(name, tuple(each for each in packages if _known(each)), pinned=number % 3 == 0)
        at = _START + int(chance.uniform(0, 120) * _DAY)
        while at < _START + 365 * _DAY:
            for _ in range(chance.randint(3, 9)):
                moments.append((at, project, False))
                at += int(chance.expovariate(1 / 4) * _DAY) + 900
            moments.append((at, project, True))
            at += int(chance.uniform(20, 110) * _DAY)
    for at, project, rests in sorted(moments, key=lambda moment: (moment[0], moment[1].name)):
        if rests:
            if chance.random() < 0.5:
                tape.drop(at, project.name)
            continue
        tape.environments.pop(project.name, None)
        for release in project.releases(at):
            tape.pip(at, release, build=_pi_build(release), environment=project.name)
        if chance.random() < 1 / 3:
            for name in chance.sample(_PI_TRIALS, chance.randint(1, 3)):
                release = catalogue().newest(name, _day(at + 1800))
                tape.pip(at + 1800, release, build=_pi_build(release), environment=None)
    return tape.trace(f"scene pi, seed {seed}")


def _known(name: str) -> bool:
    return name in catalogue().releases


def _pi_build(release: Release) -> float | None:
    return BUILDS[release.name] * PI_TIMES if release.name in BUILDS else None


def data_science(seed: int) -> Trace:
    """A year of a data scientist with twelve environments that come and go.

    Taken for granted: each environment is a part of one of four real ones and lives for days to weeks; two of three
    are made again later, as they were or with half of the packages in the versions of another; every other has
    packages of pip's on top.
    """
    tape = _Tape(random.Random(f"data-science {seed}"))  # noqa: S311 - a story, no secret
    chance, moments = tape.chance, []
    locks = catalogue().locks
    for number in range(12):
        lock = locks[number % len(locks)]
        packages = chance.sample(lock, int(len(lock) * chance.uniform(0.5, 0.9)))
        extra = chance.sample(_DATA_EXTRAS, 3) if number % 2 else []
        at, life = _START + int(chance.uniform(0, 200) * _DAY), 0
        while at < _START + 365 * _DAY:
            moments.append((at, f"env{number}", tuple(packages), tuple(extra)))
            life = int(chance.expovariate(1 / 14) * _DAY) + 3600
            moments.append((at + life, f"env{number}", (), ()))
            if chance.random() < 1 / 4:
                packages = _updated(packages, chance.choice(locks), chance)
            at += life + int(chance.expovariate(1 / (10 if chance.random() < 2 / 3 else 90)) * _DAY) + 3600
    for at, name, archives, extras in sorted(moments, key=lambda moment: (moment[0], moment[1])):
        if not archives:
            tape.drop(at, name)
            continue
        for archive in archives:
            tape.conda(at, archive, name)
        for each in extras:
            tape.pip(at + 600, catalogue().newest(each, _day(at)), build=None, environment=name)
    return tape.trace(f"scene data-science, seed {seed}")


_DATA_EXTRAS = ("torch", "polars", "pyarrow", "numba", "llvmlite", "scikit-learn", "boto3", "botocore", "pydantic")


def _updated(packages: Sequence[Archive], lock: Sequence[Archive], chance: random.Random) -> list[Archive]:
    """Some of the packages in the versions of another lock."""
    other = {each.name: each for each in lock}
    return [other.get(each.name, each) if chance.random() < 0.5 else each for each in packages]


_CI_POOLS = (
    (*_WEB, *_FLASK, "sqlalchemy", "greenlet", "psutil", "cryptography", "cffi"),
    ("django", "pillow", "lxml", "pyyaml", "boto3", "botocore", "urllib3"),
    ("fastapi", "pydantic", "pydantic-core", "uvicorn", "uvloop", "click", "idna"),
    ("aiohttp", "yarl", "multidict", "frozenlist", "protobuf", "grpcio"),
    ("numpy", "pandas", "scipy", "matplotlib", "pillow", "scikit-learn"),
    ("torch", "numpy", "pandas", "pyarrow", "polars", "protobuf"),
    ("numba", "llvmlite", "numpy", "opencv-python-headless"),
)
_CI_TOOLS = ("pytest", "coverage", "ruff", "mypy", "black", "setuptools")


def ci(seed: int) -> Trace:
    """Three weeks of a runner that serves ten repositories.

    Taken for granted: twenty jobs on a working day, most of a few repositories; each has a lock file that is brought
    up to date about once a week; what two of them pin has no wheel, and is built; environments are gone with the job
    and are never seen. One job of twelve is somebody's branch that needs something else once.
    """
    tape = _Tape(random.Random(f"ci {seed}"))  # noqa: S311 - a story, no secret
    chance = tape.chance
    repositories = []
    for number in range(10):
        pool = _CI_POOLS[number % len(_CI_POOLS)]
        packages = tuple(dict.fromkeys((*pool, *chance.sample(_CI_TOOLS, 4))))
        repositories.append(_Project(f"repo{number}", packages, pinned=True))
    weights = [1 / (1 + number) for number in range(10)]
    chance.shuffle(weights)
    for day in range(21):
        if day % 7 >= 5:
            continue
        for moment in sorted(chance.uniform(8, 20) * 3600 for _ in range(20)):
            at = _START + (day + 120) * _DAY + int(moment)
            project = chance.choices(repositories, weights)[0]
            if chance.random() < 1 / 40:
                project.pins.clear()
            for release in project.releases(at - chance.randint(0, 2) * 30 * _DAY):
                build = BUILDS.get(release.name) if project.name in {"repo0", "repo1"} else None
                tape.pip(at, release, build=build, environment=None)
            if chance.random() < 1 / 12:
                name = chance.choice(sorted(catalogue().releases))
                tape.pip(at, chance.choice(catalogue().releases[name]), build=None, environment=None)
    return tape.trace(f"scene ci, seed {seed}")


SCENES: Mapping[str, Callable[[int], Trace]] = {"pi": pi, "data-science": data_science, "ci": ci}
"""By the names of the command line."""
