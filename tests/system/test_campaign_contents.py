"""The attacks of one user on all others, part two: what is written there, how much of it, and what happens meanwhile.

As in part one: after each attack the same daemon is alive, bob is served, and every victim is as it was.
"""

import os
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.siege import KEY, SHARD, WHEEL, Siege, fill_conda, fill_pip

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="serving all users needs root"),
]

PIP, CONDA = ".cache/pip", ".conda/pkgs"
RECORD = "made0-1.0-0/info/repodata_record.json"
BOUND = 60.0
"""Seconds that any attack may keep bob waiting."""
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
NOT_REGULAR = "/home/ann/.config/pip/pip.conf: pip's configuration cannot be read (not a regular file)"
CONFIGURATIONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "100 MB": (
        lambda path: path.write_bytes(b"pkgs_dirs: [/x]\n" * (100_000_000 // 16)),
        "/home/ann/.pip/pip.conf: pip's configuration cannot be read (larger than 1048576 bytes)",
    ),
    "100,000 brackets": (
        lambda path: path.write_text("pkgs_dirs: " + "[" * 100_000),
        "/home/ann/.condarc: is nested too deeply to be configuration",
    ),
    "60,000 braces": (
        lambda path: path.write_text("{a: " * 60_000),
        "/home/ann/.condarc: is nested too deeply to be configuration",
    ),
    "60,000 questions": (
        lambda path: path.write_text("? " * 60_000),
        "/home/ann/.condarc: is nested too deeply to be configuration",
    ),
    "ever further to the right": (
        lambda path: path.write_text("".join(" " * n + "a:\n" for n in range(700))),
        "/home/ann/.condarc: is nested too deeply to be configuration",
    ),
    "a bomb of aliases": (
        lambda path: path.write_text(f"{BOMB}pkgs_dirs: *j\nenvs_dirs: [*j, *i]\n"),
        "/home/ann/.condarc: pkgs_dirs: an item that is no text is left out",
    ),
    "an alias of itself": (
        lambda path: path.write_text("pkgs_dirs: &a [*a, {? *a : *a}, /home/bob/open/pkgs]\n"),
        "/home/bob/open/pkgs: refused as a cache (pkgs_dirs in /home/ann/.condarc): it belongs to bob, not to ann",
    ),
    "lines without sense": (
        lambda path: path.write_text("[" * 4000 + "\n" + "x\n" * 200_000),
        "/home/ann/.pip/pip.conf: has more than 5000 lines: too long to be pip's configuration, not read",
    ),
    "bytes of all kinds": (
        lambda path: path.write_bytes(bytes(range(256)) * 900),
        "/home/ann/.pip/pip.conf: is not valid UTF-8: pip stops at this file",
    ),
    "a FIFO": (os.mkfifo, NOT_REGULAR),
    "a device": (lambda path: os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5)), NOT_REGULAR),
    "a folder": (lambda path: path.mkdir(), NOT_REGULAR),
    "a link to /dev/zero": (
        lambda path: path.symlink_to("/dev/zero"),
        "(/dev/zero can be written by everybody: its word counts for nobody)",
    ),
    "a link to itself": (
        lambda path: path.symlink_to(path.name),
        "/home/ann/.bashrc: cannot be read (Too many levels of symbolic links)",
    ),
    "a link to a descriptor": (lambda path: path.symlink_to("/proc/self/fd/3"), "cycle (reload): "),
    "a link to memory": (lambda path: path.symlink_to("/proc/self/mem"), "(Permission denied)"),
}
"""By what it is: how it is made, and what the log says of it."""
FILES = (".condarc", ".config/pip/pip.conf", ".pip/pip.conf", ".bashrc", ".conda/environments.txt")


def quick_cycle(siege: Siege) -> str:
    began = time.monotonic()
    log = siege.cycle(BOUND)
    assert time.monotonic() - began < BOUND
    return log


def fill(siege: Siege, count: int = 4) -> Path:
    siege.start_over()
    home = siege.home("ann")
    fill_pip(home / PIP, count)
    fill_conda(home / CONDA, count)
    siege.give(home, "ann")
    return home


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_no_configuration_of_one_user_keeps_others_waiting(siege: Siege, kind: str) -> None:
    make, words = CONFIGURATIONS[kind]
    home = fill(siege)
    for name in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        make(home / name)
    siege.give(home, "ann")
    log = quick_cycle(siege)
    assert words in log
    for cache in (PIP, CONDA):
        assert f"entries of /home/ann/{cache}" in log


def put(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def response(cache: Path, content_type: str, body: bytes, coding: str = "identity") -> None:
    """The first entry of a pip cache becomes this response (MessagePack, by hand: a map of two texts)."""
    pairs = (("content-type", content_type), ("content-encoding", coding))
    texts = b"".join(b"\xd9" + bytes([len(text)]) + text.encode() for pair in pairs for text in pair)
    head = b"cc=4,\x81\xa8response\x82\xa7headers\x82" + texts + b"\xa4body\xc4\x00"
    put(cache / SHARD / KEY, head)
    put(cache / SHARD / f"{KEY}.body", body)


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b"<" * (1 << 20)) for _ in range(200)) + packer.flush()


