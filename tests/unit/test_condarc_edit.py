"""Editing pkgs_dirs in a condarc: what a person wrote stays, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.ecosystems.conda_repoint import point_back
from cachewarden.ecosystems.condarc import parse
from cachewarden.ecosystems.condarc_edit import items_of, with_items, without_key

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


def test_the_key_can_be_taken_out() -> None:
    assert without_key("a: 1\npkgs_dirs:\n  - /x\n  - /y\nb: 2\n") == "a: 1\nb: 2\n"


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
    back = point_back(edited, text.encode(), NEW)
    assert back is not None
    assert items_of(back.decode()) == items_of(text)


def test_pointing_back_leaves_what_was_added_since() -> None:
    before = "channels: [a]\npkgs_dirs:\n  - /old\n"
    now = with_items(before, [NEW], ["/old"]).replace("channels: [a]", "channels: [a, b]  # more")
    assert point_back(now.encode(), before.encode(), NEW) == before.replace("[a]", "[a, b]  # more").encode()


def test_pointing_back_touches_nothing_when_somebody_named_another_folder() -> None:
    now = b"pkgs_dirs:\n  - /elsewhere\n"
    assert point_back(now, b"", NEW) is now


def test_a_file_that_was_not_there_goes_again_unless_something_else_is_in_it() -> None:
    made = with_items("", [NEW], []).encode()
    assert point_back(made, None, NEW) is None
    assert point_back(made + b"channels: [a]\n", None, NEW) == b"channels: [a]\n"
