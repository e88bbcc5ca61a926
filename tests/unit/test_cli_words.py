"""What is typed: the grammar, the hints, the wishes, and what each error ends with."""

import argparse

import pytest

from cachewarden.cli import work
from cachewarden.cli.arguments import parse
from cachewarden.cli.interruption import Interruption, Terminated
from cachewarden.cli.main import exit_status_of
from cachewarden.cli.verbs import VERBS, purge
from cachewarden.model.caches import Kind
from cachewarden.model.errors import BusyError, ConfigError, RefusedError, UsageError, WorkerError
from cachewarden.model.plans import CycleRecord, Failure, Outcome, Plan, Shortfall
from cachewarden.model.policies import ActionKind, Keep, Policy, Settings
from cachewarden.model.units import Bytes, Inodes, Seconds
from makers import NOW, cache


def misunderstood(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(words)
    return str(caught.value)


def wish(*words: str) -> Policy:
    return purge._policy(parse(["purge", *words]))


def refused(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        wish(*words)
    return str(caught.value)


def test_global_options_stand_before_the_verb() -> None:
    options = parse(["--config", "f", "--state-dir", "d", "--user", "--json", "--verbose", "status"])
    assert (options.config, options.state_dir, options.system) == ("f", "d", False)
    assert options.json
    assert options.verbose
    assert parse(["status"]).system is None
    assert parse(["--system", "run"]).system is True
    assert "stands before the verb" in misunderstood("status", "--config", "x")


def test_json_and_verbose_may_stand_behind_the_verb_and_undo_nothing() -> None:
    assert parse(["status", "--json"]).json
    assert parse(["--json", "status"]).json
    assert not parse(["status"]).json
    assert parse(["plan", "--verbose"]).verbose


WANTED = {"explain": ["torch"], "relocate": ["pip", "/media/usb/pip"], "restore": ["pip"]}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_parsed(verb: str) -> None:
    assert parse([verb, *WANTED.get(verb, [])]).verb == verb


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["stauts"], "did you mean 'status'?"),
        (["perge", "--all"], "did you mean 'purge'?"),
        (["status", "--jsn"], "did you mean '--json'?"),
        (["purge", "--dryrun"], "did you mean '--dry-run'?"),
        (["--verbos", "status"], "did you mean '--verbose'?"),
        (["list", "--lim=3"], "did you mean '--limit'?"),
        (["xyzzy"], "there is no verb 'xyzzy'"),
        (["status", "extra"], "there is no place for 'extra'"),
        (["explain"], "PATH-OR-PACKAGE"),
        (["--user", "--system", "status"], "not allowed with"),
    ],
)
def test_what_is_misspelt_gets_a_hint(words: list[str], hint: str) -> None:
    message = misunderstood(*words)
    assert hint in message
    assert "--help" in message


def test_options_are_never_abbreviated() -> None:
    assert "no option '--verb'" in misunderstood("--verb", "status")


def test_ecosystems_may_stand_around_options() -> None:
    policy = wish("pip", "--all", "conda")
    assert policy.match.ecosystems == ("pip", "conda")


def test_purge_becomes_one_policy() -> None:
    policy = wish(
        "pip",
        "--kind",
        "download",
        "--kind",
        "index",
        "--package",
        "torch*",
        "--unused-for",
        "30d",
        "--to-free",
        "2 GiB",
    )
    assert policy.name == "by-hand"
    assert policy.action is ActionKind.PURGE
    assert policy.kinds == {Kind.DOWNLOAD, Kind.INDEX}
    assert policy.packages == ("torch*",)
    assert policy.unused_for == 30 * 86400
    assert policy.to_free == 2 * 1024**3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "say what may go"),
        (["pip"], "--all, --to-free SIZE"),
        (["--all", "--to-free", "1GiB"], "contradict"),
        (["--to-free", "100"], "a number needs its unit"),
        (["--to-free", "10%"], "units are"),
        (["--unused-for", "soon"], "units are"),
        (["pipp", "--all"], "did you mean 'pip'?"),
        (["--kind", "downlod"], "did you mean 'download'?"),
        (["pip", "--kind", "tarball"], "pip has no entries of kind 'tarball'; there are debris"),
        (["--package", "torch=2"], "with two equal signs"),
    ],
)
def test_a_purge_that_is_not_clear_is_refused(words: list[str], reason: str) -> None:
    assert reason in refused(*words)


def test_by_hand_what_is_new_may_go_and_what_is_kept_stays() -> None:
    configured = Settings(keep=Keep(packages=("torch",)))
    made = purge._settings(configured, wish("--all"), ignore_keep=False)
    assert made.keep == Keep(newer_than=Seconds(0), packages=("torch",))
    assert purge._settings(configured, wish("--all"), ignore_keep=True).keep.packages == ()
    assert [policy.name for policy in made.policies] == ["by-hand"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError(("a:1:1: x",)), 78),
        (UsageError("x"), 2),
        (BusyError("x"), 75),
        (WorkerError("x"), 1),
        (RefusedError("x"), 1),
    ],
)
def test_errors_end_as_documented(error: Exception, status: int) -> None:
    assert exit_status_of(error) == status


def record(*outcomes: Outcome, plan: Plan | None = None) -> CycleRecord:
    return CycleRecord("id", "by hand", NOW, NOW, plan or Plan(), outcomes)


def failed(action: str = "purge", *, busy: bool = False) -> Outcome:
    return Outcome("p", action, cache().cache, failures=(Failure("a", "no", busy=busy),))


def test_a_cycle_ends_as_documented() -> None:
    report = Settings(policies=(Policy("p", ActionKind.RELOCATE),))
    instead = Settings(policies=(Policy("p", ActionKind.RELOCATE, otherwise=ActionKind.PURGE),))
    short = Plan(shortfalls=(Shortfall("p", "/", Bytes(0), Inodes(1)),))
    assert work.exit_status(record(), report) == 0
    assert work.exit_status(record(failed()), report) == 1
    assert work.exit_status(record(failed(busy=True)), report) == 0
    assert work.exit_status(record(failed("relocate")), report) == 1
    assert work.exit_status(record(failed("relocate")), instead) == 0
    assert work.exit_status(record(plan=short), report) == 1


def test_a_signal_waits_only_while_something_is_removed() -> None:
    interruption = Interruption()
    with pytest.raises(Terminated) as caught:
        interruption._take(15, None)
    assert caught.value.number == 15
    assert interruption.may_go_on()
    interruption.acting = True
    interruption._take(2, None)
    assert not interruption.may_go_on()
    assert interruption.signal == 2
    with pytest.raises(Terminated):
        interruption._take(2, None)


def test_help_is_asked_for_and_given(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in ((["--help"], "exit status"), (["purge", "--help"], "--ignore-keep")):
        with pytest.raises(SystemExit) as caught:
            parse(words)
        assert caught.value.code == 0
        assert expected in capsys.readouterr().out


def test_no_verb_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([])
    assert caught.value.code == 2
    assert "status" in capsys.readouterr().err


def test_names_of_options_are_those_of_the_namespace() -> None:
    assert isinstance(parse(["purge", "--all"]), argparse.Namespace)
    assert not hasattr(parse(["purge", "--all"]), "rest")
