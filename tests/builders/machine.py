"""A machine of its own as far as users go: a mount namespace with another user database, other homes, another /opt.

Nothing of it is seen outside, and nothing outside is served inside: system mode can be tried on any machine.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
_ENTER = """\
set -e
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mount --rbind "$1/home" /home
mount --bind "$1/opt" /opt
mount --bind "$1" /srv
shift
exec "$@"
"""


class Machine:
    """Users ``ann`` (1001) and ``bob`` (1002), root, whose home is ``/home/root`` here, and the service's user."""

    users = {"root": 0, "ann": 1001, "bob": 1002}  # noqa: RUF012 - never changed
    others = {"cachewarden": 450, "nobody": 65534}  # noqa: RUF012 - never changed

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("home", "opt", "state"):
            (folder / name).mkdir()
        lines = [f"{name}:x:{uid}:{uid}::/home/{name}:/bin/bash" for name, uid in self.users.items()]
        lines += [f"{name}:x:{uid}:{uid}::/:/usr/sbin/nologin" for name, uid in self.others.items()]
        (folder / "passwd").write_text("\n".join(lines))
        groups = self.users | self.others
        (folder / "group").write_text("\n".join(f"{name}:x:{uid}:" for name, uid in groups.items()))
        for name, uid in self.users.items():
            home = self.home(name)
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
        self.config = folder / "cachewarden.yaml"
        self.config.write_text("version: 1\npolicies: []\n")

    def home(self, name: str) -> Path:
        """Where a home is, seen from outside."""
        return self.folder / "home" / name

    def give(self, path: Path, name: str) -> None:
        """Makes a tree a user's, links themselves included; what a service removes meanwhile is nobody's."""
        uid = self.users[name]
        os.lchown(path, uid, uid)
        for folder, folders, files in os.walk(path):
            for each in (*folders, *files):
                with suppress(FileNotFoundError):
                    os.lchown(os.path.join(folder, each), uid, uid)

    def arguments(self, *words: str) -> list[str]:
        """The command line that runs ``cachewarden`` in the namespace."""
        # By a way that the service's user can go too: what lies above a test's folder is root's alone.
        options = ["--system", "--config", "/srv/cachewarden.yaml", "--state-dir", "/srv/state"]
        return self.inside(COMMAND, *options, *words)

    def inside(self, *words: str) -> list[str]:
        """The command line that runs any command in the namespace."""
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", str(self.folder)]
        return [*enter, *words]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs one command to its end."""
        return subprocess.run(
            self.arguments(*words), capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL
        )
