"""A Debian with its own Python packages, booted with its own systemd, and cachewarden from this checkout in it.

The root trees are made by debootstrap once and kept below ``.venv``; a test works on a copy. Debian 13's systemd
wants a cgroup2 hierarchy of its own, which a private mount namespace gives it.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
TREES = ROOT / ".venv" / "test-trees"
_PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,python3-systemd,python3-watchdog,python3-apscheduler,python3-psutil,"
    "python3-yaml,python3-rich,libpam-systemd,dbus-user-session"
)
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
_BOOT = """\
umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup || exit 1
mkdir -p "/sys/fs/cgroup/$2"
echo $$ > "/sys/fs/cgroup/$2/cgroup.procs"
exec systemd-nspawn --quiet --directory "$1" --register=no --keep-unit --resolv-conf=off --boot
"""
_UNIT = "etc/systemd/system/cachewarden.service"


def why_not() -> str | None:
    """Why no Debian can be booted here."""
    if os.geteuid() != 0:
        return "booting a Debian needs root"
    missing = [tool for tool in ("debootstrap", "systemd-nspawn", "nsenter") if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} not on this machine"
    return None if _mirror() else f"{_SOURCES} names no mirror"


def _mirror() -> str | None:
    try:
        found = re.search(r"^URIs:\s*(\S+)", _SOURCES.read_text(), re.MULTILINE)
    except OSError:
        return None
    return found.group(1) if found else None


def tree(suite: str) -> Path:
    """The root tree of a release, made when it is missing; half a tree is made anew."""
    done = TREES / suite
    if not done.exists():
        TREES.mkdir(parents=True, exist_ok=True)
        begun = TREES / f"{suite}.begun"
        shutil.rmtree(begun, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", suite, str(begun), _mirror() or ""]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=900)
        begun.rename(done)
    return done


class Booted:
    """A booted release in a copy of its tree; ended and removed at the end of ``with``."""

    def __init__(self, suite: str, folder: Path) -> None:
        self.root = folder / suite
        subprocess.run(["cp", "-a", "--reflink=auto", str(tree(suite)), str(self.root)], check=True)
        self._install()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def _install(self) -> None:
        shutil.copytree(ROOT / "daemon", self.root / "opt/cachewarden", ignore=shutil.ignore_patterns("__pycache__"))
        command = self.root / "usr/bin/cachewarden"
        command.write_text(
            "#!/usr/bin/python3 -I\nimport sys\nsys.path.insert(0, '/opt/cachewarden')\n"
            "from cachewarden.cli.main import entry_point\nsys.exit(entry_point())\n"
        )
        command.chmod(0o755)
        shutil.copy(ROOT / "units/system/cachewarden.service", self.root / _UNIT)
        catalog = self.root / "usr/lib/systemd/catalog"
        catalog.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "units/cachewarden.catalog", catalog)

    def configure(self, text: str) -> None:
        """Writes the configuration of the service."""
        folder = self.root / "etc/cachewarden"
        folder.mkdir(exist_ok=True)
        (folder / "cachewarden.yaml").write_text(text)

    def user(self, name: str) -> Path:
        """A user with a home; where that is, seen from outside."""
        subprocess.run(["chroot", str(self.root), "useradd", "--create-home", name], check=True)
        return self.root / "home" / name

    def give(self, path: Path, name: str) -> None:
        """Makes a tree a user's."""
        inside = "/" + str(path.relative_to(self.root))
        subprocess.run(["chroot", str(self.root), "chown", "-R", f"{name}:", inside], check=True)

    def __enter__(self) -> Self:
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _BOOT, "sh", str(self.root)]
        self._process = subprocess.Popen(
            [*command, f"cachewarden-{os.getpid()}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self.wait(self._is_up, 90)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self.run("systemctl", "poweroff", check=False)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self.root, ignore_errors=True)

    def _is_up(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "systemd-nspawn has ended"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return False
        self._pid = int(children[0])
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    def wait(self, what: Callable[[], bool], seconds: float = 30) -> None:
        """Until it is so; AssertionError with the journal when it does not come to pass."""
        deadline = time.monotonic() + seconds
        while not what():
            journal = self.journal() if self._pid and time.monotonic() >= deadline else ""
            assert time.monotonic() < deadline, journal
            time.sleep(0.2)

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs a command in the booted system."""
        command = ["nsenter", "--target", str(self._pid), "--all", *words]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=60)

    def journal(self, *options: str) -> str:
        """What the service said."""
        return self.run("journalctl", "--unit=cachewarden", "--no-pager", *options, check=False).stdout

    def property(self, name: str) -> str:
        """A property of the service, as systemctl shows it."""
        return self.run("systemctl", "show", "--property", name, "--value", "cachewarden").stdout.strip()
