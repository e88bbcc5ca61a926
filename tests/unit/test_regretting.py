"""``history --regretted``: figures by policy and package, and advice that is true."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cachewarden.cli import regretting
from cachewarden.cli.render import json as documents
from cachewarden.cli.render import regrets, tables
from cachewarden.cli.render.words import View
from cachewarden.model.policies import Policy, Settings
from cachewarden.model.units import Bytes, Seconds
from cachewarden.system.regrets import Regret, Removals
from makers import DAY, HOUR, MIB, NOW, ago, marks, policy, settings

VIEW = View(NOW)


def regret(
    name: str | None = "numpy",
    *,
    of: str = "cap-pip",
    kind: str = "download",
    fetched: int | None = MIB,
    built: int | None = None,
    away: int = DAY,
    path: str = "/c/a",
) -> Regret:
    return Regret(
        "c1", of, "pip", "ann", path, kind, name, "1.26.4" if name else None, ago(5 * DAY), ago(5 * DAY - away),
        None if fetched is None else Bytes(fetched), None if built is None else Seconds(built), same=True,
    )  # fmt: skip


def removals(of: str = "cap-pip", entries: int = 10, kind: str = "download") -> Removals:
    return Removals(of, kind, entries, Bytes(entries * MIB), ago(9 * DAY))


def findings(
    removed: Sequence[Removals], past: Sequence[Regret], known: Settings | None = None, shown: int = 20
) -> regrets.Findings:
    policies, packages = regretting.by_policy(removed, past), regretting.by_package(past)
    return regrets.Findings(policies, packages, past, regretting.advice(policies, packages, known), shown)


def shown(found: regrets.Findings) -> str:
    return "\n".join(tables.plain(regrets.screen(found, VIEW)))


def test_each_policy_has_what_it_removed_and_what_of_that_came_back() -> None:
    removed = [removals(), removals(kind="index", entries=30), removals("by-hand", 5)]
    past = [regret(), regret("torch", fetched=7 * MIB, away=HOUR), regret("jax", kind="built-wheel", built=600)]
    found = findings(removed, past)
    first, second = found.policies
    assert (first.policy, first.removed, first.share) == ("cap-pip", 40, 3 / 40)
    assert first.cost == regretting.Cost(3, Bytes(9 * MIB), whole=True, built=Seconds(600), soonest=Seconds(HOUR))
    assert (second.policy, second.removed, second.cost) == ("by-hand", 5, None)
    lines = shown(found).splitlines()
    assert lines[0] == "What was removed since 2023-11-05, and what of it was there again within 90 days:"
    assert lines[2].split() == ["cap-pip", "40", "3", "8%", "9", "MiB", "10m", "1h"]
    assert lines[3].split() == ["by-hand", "5", "0", "0%", "-", "-", "-"]


def test_how_fast_the_machine_downloads_decides_which_policy_cost_most() -> None:
    removed = [removals("fetches"), removals("builds")]
    past = [regret(fetched=9 * MIB, of="fetches"), regret("jax", fetched=1, built=600, of="builds")]
    fast, slow = ([each.policy for each in regretting.by_policy(removed, past, speed)] for speed in (MIB, 1024))
    assert (fast, slow) == (["builds", "fetches"], ["fetches", "builds"])


def test_what_took_longest_to_get_back_is_shown_first() -> None:
    past = [regret("small"), regret("built", fetched=1, built=900), regret("big", fetched=700 * MIB)]
    assert [each.name for each in findings([removals()], past).packages] == ["built", "big", "small"]


def test_a_package_that_came_back_again_and_again_is_one_line_and_no_others_are_merged() -> None:
    past = [
        regret(away=2 * HOUR),
        regret(away=HOUR, fetched=None),
        regret(None, path="/c/x"),
        regret(None, path="/c/y"),
    ]
    found = findings([removals()], past).packages
    assert [(each.name, each.cost.times) for each in found] == [("numpy", 2), (None, 1), (None, 1)]
    numpy = found[0].cost
    assert (numpy.soonest, numpy.fetched, numpy.whole) == (HOUR, MIB, False)
    assert ">= 1 MiB" in shown(findings([removals()], past[:2]))


def test_nothing_removed_and_nothing_regretted_are_said_and_neither_gets_advice() -> None:
    assert "Nothing that anybody could miss" in shown(findings([], []))
    assert "Nothing of it came back." in shown(findings([removals()], []))
    assert findings([removals()], [], settings(policy("cap-pip"))).advice == []


def test_what_is_not_known_is_not_shown_as_nothing() -> None:
    line = shown(findings([removals()], [regret(fetched=None)])).splitlines()[2]
    assert "unknown" in line


def test_the_list_is_cut_at_the_limit_and_says_so() -> None:
    past = [regret(f"p{number}") for number in range(30)]
    text = shown(findings([removals(entries=99)], past))
    assert "and 10 more; --limit 30 shows all" in text
    assert "more" not in shown(findings([removals(entries=99)], past, shown=30))


# Advice


def advised(*past: Regret, entries: int = 10, known: Settings | None = None) -> str:
    return "\n".join(findings([removals(entries=entries)], past, known).advice)


def test_a_package_that_came_back_twice_is_better_kept_unless_it_is_kept_already() -> None:
    text = advised(regret(), regret())
    assert text == 'numpy came back 2 times, 2 MiB in all: keep: {packages: ["numpy"]} keeps it.'
    assert "keep" not in advised(regret(), regret(), known=settings(packages=("numpy",)))
    assert "keep" not in advised(regret())
    assert "keep" not in advised(regret(kind="index"), regret(kind="index"))
    assert "at least 1 MiB" in advised(regret(), regret(fetched=None))


@pytest.mark.parametrize("name", ['x"]}', "a b", "\x1b[31m", "*", "-rf"])
def test_a_name_that_is_none_gets_into_no_configuration(name: str) -> None:
    assert name not in advised(regret(name), regret(name))


def capped(**conditions: object) -> Policy:
    return replace(policy("cap-pip"), **conditions)  # type: ignore[arg-type]  # whatever a policy may have


def test_a_policy_that_loses_much_is_told_what_would_take_less() -> None:
    tight = capped(size=marks(100, 50), unused_for=Seconds(30 * DAY), free_space=marks("10%", "50%"))
    assert advised(regret(), known=settings(tight)) == (
        "cap-pip takes what is wanted again: an unused_for longer than 30d takes less, or higher marks of its size "
        "leave more, or a free_space.until nearer to below takes less at a time."
    )
    assert advised(regret(), known=settings(capped(free_space=marks("10%")))) == ""
    assert advised(regret(), known=settings(policy("another", size=marks(1)))) == ""
    assert advised(regret()) == ""


def test_a_policy_that_loses_little_is_left_alone() -> None:
    tight = settings(capped(size=marks(100, 50)))
    text = advised(regret(), entries=20, known=tight)
    assert text == "Little of what was removed came back: nothing here asks for another policy."
    assert "takes what is wanted" in advised(regret(), entries=19, known=tight)


# JSON and screens


def test_json_has_the_documented_keys() -> None:
    found = findings([removals()], [regret(built=9), regret(None, fetched=None)])
    document = json.loads(documents.text(regrets.document(found), pretty=False))
    assert list(document) == ["schema", "within_days", "policies", "packages", "regrets", "advice"]
    assert (document["schema"], document["within_days"]) == (1, 90)
    assert set(document["policies"][0]) == {
        "policy", "since", "removed_entries", "removed_bytes", "regretted_entries", "fetched_bytes", "fetched_whole",
        "built_seconds", "soonest_seconds",
    }  # fmt: skip
    assert set(document["packages"][0]) == {
        "policy", "ecosystem", "owner", "kind", "name", "version", "regretted_entries", "fetched_bytes",
        "fetched_whole", "built_seconds", "soonest_seconds",
    }  # fmt: skip
    first, second = document["regrets"]
    assert set(first) == {
        "path", "policy", "ecosystem", "owner", "kind", "name", "version", "removed_at", "back_at", "after_seconds",
        "fetched_bytes", "built_seconds", "same_path", "cycle",
    }  # fmt: skip
    assert (first["after_seconds"], first["built_seconds"], second["fetched_bytes"]) == (DAY, 9, None)


HOSTILE = "six\x1b[31m\n\u202e\udcff"


def test_hostile_text_is_escaped() -> None:
    bad = replace(regret(HOSTILE, path=HOSTILE), policy=HOSTILE, owner=HOSTILE, kind=HOSTILE, version=HOSTILE)
    found = findings([removals(HOSTILE)], [bad, bad, replace(bad, name=None)])
    blocks = regrets.screen(found, VIEW)
    assert all(line.isprintable() for line in tables.plain(blocks))
    terminal = io.StringIO()
    tables.show_on_terminal(blocks, terminal)
    assert all(line.isprintable() for line in terminal.getvalue().split("\n"))
    assert documents.text(regrets.document(found), pretty=False).isascii()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_tables_fit_their_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    found = findings([removals("a-policy-with-a-long-name")], [regret("p" * 90, of="a-policy-with-a-long-name")])
    terminal = io.StringIO()
    tables.show_on_terminal(regrets.screen(found, VIEW), terminal)
    assert max(map(len, terminal.getvalue().splitlines())) <= width


REGRETS = some.builds(
    regret,
    some.sampled_from(["numpy", "six", None, "; rm"]),
    of=some.sampled_from(["a", "b"]),
    kind=some.sampled_from(["download", "index", "built-wheel"]),
    fetched=some.one_of(some.none(), some.integers(0, 2**63 - 1)),
    built=some.one_of(some.none(), some.integers(0, 2**31)),
    away=some.integers(1, 90 * DAY),
    path=some.sampled_from(["/c/a", "/c/b"]),
)


@given(some.lists(REGRETS, max_size=12))
def test_the_parts_add_up_however_they_are_grouped(past: list[Regret]) -> None:
    found = findings([removals("a"), removals("b")], past)
    for groups in (found.policies, found.packages):
        costs = [each.cost for each in groups if each.cost]
        assert sum(cost.times for cost in costs) == len(past)
        assert sum(cost.fetched for cost in costs) == sum(each.fetched or 0 for each in past)
        assert sum(cost.built or 0 for cost in costs) == sum(each.built or 0 for each in past)
    assert all(each.share <= 1 for each in found.policies)
    assert shown(found)
