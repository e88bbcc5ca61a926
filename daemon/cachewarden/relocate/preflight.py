"""What must hold before a cache is moved, each thing with its reason, and what the move will mean."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from cachewarden.ecosystems.base import Context, Ecosystem, Edit, Surroundings
from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import MARKER, Cache
from cachewarden.model.errors import RefusedError
from cachewarden.model.relocations import Method, MoveOrder, Prospect
from cachewarden.model.units import Bytes, human_bytes
from cachewarden.relocate import sharing
from cachewarden.relocate.places import IN_MEMORY, Place, judge, left_over, marker_of, own_mount, rooted
from cachewarden.system import durable, places
from cachewarden.system.census import Census, census
from cachewarden.system.folders import open_folder

_NO_UNIX = ("vfat", "msdos", "exfat", "fat")
_LEAST_MARGIN, _MARGIN = 4 << 20, 50
"""Room that is asked for beyond the copy: a fiftieth of it, and 4 MiB at least."""
_MOST_ENVIRONMENTS = 50
_EMPTY = Census(0, 0, 0, 0, 0, 0, 0, 0, "", "", "", "", 0, "")


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is known of the owner and the cache that is to move. ``others``: the other caches.

    ``placed``: root makes a folder for the owner where only root can (system mode).
    """

    surroundings: Surroundings
    ecosystem: Ecosystem
    cache: Cache
    context: Context
    others: tuple[str, ...]
    may_go_on: Callable[[], bool]
    placed: bool = False


class _No(Exception):  # noqa: N818 - an answer, not an error
    """Why not. ``busy``: not now; ``unfit``: the destination is to blame; ``rooted``: root has to make it first."""

    def __init__(self, why: str, *, busy: bool = False, unfit: bool = False, rooted: bool = False) -> None:
        super().__init__(why)
        self.busy = busy
        self.unfit = unfit
        self.rooted = rooted


@dataclass(frozen=True, slots=True)
class Cleared:
    """A move that may begin. ``edit`` is ``None`` for a symbolic link; ``granularity`` is that of times there."""

    prospect: Prospect
    place: Place
    edit: Edit | None
    granularity: int = 1


def check(scene: Scene, order: MoveOrder, *, trying: bool) -> Cleared | Prospect:
    """Whether the move may begin. ``trying``: what the place can do is found out by real calls, else by its type.

    A prospect with ``refusal`` says all that is known of a move that may not.
    """
    known = [Prospect(order.ecosystem, scene.cache.path, order.to, order.method)]
    try:
        return _check(scene, order, known, trying=trying)
    except _No as no:
        return replace(known[-1], refusal=str(no), busy=no.busy, unfit=no.unfit, rooted=no.rooted)
    except (OSError, RefusedError) as error:
        return replace(known[-1], refusal=reason(error) if isinstance(error, OSError) else str(error))


def _check(scene: Scene, order: MoveOrder, known: list[Prospect], *, trying: bool) -> Cleared:
    """``known`` grows by what is known: a refusal comes with it."""
    files = scene.surroundings.files
    if why := own_mount(files, scene.cache.path) or left_over(files, scene.cache.path):
        raise _No(why)
    place = judge(scene.surroundings, order.to, _nearest_folder(scene), scene.others)
    if isinstance(place, str):
        raise _No(place, unfit=True)
    by_root = _check_target(scene, order, place)
    counted = _count(scene)
    _check_tree(scene, counted)
    warnings = [*_by_type(scene, order, place), *_by_sharing(scene, order, place)]
    granularity = 1
    if by_root:
        warnings.append(f"{place.path} is not there: root makes it and gives it to {scene.surroundings.owner.name}")
    elif trying:
        granularity, more = _by_trying(scene, place, counted)
        warnings += more
    space = files.space(place.exists)
    prospect = replace(
        known[0], destination=place.path, contents=Bytes(counted.contents), files=counted.files,
        frees=Bytes(0 if order.keep else counted.frees), room=space.free, rooted=by_root,
    )  # fmt: skip
    known.append(prospect)
    _check_room(scene, place, counted, space.free, space.inodes_free if space.inodes_total else None)
    edit = _check_switch(scene, order, place)
    if busy := scene.ecosystem.busy(scene.cache, scene.context):
        raise _No(busy, busy=True)
    if order.by_policy and counted.files and not counted.frees:
        raise _No("it would free nothing: all of it is linked from elsewhere")
    if by_root and trying:  # only now: nothing is made for a move that would be refused anyway
        raise _No(_not_there(scene, place), unfit=True, rooted=True)
    if order.keep:
        warnings.append(f"it frees nothing: {scene.cache.path} is kept as it is")
    warnings += _worth(scene, place, counted, trying=trying)
    config = edit.path if edit else ""
    return Cleared(replace(prospect, config=config, warnings=tuple(warnings)), place, edit, granularity)