CONTENTS: dict[str, Callable[[Path], object]] = {
    "a wheel's origin that is no address": lambda home: put(
        home / PIP / WHEEL / "origin.json", b'{"url": "http://["}'
    ),
    "a deep origin": lambda home: put(home / PIP / WHEEL / "origin.json", b"[" * 60_000),
    "a page of links to nowhere": lambda home: response(home / PIP, "text/html", b'<a href="http://[/six-1.0.zip">'),
    "a page in JSON with such": lambda home: response(
        home / PIP, "application/vnd.pypi.simple.v1+json", b'{"name": 7, "files": [{"url": "https://[::1"}, 5]}'
    ),
    "a deep page": lambda home: response(home / PIP, "text/html", b'{"files": ' + b"[" * 9_000_000),
    "a page that unpacks to 200 MB": lambda home: response(home / PIP, "text/html", gzip_bomb(), "gzip"),
    "a head without end": lambda home: put(
        home / PIP / SHARD / KEY, b"cc=4,\x81\xa8response" + b"\xdf\xff\xff\xff\xff" * 5
    ),
    "a deep record": lambda home: put(home / CONDA / RECORD, b"[" * 900_000),
    "a record of a million digits": lambda home: put(home / CONDA / RECORD, b'{"name": ' + b"9" * 1_000_000 + b"}"),
    "a record that is none": lambda home: put(home / CONDA / RECORD, b'{"name": {"a": 1}, "version": [1]}'),
    "a record of 100 MB": lambda home: put(home / CONDA / RECORD, b" " * 100_000_000),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_nothing_in_a_cache_makes_it_stay_or_keeps_others_waiting(siege: Siege, kind: str) -> None:
    home = fill(siege)
    CONTENTS[kind](home)
    siege.give(home, "ann")
    log = quick_cycle(siege)
    assert "refused" not in log, "the kernel finds nothing there, and there is nothing to be said of it"
    for cache in (PIP, CONDA):
        assert f"entries of /home/ann/{cache}" in log
    assert [path for path in (home / PIP).rglob("*") if path.is_file()] == []
    assert sorted(path.name for path in (home / CONDA).iterdir()) == [".trash", "cache", "urls.txt"]


def chain(home: Path, target: str, length: int = 1500) -> str:
    """A way over more links than anybody follows; where it begins."""
    folder = home / "chain"
    folder.mkdir()
    for number in range(length):
        (folder / str(number)).symlink_to(str(number + 1))
    (folder / str(length)).symlink_to(target)
    return "/home/ann/chain/0"


@pytest.mark.parametrize("ecosystem", ["pip", "conda"])
def test_a_thousand_links_in_a_row_lead_nowhere_and_cost_nobody_anything(siege: Siege, ecosystem: str) -> None:
    home = fill(siege)
    way = chain(home, "/home/bob/open")
    environment = home / ".conda" / "envs" / "linked"
    (environment / "conda-meta").mkdir(parents=True)
    (environment / "lib").symlink_to(way)
    if ecosystem == "pip":
        put(home / ".config" / "pip" / "pip.conf", f"[install]\ncache-dir = {way}/pip\n".encode())
    else:
        put(home / ".condarc", f"pkgs_dirs: [{way}/pkgs]\nenvs_dirs: [{way}/envs]\n".encode())
    siege.give(home, "ann")
    log = quick_cycle(siege)
    for cache in (PIP, CONDA):
        assert f"entries of /home/ann/{cache}" in log
    for verb in ("status", "explain /home/ann/chain/0"):
        done = siege.run(*verb.split())
        assert b"Traceback" not in done.stderr


def long_names(folder: Path, *, number: int = 600) -> list[bytes]:
    """Folders whose paths are as long as can be, and take six times that in a message: such bytes are no text."""
    deep = os.path.join(os.fsencode(folder), *[b"\xff" * 255] * 13)
    paths = [b"%s/%03d%s" % (deep, each, b"\xfe" * 200) for each in range(number)]
    for path in paths:
        os.makedirs(path)
    return paths


def test_problems_of_the_longest_names_are_told_and_the_caches_go(siege: Siege) -> None:
    home = fill(siege)
    paths = long_names(home / PIP)
    siege.give(home, "ann")
    for path in paths:
        os.chmod(path, 0)
    log = quick_cycle(siege)
    assert "550 more problems: `cachewarden status` lists them all\n" in log
    for cache in (PIP, CONDA):
        assert f"entries of /home/ann/{cache}" in log


def test_failures_of_the_longest_names_are_told_in_short_and_the_rest_goes(siege: Siege) -> None:
    home = fill(siege)
    paths = long_names(home / CONDA / "made0-1.0-0" / "lib")
    siege.give(home, "ann")
    for path in paths:
        os.close(os.open(path + b"/f", os.O_CREAT))
        os.chown(path, 0, 0)
    log = quick_cycle(siege)
    assert "was not removed: Permission denied\n" in log
    assert re.search("all: [0-9]+ more were not removed\n", log)
    for cache in (PIP, CONDA):
        assert f"entries of /home/ann/{cache}" in log


def test_an_index_of_a_hundred_thousand_files_goes_and_keeps_nobody_waiting(siege: Siege) -> None:
    """conda's shards have names without end, and all of them are one entry."""
    home = fill(siege)

    def make() -> None:
        for number in range(100_000):
            os.mknod(f"{CONDA}/cache/repodata_shards.db{number:06}")

    siege.as_user("ann", make)
    quick_cycle(siege)
    assert list((home / CONDA / "cache").iterdir()) == []
