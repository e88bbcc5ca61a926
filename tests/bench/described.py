"""The machine that figures come from, as far as it says what it is."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def machine(place: Path) -> dict[str, Any]:
    """Of this machine, with the disk that ``place`` is on."""
    return {
        "processor": _first("/proc/cpuinfo", ("model name", "Model", "Hardware")) or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int((_first("/proc/meminfo", ("MemTotal",)) or "0 kB").split()[0]) << 10,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "filesystem": _filesystem(place),
        "disk": _disk(os.stat(place).st_dev),
    }


def moment() -> dict[str, Any]:
    """When, and how busy the machine was with other things: figures of a busy one are noisy."""
    return {
        "taken_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "load_before": [round(each, 2) for each in os.getloadavg()],
    }


def _first(path: str, keys: tuple[str, ...]) -> str | None:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() in keys:
                return value.strip()
    return None


def _filesystem(place: Path) -> str:
    """Type and options of the mount with the longest name above ``place``."""
    best, found = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, options, *_ = line.split()
        inside = str(place.resolve()) == mount or str(place.resolve()).startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            atime = next((each for each in options.split(",") if each.endswith("atime")), "strictatime")
            best, found = mount, f"{kind}, {atime}"
    return found


def _disk(device: int) -> str:
    """What the kernel says of the disk: a virtual one is often called rotating and is not."""
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if not block.exists():
        return "none (in memory)"
    whole = block if (block / "queue").is_dir() else block.parent
    with_heads = (whole / "queue" / "rotational").read_text().strip() == "1"
    kind = "SD or eMMC" if whole.name.startswith("mmcblk") else "rotating" if with_heads else "not rotating"
    return f"{whole.name}, virtual" if whole.name.startswith(("vd", "xvd")) else f"{whole.name}, {kind}"
