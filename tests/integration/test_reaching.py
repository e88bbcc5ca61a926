"""How far the service sees is told as long as it lives, and no longer."""

import json
import os
from pathlib import Path

import pytest

from cachewarden.model.watching import Extent, Reach, Watched, Why
from cachewarden.service.reaching import FILE, Reaching, reach_of
from cachewarden.service.wire import encoder
from cachewarden.system.processes import began
from fakes import FakeClock
from makers import NOW, ago

WATCHED = (
    Watched(1000, "/home/ann/.cache/pip", Extent.WHOLE, opens=True),
    Watched(1000, "/home/ann/\udcff", Extent.PART, opens=False, why=Why.FOLDERS),
)


def own(**changes: object) -> dict[str, object]:
    pid = os.getpid()
    return {"since": NOW, "pid": pid, "began": began(pid), "caches": []} | changes


def test_what_a_service_tells_is_read_while_it_lives(tmp_path: Path) -> None:
    telling = Reaching(str(tmp_path), FakeClock(NOW))
    assert reach_of(str(tmp_path)) is None
    telling.tell(WATCHED)
    assert reach_of(str(tmp_path)) == Reach(NOW, os.getpid(), began(os.getpid()) or 0, WATCHED)
    telling.end()
    assert os.listdir(tmp_path) == []


def test_it_is_written_when_it_changes_and_not_else(tmp_path: Path) -> None:
    clock = FakeClock(ago(60))
    telling = Reaching(str(tmp_path), clock)
    telling.tell(WATCHED)
    before = (tmp_path / FILE).stat()
    clock.time = NOW
    telling.tell(WATCHED)
    assert (tmp_path / FILE).stat() == before
    telling.tell(WATCHED[:1])
    found = reach_of(str(tmp_path))
    assert found
    assert (found.since, found.caches) == (NOW, WATCHED[:1])


def test_a_state_that_cannot_be_written_to_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    telling = Reaching(str(tmp_path / "state"), FakeClock(NOW))
    telling.tell(WATCHED)
    telling.end()
    assert reach_of(str(tmp_path / "state")) is None


@pytest.mark.parametrize("changes", [{"began": 1}, {"began": 0}, {"pid": 2**40}, {"pid": 0}])
def test_what_another_process_told_before_it_ended_is_not_believed(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    (tmp_path / FILE).write_text(json.dumps(list(own().values())))
    assert reach_of(str(tmp_path))
    (tmp_path / FILE).write_text(json.dumps(list(own(**changes).values())))
    assert reach_of(str(tmp_path)) is None


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b"[1,2,3,[[1]]]", b'"x"'])
def test_a_damaged_file_tells_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    assert reach_of(str(tmp_path)) is None


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "too long"])
def test_what_is_no_plain_file_of_a_sane_size_tells_nothing(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / FILE, tmp_path / "other"
    other.write_text(json.dumps(encoder(Reach)(Reach(NOW, os.getpid(), began(os.getpid()) or 0))))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(other)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b" " * (5 << 20))
    assert reach_of(str(tmp_path)) is None
