"""Traces as text: what is written is read, and what is no trace is told about line by line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.traces import build, conda, gone, item, lost, want
from cachewarden.model.caches import Kind
from cachewarden.model.worth import Regain, Signal
from cachewarden.simulate import parsing
from cachewarden.simulate.parsing import TraceError, load, parse
from cachewarden.simulate.scenes import SCENES
from cachewarden.simulate.trace import Event, Item, Trace, Want, header, line
from fakes import FakeFiles

FIRST = '{"cachewarden_trace": 1}'
GOOD = '{"at": 5, "event": "want", "ecosystem": "pip", "key": "a", "kind": "download", "size_bytes": 7}'


def problems(*lines: str) -> list[str]:
    with pytest.raises(TraceError) as caught:
        parse("\n".join(lines), "t.jsonl")
    return list(caught.value.problems)


def changed(**fields: object) -> str:
    return json.dumps(json.loads(GOOD) | fields)


def told(text: str) -> tuple[str, ...]:
    """The problems of a text; none when it is a trace."""
    try:
        parse(text, "t")
    except TraceError as error:
        return error.problems
    return ()


def test_a_line_says_what_it_leaves_out_by_its_kind() -> None:
    (event,) = parse(f"{FIRST}\n{GOOD}\n", "t.jsonl").events
    assert event == Want(5, Item("pip", 0, "a", Kind.DOWNLOAD, 7, 7))
    (event,) = parse(f"{FIRST}\n{changed(kind='built-wheel', frees_bytes=3)}\n", "t.jsonl").events
    assert isinstance(event, Want)
    assert (event.item.regain, event.item.frees) == (Regain.BUILD, 3)


def test_what_is_written_is_read() -> None:
    events: list[Event] = [
        want(0, "a"), *build(1, "b", 60), *conda(2, "c"), gone(3, "c"), lost(4, "a"), lost(5, "b", by_us=True),
        Want(1_800_000_000, Item("conda", 7, "d", Kind.PACKAGE, 9, 4, "d", "1-0", Regain.NEVER, 3, 2, installed=False,
                                 orphan=True), None, Signal.ACCESSED),
    ]  # fmt: skip
    text = "\n".join([header("all kinds of events"), *map(line, events)])
    assert parse(text, "t.jsonl") == Trace("all kinds of events", tuple(events))


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_is_the_same_for_the_same_seed_and_reads_as_it_was_written(scene: str) -> None:
    trace, other = SCENES[scene](3), SCENES[scene](4)
    assert trace == SCENES[scene](3)
    assert trace.events != other.events
    some = Trace(trace.about, trace.events[:500])
    assert parse("\n".join([header(some.about), *map(line, some.events)]), "t.jsonl") == some


def test_the_first_line_says_which_format_it_is() -> None:
    (problem,) = problems(GOOD)
    assert problem.startswith('t.jsonl:1: expected {"cachewarden_trace": 1} in the first line, got {"at"')
    assert problems('{"cachewarden_trace": 2}') == [
        't.jsonl:1: expected {"cachewarden_trace": 1} in the first line, got version 2'
    ]
    assert problems("") == ['t.jsonl:1: expected {"cachewarden_trace": 1} in the first line, got nothing']
    assert problems('{"cachewarden_trace": true}')[0].endswith("got version true")
    assert problems('{"cachewarden_trace": 1, "x": 1}') == ["t.jsonl:1: expected only known keys, got x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing", "expected a JSON object, got nothing"),
        ("[1]", "expected a JSON object, got [1]"),
        ("[" * 4000, "expected a JSON object, got " + "[" * 40 + "…"),
        (changed(at=-1), "at: expected a whole number from 0 to 253402300799, got -1"),
        (changed(at=1.5), "at: expected a whole number from 0 to 253402300799, got 1.5"),
        (changed(at=True), "at: expected a whole number from 0 to 253402300799, got true"),
        (changed(size_bytes="7"), "size_bytes: expected a whole number from 0 to 9007199254740992, got 7"),
        (changed(event="bought"), "event: expected want or gone or lost, got bought"),
        (changed(ecosystem="apt"), "ecosystem: expected pip or conda, got apt"),
        (changed(kind="package"), "kind: expected debris or index or download or built-wheel, got package"),
        (changed(key=""), "key: expected 1 to 512 printable characters, got nothing"),
        (changed(key="a" * 513), f"key: expected 1 to 512 printable characters, got {'a' * 40}…"),
        (changed(key="a\x1b[2J"), "key: expected 1 to 512 printable characters, got a\\x1b[2J"),
        (changed(installed="yes"), "installed: expected true or false, got yes"),
        (changed(source_of="a"), "source_of: expected the key of another entry, got its own"),
        (changed(pirce=3), "expected only known keys, got pirce"),
        (changed(owner=10**6), "owner: expected a whole number from 0 to 100000, got 1000000"),
        ('{"event": "gone", "at": 1, "ecosystem": "pip"}', "expected the key key, got none"),
        (
            '{"event": "gone", "at": 1, "ecosystem": "pip", "key": "a", "by_us": true}',
            "expected only known keys, got by_us",
        ),
        (GOOD.replace("5", "NaN"), "expected a number, got NaN"),
        (GOOD.replace("{", '{"at": 1, ', 1), "expected each key once, got one twice"),
        (changed(key="a" * 9000), "expected at most 8192 characters in a line, got 9094"),
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_told_about_with_its_number(text: str, expected: str) -> None:
    assert problems(FIRST, GOOD, text) == [f"t.jsonl:3: {expected}"]


def test_time_does_not_go_back() -> None:
    assert problems(FIRST, GOOD, changed(at=4), GOOD) == [
        "t.jsonl:3: at: expected a time that is not before 5, got 4"
    ]


def test_all_problems_are_told_at_once_up_to_a_bound() -> None:
    assert len(problems(FIRST, "a", GOOD, "b")) == 2
    assert len(problems(FIRST, *["a"] * 1000)) == parsing.MOST_PROBLEMS


@given(st.text(max_size=300))
def test_any_text_is_a_trace_or_has_problems_with_their_lines(text: str) -> None:
    assert all(problem.startswith("t:") and problem.isprintable() for problem in told(f"{FIRST}\n{text}"))


@given(st.dictionaries(st.sampled_from([*json.loads(GOOD), "name", "regain", "owner"]),
                       st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats()))  # fmt: skip
def test_any_value_of_a_known_key_is_taken_or_told_about(fields: dict[str, object]) -> None:
    assert all(problem.startswith("t:2: ") for problem in told(f"{FIRST}\n{changed(**fields)}"))


def test_a_file_that_cannot_be_read_is_no_trace() -> None:
    with pytest.raises(TraceError, match=r"^/t: expected a trace, got no such file or directory$"):
        load(FakeFiles(), "/t")
    with pytest.raises(TraceError, match=r"^/t: expected a trace, got permission denied$"):
        load(FakeFiles({"/t": PermissionError(13, "Permission denied")}), "/t")
    assert load(FakeFiles({"/t": f"{FIRST}\n"}), "/t") == Trace("", ())


def test_an_item_is_known_by_its_cache_and_its_key() -> None:
    assert item("a").place == ("pip", 0, "a")
