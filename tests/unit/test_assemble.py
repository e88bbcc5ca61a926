"""Many owners' looks become one snapshot."""

from collections.abc import Iterator
from dataclasses import replace

import makers
from cachewarden.model.caches import Kind, Look, Problem
from cachewarden.model.plans import Failure, Outcome, RemovedEntry
from cachewarden.model.policies import ExtraCache, Settings
from cachewarden.model.units import Bytes
from cachewarden.service.assemble import assemble, without

ROOT = makers.owner("root", uid=0)
PACKAGE = makers.entry("numpy-1.0-0", kind=Kind.PACKAGE)
SHARED = makers.cache(PACKAGE, path="/opt/miniforge3/pkgs", ecosystem="conda", of=ROOT)
OWN = makers.cache(PACKAGE, path="/home/ann/.conda/pkgs", ecosystem="conda")


def holds(*looks: Look) -> list[str | None]:
    snapshot = assemble(looks, (), Settings(), makers.NOW)
    return [entry.hold for cache in snapshot.caches for entry in cache.entries]


def test_a_package_of_a_shared_cache_is_kept_for_another_users_environment() -> None:
    assert holds(Look((SHARED,)), Look(references=("numpy-1.0-0",))) == [
        "in use by an environment of another user (recorded in its conda-meta)"
    ]


def test_another_users_environments_say_nothing_about_a_private_cache() -> None:
    assert holds(Look((OWN,)), Look(references=("numpy-1.0-0",))) == [None]


def test_what_only_the_caches_owner_records_is_for_its_own_look_to_judge() -> None:
    assert holds(Look((SHARED,), references=("numpy-1.0-0",)), Look()) == [None]
    twice = Look((SHARED,), references=("numpy-1.0-0", "numpy-1.0-0"))
    assert holds(twice, Look()) == [None]


def test_what_the_caches_owner_and_another_record_is_kept_for_the_other() -> None:
    both = Look((SHARED,), references=("numpy-1.0-0",)), Look(references=("numpy-1.0-0",))
    (hold,) = holds(*both)
    assert hold is not None


class Counted(tuple[str, ...]):
    """References that count how often they are gone through."""

    __slots__ = ()
    times = 0

    def __iter__(self) -> Iterator[str]:
        Counted.times += 1
        return super().__iter__()


def test_what_owners_record_is_gone_through_as_often_however_many_owners_there_are() -> None:
    counts = []
    for number in (10, 100):
        Counted.times = 0
        assemble([Look((SHARED,), references=Counted(("a", "b")))] * number, (), Settings(), makers.NOW)
        counts.append(Counted.times / number)
    assert counts[0] == counts[1] <= 3


def test_other_packages_of_a_shared_cache_are_free() -> None:
    assert holds(Look((SHARED,)), Look(references=("scipy-1.0-0",))) == [None]


def test_packages_of_a_shared_cache_stay_when_an_owners_environments_could_not_be_seen() -> None:
    tarball = makers.entry("scipy-1.0-0.conda", kind=Kind.TARBALL)
    shared = replace(SHARED, entries=(PACKAGE, tarball))
    snapshot = assemble([Look((shared, OWN))], (), Settings(), makers.NOW, blind=True)
    assert [[entry.hold for entry in cache.entries] for cache in snapshot.caches] == [
        ["the environments of another user could not be seen: they may use it", None],
        [None],
    ]


def test_a_hold_that_was_there_is_not_replaced() -> None:
    held = replace(SHARED, entries=(replace(PACKAGE, hold="conda is running"),))
    assert holds(Look((held,)), Look(references=("numpy-1.0-0",))) == ["conda is running"]


def test_a_cache_seen_by_two_is_counted_once_and_refusals_of_it_are_no_problem() -> None:
    refused = Problem(SHARED.cache.path, "refused as a cache: it belongs to root, not to ann")
    looks = [Look((SHARED,)), Look((SHARED,)), Look(problems=(refused,))]
    snapshot = assemble(looks, (), Settings(), makers.NOW)
    assert (len(snapshot.caches), snapshot.problems) == (1, ())


def test_a_cache_that_nobody_served_has_is_a_problem() -> None:
    snapshot = assemble([], (), Settings(caches=(ExtraCache("conda", "/data/pkgs"),)), makers.NOW)
    assert [problem.path for problem in snapshot.problems] == ["/data/pkgs"]


def test_nobody_hides_that_another_was_not_served_by_claiming_to_have_a_cache_there() -> None:
    lost = Problem("/home/bob", "the worker of bob failed")
    lie = makers.cache(path="/home/bob")
    assert assemble([Look((lie,))], (lost,), Settings(), makers.NOW).problems == (lost,)


def test_the_same_problem_of_two_owners_is_told_once() -> None:
    problem = Problem("/etc/pip.conf", "cannot be read")
    snapshot = assemble([Look(problems=(problem,))] * 2, (problem,), Settings(), makers.NOW)
    assert snapshot.problems == (problem,)


def test_folders_that_went_with_an_entry_are_counted_in_what_the_cache_lost() -> None:
    cache = makers.cache(makers.entry("a"), makers.entry("b"), size=10 * makers.MIB)
    seen = makers.snapshot(cache, free=0)
    tried = makers.plan(seen, makers.policy(to_free=1))
    gone = RemovedEntry("a", Kind.DOWNLOAD, None, None, Bytes(makers.MIB + 20_480), "x")
    outcome = Outcome("keep-free", "purge", cache.cache, (gone,), gone.freed)
    assert without(seen, makers.purges(tried), [outcome], {}).caches[0].size == 9 * makers.MIB - 20_480


def test_after_a_purge_what_went_is_gone_what_failed_is_held_and_the_disk_is_as_it_is() -> None:
    cache = makers.cache(makers.entry("a"), makers.entry("b"), makers.entry("c"))
    seen = makers.snapshot(cache, free=0)
    tried = makers.plan(seen, makers.policy(to_free=2 * makers.MIB))
    gone = RemovedEntry("a", Kind.DOWNLOAD, None, None, Bytes(makers.MIB), "x")
    outcome = Outcome("keep-free", "purge", cache.cache, (gone,), Bytes(makers.MIB), (Failure("b", "stuck"),))
    latest = makers.filesystem(free=makers.MIB)
    after = without(seen, makers.purges(tried), [outcome], {1: latest})
    assert [(entry.path, entry.hold) for entry in after.caches[0].entries] == [("b", "stuck"), ("c", None)]
    assert (after.caches[0].size, after.filesystems) == (2 * makers.MIB, (latest,))


def test_a_problem_of_a_cache_is_told_by_its_own_owner_only() -> None:
    """ann finds that the cache of /opt is not hers; for its owner it is a cache, with a problem of its own."""
    foreign = Problem(SHARED.cache.path, "it belongs to root, not to ann")
    own = Problem(SHARED.cache.path, "2 packages are kept")
    snapshot = assemble(
        [Look((OWN,), problems=(foreign,)), Look((SHARED,), problems=(own,))], (), Settings(), makers.NOW
    )
    assert snapshot.problems == (own,)
