"""Editing pkgs_dirs in a condarc: what a person wrote stays, byte for byte."""

import re
from collections.abc import Sequence

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.ecosystems.base import Edit
from cachewarden.ecosystems.conda_repoint import point_back
from cachewarden.ecosystems.condarc import parse
from cachewarden.ecosystems.condarc_edit import items_of, with_items

NEW = "/media/usb/pkgs"


def listed(text: str) -> list[str]:
    return [item.text for item in parse("", text).lists["pkgs_dirs"].items]


def test_the_key_is_added_at_the_end_and_nothing_else_changes() -> None:
    text = "# mine\nchannels:\n  - defaults  # always\nauto_activate_base: false"
    assert with_items(text, [NEW], []) == f"{text}\npkgs_dirs:\n  - {NEW}\n"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\n\n"])
def test_an_empty_file_gets_the_key(text: str) -> None:
    assert with_items(text, [NEW], []) == f"{text}pkgs_dirs:\n  - {NEW}\n"


def test_in_a_list_the_new_folder_comes_first_and_comments_stay_with_their_lines() -> None:
    text = "pkgs_dirs:   # where\n    # the first\n    - /old  # home\n    - /shared  # all of us\nssl_verify: true\n"
    assert with_items(text, [NEW], ["/old"]) == (
        f"pkgs_dirs:   # where\n    # the first\n    - {NEW}\n    - /shared  # all of us\nssl_verify: true\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pkgs_dirs: [/old, /b]  # c\nx: 1\n", f"pkgs_dirs: [{NEW}, /b]  # c\nx: 1\n"),
        ("{pkgs_dirs: [/old], channels: [a]}\n", f"{{pkgs_dirs: [{NEW}], channels: [a]}}\n"),
        ("{channels: [a]}\n", f"{{pkgs_dirs: [{NEW}], channels: [a]}}\n"),
        ("{}\n", f"{{pkgs_dirs: [{NEW}]}}\n"),
        ("pkgs_dirs:\nx: 1\n", f"pkgs_dirs: [{NEW}]\nx: 1\n"),
        ("pkgs_dirs: ~\n", f"pkgs_dirs: [{NEW}]\n"),
        ("channels: [a]\r\npkgs_dirs:\r\n- /old\r\n", f"channels: [a]\r\npkgs_dirs:\r\n- {NEW}\r\n"),
        ("pkgs_dirs:\n  - /old", f"pkgs_dirs:\n  - {NEW}\n"),
        ("channels: [a]\n...\n", f"channels: [a]\npkgs_dirs:\n  - {NEW}\n...\n"),
        ("pkgs_dirs:  #!final\n  - /old  #!top\n", f"pkgs_dirs:  #!final\n  - {NEW}\n"),
        ('pkgs_dirs:\n  - "/old"\n', f"pkgs_dirs:\n  - {NEW}\n"),
    ],
)
def test_every_way_to_write_a_list(text: str, expected: str) -> None:
    assert with_items(text, [NEW], ["/old"]) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("pkgs_dirs: [/a]\npkgs_dirs: [/b]\n", "twice"),
        ("base: &b\n  pkgs_dirs: [/a]\n", "anchors"),
        ("pkgs_dirs: !!seq [/a]\n", "tags"),
        ("pkgs_dirs: [/a\n", "no valid YAML"),
        ("- a\n- b\n", "no keys and values"),
        ("pkgs_dirs: /a\n", "no list"),
        ("pkgs_dirs:\n  - {a: b}\n", "no texts"),
        ("pkgs_dirs:\n  - >\n    /long\n    path\n", "longer than a line"),
        ("a: 1\n---\nb: 2\n", "no valid YAML"),
        ("pkgs_dirs:\n- - /a\n", "no texts"),
    ],
)
def test_what_cannot_be_edited_faithfully_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        with_items(text, [NEW], [])


