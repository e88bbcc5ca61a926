"""Where conda's and mamba's caches and environments are, without a conda or a disk."""

import errno
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.ecosystems import conda_config
from cachewarden.ecosystems.base import Candidate, Located, Surroundings
from cachewarden.ecosystems.conda_config import locate
from cachewarden.model.caches import Owner
from fakes import FakeFiles

ALICE = Owner(1000, 1000, "alice", "/home/alice")
HOME = "/home/alice"
RC = f"{HOME}/.condarc"
REGISTRY = f"{HOME}/.conda/environments.txt"
BASHRC = f"{HOME}/.bashrc"

# As conda/core/initialize.py and libmamba/src/core/shell_init.cpp write them.
CONDA_BLOCK = """export X=1
# >>> conda initialize >>>
# !! Contents within this block are managed by 'conda init' !!
__conda_setup="$('{0}/bin/conda' 'shell.bash' 'hook' 2> /dev/null)"
if [ $? -eq 0 ]; then
    eval "$__conda_setup"
else
    if [ -f "{0}/etc/profile.d/conda.sh" ]; then
        . "{0}/etc/profile.d/conda.sh"
    else
        export PATH="{0}/bin:$PATH"
    fi
fi
unset __conda_setup
# <<< conda initialize <<<
"""
MAMBA_BLOCK = """
# >>> mamba initialize >>>
# !! Contents within this block are managed by 'micromamba shell init' !!
export MAMBA_EXE='/usr/local/bin/micromamba';
export MAMBA_ROOT_PREFIX='{0}';
__mamba_setup="$("$MAMBA_EXE" shell hook --shell bash --root-prefix "$MAMBA_ROOT_PREFIX" 2> /dev/null)"
if [ $? -eq 0 ]; then
    eval "$__mamba_setup"
fi
# <<< mamba initialize <<<
"""
FISH_BLOCK = """# >>> conda initialize >>>
# !! Contents within this block are managed by 'conda init' !!
if test -f {0}/bin/conda
    eval {0}/bin/conda "shell.fish" "hook" $argv | source
else
    if test -f "{0}/etc/fish/conf.d/conda.fish"
        . "{0}/etc/fish/conf.d/conda.fish"
    else
        set -x PATH "{0}/bin" $PATH
    end
end
# <<< conda initialize <<<
"""
CONDABIN_BLOCK = """# >>> conda initialize >>>
set -x PATH "{0}/condabin" $PATH
# <<< conda initialize <<<
"""


def found(
    files: Mapping[str, str | bytes | OSError] | None = None, folders: Iterable[str] = (), **environ: str
) -> Located:
    return locate(Surroundings(ALICE, environ, FakeFiles(files, folders)))


def sources(located: Located) -> dict[str, str]:
    return {each.path: each.source for each in located.candidates}


def reasons(located: Located) -> str:
    return "\n".join(f"{problem.path}: {problem.reason}" for problem in located.problems)


def test_without_anything_the_defaults_in_the_home_are_looked_at() -> None:
    assert found() == Located(
        candidates=(
            Candidate("conda", f"{HOME}/.conda/pkgs", "default of conda"),
            Candidate("conda", f"{HOME}/.mamba/pkgs", "default of mamba"),
        )
    )


