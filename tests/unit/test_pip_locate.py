"""Where pip's cache is: each rule of pip's configuration, without a pip or a disk."""

import errno
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.ecosystems.base import Candidate, Located, Surroundings
from cachewarden.ecosystems.pip_config import LIMIT, MOST_LINES, locate
from cachewarden.model.caches import Owner
from fakes import FakeFiles

ALICE = Owner(1000, 1000, "alice", "/home/alice")
DEFAULT = "/home/alice/.cache/pip"
USER = "/home/alice/.config/pip/pip.conf"
LEGACY = "/home/alice/.pip/pip.conf"
ETC = "/etc/pip.conf"


def found(files: Mapping[str, str | bytes | OSError] | None = None, /, **environ: str) -> Located:
    return locate(Surroundings(ALICE, environ, FakeFiles(files)))


def in_use(located: Located) -> list[str]:
    return [each.path for each in located.candidates if "left behind" not in each.source]


def reasons(located: Located) -> str:
    return "\n".join(f"{problem.path}: {problem.reason}" for problem in located.problems)


def test_without_configuration_the_cache_is_below_the_home() -> None:
    assert found() == Located(candidates=(Candidate("pip", DEFAULT, "default"),))


def test_xdg_cache_home_moves_the_default_and_the_usual_place_may_have_been_left_behind() -> None:
    located = found(XDG_CACHE_HOME="/fast//cache/")
    assert in_use(located) == ["/fast/cache/pip"]
    assert located.candidates[1].path == DEFAULT
    assert "XDG_CACHE_HOME is /fast//cache" in located.candidates[1].source


def test_a_relative_xdg_cache_home_is_ignored() -> None:
    assert in_use(found(XDG_CACHE_HOME="cache")) == [DEFAULT]


@pytest.mark.parametrize("home", [{}, {"HOME": ""}])
def test_without_home_the_owners_home_counts(home: dict[str, str]) -> None:
    assert in_use(found(None, **home)) == [DEFAULT]


def test_home_in_the_environment_counts_before_the_owners() -> None:
    assert in_use(found(HOME="/tmp/other")) == ["/tmp/other/.cache/pip"]


def test_pip_cache_dir_wins_and_the_default_is_left_behind() -> None:
    located = found({ETC: "[install]\ncache-dir = /etc-says\n"}, PIP_CACHE_DIR="/env-says")
    assert located.candidates[0] == Candidate("pip", "/env-says", "PIP_CACHE_DIR in the environment", configured=True)
    assert located.candidates[-1] == Candidate(
        "pip", DEFAULT, "left behind at the default path (cache-dir is /env-says by PIP_CACHE_DIR in the environment)"
    )


def test_an_overridden_folder_may_have_been_left_behind() -> None:
    located = found({ETC: "[global]\ncache-dir = /old\n"}, PIP_CACHE_DIR="/new")
    old = next(each for each in located.candidates if each.path == "/old")
    assert old.source.startswith("left behind: cache-dir of /etc/pip.conf [global]")
    assert not old.configured


@pytest.mark.parametrize("empty", [{"PIP_CACHE_DIR": ""}, {"PIP_NO_CACHE_DIR": ""}])
def test_empty_variables_are_as_good_as_unset(empty: dict[str, str]) -> None:
    located = found(None, **empty)
    assert in_use(located) == [DEFAULT]
    assert not located.problems


def test_an_empty_value_hides_the_weaker_file_and_then_counts_as_absent() -> None:
    assert in_use(found({ETC: "[global]\ncache-dir = /x\n", USER: "[global]\ncache-dir =\n"})) == [DEFAULT]


@pytest.mark.parametrize("name", ["pip_cache_dir", "PIP_cache_dir", "PIP_CACHE-DIR"])
def test_only_variables_that_begin_with_pip_in_capitals_count(name: str) -> None:
    expected = ["/x"] if name.startswith("PIP_") else [DEFAULT]
    assert in_use(found(None, **{name: "/x"})) == expected


@pytest.mark.parametrize("key", ["cache-dir", "cache_dir", "Cache-Dir", "--cache-dir", "CACHE_DIR"])
@pytest.mark.parametrize("sign", ["=", ":", " = "])
def test_keys_are_read_in_every_spelling(key: str, sign: str) -> None:
    assert in_use(found({USER: f"[global]\n{key}{sign}/x\n"})) == ["/x"]


def test_a_candidate_says_which_file_and_section_named_it() -> None:
    located = found({ETC: "[install]\ncache-dir = /x\n"})
    assert located.candidates[0] == Candidate("pip", "/x", "/etc/pip.conf [install] cache-dir", configured=True)


