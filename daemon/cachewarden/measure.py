"""Measuring caches: their entries, and the filesystems they are on. Nothing here can write."""

from collections.abc import Iterable

from cachewarden.ecosystems.base import Context, Ecosystem, Located, Measured, Surroundings
from cachewarden.ecosystems.conda_use import records_of
from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import Cache, Filesystem, Problem
from cachewarden.model.units import Instant
from cachewarden.system.ports import Files, Processes


def measure_cache(
    cache: Cache,
    ecosystem: Ecosystem,
    located: Located,
    surroundings: Surroundings,
    processes: Processes,
    now: Instant,
) -> Measured | Problem:
    """One cache with its entries and holds, or why it cannot be measured. One failing ecosystem stops no other."""
    context = Context(surroundings, located, processes, now)
    try:
        with surroundings.files.open_folder(cache.path) as folder:
            return ecosystem.measure(cache, folder, context)
    except OSError as error:
        return Problem(cache.path, f"cannot be measured: {reason(error)}")
    except Exception as error:  # noqa: BLE001 - the one guard around an ecosystem: a bug in one stops no other
        return Problem(cache.path, f"cannot be measured, by a fault of cachewarden: {type(error).__name__}: {error}")


def filesystem_of(files: Files, path: str) -> Filesystem:
    """The filesystem that holds an existing path, as an ordinary user finds it; OSError when it is gone."""
    status = files.stat(path)
    mount, space = files.mount_of(path), files.space(path)
    return Filesystem(
        device=status.st_dev if status else -1,
        mount=mount.mount,
        type=mount.type,
        total=space.total,
        free=space.free,
        inodes_total=space.inodes_total,
        inodes_free=space.inodes_free,
        tracks_atime=mount.tracks_atime,
        read_only=mount.read_only,
        atime_daily=mount.relatime,
    )


def references(files: Files, located: Iterable[Located]) -> tuple[str, ...]:
    """The distributions that the environments of an owner record: other owners' caches must keep them too."""
    prefixes = {prefix for each in located for prefix in each.environments}
    return tuple(sorted({name for prefix in prefixes for name in records_of(files, prefix)}))