class TestBasesAreFound:
    @pytest.mark.parametrize(
        "place",
        [f"{HOME}/{name}" for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "conda")]
        + [f"{HOME}/.local/share/mamba", f"{HOME}/opt/anything", "/opt/miniforge3", "/opt/we$ird"],
    )
    def test_at_their_usual_places(self, place: str) -> None:
        located = found({f"{place}/conda-meta/history": ""})
        assert sources(located)[f"{place}/pkgs"] == f"default of the base {place} (found by its usual place)"
        assert located.environments == (place,)

    def test_below_the_data_folder_of_the_owner(self) -> None:
        assert "/data/mamba/pkgs" in sources(found(folders=["/data/mamba/pkgs"], XDG_DATA_HOME="/data/"))
        assert "/data/mamba/pkgs" not in sources(found(folders=["/data/mamba/pkgs"], XDG_DATA_HOME="data"))

    def test_in_opt_only_where_there_is_a_record_of_packages(self) -> None:
        assert "/opt/google/pkgs" not in sources(found(folders=["/opt/google/pkgs", "/opt/google/envs"]))

    def test_as_a_root_of_micromamba_that_has_no_records_yet(self) -> None:
        assert f"{HOME}/micromamba/pkgs" in sources(found(folders=[f"{HOME}/micromamba/envs"]))

    @pytest.mark.parametrize("name", [".bashrc", ".bash_profile", ".profile", ".zshrc", ".config/fish/config.fish"])
    @pytest.mark.parametrize("block", [CONDA_BLOCK, FISH_BLOCK, CONDABIN_BLOCK, MAMBA_BLOCK])
    @pytest.mark.parametrize("place", ["/srv/forge", "/srv/bin/my.conda/bin"])
    def test_in_the_block_of_a_shell_file(self, name: str, block: str, place: str) -> None:
        located = found({f"{HOME}/{name}": block.format(place)}, [f"{place}/conda-meta"])
        assert sources(located)[f"{place}/pkgs"] == f"default of the base {place} (found by {HOME}/{name})"
        assert located.environments == (place,)

    def test_in_a_block_that_quotes_a_blank(self) -> None:
        assert "/srv/my forge/pkgs" in sources(
            found({BASHRC: CONDA_BLOCK.format("/srv/my forge")}, ["/srv/my forge/conda-meta"])
        )

    def test_in_blocks_only_and_only_if_they_are_still_there(self) -> None:
        text = "export PATH=/srv/forge/bin:$PATH\n. /srv/forge/etc/profile.d/conda.sh\n"
        assert "/srv/forge/pkgs" not in sources(found({BASHRC: text}, ["/srv/forge/conda-meta"]))
        assert "/srv/forge/pkgs" not in sources(found({BASHRC: CONDA_BLOCK.format("/srv/forge")}))

    def test_by_an_environment_below_them_in_the_registry(self) -> None:
        located = found({REGISTRY: "/srv/forge/envs/x\n"}, ["/srv/forge/conda-meta"])
        assert sources(located)["/srv/forge/pkgs"] == f"default of the base /srv/forge (found by {REGISTRY})"

    @pytest.mark.parametrize("mark", ["pkgs", "envs", "condabin"])
    def test_by_their_own_line_in_the_registry(self, mark: str) -> None:
        located = found({REGISTRY: "/srv/forge\n", "/srv/forge/conda-meta/history": ""}, [f"/srv/forge/{mark}"])
        assert "/srv/forge/pkgs" in sources(located)

    def test_but_an_environment_somewhere_is_no_base(self) -> None:
        located = found({REGISTRY: "/work/env\n", "/work/env/conda-meta/history": ""})
        assert "/work/env/pkgs" not in sources(located)
        assert located.environments == ("/work/env",)

    def test_but_the_folder_of_the_owners_own_environments_is_no_base(self) -> None:
        located = found({REGISTRY: f"{HOME}/.conda/envs/x\n"}, [f"{HOME}/.conda/envs/x", f"{HOME}/.conda/pkgs"])
        assert sources(located)[f"{HOME}/.conda/pkgs"] == "default of conda"
        assert located.environments == (f"{HOME}/.conda/envs/x",)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("CONDA_ROOT", "/srv/forge"),
            ("MAMBA_ROOT_PREFIX", "/srv/forge/"),
            ("CONDA_EXE", "/srv/forge/bin/conda"),
            ("CONDA_PREFIX", "/srv/forge"),
            ("CONDA_PREFIX", "/srv/forge/envs/x"),
        ],
    )
    def test_by_a_variable_of_the_owner(self, name: str, value: str) -> None:
        located = found(None, ["/srv/forge/conda-meta", "/srv/forge/condabin", "/srv/forge/envs/x"], **{name: value})
        assert sources(located)["/srv/forge/pkgs"] == f"default of the base /srv/forge (found by {name})"

    def test_once_with_the_best_reason(self) -> None:
        base = f"{HOME}/miniconda3"
        located = found({BASHRC: CONDA_BLOCK.format(base)}, [f"{base}/conda-meta"])
        assert sources(located)[f"{base}/pkgs"].endswith(f"(found by {BASHRC})")

    def test_up_to_a_number_beyond_which_it_is_said_that_there_are_more(self) -> None:
        folders = [f"{HOME}/opt/{number}/conda-meta" for number in range(conda_config.MOST_BASES + 1)]
        located = found(None, folders)
        assert len(located.environments) == conda_config.MOST_BASES
        assert reasons(located) == f"{HOME}: more than 200 conda installations: the others are left out"

    def test_though_a_shell_file_is_unreadable_which_is_said(self) -> None:
        located = found({BASHRC: PermissionError(errno.EACCES, "Permission denied")}, ["/opt/forge/conda-meta"])
        assert "/opt/forge/pkgs" in sources(located)
        assert reasons(located).startswith(f"{BASHRC}: cannot be read (Permission denied)")


