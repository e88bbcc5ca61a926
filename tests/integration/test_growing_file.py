"""The file that a trace is written to: whole lines, whatever happens, and never somebody else's file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cachewarden.system.growing_file import GrowingFile


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


def test_lines_are_added_for_the_owner_alone(path: Path) -> None:
    file = GrowingFile(str(path), 100)
    assert file.last_line() == ""
    file.append(b"one\n")
    file.append(b"two\nthree\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert file.last_line() == "three"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_kill_left_of_a_line_is_taken_away(path: Path) -> None:
    path.write_bytes(b"one\ntw")
    file = GrowingFile(str(path), 100)
    assert file.last_line() == "one"
    file.append(b"three\n")
    assert path.read_bytes() == b"one\nthree\n"


def test_a_device_is_refused() -> None:
    with pytest.raises(OSError, match="regular"):
        GrowingFile("/dev/full", 100).append(b"one\n")


def test_a_limit_on_the_size_of_files_leaves_no_part_of_a_line(path: Path) -> None:
    """As a full disk does: the first bytes are written, and the rest is refused."""
    code = (
        "import resource, signal, sys\n"
        "from cachewarden.system.growing_file import GrowingFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "file = GrowingFile(sys.argv[1], 100)\n"
        "file.append(b'one\\n')\n"
        "try:\n"
        "    file.append(b'two and more\\n')\n"
        "except OSError:\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=240)
    assert done.returncode == 7
    assert path.read_bytes() == b"one\n"


def test_the_past_is_kept_beside_once(path: Path) -> None:
    file = GrowingFile(str(path), 10)
    file.begin()  # nothing is there yet
    file.append(b"one\n")
    assert file.has_room(6)
    assert not file.has_room(7)
    file.begin()
    file.append(b"two\n")
    file.begin()
    assert path.with_name("trace.jsonl.1").read_bytes() == b"two\n"
    assert file.has_room(10)


def test_a_link_is_not_followed(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"mine\n")
    path.symlink_to(other)
    with pytest.raises(OSError, match="symbolic"):
        GrowingFile(str(path), 100).append(b"one\n")
    assert other.read_bytes() == b"mine\n"
    assert GrowingFile(str(path), 100).last_line() == ""


def test_a_fifo_does_not_hang(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="regular"):
        GrowingFile(str(path), 100).append(b"one\n")
    assert GrowingFile(str(path), 100).last_line() == ""
