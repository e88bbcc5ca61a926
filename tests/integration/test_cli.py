"""The command as it is installed, on real caches: every verb, its exit status, its JSON, its screens."""

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from builders.conda_caches import CondaBase, build_package
from builders.pip_caches import LoopbackIndex, add_orphan_tmp, fill_pip_cache

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
DAY = 86400


class Home:
    """A home with caches, and the command run in it as its user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pip = path / ".cache" / "pip"
        self.state = path / ".local/state/cachewarden"
        self.config = path / ".config/cachewarden/cachewarden.yaml"

    def environment(self, **extra: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8", **extra}

    def run(self, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "--user", *words],
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            env=self.environment(**extra),
        )

    def json(self, *words: str, status: int = 0) -> dict[str, Any]:
        done = self.run("--json", *words)
        assert done.returncode == status, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["schema"] == 1
        return found

    def configure(self, text: str) -> None:
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text)

    def tree(self) -> dict[str, tuple[int, int]]:
        """Every file of the caches with its inode and size."""
        found = {}
        for folder in (self.pip, self.path / "miniforge3"):
            for path in folder.rglob("*"):
                status = path.lstat()
                found[str(path)] = (status.st_ino, status.st_size)
        return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template")
    with LoopbackIndex() as index:
        cache = fill_pip_cache(path, index, packages=("six", "idna"))
    add_orphan_tmp(cache, 3 * DAY)
    old = time.time() - 3 * DAY
    for each in cache.rglob("*"):
        if each.is_file():
            os.utime(each, (old, old))
    return path


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    shutil.copytree(template, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


@pytest.fixture
def conda(home: Home) -> CondaBase:
    base = CondaBase(home.path / "miniforge3", home.path)
    for name in ("numpy", "zlib"):
        base.fetch(build_package(home.path / "src", name, "1.0", files={f"lib/{name}": b"x" * 50_000}))
    base.create_env(base.path / "envs" / "science", ["zlib-1.0-0"])
    return base


def on_terminal(
    command: list[str], environment: Mapping[str, str], answer: bytes = b"", width: int = 80
) -> tuple[int, str]:
    """Runs a command on a terminal of its own, answers its question, returns its status and all that was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        import struct
        import termios

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has what it runs in the background ignore it
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        os.execve(command[0], command, {**environment, "TERM": "xterm-256color"})
    shown, answered = b"", False
    while select.select([terminal], [], [], 120)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
        if b"[y/N]" in shown and answer and not answered:
            os.write(terminal, answer)
            answered = True
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, shown.decode().replace("\r\n", "\n")


# Reports


def test_status_shows_caches_disks_and_policies(home: Home, conda: CondaBase) -> None:
    done = home.run("status")
    assert done.returncode == 0
    assert done.stderr == ""
    assert str(home.pip) in done.stdout
    assert str(conda.pkgs) in done.stdout
    assert "remove-debris   triggered" in done.stdout
    assert "\x1b" not in done.stdout
    found = home.json("status")
    assert [each["ecosystem"] for each in found["caches"]] == ["pip", "conda"]
    for each in found["caches"]:
        assert 0 < each["frees_bytes"] <= each["size_bytes"]
        assert each["entries"] == sum(kind["entries"] for kind in each["kinds"].values())
        assert each["filesystem"] in {disk["mount"] for disk in found["filesystems"]}
    assert {each["state"] for each in found["policies"]} <= {"satisfied", "triggered", "waiting"}


def test_plan_writes_nothing_at_all(home: Home) -> None:
    before = home.tree()
    done = home.run("plan")
    assert done.returncode == 0
    assert "remove-debris: removes 1 entry of pip" in done.stdout
    assert "because" in done.stdout
    (action,) = home.json("plan")["actions"]
    assert action["entries"][0]["path"].startswith(f"{home.pip}/http-v2/")
    assert home.tree() == before
    assert not home.state.exists()


