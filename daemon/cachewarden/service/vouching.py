"""What a worker says of the disks, and what of it may count for others.

Figures of a disk decide about every owner's caches on it. So they are the service's own where the service can ask
without danger; else they are the owner's word, and count for that owner's caches alone.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from cachewarden.measure import filesystem_on
from cachewarden.model.caches import Filesystem, Look, Owner
from cachewarden.system.ports import Files, Mount

_FRESH = 1.0
PRIVATE = 1 << 64
"""Device numbers beyond the kernel's: one space for each owner."""


class Voucher:
    """Replaces a worker's figures by our own, or makes them private to its owner."""

    def __init__(self, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        """``files`` asks with the service's rights; ``clock`` tells seconds that only grow."""
        self._files = files
        self._clock = clock
        self._disks: _Disks | None = None
        self._asked = 0.0

    def look(self, owner: Owner, seen: Look) -> Look:
        """The look with filesystems that are vouched for, and the others under private device numbers.

        What was asked a moment ago for another owner's look serves for this one: with a hundred homes, each a mount
        of its own, all would be read a hundred times.
        """
        if self._disks is None or self._clock() - self._asked > _FRESH:
            self._disks, self._asked = _Disks(self._files), self._clock()
        disks = self._disks
        own: list[Filesystem] = []
        private: dict[int, int] = {}
        for each in seen.filesystems:
            vouched = disks.vouched(owner, each)
            own.append(vouched)
            if vouched.device != each.device:
                private[each.device] = vouched.device
        known = {each.device for each in own}
        caches = tuple(
            replace(cache, device=private.get(cache.device, cache.device))
            if private.get(cache.device, cache.device) in known
            else replace(cache, device=_private(owner, cache.device))
            for cache in seen.caches
        )
        return replace(seen, caches=caches, filesystems=tuple(own))

    def filesystem(self, owner: Owner, told: Filesystem) -> Filesystem:
        """Our own figures when we find the same device mounted there, else the told ones as a private matter."""
        return _Disks(self._files).vouched(owner, told)


class _Disks:
    """The disks as the service finds them now. Each is asked once: a worker may name any number of them."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._mounts = files.mounts()
        self._asked: dict[str, Filesystem | None] = {}

    def vouched(self, owner: Owner, told: Filesystem) -> Filesystem:
        mount = self._mounts.get(told.mount)
        if mount and told.mount not in self._asked:
            self._asked[told.mount] = self._measured(mount)
        own = self._asked.get(told.mount)
        return own if own and own.device == told.device else replace(told, device=_private(owner, told.device))

    def _measured(self, mount: Mount) -> Filesystem | None:
        status = self._files.stat(mount.mount) if self._files.is_roots_alone(mount.mount) else None
        return filesystem_on(self._files, mount, status, mount.mount) if status else None


def _private(owner: Owner, device: int) -> int:
    return (owner.uid + 1) * PRIVATE + device
