"""The edit of a pip.conf: one key changes, and every other byte stays."""

import configparser
import re
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cachewarden.ecosystems.pip_conf import with_cache_dir, without_cache_dir
from cachewarden.ecosystems.pip_config import MOST_LINES, Dialect

NEW = "/media/usb/pip"


def read(text: str) -> dict[str, dict[str, str]]:
    parser = Dialect()
    parser.read_file(StringIO(text.replace("\r\n", "\n").replace("\r", "\n")))
    return {"DEFAULT": dict(parser.defaults()), **{name: dict(parser.items(name)) for name in parser.sections()}}


class TestAValueThatIsThere:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("[global]\ncache-dir = /old\n", "[global]\ncache-dir = /media/usb/pip\n"),
            ("[global]\ncache_dir=/old", "[global]\ncache_dir=/media/usb/pip"),
            ("[global]\nCACHE-DIR:   /old  \n", "[global]\nCACHE-DIR:   /media/usb/pip  \n"),
            ("[global]\n--cache-dir = /old\n", "[global]\n--cache-dir = /media/usb/pip\n"),
            ("[global]\r\n\tcache-dir\t=\t/old\r\n", "[global]\r\n\tcache-dir\t=\t/media/usb/pip\r\n"),
            ("[global]\rcache-dir = /old\r", "[global]\rcache-dir = /media/usb/pip\r"),
            ("[global]\ncache-dir = /old ; no comment\n", "[global]\ncache-dir = /media/usb/pip\n"),
            ("[global]\ncache-dir =\n", "[global]\ncache-dir = /media/usb/pip\n"),
            ("[global]\ncache-dir=\n", "[global]\ncache-dir= /media/usb/pip\n"),
            ("[global]\ncache-dir = a = b : c\n", "[global]\ncache-dir = /media/usb/pip\n"),
        ],
    )
    def test_is_replaced_and_nothing_else(self, before: str, after: str) -> None:
        assert with_cache_dir(before, NEW) == after

    def test_goes_with_the_lines_on_which_it_went_on_but_not_with_the_comments_there(self) -> None:
        before = "[global]\ncache-dir = /a\n  /b\n# why\n\n   /c\n# next\n\nquiet = 1\n"
        assert with_cache_dir(before, NEW) == ("[global]\ncache-dir = /media/usb/pip\n# why\n\n# next\n\nquiet = 1\n")

    def test_of_another_section_is_left_alone(self) -> None:
        before = "[install]\ncache-dir = /i\n[global]\ncache-dir = /old\n[wheel]\ncache-dir = /w\n"
        assert with_cache_dir(before, NEW) == before.replace("/old", NEW)

    def test_that_is_more_of_another_value_is_none(self) -> None:
        before = "[global]\nfind-links = /a\n  cache-dir = /b\n"
        assert with_cache_dir(before, NEW) == f"[global]\ncache-dir = {NEW}\nfind-links = /a\n  cache-dir = /b\n"


class TestAKeyThatIsMissing:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", "[global]\ncache-dir = /media/usb/pip\n"),
            ("[global]\nquiet = 1\n", "[global]\ncache-dir = /media/usb/pip\nquiet = 1\n"),
            ("[global]", "[global]\ncache-dir = /media/usb/pip"),
            ("[global]\r\n# c\r\n", "[global]\r\ncache-dir = /media/usb/pip\r\n# c\r\n"),
            ("[install]\nx = 1\n", "[install]\nx = 1\n\n[global]\ncache-dir = /media/usb/pip\n"),
            ("[install]\r\nx = 1", "[install]\r\nx = 1\r\n\r\n[global]\r\ncache-dir = /media/usb/pip\r\n"),
            ("# only this\n\n", "# only this\n\n[global]\ncache-dir = /media/usb/pip\n"),
            ("  # x\n[install]\n  x = 1\n", "  # x\n[install]\n  x = 1\n\n[global]\ncache-dir = /media/usb/pip\n"),
        ],
    )
    def test_is_added_where_people_would_look_for_it(self, before: str, after: str) -> None:
        assert with_cache_dir(before, NEW) == after

    @pytest.mark.parametrize("next_line", ["quiet = 1\n", "\tquiet = 1\n", "[wheel]\nquiet = 1\n"])
    def test_stands_as_deep_as_what_follows_which_would_be_more_of_it_otherwise(self, next_line: str) -> None:
        after = with_cache_dir(f"[global]\n# c\n    {next_line}", NEW)
        assert read(after)["global"]["cache-dir"] == NEW
        assert f"[global]\n    {next_line[: -len(next_line.lstrip())]}cache-dir" in after

    def test_that_the_default_section_gave_is_now_given_by_the_section(self) -> None:
        after = with_cache_dir("[DEFAULT]\ncache-dir = /old\n[global]\nquiet = 1\n", NEW)
        assert after == f"[DEFAULT]\ncache-dir = /old\n[global]\ncache-dir = {NEW}\nquiet = 1\n"


