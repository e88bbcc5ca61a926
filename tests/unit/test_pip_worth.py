"""What an entry of a pip cache is worth, from what was met in the cache and in the environments."""

from dataclasses import replace

import pytest

from cachewarden.ecosystems.direct_url import Origin
from cachewarden.ecosystems.interpreters import Tag
from cachewarden.ecosystems.pip_names import Named
from cachewarden.ecosystems.pip_shards import Clues, Draft, Shard, Worth
from cachewarden.ecosystems.pip_worth import appraise, estimated_build, key_of, measured_build
from cachewarden.ecosystems.trees import Tally
from cachewarden.model.caches import Cache, Kind
from cachewarden.model.units import Bytes
from cachewarden.model.worth import Facts, Regain, Signal
from cachewarden.system.ports import Node
from fake_trees import HOME, SECOND, FakeTree, Thing, context, folder, installed, venv

Things = dict[str, Thing | str]
CACHE = f"{HOME}/.cache/pip"
VENV = f"{HOME}/app/.venv/lib/python3.11/site-packages"
CP311 = Tag("cp311", "cp311")
SIX = Named("six", "1.16.0")
HOUR = 3600
MIB = 1 << 20
CACHED = 100_000
"""Seconds at which the entries of these tests came."""
NOW = CACHED + 1000 * HOUR


def shard(path: str = "http-v2/a/b/c/d/e", mtime: int = CACHED) -> Shard:
    top = Shard.of(path.split("/", maxsplit=1)[0], Node("x", folder().stat()), None)
    found = Shard.of(path, Node(path[-1], folder(mtime).stat()), top)
    found.count(entries=1)
    return found


def draft(
    kind: Kind = Kind.DOWNLOAD, *, name: str = "a" * 56, named: Named = SIX, accessed: int = 0, cached: int = CACHED,
    clues: Clues | None = None, inside: Shard | None = None,
) -> Draft:  # fmt: skip
    """A download of six that came at ``CACHED`` and was not read since."""
    tally = Tally(modified=cached * SECOND, accessed=accessed * SECOND)
    known = replace(clues or Clues(fetch=77), cached=cached * SECOND)
    made = Draft.of(inside or shard(), [Node(name, Thing(b"", cached).stat())], kind)
    made.tally, made.named, made.clues = tally, named, known
    return made


def built(*, began: int = CACHED, cached: int = CACHED, tag: Tag = CP311, url: str | None = None) -> Draft:
    clues = Clues(tags=(tag,), origin=Origin(url) if url else None)
    inside = shard("wheels/aa/bb/cc", began)
    return draft(Kind.BUILT_WHEEL, name="b" * 50, cached=cached, clues=clues, inside=inside)


def worths(
    *drafts: Draft, files: FakeTree | None = None, things: Things | None = None, at: str = CACHE
) -> list[Worth]:
    tree = files or FakeTree({CACHE: folder(), **(things or {})})
    around = context(tree, now=NOW)
    here = Cache("pip", at, around.surroundings.owner, "a test")
    with tree.open_folder(at) as root:
        return [worth for _, worth in appraise(list(drafts), here, root, around)]


def six_installed(at: int, **said: str) -> Things:
    return venv(f"{HOME}/app/.venv") | installed(VENV, "six-1.16.0", at, **said)


def test_without_any_sign_it_was_last_used_when_it_was_written() -> None:
    (worth,) = worths(draft())
    assert (worth.last_used, worth.signal) == (CACHED * SECOND, Signal.WRITTEN)
    assert worth.facts == Facts(Regain.DOWNLOAD, Bytes(77))


def test_an_access_time_is_believed_where_reading_moves_it() -> None:
    read = draft(accessed=CACHED + HOUR)
    (worth,) = worths(read)
    assert (worth.last_used, worth.signal) == ((CACHED + HOUR) * SECOND, Signal.ACCESSED)
    (blind,) = worths(read, files=FakeTree({CACHE: folder()}, tracks_atime=False))
    assert (blind.last_used, blind.signal) == ((CACHED + HOUR) * SECOND, Signal.WRITTEN)


def test_an_access_time_that_is_not_later_than_the_writing_tells_nothing() -> None:
    (worth,) = worths(draft(accessed=CACHED))
    assert worth.signal is Signal.WRITTEN


