"""What the journal is told."""

from dataclasses import replace

import makers
from cachewarden.model.caches import Kind, Problem
from cachewarden.model.forecasts import DiskForecast, Forecast, Growth, Trend, When
from cachewarden.model.plans import CycleRecord, Failure, Outcome, Plan, RemovedEntry, Shortfall, Standing, State
from cachewarden.model.units import Bytes, Inodes, Seconds
from cachewarden.record import DEBUG, ERROR, INFO, WARNING, Event, Recorder
from fakes import FakeJournal

CACHE = makers.cache(makers.entry("d")).cache
GONE = RemovedEntry("d", Kind.DOWNLOAD, "numpy", "1.26.4", Bytes(makers.MIB), "download, last used 50d ago")
OUTCOME = Outcome("cap-pip", "purge", CACHE, (GONE,), Bytes(makers.MIB))
SHORT = Plan(shortfalls=(Shortfall("keep-free", "/home", Bytes(5 * makers.MIB), Inodes(0)),))


def record(*outcomes: Outcome, plan: Plan | None = None, problems: tuple[Problem, ...] = ()) -> CycleRecord:
    return CycleRecord("c1", "interval", makers.NOW, makers.NOW, plan or Plan(), outcomes, problems=problems)


def told(*records: CycleRecord) -> list[tuple[int, str]]:
    journal = FakeJournal()
    recorder = Recorder(journal)
    for each in records:
        recorder.cycle(each)
    return [(priority, message) for priority, message, _ in journal.told if priority < DEBUG]


def test_a_removal_is_told_with_its_packages_and_all_its_fields() -> None:
    journal = FakeJournal()
    Recorder(journal).cycle(record(OUTCOME))
    priority, message, fields = journal.told[0]
    assert (priority, message) == (
        INFO, "cap-pip: removed 1 entries of /home/ann/.cache/pip, 1 MiB freed: numpy 1.26.4",
    )  # fmt: skip
    assert fields == {
        "MESSAGE_ID": Event.REMOVED.value, "CACHEWARDEN_POLICY": "cap-pip", "CACHEWARDEN_CACHE": CACHE.path,
        "CACHEWARDEN_ECOSYSTEM": "pip", "CACHEWARDEN_OWNER": "ann", "CACHEWARDEN_CYCLE": "c1",
        "CACHEWARDEN_FREED_BYTES": makers.MIB, "CACHEWARDEN_REASON": "",
    }  # fmt: skip


def test_a_cycle_that_did_something_ends_with_one_line() -> None:
    assert told(record(OUTCOME))[-1] == (INFO, "cycle (interval): 1 MiB freed, 1 entries removed")


def test_a_cycle_that_did_nothing_is_silent() -> None:
    assert told(record()) == []


def test_a_shortfall_is_an_error_once_and_again_after_it_was_mended() -> None:
    text = (ERROR, "keep-free: 5 MiB wanting at /home, and nothing more may be removed")
    worse = Plan(shortfalls=(replace(SHORT.shortfalls[0], lacks=Bytes(9 * makers.MIB)),))
    assert told(record(plan=SHORT), record(plan=worse)) == [text]
    assert told(record(plan=SHORT), record(), record(plan=SHORT)) == [text, text]


def fills(expected: float | None, *, latest: float | None = 50.0, guarded: bool = False, free: int = 6) -> Forecast:
    growth = Growth(2.0 * makers.MIB, makers.MIB, 3.0 * makers.MIB)
    left = Growth(1.0 * makers.MIB, makers.MIB, 3.0 * makers.MIB)
    when = When(1.0, expected, latest)
    disk = makers.filesystem(free=free * makers.MIB)
    trend = Trend(30, growth)
    found = DiskForecast(disk, trend, Trend(30, left), When(1.0, 1.0, 1.0) if guarded else when, when)
    return Forecast(makers.NOW, (found,))


def warned(*forecasts: Forecast, horizon: int = 7 * makers.DAY) -> list[tuple[int, str]]:
    journal = FakeJournal()
    recorder = Recorder(journal)
    for each in forecasts:
        recorder.forecast(each, Seconds(horizon))
    return [(priority, message) for priority, message, _ in journal.told if priority < DEBUG]


