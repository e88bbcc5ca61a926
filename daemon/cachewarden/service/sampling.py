"""A cheap look at the disks between cycles: has one crossed a mark since?"""

from collections.abc import Iterable, Iterator

from cachewarden.model.caches import Filesystem
from cachewarden.model.policies import ActionKind, Settings
from cachewarden.service.vouching import PRIVATE
from cachewarden.system.ports import Files, Space

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "afs", "9p", "autofs", "fuse.sshfs"}
_STILL = 0.97
"""Below a mark, another cycle is worth it only when less than this share of what the last one left is there (nix)."""


class Sampler:
    """Knows what the last cycle left, and whether the present is worse in a way that a cycle may mend."""

    def __init__(self, files: Files) -> None:
        """``files`` asks the filesystems."""
        self._files = files
        self._left: dict[str, Filesystem] = {}

    def remember(self, filesystems: Iterable[Filesystem]) -> None:
        """As a cycle left them. A dead network mount would block ``statvfs``: those wait for the regular look."""
        self._left = {each.mount: each for each in filesystems if each.type not in _NETWORK and each.device < PRIVATE}

    def crossed(self, settings: Settings) -> list[str]:
        """Mount points that went below a mark, or further below it, since the last cycle."""
        found: list[str] = []
        for mount, before in self._left.items():
            try:
                now = self._files.space(mount)
            except OSError:
                continue
            if any(_worse(*each) for each in _marked(settings, before, now)):
                found.append(mount)
        return found


def _marked(settings: Settings, before: Filesystem, now: Space) -> Iterator[tuple[int, int, int]]:
    """``(start mark, before, now)`` of each policy that could act."""
    for policy in settings.policies:
        if policy.schedule is not None or policy.action is ActionKind.REPORT:
            continue
        if policy.free_space:
            yield policy.free_space.start.of(now.total), before.free, now.free
        if policy.free_inodes and now.inodes_total:
            yield policy.free_inodes.start.of(now.inodes_total), before.inodes_free, now.inodes_free


def _worse(mark: int, before: int, now: int) -> bool:
    return now < mark and (before >= mark or now < _STILL * before)
