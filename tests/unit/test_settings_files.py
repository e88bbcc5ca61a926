"""Which files make a configuration, and how they add up."""

import errno
import os

import pytest

from cachewarden.model.errors import ConfigError
from cachewarden.model.policies import ExtraCache, Keep, Watch
from cachewarden.model.units import Seconds
from cachewarden.settings.loader import builtin, check_file, load
from fakes import FakeFiles

FOLDER = "/etc/cachewarden"
MAIN = f"{FOLDER}/cachewarden.yaml"
DROP_INS = f"{FOLDER}/policies.d"
POLICY = """\
version: 1
policies:
  - name: a
    action: purge
"""


def test_without_any_file_the_builtin_holds() -> None:
    assert load(FakeFiles(), config=None, folder=FOLDER) == builtin()


def test_drop_ins_come_in_the_order_of_their_names_and_add() -> None:
    files = FakeFiles({
        f"{DROP_INS}/20.yaml": "policies: [{name: c, action: report}]\nwatch: {react: false, horizon: 0s}",
        f"{DROP_INS}/10.yaml": (
            "version: 1\nowners: [pi]\npolicies: [{name: b, action: report}]\n"
            "keep: {packages: [y]}\ncaches: [{ecosystem: pip, path: /y}]"
        ),
        f"{DROP_INS}/.hidden.yaml": "nonsense",
        f"{DROP_INS}/README": "nonsense",
        MAIN: POLICY + "watch: {interval: 10m}\nkeep: {newer_than: 2h, packages: [x]}\n"
        "caches: [{ecosystem: pip, path: /x}]",
    })  # fmt: skip
    found = load(files, config=None, folder=FOLDER)
    assert [policy.name for policy in found.policies] == ["a", "b", "c"]
    assert found.watch == Watch(interval=Seconds(600), react=False, horizon=Seconds(0))
    assert found.keep == Keep(newer_than=Seconds(7200), packages=("x", "y"))
    assert found.caches == (ExtraCache("pip", "/x"), ExtraCache("pip", "/y"))
    assert found.owners == ("pi",)
    assert found.files == (MAIN, f"{DROP_INS}/10.yaml", f"{DROP_INS}/20.yaml")


def test_a_drop_in_can_take_back_a_limit_on_owners() -> None:
    files = FakeFiles({MAIN: "version: 1\nowners: [pi]", f"{DROP_INS}/1.yaml": "owners: auto"})
    assert load(files, config=None, folder=FOLDER).owners is None


def test_drop_ins_without_a_main_file_stand_alone() -> None:
    files = FakeFiles({f"{DROP_INS}/1.yaml": "policies: [{name: a, action: report}]"})
    assert [policy.name for policy in load(files, config=None, folder=FOLDER).policies] == ["a"]


def test_a_named_file_is_read_alone() -> None:
    files = FakeFiles({"/c": POLICY, MAIN: "nonsense", f"{DROP_INS}/1.yaml": "nonsense"})
    assert load(files, config="/c", folder=FOLDER).files == ("/c",)


def test_a_named_file_must_be_there() -> None:
    with pytest.raises(ConfigError) as caught:
        load(FakeFiles(), config="/c", folder=FOLDER)
    assert caught.value.problems == ("/c:1:1: expected a configuration file, got no such file or directory",)


def test_a_main_file_that_cannot_be_read_is_a_problem_and_not_the_default() -> None:
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), MAIN)
    with pytest.raises(ConfigError) as caught:
        load(FakeFiles({MAIN: denied}), config=None, folder=FOLDER)
    why = "got permission denied (the system service reads it as the user cachewarden)"
    assert caught.value.problems == (f"{MAIN}:1:1: expected a configuration file, {why}",)


def test_two_policies_of_one_name_are_refused_also_over_drop_ins() -> None:
    files = FakeFiles({MAIN: POLICY, f"{DROP_INS}/1.yaml": "policies: [{name: a, action: report}]"})
    with pytest.raises(ConfigError) as caught:
        load(files, config=None, folder=FOLDER)
    assert caught.value.problems == (
        f'{DROP_INS}/1.yaml:1:19: policies[0].name: expected a name of its own, got "a" again (first at {MAIN}:3:11)',
    )


def test_problems_come_in_the_order_of_files_and_lines() -> None:
    files = FakeFiles({f"{DROP_INS}/1.yaml": "owners: 1", MAIN: "policies: 1\nowners: 2\nversion: 2"})
    with pytest.raises(ConfigError) as caught:
        load(files, config=None, folder=FOLDER)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        f"{MAIN}:1:11",
        f"{MAIN}:2:9",
        f"{MAIN}:3:10",
        f"{DROP_INS}/1.yaml:1:9",
    ]


def test_one_file_is_checked_on_its_own() -> None:
    drop_in = f"{DROP_INS}/1.yaml"
    files = FakeFiles({MAIN: "owners: auto", drop_in: "owners: auto", "/good": POLICY})
    assert check_file(files, "/good") == ()
    assert check_file(files, drop_in) == ()
    assert check_file(files, MAIN) == (f"{MAIN}:1:1: version: expected 1, got nothing",)
    assert check_file(files, "/none") == ("/none:1:1: expected a configuration file, got no such file or directory",)


def test_what_the_service_may_not_read_is_a_problem_and_not_passed_over() -> None:
    denied = PermissionError(13, "Permission denied")
    why = "got permission denied (the system service reads it as the user cachewarden)"
    with pytest.raises(ConfigError) as caught:
        load(FakeFiles({MAIN: denied, DROP_INS: denied}), config=None, folder=FOLDER)
    assert caught.value.problems == (
        f"{MAIN}:1:1: expected a configuration file, {why}",
        f"{DROP_INS}:1:1: expected a folder of configuration files, {why}",
    )
