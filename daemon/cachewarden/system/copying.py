"""Bringing one tree to equality with another on a different filesystem: verified, and resumable after any end.

Both trees are walked below open descriptors; links are never followed, other mounts never entered. A file has its
final name only when it is whole, with all its attributes; it counts only when it was read back from the device.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from cachewarden.model.caches import COPYING
from cachewarden.system.copies.contents import Reader
from cachewarden.system.copies.hard_links import HardLinks
from cachewarden.system.copies.likeness import Likeness
from cachewarden.system.copies.meter import Meter
from cachewarden.system.copies.packages import Packages
from cachewarden.system.copies.read_back import ReadBack, sync_filesystem
from cachewarden.system.copies.tree import TreeCopier
from cachewarden.system.copies.workroom import Workroom
from cachewarden.system.folders import OpenFolder
from cachewarden.system.removal import StoppedError


class Way(Enum):
    """``MIRROR``: the target becomes like the source.

    ``MERGE``: it gets what it lacks or has older, and loses nothing. Of two files with one time that are not the same
    the source's wins: that is the place which was used last. Of conda's packages each is taken whole: of two with one
    name the one that was unpacked last (at one time, the source's), and a new one appears by one rename, when all of
    it was read back. Conda's lists of addresses get the lines that they lack.
    """

    MIRROR = "mirror"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """So far in this run: names looked at that are no folders, and bytes of their contents (holes not counted)."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Copied:
    """What one run did, in names that are no folders.

    ``files`` were written (links and further names included), with ``bytes`` of contents; ``same`` were equal;
    ``removed`` names of the target went, a whole tree counting once; ``lost``: up to 20 examples of what the target
    would not take ("a/b: user.x: Operation not supported").
    """

    files: int
    bytes: int
    same: int
    removed: int
    lost: tuple[str, ...]


class CopyStoppedError(StoppedError):
    """As StoppedError; ``bytes`` of contents were written until then, and are whole."""

    def __init__(self, size: int) -> None:
        """``size`` in bytes."""
        super().__init__()
        self.bytes = size


def copy_tree(
    source: OpenFolder,
    target: OpenFolder,
    *,
    way: Way,
    trust: bool,
    granularity: int = 1,
    leave: frozenset[str] = frozenset(),
    may_go_on: Callable[[], bool],
    progress: Callable[[CopyProgress], None],
    pause: Callable[[], bool] | None = None,
    read: Reader = os.preadv,
) -> Copied:
    """Makes ``target`` like ``source``; returns when all of it is on the device and was read back.

    ``trust``: a file that is equal by type, size, time and mode is taken for the same; without, contents are compared
    too. Trust only what a run left that returned or raised StoppedError: after a loss of power a file can be there
    with all its attributes and without its contents. ``granularity``: nanoseconds that the target's times are exact
    to; where it is not 1, modes do not count. ``leave``: names at the top that are not looked at, in neither tree.
    ``read`` reads the target back. A name ``.cachewarden-new`` of the source is what an interrupted copy left, and
    is not copied.

    Raises CopyStoppedError after ``may_go_on`` said no, which is asked everywhere, or ``pause`` said yes, which is
    asked between files (in a merge, between packages) and only after this run wrote something or compared contents:
    runs with little patience come to an end, however large a file is. What was copied is verified and stays; how far
    contents were compared is kept in the target's ``.cachewarden-copying``, which is part of neither tree, and the
    next run without trust goes on from there. A kill loses that, as it must. OSError names the path: EXDEV a mount
    inside, EINVAL what is neither file, folder nor link, ELOOP too deep, EBUSY a file that keeps changing, EIO what
    reads differently (it is removed), and what the kernel says of either side. Nothing half written has its final
    name then either.
    """
    leave |= {COPYING}
    meter = Meter(may_go_on, lambda files, size: progress(CopyProgress(files, size)), pause)
    with ReadBack(target, read) as back, HardLinks(source, target) as links, Workroom(target) as room:
        known = room.begin()
        trust = trust or leave.issuperset(os.listdir(target.fileno()))
        alike = Likeness(mirror=way is Way.MIRROR, trust=trust, granularity=granularity, ask=meter.ask)
        packages = Packages(target, room, alike, meter, back, links)
        copier = TreeCopier(alike, leave, meter, back, links, packages)
        try:
            if alike.reads:
                sync_filesystem(target)  # or what is compared could come from memory
            copier.copy(source, target, known if alike.reads else ())
            back.finish()
            room.clear()
        except StoppedError:
            packages.publish()
            back.finish()
            room.clear()
            if alike.reads and copier.position:
                with suppress(OSError):  # then all is compared again
                    room.leave_note(copier.position)
            raise CopyStoppedError(copier.bytes) from None
        except OSError:
            with suppress(OSError):  # the first error is what went wrong
                back.finish()
            with suppress(OSError):
                room.clear()
            raise
    return Copied(copier.files, copier.bytes, copier.same, copier.removed, copier.lost)
