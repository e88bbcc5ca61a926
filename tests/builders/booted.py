"""A Debian with its own Python packages, booted with its own systemd, for the package of this checkout.

The root trees are made by debootstrap once and kept below ``.venv``; a test works on a copy. Debian 13's systemd
wants a cgroup2 hierarchy of its own, which a private mount namespace gives it.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
DEB_FOLDER = ROOT / "build" / "deb"
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
tree=$1
shift 2
exec systemd-nspawn --quiet --directory "$tree" --register=no --keep-unit --resolv-conf=off "$@" --boot
"""


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


def deb() -> Path:
    """The package, as ``make deb`` left it; ``make test-system`` has it made before."""
    found = sorted(DEB_FOLDER.glob("cachewarden_*_all.deb"))
    assert len(found) == 1, f"{DEB_FOLDER} holds {len(found)} packages instead of one: run `make deb`"
    return found[0]


def older(package: Path, folder: Path) -> Path:
    """The same package as one of an earlier version, which an upgrade then replaces."""
    content, older_one = folder / "content", folder / "cachewarden_0.0.1_all.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(content)], check=True)
    control = content / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 0.0.1", control.read_text()))
    command = ["dpkg-deb", "--root-owner-group", "--build", str(content), str(older_one)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return older_one


def tree(suite: str) -> Path:
    """The root tree of a release, made when it is missing; half a tree is made anew."""
    done = TREES / f"{suite}-{hashlib.sha256(_PACKAGES.encode()).hexdigest()[:8]}"
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

    def __init__(self, suite: str, folder: Path, binds: Mapping[Path, str] | None = None) -> None:
        """``binds``: what of outside is seen where inside, disks for example."""
        self.suite = suite
        self.root = folder / suite
        self._binds = binds or {}
        subprocess.run(["cp", "-a", "--reflink=auto", str(tree(suite)), str(self.root)], check=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def install(self, package: Path) -> None:
        """As an administrator does, with apt."""
        shutil.copy(package, self.root / "root")
        self.run(
            "env", "DEBIAN_FRONTEND=noninteractive",
            "apt-get", "install", "--yes", "--no-install-recommends", f"/root/{package.name}",
        )  # fmt: skip

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
        binds = [f"--bind={outside}:{inside}" for outside, inside in self._binds.items()]
        self._process = subprocess.Popen(
            [*command, f"cachewarden-{os.getpid()}-{self.suite}", *binds],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self.wait(self._is_up, 240)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self.run("systemctl", "poweroff", check=False)
        try:
            self._process.wait(120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(60)
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

    def wait(self, what: Callable[[], bool], seconds: float = 120) -> None:
        """Until it is so; AssertionError with the journal when it does not come to pass."""
        deadline = time.monotonic() + seconds
        while not what():
            journal = self.journal() if self._pid and time.monotonic() >= deadline else ""
            assert time.monotonic() < deadline, journal
            time.sleep(0.2)

    def command(self, *words: str) -> list[str]:
        """The command line that runs a command in the booted system."""
        return ["nsenter", "--target", str(self._pid), "--all", *words]

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs a command in the booted system."""
        done = subprocess.run(self.command(*words), check=False, capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def by_hand(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs ``cachewarden`` as root, once more while the service is at a cycle of its own (status 75)."""
        deadline = time.monotonic() + 240
        while True:
            done = self.run("cachewarden", *words, check=False)
            if done.returncode != 75 or time.monotonic() > deadline:
                assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
                return done
            time.sleep(0.5)

    def journal(self, *options: str) -> str:
        """What the service said."""
        return self.run("journalctl", "--unit=cachewarden", "--no-pager", *options, check=False).stdout

    def as_user(self, name: str, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs a command as a user with a manager of its own."""
        uid = self.run("id", "--user", name).stdout.strip()
        environ = [f"HOME=/home/{name}", f"XDG_RUNTIME_DIR=/run/user/{uid}", "PATH=/usr/bin:/bin"]
        return self.run(
            "setpriv",
            f"--reuid={name}",
            f"--regid={name}",
            "--init-groups",
            "env",
            "-i",
            *environ,
            *words,
            check=check,
        )

    def plug_in(self, image: Path, folder: str) -> str:
        """A disk of its own, as a USB stick: a loop device of the image, mounted inside at ``folder``."""
        found = subprocess.run(
            ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True, timeout=120
        )
        device = found.stdout.strip()
        inside = f"/dev/{Path(device).name}"
        node = Path(f"/proc/{self._pid}/root{inside}")
        node.unlink(missing_ok=True)
        os.mknod(node, stat.S_IFBLK | 0o600, os.stat(device).st_rdev)
        # By a process of outside: the system inside may not open devices.
        mount = ["nsenter", "--target", str(self._pid), "--mount", "mount", "-t", "ext4", inside, folder]
        subprocess.run(mount, check=True, timeout=240)
        return device

    def unmount(self, folder: str) -> None:
        """As soon as nobody is at work there: whoever has just moved or removed something may not be away yet."""
        self.wait(lambda: self.run("umount", folder, check=False).returncode == 0)

    def pull_out(self, device: str, folder: str) -> None:
        """Unmounts it, and then the device is gone as well."""
        self.unmount(folder)
        subprocess.run(["losetup", "--detach", device], check=True, timeout=240)
        Path(f"/proc/{self._pid}/root/dev/{Path(device).name}").unlink()

    def property(self, name: str) -> str:
        """A property of the service, as systemctl shows it."""
        return self.run("systemctl", "show", "--property", name, "--value", "cachewarden").stdout.strip()
