"""What ``explain`` says of entries, policies and words that nobody knows."""

import json
from collections.abc import Iterable
from dataclasses import replace

from cachewarden.cli.explaining import Explainer
from cachewarden.cli.render import explain, json_explain, tables
from cachewarden.cli.render import json as documents
from cachewarden.cli.render.words import View
from cachewarden.decide.planner import decide
from cachewarden.model.caches import Kind, MeasuredCache
from cachewarden.model.policies import Policy, SpaceOf
from cachewarden.model.units import Bytes
from cachewarden.model.worth import Facts, Regain, Signal
from makers import DAY, MIB, NOW, ago, cache, entry, marks, policy, settings, snapshot

ONE = Facts(Regain.DOWNLOAD, fetch=Bytes(2_000_000), uses=2, installed=True)


def explainer(seen: MeasuredCache, *rules: Policy) -> Explainer:
    looked, wanted = snapshot(seen), settings(*rules)
    return Explainer(looked, decide(looked, wanted), wanted)


def shown(told: Explainer, word: str, home: str = "") -> str:
    blocks = explain.explain(told.policies(word), told.caches(word), told.entries(word), [], View(NOW, home))
    return "\n".join(tables.plain(blocks))


def standings(told: Explainer, word: str) -> Iterable[str]:
    return told.entries(word)[0].reasons


def test_a_policy_that_acts_says_why_it_takes_others_and_not_this() -> None:
    seen = cache(entry("a", name="six", used=9 * DAY), entry("b", name="idna", used=DAY), entry("c", name="torch"))
    rule = policy("cap", size=marks(2 * MIB), packages=("six", "idna"))
    told = explainer(replace(seen, size=Bytes(3 * MIB)), rule)
    assert told.entries("six")[0].policy == "cap"
    (reason,) = standings(told, "idna")
    assert reason.startswith("cap: triggered: ")
    assert reason.endswith("; what goes before it is enough")
    assert list(standings(told, "torch")) == ["cap: is not about this package"]
    assert not any("enough" in each for each in told.caches("/home/ann/.cache/pip")[0].reasons)
    assert "enough" not in shown(explainer(seen, policy("cap", size=marks(9 * MIB))), "idna")


def test_the_factors_that_are_shown_make_up_the_worth() -> None:
    told = explainer(cache(replace(entry("a", name="six", used=int(3.5 * DAY)), facts=ONE)), policy(size=marks("9%")))
    screen = shown(told, "six")
    assert "a download of 1.91 MiB, about 2 s" in screen
    assert "2 uses noticed since it was cached; last used or written 3d12h ago: 0.75 a day" in screen
    assert "an environment has it: x 1.5" in screen
    assert "for 1 MiB freed" in screen
    assert "worth 2.2 s a day for each MiB freed" in screen  # 2 s x 0.75 x 1.5
    (found,) = json.loads(documents.text(json_explain.explained([], [], told.entries("six"), []), pretty=False))[
        "entries"
    ]
    worth = found["worth"]
    assert (worth["uses"], worth["uses_per_day"]) == (2, 0.75)
    product = worth["cost_seconds"] * worth["uses_per_day"] * worth["factors"][0]["factor"] / worth["freed_bytes"]
    assert worth["value"] == product


def test_what_another_entry_makes_cheap_is_told_with_what_it_is_without_that() -> None:
    archive = replace(
        entry("six-1-0.conda", kind=Kind.TARBALL, name="six", used=int(3.5 * DAY)), facts=replace(ONE, standing=True)
    )
    package = entry("six-1-0", kind=Kind.PACKAGE, name="six")
    told = explainer(cache(package, archive), policy(size=marks("9%")))
    screen = shown(told, "six-1-0.conda")
    assert "its package is unpacked beside it: x 0.2" in screen
    assert "once six-1-0 is gone: worth 2.2 s" in screen
    assert "once" not in shown(told, "six-1-0").split("freed (cheapest-first)")[1]
    found = told.entries("six-1-0.conda")
    (document,) = json.loads(documents.text(json_explain.explained([], [], found, []), pretty=False))["entries"]
    assert document["worth"]["alone"] == {"value": 5 * document["worth"]["value"], "without": ["six-1-0"]}


def test_what_may_come_back_on_top_is_shown_wherever_what_is_freed_is() -> None:
    one = replace(entry("a", name="six"), maybe=Bytes(3 * MIB), held_open=Bytes(MIB), size=Bytes(5 * MIB))
    told = explainer(cache(one), policy("all"))
    later = "; 1 MiB more when the programs that have it open close it"
    assert f"5 MiB, removing it frees 1 MiB to 4 MiB{later}; written" in shown(told, "six")
    assert f"removing what may go frees 1 MiB to 4 MiB{later}" in shown(told, "/home/ann/.cache/pip")
    assert "1 MiB to 4 MiB  download  six 1.26.4" in shown(told, "all")


def test_a_policy_shows_paths_as_other_screens_do() -> None:
    told = explainer(cache(entry("a", name=None, kind=Kind.INDEX)), policy("all"))
    assert "index  ~/.cache/pip/a" in shown(told, "all", "/home/ann")


def test_an_order_that_never_comes_to_an_entry_and_marks_of_nothing_are_told_apart() -> None:
    seen = cache(entry("a", name="six", used=9 * DAY), entry("b", name="idna", used=DAY))
    told = explainer(seen, policy("disk", free_space=marks(MIB)))
    assert "it never goes: even with nothing free on /home, what goes before it is enough" in shown(told, "idna")
    quota = replace(policy("quota", free_space=marks(MIB)), free_space_of=SpaceOf.QUOTA)
    for word in ("six", "idna", "quota"):
        screen = shown(explainer(seen, quota), word)
        assert "ann has no quota on /home, or none that could be asked for" in screen
        assert "order" not in screen


def test_what_was_only_written_is_not_said_to_have_been_used() -> None:
    written = replace(entry("a", name="six", written=9 * DAY), last_used=ago(9 * DAY), signal=Signal.WRITTEN)
    read = replace(entry("b", name="idna", written=9 * DAY), last_used=ago(9 * DAY), signal=Signal.ACCESSED)
    told = explainer(cache(written, read), policy("old", unused_for=DAY), policy("older", unused_for=99 * DAY))
    assert told.entries("six")[0].reasons[0].startswith("download, written 1w2d ago")
    assert told.entries("idna")[0].reasons[0].startswith("download, last used 1w2d ago")


def test_a_word_that_nobody_knows_is_answered_with_what_may_be_asked() -> None:
    screen = "\n".join(tables.plain(explain.not_found("nosuch")))
    assert screen.startswith("nosuch: neither in a cache now, nor removed by cachewarden.")
    assert "a path or a policy" in screen


def test_where_not_all_could_be_read_nothing_is_said_never_to_have_been_there() -> None:
    first, *_ = tables.plain(explain.not_found("nosuch", whole=False))
    assert first == "nosuch: not in what could be read; `cachewarden status` says what could not."