def test_run_does_what_plan_said_and_history_tells(home: Home) -> None:
    (planned,) = home.json("plan")["actions"]
    done = home.json("run")
    (outcome,) = done["outcomes"]
    assert outcome["removed_entries"] == len(planned["entries"]) == 1
    assert outcome["freed_bytes"] == planned["frees_bytes"] == done["freed_bytes"]
    assert outcome["failures"] == []
    assert not os.path.exists(planned["entries"][0]["path"])
    again = home.run("run")
    assert again.returncode == 0
    assert "Nothing to do" in again.stdout
    cycles = home.json("history")["cycles"]
    assert [each["freed_bytes"] for each in cycles] == [0, done["freed_bytes"]]
    assert {each["trigger"] for each in cycles} == {"by hand"}
    assert len(home.json("history", "--limit", "1")["cycles"]) == 1
    assert "by hand" in home.run("history").stdout


def test_a_promise_that_cannot_be_kept_ends_with_1_but_a_plan_with_0(home: Home) -> None:
    home.configure(
        "version: 1\npolicies: [{name: all-free, free_space: {below: 100%}, kinds: [debris], action: purge}]\n"
    )
    assert home.json("plan")["shortfall_bytes"] > 0
    done = home.run("run")
    assert done.returncode == 1
    assert "all-free is" in done.stdout
    assert "short at" in done.stdout


def test_a_relocation_that_is_only_reported_ends_with_1(home: Home) -> None:
    text = (
        "version: 1\npolicies: [{{name: away, match: {{ecosystem: pip}}, action: relocate, to: {}, otherwise: {}}}]\n"
    )
    home.configure(text.format(home.path / "away", "report"))
    decided = home.json("plan")
    assert decided["actions"] == []
    assert any("cannot be moved" in skip["reason"] for skip in decided["skips"])
    done = home.json("run", status=1)
    assert done["outcomes"][0]["action"] == "relocate"
    assert done["outcomes"][0]["failures"]


def test_list_narrows_sorts_and_limits(home: Home, conda: CondaBase) -> None:
    found = home.json("list")["entries"]
    sizes = [each["size_bytes"] for each in found]
    assert sizes == sorted(sizes, reverse=True)
    assert {each["ecosystem"] for each in found} == {"pip", "conda"}
    assert {each["ecosystem"] for each in home.json("list", "conda")["entries"]} == {"conda"}
    (wheel,) = home.json("list", "--kind", "built-wheel")["entries"]
    assert (wheel["name"], wheel["version"]) == ("docopt", "0.6.2")
    assert all(each["path"].startswith("/") for each in found)
    assert len(home.json("list", "--limit", "2")["entries"]) == 2
    names = [each["name"] for each in home.json("list", "--package", "*", "--sort", "name")["entries"]]
    assert names == sorted(names)
    (held,) = [each for each in found if each["kind"] == "package" and each["name"] == "zlib"]
    assert str(conda.path / "envs" / "science") in held["hold"]
    assert home.run("list", "--package", "nobody").returncode == 0


# Purging by hand


def test_without_a_terminal_and_without_yes_nothing_is_done(home: Home) -> None:
    before = home.tree()
    done = home.run("purge", "--all")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert home.tree() == before
    assert not home.state.exists()


def test_dry_run_has_the_plans_fields_and_touches_nothing(home: Home) -> None:
    before = home.tree()
    found = home.json("purge", "pip", "--all", "--dry-run")
    assert {"taken_at", "actions", "skips", "shortfall_bytes"} <= set(found)
    assert {action["policy"] for action in found["actions"]} == {"by-hand"}
    assert home.tree() == before
    assert "without --dry-run" in home.run("purge", "--all", "--dry-run").stdout
    assert not home.state.exists()


