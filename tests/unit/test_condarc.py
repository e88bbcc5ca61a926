"""condarc files: what they say, which of them are read, and which wins."""

import errno
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.condarc import (
    CONDA_NAMES,
    LIMIT,
    MAMBA_NAMES,
    Flag,
    Item,
    ListSetting,
    Reader,
    environment,
    expand_variables,
    mamba_search_path,
    merge,
    parse,
    search_path,
)
from cachewarden.ecosystems.paths import plain_path
from cachewarden.model.caches import Owner
from fakes import FakeFiles

ALICE = Owner(1000, 1000, "alice", "/home/alice")
RC = "/home/alice/.condarc"
BITS = (
    *("pkgs_dirs:", "  - /a #!top", "- ~", "[", "{", "&a", "*a", "? x", ": y", "!!set", "---", "...", "'", '"\\x'),
    *("|", ">-", "%TAG ! x", "softlink: true", "\t", "\ufeff", "#!final", "<<: *a"),
)


def around(files: Mapping[str, str | bytes | OSError] | None = None, **environ: str) -> Surroundings:
    return Surroundings(ALICE, environ, FakeFiles(files))


def items(text: str, key: str = "pkgs_dirs") -> list[tuple[str, Flag | None]]:
    return [(item.text, item.flag) for item in parse(RC, text).lists[key].items]


def texts(text: str, key: str = "pkgs_dirs") -> list[str]:
    return [item[0] for item in items(text, key)]


def reasons(text: str) -> str:
    found = parse(RC, text)
    assert all(problem.path == RC for problem in found.problems)
    return "\n".join(problem.reason for problem in found.problems)


