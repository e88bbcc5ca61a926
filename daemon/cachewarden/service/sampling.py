"""A cheap look at the disks between cycles: has one crossed a mark since, and how fast does it fill?

The service samples what it can reach; a disk that only its owner can (``/media/pi/…``) is sampled by that owner's
watcher, with marks that the service tells it.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import inf

from cachewarden.model.caches import Filesystem
from cachewarden.model.policies import ActionKind, Policy, Settings, SpaceOf
from cachewarden.model.units import Bytes, Inodes
from cachewarden.service.pace import LONGEST, WORST, WORST_INODES, Speed, seconds_until_next
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Files, Space
from cachewarden.system.trust import may_hang

_STILL = 0.97
"""Below a mark, another cycle is worth it only when less than this share of what the last one left is there (nix)."""
_BELOW_SECONDS = 5.0
"""Between samples of a disk that a cycle had to leave below its mark: there was nothing more to take."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A start mark of a policy on one filesystem, and what the last cycle left there; 0 for no mark."""

    mount: str
    below: Bytes
    left: Bytes
    below_inodes: Inodes = Inodes(0)
    left_inodes: Inodes = Inodes(0)


def marks_of(settings: Settings, filesystems: Iterable[Filesystem], *, private: bool = False) -> tuple[Mark, ...]:
    """The marks of the policies that could act on these filesystems; ``private``: of those the service cannot ask.

    A dead network mount would block ``statvfs``: those wait for the regular look.
    """
    policies = [each for each in settings.policies if each.schedule is None and each.action is not ActionKind.REPORT]
    return tuple(
        Mark(
            each.mount,
            _bytes_below(policy, each),
            each.free,
            Inodes(policy.free_inodes.start.of(each.inodes_total)) if policy.free_inodes else Inodes(0),
            each.inodes_free,
        )
        for each in filesystems
        if not may_hang(each.type) and (each.device >= PRIVATE) == private
        for policy in policies
        if policy.free_space or policy.free_inodes
    )


def _bytes_below(policy: Policy, filesystem: Filesystem) -> Bytes:
    """A quota is not sampled: only its owner's worker can ask for it."""
    if policy.free_space is None or policy.free_space_of is not SpaceOf.FILESYSTEM:
        return Bytes(0)
    return Bytes(policy.free_space.start.of(filesystem.total))


@dataclass(frozen=True, slots=True)
class Crossing:
    """A filesystem that is below a mark, or further below it than the last cycle left it.

    ``seconds_left``: until nothing is left, if it goes on to fill as it does; infinite when it does not.
    """

    mount: str
    space: Space
    seconds_left: float


@dataclass(slots=True)
class _Disk:
    """What a sample found, and when; how fast its bytes and inodes go."""

    at: float
    free: int
    inodes: int
    speed: Speed = field(default_factory=Speed)
    inode_speed: Speed = field(default_factory=Speed)

    def take_in(self, now: float, space: Space) -> None:
        seconds = now - self.at
        self.speed = self.speed.after(self.free - space.free, seconds)
        self.inode_speed = self.inode_speed.after(self.inodes - space.inodes_free, seconds)
        self.at, self.free, self.inodes = now, space.free, space.inodes_free


class Sampler:
    """Knows what the last cycle left, and whether the present is worse in a way that a cycle may mend."""

    def __init__(self, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        """``files`` asks the filesystems; ``clock`` tells seconds that only grow."""
        self._files = files
        self._clock = clock
        self._marks: tuple[Mark, ...] = ()
        self._disks: dict[str, _Disk] = {}
        self._due = 0.0

    def remember(self, marks: tuple[Mark, ...]) -> None:
        """As a cycle left them. How fast a disk was seen to fill stays known."""
        now = self._clock()
        known, self._disks = self._disks, {}
        for mark in marks:
            disk = _Disk(now, mark.left, mark.left_inodes)
            if before := known.get(mark.mount):
                disk.speed, disk.inode_speed = before.speed, before.inode_speed
            self._disks.setdefault(mark.mount, disk)
        self._marks = marks
        self._plan(now)

    def wait(self) -> float | None:
        """Seconds until the next sample; ``None`` when there is nothing to sample."""
        if not self._marks:
            return None
        return min(max(0.0, self._due - self._clock()), LONGEST)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a sample."""
        return self.wait() == 0.0

    def crossed(self) -> tuple[Crossing, ...]:
        """Takes a sample: the filesystems that went below a mark, or further below it, since the last cycle.

        One that was brought above its mark by others is as good as if a cycle had left it there.
        """
        now = self._clock()
        spaces: dict[str, Space] = {}
        for mount, disk in self._disks.items():
            try:
                spaces[mount] = self._files.space(mount)
            except OSError:
                continue
            disk.take_in(now, spaces[mount])
        self._marks = tuple(_armed(mark, spaces.get(mark.mount)) for mark in self._marks)
        found: dict[str, Crossing] = {}
        for mark in self._marks:
            space = spaces.get(mark.mount)
            left = _seconds_left(mark, space, self._disks[mark.mount]) if space else None
            if space and left is not None:
                left = min(left, found[mark.mount].seconds_left) if mark.mount in found else left
                found[mark.mount] = Crossing(mark.mount, space, left)
        self._plan(now)
        return tuple(found.values())

    def _plan(self, now: float) -> None:
        self._due = now + min((_pause(mark, self._disks[mark.mount]) for mark in self._marks), default=LONGEST)


def _armed(mark: Mark, space: Space | None) -> Mark:
    if space and mark.left < mark.below <= space.free:
        mark = replace(mark, left=space.free)
    if space and mark.left_inodes < mark.below_inodes <= space.inodes_free:
        mark = replace(mark, left_inodes=space.inodes_free)
    return mark


def _seconds_left(mark: Mark, space: Space, disk: _Disk) -> float | None:
    """``None`` when neither of its marks is crossed."""
    crossed: list[float] = []
    if _room(mark.below, mark.left, space.free) < 0:
        crossed.append(disk.speed.seconds_for(space.free))
    if _room(mark.below_inodes, mark.left_inodes, space.inodes_free) < 0:
        crossed.append(disk.inode_speed.seconds_for(space.inodes_free))
    return min(crossed, default=None)


def _room(mark: int, before: int, now: int) -> float:
    """How much may still be taken until another cycle is worth it; below 0 when it is."""
    if before >= mark:
        return now - mark if mark else inf
    return now - min(mark, _STILL * before) if before else inf


def _pause(mark: Mark, disk: _Disk) -> float:
    room = _room(mark.below, mark.left, disk.free)
    inodes = _room(mark.below_inodes, mark.left_inodes, disk.inodes)
    bytes_next = seconds_until_next(room, disk.speed.fastest, WORST)
    inodes_next = seconds_until_next(inodes, disk.inode_speed.fastest, WORST_INODES)
    if mark.left < mark.below and room >= 0:
        bytes_next = max(bytes_next, _BELOW_SECONDS)
    if mark.left_inodes < mark.below_inodes and inodes >= 0:
        inodes_next = max(inodes_next, _BELOW_SECONDS)
    return min(bytes_next, inodes_next)