def test_yes_removes_what_matches_and_nothing_else(home: Home, conda: CondaBase) -> None:
    before = {each["path"] for each in home.json("list")["entries"]}
    done = home.json("purge", "--package", "six", "--package", "docopt", "--yes")
    after = {each["path"] for each in home.json("list")["entries"]}
    names = {each["name"] for outcome in done["outcomes"] for each in outcome["removed"]}
    assert names == {"six", "docopt"}
    assert before - after == {each["path"] for outcome in done["outcomes"] for each in outcome["removed"]}
    assert done["freed_bytes"] == sum(outcome["freed_bytes"] for outcome in done["outcomes"]) > 0
    assert home.json("history")["cycles"][0]["freed_bytes"] == done["freed_bytes"]


def test_what_is_in_use_or_kept_stays(home: Home, conda: CondaBase) -> None:
    home.configure("version: 1\nkeep: {packages: [numpy]}\n")
    assert home.run("purge", "conda", "--kind", "package", "--yes").returncode == 0
    left = {each["name"] for each in home.json("list", "--kind", "package")["entries"]}
    assert left == {"numpy", "zlib"}
    assert home.run("purge", "conda", "--kind", "package", "--yes", "--ignore-keep").returncode == 0
    assert {each["name"] for each in home.json("list", "--kind", "package")["entries"]} == {"zlib"}


def test_to_free_stops_when_it_is_enough(home: Home) -> None:
    done = home.json("purge", "--to-free", "1kB", "--yes")
    assert sum(outcome["removed_entries"] for outcome in done["outcomes"]) == 1
    assert done["shortfall_bytes"] == 0


def test_to_free_more_than_there_is_ends_with_1(home: Home) -> None:
    done = home.json("purge", "--to-free", "1TiB", "--yes", status=1)
    assert done["freed_bytes"] > 0
    assert done["shortfall_bytes"] > 0
    # A pip of the same user that happens to run keeps built wheels; by now it may have ended, and holds nothing.
    failures = [failure for outcome in done["outcomes"] for failure in outcome["failures"]]
    told = {each["path"] for each in (*done["skips"], *failures)}
    assert {each["path"] for each in home.json("list")["entries"]} <= told


@pytest.mark.parametrize(("answer", "removed"), [(b"n\n", False), (b"\n", False), (b"\x04", False), (b"y\n", True)])
def test_a_person_is_asked_and_no_is_the_default(home: Home, answer: bytes, removed: bool) -> None:
    before = home.tree()
    command = [COMMAND, "--user", "purge", "--kind", "download"]
    status, shown = on_terminal(command, home.environment(), answer)
    assert status == 0, shown
    assert "To be removed" in shown
    assert "~/.cache/pip" in shown
    assert ("Nothing was removed." in shown) is not removed
    assert (home.tree() == before) is not removed