@pytest.mark.parametrize(
    "path", ["/a b/c", "/it's/here", "/# no comment", "/a: b", "/ä/ö", "/x/[y]", "/{z}", "/a, b"]
)
def test_any_path_is_read_back_as_it_was(path: str) -> None:
    assert listed(with_items("x: 1\n", [path], [])) == [path]
    assert listed(with_items("pkgs_dirs: [/a]\n", [path], [])) == [path, "/a"]


WORDS = st.sampled_from(["/old", "/b", "/c d", "/e"])
COMMENTS = st.sampled_from(["", "  # why", "  #!top"])
LINES = st.sampled_from(["channels: [a, b]", "# a comment", "", "ssl_verify: true  # x", "channel_alias: http://x"])


@st.composite
def condarcs(draw: st.DrawFn) -> str:
    """Files as people write them, with and without the key."""
    before = draw(st.lists(LINES, max_size=3, unique=True))
    after = draw(st.lists(LINES.filter(lambda line: line not in before or not line), max_size=2, unique=True))
    key: list[str] = []
    items = draw(st.lists(WORDS, max_size=3, unique=True))
    if draw(st.booleans()):
        indent = draw(st.sampled_from(["", "  ", "    "]))
        if draw(st.booleans()) and items:
            key = ["pkgs_dirs:" + draw(COMMENTS)]
            key += [f"{indent}- '{item}'{draw(COMMENTS)}" for item in items]
        else:
            key = [f"pkgs_dirs: [{', '.join(items)}]"]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join([*before, *key, *after])
    return text + (end if draw(st.booleans()) else "")


@given(condarcs())
def test_pointing_there_says_what_is_meant_and_keeps_all_other_lines(text: str) -> None:
    edited = with_items(text, [NEW], ["/old"])
    assert listed(edited) == [NEW, *(item for item in items_of(text) if item != "/old")]
    others = [line for line in text.splitlines() if "/" not in line and "pkgs_dirs" not in line]
    kept = edited.splitlines()
    assert [line for line in kept if line in others] == others


@given(condarcs())
def test_pointing_back_gives_what_was_listed_before(text: str) -> None:
    edited = with_items(text, [NEW], ["/old"]).encode()
    assert point_back(edited, Edit("", text.encode(), edited), "/old", NEW) == text.encode()


def back(now: str, was: str | None, put_first: Sequence[str] = (NEW,), drop: Sequence[str] = ("/old",)) -> str | None:
    """``now`` taken back, of which our edit of ``was`` is the beginning."""
    before = None if was is None else was.encode()
    edit = Edit("", before, with_items(was or "", put_first, drop).encode())
    result = point_back(now.encode(), edit, "/old", NEW)
    again = None if result is None else point_back(result, edit, "/old", NEW)
    assert again == result, "it does more when it is done twice"
    return None if result is None else result.decode()


def made(was: str, put_first: Sequence[str] = (NEW,), drop: Sequence[str] = ("/old",)) -> str:
    return with_items(was, put_first, drop)