def _nearest_folder(scene: Scene) -> str:
    path = scene.cache.path
    while path != "/" and scene.surroundings.files.stat(path) is None:
        path = os.path.dirname(path)
    return path


def _count(scene: Scene) -> Census:
    files = scene.surroundings.files
    if files.stat(scene.cache.path) is None:
        return _EMPTY
    with open_folder(scene.cache.path) as folder:
        return census(folder, scene.surroundings.owner.uid, scene.may_go_on)


def _not_there(scene: Scene, place: Place) -> str:
    owner = scene.surroundings.owner.name
    return (
        f"{place.path} is not there, and {owner} may not make it in {place.exists}: make it and give it"
        f" to {owner} (install -d -o {owner} -m 700 {place.path})"
    )


def _check_target(scene: Scene, order: MoveOrder, place: Place) -> bool:
    """It is the owner's and empty, or can be made by the owner; or by root, which is told."""
    files, owner = scene.surroundings.files, scene.surroundings.owner
    if place.exists != place.path:
        if places.may_write(place.exists):
            return False
        if scene.placed and rooted(files, order.to.rstrip("/"), place):
            return True
        raise _No(_not_there(scene, place), unfit=True)
    status = files.stat(place.path)
    if status is None or status.st_uid != owner.uid:
        raise _No(f"{place.path} does not belong to {owner.name}", unfit=True)
    if not places.may_write(place.path):
        raise _No(f"{place.path} cannot be written by {owner.name}", unfit=True)
    ours = {MARKER, MARKER + durable.TEMPORARY}
    inside = {each for each in files.listing(place.path) if each not in ours and not each.startswith(places.PROBE)}
    if inside and place.path == place.mount.mount:
        raise _No(
            f"{place.path} is a whole disk: name a folder on it, as {place.path}/{scene.ecosystem.name}", unfit=True
        )
    if inside and marker_of(files, place.path).get("ecosystem") != scene.ecosystem.name:
        raise _No(f"{place.path} is not empty, and what is in it was not put there by cachewarden", unfit=True)
    return False


def _check_tree(scene: Scene, counted: Census) -> None:
    path, owner = scene.cache.path, scene.surroundings.owner
    faults = (
        (counted.special, "is neither file, folder nor link"),
        (counted.mounted, "is a disk of its own, mounted inside the cache"),
        (counted.unreadable, f"cannot be read by {owner.name}: `cachewarden doctor` says what helps"),
        (
            counted.first_foreign,
            f"does not belong to {owner.name} (left by sudo?): `cachewarden doctor` says what helps",
        ),
    )
    for what, why in faults:
        if what:
            raise _No(f"{path}/{what} {why}")


def _by_type(scene: Scene, order: MoveOrder, place: Place) -> Iterator[str]:
    if place.mount.type in IN_MEMORY:
        words = f"{place.mount.mount} is in memory ({place.mount.type}): what is there is lost with the next start"
        if order.by_policy:
            raise _No(words, unfit=True)
        yield words
    if place.mount.type not in _NO_UNIX:
        return
    if scene.ecosystem.name == "conda":
        raise _No(
            f"{place.mount.mount} is {place.mount.type}, which has neither symbolic links, hard links nor modes:"
            " conda's packages would break; format it as ext4", unfit=True,
        )  # fmt: skip
    yield f"{place.mount.mount} is {place.mount.type}: modes are lost there, which pip does without"


def _by_sharing(scene: Scene, order: MoveOrder, place: Place) -> Iterator[str]:
    if not order.shared_group:
        return
    if why := sharing.refusal(order.shared_group, scene.surroundings.owner):
        raise _No(why)
    yield from sharing.warnings(scene.surroundings.files, scene.ecosystem.name, order.shared_group, place)


