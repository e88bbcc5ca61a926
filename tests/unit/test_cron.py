"""Schedules mean what they mean in crontab."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.settings import cron

BERLIN = ZoneInfo("Europe/Berlin")


def instant(text: str, zone: ZoneInfo | None = None) -> Instant:
    moment = datetime.fromisoformat(text)
    return Instant(int(moment.replace(tzinfo=zone or UTC).timestamp()) * NANOSECONDS)


def following(expression: str, after: str, zone: ZoneInfo | None = None) -> str | None:
    found = cron.next_time(expression, instant(after, zone), zone=zone or UTC)
    return None if found is None else datetime.fromtimestamp(found // NANOSECONDS, zone or UTC).isoformat()[:16]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("0 4 * * sun", "0 4 * * sun"),
        ("0  4 * * 0", "0 4 * * sun"),
        ("0 4 * * 7", "0 4 * * sun"),
        ("0 4 * * 1-5", "0 4 * * mon,tue,wed,thu,fri"),
        ("0 4 * * Mon-Fri", "0 4 * * mon,tue,wed,thu,fri"),
        ("0 4 * * sat-sun", "0 4 * * sun,sat"),
        ("0 4 * * */2", "0 4 * * sun,tue,thu,sat"),
        ("*/15 8-18/2 1,15 JAN-mar *", "*/15 8-18/2 1,15 1-3 *"),
        ("05 04 * * *", "5 4 * * *"),
        ("50/5 * * * *", "50-59/5 * * * *"),
    ],
)
def test_weekdays_become_names_and_the_rest_numbers(written: str, normal: str) -> None:
    assert cron.normalise(written) == normal
    assert cron.normalise(normal) == normal


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "five fields: minute, hour, day of the month, month, day of the week"),
        ("@daily", "five fields: minute, hour, day of the month, month, day of the week"),
        ("0 0 4 * * sun", "five fields: minute, hour, day of the month, month, day of the week"),
        ("60 4 * * *", "the minute is from 0 to 59"),
        ("0 24 * * *", "the hour is from 0 to 23"),
        ("0 4 0 * *", "the day of the month is from 1 to 31"),
        ("0 4 * 13 *", "the month is from 1 to 12"),
        ("0 4 * * 8", "the day of the week is from 0 to 7"),
        ("0 4 * * someday", '"someday" is no day of the week'),
        ("0 4 * * son", '"son" is no day of the week'),
        ("0 4 last * *", '"last" is no day of the month'),
        ("0 4 ? * *", '"?" is no day of the month'),
        ("0 4 * * fri-mon", '"fri-mon" goes backwards'),
        ("0,,5 4 * * *", '"" is no minute'),
        ("*/0 4 * * *", 'the step of "*/0" is 0'),
        ("*/90 * * * *", 'the step of "*/90" leads beyond its range'),
        ("0 0 30 2 *", "no month of it has that day"),
        ("0 0 31 4,6,9,11 *", "no month of it has that day"),
        (
            "0 0 1 * */2",
            "a day of the month together with a stepped day of the week; name the weekdays",
        ),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        cron.normalise(written)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 4 * * 0", "2026-11-29T04:00"),  # after Monday, 23 November 2026, 04:00
        ("0 4 * * 1", "2026-11-30T04:00"),
        ("1 4 * * 1", "2026-11-23T04:01"),
        ("0 4 * * 6", "2026-11-28T04:00"),
        ("*/15 * * * *", "2026-11-23T04:15"),
        ("0 0 1 jan *", "2027-01-01T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 1 * sun", "2026-11-29T00:00"),  # either day is enough, crontab(5)
        ("0 0 25 * sun", "2026-11-25T00:00"),
        ("0 0 */2 * sun", "2026-11-29T00:00"),  # a field that begins with a star does not count as restricted
    ],
)
def test_the_next_time_is_that_of_crontab_and_strictly_later(expression: str, expected: str) -> None:
    assert following(expression, "2026-11-23T04:00") == expected


def test_due_means_after_the_last_look_and_not_after_now() -> None:
    four = instant("2026-11-23T04:00")
    one = Instant(1)
    assert not cron.is_due("0 4 * * *", Instant(four - 2), Instant(four - one), zone=UTC)
    assert cron.is_due("0 4 * * *", Instant(four - 1), four, zone=UTC)
    assert not cron.is_due("0 4 * * *", four, Instant(four + 1), zone=UTC)
    assert cron.is_due("0 4 * * *", Instant(four - 1), instant("2027-01-01T00:00"), zone=UTC)


def test_a_clock_that_went_back_makes_nothing_due() -> None:
    assert not cron.is_due("* * * * *", instant("2026-11-23T04:00"), instant("2026-11-22T04:00"), zone=UTC)


def test_beyond_the_calendar_nothing_comes() -> None:
    assert following("0 0 1 1 *", "9999-06-01T00:00") is None
    assert cron.next_time("* * * * *", Instant(2**70)) is None


def test_an_hour_that_summer_skips_neither_crashes_nor_repeats_for_ever() -> None:
    assert following("30 2 * * *", "2026-03-28T12:00", BERLIN) in {"2026-03-29T03:30", "2026-03-30T02:30"}
    assert following("30 2 * * *", "2026-03-29T12:00", BERLIN) == "2026-03-30T02:30"


def test_a_repeated_hour_ends() -> None:
    assert following("30 2 * * *", "2026-10-25T12:00", BERLIN) == "2026-10-26T02:30"


def test_the_zone_of_the_machine_is_the_default() -> None:
    start = instant("2026-11-23T04:00")
    found = cron.next_time("* * * * *", start)
    assert found == start + 60 * NANOSECONDS


def _fields(lowest: int, highest: int) -> some.SearchStrategy[str]:
    number = some.integers(lowest, highest).map(str)
    return some.one_of(some.just("*"), number, some.lists(number, min_size=1, max_size=3).map(",".join))


@settings(max_examples=30, deadline=None)
@given(
    fields=some.tuples(_fields(0, 59), _fields(0, 23), _fields(1, 28), _fields(1, 12), _fields(0, 7)),
    after=some.integers(1_700_000_000, 2_200_000_000),
    zone=some.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "UTC"]),
)
def test_the_next_time_is_later_in_every_zone(fields: tuple[str, ...], after: int, zone: str) -> None:
    start = Instant(after * NANOSECONDS)
    found = cron.next_time(" ".join(fields), start, zone=ZoneInfo(zone))
    assert found is not None
    assert found > start
    assert found % (60 * NANOSECONDS) == 0


@settings(max_examples=30, deadline=None)
@given(some.one_of(some.text(), some.text(alphabet="0123456789*/-, sunmojafe@#?L", max_size=30)))
def test_any_text_is_normal_or_refused(text: str) -> None:
    try:
        normal = cron.normalise(text)
    except ValueError:
        return
    assert cron.normalise(normal) == normal


def test_reading_settings_loads_no_scheduler() -> None:
    program = "import sys, cachewarden.settings.loader; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"apscheduler", "jsonschema", "yaml"} & set(loaded)