class TestTakingBack:
    def test_leaves_what_was_added_elsewhere(self) -> None:
        was = "channels: [a]\npkgs_dirs:\n  - /old\n"
        now = made(was).replace("channels: [a]", "channels: [a, b]  # more")
        assert back(now, was) == was.replace("[a]", "[a, b]  # more")

    def test_touches_nothing_when_somebody_named_another_folder(self) -> None:
        now = "pkgs_dirs:\n  - /elsewhere\n"
        assert back(now, "") == now

    def test_leaves_nothing_of_a_file_that_was_not_there_unless_something_else_is_in_it(self) -> None:
        assert back(made(""), None) is None
        assert back(made("") + "channels: [a]\n", None) == "channels: [a]\n"

    @pytest.mark.parametrize(
        "was",
        [
            "pkgs_dirs:\n  - /old  # home\n  # shared\n  - /b  # b\n",
            'pkgs_dirs: [/old, "/b"]  # c\n',
            "pkgs_dirs: [\n  /old,  # home\n  '/b',\n]\n",
            "pkgs_dirs:\n- /old\n- /b",
        ],
    )
    def test_keeps_what_was_listed_since_and_brings_the_old_line_back_with_its_comment(self, was: str) -> None:
        now = made(was)
        now = now.replace("- /b", "- /users/pkgs  # mine\n  - /b") if "- /b" in now else now
        now = re.sub(r"([\"']?/b)", r"/users/pkgs, \1", now) if "- /b" not in now else now
        now = now.replace("\n- /users/pkgs  # mine\n  - /b", "\n- /users/pkgs  # mine\n- /b")
        result = back(now, was)
        assert result is not None
        assert items_of(result) == ["/old", "/users/pkgs", "/b"]
        for comment in ("# home", "# shared", "# b", "# mine", "# c"):
            assert (comment in result) is (comment in was + now), comment

    def test_does_not_bring_back_what_was_deleted_since(self) -> None:
        was = "pkgs_dirs:\n  - /old\n  - /b\n  - /c\n"
        assert back(made(was).replace("  - /b\n", ""), was) == "pkgs_dirs:\n  - /old\n  - /c\n"
        assert back(f"pkgs_dirs: [{NEW}, /c]\n", "pkgs_dirs: [/old, /b, /c]\n") == "pkgs_dirs: [/old, /c]\n"

    def test_puts_the_old_folder_behind_those_that_were_before_it(self) -> None:
        was = "pkgs_dirs:\n  - /unwritable\n  - /old\n"
        assert back(made(was) + "  - /users/pkgs\n", was) == was + "  - /users/pkgs\n"

    def test_of_a_destination_that_was_listed_before_puts_that_back_to_its_place(self) -> None:
        was = f"pkgs_dirs:\n  - /x\n  - /old\n  - {NEW}\n"
        assert back(made(was) + "  - /users/pkgs\n", was) == was + "  - /users/pkgs\n"
        assert back(was, was) == was

    def test_takes_out_only_what_we_wrote_when_the_old_folder_stayed_listed(self) -> None:
        was = "pkgs_dirs: [/a, /old]\n"
        now = made(was, [NEW, "/old"], [])
        assert (
            back(now.replace("/a", "/a, /mine/pkgs"), was, [NEW, "/old"], []) == "pkgs_dirs: [/a, /old, /mine/pkgs]\n"
        )
        assert back(f"pkgs_dirs: [{NEW}]\n", "pkgs_dirs: [/old]\n", [NEW, "/old"], []) == "pkgs_dirs: [/old]\n"

    def test_of_defaults_that_had_to_be_named_leaves_no_key(self) -> None:
        was, first = "channels: [a]\n", [NEW, "/home/a/.conda/pkgs"]
        now = made(was, first)
        assert back(f"# top\n{now}ssl_verify: true\n", was, first) == "# top\nchannels: [a]\nssl_verify: true\n"
        assert back(now.replace("  - /home/a/.conda/pkgs\n", "") + "# end\n", was, first) == was + "# end\n"

    def test_keeps_the_defaults_named_when_somebody_has_listed_more_since(self) -> None:
        """Else the tool would forget them: the old folder, to which the cache came back, is one."""
        was, first = "channels: [a]\n", [NEW, "/home/a/.conda/pkgs"]
        now = made(was, first) + "  - /users/pkgs\n"
        assert back(now, was, first) == now.replace(NEW, "/old")

    @pytest.mark.parametrize(
        ("was", "more", "expected"),
        [
            ("{}\n", "{}# more\n", "{}\n# more\n"),
            ("{channels: [a]}\n", "# more\n{}", "# more\n{{channels: [a]}}\n"),
            ("{pkgs_dirs: [/old], channels: [a]}\n", "# more\n{}", "# more\n{{pkgs_dirs: [/old], channels: [a]}}\n"),
            ("pkgs_dirs:\n", "{}x: 1\n", "pkgs_dirs:\nx: 1\n"),
            ("pkgs_dirs: ~  # none\n", "{}x: 1\n", "pkgs_dirs: ~  # none\nx: 1\n"),
            ("pkgs_dirs: []\n", "{}x: 1\n", "pkgs_dirs: []\nx: 1\n"),
            ("pkgs_dirs: [ '/old' , /b ]", "{}\nx: 1\n", "pkgs_dirs: [ '/old' , /b ]\nx: 1\n"),
            ("pkgs_dirs: [\n  /old,  # c\n  /b\n  ]\n", "{}x: 1\n", "pkgs_dirs: [\n  /old,  # c\n  /b\n  ]\nx: 1\n"),
            ("x: 1", "# top\n{}", "# top\nx: 1"),
            ("x: 1\r\n", "{}y: 2\r\n", "x: 1\r\ny: 2\r\n"),
            ("\ufeffx: 1\n", "{}y: 2\n", "\ufeffx: 1\ny: 2\n"),
            ("x: 1\n...\n", "# top\n{}", "# top\nx: 1\n...\n"),
        ],
    )
    def test_of_a_file_that_was_edited_elsewhere_gives_our_key_as_it_was(
        self, was: str, more: str, expected: str
    ) -> None:
        assert back(more.replace("{}", made(was), 1), was) == expected.replace("{{", "{").replace("}}", "}")

    @pytest.mark.parametrize("more", ["a: &x [1]\nb: *x\n", "base: &b {c: 1}\nd:\n  <<: *b\n", "t: !!str 1\n"])
    def test_is_not_stopped_by_anchors_and_tags_that_are_nothing_to_our_key(self, more: str) -> None:
        was = "pkgs_dirs:\n  - /old\n"
        assert back(made(was) + more, was) == was + more

    @pytest.mark.parametrize(
        "now", ["pkgs_dirs: &x [{}]\n", "pkgs_dirs: [{}\n", "- {}\n", 'a: "\\UFFFFFFFF"\n# {}\n']
    )
    def test_leaves_what_cannot_be_edited(self, now: str) -> None:
        now = now.format(NEW)
        assert back(now, "pkgs_dirs: [/old]\n") == now

    def test_goes_on_where_the_list_is_written_in_a_way_that_it_would_not_write_to(self) -> None:
        now = f"pkgs_dirs: [{NEW}, '/a\n  b']  # x\n"
        assert back(now, "pkgs_dirs: [/old]\n") == "pkgs_dirs: [/old, '/a\n  b']  # x\n"