class TestPackageFolders:
    def test_named_in_a_condarc_leave_the_defaults_behind(self) -> None:
        located = found({RC: "pkgs_dirs: [/data/pkgs]\n"}, ["/opt/forge/conda-meta"])
        assert located.candidates == (
            Candidate("conda", "/data/pkgs", f"pkgs_dirs in {RC}", configured=True),
            Candidate("conda", "/opt/forge/pkgs", "left behind: /opt/forge/pkgs is no longer in pkgs_dirs"),
            Candidate("conda", f"{HOME}/.conda/pkgs", f"left behind: {HOME}/.conda/pkgs is no longer in pkgs_dirs"),
            Candidate("conda", f"{HOME}/.mamba/pkgs", f"left behind: {HOME}/.mamba/pkgs is no longer in pkgs_dirs"),
        )

    def test_that_are_still_listed_are_not_left_behind(self) -> None:
        located = found({RC: "pkgs_dirs:\n- /new\n- /opt/forge/pkgs\n"}, ["/opt/forge/conda-meta"])
        assert sources(located)["/opt/forge/pkgs"] == f"pkgs_dirs in {RC}"

    def test_named_by_the_variable_come_before_those_of_the_files(self) -> None:
        located = found({RC: "pkgs_dirs: [/rc]\n"}, CONDA_PKGS_DIRS="/env1, /env2")
        assert [each.path for each in located.candidates[:3]] == ["/env1", "/env2", "/rc"]
        assert located.candidates[0].source == "CONDA_PKGS_DIRS in the environment"

    def test_named_by_the_variable_are_shut_out_by_a_final_list(self) -> None:
        located = found({RC: "pkgs_dirs:  #!final\n- /rc\n"}, CONDA_PKGS_DIRS="/env1")
        assert "/env1" not in sources(located)

    def test_come_from_every_place_that_conda_reads(self) -> None:
        folders = ["/etc/conda", "/var/lib/conda", "/opt/forge", f"{HOME}/.config/conda", f"{HOME}/.conda", "/active"]
        names = [".condarc", "condarc", "condarc.d/1.yml"]
        files = {f"{place}/{name}": f"pkgs_dirs: ['/from{place}/{name}']" for place in folders for name in names}
        located = found(files, ["/opt/forge/conda-meta"], CONDA_PREFIX="/active")
        assert [each.path for each in located.candidates[: len(files)]] == [
            f"/from{file}" for file in reversed(files)
        ]

    def test_of_one_base_do_not_touch_another(self) -> None:
        files = {"/opt/a/.condarc": "pkgs_dirs: [/data]", "/opt/a/conda-meta/x": "", "/opt/b/conda-meta/x": ""}
        located = found(files)
        assert "left behind" in sources(located)["/opt/a/pkgs"]
        assert sources(located)["/opt/b/pkgs"].startswith("default of the base /opt/b")

    def test_of_an_environments_own_condarc_count_too(self) -> None:
        located = found({"/opt/a/envs/x/.condarc": "pkgs_dirs: [/xs]", "/opt/a/conda-meta/h": ""})
        assert sources(located)["/xs"] == "pkgs_dirs in /opt/a/envs/x/.condarc"
        assert sources(located)["/opt/a/pkgs"].startswith("default")

    @pytest.mark.parametrize(
        "place",
        [f"{HOME}/.mambarc", f"{HOME}/.mamba/mambarc", f"{HOME}/.config/mamba/mambarc.d/x.yaml", "/m/.mambarc"],
    )
    def test_of_mamba_leave_only_mambas_default_behind(self, place: str) -> None:
        located = found({place: "pkgs_dirs: [/ms]"}, ["/m/pkgs"], MAMBA_ROOT_PREFIX="/m")
        assert located.candidates[0] == Candidate("conda", "/ms", f"pkgs_dirs in {place}", configured=True)
        assert sources(located)[f"{HOME}/.conda/pkgs"] == "default of conda"

    def test_have_tilde_and_the_owners_variables_expanded(self) -> None:
        located = found({RC: "pkgs_dirs: [~/a, $SCRATCH/b, '${USER}/c', /d//e/./]"}, SCRATCH="/scratch")
        assert [each.path for each in located.candidates[:3]] == [f"{HOME}/a", "/scratch/b", "/d/e"]
        assert "'alice/c' is relative" in reasons(located)

    @pytest.mark.parametrize(
        "value", ["rel", "/a/../b", '"/a\\nb"', '"/a\\0b"', '"/\\ud800"', "$NOWHERE/x", "~bob/x"]
    )
    def test_that_cannot_be_known_or_are_unsafe_are_problems(self, value: str) -> None:
        located = found({RC: f"pkgs_dirs: [{value}, /good]\n"})
        assert [problem.path for problem in located.problems] == [RC]
        assert located.candidates[0].path == "/good"
        assert all(
            each.path in ("/good", f"{HOME}/.conda/pkgs", f"{HOME}/.mamba/pkgs") for each in located.candidates
        )

    def test_of_a_broken_condarc_are_unknown_and_the_rest_still_counts(self) -> None:
        located = found({RC: "pkgs_dirs: [", "/etc/conda/condarc": "pkgs_dirs: [/etcs]"})
        assert located.candidates[0].path == "/etcs"
        assert located.problems[0].path == RC

    def test_that_are_set_to_nothing_are_the_defaults(self) -> None:
        assert sources(found({RC: "pkgs_dirs: []"}))[f"{HOME}/.conda/pkgs"] == "default of conda"

    def test_beyond_a_thousand_are_not_looked_at(self) -> None:
        located = found({RC: "pkgs_dirs:\n" + "".join(f"- /p{number}\n" for number in range(1500))})
        assert len(located.candidates) == conda_config.MOST_CANDIDATES
        assert "1502 conda caches" in reasons(located)

    def test_of_a_file_that_condarc_names_in_vain_are_said_to_be_ignored(self) -> None:
        assert "CONDARC: /x/myrc is ignored" in reasons(found({"/x/myrc": "pkgs_dirs: [/a]"}, CONDARC="/x/myrc"))
        assert "CONDARC: 'x.yml' is relative" in reasons(found(CONDARC="x.yml"))
        assert found({"/x/my.yml": "pkgs_dirs: [/a]"}, CONDARC="/x/my.yml").candidates[0].path == "/a"


