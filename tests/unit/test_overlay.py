"""Files as they will be once an edit is written, before it is."""

import errno
import stat

import pytest

from cachewarden.ecosystems.base import Edit, Surroundings
from cachewarden.ecosystems.overlay import with_edit
from cachewarden.model.caches import Owner
from cachewarden.system.ports import Files
from fakes import FakeFiles

ALICE = Owner(1000, 1001, "alice", "/home/alice")
CONF = "/home/alice/.config/pip/pip.conf"


def over(files: FakeFiles, path: str = CONF, text: bytes = b"new\n") -> Files:
    return with_edit(Surroundings(ALICE, {}, files), Edit(path, None, text)).files


def test_the_edited_file_reads_as_it_will_be_and_others_as_they_are() -> None:
    files = over(FakeFiles({CONF: "old", "/etc/pip.conf": "other"}))
    assert files.read_text(CONF, 100) == "new\n"
    assert files.read_text("/etc/pip.conf", 100) == "other"


def test_undecodable_bytes_are_kept_as_surrogates() -> None:
    assert over(FakeFiles(), text=b"\xff").read_text(CONF, 100) == "\udcff"


def test_a_link_to_the_edited_file_reads_the_same() -> None:
    files = over(FakeFiles({"/dots/pip.conf": "old"}, links={CONF: "/dots/pip.conf"}), "/dots/pip.conf")
    assert files.read_text(CONF, 100) == "new\n"
    assert files.trusted_path(CONF) == "/dots/pip.conf"


def test_a_file_that_becomes_too_large_is_too_large() -> None:
    with pytest.raises(OSError, match="larger than 3 bytes") as caught:
        over(FakeFiles()).read_text(CONF, 3)
    assert caught.value.errno == errno.EFBIG


def test_a_file_that_was_not_there_is_there_with_the_folders_above_it() -> None:
    files = over(FakeFiles(folders=["/home/alice"]))
    made = files.stat(CONF)
    assert made
    assert (stat.S_ISREG(made.st_mode), made.st_uid, made.st_gid, made.st_size) == (True, 1000, 1001, 4)
    above = files.stat("/home/alice/.config")
    assert above
    assert stat.S_ISDIR(above.st_mode)
    assert files.names("/home/alice") == [".config"]
    assert files.names("/home/alice/.config") == files.listing("/home/alice/.config") == ["pip"]
    assert files.names("/home/alice/.config/pip") == ["pip.conf"]
    assert files.trusted_path(CONF) == CONF
    assert files.may_write("/home/alice/.config/pip")


def test_what_is_not_on_its_way_stays_missing() -> None:
    files = over(FakeFiles(folders=["/home/alice"]))
    assert files.stat("/home/alice/.conf") is None
    assert files.names("/home/bob") == []
    assert not files.may_write("/home/bob")
    with pytest.raises(FileNotFoundError):
        files.listing("/home/bob")
    with pytest.raises(FileNotFoundError):
        files.read_text("/home/alice/.conf", 100)


def test_what_was_there_keeps_its_place_and_its_neighbours() -> None:
    files = over(FakeFiles({CONF: "old", "/home/alice/.config/pip/x": ""}))
    assert files.names("/home/alice/.config/pip") == ["pip.conf", "x"]
    assert files.listing("/home/alice/.config/pip") == ["pip.conf", "x"]
    assert files.real_path("/home//alice/.config/pip/pip.conf") == CONF


def test_what_cannot_be_written_to_stays_so() -> None:
    assert not over(FakeFiles(folders=["/opt/x"], barred=["/opt"])).may_write("/opt/x")


def test_other_questions_are_passed_on() -> None:
    files = over(FakeFiles())
    assert files.mounts() == {}
    assert files.is_roots_alone("/home/alice")
    for question in (files.open_folder, files.mount_of, files.space):
        with pytest.raises(FileNotFoundError):
            question("/nowhere")