def test_an_installation_since_is_a_use() -> None:
    (worth,) = worths(draft(), things=six_installed(CACHED + 9 * HOUR))
    assert (worth.last_used, worth.signal) == ((CACHED + 9 * HOUR) * SECOND, Signal.INSTALLED)
    assert (worth.facts.installed, worth.facts.uses) == (True, 1)


def test_a_later_access_counts_more_than_an_installation() -> None:
    (worth,) = worths(draft(accessed=CACHED + 20 * HOUR), things=six_installed(CACHED + 9 * HOUR))
    assert (worth.last_used, worth.signal) == ((CACHED + 20 * HOUR) * SECOND, Signal.ACCESSED)


def test_an_installation_from_before_is_no_use_but_it_is_installed() -> None:
    (worth,) = worths(draft(), things=six_installed(CACHED - HOUR))
    assert (worth.signal, worth.facts.uses, worth.facts.installed) == (Signal.WRITTEN, 0, True)


def test_the_installation_for_which_it_was_cached_is_no_use_again() -> None:
    first = six_installed(CACHED + 60)
    (worth,) = worths(draft(), things=first)
    assert (worth.signal, worth.facts.uses) == (Signal.INSTALLED, 0)
    other = f"{HOME}/b"
    again = venv(other) | installed(f"{other}/lib/python3.11/site-packages", "six-1.16.0", CACHED + 30 * HOUR)
    (worth,) = worths(draft(), things=first | again)
    assert worth.facts.uses == 1


def test_another_version_is_another_thing() -> None:
    (worth,) = worths(draft(named=Named("six", "1.17.0")), things=six_installed(CACHED + 9 * HOUR))
    assert (worth.signal, worth.facts.installed) == (Signal.WRITTEN, False)


def test_what_was_installed_from_a_url_used_that_urls_entry_alone() -> None:
    url = "https://example.org/six-1.16.0-py3-none-any.whl"
    things = six_installed(CACHED + 9 * HOUR, direct_url=f'{{"url": "{url}"}}')
    own, other = worths(draft(name=key_of(url)), draft(), things=things)
    assert (own.signal, other.signal) == (Signal.INSTALLED, Signal.WRITTEN)


def test_a_built_wheel_is_known_again_by_its_url_or_its_hash() -> None:
    url, same = "https://example.org/six-1.16.0.tar.gz", "https://mirror.example.org/six-1.16.0.tar.gz"
    archive = f'"archive_info": {{"hashes": {{"sha256": "{"a" * 64}"}}}}'
    things = six_installed(CACHED + 9 * HOUR, direct_url=f'{{"url": "{url}", {archive}}}')
    by_url, by_hash, neither = built(url=url), built(), built(url=same)
    by_hash.clues.origin = Origin(same, "a" * 64)
    signals = [worth.signal for worth in worths(by_url, by_hash, neither, things=things)]
    assert signals == [Signal.INSTALLED, Signal.INSTALLED, Signal.WRITTEN]


def test_an_sdist_is_used_by_building_and_not_by_installing_what_was_built() -> None:
    sdist = draft(clues=Clues(source=True, fetch=5 * MIB))
    wheel = built(cached=CACHED + 60)
    things = six_installed(CACHED + 90 * HOUR)
    of_sdist, of_wheel = worths(sdist, wheel, things=things)
    assert (of_sdist.last_used, of_sdist.facts.uses) == ((CACHED + 60) * SECOND, 0)
    assert of_wheel.last_used == (CACHED + 90 * HOUR) * SECOND
    (alone,) = worths(sdist, things=things)
    assert alone.last_used == (CACHED + 90 * HOUR) * SECOND


def test_left_overs_and_pages_are_not_asked_after_in_environments() -> None:
    debris, page = draft(Kind.DEBRIS, named=Named()), draft(Kind.INDEX)
    files = FakeTree({CACHE: folder(), **six_installed(CACHED + 9 * HOUR)})
    of_debris, of_page = worths(debris, page, files=files)
    assert of_debris.facts == Facts(Regain.NOTHING)
    assert (of_page.facts.regain, of_page.facts.installed, of_page.signal) == (
        Regain.DOWNLOAD, None, Signal.WRITTEN,
    )  # fmt: skip
    assert files.opened == [CACHE]


def test_equal_facts_are_one_object() -> None:
    one, other = worths(draft(), draft(name="c" * 56))
    assert one.facts is other.facts