class TestWhatCannotBeEdited:
    @pytest.mark.parametrize(
        "text",
        [
            "cache-dir = /x\n",
            "[global]\njust words\n",
            "[global]\ncache-dir = /a\ncache_dir = /b\n",
            "[global]\n[global]\n",
            "\ufeff[global]\ncache-dir = /x\n",
            "\ufeff",
        ],
    )
    def test_is_a_file_at_which_pip_stops(self, text: str) -> None:
        with pytest.raises(ValueError, match="cannot be read by pip"):
            with_cache_dir(text, NEW)

    def test_is_a_file_of_too_many_lines(self) -> None:
        with pytest.raises(ValueError, match="lines: too long"):
            with_cache_dir("\n" * (MOST_LINES + 1), NEW)

    def test_is_a_default_section_that_a_new_section_would_put_in_force(self) -> None:
        with pytest.raises(ValueError, match=r"would put index-url, quiet of \[DEFAULT\] in force"):
            with_cache_dir("[DEFAULT]\nquiet = 1\nindex-url = x\n", NEW)

    @pytest.mark.parametrize("value", ["/a\nb", "/a ", "/a\r", "/a\n[x]"])
    def test_is_a_value_that_pip_would_read_otherwise(self, value: str) -> None:
        with pytest.raises(ValueError, match="cannot name"):
            with_cache_dir("[global]\n", value)


class TestTakingBack:
    @pytest.mark.parametrize(
        "original", [None, "", "[global]\n", "[global]\ncache_dir : /a\n  /b\n# c\n  /d\n", "[x]"]
    )
    def test_gives_exactly_the_original_while_nobody_else_wrote(self, original: str | None) -> None:
        assert without_cache_dir(with_cache_dir(original or "", NEW), original, NEW) == original

    def test_leaves_a_file_alone_that_says_something_else_by_now(self) -> None:
        for current in ("[global]\ncache-dir = /mine\n", "[install]\nx = 1\n", "", "broken", "[global]\n"):
            assert without_cache_dir(current, "[global]\ncache-dir = /old\n", NEW) == current

    def test_restores_the_value_and_keeps_what_was_added_since(self) -> None:
        original = "# mine\n[global]\nCache_Dir:/old\n  /older\n"
        current = with_cache_dir(original, NEW) + "timeout = 5\n[install]\nuser = yes\n"
        assert without_cache_dir(current, original, NEW) == original + "timeout = 5\n[install]\nuser = yes\n"

    def test_restores_the_value_when_the_line_has_moved_to_other_line_ends(self) -> None:
        current = f"[global]\r\ntimeout = 5\r\ncache-dir = {NEW}\r\n"
        assert without_cache_dir(current, "[global]\ncache-dir=/old", NEW) == (
            "[global]\r\ntimeout = 5\r\ncache-dir=/old\r\n"
        )

    def test_restores_the_value_alone_where_the_line_would_be_more_of_another(self) -> None:
        current = f"[global]\ntimeout = 5\ncache-dir = {NEW}\n"
        assert without_cache_dir(current, "[global]\n  cache-dir = /old\n", NEW) == (
            "[global]\ntimeout = 5\ncache-dir = /old\n"
        )

    def test_removes_the_line_and_the_section_that_were_not_there(self) -> None:
        current = with_cache_dir("[install]\nuser = yes\n", NEW) + "\n[wheel]\nx = 1\n"
        assert (
            without_cache_dir(current, "[install]\nuser = yes\n", NEW) == "[install]\nuser = yes\n\n[wheel]\nx = 1\n"
        )

    def test_keeps_the_section_when_others_use_it_or_it_was_there(self) -> None:
        current = with_cache_dir("", NEW) + "timeout = 5\n"
        assert without_cache_dir(current, None, NEW) == "[global]\ntimeout = 5\n"
        assert without_cache_dir(f"[global]\ncache-dir={NEW}\n", "[global]\n# c\n", NEW) == "[global]\n"
        assert without_cache_dir(with_cache_dir("", NEW) + "# c\n", None, NEW) == "[global]\n# c\n"

    def test_leaves_nothing_of_a_file_that_was_not_there(self) -> None:
        assert without_cache_dir(f"\n[global]\n\ncache-dir: {NEW}\n\n", None, NEW) is None
        assert without_cache_dir(f"\n[global]\n\ncache-dir: {NEW}\n\n", "", NEW) == "\n\n\n"

    def test_lets_the_default_section_speak_again(self) -> None:
        original = "[DEFAULT]\ncache-dir = /d\n[global]\n"
        current = with_cache_dir(original, NEW) + "quiet = 1\n"
        assert without_cache_dir(current, original, NEW) == original + "quiet = 1\n"


