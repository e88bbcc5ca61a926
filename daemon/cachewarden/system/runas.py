"""Becoming an owner, for good: ids, groups, capabilities, limits, environment, working directory."""

import ctypes
import os
import resource
import signal
import tempfile
from contextlib import suppress

import psutil

from cachewarden.model.caches import Owner
from cachewarden.model.errors import WorkerError

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LAST_CAPABILITY = 63
_CAPABILITY_VERSION_3 = 0x20080522
_MEMORY = 1 << 30
_PROCESSOR_SECONDS = 900
_DESCRIPTORS = 4096


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def become(owner: Owner, *, switch: bool, channel: int) -> None:
    """Turns this freshly forked process into a worker of ``owner``; there is no way back.

    ``channel`` is the one descriptor that stays open beside the standard ones, which lead nowhere. Without
    ``switch`` the ids stay (user mode), all else is the same. WorkerError when the kernel did not do as asked:
    the caller must end the process then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    os.setsid()
    _close_all_but(channel)
    _go_first_when_memory_is_short()
    _enter_empty_folder()
    os.umask(0o077)
    _limit()
    if switch:
        _drop_ids(libc, owner)
        os.environ.clear()
        os.environ.update(clean_environment(owner))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def clean_environment(owner: Owner) -> dict[str, str]:
    """What a worker's environment consists of."""
    return {
        "HOME": owner.home,
        "USER": owner.name,
        "LOGNAME": owner.name,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }


def _drop_ids(libc: ctypes.CDLL, owner: Owner) -> None:
    groups = os.getgrouplist(owner.name, owner.gid)
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    os.setgroups(groups)
    os.setresgid(owner.gid, owner.gid, owner.gid)
    os.setresuid(owner.uid, owner.uid, owner.uid)
    # uid 0 keeps its capabilities through setresuid: its own files need none of them.
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    nothing = (_CapabilityData * 2)()
    if libc.capset(ctypes.byref(header), nothing) != 0:
        raise WorkerError(f"capabilities could not be dropped for {owner.name}")
    ids = (os.getresuid(), os.getresgid())
    if ids != ((owner.uid,) * 3, (owner.gid,) * 3):
        raise WorkerError(f"the ids are {ids} instead of those of {owner.name}")


def _close_all_but(channel: int) -> None:
    nowhere = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(3, channel)
    os.closerange(channel + 1, min(highest, 1 << 20))


def _go_first_when_memory_is_short() -> None:
    """The kernel shall end a worker, never the service: one owner's cycle is lost then."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _enter_empty_folder() -> None:
    """A folder that is removed while we are in it: empty, private, and nothing can be made in it."""
    for place in ("/run", "/dev/shm", "/tmp"):  # noqa: S108 - mkdtemp makes a private one
        try:
            folder = tempfile.mkdtemp(prefix="cachewarden-", dir=place)
            os.chdir(folder)
            os.chmod(folder, 0o555)  # noqa: S103 - empty and about to be gone: the owner may look at nothing
            os.rmdir(folder)
        except OSError:
            continue
        return
    os.chdir("/")


def _limit() -> None:
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)  # a worker removes; it never writes
    _lower(resource.RLIMIT_CPU, _PROCESSOR_SECONDS)
    _lower(resource.RLIMIT_AS, _MEMORY)
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    except (psutil.Error, OSError):
        return  # a courtesy, not a safeguard


def _lower(what: int, wanted: int) -> None:
    hard = resource.getrlimit(what)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (limit, limit))
