"""What a worker does: look at one owner's caches, purge from one, or mend their rights. One request, then the end.

Everything here runs with the owner's rights and nothing else. In user mode the service calls ``look`` and ``purge``
itself; in system mode ``serve`` is the body of a forked worker. What the service asks for is not believed either, for
it may have been taken over: the caches are found anew, and an entry must be one of its ecosystem's making.
"""

import importlib
import re
import select
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachewarden.discover import discover
from cachewarden.ecosystems.base import Context, OneLook, Surroundings
from cachewarden.measure import filesystem_of, measure_cache, references
from cachewarden.model.caches import Cache, Entry, Filesystem, Look, MeasuredCache, Owner, Problem
from cachewarden.model.errors import RefusedError, WorkerError
from cachewarden.model.plans import Chosen, Failure, Outcome, Purge, RemovedEntry
from cachewarden.model.policies import ExtraCache
from cachewarden.model.relocations import Moved, MoveOrder, MoveProgress, RelocationSeen
from cachewarden.model.units import Bytes
from cachewarden.relocate.records import Records
from cachewarden.service import moving
from cachewarden.service.collecting import Collector
from cachewarden.service.sign_of_life import signs_of_life
from cachewarden.service.telling import tame, tell_look
from cachewarden.service.wire import Channel, decoder, encoder
from cachewarden.system.clock import SystemClock
from cachewarden.system.collector import no_search_for_cycles
from cachewarden.system.files import RealFiles
from cachewarden.system.processes import RealProcesses
from cachewarden.system.runas import Limits

if TYPE_CHECKING:
    from cachewarden.model.findings import Fact, Mended

_NEEDED_LATER = (
    "base64", "configparser", "copy", "ctypes", "difflib", "fnmatch", "glob", "grp", "hashlib", "json.decoder",
    "json.encoder", "psutil", "pwd", "shlex", "stringprep", "tempfile", "traceback", "zlib",
    # json takes bytes for one of these by their first four.
    "encodings.utf_16", "encodings.utf_16_be", "encodings.utf_16_le", "encodings.utf_32", "encodings.utf_32_be",
    "encodings.utf_32_le", "encodings.utf_8_sig",
    "encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.unicode_escape", "encodings.utf_8",
    "watchdog.observers", "yaml",
    # What a look does without, or one that finds nothing: a command that only looks does not load it.
    "cachewarden.act", "cachewarden.ecosystems.bounds", "cachewarden.ecosystems.conda_measure",
    "cachewarden.ecosystems.conda_repoint", "cachewarden.ecosystems.pip_measure",
    "cachewarden.ecosystems.pip_repoint", "cachewarden.examine", "cachewarden.relocate.carrying",
    "cachewarden.relocate.errands", "cachewarden.relocate.estate", "cachewarden.relocate.switching",
    "cachewarden.service.placing", "cachewarden.service.watcher", "cachewarden.system.census",
    "cachewarden.system.runner", "cachewarden.system.sharing",
)  # fmt: skip
READ_ONLY = (
    "it is mounted read-only here, so nothing can be removed from it; where the sandbox of the service does that,"
    " `cachewarden doctor` says how to let it"
)
MOST_MENDED = 200
"""Shared caches of one owner that are told of."""
_ENVIRONMENT_FILE = "/etc/environment"
_VARIABLE = re.compile(r"""\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(["']?)(.*?)\2\s*""")
_LONGEST_FILE = 1 << 20
_MOST_FAILURE_TEXT = 500_000
"""Characters, of which each may take six bytes in a message."""


