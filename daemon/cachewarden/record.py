"""What the journal is told: one structured entry per event that matters, fields for machines, text for people.

Every kind of event has a MESSAGE_ID with an explanation in ``units/cachewarden.catalog`` (``journalctl -x``).
error: a promise is broken and someone must look; warning: one cache or owner failed; info: what was done;
debug: why nothing was.
"""

import math
from collections.abc import Iterable, Mapping
from enum import Enum

from cachewarden.model.caches import Problem
from cachewarden.model.forecasts import DiskForecast, Forecast, in_words
from cachewarden.model.plans import CycleRecord, Failure, Outcome, Shortfall, Standing, State
from cachewarden.model.relocations import Phase
from cachewarden.model.units import Seconds, human_bytes
from cachewarden.system.ports import Journal

ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7
_MOST_PATHS = 20
_MOST_PROBLEMS = 50
_DAY = 86_400
_OVER_AT = 1.5
"""Of the horizon: a forecast that sways around it is told once."""


class Event(Enum):
    """Kinds of events; the values are their MESSAGE_IDs and never change."""

    STARTED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a01"
    STOPPED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a02"
    RELOADED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a03"
    RELOAD_FAILED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a04"
    CYCLE = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a05"
    REMOVED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a06"
    FAILED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a07"
    SHORTFALL = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a08"
    PROBLEM = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a09"
    NO_STATE = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a0a"
    REPORTED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a0b"
    WATCH_LIMITED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a0c"
    MOVED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a0d"
    NOT_MOVED = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a0e"
    FORECAST = "c4d1b1a8a4a14f5f8f0f5a3e1c7c1a0f"


class Recorder:
    """Tells a journal; repeats of the same problem or shortfall are told once, until they change."""

    def __init__(self, journal: Journal) -> None:
        """``journal`` is where everything goes."""
        self._journal = journal
        self._told: dict[str, str] = {}

    def event(self, event: Event, priority: int, message: str, **fields: str | int) -> None:
        """One entry."""
        named: dict[str, str | int] = {f"CACHEWARDEN_{key.upper()}": value for key, value in fields.items()}
        self._journal.send(priority, message, {"MESSAGE_ID": event.value, **named})

    def once(self, event: Event, priority: int, subject: str, message: str, **fields: str | int) -> None:
        """One entry, unless the same was said of ``subject`` last time."""
        key = f"{event.name} {subject}"
        repeated = self._told.get(key) == message
        self._told[key] = message
        self.event(event, DEBUG if repeated else priority, message, **fields)

    def while_it_lasts(self, event: Event, priority: int, subject: str, message: str, **fields: str | int) -> None:
        """One entry, and no other before it has ``settled``: its figures change all the time."""
        key = f"{event.name} {subject}"
        repeated = key in self._told
        self._told[key] = ""
        self.event(event, DEBUG if repeated else priority, message, **fields)

    def settled(self, event: Event, still: Iterable[str]) -> None:
        """Forgets what is no longer so, that it may be told again when it comes back."""
        keep = {f"{event.name} {subject}" for subject in still}
        for key in [key for key in self._told if key.startswith(f"{event.name} ") and key not in keep]:
            del self._told[key]

    def cycle(self, record: CycleRecord) -> None:
        """A whole cycle: outcomes, shortfalls, problems, reports; one line of summary if it did something."""
        # What was done comes first: journald may refuse the rest when there is too much of it.
        for outcome in record.outcomes:
            self._outcome(outcome, record)
        for event in (Event.FAILED, Event.NOT_MOVED):
            self.settled(event, (_subject(outcome, each) for outcome in record.outcomes for each in outcome.failures))
        standings = record.plan.standings
        reports = {standing.policy: standing for standing in standings if standing.state is State.TRIGGERED}
        acted = {outcome.policy for outcome in record.outcomes} | {each.policy for each in record.plan.shortfalls}
        self._reports([standing for name, standing in reports.items() if name not in acted])
        self._shortfalls(record)
        self._problems(record)
        self._summary(record)

    def first_aid(self, record: CycleRecord) -> None:
        """What was done at once: the cycle that follows tells all else, and what was told of others stays told."""
        for outcome in record.outcomes:
            self._outcome(outcome, record)
        self._summary(record)

    def forecast(self, forecast: Forecast, horizon: Seconds) -> None:
        """A disk that fills within the horizon in spite of the policies; that a policy will act is no news."""
        days = horizon / _DAY
        for disk in forecast.disks:
            if _days_left(disk) <= days and horizon:
                message = _fills(disk)
                fields = {"place": disk.filesystem.mount, "reason": message}
                self.while_it_lasts(Event.FORECAST, WARNING, disk.filesystem.mount, message, **fields)
        near = (disk for disk in forecast.disks if _days_left(disk) <= days * _OVER_AT)
        self.settled(Event.FORECAST, (disk.filesystem.mount for disk in near))

    def _problems(self, record: CycleRecord) -> None:
        for problem in record.problems[:_MOST_PROBLEMS]:
            self.once(Event.PROBLEM, WARNING, problem.path, f"{problem.path}: {problem.reason}", **_at(problem))
        if more := len(record.problems[_MOST_PROBLEMS:]):
            self.once(Event.PROBLEM, WARNING, "", f"{more} more problems: `cachewarden status` lists them all")
        self.settled(Event.PROBLEM, (problem.path for problem in record.problems))

    def _outcome(self, outcome: Outcome, record: CycleRecord) -> None:
        fields = _fields(outcome, record)
        if outcome.action != "purge":
            self._move(outcome, fields)
            return
        if outcome.removed:
            first = outcome.removed[:_MOST_PATHS]
            shown = ", ".join(_named(entry.name, entry.version, entry.path) for entry in first)
            more = len(outcome.removed) - _MOST_PATHS
            message = (
                f"{outcome.policy}: removed {len(outcome.removed)} entries of {outcome.cache.path}, "
                f"{human_bytes(outcome.freed)} freed: {shown}{f' and {more} more' if more > 0 else ''}"
            )
            reason = next(
                (action.reason for action in record.plan.actions
                 if action.policy == outcome.policy and action.cache.path == outcome.cache.path), "",
            )  # fmt: skip
            self.event(Event.REMOVED, INFO, message, **fields, freed_bytes=outcome.freed, reason=reason)
        for failure in outcome.failures[:_MOST_PATHS]:
            message = f"{outcome.policy}: {_subject(outcome, failure)} was not removed: {failure.error}"
            priority = INFO if failure.busy else WARNING
            self.once(Event.FAILED, priority, _subject(outcome, failure), message, **fields, reason=failure.error)
        if len(outcome.failures) > _MOST_PATHS:
            more = len(outcome.failures) - _MOST_PATHS
            self.event(Event.FAILED, WARNING, f"{outcome.policy}: {more} more were not removed", **fields)

    def _move(self, outcome: Outcome, fields: Mapping[str, str | int]) -> None:
        """A step of a move. What waits for the same thing again is told once."""
        moved = outcome.moved
        if moved and not moved.error:
            message = f"{outcome.policy}: {outcome.cache.ecosystem} of {outcome.cache.owner.name}: {moved.text}"
            places = {"from": moved.source, "to": moved.destination, "phase": moved.phase.value}
            # That a disk is away is no fault, but somebody may miss it.
            priority = WARNING if moved.phase is Phase.AWAY else INFO
            self.event(Event.MOVED, priority, message, **fields, freed_bytes=outcome.freed, **places)
        for failure in outcome.failures:
            message = f"{outcome.policy}: {failure.path} was not moved: {failure.error}"
            priority = INFO if failure.busy else WARNING
            self.once(Event.NOT_MOVED, priority, _subject(outcome, failure), message, **fields, reason=failure.error)

    def _reports(self, standings: list[Standing]) -> None:
        for standing in standings:
            message = f"{standing.policy}: {standing.reason}"
            fields = {"policy": standing.policy, "reason": standing.reason}
            self.while_it_lasts(Event.REPORTED, INFO, standing.policy, message, **fields)
        self.settled(Event.REPORTED, (standing.policy for standing in standings))

    def _shortfalls(self, record: CycleRecord) -> None:
        for short in record.plan.shortfalls:
            message = f"{short.policy}: {_lack(short)} at {short.place}, and nothing more may be removed"
            fields = {"policy": short.policy, "cycle": record.id, "reason": message}
            self.while_it_lasts(Event.SHORTFALL, ERROR, f"{short.policy}@{short.place}", message, **fields)
        self.settled(Event.SHORTFALL, (f"{short.policy}@{short.place}" for short in record.plan.shortfalls))

    def _summary(self, record: CycleRecord) -> None:
        removed = sum(len(outcome.removed) for outcome in record.outcomes)
        failures = sum(len(outcome.failures) for outcome in record.outcomes)
        message = f"cycle ({record.trigger}): {human_bytes(record.freed)} freed, {removed} entries removed"
        if failures:
            message += f", {failures} not removed"
        priority = INFO if removed else DEBUG
        self.event(Event.CYCLE, priority, message, cycle=record.id, freed_bytes=record.freed, trigger=record.trigger)