def test_later_files_override_earlier_ones_in_pips_order() -> None:
    files: dict[str, str] = {}
    order = ["/a/pip/pip.conf", "/b/pip/pip.conf", ETC, LEGACY, USER, "/venv/pip.conf"]
    for place in order:
        files[place] = f"[global]\ncache-dir = /from{place}\n"
        assert in_use(found(files, XDG_CONFIG_DIRS="/a:/b", VIRTUAL_ENV="/venv"))[-1] == f"/from{place}"


def test_the_default_of_xdg_config_dirs_is_etc_xdg() -> None:
    files = {"/etc/xdg/pip/pip.conf": "[global]\ncache-dir = /x\n"}
    assert in_use(found(files)) == ["/x"]
    assert in_use(found(files, XDG_CONFIG_DIRS="relative")) == ["/x"]
    assert in_use(found(files, XDG_CONFIG_DIRS="/elsewhere")) == [DEFAULT]


def test_xdg_config_home_moves_the_users_file_unless_it_is_relative() -> None:
    files = {"/conf/pip/pip.conf": "[global]\ncache-dir = /conf-says\n", USER: "[global]\ncache-dir = /usual-says\n"}
    assert in_use(found(files, XDG_CONFIG_HOME="/conf")) == ["/conf-says"]
    assert in_use(found(files, XDG_CONFIG_HOME="conf")) == ["/usual-says"]


def test_sections_beat_files() -> None:
    files = {ETC: "[install]\ncache-dir = /section\n", USER: "[global]\ncache-dir = /file\n"}
    assert in_use(found(files)) == ["/section", "/file"]


@pytest.mark.parametrize("section", ["install", "download", "wheel", "lock"])
def test_every_command_that_fills_the_cache_may_have_its_own(section: str) -> None:
    located = found({ETC: f"[{section}]\ncache-dir = /own\n"})
    assert sorted(in_use(located)) == [DEFAULT, "/own"]


def test_sections_of_other_commands_do_not_count() -> None:
    assert in_use(found({ETC: "[list]\ncache-dir = /x\n[Global]\ncache-dir = /y\n"})) == [DEFAULT]


def test_what_the_default_section_says_holds_for_each_section_there_is() -> None:
    assert in_use(found({ETC: "[DEFAULT]\ncache-dir = /x\n"})) == [DEFAULT]
    assert in_use(found({ETC: "[DEFAULT]\ncache-dir = /x\n[global]\nquiet = 0\n"})) == ["/x"]


def test_the_cache_section_moves_only_what_pip_cache_dir_says() -> None:
    located = found({ETC: "[cache]\ncache-dir = /told\n"})
    assert in_use(located) == [DEFAULT]
    assert "/told" not in [each.path for each in located.candidates]
    assert located.problems[0].path == ETC
    assert "pip cache dir disagrees with pip install" in located.problems[0].reason


def test_a_section_for_install_makes_pip_cache_dir_disagree_too() -> None:
    assert "pip cache dir disagrees with pip install" in reasons(found({ETC: "[install]\ncache-dir = /x\n"}))
    assert "disagrees" not in reasons(found({ETC: "[global]\ncache-dir = /x\n"}))


class TestTheFileThatAVariableNames:
    FILE = "/my/pip.conf"

    def test_shuts_out_the_users_files_but_not_the_others_when_it_exists(self) -> None:
        files = {
            self.FILE: "[global]\nquiet = 1\n",
            USER: "[global]\ncache-dir = /user\n",
            ETC: "[global]\ncache-dir = /etc-says\n",
        }
        assert in_use(found(files, PIP_CONFIG_FILE=self.FILE)) == ["/etc-says"]

    def test_beats_the_file_of_a_virtual_environment(self) -> None:
        files = {self.FILE: "[global]\ncache-dir = /mine\n", "/venv/pip.conf": "[global]\ncache-dir = /venvs\n"}
        assert in_use(found(files, PIP_CONFIG_FILE=self.FILE, VIRTUAL_ENV="/venv")) == ["/mine"]

    def test_changes_nothing_when_it_is_missing(self) -> None:
        located = found({USER: "[global]\ncache-dir = /user\n"}, PIP_CONFIG_FILE="/missing")
        assert in_use(located) == ["/user"]
        assert not located.problems

    def test_turns_every_file_off_when_it_is_dev_null(self) -> None:
        files = {USER: "[global]\ncache-dir = /user\n", ETC: "[global]\ncache-dir = /etc-says\n"}
        assert in_use(found(files, PIP_CONFIG_FILE="/dev/null")) == [DEFAULT]
        assert in_use(found(files, PIP_CONFIG_FILE="/dev/null", PIP_CACHE_DIR="/env")) == ["/env"]

    def test_cannot_be_known_when_it_is_relative(self) -> None:
        located = found({USER: "[global]\ncache-dir = /user\n"}, PIP_CONFIG_FILE="~/pip.conf")
        assert in_use(located) == ["/user"]
        assert located.problems[0].path == "PIP_CONFIG_FILE"
        assert "relative" in located.problems[0].reason

    def test_is_unset_when_it_is_empty(self) -> None:
        assert not found(PIP_CONFIG_FILE="").problems


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local", "/home/alice/venv"])
def test_each_interpreter_may_have_a_file_of_its_own(prefix: str) -> None:
    files = {f"{prefix}/pip.conf": "[global]\ncache-dir = /site\n", USER: "[global]\ncache-dir = /user\n"}
    assert in_use(found(files, VIRTUAL_ENV="/home/alice/venv")) == ["/user", "/site"]


