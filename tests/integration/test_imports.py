"""What is loaded, and what is not: memory at idle and the start of light commands are promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAEMON = Path(__file__).resolve().parents[2] / "daemon"
_COMMAND = """\
import json, sys
from cachewarden.cli.main import entry_point
sys.argv = ["cachewarden", *sys.argv[1:]]
entry_point()
print()
print(json.dumps(sorted(sys.modules)))
"""
_SERVICE = """\
import json, sys
import cachewarden.service.daemon
from cachewarden.service import preloading, schedule, worker
worker.preload()
preloading.for_the_service()
from cachewarden.model.policies import Settings
running = schedule.Schedule(print)
running.start(Settings())
running.stop()
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = {
    "apscheduler", "asyncio", "difflib", "email", "multiprocessing", "rich", "ssl", "statistics", "systemd",
    "tzlocal", "watchdog", "yaml",
}  # fmt: skip


def loaded(program: str, home: Path, *words: str) -> set[str]:
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(DAEMON)}
    done = subprocess.run([sys.executable, "-c", program, *words], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_version_loads_next_to_nothing_of_ours_and_nothing_of_others(tmp_path: Path) -> None:
    found = loaded(_COMMAND, tmp_path, "--version")
    assert {name for name in found if name.startswith("cachewarden")} == {
        "cachewarden",
        "cachewarden.cli",
        "cachewarden.cli.main",
    }
    assert not found & {*HEAVY, "argparse", "dataclasses", "inspect", "sqlite3", "typing"}


@pytest.mark.parametrize("verb", ["status", "list"])
def test_a_light_command_loads_neither_service_nor_screens_nor_what_changes_anything(
    verb: str, tmp_path: Path
) -> None:
    found = loaded(_COMMAND, tmp_path, "--user", verb)
    assert not found & HEAVY
    assert not found & {
        f"cachewarden.{name}"
        for name in (
            "examine", "relocate.errands", "service.daemon", "service.placing", "service.schedule", "service.watcher",
            "system.copying",
        )
    }  # fmt: skip


_NOT_FOR_A_LOOK = (
    "act", "cli.work", "ecosystems.pip_repoint", "ecosystems.conda_repoint", "model.findings", "record",
    "relocate.estate", "service.fleet", "service.preloading", "service.quiet", "service.sampling", "service.talking",
    "service.tracing", "service.workers", "simulate.trace", "system.journal", "system.launcher", "system.regrets",
    "system.removal", "system.runner", "system.state_folder",
)  # fmt: skip
_ONLY_WITH_A_CACHE = "ecosystems.pip_measure", "ecosystems.pip_worth", "ecosystems.conda_measure", "ecosystems.bounds"
_ONLY_WITH_A_CONFIGURATION = "settings.loader", "settings.shapes", "settings.keys"


def test_status_loads_what_it_uses(tmp_path: Path) -> None:
    found = loaded(_COMMAND, tmp_path, "--user", "status")
    others = (*_NOT_FOR_A_LOOK, *_ONLY_WITH_A_CACHE, *_ONLY_WITH_A_CONFIGURATION)
    assert not found & {f"cachewarden.{name}" for name in others}
    assert not found & {"hashlib", "psutil", "subprocess", "tempfile", "uuid"}


def test_what_measures_a_cache_is_loaded_where_there_is_one_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / ".cache" / "pip" / "http-v2").mkdir(parents=True)
    found = loaded(_COMMAND, tmp_path, "--user", "status")
    assert "cachewarden.ecosystems.pip_measure" in found
    assert "cachewarden.ecosystems.conda_measure" not in found
    assert not found & {f"cachewarden.{name}" for name in _NOT_FOR_A_LOOK}


def test_a_worker_has_all_that_a_look_loads_before_it_becomes_its_owner(tmp_path: Path) -> None:
    """An owner may be unable to read the program: what is loaded later would be missing."""
    (tmp_path / ".cache" / "pip" / "http-v2").mkdir(parents=True)
    (tmp_path / ".conda" / "pkgs").mkdir(parents=True)
    (tmp_path / ".conda" / "pkgs" / "urls.txt").touch()
    found = loaded(_COMMAND, tmp_path, "--user", "status")
    rooms = tuple(f"cachewarden.{room}" for room in ("discover", "ecosystems", "measure", "relocate", "system"))
    of_workers = {name for name in found if name.startswith((*rooms, "base64", "hashlib", "psutil"))}
    assert of_workers - {"cachewarden.system.store"} <= loaded(_SERVICE, tmp_path)


def test_a_service_loads_the_scheduler_without_what_it_does_not_use_of_it_and_no_screens(tmp_path: Path) -> None:
    found = loaded(_SERVICE, tmp_path)
    assert {"apscheduler.schedulers.background", "watchdog.observers"} <= found
    heavy = {"asyncio", "email", "importlib.metadata", "multiprocessing", "rich", "ssl", "statistics", "html"}
    assert not found & {*heavy, "cachewarden.cli.render", "cachewarden.simulate.replay", "cachewarden.service.doctor"}


_CRON = """\
import json, sys
from cachewarden.settings import cron
assert cron.next_time("0 4 * * sun", 0) is not None
import asyncio, importlib.metadata, multiprocessing
import concurrent.futures.process
assert asyncio.iscoroutinefunction and asyncio.run
assert importlib.metadata.version("apscheduler")
assert multiprocessing.get_context("spawn")
assert concurrent.futures.ProcessPoolExecutor
print(json.dumps(sorted(sys.modules)))
"""


def test_whoever_needs_the_modules_that_were_stood_in_for_gets_the_real_ones(tmp_path: Path) -> None:
    assert "apscheduler.triggers.cron" in loaded(_CRON, tmp_path)


_OTHER_VERSION = """\
import json, sys
from cachewarden.system import lean
lean._STAND_INS = {"asyncio": {}, **{name: {} for name in lean._STAND_INS}}
lean.load_scheduler()
import apscheduler.schedulers.background
print(json.dumps(sorted(sys.modules)))
"""


def test_a_scheduler_that_asks_for_more_is_loaded_as_it_is(tmp_path: Path) -> None:
    assert {"apscheduler.schedulers.background", "asyncio", "importlib.metadata"} <= loaded(_OTHER_VERSION, tmp_path)
