"""What this process may do beyond its ids, by the kernel's own calls (capabilities(7), prctl(2))."""

import ctypes
import os

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP = 1, 4, 8, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LAST_CAPABILITY = 63
_CAPABILITY_VERSION_3 = 0x20080522
CHOWN, KILL, SETGID, SETUID, SETPCAP = 1 << 0, 1 << 5, 1 << 6, 1 << 7, 1 << 8
BECOMING = SETUID | SETGID
"""What it takes to become somebody."""
LAUNCHERS = BECOMING | SETPCAP | KILL | CHOWN
"""What the launcher keeps: to become an owner, to leave that owner nothing, to end that owner's worker; and, for the
one kind of worker that makes a folder for an owner, to give it away."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _fail(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")


def permitted() -> int:
    """The permitted capabilities of this process, as a mask of bits."""
    sets = (_Sets * 2)()
    if _libc().capget(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets) != 0:
        raise _fail("the capabilities cannot be asked for")
    return int(sets[0].permitted) | int(sets[1].permitted) << 32


def bound_capabilities(mask: int) -> None:
    """No capability outside of ``mask`` can come back by any program that is run. Before the ids change: it takes
    SETPCAP, and has no effect without.
    """
    libc = _libc()
    for capability in range(_LAST_CAPABILITY + 1):
        if not mask >> capability & 1:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def limit_capabilities(mask: int) -> None:
    """Leaves of the permitted capabilities those in ``mask``, in force at once, and passes none on.

    OSError when the kernel did not do as asked.
    """
    libc = _libc()
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    wanted = permitted() & mask
    sets = (_Sets * 2)()
    for index in range(2):
        sets[index].effective = sets[index].permitted = wanted >> 32 * index & 0xFFFF_FFFF
    if libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets) != 0 or permitted() != wanted:
        raise _fail("the capabilities could not be limited")


def take_ids(uid: int, gid: int, groups: list[int], *, keep_capabilities: bool = False) -> None:
    """Becomes ``uid``, ``gid`` and a member of ``groups`` for good; OSError when that is not so afterwards.

    The permitted capabilities stay only when ``keep_capabilities``, or when ``uid`` is 0: see ``limit_capabilities``.
    """
    libc = _libc()
    libc.prctl(_PR_SET_KEEPCAPS, int(keep_capabilities), 0, 0, 0)
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    libc.prctl(_PR_SET_KEEPCAPS, 0, 0, 0, 0)
    if (os.getresuid(), os.getresgid()) != ((uid,) * 3, (gid,) * 3):
        raise OSError(f"the ids are {os.getresuid()} and {os.getresgid()} instead of {uid} and {gid}")


def gain_nothing() -> None:
    """From now on no program that is run gives this process, or a child, more rights."""
    _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def end_with_parent(number: int) -> None:
    """The signal that comes when the parent dies; forgotten at every change of ids."""
    _libc().prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def be_looked_into(*, allowed: bool) -> None:
    """Whether processes with the same ids may look into this one and change it (ptrace, /proc/PID/mem)."""
    _libc().prctl(_PR_SET_DUMPABLE, int(allowed), 0, 0, 0)