@st.composite
def odd_condarcs(draw: st.DrawFn) -> str:
    """Files as no two people write them; not all of them are valid."""
    quote = draw(st.sampled_from(["{}", "'{}'", '"{}"']))
    items = [quote.format(each) for each in draw(st.lists(WORDS, max_size=4))]
    pad, comma = (
        draw(st.sampled_from(["", " ", "\n  "])),
        draw(st.sampled_from([", ", ",", " ,", ",  # and\n  ", ",\n  "])),
    )
    last = draw(st.sampled_from(["", ",", " # last\n"]))
    deep, dash = draw(st.sampled_from(["", "  ", "   "])), draw(st.sampled_from(["- ", "-   "]))
    between = draw(st.sampled_from(["", f"{deep}# between\n", "\n"]))
    flow = f"[{pad}{comma.join(items)}{last}{pad}]"
    value = draw(
        st.sampled_from(
            ["", " ~", " null  # none", " []", " [ ]", f" {flow}", f" {flow}  # flow"]
            + [draw(COMMENTS) + "".join(f"\n{between}{deep}{dash}{each}{draw(COMMENTS)}" for each in items)] * 4
        )
    )
    key = draw(st.sampled_from(["pkgs_dirs:", "pkgs_dirs :", "'pkgs_dirs':"]))
    lines = draw(st.lists(LINES | st.just("envs_dirs:\n  - /envs  #!top\n  - /more"), max_size=4, unique=True))
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), key + value)
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n", "\n...\n", "\n# end"]))
    if draw(st.integers(0, 5)) == 0:
        text = draw(
            st.sampled_from(["{}", "{ }", f"{{channels: [a], pkgs_dirs:{value}}}", f"{{pkgs_dirs:{value} , x: 1}}\n"])
        )
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "", "", "---\n", "\ufeff", "# first\n"])) + text