class TestParsing:
    def test_reads_lists_in_either_style(self) -> None:
        assert texts("pkgs_dirs:\n  - /a\n  - '/b c'\n") == ["/a", "/b c"]
        assert texts('pkgs_dirs: [/a, "/b"]\n') == ["/a", "/b"]

    @pytest.mark.parametrize("key", ["envs_dirs", "envs_path"])
    def test_knows_both_names_of_the_environment_folders(self, key: str) -> None:
        assert texts(f"{key}: [/a]\n", "envs_dirs") == ["/a"]

    def test_says_where_a_value_stands(self) -> None:
        assert parse(RC, "pkgs_dirs: [/a]").lists["pkgs_dirs"].items == (Item("/a", RC, f"pkgs_dirs in {RC}"),)

    @pytest.mark.parametrize("text", ["", "# only a comment\n", "~\n", "{}", "pkgs_dirs: ~\n", "pkgs_dirs:\n"])
    def test_finds_nothing_in_empty_files_and_values(self, text: str) -> None:
        found = parse(RC, text)
        assert (found.lists, found.switches, found.problems) == ({}, {}, ())

    def test_reads_the_flags_of_items(self) -> None:
        text = "pkgs_dirs:\n  - /a  #!top\n  - '/b' #!bottom\n  - /c # top\n  - \"/d #!top\"\n  - /e#!top\n"
        assert items(text) == [
            ("/a", Flag.TOP),
            ("/b", Flag.BOTTOM),
            ("/c", None),
            ("/d #!top", None),
            ("/e#!top", None),
        ]

    @pytest.mark.parametrize("text", ["pkgs_dirs:  #!final\n  - /a\n", "pkgs_dirs: [/a]  #!final\n"])
    def test_reads_the_final_flag_of_a_key(self, text: str) -> None:
        assert parse(RC, text).lists["pkgs_dirs"].final
        assert not parse(RC, text.replace("!final", " final")).lists["pkgs_dirs"].final

    @pytest.mark.parametrize("word", ["true", "True", "yes", "on", "y", "1", "'true'", "2.5"])
    def test_takes_for_true_what_conda_takes(self, word: str) -> None:
        assert parse(RC, f"always_softlink: {word}\n").switches["always_softlink"].value

    @pytest.mark.parametrize("word", ["false", "no", "off", "n", "0", "none", "~", "''", ""])
    def test_takes_for_false_what_conda_takes(self, word: str) -> None:
        assert not parse(RC, f"always_softlink: {word}\n").switches["always_softlink"].value

    def test_knows_the_switches_and_their_other_names(self) -> None:
        found = parse(RC, "softlink: true #!final\nallow_softlinks: true\ncopy: true\n").switches
        assert sorted(found) == ["allow_softlinks", "always_copy", "always_softlink"]
        assert (found["always_softlink"].final, found["allow_softlinks"].final) == (True, False)
        assert found["always_softlink"].source == f"softlink in {RC}"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("pkgs_dirs: /a\n", "must be a list"),
            ("pkgs_dirs: {a: b}\n", "must be a list"),
            ("pkgs_dirs: [[/a], {b: c}, ~]\n", "no text"),
            ("allow_softlinks: perhaps\n", "neither true nor false"),
            ("allow_softlinks: [true]\n", "neither true nor false"),
            ("- a list\n", "keys and values"),
            ("just text", "keys and values"),
            ("pkgs_dirs: [/a\n", "no valid YAML"),
            ("x: 1\na: b: c\n", "no valid YAML in line 2, conda ignores it or stops: mapping values"),
            ("a: *missing\n", "no valid YAML"),
            ("a: 1\n---\nb: 2\n", "no valid YAML"),
            ("a: \udce9\n", "no valid YAML"),
            ("a: \x01\n", "no valid YAML"),
            ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", "no valid YAML"),
            ('a: "\\UFFFFFFFF"\n', "no valid YAML"),
            ("[" * 600, "nested too deeply"),
            ("pkgs_dirs: [/a]\npkgs_dirs: [/b]\n", "given twice"),
            ("envs_dirs: [/a]\nenvs_path: [/b]\n", "given twice"),
        ],
    )
    def test_names_the_file_of_anything_wrong(self, text: str, reason: str) -> None:
        assert reason in reasons(text)

    def test_uses_the_rest_of_a_file_with_a_wrong_value(self) -> None:
        text = "allow_softlinks: perhaps\nenvs_dirs: /x\npkgs_dirs: [/a, [x], /b]\n1: 2\n? [a]\n: b\n"
        assert texts(text) == ["/a", "/b"]
        assert "envs_dirs" not in parse(RC, text).lists

    def test_takes_the_last_of_a_key_that_is_given_twice(self) -> None:
        assert texts("pkgs_dirs: [/a]\npkgs_dirs: [/b]\n") == ["/b"]

    def test_does_not_expand_aliases_into_a_bomb(self) -> None:
        bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60))
        assert texts(f"{bomb}pkgs_dirs: [&p /a, *p]\n") == ["/a", "/a"]
        assert "no text" in reasons("pkgs_dirs: &self [*self]\n")

    def test_makes_no_objects_of_tags(self) -> None:
        assert texts("pkgs_dirs: [!!python/object/apply:os.system /a, !!int /b]\n") == ["/a", "/b"]

    @given(st.text(max_size=80) | st.lists(st.sampled_from(BITS), max_size=10).map("\n".join))
    def test_raises_for_no_text_whatever(self, text: str) -> None:
        found = parse(RC, text)
        assert len(found.problems) <= 20


class TestMerging:
    @staticmethod
    def merged(*sources: str) -> list[str]:
        return [item.text for item in merge([parse(RC, source).lists["pkgs_dirs"] for source in sources])]

    def test_puts_the_stronger_source_first_and_drops_repetitions(self) -> None:
        assert self.merged("pkgs_dirs: [/a, /b]", "pkgs_dirs: [/c, /a]") == ["/c", "/a", "/b"]

    def test_stops_at_the_first_final_source(self) -> None:
        assert self.merged("pkgs_dirs: [/a]", "pkgs_dirs: [/b] #!final", "pkgs_dirs: [/c] #!final") == ["/b", "/a"]

    def test_lifts_what_is_marked_top_and_sinks_what_is_marked_bottom(self) -> None:
        weak = "pkgs_dirs:\n- /a\n- /b #!top\n"
        strong = "pkgs_dirs:\n- /c #!bottom\n- /d\n"
        assert self.merged(weak, strong) == ["/b", "/d", "/a", "/c"]

    def test_among_bottom_items_that_of_the_weakest_source_is_last(self) -> None:
        weak, strong = "pkgs_dirs:\n- /a #!bottom\n", "pkgs_dirs:\n- /b #!bottom\n- /c\n"
        assert self.merged(weak, strong) == ["/c", "/b", "/a"]

    def test_lets_bottom_win_over_top_for_one_value(self) -> None:
        assert self.merged("pkgs_dirs:\n- /a #!bottom\n", "pkgs_dirs:\n- /a #!top\n- /b\n") == ["/b", "/a"]

    def test_of_nothing_is_nothing(self) -> None:
        assert merge([]) == ()
        assert merge([ListSetting(())]) == ()


