"""A throw-away home with real caches, and what cachewarden does with it: ``make demo``.

Nothing outside of the home is touched. Relocation is not available yet and is shown as what it is: planned.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from builders.conda_caches import CondaBase, build_package
from builders.pip_caches import LoopbackIndex, fill_pip_cache

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
POLICIES = """\
version: 1
keep: {newer_than: 0s}
policies:
  - name: cap-pip
    match: {ecosystem: pip}
    size: {above: 1 MB, until: 600 kB}
    action: purge
  - name: unused-conda
    match: {ecosystem: conda}
    kinds: [tarball, package]
    action: purge
"""
MOVING = """\
version: 1
policies:
  - {name: to-usb, match: {ecosystem: pip}, action: relocate, to: "/media/usb/{owner}/pip"}
"""


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


def main() -> None:
    """The whole show."""
    with tempfile.TemporaryDirectory(prefix="cachewarden-demo-") as folder:
        home = Path(folder)
        print("building real caches in a throw-away home …", flush=True)
        build(home)
        (home / "policies.yaml").write_text(POLICIES)
        (home / "moving.yaml").write_text(MOVING)
        policies = str(home / "policies.yaml")
        show(home, "list")
        show(home, "--config", policies, "plan")
        show(home, "--config", policies, "run")
        show(home, "explain", "unused")
        show(home, "--config", str(home / "moving.yaml"), "plan")


if __name__ == "__main__":
    main()