def edited(text: str, put_first: Sequence[str], drop: Sequence[str]) -> str | None:
    try:
        return with_items(text, put_first, drop)
    except ValueError:
        return None


def meaning(text: str) -> dict[str, object]:
    found = yaml.load(text, Loader=yaml.BaseLoader) or {}
    return {key: value for key, value in found.items() if key != "pkgs_dirs"}


ways = st.sampled_from([((NEW,), ("/old",)), ((NEW, "/old"), ()), ((NEW, "/home/a/.conda/pkgs"), ("/old",))])


@given(odd_condarcs(), ways)
def test_any_file_is_taken_back_byte_for_byte_while_nobody_else_wrote(
    text: str, way: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    now = edited(text, *way)
    if now is not None:
        assert items_of(now)[: len(way[0])] == list(way[0])
        assert meaning(now) == meaning(text)
        assert back(now, text, *way) == text


@given(odd_condarcs(), ways, st.sampled_from(["top", "bottom", "both"]))
def test_after_an_edit_elsewhere_the_key_is_as_it_was_byte_for_byte(
    text: str, way: tuple[tuple[str, ...], tuple[str, ...]], where: str
) -> None:
    made_ = edited(text, *way)
    if made_ is None:
        return
    end = "\r\n" if "\r\n" in text else "\n"

    def typed(before: str) -> str:
        if where != "bottom":
            mark = "\ufeff" if before.startswith("\ufeff") else ""  # a mark at the very beginning alone
            before = f"{mark}# hello{end}{before.removeprefix(mark)}"
        closed = before if before.endswith("\n") else before + end
        return before if where == "top" else f"{closed}# bye{end}"

    now, expected = typed(made_), typed(text)
    try:
        other = meaning(now)
    except yaml.YAMLError:
        assert back(now, text, *way) == now
        return
    result = back(now, text, *way)
    assert result is not None
    assert meaning(result) == other
    assert items_of(result) == items_of(text)
    assert [each for each in result.splitlines() if each] == [each for each in expected.splitlines() if each]


@given(odd_condarcs(), ways, st.data())
def test_after_an_edit_of_the_list_what_others_did_to_it_stays_done(
    text: str, way: tuple[tuple[str, ...], tuple[str, ...]], data: st.DataObject
) -> None:
    made_ = edited(text, *way)
    if made_ is None or len(set(items_of(text))) != len(items_of(text)):
        return
    was, now = items_of(text), items_of(made_)
    gone = data.draw(st.sets(st.sampled_from([each for each in now if each != NEW] or ["-"])))
    wanted = [each for each in now if each not in gone]
    wanted.insert(data.draw(st.integers(0, len(wanted))), "/users/pkgs")
    typed = edited(made_, wanted, now)
    assert typed is not None
    result = back(typed, text, *way)
    assert result is not None
    assert meaning(result) == meaning(text)
    left = items_of(result)
    assert "/users/pkgs" in left
    assert NEW not in left
    if was:
        assert set(left) == {*was, "/users/pkgs"} - gone


@given(st.text(max_size=60), st.text(max_size=60), odd_condarcs())
def test_no_text_whatever_makes_taking_back_raise(now: str, was: str, text: str) -> None:
    for each in (now, f"pkgs_dirs: [{NEW}]\n{now}", f"{text}{now}"):
        point_back(
            each.encode("utf-8", "replace"), Edit("", was.encode("utf-8", "replace"), text.encode()), "/old", NEW
        )
