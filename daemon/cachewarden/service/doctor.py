"""What on this machine stands in the way of the service, each with its remedy.

What concerns one owner's files is examined by that owner's worker (``examine``); the rest is asked of the machine
here.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from cachewarden.discover import REFUSED
from cachewarden.model.caches import Filesystem, MeasuredCache, Owner, Problem, Snapshot
from cachewarden.model.errors import ConfigError, WorkerError
from cachewarden.model.findings import Finding, Mended, Severity
from cachewarden.model.policies import Settings
from cachewarden.model.units import NANOSECONDS, Bytes, Instant, human_bytes, rfc3339
from cachewarden.service import remedies
from cachewarden.service.hooks import Hooks
from cachewarden.service.program import Program
from cachewarden.service.workers import Workers
from cachewarden.settings.loader import builtin
from cachewarden.system import journal, machine, unit, users
from cachewarden.system.files import RealFiles
from cachewarden.system.ports import Mount, Space

_SMALL_TMP = Bytes(1 << 30)
"""pip unpacks wheels in /tmp; torch's are larger than this (raspberrypi/linux#7159)."""
_TIGHT_TMP = Bytes(512 << 20)
_FIRST_YEAR = 1_735_689_600
"""2025-01-01: before this program was written."""
_PLAIN = re.compile(r"/[A-Za-z0-9/._@+-]*")
_AHEAD = 3600 * NANOSECONDS


@dataclass(frozen=True, slots=True)
class Machine:
    """What was asked of the machine before the rights were given up; ``state`` is ``None`` where nobody knows."""

    booted: bool
    state: unit.UnitState | None
    journal_reached: bool
    lingers: bool


def ask_machine(program: Program, environ: Mapping[str, str]) -> Machine:
    """Call it first: without a message bus only root reaches systemd."""
    booted = unit.is_booted()
    return Machine(
        booted=booted,
        state=unit.unit_state(environ, user=not program.system) if booted else None,
        journal_reached=journal.is_reached(),
        lingers=program.system or unit.lingers(program.owner.name),
    )


@dataclass(frozen=True, slots=True)
class Visit:
    """What is asked once, before the rights are given up, however often the machine is looked at then."""

    program: Program
    settings: Settings
    misconfigured: tuple[Finding, ...]
    asked: Machine
    workers: Workers


def begin(program: Program, environ: Mapping[str, str]) -> Visit:
    """Forks the launcher in system mode; the rights of root are gone after it."""
    misconfigured: list[Finding] = []
    settings = _settings(program, misconfigured)
    asked = ask_machine(program, environ)
    return Visit(program, settings, tuple(misconfigured), asked, program.workers())


def findings(visit: Visit, hooks: Hooks) -> list[Finding]:
    """Everything, the worst first."""
    program, settings, asked, workers = visit.program, visit.settings, visit.asked, visit.workers
    store = program.store(writable=False)
    snapshot = program.cycle(workers, store, hooks).look(settings)
    found = [
        *visit.misconfigured,
        *service(asked, system=program.system, has_user=not program.system or program.has_service_user()),
        *disks(snapshot.filesystems),
        *temporary(RealFiles()),
        *hidden(asked.state, snapshot.caches),
        *clock(snapshot.taken_at, [each.finished_at for each in store.cycles(1)]),
        *_owners(workers, settings, hooks),
    ]
    if store.trouble:
        found.append(
            Finding(
                "state", Severity.WARNING, program.state_folder, store.trouble, "mend what it names, or remove it"
            )
        )
    found += problems(snapshot, found)
    order = list(Severity)
    return sorted(dict.fromkeys(found), key=lambda each: -order.index(each.severity))


def mend(visit: Visit, hooks: Hooks) -> tuple[list[Mended], list[Problem]]:
    """Has each owner mend the rights in that owner's shared caches; what was done, and whose worker failed."""
    done: list[Mended] = []
    failed: list[Problem] = []
    for owner in _served(visit.workers.owners(), visit.settings):
        try:
            done += visit.workers.mend(owner, hooks)
        except WorkerError as error:
            failed.append(Problem(owner.name, str(error)))
    return done, failed


