"""The files in which earlier looks are kept: true, small, seldom written, and nobody's trouble when they are not."""

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import makers
from cachewarden import __version__
from cachewarden.model.caches import Look, MeasuredCache, Part
from cachewarden.model.units import Bytes, Instant
from cachewarden.service.earlier import VERIFY_EVERY, EarlierLooks, files_of
from cachewarden.service.vouching import PRIVATE

ANN = makers.owner()
MINUTE = 60 * 10**9
PLENTY = 1 << 40


def a_cache(*names: str, walked: Instant = makers.NOW) -> MeasuredCache:
    """With a part for each entry, and one entry that is in none."""
    entries = [makers.entry(name) for name in (*names, "in-no-part")]
    parts = tuple(Part(name, f"mark of {name}", Bytes(makers.MIB)) for name in names)
    return replace(makers.cache(*entries), parts=parts, verified=walked)


def looks(folder: Path, *, keeps: bool = True, free: int = PLENTY) -> EarlierLooks:
    return EarlierLooks(str(folder), free=lambda _: free, keeps=keeps)


def kept(folder: Path, cache: MeasuredCache | None = None) -> Path:
    """The file that is written for a cache."""
    looks(folder).keep(ANN, Look((cache or a_cache("a", "b"),)), makers.NOW)
    (name,) = files_of(str(folder))
    return folder / name


def test_what_was_kept_is_known_to_whoever_comes_later(tmp_path: Path) -> None:
    kept(tmp_path)
    (known,) = looks(tmp_path, keeps=False).of(ANN, makers.NOW)
    assert known.parts == a_cache("a", "b").parts
    assert [entry.path for entry in known.entries] == ["a", "b"]
    assert known.entries[0] == a_cache("a").entries[0]


