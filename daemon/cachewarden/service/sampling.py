"""A cheap look at the disks between cycles: has one crossed a mark since?

The service samples what it can reach; a disk that only its owner can (``/media/pi/…``) is sampled by that owner's
watcher, with marks that the service tells it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cachewarden.model.caches import Filesystem
from cachewarden.model.policies import ActionKind, Policy, Settings, SpaceOf
from cachewarden.model.units import Bytes, Inodes
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Files
from cachewarden.system.trust import may_hang

SAMPLE_SECONDS = 5
"""Between samples: one statvfs per disk, far below a thousandth of a core."""
_STILL = 0.97
"""Below a mark, another cycle is worth it only when less than this share of what the last one left is there (nix)."""


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


class Sampler:
    """Knows what the last cycle left, and whether the present is worse in a way that a cycle may mend."""

    def __init__(self, files: Files) -> None:
        """``files`` asks the filesystems."""
        self._files = files
        self._marks: tuple[Mark, ...] = ()

    def remember(self, marks: tuple[Mark, ...]) -> None:
        """As a cycle left them."""
        self._marks = marks

    @property
    def has_marks(self) -> bool:
        """Whether there is anything to sample."""
        return bool(self._marks)

    def crossed(self) -> list[str]:
        """Mount points that went below a mark, or further below it, since the last cycle."""
        return list(dict.fromkeys(mark.mount for mark in self._marks if self._is_crossed(mark)))

    def _is_crossed(self, mark: Mark) -> bool:
        try:
            now = self._files.space(mark.mount)
        except OSError:
            return False
        return _worse(mark.below, mark.left, now.free) or _worse(mark.below_inodes, mark.left_inodes, now.inodes_free)


def _worse(mark: int, before: int, now: int) -> bool:
    return now < mark and (before >= mark or now < _STILL * before)