@pytest.mark.parametrize(
    ("took", "believed"), [(0, False), (1, True), (200, True), (6 * HOUR, True), (6 * HOUR + 1, False), (-5, False)]
)
def test_a_build_took_from_the_making_of_its_folder_to_its_wheel(took: int, believed: bool) -> None:
    (worth,) = worths(built(began=CACHED - took))
    assert worth.facts.measured is believed
    assert worth.facts.build == (took if believed else estimated_build(0, compiled=True))


def test_a_folder_with_two_keys_tells_the_time_of_neither() -> None:
    wheel = built(began=CACHED - 100)
    assert measured_build(wheel) == 100
    wheel.shard.count(entries=1)
    assert measured_build(wheel) is None
    wheel = built(began=CACHED - 100)
    wheel.shard.count(strangers=1)
    assert measured_build(wheel) is None


def test_a_wheel_from_before_its_folder_was_built_since_its_sdist_came() -> None:
    sdist = draft(clues=Clues(source=True))
    early, later = built(began=CACHED + 91, cached=CACHED + 90), built(began=CACHED + 501, cached=CACHED + 500)
    facts = [worth.facts for worth in worths(sdist, early, later)][1:]
    assert [(each.build, each.measured) for each in facts] == [(90, True), (60, False)]
    assert measured_build(early) is None


def test_a_guess_grows_with_the_source_and_has_an_end() -> None:
    assert estimated_build(50 * MIB, compiled=False) == 5
    assert [estimated_build(size * MIB, compiled=True) for size in (0, 1, 10, 10_000)] == [60, 120, 660, 7200]


def test_a_built_wheel_costs_its_sdist_and_a_build_by_what_kind_it_is() -> None:
    url = "https://example.org/six-1.16.0.tar.gz"
    sdist = draft(name=key_of(url), clues=Clues(source=True, fetch=2 * MIB))
    stranger = draft(name="d" * 56, clues=Clues(source=True, fetch=9 * MIB))
    _, _, compiled = worths(sdist, stranger, built(url=url))
    assert (compiled.facts.fetch, compiled.facts.build) == (2 * MIB, 180)
    _, pure = worths(sdist, built(tag=Tag("py3", "none")))
    assert (pure.facts.fetch, pure.facts.build) == (2 * MIB, 5)
    (alone,) = worths(built(url=url))
    assert alone.facts.fetch is None


def test_a_wheel_of_what_is_here_alone_never_comes_back() -> None:
    local, public, unknown = built(url="file:///home/ann/six-1.16.0.tar.gz"), built(url="https://x.org/a"), built()
    assert [worth.facts.regain for worth in worths(local, public, unknown)] == [
        Regain.NEVER, Regain.BUILD, Regain.BUILD,
    ]  # fmt: skip


def test_a_built_wheel_for_a_python_that_is_gone_is_an_orphan() -> None:
    things: Things = {"/usr/bin/python3.11": ""}
    wheels = [built(tag=Tag("cp38", "cp38")), built(), built(tag=Tag("py3", "none")), built(tag=Tag("cp38", "abi3"))]
    assert [worth.facts.orphan for worth in worths(*wheels, things=things)] == [True, False, False, False]
    assert not any(worth.facts.orphan for worth in worths(*wheels))


def test_a_download_that_fits_by_what_the_index_says_is_not_opened() -> None:
    files = FakeTree({CACHE: folder(), "/usr/bin/python3.11": ""})
    fits = draft(clues=Clues(wheel=True, python="cp311"))
    (worth,) = worths(fits, files=files)
    assert not worth.facts.orphan
    assert not any(path.startswith(f"{CACHE}/") for path in files.opened)


@pytest.mark.parametrize(("mode", "installed", "orphan"), [(0o755, False, True), (0o2775, None, False)])
def test_of_a_cache_into_which_others_write_too_nothing_is_said_to_be_nowhere(
    mode: int, installed: bool | None, orphan: bool
) -> None:
    shared = "/srv/pip"
    things: Things = {shared: replace(folder(), mode=mode), "/usr/bin/python3.11": "", **venv(f"{HOME}/app/.venv")}
    (worth,) = worths(built(tag=Tag("cp38", "cp38")), files=FakeTree(things), at=shared)
    assert (worth.facts.installed, worth.facts.orphan) == (installed, orphan)
