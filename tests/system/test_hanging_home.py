"""A home on a filesystem that does not answer costs its owner one time limit, and nobody else anything."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.hanging import hanging_mount
from builders.synthetic import pip_responses
from cachewarden.model.caches import Owner
from cachewarden.model.errors import WorkerError
from cachewarden.service.hooks import Hooks
from cachewarden.service.worker import Whom, preload, serve
from cachewarden.service.workers import LaunchedWorkers, look_at
from cachewarden.system.files import RealFiles
from cachewarden.system.launcher import Rules, fork_launcher
from cachewarden.system.runas import Limits
from cachewarden.system.users import owners_of

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root"),
    pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="the kernel of this machine has no FUSE"),
]
LIMITS = {"look": Limits(8.0)}


@pytest.fixture
def homes() -> Iterator[Path]:
    """A folder that everybody can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="cachewarden-homes-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def ann(homes: Path) -> Iterator[Owner]:
    with hanging_mount(homes / "ann") as home:
        yield Owner(61_001, 61_001, "cw-ann", str(home))


@pytest.fixture
def bob(homes: Path) -> Owner:
    home = homes / "bob"
    pip_responses(home / ".cache" / "pip", 2)
    for path in (home, *home.rglob("*")):
        os.chown(path, 61_002, 61_002)
    return Owner(61_002, 61_002, "cw-bob", str(home))


def test_a_home_that_hangs_costs_one_time_limit_and_the_others_are_served(ann: Owner, bob: Owner) -> None:
    preload()
    rules = Rules(
        lambda: [ann, bob],
        lambda owner, stream, work: serve(Whom(owner, {"HOME": owner.home}), stream, work),
        LIMITS,
        switch=True,
    )
    with fork_launcher(rules) as channel:
        workers = LaunchedWorkers(channel, LIMITS)
        began = time.monotonic()
        with pytest.raises(WorkerError, match="the worker of cw-ann failed"):
            look_at(workers, ann, Hooks())
        assert time.monotonic() - began < 25
        (cache,) = look_at(workers, bob, Hooks()).caches
        assert len(cache.entries) == 2


def test_the_service_asks_nothing_of_what_may_hang(ann: Owner) -> None:
    began = time.monotonic()
    assert not RealFiles().is_roots_alone(ann.home)
    assert not RealFiles().is_roots_alone(f"{ann.home}/below")
    assert owners_of([f"{ann.home}/pkgs"]) == []
    assert time.monotonic() - began < 60, "what is asked there is answered never"
