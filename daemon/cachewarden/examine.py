"""What an owner's own files tell about what stands in the way, looked at with the owner's rights."""

import pwd
import shlex
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cachewarden.ecosystems.base import Located, Surroundings
from cachewarden.ecosystems.trees import DEEPEST, is_folder, reason
from cachewarden.model.caches import Cache
from cachewarden.model.findings import Finding, Severity
from cachewarden.system.ports import Files, Folder

MOST_FINDINGS = 200


def examine(
    surroundings: Surroundings, caches: Iterable[Cache], located: Iterable[Located], watches: int | None
) -> tuple[Finding, ...]:
    """Findings about one owner. ``watches`` is the kernel's limit of file watches per user, ``None`` for unknown."""
    located = list(located)
    found = [
        *_home(surroundings),
        *_strange_keys(located),
        *_taken_over(surroundings, located),
        *_in_caches(surroundings, caches, watches),
    ]
    return tuple(dict.fromkeys(found))[:MOST_FINDINGS]


def _home(surroundings: Surroundings) -> Iterator[Finding]:
    owner = surroundings.owner
    status = surroundings.files.stat(owner.home)
    if status is None or not stat.S_ISDIR(status.st_mode):
        yield Finding(
            "owner", Severity.NOTE, owner.name, f"the home {owner.home} is not there: nothing of this user is served",
            "mount or make it; or leave the user out with a list under `owners`",
        )  # fmt: skip
        return
    try:
        with surroundings.files.open_folder(surroundings.files.real_path(owner.home)):
            return
    except OSError as error:
        yield Finding(
            "owner", Severity.WARNING, owner.name,
            f"the home {owner.home} cannot be opened by its own user: {reason(error)}",
            f"chown {shlex.quote(owner.name)}: {shlex.quote(owner.home)} && chmod u+rwx {shlex.quote(owner.home)}",
        )  # fmt: skip


def _strange_keys(located: Iterable[Located]) -> Iterator[Finding]:
    for each in located:
        for strange in each.strange:
            tool = "pip" if strange.place.endswith("pip.conf") else "conda"
            remedy = f"{strange.nearest!r} is near: correct it" if strange.nearest else "correct or remove it"
            yield Finding(
                "configuration", Severity.NOTE, strange.place,
                f"{tool} does not know {strange.key!r} and ignores it", remedy,
            )  # fmt: skip


def _taken_over(surroundings: Surroundings, located: Iterable[Located]) -> Iterator[Finding]:
    """A cache root in the owner's home that is somebody else's: most often sudo was there first."""
    owner, home = surroundings.owner, surroundings.owner.home.rstrip("/")
    for candidate in (candidate for each in located for candidate in each.candidates):
        status = surroundings.files.stat(candidate.path)
        if status and status.st_uid != owner.uid and home and candidate.path.startswith(f"{home}/"):
            yield Finding(
                "files of others", Severity.WARNING, candidate.path,
                f"the cache belongs to {_user(status.st_uid)}, not to {owner.name}: neither its tool nor cachewarden"
                " works in it",
                _heal(candidate.path, owner.name, owner.uid),
            )  # fmt: skip


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _heal(path: str, name: str, uid: int) -> str:
    """Gives back what is not the owner's. Not what has other names: those may be an environment of somebody."""
    return (
        f"find {shlex.quote(path)} -xdev ! -uid {uid} '(' -type d -o -links 1 ')'"
        f" -exec chown -h {shlex.quote(name)}: '{{}}' +"
    )


@dataclass(slots=True)
class _Census:
    """Whose files are in a cache, and how many folders."""

    uid: int
    folders: int = 0
    others: Counter[int] = field(default_factory=Counter)
    example: str = ""

    def count(self, folder: Folder, depth: int = 0) -> None:
        """All below an open folder, as far as it can be read."""
        self.folders += 1
        for node in folder.nodes():
            if node.stat.st_uid != self.uid:
                self.others[node.stat.st_uid] += 1
                self.example = self.example or f"{folder.path}/{node.name}"
            if is_folder(node) and depth < DEEPEST:
                self._enter(folder, node.name, depth)

    def _enter(self, folder: Folder, name: str, depth: int) -> None:
        try:
            inner = folder.folder(name)
        except OSError:
            return  # a mount, or not readable: it counted as one
        with inner:
            self.count(inner, depth + 1)


def _in_caches(surroundings: Surroundings, caches: Iterable[Cache], watches: int | None) -> Iterator[Finding]:
    folders = 0
    for cache in caches:
        census = _census(surroundings.files, cache)
        folders += census.folders if cache.ecosystem == "pip" else 1
        if census.others:
            users = ", ".join(_user(uid) for uid, _ in census.others.most_common(3))
            yield Finding(
                "files of others", Severity.WARNING, cache.path,
                f"{census.others.total():,} files or folders in it belong to {users} (left by sudo?), the first is"
                f" {census.example}: they cannot be removed",
                _heal(cache.path, cache.owner.name, cache.owner.uid),
            )  # fmt: skip
    if watches is not None and folders > watches:
        yield Finding(
            "file events", Severity.NOTE, surroundings.owner.name,
            f"the caches have {folders:,} folders and the kernel allows {watches:,} watches per user: changes below"
            " are seen by the regular look only",
            f"sysctl fs.inotify.max_user_watches={max(2 * folders, 65_536)}, and the same line in /etc/sysctl.d",
        )  # fmt: skip


def _census(files: Files, cache: Cache) -> _Census:
    census = _Census(cache.owner.uid)
    try:
        with files.open_folder(cache.path) as folder:
            census.count(folder)
    except OSError:
        return census  # what cannot be opened is told as a problem of the look
    return census
