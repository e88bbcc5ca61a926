"""Instructions that a command executes, counted by valgrind: the same on a busy machine and on a slow one.

``python -m builders.instructions`` prints the ratios of this checkout, for the bounds of their test.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cachewarden

_COUNTED = re.compile(r"^==\d+== I\s+refs:\s+([\d,]+)$", re.MULTILINE)
_TESTS = Path(__file__).resolve().parents[1]
_WHAT = "--version", "status of nothing", "decision, one policy", "decision, ten policies"
MEASURED = {
    version: dict(zip(_WHAT, ratios, strict=True))
    for version, ratios in {
        "3.11": (1.05, 18.7, 0.83, 1.62),
        "3.12": (1.05, 19.7, 0.78, 1.60),
        "3.13": (1.05, 16.4, 0.70, 1.51),
    }.items()
}
"""By version of Python, as printed by this module."""
_ENTER = (
    "import sys; sys.argv[0] = 'cachewarden'; from cachewarden.cli.main import entry_point; sys.exit(entry_point())"
)
"""As a console script begins."""


class NoValgrindError(RuntimeError):
    """The tool that counts is not here."""


def instructions(command: Sequence[str], home: str) -> int:
    """Of a command and what it forks, with a fixed environment. Raises NoValgrindError; CalledProcessError."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise NoValgrindError("valgrind: not found; install the Debian package valgrind, as .ci/setup system does")
    environ = {
        "HOME": home, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join((str(Path(cachewarden.__file__).resolve().parents[1]), str(_TESTS))),
    }  # fmt: skip
    # Once without being counted: from then on the modules are compiled.
    subprocess.run(command, env=environ, cwd=home, check=True, capture_output=True)
    counting = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", *command]
    done = subprocess.run(counting, env=environ, cwd=home, check=True, capture_output=True, text=True)
    return sum(int(number.replace(",", "")) for number in _COUNTED.findall(done.stderr))


def starts() -> dict[str, float]:
    """``--version``, and ``status`` in an empty home, in ratio to ``python -c pass``."""
    with tempfile.TemporaryDirectory() as home:
        python = [sys.executable, "-c"]
        base = instructions([*python, "pass"], home)
        ours = {
            "--version": ["--version"],
            "status of nothing": ["--user", "--state-dir", f"{home}/state", "status"],
        }
        return {what: instructions([*python, _ENTER, *words], home) / base for what, words in ours.items()}


def decisions() -> dict[str, float]:
    """About ``counted.ENTRIES`` entries, in ratio to the loop of ``counted.reference``."""
    with tempfile.TemporaryDirectory() as home:
        counts = {
            what: instructions([sys.executable, "-m", "builders.counted", what], home)
            for what in ("nothing", "reference", "one policy", "ten policies")
        }
    loop = counts["reference"] - counts["nothing"]
    return {f"decision, {what}": (counts[what] - counts["nothing"]) / loop for what in ("one policy", "ten policies")}


def measured() -> dict[str, float]:
    """What is known of this version of Python; of another one the most of all that are known."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return MEASURED.get(version) or {what: max(ratios[what] for ratios in MEASURED.values()) for what in _WHAT}


if __name__ == "__main__":
    for name, ratio in (starts() | decisions()).items():
        print(f"{name!r}: {ratio:.2f},")  # noqa: T201  # what it is for
