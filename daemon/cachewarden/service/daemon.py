"""The service: waits for a reason to look, runs one cycle at a time, and tells systemd and the journal.

Timers, file events, signals and samples of the disks only ring a bell. The main loop alone decides what to do, so
nothing in a cycle needs a lock.
"""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from types import FrameType

from cachewarden import __version__
from cachewarden.model.caches import Look, Snapshot
from cachewarden.model.errors import BusyError, ConfigError, UsageError, WorkerError
from cachewarden.model.plans import CycleRecord
from cachewarden.model.policies import Settings
from cachewarden.model.units import NANOSECONDS, human_bytes
from cachewarden.record import ERROR, INFO, WARNING, Event, Recorder
from cachewarden.service import preloading
from cachewarden.service.bell import Bell
from cachewarden.service.config_watch import ConfigWatch
from cachewarden.service.cycle import Cycle
from cachewarden.service.damping import STEP, SUDDEN, Damping, puts_off
from cachewarden.service.hooks import Hooks
from cachewarden.service.hurry import Hurry
from cachewarden.service.mount_watch import MountWatch
from cachewarden.service.program import Program
from cachewarden.service.quiet import Quiet
from cachewarden.service.reaching import Reaching
from cachewarden.service.sampling import Crossing, Sampler, marks_of
from cachewarden.service.schedule import Schedule
from cachewarden.service.sizes import foretell
from cachewarden.service.watches import Watchers, ready_filenos
from cachewarden.service.wishes import INTERVAL, Wish, sooner
from cachewarden.service.workers import LaunchedWorkers
from cachewarden.system.clock import SystemClock
from cachewarden.system.files import RealFiles
from cachewarden.system.journal import best_journal
from cachewarden.system.machine import io_pressure
from cachewarden.system.mount_table import MountTable
from cachewarden.system.notify import Notifier

_AT_LEAST_BETWEEN = 10.0
_SHARE_OF_TIME = 20
"""After a cycle that took a second, events bring the next one forward to this many seconds at the earliest."""
_SETTLE = 2.0
_SETTLE_CONFIG = 0.7
_SETTLE_MOUNTS = 0.5
_BUSY_AGAIN = 30.0
_DAY = 86_400 * NANOSECONDS
_FILLED = "filled up"
_EVENTS = "file events"


