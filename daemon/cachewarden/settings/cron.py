"""Schedules as in crontab, carried by APScheduler's triggers.

Two things differ between the two and are translated here. APScheduler 3 counts weekdays from Monday = 0 (its issue
286): numbers become names. And where both the day of the month and the day of the week are restricted, crontab(5)
means either, APScheduler both: such a schedule becomes two triggers.

Times are of the machine's time zone. An hour that daylight saving skips or repeats may be skipped or fire twice.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cachewarden.model.units import NANOSECONDS, Instant
from cachewarden.system import lean

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?P<first>\*|[0-9]{1,4}|[a-z]{3})(-(?P<last>[0-9]{1,4}|[a-z]{3}))?(/(?P<step>[0-9]{1,4}))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One item of a field's comma list: every ``step``-th value from ``first`` to ``last``."""

    first: int
    last: int
    step: int
    star: bool

    def values(self) -> range:
        return range(self.first, self.last + 1, self.step)

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        step = f"/{self.step}" if self.step > 1 else ""
        return ("*" if self.star else f"{self.first}-{self.last}") + step


def normalise(expression: str) -> str:
    """The same schedule in a form that crontab and APScheduler 3 read alike: weekdays and nothing else as names.

    Raises ``ValueError`` with what is wrong for people, also for schedules that never come (30 February).
    """
    texts = expression.lower().split()
    if len(texts) != len(_FIELDS):
        raise ValueError("five fields: minute, hour, day of the month, month, day of the week")
    fields = [_parts(text, field) for text, field in zip(texts, _FIELDS, strict=True)]
    _check_days(texts, fields)
    weekdays = sorted({value % 7 for part in fields[4] for value in part.values()})
    last = "*" if texts[4] == "*" else ",".join(_WEEKDAYS[day] for day in weekdays)
    return " ".join([",".join(map(str, parts)) for parts in fields[:4]] + [last])


def next_time(expression: str, after: Instant, *, zone: tzinfo | None = None) -> Instant | None:
    """The first time after ``after`` (exclusive), in ``zone`` or else the machine's; ``None`` beyond the calendar.

    Raises ``ValueError`` as ``normalise``.
    """
    normal = normalise(expression)
    try:
        start = _EPOCH + timedelta(microseconds=after // 1000 + 1)
        found = _trigger(normal, zone).get_next_fire_time(None, start)
    except OverflowError:
        return None
    if found is None:
        return None
    return Instant((found - _EPOCH) // timedelta(seconds=1) * NANOSECONDS)


def next_in_words(expression: str, after: Instant) -> str:
    """``2026-11-29 04:00`` in the machine's time zone; empty for a schedule that never comes again."""
    coming = next_time(expression, after)
    if coming is None:
        return ""
    return datetime.fromtimestamp(coming // NANOSECONDS, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def trigger(expression: str) -> Any:  # noqa: ANN401 - APScheduler has no types
    """The schedule as a trigger of APScheduler, in the machine's time zone; ``ValueError`` as ``normalise``."""
    return _trigger(normalise(expression), None)


def is_due(expression: str, since: Instant, now: Instant, *, zone: tzinfo | None = None) -> bool:
    """Whether the schedule's time came after ``since`` and not after ``now``; ``ValueError`` as ``normalise``."""
    coming = next_time(expression, since, zone=zone)
    return coming is not None and since < coming <= now


def _parts(text: str, field: _Field) -> list[_Part]:
    return [_part(part, field) for part in text.split(",")]


def _part(text: str, field: _Field) -> _Part:
    found = _PART.fullmatch(text)
    if found is None or (found["first"] == "*" and found["last"]):
        raise ValueError(f'"{text}" is no {field.name}')
    step = int(found["step"] or 1)
    if step == 0:
        raise ValueError(f'the step of "{text}" is 0')
    if found["first"] == "*":
        highest = 6 if field.words is _WEEKDAYS else field.highest
        return _stepped(_Part(field.lowest, highest, step, star=True), text)
    first = _number(found["first"], field)
    last = _number(found["last"], field) if found["last"] else field.highest if found["step"] else first
    if last == 0 and field.words is _WEEKDAYS and first > 0:
        last = 7  # sat-sun
    if last < first:
        raise ValueError(f'"{text}" goes backwards')
    return _stepped(_Part(first, last, step, star=False), text)


def _stepped(part: _Part, text: str) -> _Part:
    """Refuses ``*/90`` minutes, which crontab takes for ``0`` and people for an hour and a half."""
    if part.step > max(part.last - part.first, 1):
        raise ValueError(f'the step of "{text}" leads beyond its range')
    return part


def _number(text: str, field: _Field) -> int:
    if text in field.words:
        return field.words.index(text) + field.lowest
    if not text.isdigit():
        raise ValueError(f'"{text}" is no {field.name}')
    if not field.lowest <= int(text) <= field.highest:
        raise ValueError(f"the {field.name} is from {field.lowest} to {field.highest}")
    return int(text)


def _check_days(texts: list[str], fields: list[list[_Part]]) -> None:
    """Refuses what never comes, and what crons disagree on."""
    if texts[4] != "*":
        if "*" in texts[4] and not texts[2].startswith("*"):
            raise ValueError("a day of the month together with a stepped day of the week; name the weekdays")
        return
    first = min(part.first for part in fields[2])
    if all(first > _LONGEST_MONTHS[month - 1] for part in fields[3] for month in part.values()):
        raise ValueError("no month of it has that day")


def _trigger(normal: str, zone: tzinfo | None) -> Any:  # noqa: ANN401  # APScheduler ships no types
    minute, hour, day, month, weekday = normal.split()
    if day.startswith("*") or weekday == "*":
        return _cron(minute, hour, day, month, weekday, zone)
    lean.load_cron()
    from apscheduler.triggers.combining import OrTrigger

    return OrTrigger([_cron(minute, hour, day, month, "*", zone), _cron(minute, hour, "*", month, weekday, zone)])


def _cron(minute: str, hour: str, day: str, month: str, weekday: str, zone: tzinfo | None) -> Any:  # noqa: ANN401 - of APScheduler
    lean.load_cron()
    from apscheduler.triggers.cron import CronTrigger

    fields = {"minute": minute, "hour": hour, "day": day, "month": month, "day_of_week": weekday}
    try:
        return CronTrigger(**fields, timezone=zone)
    except (LookupError, OSError, ValueError):
        # The fields are good by now: it is the machine's time zone that tzlocal cannot name.
        return CronTrigger(**fields, timezone=datetime.now(UTC).astimezone().tzinfo)