def _served(owners: Iterable[Owner], settings: Settings) -> list[Owner]:
    return [each for each in owners if settings.owners is None or each.name in settings.owners]


def _settings(program: Program, found: list[Finding]) -> Settings:
    try:
        return program.settings()
    except ConfigError as error:
        found += [
            Finding(
                "policies", Severity.ERROR, program.config_folder, problem, "correct it; `cachewarden check` again"
            )
            for problem in error.problems
        ]
        return builtin()


def _owners(workers: Workers, settings: Settings, hooks: Hooks) -> Iterator[Finding]:
    owners = workers.owners()
    unknown = users.named_users(settings.owners or ())[1]
    for name in unknown:
        yield Finding(
            "owner", Severity.WARNING, name, "named under `owners`, but this machine has no such user",
            "correct the name; a user of a directory service must be known to `getent passwd`",
        )  # fmt: skip
    for owner in _served(owners, settings):
        try:
            yield from remedies.findings(owner, workers.examine(owner, hooks), machine.most_watches())
        except WorkerError as error:
            yield Finding(
                "owner", Severity.WARNING, owner.name, str(error),
                f"see whether it answers: sudo -u {shlex.quote(owner.name)} ls {shlex.quote(owner.home)}",
            )  # fmt: skip


def service(asked: Machine, *, system: bool, has_user: bool) -> Iterator[Finding]:
    """The unit, its user and the journal."""
    scope = "" if system else "--user "
    subject = unit.NAME
    start = f"systemctl {scope}enable --now cachewarden"
    if not has_user:
        yield Finding(
            "service", Severity.ERROR, users.SERVICE, "the user that the service runs as is not on this machine",
            "install the package, or `make install`: they make it",
        )  # fmt: skip
    if not asked.booted:
        yield Finding(
            "service", Severity.NOTE, subject, "systemd does not run this machine, so nothing starts the service",
            "have your init run `cachewarden daemon`, or cron `cachewarden run`",
        )  # fmt: skip
    elif asked.state is None:
        yield Finding("service", Severity.WARNING, subject, "the service manager does not answer",
                      f"see what `systemctl {scope}status cachewarden` says")  # fmt: skip
    else:
        yield from _unit(asked.state, subject, start, scope)
    if asked.booted and not asked.journal_reached:
        yield Finding(
            "journal", Severity.WARNING, "journald", "its socket takes nothing: what was done is told to nobody",
            "systemctl start systemd-journald.socket systemd-journald",
        )  # fmt: skip
    if asked.booted and not asked.lingers:
        yield Finding(
            "service", Severity.NOTE, subject, "it runs only while you are logged in", "loginctl enable-linger"
        )


def _unit(state: unit.UnitState, subject: str, start: str, scope: str) -> Iterator[Finding]:
    if not state.is_loaded:
        remedy = "install the package, or `make install`; nothing is looked after until then"
        yield Finding("service", Severity.ERROR, subject, "the unit is not installed", remedy)
        return
    if not state.is_active:
        remedy = start if not state.is_enabled else f"{start}; why it ended: journalctl {scope}-u cachewarden"
        yield Finding("service", Severity.ERROR, subject, "it does not run", remedy)
    if not state.is_enabled:
        yield Finding("service", Severity.WARNING, subject, "it is not started with the machine", start)
    if state.needs_reload:
        yield Finding("service", Severity.WARNING, subject, "its unit was changed on disk and not taken over",
                      f"systemctl {scope}daemon-reload && systemctl {scope}restart cachewarden")  # fmt: skip