class Daemon:
    """One service process. ``run`` ends on TERM, INT, after its time, or when the launcher is gone."""

    def __init__(self, program: Program, settings: Settings, workers: LaunchedWorkers) -> None:
        """Everything that may fail for reasons of the user was done before."""
        self._program = program
        self._settings = settings
        self._workers = workers
        self._bell = Bell()
        self._notifier = Notifier()
        self._recorder = Recorder(best_journal(verbose=program.options.verbose))
        self._store = program.store(writable=True)
        hooks = Hooks(
            may_go_on=lambda: not self._stopping,
            beat=self._beat,
            while_looking=lambda: self._sample(looking=True),
            hurries=lambda: True,
        )
        self._cycle: Cycle = program.cycle(workers, self._store, hooks, keeps=True)
        self._schedule = Schedule(self._bell.ring)
        self._watchers = Watchers(
            workers, self._recorder, lambda owner, told: self._cycle.heard(owner, told.cache, told.entries)
        )
        self._quiet = Quiet(self._watchers.silent_since, RealFiles())
        self._reaching = Reaching(program.state_folder, SystemClock())
        self._sampler = Sampler(RealFiles())
        self._config_watch = ConfigWatch(lambda: self._bell.ring("config"))
        self._mount_watch = MountWatch(MountTable())
        self._hurry = Hurry()
        self._damping = Damping()
        self._reload_at: float | None = None
        self._mounts_at: float | None = None
        self._stopping = False
        self._deadline: float | None = None
        self._next_look: Wish | None = Wish(time.monotonic(), "start", 0.0)
        self._earliest = 0.0
        self._status = "starting"
        self._foretold = -1

    def run(self, for_seconds: int | None) -> int:
        """The exit status: 0 when it was asked to end, 1 when it cannot go on."""
        if for_seconds is not None:
            self._deadline = time.monotonic() + for_seconds
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._start()
        try:
            while not self._stopping:
                self._turn()
        except WorkerError as error:
            self._recorder.event(Event.STOPPED, ERROR, f"cannot go on: {error}")
            return 1
        finally:
            self._notifier.say("STOPPING=1", "STATUS=stopping")
            self._schedule.stop()
            self._watchers.end_all()
            self._config_watch.stop()
            self._mount_watch.close()
            self._reaching.end()
            self._cycle.leave()
        self._recorder.event(Event.STOPPED, INFO, "stopped")
        return 0

    def _start(self) -> None:
        self._schedule.start(self._settings)
        self._config_watch.follow(self._config_folders())
        whom = "all users" if self._program.system else self._program.owner.name
        files = ", ".join(self._settings.files) or "the built-in policies"
        self._recorder.event(Event.STARTED, INFO, f"cachewarden {__version__} serves {whom} by {files}")
        self._tell_state()
        self._notifier.ready("looking for the first time")

    def _config_folders(self) -> list[str]:
        config = self._program.options.config
        if config:
            return [os.path.dirname(os.path.abspath(config))]
        folder = self._program.config_folder
        return [folder, f"{folder}/policies.d"]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the handler's form
        if number == signal.SIGHUP:
            self._bell.ring("reload")
        else:
            self._stopping = True
            self._bell.ring("stop")

    def _beat(self) -> None:
        self._notifier.beat()
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._stopping = True

    def _turn(self) -> None:
        """Waits for something to happen, and does what it asks for."""
        launcher = self._workers.launcher.fileno()
        filenos = [self._bell.fileno(), launcher, *self._watchers.filenos()]
        mounts = [] if self._mounts_at else [self._mount_watch.fileno()]
        ready = ready_filenos(filenos, self._patience(), changing=mounts)
        self._beat()
        if self._stopping:
            return
        if launcher in ready:
            self._workers.listen()
        said = self._watchers.hear(ready)
        if self._watchers.have_told:
            self._reaching.tell(self._watchers.reach())
        if "filling" in said:
            self._bring_forward(0, f"a disk {_FILLED}", at_once=self._hurry.may())
        if "changed" in said:
            self._bring_forward(_SETTLE, _EVENTS, patient=True)
        self._heed_mounts(ready)
        self._heed(self._bell.heard())
        self._sample()
        if self._reload_at and time.monotonic() >= self._reload_at:
            self._reload(asked=False)
        if self._next_look and not self._stopping:
            self._look_in_time(self._next_look)

    def _patience(self) -> float | None:
        """Seconds that may be slept; ``None`` for as long as nothing rings."""
        waits = []
        if self._notifier.watchdog_seconds:
            waits.append(self._notifier.watchdog_seconds / 2)
        now = time.monotonic()
        if self._next_look:
            waits.append(self._next_look.when - now)
        if (sample := self._sampler.wait()) is not None:
            waits.append(sample)
        waits += [when - now for when in (self._reload_at, self._mounts_at) if when]
        if self._deadline is not None:
            waits.append(self._deadline - now)
        return max(0.0, min(waits)) if waits else None

    def _heed_mounts(self, ready: set[int]) -> None:
        """A disk seldom comes alone: its partitions, and what systemd makes of them, are waited for."""
        if self._mount_watch.fileno() in ready:
            self._mounts_at = time.monotonic() + _SETTLE_MOUNTS
        if self._mounts_at and time.monotonic() >= self._mounts_at:
            self._mounts_at = None
            if self._mount_watch.changed():
                self._quiet.forget()
                self._bring_forward(0, "disks came or went", at_once=self._hurry.may())

    def _heed(self, words: set[str]) -> None:
        if "reload" in words:
            self._reload(asked=True)
        elif "config" in words:
            # A file is often written in two steps: what stands there for a moment is nobody's wish.
            self._reload_at = time.monotonic() + _SETTLE_CONFIG
        if "interval" in words:
            self._bring_forward(0, INTERVAL, at_once=True, patient=True)
        if "cron" in words:
            self._bring_forward(1, "schedule", at_once=True)

    def _sample(self, *, looking: bool = False) -> None:
        """Are disks filling? What fills in no time gets first aid, also while a cycle still looks; then a look."""
        crossed = self._sampler.crossed() if self._sampler.is_due else ()
        if not crossed:
            return
        trigger = f"{', '.join(each.mount for each in crossed)} {_FILLED}"
        left = min(each.seconds_left for each in crossed)
        if self._damping.may_aid(left):
            self._aid(crossed, trigger, looking=looking)
        if not looking:
            wait = self._damping.seconds(self._earliest, left)
            self._bring_forward(wait, trigger, at_once=True, patient=left >= SUDDEN)

    def _aid(self, crossed: tuple[Crossing, ...], trigger: str, *, looking: bool) -> None:
        """From what is known. A cycle of ours that looks has the lock; who else has it is freeing space, or looks."""
        spaces = {each.mount: each.space for each in crossed}
        with suppress(BusyError), nullcontext() if looking else self._program.one_cycle_at_a_time():
            record = self._cycle.aid(self._settings, f"{trigger}, first aid", spaces)
            if record:
                self._quiet.forget()
                self._recorder.first_aid(record)

    def _bring_forward(self, seconds: float, trigger: str, *, at_once: bool = False, patient: bool = False) -> None:
        """Events bring a look forward, yet not so that looking is all that is done."""
        when = time.monotonic() + seconds
        if not at_once:
            when = max(when, self._earliest)
        self._next_look = sooner(self._next_look, Wish(when, trigger, when, patient=patient))

    def _look_in_time(self, wish: Wish) -> None:
        """Looks when it is time for that; what can wait waits while others wait for the disks already."""
        now = time.monotonic()
        if now < wish.when:
            return
        if wish.patient and puts_off(io_pressure(), now - wish.since):
            self._next_look = replace(wish, when=now + STEP)
            return
        self._next_look = None
        self._look(wish.trigger)

    def _look(self, trigger: str) -> None:
        known = self._quiet.known(self._settings) if trigger in {INTERVAL, _EVENTS} else {}
        if trigger == INTERVAL and self._quiet.may_wait(known):
            self._cycle.hold_on()
            return
        started = time.monotonic()
        try:
            with self._program.one_cycle_at_a_time():
                record = self._run(trigger, known)
        except BusyError:
            self._bring_forward(_BUSY_AGAIN, trigger, at_once=True)
            self._note_turn(trigger, freed=False)
            return
        took = time.monotonic() - started
        self._earliest = time.monotonic() + max(_AT_LEAST_BETWEEN, _SHARE_OF_TIME * took)
        self._note_turn(trigger, freed=bool(record.freed))
        self._recorder.cycle(record)
        self._tell_state()
        self._sampler.remember(marks_of(self._settings, record.after) if self._settings.watch.react else ())
        seen = self._cycle.seen or Snapshot(record.started_at)
        self._foretell(seen)
        self._mount_watch.follow(seen, self._settings)
        if goes_on(record) or self._cycle.owes_turns:
            self._bring_forward(0, "a move goes on", at_once=self._hurry.may())
        if not self._stopping:
            self._watchers.follow(seen, self._settings)
        self._notifier.say(f"STATUS={_status(record)}")

    def _run(self, trigger: str, known: Mapping[int, Look]) -> CycleRecord:
        """A cycle; as long as nothing is to be done, with looks at those alone who are not ``known``."""
        prepare, began, spent = self._settings.watch.react, self._quiet.now(), time.process_time()
        record = self._cycle.rest(self._settings, trigger, known, prepare=prepare) if known else None
        if record is None:
            known, began = {}, self._quiet.now()
            record = self._cycle.run(self._settings, trigger, prepare=prepare)
        new = {uid: look for uid, look in self._cycle.looks.items() if uid not in known}
        if record.outcomes:
            self._quiet.forget()
        elif self._cycle.seen:
            self._quiet.keep(new, self._cycle.owners, self._cycle.seen, began)
        if not new:
            self._quiet.took(time.process_time() - spent)
        return record

    def _note_turn(self, trigger: str, *, freed: bool) -> None:
        if trigger.endswith(_FILLED):
            self._damping.took_a_turn(freed=freed)

    def _foretell(self, seen: Snapshot) -> None:
        """Once a day, as there is one point a day, and when the policies were changed."""
        day = seen.taken_at // _DAY
        if day != self._foretold:
            self._foretold = day
            self._recorder.forecast(foretell(self._store, seen, self._settings), self._settings.watch.horizon)

    def _tell_state(self) -> None:
        if self._store.trouble:
            self._recorder.once(Event.NO_STATE, WARNING, "state", self._store.trouble)
        else:
            self._recorder.settled(Event.NO_STATE, ())

    def _reload(self, *, asked: bool) -> None:
        """A bad file leaves the running policies in force."""
        if asked:
            self._notifier.reloading()
        self._reload_at = None
        self._config_watch.follow(self._config_folders())
        try:
            settings = self._program.settings()
        except ConfigError as error:
            for problem in error.problems:
                self._recorder.once(Event.RELOAD_FAILED, ERROR, problem, problem, reason=problem)
            number = len(error.problems)
            status = f"the configuration has {number} error{'s' * (number > 1)}: the running policies stay in force"
            self._recorder.event(Event.RELOAD_FAILED, ERROR, status, reason=error.problems[0])
        else:
            if asked or settings != self._settings:
                self._settings = settings
                self._quiet.forget()
                self._foretold = -1
                self._watchers.end_all()
                self._schedule.start(settings)
                names = ", ".join(policy.name for policy in settings.policies) or "none"
                self._recorder.settled(Event.RELOAD_FAILED, ())
                self._recorder.event(Event.RELOADED, INFO, f"the configuration was read anew; policies: {names}")
                self._bring_forward(0, "reload", at_once=True)
            status = "the configuration was read anew"
        if asked:
            self._notifier.ready(status)


