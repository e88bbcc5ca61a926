"""A machine under attack: users, homes, /etc and processes of its own, victims to go for, and a daemon that lives on.

Everything happens in namespaces that end with the ``Siege``: no mount, process or file of it is seen outside, and
whatever runs on the real machine (somebody's conda) is not seen inside.
"""

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from builders.machine import COMMAND, Machine
from builders.synthetic import conda_packages, pip_responses
from cachewarden.system.privileges import end_with_parent

PURGE_ALL = """\
version: 1
watch: {interval: 1h, react: false}
keep: {newer_than: 0s}
policies:
  - {name: all, action: purge}
"""
WITH_WATCHERS = PURGE_ALL.replace(", react: false", "")
BOBS = "/home/bob/backup", "/home/bob/open"
ROOTS = "/opt/backup", "/opt/open"
ANN = 41_001
VICTIMS = *BOBS, *ROOTS
"""Somebody's backups with everything in them that caches of both kinds consist of. What is ``open`` everybody could
change: no permission protects it."""
KEY = hashlib.sha224(b"https://files.invalid/0").hexdigest()
SHARD = f"http-v2/{'/'.join(KEY[:5])}"
"""Where the first entry of every pip cache here is."""
WHEEL = f"wheels/aa/bb/cc/{'d' * 50}"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/home/root", "LANG": "C.UTF-8"}
_ENTER = """\
set -e
mount --bind "$1/etc" /etc
mount --rbind "$1/home" /home
mount --bind "$1/opt" /opt
mount --bind "$1" /srv
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
[ ! -d /run/systemd/journal ] || mount -t tmpfs tmpfs /run/systemd/journal
touch /srv/ready
exec sleep infinity
"""
_OF_ETC = ("group", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "login.defs", "nsswitch.conf", "passwd")
READ = "the configuration was read anew"
_PATIENCE = 120.0
"""Seconds for what a test waits for; what an attack may cost others is bounded by the tests themselves."""


def fill_pip(cache: Path, count: int = 6) -> None:
    """A pip cache of every kind of entry."""
    pip_responses(cache, count)
    (cache / WHEEL).mkdir(parents=True, exist_ok=True)
    (cache / WHEEL / "six-1.0-py3-none-any.whl").write_bytes(b"PK")
    (cache / "selfcheck").mkdir(exist_ok=True)
    (cache / "selfcheck" / ("a" * 56)).write_text("{}")


def fill_conda(pkgs: Path, count: int = 3) -> None:
    """A conda cache of every kind of entry."""
    for package in conda_packages(pkgs, count, files=3):
        (pkgs / f"{package.name}.conda").write_bytes(b"PK")
    (pkgs / "cache").mkdir(exist_ok=True)
    (pkgs / "cache" / "01234567.json").write_text("{}")
    for trash in (".trash", ".cachewarden-trash"):
        conda_packages(pkgs / trash / "x", 1, files=1)


def fingerprint(path: Path) -> dict[str, tuple[object, ...]]:
    """All that may be known of a tree: contents, modes, owners, numbers of links, times of writing."""
    found = {".": _mark(path)}
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            each = Path(folder, name)
            found[str(each.relative_to(path))] = _mark(each)
    return found


Trees = dict[str, dict[str, tuple[object, ...]]]


def changes(before: Trees, now: Trees) -> Iterator[tuple[object, ...]]:
    """What is not as it was: the place, the name, and both states."""
    for place in before:
        for name in before[place].keys() | now[place].keys():
            was, is_ = before[place].get(name), now[place].get(name)
            if was != is_:
                yield place, name, was, is_


