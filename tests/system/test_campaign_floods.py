"""The attacks of one user on all others, part three: numbers, depth, names, growth, signals, and programs to be run.

As in part one: after each attack the same daemon is alive, bob is served, and every victim is as it was.
"""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from builders.siege import ANN, ENVIRONMENT, KEY, PURGE_ALL, SHARD, WITH_WATCHERS, Siege, fill_conda, fill_pip

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]

PIP, CONDA = ".cache/pip", ".conda/pkgs"
PACKAGE, TRASH = "made0-1.0-0", ".cachewarden-trash"
TMPFS = ("-t", "tmpfs", "-o", f"uid={ANN},gid={ANN},mode=755,size=1g,nr_inodes=2000000", "tmpfs")


def fill(siege: Siege, count: int = 4) -> Path:
    siege.start_over()
    home = siege.home("ann")
    fill_pip(home / PIP, count)
    fill_conda(home / CONDA, count)
    siege.give(home, "ann")
    return home


# ---------------------------------------------------------------------------------------------------------
# Numbers and depth


def make_a_package_of_a_million_files() -> None:
    """Names of few inodes: it is names that are walked, asked about and removed."""
    os.makedirs("info")
    Path("info/index.json").write_text("{}")
    for number in range(20):
        os.mkdir(f"{number}")
        first = f"{number}/0"
        os.mknod(first)
        for name in range(1, 50_000):
            os.link(first, f"{number}/{name}")


def test_a_package_of_a_million_files_goes_and_others_are_served(siege: Siege) -> None:
    siege.do("mkdir", "-p", f"/home/ann/{CONDA}")
    siege.do("chown", "-R", f"{ANN}:{ANN}", "/home/ann")
    with siege.mounted(f"/home/ann/{CONDA}", *TMPFS):

        def make() -> None:
            os.mkdir(f"{CONDA}/{PACKAGE}")
            os.chdir(f"{CONDA}/{PACKAGE}")
            make_a_package_of_a_million_files()

        siege.as_user("ann", make)
        assert f"removed 1 entries of /home/ann/{CONDA}" in siege.cycle(240)
        assert os.listdir(siege.seen(f"/home/ann/{CONDA}")) == []


def test_tens_of_thousands_of_pip_entries_go_and_others_are_served(siege: Siege) -> None:
    before = siege.log.stat().st_size
    home = fill(siege)

    def make() -> None:
        for number in range(20_000):
            os.mknod(f"{PIP}/{SHARD}/{KEY[:5]}{number:051x}")

    siege.as_user("ann", make)
    siege.cycle(120)
    # A cycle that was under way from before may have had a part of them.
    told = siege.log.read_bytes()[before:].decode()
    assert sum(map(int, re.findall(rf"removed (\d+) entries of /home/ann/{PIP}", told))) >= 20_006
    assert not (home / PIP / SHARD).exists()


def dig(folder: Path, levels: int = 2000) -> None:
    """By short names: the deepest path is just short enough to be one, and to be walked."""
    folder.mkdir(parents=True, exist_ok=True)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


DEEP = [
    *(f"{PIP}/{place}" for place in ("mine", "http-v2/mine")),
    *(f"{CONDA}/{place}" for place in ("mine", ".trash/d", "cache/d")),
]


def test_trees_of_2000_levels_are_told_and_cost_nobody_anything(siege: Siege) -> None:
    """Watchers walk as well: they are on here."""
    home = fill(siege)
    (home / "env" / "conda-meta").mkdir(parents=True)
    (home / ".conda" / "environments.txt").write_text("/home/ann/env\n")
    for place in (*DEEP, f"{CONDA}/{PACKAGE}/lib/d", f"{CONDA}/{TRASH}/d", "env/lib"):
        dig(home / place)
    subprocess.run(["chown", "-R", f"{ANN}:{ANN}", home], check=True)
    siege.config.write_text(WITH_WATCHERS)
    log = siege.cycle()
    for place in DEEP:
        assert re.search(f" /home/ann/{re.escape(place)}(/d)+: deeper than 96 levels\n", log), place
    assert f" /home/ann/{CONDA}/{PACKAGE}: deeper than 96 levels\n" in log
    assert (home / CONDA / PACKAGE / "info" / "index.json").exists()
    assert not (home / CONDA / TRASH).exists()
    time.sleep(1)  # for the watchers
    siege.config.write_text(PURGE_ALL)
    siege.cycle()