def _at(problem: Problem) -> Mapping[str, str]:
    return {"cache": problem.path, "reason": problem.reason}


def _subject(outcome: Outcome, failure: Failure) -> str:
    """The absolute path: two owners' caches may hold the same names."""
    return failure.path if failure.path.startswith("/") else f"{outcome.cache.path}/{failure.path}"


def _fields(outcome: Outcome, record: CycleRecord) -> dict[str, str | int]:
    return {
        "policy": outcome.policy,
        "cache": outcome.cache.path,
        "ecosystem": outcome.cache.ecosystem,
        "owner": outcome.cache.owner.name,
        "cycle": record.id,
    }


def _days_left(disk: DiskForecast) -> float:
    """Until it fills in spite of the policies; infinite where it is full, or where it may as well not grow."""
    when = disk.fills_anyway
    if when is None or when.expected is None or when.latest is None or not disk.filesystem.free:
        return math.inf
    return when.expected


def _fills(disk: DiskForecast) -> str:
    when, left, growth = disk.fills_anyway, disk.left.growth, disk.trend.growth
    if when is None or left is None or growth is None:
        raise ValueError("a forecast of which nothing is known")
    free, more = human_bytes(disk.filesystem.free), human_bytes(round(growth.per_day))
    text = f"{disk.filesystem.mount} fills {in_words(when)}"
    if when == disk.fills:
        return f"{text}: {free} free, {more} more a day"
    leave = human_bytes(round(left.per_day))
    return f"{text} in spite of the policies: {free} free, {more} more a day, of which they leave {leave}"


def _named(name: str | None, version: str | None, path: str) -> str:
    if not name:
        return path.rpartition("/")[2]
    return f"{name} {version}" if version else name


def _lack(short: Shortfall) -> str:
    words = [human_bytes(short.lacks)] if short.lacks else []
    if short.lacks_inodes:
        words.append(f"{short.lacks_inodes} inodes")
    return f"{' and '.join(words)} wanting"