def _by_trying(scene: Scene, place: Place, counted: Census) -> tuple[int, list[str]]:
    """By making one of everything that the cache needs."""
    able = places.probe(place.exists)
    if able.error:
        raise _No(f"nothing can be made in {place.exists}: {able.error}", unfit=True)
    is_conda = scene.ecosystem.name == "conda"
    lacks = [
        words
        for words, missing in (
            ("symbolic links", not able.symlinks and (is_conda or counted.symlinks)),
            ("hard links", not able.hard_links and is_conda),
            ("modes", not able.modes and is_conda),
            ("upper and lower case", not able.case and (is_conda or counted.case_clashes)),
            ("long names", not able.long_names and counted.longest_name > 200),
        )
        if missing
    ]
    if lacks:
        raise _No(
            f"{place.mount.mount} ({place.mount.type}) does not keep {', '.join(lacks)}, which"
            f" {scene.ecosystem.name}'s cache needs", unfit=True,
        )  # fmt: skip
    return able.granularity, [] if able.modes else [f"{place.mount.mount} does not keep modes"]


def _check_room(scene: Scene, place: Place, counted: Census, free: int, inodes: int | None) -> None:
    there = _there_already(scene, place)
    needs = max(0, counted.allocated - there.allocated)
    margin = max(_LEAST_MARGIN, needs // _MARGIN)
    if needs + margin > free:
        raise _No(
            f"{place.mount.mount} has {human_bytes(free)} free, and {human_bytes(needs)} with"
            f" {human_bytes(margin)} to spare are needed", unfit=True,
        )  # fmt: skip
    names = counted.files + counted.folders + counted.symlinks - there.files - there.folders - there.symlinks
    if inodes is not None and names > inodes:
        raise _No(f"{place.mount.mount} has {inodes:,} inodes free, and {names:,} are needed", unfit=True)


def _there_already(scene: Scene, place: Place) -> Census:
    if place.exists != place.path:
        return _EMPTY
    with open_folder(place.path) as folder:
        return census(folder, scene.surroundings.owner.uid, scene.may_go_on)


def _check_switch(scene: Scene, order: MoveOrder, place: Place) -> Edit | None:
    """Which configuration wins afterwards is computed by the resolver that discovery uses."""
    old = scene.cache.path
    if order.method is Method.CONFIG:
        return scene.ecosystem.point(scene.surroundings, old, place.path, keep=order.keep)
    above = os.path.dirname(old)
    if scene.surroundings.files.stat(above) is None or not places.may_write(above):
        raise _No(f"the symbolic link cannot be made: {above} cannot be written by {scene.surroundings.owner.name}")
    return None


def _worth(scene: Scene, place: Place, counted: Census, *, trying: bool) -> Iterator[str]:
    """What it costs later, by trying to link from the environments to the new disk."""
    if counted.files and not counted.frees:
        yield "moving it frees nothing: all of it is linked from elsewhere"
    if scene.ecosystem.name != "conda":
        return
    shared = counted.contents - counted.frees
    apart = [prefix for prefix in _environments(scene) if not _can_be_linked(scene, prefix, place, trying=trying)]
    if apart:
        number = f"{len(apart)} environments" if len(apart) > 1 else f"the environment {apart[0]}"
        size = f"; {human_bytes(shared)} of this cache are linked into them now and stay there" if shared > 0 else ""
        yield (
            f"{number} cannot share files with {place.mount.mount}: what is installed from the new place later is a"
            f" full copy, not a hard link{size}"
        )


def _environments(scene: Scene) -> Iterable[str]:
    return scene.context.located.environments[:_MOST_ENVIRONMENTS]


def _can_be_linked(scene: Scene, prefix: str, place: Place, *, trying: bool) -> bool:
    """By a real link(2) of the environment's own history; where that does not tell, by the disks."""
    status = scene.surroundings.files.stat(f"{prefix}/conda-meta/history")
    if status is not None and stat.S_ISREG(status.st_mode):
        disk = scene.surroundings.files.stat(place.exists)
        apart = disk is not None and disk.st_dev != status.st_dev
        # On one disk it could succeed, and a dry run is to make nothing.
        found = places.can_link(f"{prefix}/conda-meta/history", place.exists) if apart or trying else None
        if found is not None:
            return found
    there, here = scene.surroundings.files.stat(place.exists), scene.surroundings.files.stat(prefix)
    return bool(there and here and there.st_dev == here.st_dev)