def test_it_is_each_owners_own_and_nobody_elses_to_read(tmp_path: Path) -> None:
    file = kept(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert looks(tmp_path).of(makers.owner("bob", uid=1001), makers.NOW) == ()


@pytest.mark.parametrize("later", [VERIFY_EVERY, -1])
def test_what_was_walked_too_long_ago_or_in_the_future_is_not_known(tmp_path: Path, later: int) -> None:
    kept(tmp_path)
    assert looks(tmp_path).of(ANN, Instant(makers.NOW + VERIFY_EVERY - 1))
    assert looks(tmp_path).of(ANN, Instant(makers.NOW + later)) == ()


def test_nothing_is_written_while_nothing_changes_and_else_not_often(tmp_path: Path) -> None:
    ours, file = looks(tmp_path), kept(tmp_path)
    ours.of(ANN, makers.NOW)
    before = file.stat().st_ino
    for minutes in range(60):
        ours.keep(ANN, Look((a_cache("a", "b"),)), Instant(makers.NOW + minutes * MINUTE))
    assert file.stat().st_ino == before
    written = set()
    for minutes in range(60, 70):
        ours.keep(ANN, Look((a_cache("a", f"new{minutes}"),)), Instant(makers.NOW + minutes * MINUTE))
        written.add((file.stat().st_ino, file.stat().st_mtime_ns))
    assert len(written) == 2


def test_without_leave_to_keep_nothing_is_written(tmp_path: Path) -> None:
    looks(tmp_path, keeps=False).keep(ANN, Look((a_cache("a"),)), makers.NOW)
    assert list(tmp_path.iterdir()) == []


def test_where_space_is_short_nothing_is_written(tmp_path: Path) -> None:
    looks(tmp_path, free=4096).keep(ANN, Look((a_cache("a"),)), makers.NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_yet_is_made_for_oneself_alone(tmp_path: Path) -> None:
    kept(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_root_makes_no_folder_in_the_home_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 54_321, 54_321)
    looks(tmp_path / "state").keep(ANN, Look((a_cache("a"),)), makers.NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
@pytest.mark.parametrize("by_link", [False, True])
def test_root_writes_into_no_folder_of_another_user_nor_where_that_users_link_leads(
    tmp_path: Path, *, by_link: bool
) -> None:
    folder, own = tmp_path / "state", tmp_path / "own"
    own.mkdir()
    folder.symlink_to(own) if by_link else folder.mkdir()
    os.chown(folder, 54_321, 54_321, follow_symlinks=False)
    looks(folder).keep(ANN, Look((a_cache("a"),)), makers.NOW)
    assert files_of(str(folder)) == []


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 0xFF]) + data[41:]


def _other_version(data: bytes) -> bytes:
    return zlib.compress(zlib.decompress(data).replace(__version__.encode(), b"0.0.0", 1))


def _nonsense(_: bytes) -> bytes:
    return zlib.compress(b"[[[[1]]]]")


def _bomb(_: bytes) -> bytes:
    return zlib.compress(b"[" + b" " * (200 << 20) + b"]", 9)


@pytest.mark.parametrize("spoil", [_cut, _flipped, _other_version, _nonsense, _bomb, lambda _: b""])
def test_a_file_that_is_damaged_is_as_good_as_none(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = kept(tmp_path)
    file.write_bytes(spoil(file.read_bytes()))
    assert looks(tmp_path).of(ANN, makers.NOW) == ()
    looks(tmp_path).keep(ANN, Look((a_cache("a"),)), makers.NOW)
    assert looks(tmp_path).of(ANN, makers.NOW)


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    file = kept(tmp_path)
    file.unlink()
    os.mkfifo(file)
    assert looks(tmp_path).of(ANN, makers.NOW) == ()


def test_of_too_many_owners_the_one_that_was_there_longest_ago_is_forgotten(tmp_path: Path) -> None:
    for uid in range(200):
        (tmp_path / f"looks-{uid}.z").write_bytes(b"x")
        os.utime(tmp_path / f"looks-{uid}.z", (uid, uid))
    looks(tmp_path).keep(makers.owner(uid=5000), Look((a_cache("a"),)), makers.NOW)
    assert not (tmp_path / "looks-0.z").exists()
    assert (tmp_path / "looks-5000.z").exists()
    assert len(files_of(str(tmp_path))) == 200


@pytest.mark.parametrize("field", ["name", "version", "own_hold"])
def test_texts_of_which_a_worker_tells_too_much_are_not_kept(tmp_path: Path, field: str) -> None:
    """Whatever they are called: the file would be written by way of the service's memory."""
    text: dict[str, Any] = {field: "x" * 60_000}
    entry = replace(makers.entry("a"), **text)
    parts = tuple(Part(f"a{number}", "mark", Bytes(1)) for number in range(400))
    entries = tuple(replace(entry, path=part.path) for part in parts)
    cache = replace(makers.cache(*entries), parts=parts, verified=makers.NOW)
    looks(tmp_path).keep(ANN, Look((cache,)), makers.NOW)
    (known,) = looks(tmp_path).of(ANN, makers.NOW)
    told_twice = field == "own_hold"  # it is why the entry is held, too
    assert known.parts == parts[: (12 << 20) // (120_000 if told_twice else 60_000)]
    assert [entry.path for entry in known.entries] == [part.path for part in known.parts]


def test_of_a_cache_that_is_too_large_as_many_whole_parts_are_kept_as_there_is_room_for(tmp_path: Path) -> None:
    one = makers.entry("a", shares=(makers.share(1),) * 4)
    branches = [f"b{number}" for number in range(4)]
    parts = tuple(Part(name, "mark", Bytes(1)) for name in (*branches, "small"))
    entries = [replace(one, path=f"{name}/{number}") for name in branches for number in range(100)]
    whole = replace(makers.cache(*entries, replace(one, path="small/1")), parts=parts, verified=makers.NOW)
    few = EarlierLooks(str(tmp_path), free=lambda _: PLENTY, keeps=True, most=400)
    few.keep(ANN, Look((whole, replace(whole, parts=()))), makers.NOW)
    (known,) = looks(tmp_path).of(ANN, makers.NOW)
    assert known.parts == (*parts[:2], parts[-1])
    assert {entry.path for entry in known.entries} == {entry.path for entry in entries if entry.path < "b2"} | {
        "small/1"
    }
    again = EarlierLooks(str(tmp_path), free=lambda _: PLENTY, keeps=True, most=400)
    again.of(ANN, makers.NOW)
    (file,) = files_of(str(tmp_path))
    before = (tmp_path / file).stat().st_mtime_ns
    again.keep(ANN, Look((whole,)), makers.NOW)
    assert (tmp_path / file).stat().st_mtime_ns == before


def test_a_cache_on_a_disk_that_only_its_owner_can_ask_is_known_as_well(tmp_path: Path) -> None:
    """The service has a number of its own for such a disk, beyond those of the kernel."""
    kept(tmp_path, replace(a_cache("a", "b"), device=1001 * PRIVATE + 44))
    (known,) = looks(tmp_path).of(ANN, makers.NOW)
    assert known.parts == a_cache("a", "b").parts


def test_a_part_that_is_told_a_thousand_times_has_its_entries_once(tmp_path: Path) -> None:
    """Else each of its entries would be held a thousand times."""
    entries = [makers.entry(f"a/{number}") for number in range(1000)]
    cache = replace(makers.cache(*entries), parts=(Part("a", "mark", Bytes(1)),) * 1000, verified=makers.NOW)
    looks(tmp_path).keep(ANN, Look((cache,)), makers.NOW)
    (known,) = looks(tmp_path).of(ANN, makers.NOW)
    assert len(known.entries) == 1000


def test_after_a_clock_was_set_back_looks_are_kept_again(tmp_path: Path) -> None:
    ours = looks(tmp_path)
    ours.keep(ANN, Look((a_cache("a"),)), makers.NOW)
    before = Instant(makers.NOW - VERIFY_EVERY)
    ours.keep(ANN, Look((a_cache("a", "b", walked=before),)), before)
    (known,) = ours.of(ANN, before)
    assert [part.path for part in known.parts] == ["a", "b"]