PATIENCE = 120
"""Seconds after which a move that a policy wants lets the next cycle come; it goes on there."""
_TO_END = 1800.0
"""Seconds that such a move gets to come to an end then: it stops between two pieces, and reads back what it wrote."""
_LONG = 7 * 86_400
BY_HAND = "move-by-hand"
"""A move that a person waits for: it takes as long as it takes, and ends with the command that asked for it."""
LIMITS = {
    "look": Limits(300.0),
    "purge": Limits(1800.0, urgent=True),
    "examine": Limits(300.0),
    "mend": Limits(900.0),
    "watch": Limits(None, threads=True),
    "move": Limits(PATIENCE + _TO_END, processor_seconds=int(PATIENCE + _TO_END), writes=True),
    BY_HAND: Limits(None, processor_seconds=_LONG, writes=True),
    "place": Limits(60.0, processor_seconds=10, chown=True),
}
"""The kinds of work there are, and what each may take."""
OWN_LIMITS = {work: limits for work, limits in LIMITS.items() if not limits.chown}
"""Those there are in user mode."""
SHOW_LIFE = {"look", "purge"}
"""Those that several workers do at once: one that hangs is to be told from one that takes long."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Whom a worker serves: an owner, with that owner's variables.

    ``extras`` are caches that our settings name, ``state`` the folder of the owner's own state where it is not the
    usual one, and ``destinations`` those to which caches may be moved, ``None`` for any: with the owner's rights;
    ``groups`` are those that may be given a cache where destinations are named. ``asks``: a move may run the owner's
    tools to ask them where their cache is. Only a command of the owner's own does: a worker runs nobody's programs.
    """

    owner: Owner
    environ: Mapping[str, str]
    extras: tuple[ExtraCache, ...] = ()
    state: str | None = None
    destinations: tuple[str, ...] | None = None
    groups: tuple[str, ...] = ()
    asks: bool = False

    @property
    def records(self) -> Records:
        """The journal of the owner's moves."""
        return Records(f"{self.state or own_state(self.owner, self.environ)}/relocations", RealFiles(self.owner))


@dataclass(frozen=True, slots=True)
class PurgeReply:
    """What went, and the filesystem afterwards."""

    outcome: Outcome
    filesystem: Filesystem | None


def own_state(owner: Owner, environ: Mapping[str, str]) -> str:
    """As ``--user`` has it (the base directory specification): a user's own command finds the same moves."""
    named = environ.get("XDG_STATE_HOME", "")
    return f"{named.rstrip('/') if named.startswith('/') else f'{owner.home}/.local/state'}/cachewarden"


def login_environment(owner: Owner, files: RealFiles) -> dict[str, str]:
    """The variables every login of the owner has: those of /etc/environment, and the home."""
    try:
        text = files.read_text(_ENVIRONMENT_FILE, _LONGEST_FILE)
    except OSError:
        text = ""
    found = {match[1]: match[3] for line in text.splitlines() if (match := _VARIABLE.fullmatch(line))}
    return found | {"HOME": owner.home, "USER": owner.name}


def look(whom: Whom, known: Sequence[MeasuredCache] = ()) -> Look:
    """Discovers and measures all caches of the owner; what is as it was ``known`` to be is not walked again."""
    with no_search_for_cycles():
        return _look(whom, {(each.cache.ecosystem, each.cache.path): each for each in known})


def _look(whom: Whom, known: Mapping[tuple[str, str], MeasuredCache]) -> Look:
    files, processes = RealFiles(whom.owner), RealProcesses()
    surroundings = Surroundings(whom.owner, whom.environ, files)
    moves = moving.seen(surroundings, whom.records)
    found = discover(surroundings, (*whom.extras, *moving.left_there(moves)))
    now = SystemClock().now()
    caches: list[MeasuredCache] = []
    filesystems: dict[int, Filesystem] = {}
    problems = list(found.problems)
    one_look = OneLook(tuple(prefix for located in found.located for prefix in located.environments))
    for each in found.caches:
        before = known.get((each.cache.ecosystem, each.cache.path))
        measured = measure_cache(
            each.cache, each.ecosystem, each.located, surroundings, processes, now, one_look, before
        )
        if isinstance(measured, Problem):
            problems.append(measured)
            continue
        problems.extend(measured.problems)
        try:
            filesystem = filesystem_of(files, each.cache.path)
        except OSError as error:
            problems.append(Problem(each.cache.path, f"its filesystem cannot be asked: {error.strerror}"))
            continue
        # Mounts of one disk differ, in a sandbox above all: it counts as writable where any cache on it is.
        if filesystem.device not in filesystems or not filesystem.read_only:
            filesystems[filesystem.device] = filesystem
        if filesystem.read_only:
            problems.append(Problem(each.cache.path, READ_ONLY))
        caches.append(replace(measured.cache, read_only=filesystem.read_only))
    used = references(files, found.located)
    return Look(tuple(caches), tuple(filesystems.values()), tuple(problems), used, moves)


