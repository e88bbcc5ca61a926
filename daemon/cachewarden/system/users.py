"""Who may be served: the user database, and the owners of machine-wide folders."""

import grp
import os
import pwd
from collections.abc import Iterable

from cachewarden.model.caches import Owner
from cachewarden.system.files import RealFiles

SERVICE = "cachewarden"
_LOGIN_DEFS = "/etc/login.defs"
_NO_LOGIN = {"nologin", "false", "sync", "shutdown", "halt"}
_DEFAULT_RANGE = (1000, 60_000)


def current_owner(home: str | None) -> Owner:
    """The caller, with ``home`` (the caller's ``$HOME``) where it is set."""
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Owner(uid, os.getegid(), str(uid), home or "/")
    return Owner(uid, os.getegid(), entry.pw_name, home or entry.pw_dir)


def login_users() -> list[Owner]:
    """Root and every user of the login range (UID_MIN to UID_MAX of login.defs) with a shell and a home."""
    low, high = _login_range()
    return [
        _owner(entry)
        for entry in pwd.getpwall()
        if entry.pw_uid == 0 or (low <= entry.pw_uid <= high and _can_log_in(entry))
    ]


def named_users(names: Iterable[str]) -> tuple[list[Owner], list[str]]:
    """The users of these names, and the names that nobody has. Works for LDAP users, who cannot be listed."""
    found, unknown = [], []
    for name in names:
        try:
            found.append(_owner(pwd.getpwnam(name)))
        except KeyError:
            unknown.append(name)
    return found, unknown


def service_user() -> Owner | None:
    """The user that the system service runs as; ``None`` where it was not made (it comes with the installation)."""
    try:
        found = _owner(pwd.getpwnam(SERVICE))
    except KeyError:
        return None
    return found if found.uid else None


def owners_of(paths: Iterable[str]) -> list[Owner]:
    """Who owns these paths, looked at without following a link; unknown users and missing paths left out.

    So are those to which a user leads the way: that user is served anyway, and asking there could block.
    """
    found: list[Owner] = []
    files = RealFiles()
    for path in paths:
        if not files.is_roots_alone(path):
            continue
        try:
            found.append(_owner(pwd.getpwuid(os.lstat(path).st_uid)))
        except (OSError, KeyError, ValueError):
            continue
    return found


def system_wide_places() -> list[str]:
    """The folders of ``/opt``, where machine-wide conda installations are kept, and their package caches."""
    try:
        with os.scandir("/opt") as found:
            places = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [*places, *(f"{place}/pkgs" for place in places)]


def _owner(entry: pwd.struct_passwd) -> Owner:
    return Owner(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)


def _can_log_in(entry: pwd.struct_passwd) -> bool:
    return bool(entry.pw_dir.strip("/")) and os.path.basename(entry.pw_shell) not in _NO_LOGIN


def _login_range() -> tuple[int, int]:
    limits = {"UID_MIN": _DEFAULT_RANGE[0], "UID_MAX": _DEFAULT_RANGE[1]}
    try:
        with open(_LOGIN_DEFS, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                words = line.split()
                if len(words) >= 2 and words[0] in limits and words[1].isdigit():
                    limits[words[0]] = int(words[1])
    except OSError:
        return _DEFAULT_RANGE
    return limits["UID_MIN"], limits["UID_MAX"]


def group_id(name: str) -> int | None:
    """The gid of a group, ``None`` when this machine has no such group."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def group_name(gid: int) -> str:
    """As the group database has it; ``gid 4711`` for one that it has not."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return f"gid {gid}"


def is_member(owner: Owner, gid: int) -> bool:
    """Whether the group database has the owner in a group."""
    try:
        return gid in os.getgrouplist(owner.name, owner.gid)
    except OSError:
        return gid == owner.gid