def test_a_cache_that_grows_while_it_is_purged_keeps_nobody_waiting(siege: Siege) -> None:
    """New entries, and new files in the very packages that are being removed."""
    number = iter(range(1 << 40))

    def grow() -> None:
        each = next(number)
        os.makedirs(f"{PIP}/{SHARD}", exist_ok=True)
        os.mknod(f"{PIP}/{SHARD}/{KEY[:5]}{each:051x}")
        for package in os.listdir(f"{CONDA}/{TRASH}"):
            os.mknod(f"{CONDA}/{TRASH}/{package}/lib/{each}")

    for _ in range(2):
        fill(siege, 60)
        with siege.at_it("ann", grow):
            assert f"entries of /home/ann/{PIP}" in siege.cycle()


# ---------------------------------------------------------------------------------------------------------
# Names


FORGED = "cachewarden: info: cycle (reload): FORGED"
NAMES = [
    f"a\n{FORGED}", f"a\r{FORGED}", f"a\u2028{FORGED}\x85{FORGED}", "\x1b]0;owned\x07", "\x1b[2J\x1b[H", "\x9b2J",
    "\x7f\b\b\b", os.fsdecode(b"\xff\xfe\x80"), "\u202egpj.exe\u2066", "\u200b\ufeff", "-rf", "[red]{0}%s$(id)`id`",
    "n" * 249,
]  # fmt: skip


DISK = f"/home/ann/caches/{NAMES[0]}{NAMES[4]}"


def name_things(siege: Siege) -> None:
    """Wherever a name may come to be seen: entries, what stays and why, failures, caches, environments, a disk."""
    home = fill(siege, 1)
    for number, name in enumerate(NAMES):
        package = home / CONDA / f"{name}-1.0-0"
        shutil.copytree(home / CONDA / PACKAGE, package)
        (package / "info" / "index.json").write_text(json.dumps({"name": name, "version": name}))
        (home / CONDA / f"{name[:240]}-1.conda").write_text("")
        wheel = home / PIP / "wheels" / "aa" / "bb" / "cc" / f"{number:050}"
        wheel.mkdir()
        (wheel / f"{name[:230]}-1.0-py3-none-any.whl").write_text("")
        (home / PIP / name).mkdir(mode=0)
        shutil.copytree(home / CONDA / PACKAGE, home / "caches" / name / PACKAGE)
        (home / f"link{number}").symlink_to(f"/home/ann/caches/{name}")
        (home / ".conda" / "envs" / name / "conda-meta").mkdir(parents=True)
        (home / ".conda" / "envs" / name / "conda-meta" / f"{PACKAGE}.json").write_text("{}")
    (home / "disk").symlink_to(DISK)
    links = [f"link{number}" for number in range(len(NAMES))]
    (home / ".condarc").write_text("pkgs_dirs:\n" + "".join(f"- /home/ann/{name}\n" for name in (*links, "disk")))
    (home / ".conda" / "environments.txt").write_bytes(b"\n".join(os.fsencode(f"/home/ann/{name}") for name in NAMES))
    siege.give(home, "ann")
    for name in NAMES:
        (home / CONDA / f"{name}-1.0-0" / "lib" / name).mkdir()  # root's: it will not go
        (home / CONDA / f"{name}-1.0-0" / "lib" / name / name).write_text("")