def purge(
    whom: Whom,
    action: Purge,
    *,
    may_go_on: Callable[[], bool],
    progress: Callable[[RemovedEntry], None],
) -> PurgeReply:
    """Finds the cache anew, by the owner's own configuration, and removes the entries from it."""
    from cachewarden import act

    files = RealFiles(whom.owner)
    surroundings = Surroundings(whom.owner, whom.environ, files)
    try:
        found = discover(surroundings, (*whom.extras, *moving.left_there(moving.seen(surroundings, whom.records))))
        each = next((one for one in found.caches if one.cache.path == action.cache.path), None)
        if each is None:
            raise RefusedError("it is no longer found to be a cache")
        context = Context(surroundings, each.located, RealProcesses(), SystemClock().now())
        own = replace(action, cache=each.cache)
        free = files.space(each.cache.path).free
        with files.open_folder(each.cache.path) as root, no_search_for_cycles():
            outcome = act.purge(own, each.ecosystem, root, context, may_go_on=may_go_on, progress=progress)
    except (OSError, RefusedError) as error:
        failure = Failure(action.cache.path, str(error))
        outcome = Outcome(action.policy, "purge", action.cache, failures=(failure,))
    else:
        with suppress(OSError):
            files.settle(action.cache.path, free + outcome.freed if outcome.freed else 0)
    try:
        outcome = replace(outcome, quota=files.quota(action.cache.path, whom.owner.uid))
        return PurgeReply(outcome, filesystem_of(files, action.cache.path))
    except OSError:
        return PurgeReply(outcome, None)


def examine(whom: Whom) -> "tuple[Fact, ...]":
    """What there is to know about the ways of the owner."""
    from cachewarden import examine as examination
    from cachewarden.system import sharing

    surroundings = Surroundings(whom.owner, whom.environ, RealFiles(whom.owner))
    found = discover(surroundings, whom.extras)
    caches = [each.cache for each in found.caches]
    facts = examination.examine(surroundings, caches, found.located, sharing.look_at)
    return tuple(replace(each, place=tame(each.place), detail=tame(each.detail)) for each in facts)


def mend(whom: Whom) -> "tuple[Mended, ...]":
    """Mends the rights in the owner's shared caches; which they are is found here and never asked for."""
    from cachewarden.system import sharing

    found = discover(Surroundings(whom.owner, whom.environ, RealFiles(whom.owner)), whom.extras)
    done = [mended for each in found.caches if (mended := sharing.mend_shared(each.cache))]
    return tuple(replace(each, path=tame(each.path), why=tame(each.why)) for each in done[:MOST_MENDED])


def preload() -> None:
    """Imports all that a worker may need later: an owner may not be able to read our interpreter's files."""
    for name in _NEEDED_LATER:
        importlib.import_module(name)
    from cachewarden.model.findings import Fact, Mended
    from cachewarden.service.sampling import Mark

    for each in (
        Purge, PurgeReply, Look, Entry, RemovedEntry, MeasuredCache, Filesystem, Mark, Fact, Mended, MoveOrder,
        MoveProgress, Moved, RelocationSeen, Cache,
    ):  # fmt: skip
        decoder(each)
        encoder(each)


def serve(whom: Whom, stream: socket.socket, work: str) -> None:
    """The body of a forked worker: one request for ``work``, its answer in pieces, the end."""
    channel = Channel(stream)
    try:
        message = channel.receive()
        if message is None:
            return
        if message[0] != work:
            raise WorkerError(f"started to {work}, and asked to {message[0][:80]!r}")
        with signs_of_life(channel) if work in SHOW_LIFE else nullcontext():
            _answer(whom, channel, stream, *message)
    except WorkerError as error:
        _complain(channel, str(error))
    except Exception as error:  # noqa: BLE001 - the one guard around an owner: its cycle is lost, no other
        _complain(channel, f"a fault of cachewarden: {type(error).__name__}: {error}")


