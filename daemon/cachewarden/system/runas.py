"""Three processes, three sets of rights: what a worker, the launcher and the service become, for good."""

import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass

from cachewarden.model.caches import Owner
from cachewarden.model.errors import WorkerError
from cachewarden.system import privileges

_MEMORY = 1 << 30
_PROCESSOR_SECONDS = 900
_DESCRIPTORS = 4096
_PLACES = ("/run/cachewarden", "/run", "/dev/shm", "/tmp")  # noqa: S108 - mkdtemp makes a private one


@dataclass(frozen=True, slots=True)
class Limits:
    """What a kind of work may take; ``seconds`` of wall time, ``None`` for a worker that stays.

    ``threads``: only what watches files needs any. Without, a worker can start nothing at all, and nothing outlives
    it. ``writes``: only what moves a cache does. All others can make no file longer than nothing.
    ``urgent``: others need it done; else it gets the disks when nobody else wants them.
    ``chown``: it works for the owner, yet as uid 0 with CAP_CHOWN alone, to give a folder that it makes away.
    """

    seconds: float | None
    processor_seconds: int = _PROCESSOR_SECONDS
    memory: int = _MEMORY
    threads: bool = False
    writes: bool = False
    chown: bool = False
    urgent: bool = False


def become(owner: Owner, limits: Limits, *, switch: bool, channel: int, parent: int) -> None:
    """Turns this process, freshly forked by ``parent``, into a worker of ``owner``; there is no way back.

    ``channel`` is the one descriptor that stays open beside the standard ones, which lead nowhere. Without
    ``switch`` the ids stay (user mode), all else is the same. WorkerError when the kernel did not do as asked:
    the caller must end the process then.
    """
    os.setsid()
    _close_all_but(channel)
    _go_first_when_memory_is_short()
    _enter_empty_folder()
    os.umask(0o077)
    _limit(limits)
    if limits.chown and not switch:
        raise WorkerError("in user mode nobody's folders are made but the caller's own")
    if switch:
        _drop_to(owner, chown=limits.chown)
        os.environ.clear()
        os.environ.update(clean_environment(owner))
    if not limits.threads:
        _lower(resource.RLIMIT_NPROC, 0)  # counted per user: only after the ids are the owner's
    privileges.gain_nothing()
    privileges.end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        raise WorkerError("the launcher is gone: nobody would end this worker")


def clean_environment(owner: Owner) -> dict[str, str]:
    """What a worker's environment consists of."""
    return {
        "HOME": owner.home,
        "USER": owner.name,
        "LOGNAME": owner.name,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }


def _drop_to(owner: Owner, *, chown: bool) -> None:
    try:
        privileges.bound_capabilities(0)
        if chown:
            privileges.take_ids(0, 0, [0])
        else:
            privileges.take_ids(owner.uid, owner.gid, os.getgrouplist(owner.name, owner.gid))
        # uid 0 would keep its capabilities: its own files need none of them.
        privileges.limit_capabilities(privileges.CHOWN if chown else 0)
    except OSError as error:
        raise WorkerError(f"the rights of {owner.name} could not be taken: {error}") from error


def be_launcher(service: Owner | None) -> None:
    """Keeps the rights to become owners and nothing else; OSError when the kernel did not do as asked.

    Started as root it runs as ``service`` from now on: no file that only root may touch is open to it.
    """
    privileges.bound_capabilities(privileges.LAUNCHERS)
    if service and os.geteuid() == 0:
        privileges.take_ids(service.uid, service.gid, [service.gid], keep_capabilities=True)
    privileges.limit_capabilities(privileges.LAUNCHERS)
    privileges.gain_nothing()
    # The service has the same ids: taken over, it must not reach into this one.
    privileges.be_looked_into(allowed=False)


def be_service(service: Owner) -> None:
    """Holds no right but those of its own user; OSError when the kernel did not do as asked."""
    privileges.bound_capabilities(0)
    if os.geteuid() == 0:
        privileges.take_ids(service.uid, service.gid, [service.gid])
    privileges.limit_capabilities(0)
    privileges.gain_nothing()


def _close_all_but(channel: int) -> None:
    nowhere = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(3, channel)
    os.closerange(channel + 1, min(highest, 1 << 20))


def _go_first_when_memory_is_short() -> None:
    """The kernel shall end a worker, never the service: one owner's cycle is lost then."""
    # The file is root's in a process that nobody may look into, as the launcher is.
    privileges.be_looked_into(allowed=True)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _enter_empty_folder() -> None:
    """A folder that is removed while we are in it: empty, private, and nothing can be made in it."""
    import tempfile

    for place in _PLACES:
        try:
            folder = tempfile.mkdtemp(prefix="cachewarden-", dir=place)
            os.chdir(folder)
            os.chmod(folder, 0o555)  # noqa: S103 - empty and about to be gone: the owner may look at nothing
            os.rmdir(folder)
        except OSError:
            continue
        return
    os.chdir("/")


def _limit(limits: Limits) -> None:
    _lower(resource.RLIMIT_CORE, 0)
    if not limits.writes:
        _lower(resource.RLIMIT_FSIZE, 0)  # it removes; it never writes
    _lower(resource.RLIMIT_CPU, limits.processor_seconds)
    _lower(resource.RLIMIT_AS, limits.memory)
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    import psutil

    try:
        # The units make the service wait for the disks like this; what is urgent takes its turn as anybody does.
        psutil.Process().ionice(psutil.IOPRIO_CLASS_BE if limits.urgent else psutil.IOPRIO_CLASS_IDLE)
    except (psutil.Error, OSError):
        return  # a courtesy, not a safeguard


def _lower(what: int, wanted: int) -> None:
    hard = resource.getrlimit(what)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (limit, limit))
