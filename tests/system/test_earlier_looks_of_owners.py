"""What earlier looks found, given to real workers of real users: used where nothing changed, and no more."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builders.launched import LIMITS, Homes, honest, launched, two_homes
from builders.looks import OwnProcesses
from cachewarden.discover import discover
from cachewarden.ecosystems.base import Surroundings
from cachewarden.measure import measure_cache
from cachewarden.model.caches import Look, MeasuredCache, Owner, Part
from cachewarden.model.errors import WorkerError
from cachewarden.model.units import Bytes, Instant
from cachewarden.service.hooks import Hooks
from cachewarden.service.workers import LaunchedWorkers, look_at
from cachewarden.system.files import RealFiles

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]
HOUR = 3_600 * 10**9


@pytest.fixture
def homes() -> Iterator[Homes]:
    with two_homes() as found:
        yield found


def in_an_hour(owner: Owner) -> tuple[MeasuredCache, ...]:
    """What a look finds when all of a home is old, with a word in each package that no disk says."""
    surroundings = Surroundings(owner, {"HOME": owner.home}, RealFiles(owner))
    now = Instant(time.time_ns() + HOUR)
    caches = []
    for each in discover(surroundings, ()).caches:
        found = measure_cache(each.cache, each.ecosystem, each.located, surroundings, OwnProcesses(), now)
        assert hasattr(found, "cache"), found
        entries = tuple(replace(entry, version="as remembered") for entry in found.cache.entries)
        caches.append(replace(found.cache, entries=entries, verified=Instant(time.time_ns())))
    return tuple(caches)


def look(workers: LaunchedWorkers, owner: Owner, known: tuple[MeasuredCache, ...]) -> Look:
    ((_, seen),) = workers.look_at_all([owner], Hooks(), lambda _: known)
    if isinstance(seen, WorkerError):
        raise seen
    return seen


def remembered(seen: Look) -> set[str]:
    return {entry.path for cache in seen.caches for entry in cache.entries if entry.version == "as remembered"}


def in_parts(caches: tuple[MeasuredCache, ...]) -> set[str]:
    return {
        entry.path
        for cache in caches
        for entry in cache.entries
        if any(entry.path == part.path or entry.path.startswith(part.path + "/") for part in cache.parts)
    }


def test_a_worker_takes_over_what_did_not_change_and_walks_the_rest(homes: Homes) -> None:
    _, bob = homes
    known = in_an_hour(bob)
    assert len(in_parts(known)) > 4
    with launched(honest, bob, limits=LIMITS) as workers:
        seen = look(workers, bob, known)
        assert remembered(seen) == in_parts(known)
        plain = look_at(workers, bob, Hooks())
        assert remembered(plain) == set()
        package = next(path for path in remembered(seen) if "/" not in path and not path.endswith(".conda"))
        Path(bob.home, ".conda/pkgs", package, "more").write_bytes(b"x" * 9_000)
        assert package not in remembered(look(workers, bob, known))


def test_what_is_known_of_one_owner_is_nothing_to_another(homes: Homes) -> None:
    ann, bob = homes
    known = in_an_hour(bob)
    with launched(honest, ann, bob, limits=LIMITS) as workers:
        assert look(workers, ann, known).caches == ()


def test_a_service_that_was_taken_over_makes_a_worker_believe_it_about_its_own_owner_alone(homes: Homes) -> None:
    """It may say what it likes of a cache: what is removed is looked at by the worker itself."""
    ann, bob = homes
    (pip,) = [each for each in in_an_hour(bob) if each.cache.ecosystem == "pip"]
    lies = (
        replace(
            pip, parts=tuple(Part(path, "no mark", Bytes(1)) for path in ("", ".", "..", "../ann", "/etc", "a\nb"))
        ),
        replace(pip, parts=tuple(replace(part, path=f"{part.path}/../..") for part in pip.parts)),
        replace(pip, cache=replace(pip.cache, ecosystem="conda")),
        replace(pip, cache=replace(pip.cache, path=ann.home)),
    )
    with launched(honest, bob, limits=LIMITS) as workers:
        whole = look_at(workers, bob, Hooks())
        for lie in lies:
            seen = look(workers, bob, (lie,))
            assert [each.size for each in seen.caches] == [each.size for each in whole.caches]
            assert remembered(seen) == set()


def test_known_entries_outside_of_their_cache_end_the_look_of_that_owner(homes: Homes) -> None:
    ann, bob = homes
    known = in_an_hour(bob)
    (first, *rest) = known[0].entries
    bad = (replace(known[0], entries=(replace(first, path="../../etc/passwd"), *rest)), *known[1:])
    with launched(honest, ann, bob, limits=LIMITS) as workers:
        with pytest.raises(WorkerError, match="an entry outside of its cache"):
            look(workers, bob, bad)
        assert look_at(workers, bob, Hooks()).caches


def test_ten_thousand_known_entries_go_to_a_worker_and_come_back(homes: Homes) -> None:
    _, bob = homes
    (pip,) = [each for each in in_an_hour(bob) if each.cache.ecosystem == "pip"]
    entry, part = pip.entries[0], pip.parts[0]
    many = tuple(replace(entry, path=f"{part.path}/0/0/0/0/{number:056x}") for number in range(10_000))
    with launched(honest, bob, limits=LIMITS) as workers:
        seen = look(workers, bob, (replace(pip, entries=(*pip.entries, *many)),))
    assert len(seen.caches) == 2