def disks(filesystems: Iterable[Filesystem]) -> Iterator[Finding]:
    """What the filesystems of the caches do not let us know, or do."""
    for each in filesystems:
        if each.read_only:
            yield Finding(
                "disk", Severity.WARNING, each.mount, "it is mounted read-only: nothing can be removed from it",
                f"mount -o remount,rw {shlex.quote(each.mount)}; after errors of the disk: dmesg, fsck",
            )  # fmt: skip
        elif not each.tracks_atime:
            yield Finding(
                "last use", Severity.NOTE, each.mount,
                "it is mounted noatime, so that reading leaves no mark: when an entry was last used is known by what"
                " was installed into environments since, by what was seen opened, or else by when it was written",
                "nothing to do on an SD card; elsewhere relatime in /etc/fstab costs little",
            )  # fmt: skip


def temporary(files: RealFiles) -> Iterator[Finding]:
    """Whether pip has room to unpack: a full /tmp looks like a full disk, and no cache is the cause."""
    mount = files.mounts().get("/tmp")  # noqa: S108 - looked at, nothing is made there
    with suppress(OSError):
        if mount:
            yield from temporary_folder(mount, files.space(mount.mount))


def temporary_folder(mount: Mount, space: Space) -> Iterator[Finding]:
    """The finding about a /tmp of its own."""
    if mount.type != "tmpfs" or space.total >= _SMALL_TMP:
        return
    yield Finding(
        "temporary files", Severity.WARNING if space.total < _TIGHT_TMP else Severity.NOTE, mount.mount,
        f"it is a tmpfs of {human_bytes(space.total)} in memory, and pip unpacks wheels there: `No space left on"
        " device` then has nothing to do with a cache",
        "export TMPDIR=/var/tmp for large installs, or give it a size in /etc/fstab",
    )  # fmt: skip


def hidden(state: unit.UnitState | None, caches: Iterable[MeasuredCache]) -> Iterator[Finding]:
    """Caches that the service sees and may not write to, by its own sandbox."""
    if state is None or state.writable is None:
        return
    for cache in caches:
        path = cache.cache.path
        if not any(path == each or path.startswith(each.rstrip("/") + "/") for each in state.writable):
            yield Finding(
                "sandbox", Severity.WARNING, path, "the sandbox of the service does not let it remove anything there",
                f"systemctl edit cachewarden, and the two lines: [Service], {_read_write(path)}",
            )  # fmt: skip


def _read_write(path: str) -> str:
    """The line of a unit; systemd would take a space for the end of a path, and a percent sign for more than that."""
    if _PLAIN.fullmatch(path):
        return f"ReadWritePaths=-{path}"
    return "ReadWritePaths= with the path, written as systemd.syntax(7) says"


def clock(now: Instant, finished: Iterable[Instant]) -> Iterator[Finding]:
    """A board without a battery starts in the past, where everything looks fresh."""
    seconds = now / NANOSECONDS
    remedy = "set it (timedatectl set-ntp true, or date --set)"
    if seconds < max(_FIRST_YEAR, machine.installed_at() - 86_400) or any(each > now + _AHEAD for each in finished):
        yield Finding(
            "clock", Severity.WARNING, rfc3339(now) or "?", "the clock is wrong: ages are wrong with it", remedy
        )
    elif machine.clock_is_not_synchronized():
        yield Finding(
            "clock", Severity.NOTE, rfc3339(now) or "?", "no time server was reached since the boot", remedy
        )


def problems(snapshot: Snapshot, known: Iterable[Finding]) -> Iterator[Finding]:
    """What a look complains of and nothing above explains better."""
    subjects = {each.subject for each in known}
    served = {each.cache.path for each in snapshot.caches}
    for each in snapshot.problems:
        # One user's cache in the lists of others is how caches are shared safely: its owner's worker takes it.
        of_another = each.path in served and each.reason.startswith(REFUSED)
        if each.path not in subjects and not of_another:
            yield _of_problem(each)


def _of_problem(problem: Problem) -> Finding:
    remedy = "mend what it names; until then it is left alone, and everything else is looked after"
    return Finding("cache", Severity.WARNING, problem.path, problem.reason, remedy)
