"""What a command and the daemon need alike: whom to serve, which configuration, which state, which workers."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachewarden.decide.relocation import filled_in
from cachewarden.model.caches import Owner
from cachewarden.model.errors import ConfigError, UsageError
from cachewarden.model.policies import Settings
from cachewarden.service import worker
from cachewarden.service.cycle import Cycle
from cachewarden.service.earlier import EarlierLooks, files_of
from cachewarden.service.hooks import Hooks
from cachewarden.service.local_workers import LocalWorkers
from cachewarden.service.reaching import FILE as REACH
from cachewarden.service.remembering import Remembering
from cachewarden.service.worker import Whom
from cachewarden.settings.default import builtin, is_absent
from cachewarden.settings.vocabulary import KINDS_OF
from cachewarden.system import privileges, users
from cachewarden.system.clock import SystemClock
from cachewarden.system.durable import TEMPORARY
from cachewarden.system.files import RealFiles
from cachewarden.system.growing_file import BEFORE, GrowingFile
from cachewarden.system.lock import Lock
from cachewarden.system.machine import has_a_way_out
from cachewarden.system.memory import Store
from cachewarden.system.store import FILE, SqliteStore

if TYPE_CHECKING:
    from cachewarden.service.tracing import Tracing
    from cachewarden.service.workers import Workers

SYSTEM_CONFIG = "/etc/cachewarden"
SYSTEM_STATE = "/var/lib/cachewarden"
_DAEMON_LOCK = "daemon.lock"
TRACE = "trace.jsonl"
_OF_THE_STATE = (FILE, f"{FILE}-journal", _DAEMON_LOCK, TRACE, TRACE + BEFORE, REACH, f"{REACH}{TEMPORARY}")


@dataclass(frozen=True, slots=True)
class Options:
    """The global options. ``system`` is ``None`` for the default: system mode for uid 0."""

    config: str | None = None
    state_dir: str | None = None
    system: bool | None = None
    verbose: bool = False


class Program:
    """The places of one mode, and what works there."""

    def __init__(self, options: Options, environ: Mapping[str, str]) -> None:
        """UsageError when system mode is asked for without the rights it needs."""
        self.options = options
        self.system = os.geteuid() == 0 if options.system is None else options.system
        if self.system and privileges.permitted() & privileges.BECOMING != privileges.BECOMING:
            raise UsageError("system mode serves all users and needs root: use sudo, or --user for your own caches")
        self._service = users.service_user() if self.system else None
        self._is_launched = self._is_shed = False
        self._environ = environ
        self._known = Settings()
        self.by_hand: tuple[str, ...] = ()
        self.groups_by_hand: tuple[str, ...] = ()
        """Destinations, and groups to share with, that the command line names."""
        home = environ.get("HOME") or None
        self.owner = users.current_owner(home)
        self.config_folder = SYSTEM_CONFIG if self.system else self._xdg("XDG_CONFIG_HOME", ".config")
        state = SYSTEM_STATE if self.system else self._xdg("XDG_STATE_HOME", ".local/state")
        self.state_folder = os.path.abspath(options.state_dir) if options.state_dir else state

    def _xdg(self, variable: str, default: str) -> str:
        """An absolute value of the variable counts, as the base directory specification says."""
        value = self._environ.get(variable, "")
        base = value if value.startswith("/") else os.path.join(self.owner.home, default)
        return os.path.join(base, "cachewarden")

    def settings(self) -> Settings:
        """As configured now; ConfigError with every problem. ``owners`` narrows system mode alone."""
        found = self._configured()
        self._known = found if self.system else replace(found, owners=None)
        return self._known

    def _configured(self) -> Settings:
        """The parser is loaded only where there is something to parse."""
        if self.options.config is None and is_absent(RealFiles(), self.config_folder):
            return builtin()
        from cachewarden.settings import loader

        return loader.load(RealFiles(), config=self.options.config, folder=self.config_folder)

    def store(self, *, writable: bool) -> Store:
        """The memory; it works or says why not, and never raises. In system mode opened as the service does."""
        self.shed(writing=writable)
        return SqliteStore(self.state_folder, writable=writable)

    def workers(self, *, launched: bool = False, writing: bool = False) -> "Workers":
        """Call it before any thread starts: in system mode, and when ``launched``, the launcher is forked off.

        In system mode this process then gives its rights up; ``writing`` when it is to write to the state.
        """
        if not self.system and not launched:
            return LocalWorkers(lambda: replace(self._whom(self.owner, self._environ), asks=True))
        if self._is_shed and not self._is_launched and self.system:
            raise RuntimeError("the launcher must be forked before the rights are given up")
        from cachewarden.service.workers import LaunchedWorkers
        from cachewarden.system.launcher import Rules, fork_launcher

        worker.preload()
        limits = dict(worker.LIMITS if self.system else worker.OWN_LIMITS)
        if launched:
            del limits[worker.BY_HAND]  # nobody types commands at the daemon: its launcher has no such kind
        rules = Rules(self._roster, self._be_worker, limits, switch=self.system, service=self._service)
        workers = LaunchedWorkers(fork_launcher(rules), limits)
        self._is_launched = True
        self.shed(writing=writing, screens=not launched)
        return workers

    def shed(self, *, writing: bool, screens: bool = True) -> None:
        """In system mode: from now on this process is the service's user and holds no right of root.

        So what it leaves in the state is what the service can use, and the state is opened with its rights alone.
        Where that user does not exist (a checkout, tried by root) root stays root. ``writing``: the state is made
        the service's first. ``screens``: it is a command, which will show something.
        """
        if self._service is None or self._is_shed:
            return
        from cachewarden.service import preloading
        from cachewarden.system import state_folder
        from cachewarden.system.runas import be_service

        self._is_shed = True
        if writing and os.geteuid() == 0:
            names = (*_OF_THE_STATE, *files_of(self.state_folder))
            state_folder.hand_over(self.state_folder, self._service, names)
        preloading.for_a_stranger(self._service, screens=screens)
        be_service(self._service)

    def has_service_user(self) -> bool:
        """Whether this machine has the user that the service is to run as."""
        return self._service is not None

    def cycle(self, workers: "Workers", store: Store, hooks: Hooks, *, keeps: bool = False) -> Cycle:
        """A cycle with the machine's own clock. ``keeps``: what its looks find is left for later ones."""
        earlier = EarlierLooks(self.state_folder, free=lambda path: RealFiles().space(path).free, keeps=keeps)
        remembering = Remembering(store, self._tracing)
        return Cycle(workers, SystemClock(), remembering, hooks, has_a_way_out, earlier)

    def _tracing(self) -> "Tracing":
        from cachewarden.service.tracing import LIMIT, Tracing

        return Tracing(GrowingFile(os.path.join(self.state_folder, TRACE), LIMIT))

    def _roster(self) -> list[Owner]:
        """Whom the launcher may become; it finds that out by itself, from root's files alone."""
        if not self.system:
            return [self.owner]
        with suppress(ConfigError):  # told where the settings are loaded; the last good ones stay
            self.settings()
        found = users.login_users() + users.named_users(self._known.owners or ())[0]
        found += users.owners_of([*users.system_wide_places(), *(extra.path for extra in self._known.caches)])
        return list({owner.uid: owner for owner in found}.values())

    def _be_worker(self, owner: Owner, stream: socket.socket, work: str) -> None:
        """An owner's variables are those of a login; only in user mode the caller's are the owner's."""
        environ = worker.login_environment(owner, RealFiles()) if self.system else self._environ
        worker.serve(self._whom(owner, environ), stream, work)

    def _whom(self, owner: Owner, environ: Mapping[str, str]) -> Whom:
        """What a worker is to know comes from here, never from a request."""
        return Whom(
            owner, environ, self._known.caches, self._own_state(), self._destinations(owner), self.groups_by_hand
        )

    def _own_state(self) -> str | None:
        return None if self.system else self.state_folder

    def _destinations(self, owner: Owner) -> tuple[str, ...] | None:
        """In system mode a cache goes only where the configuration, or who typed the command, wants it."""
        if not self.system:
            return None
        named = [policy.to for policy in self._known.policies if policy.to] + [*self.by_hand]
        return tuple(filled_in(to, owner.name, ecosystem) for to in named for ecosystem in KINDS_OF)

    @contextmanager
    def one_cycle_at_a_time(self) -> Iterator[None]:
        """BusyError when another cycle works on this state. A state folder that cannot be had locks nothing."""
        lock = self._lock(self.state_folder)
        if lock:
            lock.take("another cycle")
        try:
            yield
        finally:
            if lock:
                lock.close()

    def one_daemon(self) -> Lock | None:
        """Held for the life of the process; BusyError when there is another."""
        path = os.path.join(self.state_folder, _DAEMON_LOCK)
        with suppress(OSError):
            os.makedirs(self.state_folder, mode=0o700, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        lock = self._lock(path)
        if lock:
            lock.take("another cachewarden daemon")
        return lock

    def _lock(self, path: str) -> Lock | None:
        with suppress(OSError):  # it may be there all the same
            os.makedirs(self.state_folder, mode=0o700, exist_ok=True)
        try:
            return Lock(path)
        except OSError:
            return None
