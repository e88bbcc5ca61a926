"""What the service records, and that it can be replayed."""

import errno
from dataclasses import replace

import pytest

import makers
from cachewarden.model.caches import Cache, Entry, Kind, Snapshot
from cachewarden.model.plans import CycleRecord, Outcome, Plan, RemovedEntry
from cachewarden.model.policies import Settings, Watch
from cachewarden.model.units import NANOSECONDS, Bytes, Seconds
from cachewarden.model.worth import Facts, Regain, Signal
from cachewarden.service.remembering import Remembering
from cachewarden.service.tracing import Tracing
from cachewarden.simulate.parsing import parse
from cachewarden.simulate.trace import Event, Gone, Lost, Want
from cachewarden.system.growing_file import GrowingFile
from fakes import FakeStore

HOUR = makers.HOUR
SEEN = makers.NOW // NANOSECONDS


class FakeFile(GrowingFile):
    """The same in memory."""

    def __init__(self, limit: int = 10**6) -> None:
        super().__init__("/state/trace.jsonl", limit)
        self.data, self.past, self.writes = b"", b"", 0
        self.full = False

    def last_line(self) -> str:
        return self.data.decode().split("\n")[-2] if self.data else ""

    def begin(self) -> None:
        self.past, self.data = self.data, b""

    def has_room(self, size: int) -> bool:
        return len(self.data) + size <= self._limit

    def append(self, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.data += data
        self.writes += 1

    @property
    def events(self) -> list[Event]:
        return list(parse(self.data.decode(), "t").events) if self.data else []


class Service:
    """Looks at one cache, now and then."""

    def __init__(self, file: FakeFile, store: FakeStore, *, names: bool = True, on: bool = True) -> None:
        self.remembering = Remembering(store, lambda: Tracing(file))
        self.settings = Settings(watch=Watch(trace=on, trace_names=names))

    def look(self, ago: int, *entries: Entry, of: Cache | None = None, removed: tuple[str, ...] = ()) -> None:
        now, measured = makers.ago(ago), makers.cache(*entries)
        measured = replace(measured, cache=of) if of else measured
        gone = tuple(RemovedEntry(path, Kind.DOWNLOAD, None, None, Bytes(1), "why") for path in removed)
        outcome = Outcome("p", "purge", measured.cache, gone, Bytes(len(gone)))
        record = CycleRecord(f"c{ago}", "timer", now, now, Plan(), (outcome,))
        self.remembering.learn(Snapshot(now, (measured,)), record, self.settings)


@pytest.fixture(name="file")
def _file() -> FakeFile:
    return FakeFile()


def words(events: list[Event]) -> list[tuple[str, str, int]]:
    """Word, key and age in seconds."""
    found = []
    for event in events:
        key = event.item.key if isinstance(event, Want) else event.place[2]
        found.append((type(event).__name__.lower(), key, SEEN - event.at))
    return found


def test_nothing_is_recorded_unless_it_is_asked_for(file: FakeFile) -> None:
    Service(file, FakeStore(), on=False).look(0, makers.entry("a"))
    assert file.data == b""


def test_what_is_there_at_first_is_told_with_its_last_use_in_the_order_of_time(file: FakeFile) -> None:
    Service(file, FakeStore()).look(0, makers.entry("a", used=500), makers.entry("b", used=900))
    assert words(file.events) == [("want", "b", 900), ("want", "a", 500)]


def test_new_entries_later_uses_and_removals_are_told(file: FakeFile) -> None:
    service = Service(file, FakeStore())
    a = makers.entry("a", used=9 * HOUR)
    service.look(8 * HOUR, a, makers.entry("x"))
    used = replace(a, last_used=makers.ago(7 * HOUR), signal=Signal.ACCESSED)
    service.look(6 * HOUR, used, makers.entry("b", written=6 * HOUR, used=None), makers.entry("x"))
    service.look(4 * HOUR, used, makers.entry("b"), removed=("b",))
    service.look(2 * HOUR, used)
    assert words(file.events)[2:] == [
        ("want", "a", 7 * HOUR), ("want", "b", 6 * HOUR), ("lost", "b", 4 * HOUR), ("lost", "x", 4 * HOUR),
    ]  # fmt: skip
    assert [each.by_us for each in file.events if isinstance(each, Lost)] == [True, False]
    assert [each.signal for each in file.events if isinstance(each, Want)][2] is Signal.ACCESSED


def test_an_entry_that_no_environment_has_any_more_is_told(file: FakeFile) -> None:
    service = Service(file, FakeStore())
    kept = makers.entry("a", used=9 * HOUR)
    for hours, installed in ((8, True), (6, True), (4, False), (2, False)):
        service.look(hours * HOUR, replace(kept, facts=Facts(Regain.DOWNLOAD, installed=installed)))
    assert words(file.events)[1:] == [("gone", "a", 4 * HOUR)]
    assert isinstance(file.events[1], Gone)


def test_an_archive_is_wanted_only_for_its_package(file: FakeFile) -> None:
    pkgs = Cache("conda", "/home/ann/.conda/pkgs", makers.owner(), "a test")
    package = makers.entry("p-1-0", kind=Kind.PACKAGE, used=HOUR)
    ball = makers.entry("p-1-0.conda", kind=Kind.TARBALL, used=HOUR)
    Service(file, FakeStore()).look(0, package, ball, of=pkgs)
    first, second = file.events
    assert isinstance(first, Want)
    assert (first.item.key, first.source_of) == ("p-1-0.conda", "p-1-0")
    assert isinstance(second, Want)
    assert second.item.key == "p-1-0"


def test_it_is_written_at_most_once_in_five_minutes_and_nothing_is_forgotten(file: FakeFile) -> None:
    service = Service(file, FakeStore())
    entries = [makers.entry(f"a{number}", used=9 * HOUR) for number in range(4)]
    service.look(1000, *entries[:1])
    service.look(900, *entries[:2], removed=("a1",))  # what frees something is remembered at once
    service.look(800, *entries[:3], removed=("a2",))
    assert file.writes == 1
    service.look(400, *entries)
    assert file.writes == 2
    assert {key for _, key, _ in words(file.events)} == {"a0", "a1", "a2", "a3"}


def test_a_restart_goes_on_where_it_was_and_tells_nothing_twice(file: FakeFile) -> None:
    store = FakeStore()
    Service(file, store).look(9 * HOUR, makers.entry("a", used=10 * HOUR))
    Service(file, store).look(8 * HOUR, makers.entry("a", used=10 * HOUR), makers.entry("b", used=20 * HOUR))
    assert words(file.events) == [("want", "a", 10 * HOUR), ("want", "b", 10 * HOUR)]  # time never goes back


def test_a_full_trace_begins_anew_with_all_that_is_there() -> None:
    file = FakeFile(limit=2000)
    service = Service(file, FakeStore())
    kept = makers.entry("kept", used=20 * HOUR)
    for number in range(20):
        service.look((20 - number) * HOUR, kept, makers.entry(f"a{number}", used=20 * HOUR))
    assert file.past
    assert parse(file.past.decode(), "t").events
    assert max(len(file.data), len(file.past)) <= 2000
    assert ("want", "kept", 20 * HOUR) in words(file.events)


def test_one_who_has_more_than_a_whole_trace_does_not_end_it_for_all() -> None:
    file = FakeFile(limit=4000)
    service = Service(file, FakeStore())
    endless = [makers.entry(f"{number}{'x' * 400}", used=20 * HOUR) for number in range(50)]
    for number in range(5):
        service.look((20 - number) * HOUR, *endless, makers.entry(f"a{number}", used=20 * HOUR))
    assert 0 < len(file.data) <= 4000
    for number in range(5):
        service.look((10 - number) * HOUR, makers.entry(f"b{number}", used=20 * HOUR))
    assert "b4" in [key for _, key, _ in words(file.events)]
    assert parse(file.past.decode(), "t").events


def test_a_full_disk_costs_the_trace_alone_and_it_stays_one(file: FakeFile) -> None:
    store, entries = FakeStore(), [makers.entry(name, used=9 * HOUR) for name in "abc"]
    service = Service(file, store)
    service.look(8 * HOUR, *entries[:1])
    file.full = True
    service.look(7 * HOUR, *entries[:2])
    file.full = False
    service.look(6 * HOUR, *entries)
    assert [key for _, key, _ in words(file.events)] == ["a", "c"]


def test_a_trace_from_a_clock_that_was_wrong_is_put_aside(file: FakeFile) -> None:
    future = SEEN + 10**8
    file.data = (
        b'{"cachewarden_trace":1,"about":"x"}\n{"at":%d,"event":"gone","ecosystem":"pip","key":"a"}\n' % future
    )
    Service(file, FakeStore()).look(0, makers.entry("b", used=HOUR))
    assert words(file.events) == [("want", "b", HOUR)]
    assert file.past


def test_no_user_is_named_and_without_names_no_package(file: FakeFile) -> None:
    path = "secret-project-1.0-0"
    known = makers.entry(path, name="secret-project", used=HOUR, kind=Kind.DOWNLOAD)
    Service(file, FakeStore(), names=False).look(0, known)
    assert b"secret" not in file.data
    assert b"ann" not in file.data
    named = FakeFile()
    Service(named, FakeStore()).look(0, known)
    assert b"secret-project" in named.data
    assert b"ann" not in named.data


def test_hostile_names_and_times_make_no_line_that_a_replay_refuses(file: FakeFile) -> None:
    odd = [
        makers.entry("a\n\x1b[2J", name="\udcff\x00", version="v" * 9000, used=-(10**9)),
        makers.entry("b" * 4000, name="n" * 600, used=10**12),
        replace(makers.entry("c"), facts=Facts(Regain.BUILD, fetch=Bytes(2**70), build=Seconds(10**12))),
        replace(makers.entry("d"), size=Bytes(-5), frees=Bytes(2**80)),
    ]
    Service(file, FakeStore()).look(0, *odd)
    assert len(file.events) == 4
    assert all(event.at <= SEEN for event in file.events)


def test_two_caches_of_one_owner_are_kept_apart(file: FakeFile) -> None:
    service = Service(file, FakeStore())
    first = Cache("pip", "/home/ann/.cache/pip", makers.owner(), "a test")
    service.look(2 * HOUR, makers.entry("a", used=9 * HOUR), of=first)
    service.look(HOUR, makers.entry("a", used=9 * HOUR), of=replace(first, path="/data/pip"))
    owners = {event.item.owner for event in file.events if isinstance(event, Want)}
    assert len(owners) == 2