class TestTheSearchPath:
    def test_has_condas_order(self) -> None:
        entries = search_path(around(CONDARC="/x.yml", XDG_CONFIG_HOME="/xdg"), "/base", "/env")
        firsts = [entry for entry in entries if not entry.endswith(("/condarc", "condarc.d"))]
        assert firsts == [
            "/etc/conda/.condarc",
            "/var/lib/conda/.condarc",
            "/base/.condarc",
            "/xdg/conda/.condarc",
            "/home/alice/.config/conda/.condarc",
            "/home/alice/.conda/.condarc",
            "/home/alice/.condarc",
            "/env/.condarc",
            "/x.yml",
        ]
        assert entries[3:6] == ("/var/lib/conda/.condarc", "/var/lib/conda/condarc", "/var/lib/conda/condarc.d")

    def test_has_a_file_only_at_its_weakest_place(self) -> None:
        entries = search_path(around(), "/base", "/base")
        assert entries.count("/base/.condarc") == 1
        assert entries[-1] == "/home/alice/.condarc"

    def test_of_mamba_has_its_own_files(self) -> None:
        entries = mamba_search_path(around(MAMBARC="~/m.yaml"), "/root")
        assert entries[2] == "/root/.mambarc"
        assert entries[-2:] == ("/home/alice/.mambarc", "/home/alice/m.yaml")
        assert "/home/alice/.config/mamba/mambarc.d" in entries

    @pytest.mark.parametrize("value", ["", "relative.yml", "$UNSET/x.yml"])
    def test_leaves_out_a_variable_that_names_nothing(self, value: str) -> None:
        assert search_path(around(CONDARC=value), None, None)[-1] == "/home/alice/.condarc"