def _complain(channel: Channel, text: str) -> None:
    try:
        channel.send("failed", text[:4000])
    except OSError:
        return


def _answer(whom: Whom, channel: Channel, stream: socket.socket, word: str, value: object) -> None:
    if word == "look":
        known = _hear_known(whom.owner, channel) if value else ()
        for piece in tell_look(look(whom, known)):
            channel.pass_on(piece)
    elif word == "purge":
        action = _whole_request(channel, decoder(Purge)(value))
        hear = _StopListener(stream)
        tell = encoder(RemovedEntry)
        reply = purge(whom, action, may_go_on=hear.may_go_on, progress=lambda gone: channel.send("gone", tell(gone)))
        channel.send("done", encoder(PurgeReply)(replace(reply, outcome=_in_short(reply.outcome))))
    elif word == "examine":
        from cachewarden.model.findings import Fact

        channel.send("facts", encoder(tuple[Fact, ...])(examine(whom)))
    elif word == "mend":
        from cachewarden.model.findings import Mended

        channel.send("mended", encoder(tuple[Mended, ...])(mend(whom)))
    elif word in {"move", BY_HAND}:
        _move(whom, stream, channel, decoder(MoveOrder)(value))
    elif word == "place":
        from cachewarden.service import placing

        channel.send("placed", tame(placing.place(whom, value)))
    elif word == "watch":
        from cachewarden.service.sampling import Mark
        from cachewarden.service.watcher import watch

        watch(whom, decoder(tuple[Mark, ...])(value), channel, stream)
    else:
        raise WorkerError(f"unknown request {word[:80]!r}")


def _hear_known(owner: Owner, channel: Channel) -> tuple[MeasuredCache, ...]:
    """What earlier looks found, in the very words in which they told it."""
    hear = Collector(owner).collect()
    next(hear)
    while message := channel.receive():
        try:
            hear.send(message)
        except StopIteration as end:
            known: Look = end.value
            return known.caches
    raise WorkerError("the request ended too early")


def _move(whom: Whom, stream: socket.socket, channel: Channel, order: MoveOrder) -> None:
    hear, tell = _StopListener(stream), encoder(MoveProgress)
    done = moving.move(whom, order, may_go_on=hear.may_go_on, progress=lambda now: channel.send("moving", tell(now)))
    channel.send("moved", encoder(tuple[Moved, ...])(tuple(moving.tame(each, tame) for each in done)))


def _whole_request(channel: Channel, action: Purge) -> Purge:
    """The entries follow in pieces."""
    chosen: list[Chosen] = []
    hear = decoder(tuple[Chosen, ...])
    while message := channel.receive():
        word, value = message
        if word == "go":
            return replace(action, entries=tuple(chosen))
        chosen.extend(hear(value))
    raise WorkerError("the request ended too early")


def _in_short(outcome: Outcome) -> Outcome:
    """What went was told already; of very many failures as many as one message holds, and how many more there are."""
    left = _MOST_FAILURE_TEXT
    told: list[Failure] = []
    for each in outcome.failures:
        short = replace(each, path=tame(each.path), error=tame(each.error))
        left -= len(short.path) + len(short.error)
        if left < 0:
            break
        told.append(short)
    if more := len(outcome.failures) - len(told):
        told.append(Failure(outcome.cache.path, f"{more} more could not be removed"))
    return replace(outcome, removed=(), failures=tuple(told))


class _StopListener:
    """The service asks a purge to stop by sending anything, or by closing its end."""

    def __init__(self, stream: socket.socket) -> None:
        self._poll = select.poll()
        self._poll.register(stream, select.POLLIN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def may_go_on(self) -> bool:
        return not self._poll.poll(0)


def failed_purge(action: Purge, why: str, removed: tuple[RemovedEntry, ...]) -> Outcome:
    """The outcome of a purge whose worker was lost: what it told before still counts."""
    freed = Bytes(sum(entry.freed for entry in removed))
    failure = Failure(action.cache.path, why)
    return Outcome(action.policy, "purge", action.cache, removed, freed, (failure,), incomplete=True)
