"""From recorded sizes to what is to be expected: the trend, the days on which disks fill and policies act."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import makers
from cachewarden.decide.forecast import (
    A_WEEK,
    Past,
    between_cleanings,
    forecast,
    growth,
    reaches,
    recent,
    without_caches,
)
from cachewarden.decide.ledger import key_of
from cachewarden.model.caches import Filesystem, MeasuredCache, Snapshot
from cachewarden.model.forecasts import DiskForecast, Forecast, Growth, PolicyForecast, Size, When, in_words
from cachewarden.model.policies import ActionKind, Policy
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant

MIB = makers.MIB
DAY = 86_400 * NANOSECONDS
TODAY = makers.NOW // DAY
AMOUNTS = st.lists(st.integers(0, 1 << 45), min_size=4, max_size=30)


def points(amounts: Sequence[int]) -> list[tuple[float, float]]:
    """One a day."""
    return [(float(day), amount) for day, amount in enumerate(amounts)]


def sizes(amounts: Sequence[int], *, freed: int = 0, inodes: Sequence[int] = ()) -> list[Size]:
    """One a day, the last today; ``freed`` was taken on every day."""
    first = TODAY - len(amounts) + 1
    return [
        Size(
            first + index,
            Instant(makers.NOW - (len(amounts) - 1 - index) * DAY),
            Bytes(amount),
            Inodes(inodes[index] if inodes else 0),
            Bytes(freed),
        )
        for index, amount in enumerate(amounts)
    ]


def rising(per_day: int, *, to: int = 500 * MIB, days: int = 30) -> list[int]:
    """Amounts that end with ``to`` today."""
    return [to - per_day * (days - 1 - day) for day in range(days)]


CACHE = makers.cache(size=100 * MIB)


def expected(
    disk: Sequence[Size],
    *policies: Policy,
    cache: MeasuredCache = CACHE,
    cached: Sequence[Size] = (),
    on: Filesystem | None = None,
) -> Forecast:
    """Of a disk of 1000 MiB, half free unless told, with one cache."""
    seen = makers.snapshot(cache, on=[on or makers.filesystem()])
    return forecast(seen, makers.settings(*policies), Past({key_of(cache): cached}, {1: disk}))


def of_disk(*given: object, **named: object) -> DiskForecast:
    (found,) = expected(*given, **named).disks  # type: ignore[arg-type]  # as given to `expected`
    return found


def of_policy(*given: object, **named: object) -> PolicyForecast:
    (found,) = expected(*given, **named).policies  # type: ignore[arg-type]  # as given to `expected`
    return found


def days(when: When | None) -> tuple[float | None, ...]:
    assert when is not None
    return tuple(None if each is None else round(each, 3) for each in (when.earliest, when.expected, when.latest))


def test_a_straight_line_has_its_slope_and_no_doubt() -> None:
    found = growth(points(range(5, 500, 10)[:30]))
    assert found is not None
    assert [round(each, 9) for each in (found.low, found.per_day, found.high)] == [10, 10, 10]


@given(AMOUNTS)
def test_the_rate_lies_between_its_bounds(amounts: list[int]) -> None:
    found = growth(points(amounts))
    assert found is not None
    assert found.low <= found.per_day <= found.high


@given(AMOUNTS, st.integers(1, 10))
def test_what_is_so_many_times_larger_grows_so_many_times_faster(amounts: list[int], power: int) -> None:
    found, larger = growth(points(amounts)), growth(points([each << power for each in amounts]))
    assert found is not None
    times = 1 << power
    assert larger == Growth(found.per_day * times, found.low * times, found.high * times)


@given(AMOUNTS, st.integers(0, 1 << 45))
def test_what_was_there_all_along_changes_nothing(amounts: list[int], more: int) -> None:
    assert growth(points([each + more for each in amounts])) == growth(points(amounts))


@given(AMOUNTS)
def test_what_falls_as_another_rises_has_its_rate_with_the_other_sign(amounts: list[int]) -> None:
    found, falling = growth(points(amounts)), growth(points([-each for each in amounts]))
    assert found is not None
    assert falling is not None
    assert falling.per_day == pytest.approx(-found.per_day)


@given(st.integers(-1000, 1000), st.integers(7, 30), st.data())
def test_one_wild_point_does_not_move_the_rate(slope: int, number: int, data: st.DataObject) -> None:
    amounts = [slope * day for day in range(number)]
    amounts[data.draw(st.integers(0, number - 1))] += data.draw(st.integers(-(10**12), 10**12))
    found = growth(points(amounts))
    assert found is not None
    assert found.per_day == pytest.approx(slope, abs=1e-3)


def with_jump(size: int) -> Growth:
    found = growth(points([100 * day + (7 * day * day) % 50 + (size if day > 15 else 0) for day in range(30)]))
    assert found is not None
    return found


def test_a_cleaning_by_somebody_is_no_shrinking() -> None:
    found = with_jump(-(10**9))
    assert 80 < found.low <= found.per_day <= found.high < 120


def test_one_large_install_is_no_rate_but_may_come_again() -> None:
    found = with_jump(10**9)
    assert 80 < found.low <= found.per_day < 120
    assert found.high > 10**9 / 30


def test_daily_changes_by_chance_make_wider_bounds_than_levels_by_chance() -> None:
    chance = [round(random.Random(day).gauss(0, 100)) for day in range(30)]
    walk = [100 * day + sum(chance[:day]) * 3 for day in range(30)]
    level = [100 * day + chance[day] * 3 for day in range(30)]
    walking, level_found = growth(points(walk)), growth(points(level))
    assert walking is not None
    assert level_found is not None
    assert walking.high - walking.low > 2 * (level_found.high - level_found.low)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_few_points_have_no_slope(number: int) -> None:
    assert growth(points([5] * number)) is None


def test_a_clock_that_stood_still_makes_no_slope() -> None:
    assert growth([(1.0, 5), (1.0, 6), (2.0, 7), (3.0, 8)]) is None


@given(st.integers(0, 10**12), st.integers(0, 10**12), AMOUNTS)
def test_more_free_space_never_fills_earlier(free: int, more: int, amounts: list[int]) -> None:
    rate = growth(points(amounts))
    assert rate is not None
    less, later = reaches(free, rate), reaches(free + more, rate)
    for one, other in ((less.earliest, later.earliest), (less.expected, later.expected), (less.latest, later.latest)):
        assert other is None or (one is not None and one <= other)


@given(st.integers(1, 10**12), AMOUNTS)
def test_the_earliest_is_before_the_expected_and_that_before_the_latest(free: int, amounts: list[int]) -> None:
    rate = growth(points(amounts))
    assert rate is not None
    when = reaches(free, rate)
    endless = [float("inf") if each is None else each for each in (when.earliest, when.expected, when.latest)]
    assert endless == sorted(endless)


def test_what_we_took_ourselves_is_no_shrinking() -> None:
    assert [amount for _, amount in between_cleanings(sizes([10, 11, 12], freed=3))] == [10, 14, 18]


def test_what_is_in_no_cache_is_what_is_left() -> None:
    left = without_caches(sizes([10, 20, 30]), [sizes([1, 2, 3]), sizes([5, 5])])
    assert [amount for _, amount in left] == [9, 13, 22]


def test_points_of_the_future_and_of_long_ago_are_left_out() -> None:
    now = makers.NOW
    ages = [-5, *range(50)]
    past = [Size(TODAY - age, Instant(now - age * DAY), Bytes(1)) for age in reversed(ages)]
    assert [TODAY - each.day for each in recent(past, now)] == list(reversed(range(30)))


def test_a_machine_that_is_seldom_on_is_judged_by_its_last_points() -> None:
    past = [Size(TODAY - age, Instant(makers.NOW - age * DAY), Bytes(1)) for age in range(100, 0, -10)]
    assert [TODAY - each.day for each in recent(past, makers.NOW)] == [70, 60, 50, 40, 30, 20, 10]


def test_less_than_a_week_is_not_known_and_said_so() -> None:
    found = of_disk(sizes(rising(10 * MIB, days=A_WEEK - 1)))
    assert (found.trend.days, found.trend.growth, found.fills, found.fills_anyway) == (6, None, None, None)
    assert of_disk(sizes(rising(10 * MIB, days=A_WEEK))).fills is not None


def test_a_disk_fills_when_the_trend_has_used_what_is_free() -> None:
    assert days(of_disk(sizes(rising(10 * MIB))).fills) == (50, 50, 50)


def test_a_disk_that_shrinks_or_rests_does_not_fill() -> None:
    for per_day in (0, -MIB):
        assert days(of_disk(sizes(rising(per_day))).fills) == (None, None, None)


def test_a_disk_that_cannot_be_written_to_or_tells_no_size_has_no_day() -> None:
    for odd in (makers.filesystem(read_only=True), makers.filesystem(total=0, free=0)):
        assert of_disk(sizes(rising(10 * MIB)), on=odd).fills is None


FREE = makers.policy("keep-free", free_space=makers.marks("10%"))


def test_a_policy_acts_when_its_mark_is_crossed() -> None:
    found = of_policy(sizes(rising(10 * MIB)), FREE)
    assert (found.place, days(found.acts)) == ("/home", (40, 40, 40))


def test_a_policy_that_acts_now_is_due_whatever_is_known() -> None:
    assert days(of_policy([], FREE, on=makers.filesystem(free=50 * MIB)).acts) == (0, 0, 0)


def test_a_cap_is_reached_by_the_growth_of_its_cache() -> None:
    cap = makers.policy("cap", size=makers.marks(200 * MIB))
    found = of_policy([], cap, cached=sizes(rising(5 * MIB, to=100 * MIB)))
    assert (found.place, days(found.acts)) == (CACHE.cache.path, (20, 20, 20))


def test_inodes_have_their_own_trend() -> None:
    policy = makers.policy(free_inodes=makers.marks(1000))
    disk = sizes([1] * 30, inodes=rising(100, to=5000))
    assert days(of_policy(disk, policy).acts) == (40, 40, 40)


def test_of_several_conditions_the_last_to_hold_decides() -> None:
    both = makers.policy(size=makers.marks(200 * MIB), free_space=makers.marks("10%"))
    grows, rests = sizes(rising(5 * MIB, to=100 * MIB)), sizes([100 * MIB] * 30)
    assert days(of_policy(sizes(rising(10 * MIB)), both, cached=grows).acts) == (40, 40, 40)
    assert days(of_policy(sizes(rising(10 * MIB)), both, cached=rests).acts) == (None, None, None)
    assert of_policy(sizes(rising(10 * MIB)), both, cached=[]).acts is None


def test_policies_without_marks_have_no_day() -> None:
    assert expected(sizes(rising(10 * MIB)), makers.policy()).policies == ()


def test_of_several_places_the_first_one_is_told() -> None:
    other = makers.cache(path="/srv/pip", device=2)
    disks = [makers.filesystem(), makers.filesystem(mount="/srv", device=2, free=200 * MIB)]
    past = Past({}, {1: sizes(rising(10 * MIB)), 2: sizes(rising(10 * MIB))})
    (found,) = forecast(makers.snapshot(CACHE, other, on=disks), makers.settings(FREE), past).policies
    assert (found.place, days(found.acts)) == ("/srv", (10, 10, 10))


def test_growth_of_caches_alone_never_fills_a_disk_that_a_policy_keeps_free() -> None:
    grows = sizes(rising(10 * MIB, to=400 * MIB))
    found = of_disk(sizes(rising(10 * MIB)), FREE, cached=grows)
    assert (days(found.fills), days(found.fills_anyway)) == ((50, 50, 50), (None, None, None))


def test_what_else_grows_fills_it_after_all_that_may_be_removed_is_gone() -> None:
    entries = (makers.entry("a", frees=50 * MIB), makers.entry("b", frees=30 * MIB, hold="in use"))
    cache = makers.cache(*entries, size=100 * MIB)
    found = of_disk(sizes(rising(10 * MIB)), FREE, cache=cache, cached=sizes([100 * MIB] * 30))
    assert (days(found.fills), days(found.fills_anyway)) == ((50, 50, 50), (55, 55, 55))


def test_a_policy_that_only_reports_prevents_nothing() -> None:
    report = replace(FREE, action=ActionKind.REPORT)
    found = of_disk(sizes(rising(10 * MIB)), report, cached=sizes(rising(10 * MIB, to=400 * MIB)))
    assert found.fills_anyway == found.fills


def test_a_capped_cache_takes_no_more_than_its_cap() -> None:
    cap = makers.policy("cap", size=makers.marks(200 * MIB))
    cached = sizes(rising(9 * MIB, to=100 * MIB, days=10))
    found = of_disk(sizes(rising(10 * MIB, days=10)), cap, cached=cached)
    assert days(found.fills_anyway) == (400, 400, 400)  # 1 MiB a day besides it, of 500 MiB less 100 MiB


def test_a_cache_at_its_cap_that_is_cleaned_all_the_time_fills_no_disk() -> None:
    cap = makers.policy("cap", size=makers.marks(200 * MIB))
    found = of_disk(sizes([500 * MIB] * 30, freed=20 * MIB), cap, cached=sizes([100 * MIB] * 30, freed=20 * MIB))
    assert days(found.fills) == (25, 25, 25)
    assert days(found.fills_anyway) == (None, None, None)


def test_a_cap_beyond_what_is_free_prevents_nothing() -> None:
    cap = makers.policy("cap", size=makers.marks(900 * MIB))
    found = of_disk(sizes(rising(10 * MIB)), cap, cached=sizes(rising(10 * MIB, to=400 * MIB)))
    assert days(found.fills_anyway) == (50, 50, 50)


def test_growth_of_every_cache_is_told() -> None:
    (found,) = expected([], cached=sizes(rising(5 * MIB, to=100 * MIB), freed=MIB)).caches
    assert found.trend.growth is not None
    assert round(found.trend.growth.per_day) == 6 * MIB


def test_without_a_past_nothing_is_said() -> None:
    found = forecast(Snapshot(makers.NOW, (CACHE,), (makers.filesystem(),)), makers.settings(FREE), Past())
    assert (found.disks[0].fills, found.policies[0].acts, found.caches[0].trend.days) == (None, None, 0)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (When(0, 0, 0), "within a day"),
        (When(0.2, 1.2, 3), "in about 1 day (1 to 3)"),
        (When(3, 5, 9), "in about 5 days (3 to 9)"),
        (When(5, 5, 5.2), "in about 5 days"),
        (When(13, 22, 34), "in about 3 weeks (2 to 5)"),
        (When(13, 22, None), "in about 3 weeks (2 at the earliest)"),
        (When(20, 90, 400), "in about 3 months (1 at the earliest)"),
        (When(80, 90, 300), "in about 3 months (3 to 10)"),
    ],
)
def test_a_day_reads_in_its_unit(when: When, words: str) -> None:
    assert in_words(when) == words
