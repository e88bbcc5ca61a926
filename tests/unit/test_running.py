"""Which tool a process is, by its argument list."""

import pytest

from cachewarden.ecosystems import conda_use, pip
from cachewarden.ecosystems.base import Context, Located, Surroundings
from cachewarden.ecosystems.running import describe, first_running, tools_of
from cachewarden.model.caches import Cache, Owner
from cachewarden.model.units import Instant
from cachewarden.system.ports import Opened, Process
from fakes import FakeFiles

PIPS = [
    "pip install x",
    "pip3 install x",
    "pip3.11 install x",
    "/home/a/.local/bin/pip install x",
    "/usr/bin/python3 /usr/bin/pip3 install x",
    "/usr/bin/python3 -m pip install x",
    "python -mpip install x",
    "python -Im pip install x",
    "python3.13 -I -X dev -W ignore -m pip install x",
    "python3.13t -m pip install x",
    "python3-dbg -m pip install x",
    "pypy3.10 -m pip install x",
    "python -m pip._internal install x",
    "python --check-hash-based-pycs always -m pip install x",
    "/v/bin/python /v/lib/python3.12/site-packages/pip/__pip-runner__.py install --ignore-installed",
    "python3 /v/lib/python3.12/site-packages/pip install x",
    "python3 /tmp/pip-25.0.1.pyz install x",
    "python3 pip.pyz install x",
    "python -m piptools sync",
    "/v/bin/python /v/bin/pip-sync",
    "pipx install x",
    "pipenv lock",
]
NO_PIPS = [
    "python3 app.py pip",
    "python3 -c import_pip pip",
    "python3 -Ic pip pip",
    "vim pip.conf",
    "grep -r pip /home",
    "python3 -m http.server pip",
    "pipewire",
    "/usr/bin/python3",
    "python3 -",
    "pythonista -m pip",
    "uv pip install x",
]
CONDAS = [
    "/opt/conda/bin/python /opt/conda/bin/conda create -n x",
    "/opt/conda/bin/python3.12 -m conda install x",
    "/opt/conda/bin/python /opt/conda/bin/conda-env create",
    "/opt/conda/bin/python -m conda_build.cli.main_build .",
    "/opt/conda/bin/python /opt/conda/bin/conda-build .",
    "mamba install x",
    "/usr/local/bin/micromamba create -n x",
    "pixi install",
    "rattler-build build",
    "/home/a/miniforge3/_conda constructor --extract-conda-pkgs",
    "conda.exe constructor",
    "/opt/conda/bin/python /opt/conda/bin/anaconda-navigator",
]
NO_CONDAS = [
    "/opt/conda/bin/python train.py",
    "/opt/conda/envs/x/bin/python -m conda2_server",
    "tail -f conda.log",
    "python3 anaconda.py",
]


def process(command: str, *, pid: int = 7, uid: int = 1000, name: str | None = None) -> Process:
    arguments = tuple(command.split())
    return Process(pid, uid, name or arguments[0].rpartition("/")[2], arguments)


@pytest.mark.parametrize("command", PIPS)
def test_pip_is_known_however_it_was_started(command: str) -> None:
    assert first_running([process(command)], pip.TOOL, 1000)


@pytest.mark.parametrize("command", NO_PIPS)
def test_the_word_pip_alone_is_no_pip(command: str) -> None:
    assert first_running([process(command)], pip.TOOL, 1000) is None


@pytest.mark.parametrize("command", CONDAS)
def test_conda_and_its_kin_are_known(command: str) -> None:
    assert first_running([process(command)], conda_use._TOOL, 1000)


@pytest.mark.parametrize("command", NO_CONDAS)
def test_program_of_an_environment_is_no_conda(command: str) -> None:
    assert first_running([process(command)], conda_use._TOOL, 1000) is None


def test_process_that_hides_its_arguments_is_known_by_its_name() -> None:
    assert tools_of(Process(7, 1000, "micromamba", ())) == ("micromamba",)
    assert first_running([Process(7, 1000, "micromamba", ())], conda_use._TOOL, None)


def test_others_processes_count_only_when_asked_for() -> None:
    running = [process("pip install x", uid=1001, pid=8)]
    assert first_running(running, pip.TOOL, 1000) is None
    assert first_running(running, pip.TOOL, None) == running[0]


def test_first_of_several_is_named() -> None:
    running = [process("vim", pid=1), process("python3 -m pip install x", pid=2), process("pip list", pid=3)]
    found = first_running(running, pip.TOOL, 1000)
    assert found
    assert describe(found, pip.TOOL) == "pip is running (process 2)"


def test_description_is_the_name_that_matched_not_one_a_process_chose() -> None:
    hostile = process("/x/conda install", name="\x1b[31mred")
    assert describe(hostile, conda_use._TOOL) == "conda is running (process 7)"


@pytest.mark.parametrize("arguments", [("",), ("python",), ("python", "-m"), ("python", "-W"), ("/",), ("-m", "pip")])
def test_odd_argument_lists_are_survived(arguments: tuple[str, ...]) -> None:
    assert first_running([Process(1, 1, "x", arguments)], pip.TOOL, None) is None


class Running:
    """Processes that were seen once."""

    def __init__(self, *seen: Process) -> None:
        self._seen = seen

    def running(self) -> tuple[Process, ...]:
        return self._seen

    def open_files(self, uid: int) -> frozenset[str]:
        return frozenset()

    def opened(self, uid: int, below: str) -> tuple[Opened, ...]:
        return ()

    def locked_inodes(self) -> frozenset[int]:
        return frozenset()


def busy(path: str, *seen: Process) -> str | None:
    owner = Owner(1000, 1000, "anna", "/home/anna")
    context = Context(Surroundings(owner, {}, FakeFiles()), Located(), Running(*seen), Instant(0))
    return conda_use.Use(Cache("conda", path, owner, ""), context).busy()


@pytest.mark.parametrize(("uid", "holds"), [(1000, True), (0, True), (1001, False)])
def test_cache_in_a_home_is_busy_by_its_owner_and_by_root(uid: int, holds: bool) -> None:
    assert bool(busy("/home/anna/miniforge3/pkgs", process("mamba install x", uid=uid))) == holds


def test_cache_for_everybody_is_busy_by_anybody() -> None:
    assert busy("/opt/conda/pkgs", process("mamba install x", uid=1001)) == "mamba is running (process 7)"


@pytest.mark.parametrize(
    "command",
    [
        "/opt/conda/bin/python /opt/conda/bin/conda run -n web python server.py",
        "/opt/conda/bin/python -m conda run --no-capture-output -n web conda-thing",
        "micromamba run -n web jupyter lab",
        "mamba -v run x",
    ],
)
def test_conda_run_that_waits_for_its_program_holds_nothing(command: str) -> None:
    assert busy("/home/anna/miniforge3/pkgs", process(command)) is None


@pytest.mark.parametrize(
    "command", ["conda create -n run", "pixi run x", "conda", "micromamba -r /root run", "conda-env run"]
)
def test_other_commands_with_the_word_run_hold(command: str) -> None:
    assert busy("/home/anna/miniforge3/pkgs", process(command))