def unfit(output: bytes, *, terminal: bool = False) -> list[str]:
    """What a terminal would obey, beyond the colours and cursor movements that are ours; UnicodeDecodeError."""
    text = output.decode()
    if terminal:
        text = re.sub(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r", "", text)
    bad = [line for line in text.split("\n") if not line.isprintable()]
    return bad if terminal else bad + [line for line in text.split("\n") if line.strip().startswith(FORGED)]


def on_a_terminal(siege: Siege, *words: str) -> bytes:
    command = siege.arguments(*words)
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        os.execvpe(command[0], command, {**ENVIRONMENT, "TERM": "xterm-256color"})
    shown = b""
    while select.select([terminal], [], [], 240)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(terminal)
    os.waitpid(pid, 0)
    return shown


def test_no_name_forges_a_line_or_speaks_to_a_terminal(siege: Siege) -> None:
    name_things(siege)
    found: list[tuple[tuple[str, ...], list[str]]] = []

    def look(*words: str) -> str:
        done, answer = siege.run(*words), siege.run("--json", *words)
        assert json.loads(answer.stdout)
        found.append((words, unfit(done.stdout + done.stderr + answer.stdout + answer.stderr)))
        found.append((words, unfit(on_a_terminal(siege, *words), terminal=True)))
        return done.stdout.decode()

    with siege.mounted(DISK, *TMPFS):
        assert DISK.encode("unicode_escape").decode() in look("--verbose", "status").partition("Disks")[2]
        assert "/home/ann/.conda/envs/\\xff\\xfe\\x80 (recorded in its conda-meta)" in look("list")
        assert "\\u202egpj.exe\\u2066" in look("--verbose", "plan")
        log = siege.cycle()
        assert "\\x1b[2J\\x1b[H-1.0-0/lib/\\x1b[2J\\x1b[H/\\x1b[2J\\x1b[H was not removed: Permission denied\n" in log
        assert f"\n{FORGED}" not in log
        assert "\\x1b]0;owned\\x07/made0-1.0-0\n" in look("explain", f"/home/ann/caches/{NAMES[3]}/{PACKAGE}")
        assert "\\x9b2J-1.conda" in look("explain", f"/home/ann/{CONDA}/{NAMES[5]}-1.conda")
        look("run")
        assert "by hand" in look("history")
    assert [each for each in found if each[1]] == []


# ---------------------------------------------------------------------------------------------------------
# Programs to be run, and signals


PROGRAMS = ("pip", "pip3", "conda", "mamba", "python", "python3", "sh", "bash", "env", "id", "getent", "systemctl",
            "ldconfig", "gcc", "ld", "uname", "mount", "kill", "cachewarden")  # fmt: skip
MODULES = ("sitecustomize", "usercustomize", "yaml", "json", "psutil", "watchdog", "cachewarden", "encodings", "pwd")
LIBRARY = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def lay_traps(siege: Siege) -> None:
    """In every place that some program has looked for code in; each trap leaves a file in /home/ann/ran."""
    home = fill(siege)
    (home / "ran").mkdir()
    for folder in ("bin", ".local/bin", PIP, CONDA, ""):
        for name in PROGRAMS:
            put(home / folder / name, f"#!/bin/bash\n: > /home/ann/ran/{name}\n")
            (home / folder / name).chmod(0o755)
    for place in (home, home / ".local" / LIBRARY, home / PIP, siege.home("root") / ".local" / LIBRARY):
        for name in MODULES:
            put(place / f"{name}.py", f"open('/home/ann/ran/{name}', 'w')\n")
        put(place / "evil.pth", "import sys; open('/home/ann/ran/pth', 'w')\n")
    for name in (".profile", ".bashrc", ".pam_environment", ".config/environment.d/path.conf"):
        put(home / name, "PATH=/home/ann/bin:/home/ann/.local/bin:/usr/bin\nPYTHONPATH=/home/ann\n")
    put(
        siege.folder / "environment",
        'PATH="/home/ann/bin:/usr/bin"\nPYTHONPATH=/home/ann\nPYTHONSTARTUP=/home/ann/yaml.py\n',
    )
    siege.give(home, "ann")
    (home / "ran").chmod(0o777)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_no_program_and_no_module_of_a_user_is_ever_run(siege: Siege) -> None:
    """Root's own place for modules is root's word; what runs with everybody's rights takes none from there either."""
    lay_traps(siege)
    ran = siege.home("ann") / "ran"
    siege.as_user("ann", lambda: os.spawnv(os.P_WAIT, "bin/id", ["id"]))
    siege.as_user("ann", lambda: exec(Path("yaml.py").read_text()))
    assert sorted(path.name for path in ran.iterdir()) == ["id", "yaml"], "the traps work"
    shutil.rmtree(ran)
    ran.mkdir()
    ran.chmod(0o777)
    siege.do("mount", "--bind", "/srv/environment", "/etc/environment")
    try:
        siege.cycle()
        script = 'cd /home/ann && PATH=/home/ann/bin:$PATH exec "$@"'
        for verb in ("status", "run"):
            done = subprocess.run(
                siege.entering("sh", "-c", script, "sh", *siege.own(verb)), env=ENVIRONMENT, capture_output=True
            )
            assert done.returncode == 0, done.stderr
    finally:
        siege.do("umount", "/etc/environment")
        shutil.rmtree(siege.home("root") / ".local")
    assert os.listdir(ran) == []


KILLED = "/home/ann: the worker of ann failed: it ended without an answer (killed, or out of time or memory)"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_user_who_kills_her_workers_harms_herself_alone(siege: Siege, number: signal.Signals) -> None:
    fill(siege, 50)
    with siege.at_it("ann", lambda: os.kill(-1, number)):
        assert KILLED in siege.cycle() + siege.cycle()
    assert f"entries of /home/ann/{PIP}" in siege.cycle()


def test_a_user_who_stops_her_workers_again_and_again_keeps_nobody_waiting(siege: Siege) -> None:
    fill(siege, 50)

    def flood() -> None:
        for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGWINCH, signal.SIGURG, signal.SIGCHLD):
            os.kill(-1, number)

    with siege.at_it("ann", flood):
        siege.cycle()