class TestReading:
    @pytest.mark.parametrize(
        ("path", "is_read"),
        [("/x/.condarc", True), ("/x/condarc", True), ("/x/my.yml", True), ("/x/my.yaml", True), ("/x/myrc", False),
         ("/x/.yml", False), ("/x/.mambarc", False), ("/x/my.YML", False)],
    )  # fmt: skip
    def test_passes_over_files_of_other_names_in_silence(self, path: str, is_read: bool) -> None:
        reader = Reader(around({path: "pkgs_dirs: [/a]"}))
        assert [source.path for source in reader.load([path], CONDA_NAMES)] == ([path] if is_read else [])
        assert not reader.problems

    def test_takes_the_yaml_files_of_a_folder_in_order(self) -> None:
        folder = "/etc/conda/condarc.d"
        names = ["20.yml", "10.yaml", "60-noext", ".condarc", "condarc", "90.yml/inside"]
        reader = Reader(around({f"{folder}/{name}": "" for name in names}))
        assert [source.path for source in reader.load([folder], CONDA_NAMES)] == [
            f"{folder}/10.yaml",
            f"{folder}/20.yml",
        ]

    def test_of_mamba_takes_mambarc_too(self) -> None:
        reader = Reader(around({"/x/.mambarc": "pkgs_dirs: [/a]"}))
        assert len(reader.load(["/x/.mambarc"], MAMBA_NAMES)) == 1

    @pytest.mark.parametrize("content", [PermissionError(errno.EACCES, "Permission denied"), "#" * (LIMIT + 1)])
    def test_names_a_file_that_cannot_be_read(self, content: str | OSError) -> None:
        reader = Reader(around({RC: content}))
        reader.load([RC], CONDA_NAMES)
        assert [problem.path for problem in reader.problems] == [RC]

    def test_has_one_budget_for_all_files_since_yaml_is_dear(self) -> None:
        half = "#" * (LIMIT * 2 // 3)
        reader = Reader(around({"/a.yml": half, "/b.yml": half, "/c.yml": "pkgs_dirs: [/c]"}))
        sources = reader.load(["/a.yml", "/b.yml", "/c.yml"], CONDA_NAMES)
        assert [problem.path for problem in reader.problems] == ["/b.yml"]
        assert "pkgs_dirs" in sources[2].lists

    def test_leaves_a_fifo_alone_as_conda_does(self) -> None:
        surroundings = around({RC: OSError(errno.EINVAL, "a FIFO")})
        assert Reader(surroundings).load([RC], CONDA_NAMES) == []

    def test_reads_each_file_and_tells_each_problem_once(self) -> None:
        files = FakeFiles({RC: "pkgs_dirs: 1"})
        reader = Reader(Surroundings(ALICE, {}, files))
        reader.load([RC, RC], CONDA_NAMES)
        reader.load([RC], CONDA_NAMES)
        assert (files.read, len(reader.problems)) == ([RC], 1)

    def test_stops_telling_when_there_is_no_end_of_problems(self) -> None:
        reader = Reader(around())
        for number in range(1000):
            reader.complain("/x", str(number))
        assert len(reader.problems) == 200


class TestVariables:
    def test_split_package_folders_at_commas_and_environment_folders_at_colons(self) -> None:
        found = environment(around(CONDA_PKGS_DIRS="/a, /b:c,,", CONDA_ENVS_PATH="/e:/f,g:"))
        assert [item.text for item in found.lists["pkgs_dirs"].items] == ["/a", "/b:c"]
        assert [item.text for item in found.lists["envs_dirs"].items] == ["/e", "/f,g"]
        assert found.lists["pkgs_dirs"].items[0].source == "CONDA_PKGS_DIRS in the environment"

    def test_of_two_names_for_one_list_add_up(self) -> None:
        found = environment(around(CONDA_ENVS_PATH="/e", CONDA_ENVS_DIRS="/f"))
        assert [item.text for item in found.lists["envs_dirs"].items] == ["/e", "/f"]

    def test_set_switches_for_conda_and_mamba(self) -> None:
        found = environment(around(CONDA_ALLOW_SOFTLINKS="yes", MAMBA_ALWAYS_SOFTLINK="1", CONDA_ALWAYS_COPY="0"))
        assert {name: switch.value for name, switch in found.switches.items()} == {
            "allow_softlinks": True,
            "always_softlink": True,
            "always_copy": False,
        }

    def test_that_say_nothing_sensible_are_problems(self) -> None:
        assert [problem.path for problem in environment(around(CONDA_ALWAYS_COPY="?")).problems] == [
            "CONDA_ALWAYS_COPY"
        ]

    def test_of_other_tools_do_not_count(self) -> None:
        found = environment(around(PKGS_DIRS="/a", MAMBA_PKGS_DIRS="/b", XCONDA_PKGS_DIRS="/c"))
        assert (found.lists, found.switches) == ({}, {})


class TestPaths:
    def test_have_variables_of_the_owner_expanded(self) -> None:
        surroundings = around(SCRATCH="/scratch", HOME="/h")
        assert expand_variables("$SCRATCH/${USER}/$HOME/$", surroundings) == "/scratch/alice//h/$"

    def test_with_a_variable_that_is_not_set_here_cannot_be_known(self) -> None:
        with pytest.raises(ValueError, match="uses \\$SCRATCH"):
            expand_variables("$SCRATCH/x", around())

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("~", "/home/alice"),
            ("~/x/", "/home/alice/x"),
            ("~alice/x", "/home/alice/x"),
            ("/a//./b/", "/a/b"),
            ("/", "/"),
            ("/..a/b..", "/..a/b.."),
        ],
    )
    def test_are_tidied_without_looking_at_links(self, text: str, path: str) -> None:
        assert plain_path(text, around()) == path

    @pytest.mark.parametrize("text", ["", "a", "./a", "~bob/a", "/a/..", "/../a", "/a\n", "/a\0", "/\x7f", "/\ud800"])
    def test_that_are_no_safe_folders_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"relative|control|\.\.|home of|characters"):
            plain_path(text, around())
