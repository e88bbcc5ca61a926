"""Carrying out a purge, entry by entry, each looked at once more just before it goes.

Everything happens below the opened cache root, with the rights of this process, which in system mode are the
owner's. One entry's failure never stops the others.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import groupby

from cachewarden.ecosystems.base import Context, Ecosystem, Guard
from cachewarden.model.caches import TRASH, Entry, Kind
from cachewarden.model.plans import Chosen, Failure, Holder, Outcome, Purge, RemovedEntry
from cachewarden.model.units import Bytes, within_time
from cachewarden.system.ports import Listed, Node, Opened, WritableFolder
from cachewarden.system.removal import Inode, Removal, StoppedError, TreeRemover, remove_empty, remove_file

_LONGEST_NAME = 240
"""Bytes; filesystems allow 255."""
_LONGEST_WORD = 64
_TOGETHER = 1000
"""Files in shards that go within a second or so, in which it matters little which of them comes first."""
MOST_HOLDERS = 20
CHANGED = "it was changed since it was measured"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(slots=True)
class _Tally:
    removed: list[RemovedEntry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    held: dict[Inode, int] = field(default_factory=dict)


class BusyEntryError(Exception):
    """The entry must stay for now; the text says why."""


def purge(
    action: Purge,
    ecosystem: Ecosystem,
    root: WritableFolder,
    context: Context,
    *,
    may_go_on: Callable[[], bool],
    progress: Callable[[RemovedEntry], None],
) -> Outcome:
    """Removes the entries of ``action`` from the open cache ``root`` and tells what really went.

    ``may_go_on`` is asked often; after a no the outcome is ``incomplete`` and whole: nothing is left half removed
    where the tool would find it.
    """
    tally = _Tally()
    # Asked before: afterwards there is no telling whose file without a name it was.
    opened = context.processes.opened(action.cache.owner.uid, action.cache.path)
    inodes = frozenset((each.stat.st_dev, each.stat.st_ino) for each in opened)
    worker = _Purger(root, ecosystem.guard(action.cache, context), may_go_on)
    incomplete = False
    for chosen, following in _in_order(action.entries):
        if not may_go_on():
            incomplete = True
            break
        entry = chosen.entry
        watched = frozenset((share.device, share.inode) for share in entry.shares)
        removal = Removal(opened=inodes, watched=watched)
        stopped = _one(worker, entry, following, removal, tally)
        tally.held |= removal.held
        if stopped or worker.went:
            gone = _gone(action, chosen, removal, whole=not stopped and not removal.failures)
            tally.removed.append(gone)
            progress(gone)
        if stopped:
            incomplete = True
            break
    worker.tidy()
    return Outcome(
        policy=action.policy,
        action="purge",
        cache=action.cache,
        removed=tuple(tally.removed),
        freed=Bytes(sum(gone.freed for gone in tally.removed)),
        failures=tuple(tally.failures),
        incomplete=incomplete,
        maybe=Bytes(sum(gone.maybe for gone in tally.removed)),
        held_open=Bytes(sum(gone.held_open for gone in tally.removed)),
        holders=_holders(opened, tally.held),
    )


def _gone(action: Purge, chosen: Chosen, removal: Removal, *, whole: bool) -> RemovedEntry:
    entry = chosen.entry
    freed, maybe = _bounds(entry, removal, whole=whole)
    return RemovedEntry(
        entry.path,
        entry.kind,
        entry.name,
        entry.version,
        Bytes(freed),
        action.why(chosen),
        entry.facts.regain if entry.facts else None,
        Bytes(maybe),
        Bytes(sum(removal.held.values())),
    )


def _bounds(entry: Entry, removal: Removal, *, whole: bool) -> tuple[int, int]:
    """What came back of the blocks that went, for sure and perhaps: as it was measured, where blocks do not tell."""
    if not entry.maybe and not any(share.maybe for share in entry.shares):
        return removal.freed, 0
    ended = [share for share in entry.shares if (share.device, share.inode) in removal.ended]
    sure = entry.frees + sum(share.frees for share in ended)
    most = sure + entry.maybe + sum(share.maybe for share in ended)
    if not whole:
        return 0, min(removal.freed, most)  # which part of it went is not known
    newly_held = max(0, sum(removal.held.values()) - entry.held_open)
    sure = max(0, min(removal.freed, sure - newly_held))
    return sure, max(0, most - sure - newly_held)


def _holders(opened: tuple[Opened, ...], held: dict[Inode, int]) -> tuple[Holder, ...]:
    """Who has it open, whoever holds most first; of two that hold the same file the first is told."""
    found: dict[tuple[int, str], int] = {}
    left = dict(held)
    for each in opened:
        if size := left.pop((each.stat.st_dev, each.stat.st_ino), 0):
            found[each.pid, each.name] = found.get((each.pid, each.name), 0) + size
    holders = [Holder(pid, name[:_LONGEST_WORD], Bytes(size)) for (pid, name), size in found.items()]
    return tuple(sorted(holders, key=lambda each: (-each.size, each.pid))[:MOST_HOLDERS])


def _one(worker: "_Purger", entry: Entry, following: str, removal: Removal, tally: _Tally) -> bool:
    """Tries one entry; whether the caller stopped it half-way (then the rest of it waits in the trash)."""
    worker.went = False
    stopped = False
    try:
        worker.remove(entry, following, removal)
    except StoppedError:
        stopped = True
    except BusyEntryError as busy:
        tally.failures.append(Failure(entry.path, str(busy), busy=True))
    except FileNotFoundError:
        pass  # its tool or its user was quicker: that is what was wanted
    except OSError as error:
        tally.failures.append(Failure(entry.path, error.strerror or str(error)))
    tally.failures.extend(Failure(path, error.strerror or str(error)) for path, error in removal.failures)
    return stopped


class _Purger:
    """Removes entries of one cache. ``went`` tells whether the tool can still see the last one."""

    def __init__(self, root: WritableFolder, guard: Guard, may_go_on: Callable[[], bool]) -> None:
        self._root = root
        self._guard = guard
        self._may_go_on = may_go_on
        self._serial = 0
        self.went = False

    def remove(self, entry: Entry, following: str, removal: Removal) -> None:
        """Raises BusyEntryError, StoppedError, and OSError when nothing of it could go.

        ``following`` is the path of the next one.
        """
        above = entry.path.rpartition("/")[0]
        # The kernel walks the whole way anew for each entry, past no link and no mount.
        with self._root.below(above) if above else nullcontext(self._root) as parent:
            there = self._tree(parent, entry, removal) if entry.tree else self._files(parent, entry, removal)
        if there:
            self.went = self.went or removal.freed > 0 or bool(removal.held)
            _prune(self._root, above, entry.prune, following, removal)

    def _asked(self, parent: WritableFolder, entry: Entry) -> Listed | None:
        """What the guard saw of it; BusyEntryError when it has something against its going."""
        said = self._guard(self._root, parent, entry)
        if isinstance(said, str):
            raise BusyEntryError(said)
        return said

    def _still_there(self, parent: WritableFolder, entry: Entry) -> Node | None:
        """What was measured, as it is now; ``None`` when it is gone, which is fine. Changed is not ours to judge."""
        try:
            node = parent.node(entry.path.rpartition("/")[2])
        except FileNotFoundError:
            return None
        modified = within_time(node.stat.st_mtime_ns)
        if not _is_same(node, entry) or (not entry.leftover and modified != within_time(entry.identity.modified)):
            raise BusyEntryError(CHANGED)
        return node

    def _files(self, parent: WritableFolder, entry: Entry, removal: Removal) -> bool:
        """Whether there was anything. It is looked at last, so that this look is the one that it is counted by."""
        hold = None
        try:
            self._asked(parent, entry)
        except BusyEntryError as busy:
            hold = busy
        node = self._still_there(parent, entry)
        if node is None:
            return False
        if hold:
            raise hold
        if stat.S_ISDIR(node.stat.st_mode):
            self.went = remove_empty(parent, node.name, removal)
            if not self.went:
                raise BusyEntryError("it is no longer an empty folder")
            return True
        remove_file(parent, node, removal)
        self.went = True
        for part in entry.parts:
            try:
                remove_file(parent, parent.node(part), removal)
            except FileNotFoundError:
                continue
        return True

    def _tree(self, parent: WritableFolder, entry: Entry, removal: Removal) -> bool:
        """Whether there was anything."""
        if self._still_there(parent, entry) is None:
            return False
        self._whole(parent, entry, self._asked(parent, entry), removal)
        return True

    def _whole(self, parent: WritableFolder, entry: Entry, listed: Listed | None, removal: Removal) -> None:
        name = entry.path.rpartition("/")[2]
        if entry.kind is not Kind.PACKAGE:
            # Nothing of a tool reads these as a whole: half of one does no harm.
            spill = parent if entry.leftover else None
            TreeRemover(spill, self._may_go_on).remove(parent, name, removal)
            self.went = not removal.failures
            return
        with ExitStack() as opened:
            try:
                trash = opened.enter_context(self._trash())
                parked = self._park(parent, name, trash)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._without_room(parent, name, removal)
                return
            if not _is_same(trash.node(parked), entry):
                # Looking through the old one takes long enough for its tool to put a new one there.
                trash.move(parked, parent, name)
                raise BusyEntryError(CHANGED)
            self.went = True
            TreeRemover(trash, self._may_go_on).remove(trash, parked, removal, listed)

    def _trash(self) -> WritableFolder:
        with suppress(FileExistsError):
            self._root.make_folder(TRASH)
        return self._root.folder(TRASH)

    def _park(self, parent: WritableFolder, name: str, trash: WritableFolder) -> str:
        """Takes a package from where its tool looks, whole, in one step; returns its name in the trash."""
        self._serial += 1
        whole = os.fsencode(f"{time.time_ns():x}-{os.getpid()}-{self._serial}-{name}")
        parked = os.fsdecode(whole[:_LONGEST_NAME])
        try:
            parent.move(name, trash, parked)
        except PermissionError:
            # Its entry ``..`` changes, so the folder itself must be writable.
            parent.open_up(name)
            parent.move(name, trash, parked)
        return parked

    def _without_room(self, parent: WritableFolder, name: str, removal: Removal) -> None:
        """Not even room for a folder. Without ``index.json`` conda no longer takes it for a package.

        Then the folder itself becomes the trash, which needs no room: after a kill the rest is found there.
        """
        with parent.folder(name) as package, package.folder("info") as info:
            remove_file(info, info.node("index.json"), removal)
        self.went = True
        remover = TreeRemover(None, self._may_go_on)
        try:
            parent.move(name, self._root, TRASH)
        except OSError:
            remover.remove(parent, name, removal)
        else:
            remover.remove(self._root, TRASH, removal)

    def tidy(self) -> None:
        """Removes the trash folder when nothing is left in it."""
        remove_empty(self._root, TRASH, Removal())


def _is_same(node: Node, entry: Entry) -> bool:
    return (node.stat.st_dev, node.stat.st_ino) == (entry.identity.device, entry.identity.inode)


def _prune(root: WritableFolder, way: str, count: int, following: str, removal: Removal) -> None:
    """Removes up to ``count`` folders above an entry, the nearest first, as long as they are empty.

    Those in which the ``following`` entry lies are not, and are left to it.
    """
    for _ in range(count):
        if not way or following.startswith(f"{way}/"):
            return
        above, _, name = way.rpartition("/")
        try:
            with root.below(above) if above else nullcontext(root) as folder:
                if not remove_empty(folder, name, removal):
                    return
        except OSError:
            return  # as in remove_empty
        way = above


def _in_order(entries: tuple[Chosen, ...]) -> Iterator[tuple[Chosen, str]]:
    """As they were chosen, and files in shards that go at about the same time by path; each with the next one's path.

    So a folder that several share is tried once, when the last of them goes.
    """
    ordered: list[Chosen] = []
    for sharded, group in groupby(entries, key=lambda each: bool(each.entry.prune) and not each.entry.tree):
        run = list(group)
        for start in range(0, len(run), _TOGETHER):
            near = run[start : start + _TOGETHER]
            ordered += sorted(near, key=lambda each: each.entry.path) if sharded else near
    following = [each.entry.path for each in ordered[1:]]
    return zip(ordered, [*following, ""][: len(ordered)], strict=True)