def test_ctrl_c_at_the_question_removes_nothing(home: Home) -> None:
    before = home.tree()
    status, shown = on_terminal([COMMAND, "--user", "purge", "--all"], home.environment(), b"\x03")
    assert status == 130, shown
    assert home.tree() == before


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["purge"], "--all"),
        (["purge", "pipp", "--all"], "'pip'"),
        (["purge", "--kind", "downlod", "--yes"], "'download'"),
        (["purge", "--all", "--to-free", "1GiB", "--yes"], "contradict"),
        (["stauts"], "'status'"),
        (["status", "--jsn"], "'--json'"),
        (["list", "--sort", "colour"], "last-used"),
        (["daemon", "--for", "soon"], "units are"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_right(home: Home, words: list[str], hint: str) -> None:
    done = home.run(*words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert done.stdout == ""


# Explaining


def test_explain_tells_why_it_stays_goes_or_went(home: Home, conda: CondaBase) -> None:
    zlib = home.run("explain", "zlib")
    assert zlib.returncode == 0
    assert "stays: in use by" in zlib.stdout
    orphan = home.json("plan")["actions"][0]["entries"][0]["path"]
    assert "goes in the next cycle, under remove-debris" in home.run("explain", orphan).stdout
    assert home.json("explain", orphan)["entries"][0]["policy"] == "remove-debris"
    assert "the pip cache of" in home.run("explain", str(home.pip)).stdout
    assert "numpy 1.0: package of conda" in home.run("explain", str(conda.pkgs / "numpy-1.0-0" / "lib/numpy")).stdout
    assert "keep-disk-free: satisfied" in home.run("explain", "six").stdout
    home.run("purge", "--package", "six", "--yes")
    gone = home.run("explain", "six==1.17.0")
    assert gone.returncode == 0
    assert "under by-hand" in gone.stdout
    assert home.json("explain", "six")["removals"][0]["policy"] == "by-hand"
    nothing = home.run("explain", "nobody-knows-this")
    assert nothing.returncode == 1
    assert "cachewarden list" in nothing.stdout


# Configuration


def test_check_names_every_error_and_ends_with_78(home: Home) -> None:
    bad, good = home.path / "bad.yaml", home.path / "good.yaml"
    bad.write_text("version: 1\npolicys: []\nwatch: {interval: 0s}\n")
    good.write_text("version: 1\n")
    done = home.run("check", str(bad), str(good))
    assert done.returncode == 78
    assert [line.split(":")[:2] for line in done.stderr.splitlines()] == [[str(bad), "2"], [str(bad), "3"]]
    assert done.stdout == f"{good}: ok\n"
    assert home.run("check", str(home.path / "missing.yaml")).returncode == 78
    assert home.run("check").returncode == 0
    home.configure("version: 1\n")
    assert home.run("check").stdout == f"{home.config}: ok\n"
    home.configure("version: 2\n")
    assert home.run("check").returncode == 78


@pytest.mark.parametrize("verb", [["status"], ["plan"], ["run"], ["list"], ["purge", "--all", "--yes"], ["daemon"]])
def test_bad_configuration_stops_every_verb_that_needs_it(home: Home, verb: list[str]) -> None:
    home.configure("version: 1\npolicies: 7\n")
    before = home.tree()
    done = home.run(*verb)
    assert done.returncode == 78
    assert done.stderr.startswith(f"{home.config}:2:")
    assert home.tree() == before
    assert home.run("--config", str(home.path / "none.yaml"), *verb).returncode == 78


# State


def test_a_state_folder_that_cannot_be_had_costs_a_warning(home: Home) -> None:
    in_the_way = home.path / "file"
    in_the_way.write_text("")
    done = home.run("--state-dir", str(in_the_way), "run")
    assert done.returncode == 0
    assert "1 entry removed" in done.stdout
    assert done.stderr.count("warning:") == 1
    assert home.run("--state-dir", str(in_the_way / "below"), "status").returncode == 0


@pytest.mark.parametrize("verb", ["status", "plan", "run", "list", "history"])
def test_a_damaged_state_costs_a_warning(home: Home, verb: str) -> None:
    home.state.mkdir(parents=True)
    (home.state / "state.sqlite").write_bytes(b"this is no database" * 100)
    done = home.run(verb)
    assert done.returncode == 0
    assert done.stderr.count("warning:") == 1
    assert "Traceback" not in done.stderr


def test_history_reads_what_is_there(home: Home) -> None:
    home.run("run")
    with closing(sqlite3.connect(home.state / "state.sqlite")) as state, state:
        (count,) = state.execute("SELECT count(*) FROM cycles").fetchone()
    state.close()
    assert len(home.json("history")["cycles"]) == count == 1


def test_another_cycle_at_work_is_75(home: Home) -> None:
    home.state.mkdir(parents=True)
    folder = os.open(home.state, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        for verb in (["run"], ["purge", "--all", "--yes"]):
            done = home.run(*verb)
            assert done.returncode == 75
            assert "try again later" in done.stderr
        assert home.run("plan").returncode == 0
    finally:
        os.close(folder)


# Screens and streams


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_gets_colours_within_its_width(home: Home, conda: CondaBase, width: int) -> None:
    for verb in (["status"], ["plan"], ["list"]):
        status, shown = on_terminal([COMMAND, "--user", *verb], home.environment(NO_COLOR="1"), width=width)
        assert status == 0
        plain = shown.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        assert max(map(len, plain.split("\n"))) <= width
        assert "\x1b[3" not in shown
    _, shown = on_terminal([COMMAND, "--user", "status"], home.environment(), width=width)
    assert "\x1b[33mtriggered" in shown
    assert "~/.cache/pip" in shown


def test_a_reader_that_leaves_is_no_error(home: Home) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run(
            [COMMAND, "--user", "list"], stdout=pipe, stderr=subprocess.PIPE, text=True, env=home.environment()
        )
    assert done.stderr == ""
    assert done.returncode == 141


def test_a_full_disk_below_the_output_is_said_and_the_work_is_done(home: Home) -> None:
    orphan = home.json("plan")["actions"][0]["entries"][0]["path"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, "--user", "run"], stdout=full, stderr=subprocess.PIPE, text=True, env=home.environment()
        )
    assert done.returncode == 1
    assert done.stderr == "cachewarden: the output cannot be written: No space left on device\n"
    assert not os.path.exists(orphan)


def test_names_that_are_no_text_make_valid_json_and_harmless_screens(home: Home) -> None:
    cache = os.fsdecode(os.fsencode(home.path) + b"/odd\xff\x1b[31m\n/pip")
    shutil.copytree(home.pip, cache)
    environment = home.environment(PIP_CACHE_DIR=cache)
    for words in (["--json", "status"], ["status"], ["plan"], ["list"], ["--json", "run"], ["run"]):
        done = subprocess.run([COMMAND, "--user", *words], capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout
        if "--json" in words:
            assert json.loads(done.stdout.decode("ascii"))
            assert b"\\udcff" in done.stdout
        else:
            done.stdout.decode("utf-8")


def test_term_stops_a_removal_between_two_entries(home: Home) -> None:
    shard = home.pip / "http-v2" / "f" / "f" / "f" / "f" / "f"
    shard.mkdir(parents=True, exist_ok=True)
    old = time.time() - 3 * DAY
    for number in range(20_000):
        for name in (f"fffff{number:051x}", f"fffff{number:051x}.body"):
            (shard / name).write_bytes(b"x")
            os.utime(shard / name, (old, old))
    before = shard.stat().st_mtime_ns
    running = subprocess.Popen(
        [COMMAND, "--user", "--json", "purge", "--all", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=home.environment(),
    )
    # Neither asks for much time nor keeps the removal waiting, as listing the folder would.
    while running.poll() is None and shard.stat().st_mtime_ns == before:
        time.sleep(0.002)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=240)
    assert running.returncode == 143, err
    done = json.loads(out)
    assert done["outcomes"][-1]["incomplete"]
    assert 0 < sum(each["removed_entries"] for each in done["outcomes"]) < 20_000
    assert home.json("history")["cycles"][0]["freed_bytes"] == done["freed_bytes"]


def test_version_imports_next_to_nothing() -> None:
    check = (
        "import sys; sys.argv = ['cachewarden', '--version'];"
        "from cachewarden.cli.main import entry_point; entry_point();"
        "print([name for name in ('argparse', 'yaml', 'psutil', 'rich', 'sqlite3', 'json') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    name, loaded = done.stdout.splitlines()
    assert name.startswith("cachewarden 0")
    assert loaded == "[]"


def test_a_pipe_never_imports_rich(home: Home) -> None:
    check = (
        "import sys; sys.argv = ['cachewarden', '--user', 'status'];"
        "from cachewarden.cli.main import entry_point; entry_point(); print('rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, env=home.environment()
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_the_daemon_is_reached(home: Home) -> None:
    assert home.run("daemon", "--for", "1s").returncode == 0


@pytest.fixture(autouse=True)
def _no_strays() -> Iterator[None]:
    """Every child is waited for by the test that started it."""
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
