"""``cachewarden env`` in a shell: names are data, whatever is in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("cachewarden"))
SHOW = 'eval "$("$1" --user env)"; printf \'%s\\0%s\\0\' "$PIP_CACHE_DIR" "$CONDA_PKGS_DIRS"'


def in_a_shell(shell: str, home: bytes) -> tuple[list[bytes], str, list[bytes]]:
    """The two variables after ``eval``, what was said on standard error, and what is in the home then."""
    environ = {b"HOME": home, b"PATH": b"/usr/bin:/bin", b"LANG": b"C.UTF-8"}
    environ[b"PYTHONPATH"] = os.fsencode(os.environ.get("PYTHONPATH", ""))
    done = subprocess.run(
        [shell, "-c", SHOW, "-", COMMAND], env=environ, cwd=home, capture_output=True, timeout=240, check=True
    )
    return done.stdout.split(b"\0")[:2], done.stderr.decode(), sorted(os.listdir(home))


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    "name",
    [
        b"a b", b"it's", b'"; touch pwned; "', b"`touch pwned`", b"\\\\", b"* ? [a] {b;c}!", b"-n", "\u00fc".encode(),
        b"#x", b"&& touch pwned",
    ],
)  # fmt: skip
def test_a_folder_of_any_name_comes_out_of_the_shell_as_it_is(tmp_path: Path, shell: str, name: bytes) -> None:
    home = os.fsencode(tmp_path) + b"/" + name
    os.makedirs(home + b"/.conda/pkgs")
    found, said, there = in_a_shell(shell, home)
    assert found == [home + b"/.cache/pip", home + b"/.conda/pkgs"]
    assert not said
    assert there == [b".conda"]


@pytest.mark.parametrize("name", [b"new\nline\ntouch pwned\n", b"\x1b[31m", b"\xff\xfe", b"a\rb"])
def test_a_folder_whose_name_no_variable_can_carry_for_certain_is_left_out(tmp_path: Path, name: bytes) -> None:
    home = os.fsencode(tmp_path) + b"/" + name
    os.makedirs(home + b"/.conda/pkgs")
    found, said, there = in_a_shell("/bin/sh", home)
    assert found == [b"", b""]
    assert "\x1b" not in said
    assert there == [b".conda"]


@pytest.mark.parametrize("name", [b"a,b", b"$HOME", b"$(touch pwned)"])
def test_what_conda_would_read_otherwise_is_left_out_with_a_word(tmp_path: Path, name: bytes) -> None:
    home = os.fsencode(tmp_path) + b"/" + name
    os.makedirs(home + b"/.conda/pkgs")
    found, said, there = in_a_shell("/bin/sh", home)
    assert found == [home + b"/.cache/pip", b""]
    assert "is left out: conda gives '$' and ',' in a variable a meaning" in said
    assert there == [b".conda"]
