"""A throw-away home with caches, and the commands that are compared in it."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cachewarden
from bench.timing import Spent, Taken, Way, forget, timed
from builders.pip_caches import pip_env
from builders.synthetic import conda_packages, pip_responses

DAEMON = str(Path(cachewarden.__file__).resolve().parents[1])
"""The tree that is measured: the one on ``PYTHONPATH``, whatever is installed."""
COMMAND = str(Path(sys.executable).with_name("cachewarden"))
PER_PACKAGE = 250
"""Files of one package: of the order of those of a full distribution."""
PASS, NOTHING, VERSION = "python -c pass", "status of nothing", "--version"
_CACHES = ".cache", ".conda", "envs"


class Home:
    """Caches of one owner. ``status``, ``purge`` and their like are ours, run in user mode."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.pip = folder / ".cache" / "pip"
        self.pkgs = folder / ".conda" / "pkgs"
        self.environment = folder / "envs" / "all"
        self._empty = folder / "nobody"

    # What there is to be measured

    def fill_pip(self, entries: int) -> None:
        """A pip cache of that many responses, in place of the one before."""
        shutil.rmtree(self.pip, ignore_errors=True)
        pip_responses(self.pip, entries)

    def fill_conda(self, files: int) -> None:
        """A conda cache of about that many files, none of which an environment uses."""
        self.drop_conda()
        conda_packages(self.pkgs, max(1, files // PER_PACKAGE), files=min(files, PER_PACKAGE), folders=12)

    def link_conda(self) -> None:
        """Every file gets a second name in an environment, as conda makes one; it is known to conda."""
        record = self.environment / "conda-meta"
        record.mkdir(parents=True)
        (record / "history").write_text("")
        for package in sorted(self.pkgs.iterdir()):
            if package.is_dir():
                _link(package / "lib", self.environment / "lib" / package.name)
                (record / f"{package.name}.json").write_text("{}")
        (self.path / ".conda" / "environments.txt").write_text(f"{self.environment}\n")

    def drop_conda(self) -> None:
        """Cache and environment go."""
        for folder in (self.pkgs, self.environment):
            shutil.rmtree(folder, ignore_errors=True)

    def forget_ours(self) -> None:
        """Whatever an earlier command of ours has kept anywhere: all but the caches themselves.

        What is left is an empty state folder, as the first cycle makes it: where there is none, looks keep nothing.
        """
        for each in self.path.iterdir():
            if each.name not in _CACHES:
                shutil.rmtree(each)
        for each in (self.path / ".cache").glob("*"):
            if each != self.pip:
                shutil.rmtree(each)
        (self.path / "state").mkdir(mode=0o700)

    # Ways of doing things, to be timed

    def run(self, *words: str) -> Spent:
        """A command of ours, with what the one before has kept."""
        return timed(self._words(self.path, words), self._environ(self.path))

    def theirs(self, name: str, *command: str, prepare: Callable[[], object] = lambda: None) -> Way:
        """A command of somebody else's."""

        def way() -> Taken:
            prepare()
            return {name: timed(command, pip_env(self.path))}

        return way

    def ours(self, name: str, *words: str, prepare: Callable[[], object] = lambda: None) -> Way:
        """A command of ours that never ran here before."""

        def way() -> Taken:
            self.forget_ours()
            prepare()
            return {name: self.run(*words)}

        return way

    def version(self) -> Taken:
        """As a user asks for it: with no other option."""
        return {VERSION: timed([COMMAND, VERSION], self._environ(self.path))}

    def twice(self, first: str, second: str, *words: str, cold: bool = False) -> Way:
        """A command of ours that never ran here before, and once more at once, with the same state."""

        def way() -> Taken:
            self.forget_ours()
            taken = {}
            for name in (first, second):
                if cold:
                    forget()
                taken[name] = self.run(*words)
            return taken

        return way

    def starts(self, prepare: Callable[[], object] = lambda: None) -> list[Way]:
        """What is there before any work: the interpreter, and ``status`` where there is no cache."""

        def nothing() -> Taken:
            shutil.rmtree(self._empty, ignore_errors=True)
            self._empty.mkdir()
            prepare()
            spent = timed(self._words(self._empty, ("status",)), self._environ(self._empty))
            shutil.rmtree(self._empty)
            return {NOTHING: spent}

        return [self.theirs(PASS, sys.executable, "-c", "pass", prepare=prepare), nothing]

    def _words(self, home: Path, words: Sequence[str]) -> list[str]:
        return [COMMAND, "--user", "--state-dir", str(home / "state"), *words]

    def _environ(self, home: Path) -> dict[str, str]:
        return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": DAEMON}


def _link(source: Path, target: Path) -> None:
    for folder, _, names in os.walk(source):
        place = f"{target}{folder.removeprefix(str(source))}"
        os.makedirs(place)
        for name in names:
            os.link(f"{folder}/{name}", f"{place}/{name}")
