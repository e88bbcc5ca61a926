"""What an entry is worth: more cost, more recent and more frequent use never let it go earlier."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.decide.planner import decide
from cachewarden.decide.worth import Circumstances, cost_seconds, usual, worth
from cachewarden.model.caches import Entry, Kind
from cachewarden.model.policies import Settings
from cachewarden.model.units import Bytes, Instant, Seconds
from cachewarden.model.worth import Facts, Regain
from makers import DAY, MIB, NOW, cache, entry, gone, plan, policy, share, snapshot

HERE = Circumstances(NOW, 1_000_000)
SIZES = st.integers(1, 4 << 30)
FACTS = st.builds(
    Facts,
    regain=st.sampled_from(Regain),
    fetch=st.none() | SIZES.map(Bytes),
    build=st.none() | st.integers(0, 20_000).map(Seconds),
    uses=st.integers(0, 50),
    installed=st.none() | st.booleans(),
    orphan=st.booleans(),
    standing=st.booleans(),
)
ENTRIES = st.builds(
    lambda facts, kind, size, used: replace(entry(kind=kind, frees=size, used=used), facts=facts),
    FACTS, st.sampled_from(Kind), SIZES, st.integers(0, 900 * DAY),
)  # fmt: skip


def value(one: Entry, circumstances: Circumstances = HERE, *, superseded: bool = False) -> float:
    return worth(one, circumstances, superseded=superseded).value


def with_facts(one: Entry, **changes: object) -> Entry:
    assert one.facts
    return replace(one, facts=replace(one.facts, **changes))  # type: ignore[arg-type]  # fields by name


@given(ENTRIES, st.integers(1, 10_000))
def test_what_was_used_more_often_never_goes_earlier(one: Entry, more: int) -> None:
    assert one.facts
    assert value(with_facts(one, uses=one.facts.uses + more)) >= value(one)


@given(ENTRIES, st.integers(1, 500 * DAY))
def test_what_was_used_later_never_goes_earlier(one: Entry, later: int) -> None:
    assert one.last_used is not None
    recent = replace(one, last_used=Instant(min(NOW, one.last_used + later * 10**9)))
    assert value(recent) >= value(one)


@given(ENTRIES, st.integers(1, 10**6), SIZES)
def test_what_costs_more_to_get_back_never_goes_earlier(one: Entry, longer: int, bytes_more: int) -> None:
    facts = one.facts
    assert facts
    if facts.build is not None:
        assert value(with_facts(one, build=Seconds(facts.build + longer))) >= value(one)
    if facts.fetch is not None:
        assert value(with_facts(one, fetch=Bytes(facts.fetch + bytes_more))) >= value(one)
    assert value(with_facts(one, regain=Regain.NOTHING)) <= value(one)
    slower = replace(HERE, link_speed=HERE.link_speed // 10)
    assert value(one, slower) >= value(one)
    assert value(one, replace(HERE, online=False)) >= value(one)


@given(ENTRIES)
def test_what_nothing_brings_back_is_worth_more_than_any_download(one: Entry) -> None:
    lost = with_facts(one, regain=Regain.NEVER)
    small = with_facts(one, regain=Regain.DOWNLOAD, fetch=Bytes(min(int(one.size), 2_000_000_000)))
    assert value(lost) >= value(small)


@given(ENTRIES)
def test_what_is_superseded_or_for_no_interpreter_or_installed_nowhere_never_goes_later(one: Entry) -> None:
    assert value(one, superseded=True) <= value(one)
    assert value(with_facts(one, orphan=True)) <= value(with_facts(one, orphan=False))
    assert value(with_facts(one, installed=False)) <= value(with_facts(one, installed=None))
    assert value(with_facts(one, installed=None)) <= value(with_facts(one, installed=True))


@pytest.mark.parametrize(
    ("facts", "size", "seconds"),
    [
        (Facts(Regain.NOTHING), 5_000_000, 0.0),
        (Facts(Regain.DOWNLOAD, Bytes(3_000_000)), 9_000_000, 1 + 3.0),
        (Facts(Regain.DOWNLOAD), 9_000_000, 1 + 9.0),
        (Facts(Regain.EXTRACT), 20_000_000, 2.0),
        (Facts(Regain.BUILD, Bytes(1_000_000), Seconds(600)), 5, 1 + 1 + 600.0),
        (Facts(Regain.BUILD, Bytes(1_000_000)), 2_000_000, 1 + 1 + 30 + 120.0),
        (Facts(Regain.NEVER), 5, 86_400.0),
    ],
)
def test_the_cost_is_the_time_that_it_takes_to_get_it_back(facts: Facts, size: int, seconds: float) -> None:
    assert cost_seconds(facts, size, HERE) == pytest.approx(seconds)
    offline = cost_seconds(facts, size, replace(HERE, online=False))
    needs_network = facts.regain in {Regain.DOWNLOAD, Regain.BUILD}
    assert offline == pytest.approx(seconds + (86_400 if needs_network else 0))


def test_an_entry_of_which_nothing_is_known_is_judged_by_its_kind() -> None:
    assert usual(Kind.DEBRIS).regain is Regain.NOTHING
    assert usual(Kind.BUILT_WHEEL).regain is Regain.BUILD
    assert usual(Kind.DOWNLOAD).regain is Regain.DOWNLOAD


def test_of_two_alike_the_larger_goes_first_and_a_wheel_that_took_an_hour_last() -> None:
    built = replace(
        entry("built", kind=Kind.BUILT_WHEEL, used=300 * DAY), facts=Facts(Regain.BUILD, build=Seconds(3600))
    )
    found = cache(entry("small", frees=4096), entry("large", frees=50 * MIB), built)
    assert gone(plan(snapshot(found), policy())) == ["large", "small", "built"]


def test_an_older_version_goes_before_the_newest() -> None:
    found = cache(entry("new", version="1.10.0"), entry("old", version="1.9.2"), entry("other", name="scipy"))
    assert gone(plan(snapshot(found), policy()))[0] == "old"


def test_the_speed_of_the_line_decides_between_a_large_download_and_a_short_build() -> None:
    large = replace(entry("large", frees=100 * MIB), facts=Facts(Regain.DOWNLOAD, Bytes(100 * MIB)))
    build = replace(
        entry("built", kind=Kind.BUILT_WHEEL, frees=100 * MIB), facts=Facts(Regain.BUILD, Bytes(0), Seconds(60))
    )
    seen = snapshot(cache(large, build), free=0)
    slow, fast = (Settings(policies=(policy(),), link_speed=Bytes(speed)) for speed in (100_000, 100_000_000))
    assert gone(decide(seen, slow))[0] == "built"
    assert gone(decide(seen, fast))[0] == "large"


def test_bytes_that_may_come_back_count_half_and_shared_ones_by_their_part() -> None:
    one = entry(frees=1000, shares=(share(7, needed=4, held=1, frees=4000),))
    assert worth(one, HERE).freed == 2000
    assert worth(replace(one, maybe=Bytes(600)), HERE).freed == 2300
    assert worth(entry(frees=0), HERE).freed == 1  # never divided by nothing


def test_the_source_of_a_wheel_that_was_built_here_goes_before_another_download() -> None:
    wheel = entry("wheel", kind=Kind.BUILT_WHEEL, name="lxml", version="5.3.1")
    source, other = entry("source", name="LXML", version="5.3.1"), entry("other", used=60 * DAY)
    assert gone(plan(snapshot(cache(wheel, source, other)), policy())) == ["source", "other", "wheel"]
    assert gone(plan(snapshot(cache(source, other)), policy())) == ["other", "source"]