def goes_on(record: CycleRecord) -> bool:
    """Whether a move only let others have their turn: there is no reason to wait for anything then."""
    return any(outcome.incomplete and outcome.moved and outcome.moved.stopped for outcome in record.outcomes)


def _status(record: CycleRecord) -> str:
    caches = len({outcome.cache.path for outcome in record.outcomes})
    if record.freed:
        return f"last cycle freed {human_bytes(record.freed)} in {caches} caches"
    if record.plan.shortfall:
        return f"{human_bytes(record.plan.shortfall)} wanting, and nothing more may be removed"
    return "watching; nothing was to be done in the last cycle"


def run(program: Program, for_seconds: int | None) -> int:
    """The verb ``daemon``: ConfigError and BusyError before anything starts; else the exit status."""
    settings = program.settings()
    if program.system and not program.has_service_user():
        raise UsageError(
            "the system service runs as the user 'cachewarden', which is not on this machine: "
            "install the package, or use `make install`, which make it"
        )
    preloading.for_the_service()
    # Forked before the lock is taken, which a child would keep.
    workers = program.workers(launched=True, writing=True)
    if not isinstance(workers, LaunchedWorkers):
        raise TypeError("the daemon needs a launcher")
    lock = program.one_daemon()
    try:
        return Daemon(program, settings, workers).run(for_seconds)
    finally:
        if lock:
            lock.close()