def test_files_of_different_interpreters_do_not_mix() -> None:
    files = {"/usr/pip.conf": "[global]\ncache-dir = /a\n", "/usr/local/pip.conf": "[global]\nno-cache-dir = true\n"}
    assert in_use(found(files)) == [DEFAULT, "/a"]


class TestAValue:
    def test_has_its_tilde_expanded_but_no_variable(self) -> None:
        assert in_use(found(PIP_CACHE_DIR="~/x")) == ["/home/alice/x"]
        assert in_use(found(PIP_CACHE_DIR="~")) == ["/home/alice"]
        assert in_use(found(PIP_CACHE_DIR="~alice/x", HOME="/elsewhere")) == ["/home/alice/x"]
        located = found(PIP_CACHE_DIR="$HOME/x")
        assert in_use(located) == []
        assert "relative" in reasons(located)

    def test_that_is_relative_is_a_problem_and_the_default_is_left_behind(self) -> None:
        located = found({ETC: "[global]\ncache-dir = some/where\n"})
        assert in_use(located) == []
        assert located.candidates[0].path == DEFAULT
        assert located.problems[0].path == ETC
        assert "'some/where'" in located.problems[0].reason

    def test_is_not_interpolated(self) -> None:
        assert in_use(found({ETC: "[global]\nx = 1\ncache-dir = /a%(x)s/%d\n"})) == ["/a%(x)s/%d"]

    def test_that_goes_on_over_lines_is_a_problem(self) -> None:
        located = found({ETC: "[global]\ncache-dir = /a\n  /b\n"})
        assert "control characters" in reasons(located)
        assert [each.path for each in located.candidates] == [DEFAULT]

    def test_has_only_dots_and_slashes_tidied(self) -> None:
        assert in_use(found(PIP_CACHE_DIR="//a/./b//")) == ["/a/b"]

    @pytest.mark.parametrize("value", ["/a/../b", "/a\0b", "~bob/x", "/" + "x" * 5000, "/\ud800"])
    def test_that_no_safe_folder_can_have_is_refused(self, value: str) -> None:
        located = found(PIP_CACHE_DIR=value)
        assert [each.path for each in located.candidates] == [DEFAULT]
        assert located.problems[0].path == "PIP_CACHE_DIR"

    def test_keeps_what_stands_behind_a_comment_sign_within_it(self) -> None:
        assert in_use(found({ETC: "# top\n[global]\ncache-dir = /a #b ; c\n"})) == ["/a #b ; c"]


class TestACacheThatIsOff:
    @pytest.mark.parametrize("value", ["true", "false", "0", "1", "no", "OFF", "y"])
    def test_is_off_by_any_boolean(self, value: str) -> None:
        located = found(PIP_NO_CACHE_DIR=value)
        assert in_use(located) == []
        assert located.problems[0].path == "PIP_NO_CACHE_DIR"
        assert "pip's cache is off" in located.problems[0].reason

    def test_left_its_default_and_its_named_folder_behind(self) -> None:
        files = {ETC: "[global]\nno-cache-dir = false\n", USER: "[global]\ncache-dir = /named\n"}
        located = found(files, PIP_CACHE_DIR="/env")
        assert in_use(located) == []
        assert [each.path for each in located.candidates] == ["/named", "/env", DEFAULT]
        assert not any(each.configured for each in located.candidates)
        assert located.candidates[-1].source == (
            "left behind at the default path (the cache is off by /etc/pip.conf [global])"
        )

    def test_may_be_off_for_one_command_only(self) -> None:
        located = found({ETC: "[install]\nno-cache-dir = true\n"})
        assert in_use(located) == [DEFAULT]
        assert "off for pip install by" in reasons(located)

    def test_is_on_again_when_a_stronger_file_empties_the_switch(self) -> None:
        assert in_use(found({ETC: "[global]\nno-cache-dir = 1\n", USER: "[global]\nno-cache-dir =\n"})) == [DEFAULT]

    @pytest.mark.parametrize("value", ["banana", " ", "2"])
    def test_cannot_be_told_when_the_switch_is_no_boolean(self, value: str) -> None:
        located = found(PIP_NO_CACHE_DIR=value)
        assert located.problems[0].path == "PIP_NO_CACHE_DIR"
        assert "pip stops" in located.problems[0].reason
        assert in_use(located) == [DEFAULT]

    def test_names_the_file_of_a_switch_that_is_no_boolean(self) -> None:
        located = found({USER: "[wheel]\nno-cache-dir = banana\n"})
        assert (located.problems[0].path, "banana" in located.problems[0].reason) == (USER, True)


