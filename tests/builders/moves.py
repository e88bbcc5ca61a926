"""A home with caches, a small disk to move them to, and moves that are killed where it hurts (root)."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from builders.conda_caches import CondaBase, Link, build_package
from builders.disks import LoopDisk
from builders.looks import OwnProcesses
from builders.synthetic import conda_packages, pip_responses
from builders.trees_alike import portrait
from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.registry import ECOSYSTEMS
from cachewarden.model.caches import MARKER
from cachewarden.model.relocations import Errand, Moved, MoveOrder, Phase, Relocation
from cachewarden.relocate.records import Records
from cachewarden.service import moving, worker
from cachewarden.system.files import RealFiles
from cachewarden.system.users import current_owner

_OWN = (".cachewarden-old-", ".cachewarden-incoming-", ".cachewarden-new", ".cachewarden-probe")


@dataclass(slots=True)
class House:
    """A user's home on the machine's own disk, and a disk of its own to move caches to."""

    home: Path
    disk: LoopDisk
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.home / ".local/state/cachewarden"

    def whom(self) -> worker.Whom:
        environ = {"HOME": str(self.home), **self.environ}
        return worker.Whom(current_owner(str(self.home)), environ, state=str(self.state), asks=True)

    def to(self, ecosystem: str) -> Path:
        return self.disk.path / "caches" / ecosystem

    def order(self, errand: Errand, ecosystem: str, **more: object) -> MoveOrder:
        to = str(self.to(ecosystem)) if errand in (Errand.RELOCATE, Errand.CHECK) else ""
        return replace(MoveOrder(errand, ecosystem, to=to), **more)  # type: ignore[arg-type]  # fields by name

    def run(self, errand: Errand, ecosystem: str = "pip", **more: object) -> Moved:
        """In this process."""
        return self.settle_all(self.order(errand, ecosystem, **more))[0]

    def settle_all(
        self, order: MoveOrder, records: Records | None = None, may_go_on: Callable[[], bool] = lambda: True
    ) -> tuple[Moved, ...]:
        """What else runs on this machine, other tests for one, is nothing to it."""
        return moving.move(
            self.whom(), order, may_go_on=may_go_on, progress=lambda _: None, records=records,
            processes=OwnProcesses(),
        )  # fmt: skip

    def settle(self) -> tuple[Moved, ...]:
        return self.settle_all(MoveOrder(Errand.SETTLE, "pip"))

    def records(self) -> tuple[Relocation, ...]:
        return self.whom().records.all()

    def named(self, ecosystem: str) -> Path:
        """The folder that the tool would use now, by the configuration, links resolved."""
        whom = self.whom()
        surroundings = Surroundings(whom.owner, whom.environ, RealFiles(whom.owner))
        own = next(each for each in ECOSYSTEMS if each.name == ecosystem)
        return Path(os.path.realpath(own.in_force(surroundings)[0].path or ""))

    def litter(self) -> list[str]:
        """What moves make for themselves and must not leave behind."""
        found = []
        for top in (self.home, self.disk.path):
            for folder, folders, files in os.walk(top):
                found += [f"{folder}/{name}" for name in (*folders, *files) if any(own in name for own in _OWN)]
        return found


def looks(cache: Path) -> dict[str, dict[str, object]]:
    """All that is to be seen of a cache, but for our marker, and the times of its top folder."""
    if not cache.is_dir():
        return {}
    found = portrait(cache)
    found.pop(MARKER, None)
    found.get(".", {}).pop("mtime", None)
    for each in found.values():
        each.pop("atime", None)
    return found


def fill_pip(cache: Path, count: int = 40, size: int = 3000) -> None:
    """Responses, with all that a copy can get wrong."""
    pip_responses(cache, count, size=size)
    wheel = cache / "wheels/ab/cd/ef" / ("0" * 50)
    wheel.mkdir(parents=True)
    (wheel / "made-1.0-py3-none-any.whl").write_bytes(os.urandom(5000))
    (wheel / "origin.json").write_text("{}")
    with (wheel / "sparse").open("wb") as sparse:
        sparse.write(b"begin")
        sparse.truncate(1 << 20)
    os.setxattr(wheel / "origin.json", "user.note", b"kept")
    (cache / "selfcheck").mkdir()
    os.link(wheel / "origin.json", wheel / "again.json")
    (wheel / "link").symlink_to("origin.json")
    for folder, _, names in os.walk(cache):
        for name in names:
            os.utime(Path(folder, name), ns=(10**18 + 7, 10**18 + 123_456_789), follow_symlinks=False)


def fill_conda(home: Path, scratch: Path, *, synthetic: int = 10) -> CondaBase:
    """A base with packages, of which some are linked into an environment, and many that are not."""
    base = CondaBase(home / "miniforge3", home)
    dists = []
    for name in ("alpha", "beta"):
        package = build_package(
            scratch, name, "1.0", files={"lib/a": os.urandom(4000), "lib/b": b"b" * 100, "lib/l": Link("lib/a")}
        )
        dists.append(base.fetch(package).name)
    base.create_env(home / "miniforge3/envs/work", dists[:1])
    conda_packages(base.pkgs, synthetic, files=8, size=700)
    return base


class Killed(Records):
    """A journal that kills its process at the n-th entry: before it is written, or just after."""

    def __init__(self, folder: str, at: int, *, after: bool) -> None:
        super().__init__(folder)
        self._left = at
        self._after = after

    def save(self, record: Relocation) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        super().save(record)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_child(work: Callable[[], object], *, kill_after: float | None = None) -> int:
    """Runs ``work`` in a process of its own, which may be killed; its wait status, 0 for a good end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


@contextmanager
def house(folder: Path, size_mib: int = 64) -> Iterator[House]:
    """A home in ``folder`` and a mounted disk."""
    home = folder / "home"
    home.mkdir(mode=0o755, exist_ok=True)
    with LoopDisk(size_mib, mkfs_options=["-m", "0"]) as disk:
        yield House(home, disk)


def is_open(records: tuple[Relocation, ...]) -> bool:
    """Whether some move is neither made nor undone."""
    return any(each.phase not in (Phase.SETTLED, Phase.AWAY) for each in records)


class Meanwhile(Records):
    """A journal at whose n-th entry, or when told so, something happens in the world, once."""

    def __init__(self, folder: str, at: int, what: Callable[[], object]) -> None:
        super().__init__(folder)
        self._left = at
        self._what = what
        self.happened = False

    def happen(self) -> None:
        if not self.happened:
            self.happened = True
            self._what()

    def save(self, record: Relocation) -> None:
        super().save(record)
        self._left -= 1
        if self._left == 0:
            self.happen()
