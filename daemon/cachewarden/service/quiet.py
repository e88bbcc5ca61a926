"""Which owners need no look, since nothing can have happened to what the last one saw: no fork in a quiet state.

That nothing was heard of saves work, and is no ground for any action: what would act is looked at first, all of it.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from cachewarden.decide.ledger import key_of
from cachewarden.model.caches import Filesystem, Look, Owner, Snapshot, is_private
from cachewarden.model.policies import Settings, SpaceOf
from cachewarden.model.relocations import Presence, RelocationSeen
from cachewarden.service.moves import wants_attention
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Files

VERIFY_EVERY = 3600.0
"""Seconds after which everything is looked at whatever was heard: not all that happens is told. Others write through
the network, a program may keep a file open and fill it, a watch may come too late for a folder that just came."""
_SETTLED = 150.0
"""Seconds of silence before a look, at most, that it may be taken for longer: what is under way (an archive that is
being unpacked, a tool that holds everything) is over then. Half of the interval where that is less."""
_STEP = 5.0
"""Seconds between two clocks that are no drift: somebody set one, or the machine slept. ntpd makes 1.8 s an hour."""
_SHARE = 2000.0
"""Deciding on what is known may take one part of so many of the time: 0.05 % of a processor."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds of the clock on the wall, of the machine since it started, and of that without sleep."""

    wall: float
    machine: float
    awake: float

    def agree(self, other: "Clocks") -> bool:
        """Whether between the two neither was set, nor slept the machine."""
        passed = self.machine - other.machine
        return all(
            abs(clock - passed) < _STEP for clock in (self.wall - other.wall, self.awake - other.awake)
        )  # fmt: skip


def real_clocks() -> Clocks:
    """The machine's own."""
    return Clocks(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())


@dataclass(frozen=True, slots=True)
class _Known:
    """A look at an owner that began at ``began``; ``home`` is the device of the owner's home, if that was asked."""

    look: Look
    began: Clocks
    home: int | None = None


class Quiet:
    """Keeps the last look at each owner for as long as it holds."""

    def __init__(
        self,
        silent_since: Callable[[int], float | None],
        files: Files,
        clocks: Callable[[], Clocks] = real_clocks,
    ) -> None:
        """``silent_since``: since when an owner's watcher sees everything and heard nothing, by ``Clocks.awake``."""
        self._silent_since = silent_since
        self._files = files
        self._clocks = clocks
        self._known: dict[int, _Known] = {}
        self._forgotten = float("-inf")
        self._again = float("-inf")

    def now(self) -> Clocks:
        """To be given back to ``keep``."""
        return self._clocks()

    def forget(self) -> None:
        """Something was done, or everything may be different: looks that began before now count no longer."""
        self._known.clear()
        self._forgotten = self._clocks().machine

    def keep(self, looks: Mapping[int, Look], owners: Iterable[Owner], seen: Snapshot, began: Clocks) -> None:
        """Looks by uid that were made after ``began``; ``seen`` has the same caches, and is kept by somebody else.

        ``owners`` are all that there are: who is no longer among them is forgotten.

        Of caches that are shared it says also why others need them, which may be over before the look is.
        """
        if began.machine < self._forgotten:
            return
        caches = {key_of(each): each for each in seen.caches if is_private(each.cache)}
        homes = {owner.uid: owner.home for owner in owners}
        self._known = {uid: each for uid, each in self._known.items() if uid in homes}
        for uid, look in looks.items():
            kept = replace(look, caches=tuple(caches.get(key_of(each), each) for each in look.caches))
            self._known[uid] = _Known(kept, began, self._device(homes.get(uid)) if _is_bare(look) else None)

    def took(self, seconds: float) -> None:
        """A cycle without a look took so much of the processor: the next may wait accordingly."""
        self._again = self._clocks().machine + min(seconds * _SHARE, VERIFY_EVERY)

    def may_wait(self, known: Mapping[int, Look]) -> bool:
        """Whether all of it is ``known``, and was decided upon so lately that to do it again would cost too much."""
        return bool(known) and known.keys() == self._known.keys() and self._clocks().machine < self._again

    def known(self, settings: Settings) -> dict[int, Look]:
        """Looks that hold, by uid, with the disks as they are now."""
        now = self._clocks()
        quota = any(policy.free_space_of is not SpaceOf.FILESYSTEM for policy in settings.policies)
        settled = min(_SETTLED, settings.watch.interval / 2)
        found: dict[int, Look] = {}
        disks: dict[str, Filesystem | None] = {}
        sampled = {disk.device for each in self._known.values() for disk in each.look.filesystems}
        for uid, each in self._known.items():
            if not now.agree(each.began) or now.machine - each.began.machine >= VERIFY_EVERY:
                continue
            silent = self._was_silent(uid, each.began.awake - settled) or each.home in sampled
            if not silent or _changes_by_itself(each.look, quota=quota):
                continue
            fresh = [self._fresh(disk, disks) for disk in each.look.filesystems]
            if all(fresh):
                found[uid] = replace(each.look, filesystems=tuple(disk for disk in fresh if disk))
        return found

    def _was_silent(self, uid: int, since: float) -> bool:
        silent = self._silent_since(uid)
        return silent is not None and silent <= since

    def _device(self, home: str | None) -> int | None:
        """Of the disk of a home, where asking cannot block."""
        with suppress(OSError):
            if home and self._files.is_roots_alone(home) and (status := self._files.stat(home)):
                return status.st_dev
        return None

    def _fresh(self, disk: Filesystem, asked: dict[str, Filesystem | None]) -> Filesystem | None:
        """As it is now; ``None`` when another is there. What its owner alone can ask, the watcher samples."""
        if disk.device >= PRIVATE:
            return disk
        if disk.mount not in asked:
            asked[disk.mount] = None
            with suppress(OSError):
                status, space = self._files.stat(disk.mount), self._files.space(disk.mount)
                if status and status.st_dev == disk.device:
                    asked[disk.mount] = replace(
                        disk, total=space.total, free=space.free, inodes_total=space.inodes_total,
                        inodes_free=space.inodes_free,
                    )  # fmt: skip
        return asked[disk.mount]


def _is_bare(look: Look) -> bool:
    """Whether its owner has nothing. The first cache of such an owner may be found late, as long as the disk that it
    will be on is sampled for the sake of others: what fills that brings a look at everybody."""
    return not (look.caches or look.relocations or look.problems)


def _changes_by_itself(look: Look, *, quota: bool) -> bool:
    """Whether there is something in it that no watcher tells of: moves under way, and quotas that policies go by."""
    return any(map(_is_open, look.relocations)) or (quota and any(cache.quota for cache in look.caches))


def _is_open(move: RelocationSeen) -> bool:
    return wants_attention(move) or move.unfinished or move.presence is not Presence.HERE
