"""One cache for many users: what speaks against it, whom it trusts, and the group's rights on what was copied."""

import stat
from collections.abc import Callable, Iterator

from cachewarden.model.caches import Owner
from cachewarden.model.errors import RefusedError
from cachewarden.relocate.places import Place
from cachewarden.system import sharing, users
from cachewarden.system.folders import open_folder
from cachewarden.system.ports import Files

SAFE = {
    "conda": (
        "safer: a cache that one user alone writes, listed second in the others' pkgs_dirs"
        " (conda config --append pkgs_dirs FOLDER)"
    ),
    "pip": (
        "safer: a folder of wheels that one user alone writes, named in the others' pip.conf (find-links = FOLDER)"
    ),
}
"""The form that trusts one user instead of all, by ecosystem."""
NO_ACLS = "has no ACLs: what a member makes there with the usual umask of 022 is closed to the others"


def trust(group: str) -> str:
    """What is given away with a cache that a group may write to."""
    return f"each member of {group} can change what the others install from it: all of them are trusted as one"


def refusal(group: str, owner: Owner, may_give: Callable[[int], bool] = sharing.may_give) -> str | None:
    """Why ``owner`` cannot share a cache with a group, ``None`` when nothing speaks against it.

    ``may_give``: whether this process, which has the owner's rights, may give its files to a gid.
    """
    gid = users.group_id(group)
    if gid is None:
        return f"there is no group {group} on this machine"
    if may_give(gid):
        return None
    if users.is_member(owner, gid):
        return f"{owner.name} became a member of {group} after this login began: log in again, or `newgrp {group}`"
    return f"{owner.name} is no member of {group}, and may give it nothing: usermod -aG {group} {owner.name}"


def warnings(files: Files, ecosystem: str, group: str, place: Place) -> Iterator[str]:
    """What to know before a cache is shared at ``place``; the trust that it takes is always told."""
    yield f"{trust(group)}; {SAFE.get(ecosystem, SAFE['conda'])}"
    try:
        if not sharing.keeps_acls(place.exists):
            yield f"{place.mount.mount} ({place.mount.type}) {NO_ACLS}"
    except OSError:
        yield f"whether {place.mount.mount} ({place.mount.type}) has ACLs cannot be told"
    gid = users.group_id(group)
    if gid is not None and (closed := _closed_above(files, place.path, gid)):
        yield f"members of {group} cannot get there: {closed} lets neither them nor everybody in"


def _closed_above(files: Files, path: str, gid: int) -> str | None:
    """The first folder above a path that the group may not search, as far as modes tell."""
    parts = path.split("/")[1:-1]
    for depth in range(len(parts) + 1):
        above = "/" + "/".join(parts[:depth])
        status = files.stat(above)
        if status is None:
            return None  # it will be made
        needed = stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH
        if not status.st_mode & needed:
            return above
    return None


def share(folder: str, group: str) -> tuple[str, ...]:
    """Gives ``group`` a whole cache; what is to be told of it.

    RefusedError for an unknown group, OSError for a folder that cannot be walked.
    """
    gid = users.group_id(group)
    if gid is None:
        raise RefusedError(f"there is no group {group} on this machine any more")
    with open_folder(folder) as root:
        done = sharing.share_tree(root, gid)
        found = [] if sharing.has_acls(root) else [f"its filesystem {NO_ACLS}"]
    if done.left:
        found.append(f"{done.left:,} files or folders could not be given to {group}, the first: {done.why}")
    return tuple(found)