class TestEnvironments:
    def test_are_gathered_from_every_place_once_if_they_are_folders(self) -> None:
        there = [
            "/opt/a/envs/one",
            f"{HOME}/.conda/envs/two",
            "/rc-envs/three",
            "/var-envs/four",
            "/else/five",
            "/six",
        ]
        files = {
            REGISTRY: "/else/five\n# a comment\n\n  /opt/a/envs/one/  \n/gone\n",
            RC: "envs_dirs: [/rc-envs]",
            "/opt/a/conda-meta/history": "",
            "/opt/a/envs/.conda_envs_dir_test": "",
        }
        located = found(files, there, CONDA_ENVS_DIRS="/var-envs:/none", CONDA_PREFIX="/six")
        assert sorted(located.environments) == sorted(["/opt/a", *there])

    def test_with_names_that_are_no_paths_are_left_out_with_a_problem(self) -> None:
        located = found({REGISTRY: "relative\n/a\x1b[2J\n/a/../b\n"})
        assert located.environments == ()
        assert [problem.path for problem in located.problems] == [REGISTRY] * 3

    def test_are_capped_with_a_problem(self) -> None:
        most = conda_config.MOST_ENVIRONMENTS
        folders = [f"/e/{number}" for number in range(most + 5)]
        by_registry = found({REGISTRY: "\n".join(folders)}, folders)
        assert len(by_registry.environments) == most
        assert reasons(by_registry) == f"{REGISTRY}: has {most + 5} lines; those after {most} are left out"
        by_folder = found({RC: "envs_dirs: [/e]"}, folders)
        assert len(by_folder.environments) == most
        assert f"more than {most} conda environments" in reasons(by_folder)

    def test_of_an_unreadable_registry_are_a_problem(self) -> None:
        assert reasons(found({REGISTRY: OSError(errno.EINVAL, "not a regular file")})).startswith(REGISTRY)