class TestAFileThatPipCannotRead:
    @pytest.mark.parametrize(
        "text",
        [
            "[global]\ncache-dir = /a\ncache-dir = /b\n",
            "[global]\ncache-dir = /a\ncache_dir = /b\n",
            "[global]\ncache-dir = /a\n[global]\ncache-dir = /b\n",
            "[global]\ncache-dir = /b\njust words\n",
        ],
    )
    def test_stops_pip_and_still_tells_what_it_can(self, text: str) -> None:
        located = found({ETC: text})
        assert located.problems[0].path == ETC
        assert "pip stops at this file" in located.problems[0].reason
        assert in_use(located) == ["/b"]

    @pytest.mark.parametrize("text", ["cache-dir = /a\n", "\ufeff[global]\ncache-dir = /a\n"])
    def test_without_a_section_header_first_tells_nothing(self, text: str) -> None:
        located = found({ETC: text, USER: "[global]\ncache-dir = /user\n"})
        assert "pip stops at this file" in located.problems[0].reason
        assert in_use(located) == ["/user"]

    def test_is_named_when_it_is_not_utf_8(self) -> None:
        located = found({ETC: b"# caf\xe9\n[global]\ncache-dir = /x\n"})
        assert located.problems[0].path == ETC
        assert "UTF-8" in located.problems[0].reason
        assert in_use(located) == ["/x"]

    @pytest.mark.parametrize(
        "content", [PermissionError(errno.EACCES, "denied"), OSError(errno.EINVAL, "a FIFO"), "x" * (LIMIT + 1)]
    )
    def test_is_named_when_it_is_unreadable_no_file_or_huge(self, content: str | OSError) -> None:
        located = found({USER: content, ETC: "[global]\ncache-dir = /x\n"})
        assert [problem.path for problem in located.problems] == [USER]
        assert in_use(located) == ["/x"]

    def test_is_named_when_it_has_more_lines_than_configparser_can_cope_with(self) -> None:
        located = found({ETC: "[global]\ncache-dir = /x\n" + "x\n" * MOST_LINES})
        assert reasons(located).startswith(f"{ETC}: has more than {MOST_LINES} lines")
        assert in_use(located) == [DEFAULT]

    def test_is_named_when_it_is_a_folder(self) -> None:
        assert reasons(found({f"{USER}/inside": ""})).startswith(USER)

    def test_is_read_with_any_line_ends(self) -> None:
        assert in_use(found({ETC: "[global]\r\ncache-dir = /x\r\n"})) == ["/x"]
        assert in_use(found({ETC: "[global]\rcache-dir = /x\r"})) == ["/x"]

    def test_is_read_once_however_many_interpreters_share_it(self) -> None:
        files = FakeFiles({ETC: "[global\n", "/usr/pip.conf": "[global]\ncache-dir = /x\n"})
        located = locate(Surroundings(ALICE, {"VIRTUAL_ENV": "/venv"}, files))
        assert files.read.count(ETC) == 1
        assert len(located.problems) == 1


def test_an_owner_whose_home_is_the_root_folder_is_no_special_case() -> None:
    nobody = Owner(65534, 65534, "nobody", "/")
    assert locate(Surroundings(nobody, {}, FakeFiles())).candidates[0].path == "/.cache/pip"


BITS = (
    *("[global]", "[install]", "[DEFAULT]", "[cache]", "[:env:]", "[", "cache-dir=/a", "cache_dir : ~", "key"),
    *("no-cache-dir=x", "  more", "= 3", "cache-dir", "\x00", "\ud800", "%(", "\x85", "\ufeff", "cache-dir = /a\0b"),
)
lines = st.lists(st.sampled_from(BITS) | st.text(max_size=20), max_size=12)


@given(lines, st.text(max_size=20), st.binary(max_size=60))
def test_no_text_whatever_makes_it_raise(words: list[str], value: str, data: bytes) -> None:
    text = "\n".join(words).encode("utf-8", "surrogatepass")
    located = found({ETC: text, USER: data}, PIP_CACHE_DIR=value, PIP_NO_CACHE_DIR=value, XDG_CACHE_HOME=f"/{value}")
    for candidate in located.candidates:
        assert candidate.path.startswith("/")
        assert not {"..", ".", ""} & set(candidate.path[1:].split("/")) or candidate.path == "/"
        assert "\0" not in candidate.path
