"""Which caches an owner has: every place an ecosystem names, looked at and vetted before anything is believed."""

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from cachewarden.ecosystems.base import Candidate, Ecosystem, Located, Surroundings
from cachewarden.ecosystems.paths import forbidden
from cachewarden.ecosystems.registry import ECOSYSTEMS
from cachewarden.ecosystems.trees import reason
from cachewarden.model.caches import Cache, Problem
from cachewarden.model.errors import RefusedError
from cachewarden.model.policies import ExtraCache

REFUSED = "refused as a cache"
"""How the reason of a refusal begins."""


@dataclass(frozen=True, slots=True)
class FoundCache:
    """A cache with the knowledge that goes with it."""

    cache: Cache
    ecosystem: Ecosystem
    located: Located


@dataclass(frozen=True, slots=True)
class Found:
    """All caches of an owner, and what was refused or could not be understood."""

    caches: tuple[FoundCache, ...]
    problems: tuple[Problem, ...]
    located: tuple[Located, ...]


def discover(surroundings: Surroundings, extras: Iterable[ExtraCache]) -> Found:
    """Every cache that is the owner's. ``extras`` of other owners are passed over: theirs will take them."""
    caches: dict[str, FoundCache] = {}
    problems: list[Problem] = []
    everything: list[Located] = []
    for ecosystem in ECOSYSTEMS:
        located = ecosystem.locate(surroundings)
        everything.append(located)
        problems.extend(located.problems)
        named = [
            Candidate(extra.ecosystem, extra.path, "named in the configuration of cachewarden")
            for extra in extras
            if extra.ecosystem == ecosystem.name
        ]
        for candidate in (*located.candidates, *named):
            try:
                cache = _vet(candidate, surroundings, ecosystem)
                if cache and cache.path not in caches:
                    _refuse_nested(cache.path, caches)
                    caches[cache.path] = FoundCache(cache, ecosystem, located)
            except RefusedError as error:
                problems.append(Problem(candidate.path, str(error)))
            except OSError as error:
                problems.append(Problem(candidate.path, f"cannot be looked at: {reason(error)}"))
    return Found(tuple(caches.values()), tuple(dict.fromkeys(problems)), tuple(everything))


def _vet(candidate: Candidate, surroundings: Surroundings, ecosystem: Ecosystem) -> Cache | None:
    """The cache that a candidate is, ``None`` when there is nothing; RefusedError with the reason."""
    owner, files = surroundings.owner, surroundings.files
    real = files.real_path(candidate.path)
    for path in (candidate.path, real):
        if why := forbidden(path, owner.home):
            raise _refused(candidate, why)
    status = files.stat(real)
    if status is None:
        if _is_link(candidate.path, surroundings):
            raise _refused(candidate, f"it is a link to {real}, out of reach")
        return None
    if why := _foreign(candidate.path, real, status, surroundings):
        if not candidate.configured and not candidate.path.startswith(owner.home.rstrip("/") + "/"):
            return None  # the machine-wide place of somebody else, who will have it
        raise _refused(candidate, why)
    if not stat.S_ISDIR(status.st_mode):
        raise _refused(candidate, "it is not a folder")
    source = candidate.source if real == candidate.path else f"{candidate.source}, by the link {candidate.path}"
    with files.open_folder(real) as folder:
        opened = folder.stat()
        if (opened.st_dev, opened.st_ino) != (status.st_dev, status.st_ino):
            raise _refused(candidate, "it was replaced while it was looked at")
        if why := ecosystem.recognise(folder):
            raise _refused(candidate, f"it {why}")
    return Cache(ecosystem.name, real, owner, source)


def _refused(candidate: Candidate, why: str) -> RefusedError:
    return RefusedError(f"{REFUSED} ({candidate.source}): {why}")


def _foreign(path: str, real: str, status: os.stat_result, surroundings: Surroundings) -> str | None:
    """Why it is not the owner's, or others than the owner and root decide where the path leads."""
    owner = surroundings.owner
    if status.st_uid != owner.uid:
        return f"it belongs to {_user(status.st_uid)}, not to {owner.name}"
    try:
        if surroundings.files.trusted_path(path) != real:
            return "it was replaced while it was looked at"
    except OSError as error:
        return reason(error)
    return None


def _is_link(path: str, surroundings: Surroundings) -> bool:
    """Whether the last name of a path is a link; links above it (a home on another disk) do not matter."""
    folder, _, name = path.rstrip("/").rpartition("/")
    files = surroundings.files
    return files.real_path(path) != f"{files.real_path(folder or '/').rstrip('/')}/{name}"


def _refuse_nested(path: str, caches: Iterable[str]) -> None:
    for other in caches:
        if path.startswith(other + "/") or other.startswith(path + "/"):
            raise RefusedError(f"{REFUSED}: it and the cache {other} lie in each other")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