KEYS = ["cache-dir", "cache_dir", "CACHE-DIR", "--cache-dir", "quiet", "timeout", "find-links", "index-url"]
margins = st.sampled_from(["", "", "", " ", "    ", "\t", "\x0b", "\xa0"])
values = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
option = st.builds(
    "{}{}{}{}{}".format,
    margins,
    st.sampled_from(KEYS),
    st.sampled_from(["=", ":", " = ", "\t:\t", "= "]),
    values | st.sampled_from(["/old", "/a b", "", "a=b", "[x]"]),
    margins,
)
line = option | st.builds(
    "{}{}".format,
    margins,
    st.sampled_from(
        ["[global]", "[install]", "[wheel]", "[DEFAULT]", "[cache] ; x", "# c", "; c", "", "   more", "\t# x", "/x"]
    ),
)
confs = st.builds(
    lambda lines, end, last: end.join(lines) + (end if last else ""),
    st.lists(line, max_size=9).map(lambda lines: ["[global]", *lines] if len(lines) % 2 else lines),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
paths = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(
    lambda text: "/" + text.strip() + "x"
)


def edited(text: str, value: str) -> str | None:
    try:
        return with_cache_dir(text, value)
    except ValueError:
        return None


@given(confs, paths)
@example("[global]\n  cache-dir = /a\n    /b\n\n\n# c\n    /d\n  quiet = 1", "/x")
@example("[global]\ncache-dir=\x0c#", "/x")
def test_pip_reads_the_new_value_and_all_else_as_before_from_any_file(text: str, value: str) -> None:
    after = edited(text, value)
    if after is None:
        return
    before = read(text)
    assert read(after) == {**before, "global": {**before.get("global", {}), "cache-dir": value}}
    assert comments(after) == comments(text)


def comments(text: str) -> list[str]:
    """By the line ends that a file has for pip; ``str.splitlines`` has more, a form feed within a value for one."""
    return [each for each in re.split(r"\r\n|\n|\r", text) if each.strip().startswith(("#", ";"))]


@given(confs, paths)
def test_any_file_is_taken_back_byte_for_byte(text: str, value: str) -> None:
    after = edited(text, value)
    if after is not None:
        assert without_cache_dir(after, text, value) == text


@given(confs, paths, option, st.sampled_from(["top", "bottom", "wheel"]))
def test_after_any_other_edit_the_key_is_restored_and_the_edit_kept(
    text: str, value: str, added: str, where: str
) -> None:
    after = edited(text, value)
    if after is None:
        return
    end = "\r\n" if "\r\n" in text else "\r" if "\r" in text else "\n"
    current = {
        "top": f"# hello{end}{after}",
        "bottom": after + (end if not after.endswith(end) else "") + added,
        "wheel": after + f"{end}[other]{end}{added.strip()}",
    }[where]
    back = without_cache_dir(current, text, value)
    assert back is not None
    try:
        meaning = read(current)
    except configparser.Error:
        assert back == current
        return
    if meaning["global"].get("cache-dir") != value:
        assert back == current
        return
    before, restored = read(text), read(back)
    if before["DEFAULT"].get("cache-dir") != meaning["DEFAULT"].get("cache-dir"):
        return  # what was added is the value that is in force where the section has none
    values = [each.get("global", each["DEFAULT"]).get("cache-dir") for each in (restored, before)]
    assert values[0] == values[1]
    for name in {*meaning, *restored}:
        rest = {key: each for key, each in meaning.get(name, {}).items() if (name, key) != ("global", "cache-dir")}
        told = {key: each for key, each in restored.get(name, {}).items() if (name, key) != ("global", "cache-dir")}
        assert told == rest


@given(st.text(max_size=80), st.text(max_size=80) | st.none(), st.text(max_size=10))
def test_no_text_whatever_makes_taking_back_raise(current: str, original: str | None, value: str) -> None:
    without_cache_dir(current, original, value)


@given(confs, paths, st.sampled_from(["top", "bottom", "both"]))
def test_after_an_edit_elsewhere_no_other_line_changes_by_a_byte(text: str, value: str, where: str) -> None:
    after = edited(text, value)
    if after is None:
        return
    end = "\r\n" if "\r\n" in text else "\r" if "\r" in text else "\n"

    def typed(before: str) -> str:
        before = before if where == "bottom" else f"# hello{end}{before}"
        closed = before if before.endswith(("\r", "\n")) or not before else before + end
        return before if where == "top" else f"{closed}# bye{end}"

    back = without_cache_dir(typed(after), text, value)
    assert back is not None
    wanted = read(typed(text))
    assert read(back) in (wanted, {"global": wanted["DEFAULT"], **wanted})
    lines = [[each for each in re.split("\r\n|\r|\n", one) if each] for one in (back, typed(text))]
    if "global" in read(text):
        assert lines[0] == lines[1]
    else:  # a comment behind our section keeps that
        assert [each for each in lines[0] if each != "[global]"] == lines[1]
