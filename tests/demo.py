"""A throw-away home with real caches, and what cachewarden does with it: ``make demo``.

Nothing outside of the home is touched but a small disk of its own, which takes root; it is unmounted at the end.
Without root the move is only looked at: what a user can write to beside the own disk does not last, and is refused.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from builders.conda_caches import CondaBase, build_package
from builders.disks import DiskUnavailableError, LoopDisk
from builders.pip_caches import LoopbackIndex, fill_pip_cache

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
POLICIES = """\
version: 1
keep: {newer_than: 0s}
policies:
  - name: cap-pip
    match: {ecosystem: pip}
    size: {above: 2 MB, until: 1.7 MB}
    action: purge
  - name: unused-conda
    match: {ecosystem: conda}
    kinds: [tarball, package]
    action: purge
"""
_DISK_MIB = 32


def build(home: Path) -> None:
    """A pip cache filled by the real pip, and a conda base with one environment."""
    with LoopbackIndex() as index:
        fill_pip_cache(home, index, packages=("six", "idna", "packaging", "click", "certifi"), build=("docopt",))
    base = CondaBase(home / "miniforge3", home)
    made = home / "made"
    made.mkdir()
    used = base.fetch(build_package(made, "inuse", "1.0", files={"lib/a": os.urandom(300_000)}))
    base.fetch(build_package(made, "unused", "2.0", files={"lib/b": os.urandom(500_000)}))
    base.create_env(home / "miniforge3" / "envs" / "work", [used.name])


def show(home: Path, *words: str) -> None:
    """Runs a command as the user of the home would, and shows it."""
    print(f"\n$ cachewarden {' '.join(words)}", flush=True)
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": os.environ.get("TERM", "dumb")}
    subprocess.run([COMMAND, "--user", *words], env=environ, check=False)


def say(text: str) -> None:
    """What happens beside the commands."""
    print(f"\n# {text}", flush=True)


def show_configuration(home: Path) -> None:
    """pip's, as it is now."""
    file = home / ".config" / "pip" / "pip.conf"
    print(f"\n$ cat {file}", flush=True)
    print(file.read_text(), end="", flush=True) if file.exists() else print("(there is none)", flush=True)


@contextmanager
def disk() -> Iterator[LoopDisk | None]:
    """A small disk of its own, ``None`` where that cannot be had."""
    with ExitStack() as opened:
        try:
            made = opened.enter_context(LoopDisk(_DISK_MIB, mkfs_options=["-m", "0"]))
        except DiskUnavailableError as error:
            say(f"No disk can be made here: {error}.")
            made = None
        yield made


def purging(home: Path) -> None:
    """By two policies."""
    policies = home / "policies.yaml"
    policies.write_text(POLICIES)
    say("PURGING. Two policies: pip's cache shall not exceed 2 MB, and of conda what no environment uses goes.")
    show(home, "list")
    show(home, "--config", str(policies), "plan")
    show(home, "--config", str(policies), "run")
    show(home, "explain", "unused")


def moving(home: Path, usb: LoopDisk) -> None:
    """There, while its disk is away, and back."""
    to = str(usb.path / "caches" / "pip")
    say(f"MOVING. A disk is mounted at {usb.path}. Would it do, and what would a move mean?")
    show(home, "relocate", "pip", to, "--dry-run")
    show(home, "relocate", "pip", to)
    show_configuration(home)
    say("The disk is unplugged. The service notices at once; here the next cycle does.")
    usb.unmount()
    show(home, "run")
    show(home, "status")
    say("It is plugged in again.")
    usb.mount()
    show(home, "run")
    say("And everything back as it was, the configuration byte for byte.")
    show(home, "restore", "pip")
    show_configuration(home)
    show(home, "history")


def not_moving(home: Path) -> None:
    """What can be shown without a disk: that not every place will do, and why."""
    say("MOVING takes another disk: `sudo make demo` makes one. Not every place will do:")
    show(home, "relocate", "pip", "/tmp/cachewarden-demo/pip", "--dry-run")


def main() -> None:
    """The whole show."""
    with tempfile.TemporaryDirectory(prefix="cachewarden-demo-") as folder:
        home = Path(folder)
        print("building real caches in a throw-away home …", flush=True)
        build(home)
        purging(home)
        with disk() as usb:
            if usb is None:
                not_moving(home)
            else:
                moving(home, usb)


if __name__ == "__main__":
    main()