def test_a_disk_that_fills_within_the_horizon_is_a_warning_once() -> None:
    text = "/home fills in about 5 days (1 to 50): 6 MiB free, 2 MiB more a day"
    assert warned(fills(5.0), fills(4.0), fills(3.0)) == [(WARNING, text)]


def test_a_forecast_that_sways_around_the_horizon_is_told_once_and_again_after_it_was_well() -> None:
    assert len(warned(fills(6.0), fills(8.0), fills(6.0))) == 1
    assert len(warned(fills(6.0), fills(12.0), fills(6.0))) == 2
    assert len(warned(fills(6.0), fills(None), fills(6.0))) == 2


def test_what_policies_prevent_or_is_far_or_uncertain_or_full_already_is_no_warning() -> None:
    assert warned(fills(None, guarded=True), fills(8.0), fills(5.0, latest=None), fills(0.0, free=0)) == []


def test_that_policies_will_not_prevent_it_is_said() -> None:
    text = (
        "/home fills in about 5 days (1 to 50) in spite of the policies: 6 MiB free, 2 MiB more a day, "
        "of which they leave 1 MiB"
    )
    assert warned(fills(5.0, guarded=True)) == [(WARNING, text)]


def test_a_horizon_of_nothing_never_warns() -> None:
    assert warned(fills(0.0), fills(0.5), horizon=0) == []


def test_the_warning_has_its_fields() -> None:
    journal = FakeJournal()
    Recorder(journal).forecast(fills(5.0), Seconds(7 * makers.DAY))
    ((_, message, fields),) = journal.told
    assert fields == {
        "MESSAGE_ID": Event.FORECAST.value, "CACHEWARDEN_PLACE": "/home", "CACHEWARDEN_REASON": message,
    }  # fmt: skip


def test_a_problem_is_a_warning_until_it_changes() -> None:
    one, other = Problem("/x", "unreadable"), Problem("/x", "a link")
    assert told(record(problems=(one,)), record(problems=(one,)), record(problems=(other,))) == [
        (WARNING, "/x: unreadable"), (WARNING, "/x: a link"),
    ]  # fmt: skip


def test_many_problems_are_told_in_part_and_after_what_was_done() -> None:
    problems = tuple(Problem(f"/x{number}", "odd") for number in range(60))
    messages = [message for _, message in told(record(OUTCOME, problems=problems))]
    assert (messages[0][:16], messages[51], len(messages)) == (
        "cap-pip: removed", "10 more problems: `cachewarden status` lists them all", 53,
    )  # fmt: skip


def test_what_is_busy_is_no_warning() -> None:
    busy = Outcome("p", "purge", CACHE, failures=(Failure("d", "pip is running (process 8)", busy=True),))
    assert told(record(busy))[0] == (
        INFO, "p: /home/ann/.cache/pip/d was not removed: pip is running (process 8)",
    )  # fmt: skip


def test_many_failures_are_told_in_part_and_counted() -> None:
    failures = tuple(Failure(f"d{number}", "stuck") for number in range(25))
    messages = told(record(Outcome("p", "purge", CACHE, failures=failures)))
    assert (len(messages), messages[20][1]) == (21, "p: 5 more were not removed")


def test_a_reporting_policy_is_told_once_although_its_figures_move() -> None:
    plan, later = (
        Plan(standings=(Standing("watch-only", State.TRIGGERED, f"{free} free inodes of /, acts below 5%"),))
        for free in (90, 80)
    )
    assert told(record(plan=plan), record(plan=later)) == [(INFO, "watch-only: 90 free inodes of /, acts below 5%")]


def test_a_failure_that_comes_back_is_told_again_and_two_owners_are_told_apart() -> None:
    one = Outcome("p", "purge", CACHE, failures=(Failure("d", "stuck"),))
    other = replace(one, cache=replace(CACHE, path="/home/bob/.cache/pip"))
    assert len(told(record(one, other), record(one, other))) == 2
    assert len(told(record(one), record(), record(one))) == 2


def test_every_event_has_its_own_identity() -> None:
    assert len({event.value for event in Event}) == len(list(Event)) == len(Event.__members__)
