"""What systemd knows of our unit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cachewarden.system.runner import run

NAME = "cachewarden.service"
_PROPERTIES = ("LoadState", "UnitFileState", "ActiveState", "ProtectSystem", "ReadWritePaths", "NeedDaemonReload")


@dataclass(frozen=True, slots=True)
class UnitState:
    """``writable`` are the paths that the sandbox leaves writable, ``None`` where it takes nothing away."""

    is_loaded: bool
    is_enabled: bool
    is_active: bool
    needs_reload: bool
    writable: tuple[str, ...] | None


def is_booted() -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def unit_state(environ: Mapping[str, str], *, user: bool) -> UnitState | None:
    """Of the system's manager or the caller's own; ``None`` where it cannot be asked."""
    scope = ["--user"] if user else ["--system"]
    told = run("systemctl", [*scope, "show", f"--property={','.join(_PROPERTIES)}", NAME], environ)
    if told is None:
        return None
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    paths = tuple(path.lstrip("-+") for path in found.get("ReadWritePaths", "").split())
    return UnitState(
        is_loaded=found.get("LoadState") == "loaded",
        is_enabled=found.get("UnitFileState") in {"enabled", "enabled-runtime", "linked", "static", "generated"},
        is_active=found.get("ActiveState") in {"active", "activating", "reloading"},
        needs_reload=found.get("NeedDaemonReload") == "yes",
        writable=paths if found.get("ProtectSystem") == "strict" else None,
    )


def lingers(name: str) -> bool:
    """Whether a user's services run while that user is not logged in (loginctl(1))."""
    return os.path.exists(f"/var/lib/systemd/linger/{name}")
