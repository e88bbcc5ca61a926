"""Measuring caches: their entries, and the filesystems they are on. Nothing here can write."""

import os
from collections.abc import Iterable
from dataclasses import replace

from cachewarden.ecosystems.base import Context, Ecosystem, Located, Measured, OneLook, Surroundings
from cachewarden.ecosystems.known import Known, others, told
from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import Cache, Entry, Filesystem, MeasuredCache, Problem
from cachewarden.model.units import Instant, within_time
from cachewarden.system.ports import Files, Folder, Mount, Processes


def measure_cache(
    cache: Cache,
    ecosystem: Ecosystem,
    located: Located,
    surroundings: Surroundings,
    processes: Processes,
    now: Instant,
    one_look: OneLook | None = None,
    known: MeasuredCache | None = None,
) -> Measured | Problem:
    """One cache with its entries and holds, or why it cannot be measured. One failing ecosystem stops no other.

    ``known`` is what an earlier look found of it: what is unchanged since is taken from there.
    """
    context = Context(surroundings, located, processes, now, one_look or OneLook())
    try:
        with surroundings.files.open_folder(cache.path) as folder:
            measured = ecosystem.measure(cache, folder, context, Known(known))
            return _dated(_bounded(measured, folder, context), known, now)
    except OSError as error:
        return Problem(cache.path, f"cannot be measured: {reason(error)}")
    except Exception as error:  # noqa: BLE001 - the one guard around an ecosystem: a bug in one stops no other
        return Problem(cache.path, f"cannot be measured, by a fault of cachewarden: {type(error).__name__}: {error}")


def _bounded(measured: Measured, folder: Folder, context: Context) -> Measured:
    """With what really comes back, as far as it can be known; see ``bounds`` and docs/bytes.md."""
    from cachewarden.ecosystems.bounds import XFS_INODE, Bounds, without_opened
    from cachewarden.system.extents import MAY_SHARE

    files, cache = context.surroundings.files, measured.cache
    problems = measured.problems
    type_ = files.mount_of(cache.cache.path).type
    if type_ == "fuse" or type_.startswith("fuse."):
        cache = replace(cache, parts=())  # a program of anybody's: some give their folders no times that change
    if type_ in MAY_SHARE:
        bounds = Bounds(folder, XFS_INODE if type_ == "xfs" else 0, known=measured.known)
        cache = bounds.cache(cache)
        cache = replace(cache, parts=others(cache.parts, bounds.unsure))
        if bounds.unasked:
            text = f"there was no time to ask which bytes {bounds.unasked} files share: they may free nothing"
            problems = (*problems, Problem(cache.cache.path, text))
    uid = cache.cache.owner.uid
    cache = without_opened(cache, context.processes.opened(uid, cache.cache.path))
    entries = tuple(map(_within_time, cache.entries))
    return replace(
        measured,
        cache=replace(cache, entries=entries, quota=files.quota(cache.cache.path, uid)),
        problems=problems,
    )


def _dated(measured: Measured, known: MeasuredCache | None, now: Instant) -> Measured:
    """With the parts that the next look may know, and since when nobody has walked all of it."""
    cache = measured.cache
    # What a process holds open is not in ``frees``, and will be when it is closed: no folder changes then.
    parts = told(others(cache.parts, {entry.path for entry in cache.entries if entry.held_open}))
    verified = known.verified or now if known and measured.known else now
    return replace(measured, cache=replace(cache, parts=parts, verified=verified))


def _within_time(entry: Entry) -> Entry:
    own = entry.modified, entry.last_used or Instant(0), entry.identity.modified
    modified, used, identity = map(within_time, own)
    if own == (modified, used, identity):
        return entry
    return replace(
        entry,
        modified=modified,
        last_used=None if entry.last_used is None else used,
        identity=replace(entry.identity, modified=identity),
    )


def filesystem_of(files: Files, path: str) -> Filesystem:
    """The filesystem that holds an existing path, as an ordinary user finds it; OSError when it is gone."""
    return filesystem_on(files, files.mount_of(path), files.stat(path), path)


def filesystem_on(files: Files, mount: Mount, status: os.stat_result | None, path: str) -> Filesystem:
    """The same where the mount and the status of ``path`` are known already."""
    space = files.space(path)
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
    if not prefixes:
        return ()
    from cachewarden.ecosystems.conda_use import records_of

    return tuple(sorted({name for prefix in prefixes for name in records_of(files, prefix)}))
