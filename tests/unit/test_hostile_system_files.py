"""What the kernel tells in its own files, where users chose the names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.system.files import parse_mount
from cachewarden.system.journal import plain_fields
from cachewarden.system.ports import Mount

LINE = "36 25 8:1 / {} rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=continue"
READ_ONLY = "\n37 25 8:1 / /home ro - ext4 /dev/sda1 ro"


def test_a_mount_is_read_with_its_escapes() -> None:
    assert parse_mount(LINE.format(r"/media/a\040b\134c\043d").encode()) == (
        36, Mount(
            "/media/a b\\c#d", "ext4", tracks_atime=True, read_only=False, device="8:1", root="/", source="/dev/sda1",
            relatime=True,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "tracks", "daily"),
    [("rw", True, False), ("rw,relatime", True, True), ("rw,noatime", False, False), ("rw,nodiratime", True, False)],
)
def test_when_reading_moves_access_times_is_told_by_the_options(options: str, *, tracks: bool, daily: bool) -> None:
    _, mount = parse_mount(LINE.format("/").replace("rw,relatime", options).encode())
    assert (mount.tracks_atime, mount.relatime) == (tracks, daily)


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2003", "\u2028", "\u2029", "\r"])
def test_white_space_that_the_kernel_does_not_escape_parts_nothing(space: str) -> None:
    """Else a name would forge a mount of another place, or its type."""
    forged = f"/media/x{READ_ONLY.replace(chr(10), space).replace(' ', space)}"
    number, mount = parse_mount(LINE.format(forged).encode())
    assert (number, mount.mount, mount.read_only) == (36, forged, False)


def test_what_is_no_mount_is_none() -> None:
    for line in (b"", b"36", b"36 25 8:1 / /home rw", b"x 25 8:1 / /home rw - ext4 a rw"):
        with pytest.raises((ValueError, IndexError)):
            parse_mount(line)


@given(st.binary(max_size=60).filter(lambda name: not set(name) & set(b" \n\t\\\\#")))
def test_any_bytes_that_the_kernel_leaves_in_a_name_stay_the_name(name: bytes) -> None:
    line = LINE.encode().replace(b"{}", b"/m" + name)
    assert parse_mount(line)[1].mount.encode("utf-8", "surrogateescape") == b"/m" + name


def test_fields_of_the_journal_have_no_control_characters() -> None:
    fields = plain_fields({"CACHEWARDEN_CACHE": "/home/a\n\x1b]0;x\x07\udcff", "CACHEWARDEN_FREED_BYTES": 5})
    assert fields == {"CACHEWARDEN_CACHE": r"/home/a\n\x1b]0;x\x07\xff", "CACHEWARDEN_FREED_BYTES": "5"}