class TestSoftlinks:
    @pytest.mark.parametrize("key", ["always_softlink", "softlink", "allow_softlinks"])
    def test_are_reported_with_the_place_that_allows_them(self, key: str) -> None:
        assert found({RC: f"{key}: true\n"}).softlinks == (f"{key} in {RC}",)
        assert found({RC: f"{key}: false\n"}).softlinks == ()

    def test_may_be_allowed_by_a_variable(self) -> None:
        assert found(CONDA_ALWAYS_SOFTLINK="true").softlinks == ("CONDA_ALWAYS_SOFTLINK in the environment",)
        assert "CONDA_ALWAYS_SOFTLINK: 'banana'" in reasons(found(CONDA_ALWAYS_SOFTLINK="banana"))

    def test_count_though_a_stronger_file_forbids_them(self) -> None:
        files = {"/etc/conda/condarc": "allow_softlinks: true", RC: "allow_softlinks: false"}
        assert found(files).softlinks == ("allow_softlinks in /etc/conda/condarc",)

    def test_may_be_allowed_by_one_environment(self) -> None:
        located = found({"/opt/a/envs/x/.condarc": "always_softlink: true", "/opt/a/conda-meta/h": ""})
        assert located.softlinks == ("always_softlink in /opt/a/envs/x/.condarc",)


@given(st.text(max_size=60), st.text(max_size=60), st.binary(max_size=60), st.text(max_size=20))
def test_no_text_whatever_makes_it_raise(rc: str, registry: str, shell: bytes, value: str) -> None:
    files: dict[str, str | bytes | OSError] = {
        RC: f"pkgs_dirs:\n  - {rc}".encode("utf-8", "surrogatepass"),
        REGISTRY: f"/{registry}".encode("utf-8", "surrogatepass"),
        BASHRC: b"# >>> conda initialize >>>\n'/" + shell + b"/bin/conda'\n",
    }
    environ = dict.fromkeys(
        ("CONDA_PKGS_DIRS", "CONDARC", "MAMBARC", "CONDA_PREFIX", "CONDA_EXE", "CONDA_ROOT"), value
    )
    located = found(files, ["/opt/a/conda-meta"], **environ, CONDA_ENVS_PATH=value, XDG_CONFIG_HOME=f"/{value}")
    for path in [*(each.path for each in located.candidates), *located.environments]:
        assert path.startswith("/")
        assert not {"..", "."} & set(path.split("/"))