def _mark(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = ""
    if path.is_symlink():
        content = os.readlink(path)
    elif path.is_file():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    whose = (status.st_uid, status.st_gid)
    return status.st_ino, oct(status.st_mode), whose, status.st_nlink, status.st_mtime_ns, content


class Siege(Machine):
    """``Machine`` with one namespace for everything that runs, until ``end``."""

    users = {"root": 0, "ann": ANN, "bob": 41_002}  # noqa: RUF012 - never changed
    """Of numbers that no real user has: what somebody does to the processes of uid 1001 is not to be felt here."""
    daemon: int
    """The daemon's process, as numbered outside."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder.chmod(0o755)
        self.config.write_text(PURGE_ALL)
        self._make_etc()
        self._make_victims()
        self._make_bob()
        self.before = self.victims()
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        keeper = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child",
                  "--mount-proc", "--propagation", "private", "sh", "-c", _ENTER, "sh", str(folder)]  # fmt: skip
        self._keeper = subprocess.Popen(keeper, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        wait_until((folder / "ready").exists, "the namespace")
        (self._first,) = children_of(self._keeper.pid)
        self._namespaces = [os.open(f"/proc/{self._first}/ns/{name}", os.O_RDONLY) for name in ("pid", "mnt")]

    def end(self) -> None:
        """Kills the first process of the namespace, with which all others and all mounts go."""
        with suppress(ProcessLookupError):
            os.kill(self._first, signal.SIGKILL)
        for process in (self._process, self._keeper):
            if process:
                process.wait(60)
        for descriptor in self._namespaces:
            os.close(descriptor)

    # --- what there is -------------------------------------------------------------------------------------------

    def at(self, path: str) -> Path:
        """Where an absolute path below /home, /opt, /etc or /srv is, seen from outside."""
        return self.folder / path.removeprefix("/srv/").lstrip("/")

    def seen(self, path: str) -> Path:
        """Where a path of the namespace is, with what is mounted in it."""
        return Path(f"/proc/{self._first}/root{path}")

    def _make_etc(self) -> None:
        etc = self.folder / "etc"
        etc.mkdir()
        for name in ("passwd", "group"):
            (self.folder / name).rename(etc / name)
        for name in _OF_ETC:
            if os.path.exists(f"/etc/{name}") and not (etc / name).exists():
                subprocess.run(["cp", "-rL", f"/etc/{name}", etc / name], check=True)
        (etc / "environment").write_text('PATH="/usr/bin:/bin"\n')
        (etc / "pip.conf").write_text("[global]\ntimeout = 5\n")
        (etc / "conda").mkdir()
        (etc / "conda" / "condarc").write_text("channels: [main]\n")

    def _make_victims(self) -> None:
        for path in VICTIMS:
            tree = self.at(path)
            fill_pip(tree / "pip")
            fill_conda(tree / "pkgs")
            (tree / "db-2024.tar.bz2").write_bytes(b"precious")
            self.give(tree, "bob" if path in BOBS else "root")
            if path.endswith("open"):
                subprocess.run(["chmod", "-R", "a+rwX", tree], check=True)

    def _make_bob(self) -> None:
        """With an environment that uses a package of his cache, and with what he would miss."""
        home = self.home("bob")
        home.chmod(0o755)
        (home / "thesis.tex").write_text("precious")
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh" / "id").write_text("secret")
        pkgs = home / ".conda" / "pkgs"
        (used,) = conda_packages(pkgs, 1, files=3)
        used.rename(pkgs / "used-1.0-0")
        (home / "env" / "conda-meta").mkdir(parents=True)
        (home / "env" / "conda-meta" / "history").write_text("")
        (home / "env" / "conda-meta" / "used-1.0-0.json").write_text("{}")
        os.link(pkgs / "used-1.0-0" / "lib" / "f0", home / "env" / "f0")
        (home / ".conda" / "environments.txt").write_text("/home/bob/env\n")
        self.give(home, "bob")

    def victims(self) -> Trees:
        """The fingerprints of all that no cycle may change."""
        places = *VICTIMS, "/home/bob/.ssh", "/home/bob/env", "/home/bob/.conda/pkgs/used-1.0-0", "/etc"
        found = {place: fingerprint(self.at(place)) for place in places}
        return found | {"/home/bob/thesis.tex": {".": _mark(self.home("bob") / "thesis.tex")}}

    def begin(self) -> None:
        """An attack: from here on the log is looked at."""
        lines, end, _ = self._raw(0).rpartition(b"\n")  # one that is half written is heeded when it is whole
        self._heeded = len(lines + end)
        self.start_over()

    def start_over(self) -> None:
        """Gives ann an empty home and empty hands.

        An attacker who was killed ends when the kernel gets to it, and a purge that is under way makes its trash:
        either may put something into a folder that was emptied a moment ago.
        """
        home = self.home("ann")
        remove = ["rm", "-rf", "--one-file-system", str(home)]
        wait_until(lambda: subprocess.run(remove, capture_output=True).returncode == 0, "an empty home")
        home.mkdir(mode=0o755)
        self.give(home, "ann")

    # --- what is done --------------------------------------------------------------------------------------------

    def arguments(self, *words: str) -> list[str]:
        """The command line that runs ``cachewarden`` in the namespace."""
        return self.entering(*self.own(*words))

    def own(self, *words: str) -> list[str]:
        """The command line of ``cachewarden`` within the namespace."""
        return [COMMAND, "--system", "--config", "/srv/cachewarden.yaml", "--state-dir", "/srv/state", *words]

    def entering(self, *words: str) -> list[str]:
        """The command line that runs any program in the namespace, as root."""
        return ["nsenter", f"--pid=/proc/{self._first}/ns/pid", f"--mount=/proc/{self._first}/ns/mnt", *words]

    def do(self, *words: str) -> None:
        """Runs a program in the namespace, as root: root's means."""
        subprocess.run(self.entering(*words), check=True, timeout=240, stdin=subprocess.DEVNULL, env=ENVIRONMENT)

    @contextmanager
    def mounted(self, place: str, *words: str) -> Iterator[None]:
        """``mount`` with these words on a place in the namespace, for a while."""
        self.do("mkdir", "-p", place)
        self.do("mount", *words, place)
        try:
            yield
        finally:
            self.do("umount", "--lazy", place)

    def run(self, *words: str) -> "subprocess.CompletedProcess[bytes]":  # type: ignore[override]  # bytes: raw output is what is judged
        """Runs one command of ours to its end, as root."""
        return subprocess.run(
            self.arguments(*words), capture_output=True, timeout=240, stdin=subprocess.DEVNULL, env=ENVIRONMENT
        )

    def start_daemon(self) -> None:
        """Whose log is ``self.log``."""
        with self.log.open("w") as stream:
            self._process = subprocess.Popen(
                self.arguments("--verbose", "daemon"), stderr=stream, stdin=subprocess.DEVNULL, env=ENVIRONMENT
            )
        wait_until(lambda: "cycle (start)" in self._said(0), "the first cycle")
        (self.daemon,) = children_of(self._process.pid)
        self._heeded = 0
        self._born = self._birth()

    def _birth(self) -> str:
        """When the daemon was started: with the number it names one process."""
        return Path(f"/proc/{self.daemon}/stat").read_text().rpartition(")")[2].split()[19]

    def is_unharmed(self) -> None:
        """Fails unless the daemon lives, all victims are what they were, and the log is lines of the daemon's own."""
        assert self._process
        assert children_of(self._process.pid) == [self.daemon]
        assert self._birth() == self._born
        before, self.before = self.before, self.victims()  # one attack that succeeds is not told of all that follow
        changed = list(changes(before, self.before))
        assert not changed, changed
        # A line that is longer than what is left of a page is written in two steps.
        wait_until(lambda: self._raw(self._heeded)[-1:] in {b"", b"\n"}, "the end of the last line", tell=self._told)
        strange = strange_lines(self._said(self._heeded))
        assert not strange, strange

    def cycle(self, seconds: float = _PATIENCE) -> str:
        """Has the daemon look and purge now: what it said. Before, bob gets something new, which must have gone."""
        self._give_bob_something()
        start = self.log.stat().st_size
        os.kill(self.daemon, signal.SIGHUP)
        # One that was under way when the signal came saw what there was before.
        wait_until(lambda: "cycle (reload)" in self._said(start).partition(READ)[2], "a cycle", seconds, self._told)
        left = self.left_of_bob()
        assert not left, f"bob was not served: {left} after {self._said(start)}"
        return self._said(start)

    def _raw(self, start: int) -> bytes:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read()

    def _said(self, start: int) -> str:
        """In whole lines and a part of one, which may be in the middle of a letter."""
        lines, end, part = self._raw(start).rpartition(b"\n")
        return (lines + end).decode() + part.decode(errors="ignore")

    def _told(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def _give_bob_something(self) -> None:
        """Moved in whole: a cycle that runs right now is to see it as it would be."""
        stage = self.folder / "stage"
        fill_pip(stage / "pip")
        fill_conda(stage / "pkgs")
        self.give(stage, "bob")
        for source, target in ((stage / "pip", ".cache/pip"), (stage / "pkgs", ".conda/pkgs")):
            place = self.home("bob") / target
            place.mkdir(parents=True, exist_ok=True)
            for each in source.iterdir():
                wait_until(partial(_put, each, place / each.name), f"room for {place / each.name}")
        self.give(self.home("bob") / ".cache", "bob")
        shutil.rmtree(stage)

    def left_of_bob(self) -> list[str]:
        """What is in bob's caches and should have gone."""
        pip, pkgs = self.home("bob") / ".cache" / "pip", self.home("bob") / ".conda" / "pkgs"
        # os.walk and not rglob, which stops at a folder that goes while it is looked at
        files = [os.path.relpath(f"{folder}/{name}", pip) for folder, _, names in os.walk(pip) for name in names]
        stays = {"urls.txt", "used-1.0-0", "cache", ".trash"}
        return [*files, *(path.name for path in pkgs.iterdir() if path.name not in stays)]

    # --- who attacks ---------------------------------------------------------------------------------------------

    def as_user(self, name: str, work: Callable[[], object]) -> None:
        """Does ``work`` in the namespace as a user, in a process of that user."""
        pid = self._fork_inside(name, work)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    @contextmanager
    def at_it(self, name: str, work: Callable[[], object]) -> Iterator[None]:
        """A process of the user that does ``work`` over and over, whatever fails."""

        def for_ever() -> None:
            while True:
                with suppress(OSError):
                    work()

        pid = self._fork_inside(name, for_ever)
        try:
            yield
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the attacker has given up"
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _fork_inside(self, name: str, work: Callable[[], object]) -> int:
        """Two processes: only a child of the one that enters is in the other pid namespace."""
        pid = os.fork()
        if pid:
            return pid
        status = 70
        try:
            end_with_parent(signal.SIGKILL)
            for descriptor in self._namespaces:
                if _libc.setns(descriptor, 0):
                    raise OSError(ctypes.get_errno(), "setns")
            inner = os.fork()
            if inner:
                status = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) & 0xFF
            else:
                self._become(name)
                work()
                status = 0
        except BaseException:  # noqa: BLE001 - a child must never return into the test
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _become(self, name: str) -> None:
        uid = self.users[name]
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        end_with_parent(signal.SIGKILL)  # forgotten when the ids change
        os.chdir(f"/home/{name}")


def _put(source: Path, target: Path) -> bool:
    """Moves a tree to where a cycle may be removing one of the same name, or make one; whether that worked."""
    if target.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    with suppress(OSError):
        source.rename(target)
        return True
    return False


_libc = ctypes.CDLL(None, use_errno=True)
_EXCHANGE = 2
_HERE = -100


def exchange(one: str, other: str) -> None:
    """Swaps two names in one step (renameat2): there is no moment without either."""
    if _libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2")


def strange_lines(log: str) -> list[str]:
    """Lines of a log that are not the daemon's own words, or not fit for a terminal."""
    lines = log.split("\n")
    assert lines.pop() == "", "the last line has no end"
    return [
        line
        for line in lines
        if not (line.startswith("cachewarden: ") and line.isprintable()) or "fault of cachewarden" in line
    ]


def children_of(pid: int) -> list[int]:
    """Of a process with one thread."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def wait_until(
    true: Callable[[], bool], what: str, seconds: float = _PATIENCE, tell: Callable[[], str] = lambda: ""
) -> None:
    """Fails when it does not become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited for {what} in vain: {tell()}"
        time.sleep(0.02)
