"""Of two entries that make each other cheap, who loses both pays in full: the second goes by what it really costs."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from cachewarden.decide.appraisal import Appraiser
from cachewarden.decide.foretelling import Foreteller
from cachewarden.decide.partners import Partners
from cachewarden.decide.shelf import Shelf
from cachewarden.model.caches import Entry, Kind, MeasuredCache
from cachewarden.model.policies import Order
from cachewarden.model.units import Bytes
from cachewarden.model.worth import Facts, Regain
from makers import DAY, MIB, cache, entry, gone, marks, plan, policy, settings, snapshot

PACKAGE = "scipy-1.11-0"
FETCH = Facts(Regain.DOWNLOAD, Bytes(300 * MIB), installed=True)


def conda(*entries: Entry) -> MeasuredCache:
    return cache(*entries, ecosystem="conda", path="/home/ann/.conda/pkgs")


def pair(back: Facts = FETCH, ending: str = ".conda") -> tuple[Entry, Entry]:
    """A package of 300 MiB, and its archive, as large; both were used yesterday."""
    unpacked = entry(PACKAGE, kind=Kind.PACKAGE, frees=300 * MIB, used=DAY)
    archive = entry(PACKAGE + ending, kind=Kind.TARBALL, frees=300 * MIB, used=DAY)
    return (
        replace(unpacked, facts=replace(back, regain=Regain.EXTRACT, fetch=Bytes(0))),
        replace(archive, facts=replace(back, standing=True)),
    )


def other() -> Entry:
    """An archive whose package is not unpacked: dearer than each of the pair, cheaper than both."""
    return replace(entry("other-1-0.conda", kind=Kind.TARBALL, frees=300 * MIB, used=2 * DAY), facts=FETCH)


def order_of(seen: MeasuredCache, *already: str) -> list[str]:
    found = [(seen, each) for each in seen.entries]
    ordered = Appraiser(snapshot(seen), settings()).ordered(Order.CHEAPEST_FIRST, found, lambda _: already)
    return [each.path for _, each in ordered]


def test_the_second_of_a_pair_goes_after_what_is_cheaper_than_its_download() -> None:
    assert order_of(conda(*pair(), other())) == [PACKAGE, "other-1-0.conda", f"{PACKAGE}.conda"]
    assert order_of(conda(pair()[1], other())) == [f"{PACKAGE}.conda", "other-1-0.conda"]


def test_a_plan_takes_something_else_before_it_takes_both() -> None:
    wanted = plan(snapshot(conda(*pair(), other()), free=0), policy(free_space=marks(450 * MIB)))
    assert gone(wanted) == [PACKAGE, "other-1-0.conda"]


def test_what_nobody_can_get_back_keeps_its_last_form_until_all_else_is_gone() -> None:
    local = Facts(Regain.NEVER, installed=True)
    dear = replace(other(), path="dear-1-0.conda", facts=replace(FETCH, uses=50))
    assert order_of(conda(*pair(local), other(), dear))[-2:] == ["dear-1-0.conda", f"{PACKAGE}.conda"]


def test_one_archive_is_enough_for_a_package() -> None:
    unpacked, archive = pair()
    _, second = pair(ending=".tar.bz2")
    seen = conda(unpacked, archive, second, other())
    found = [(seen, unpacked), (seen, other())]
    appraiser = Appraiser(snapshot(seen), settings())

    def first(*away: str) -> str:
        return appraiser.ordered(Order.CHEAPEST_FIRST, found, lambda _: away)[0][1].path

    assert first() == first(archive.path) == first(second.path) == PACKAGE
    assert first(archive.path, second.path) == "other-1-0.conda"


def test_what_an_earlier_policy_took_makes_its_partner_dearer_too() -> None:
    archives = policy("archives", kinds=[Kind.TARBALL], packages=("scipy",))
    packed, archive = pair()
    seen = conda(packed, replace(archive, name="scipy", version="1.11"), other())
    taken = gone(plan(snapshot(seen, free=0), archives, policy(free_space=marks(450 * MIB))))
    assert taken == [archive.path, "other-1-0.conda"]


def test_a_source_is_dear_once_its_wheel_is_gone() -> None:
    """The wheel is cheap here, since nothing says that it took long."""
    source = replace(
        entry("http-v2/s", name="lxml", version="5", frees=20 * MIB, used=DAY), facts=Facts(Regain.DOWNLOAD)
    )
    wheel = replace(
        entry("wheels/w", kind=Kind.BUILT_WHEEL, name="LXML", version="5", frees=60 * MIB, used=400 * DAY),
        facts=Facts(Regain.BUILD, Bytes(0), build=None),
    )
    between = replace(entry("http-v2/b", name="b", frees=20 * MIB, used=3 * DAY), facts=Facts(Regain.DOWNLOAD))
    assert order_of(cache(source, wheel, between), wheel.path)[:2] == ["wheels/w", "http-v2/b"]
    assert order_of(cache(source, between)) == ["http-v2/b", "http-v2/s"]
    assert order_of(cache(source, replace(wheel, frees=Bytes(1)), between))[0] == "http-v2/s"


def test_its_place_is_foretold_as_it_goes() -> None:
    seen = conda(*pair(), other())
    rule = policy(free_space=marks(800 * MIB))
    foreteller = Foreteller(snapshot(seen), settings(rule))
    numbers = {each.path: next(foreteller.places(rule, seen, each)).number for each in seen.entries}
    assert gone(plan(snapshot(seen, free=0), rule)) == sorted(numbers, key=lambda path: numbers[path])


def test_other_orders_know_no_partners() -> None:
    seen = conda(*pair(), other())
    found = [(seen, each) for each in seen.entries]
    ordered = Appraiser(snapshot(seen), settings()).ordered(Order.LARGEST, found, lambda _: (PACKAGE,))
    assert [each.path for _, each in ordered] == ["other-1-0.conda", f"{PACKAGE}.conda", PACKAGE]


def test_a_thousand_sources_of_the_same_thousand_wheels_take_no_time_by_the_square() -> None:
    """Anybody can name the files of an own cache so; each is asked about a few times, however many there are."""

    class Path(str):
        __slots__ = ()
        asked = 0

        def __hash__(self) -> int:
            Path.asked += 1
            return super().__hash__()

    def asked(count: int) -> int:
        wheels = [entry(Path(f"wheels/{number}"), kind=Kind.BUILT_WHEEL, used=900 * DAY) for number in range(count)]
        sources = [replace(entry(f"http-v2/{number}", used=0), facts=FETCH) for number in range(count)]
        seen = cache(*wheels, *sources)
        appraiser = Appraiser(snapshot(seen), settings())
        found = [(seen, each) for each in seen.entries]
        Path.asked = 0
        ordered = appraiser.ordered(Order.CHEAPEST_FIRST, found, lambda _: wheel_paths)
        assert len(ordered) == 2 * count
        return Path.asked

    wheel_paths = {f"wheels/{number}" for number in range(400)}
    assert asked(400) < 4.5 * asked(100)


STEMS = some.sampled_from(["a-1-0", "b-1-0", "c-1-0"])
TOLD = some.builds(
    lambda stem, ending, regain, standing, megabytes, days: replace(
        entry(stem + ending, kind=Kind.TARBALL if ending else Kind.PACKAGE, frees=megabytes * MIB, used=days * DAY),
        facts=Facts(regain, Bytes(megabytes * MIB), standing=standing),
    ),
    STEMS, some.sampled_from(["", ".conda", ".tar.bz2"]), some.sampled_from(Regain), some.booleans(),
    some.integers(1, 50), some.integers(0, 40),
)  # fmt: skip


@given(some.lists(TOLD, unique_by=lambda each: each.path, max_size=9), some.randoms(use_true_random=False))
def test_whoever_comes_is_never_dearer_than_who_is_left(told: list[Entry], chance: object) -> None:
    """By a slow account: each time all that are left are valued anew."""
    seen = conda(*told)
    appraiser, partners = Appraiser(snapshot(seen), settings()), Partners(seen, Shelf(seen))

    def value(one: Entry, away: set[str]) -> float:
        full = appraiser.worth(seen, one).value
        others = partners.of(one)
        alone = bool(others) and away.issuperset(others)
        return max(full, appraiser.worth(seen, partners.alone(one)).value) if alone else full

    away: set[str] = set()
    left = {each.path: each for each in told}
    for path in order_of(seen):
        one = left.pop(path)
        assert all(value(one, away) <= value(each, away) for each in left.values())
        away.add(path)
    assert not left
