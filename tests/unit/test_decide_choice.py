"""Which caches a policy is about, which entries it may take and in which order, and why the others stay."""

import pytest

from cachewarden.decide.choice import names_match
from cachewarden.decide.goals import matches
from cachewarden.model.caches import Kind
from cachewarden.model.policies import Match, Order
from makers import DAY, HOUR, cache, entry, gone, owner, plan, policy, purges, reasons, snapshot

EVERYTHING = policy("all")
WHERE = "/home/ann/.cache/pip/"


# Orders


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (Order.CHEAPEST_FIRST, "a d b c"),
        (Order.LEAST_RECENTLY_USED, "c a d b"),
        (Order.OLDEST, "b c a d"),
        (Order.LARGEST, "d c b a"),
    ],
)
def test_each_order_is_what_its_name_says(order: Order, wanted: str) -> None:
    entries = [
        entry("a", kind=Kind.INDEX, used=8 * DAY, written=20 * DAY, frees=1),
        entry("b", used=1 * DAY, written=40 * DAY, frees=2),
        entry("c", kind=Kind.BUILT_WHEEL, used=9 * DAY, written=30 * DAY, frees=3),
        entry("d", used=2 * DAY, written=10 * DAY, frees=4),
    ]
    assert " ".join(gone(plan(snapshot(cache(*entries)), policy(order=order)))) == wanted


@pytest.mark.parametrize("order", Order)
def test_entries_alike_go_by_path(order: Order) -> None:
    entries = [entry(name) for name in "cab"]
    assert gone(plan(snapshot(cache(*entries)), policy(order=order))) == ["a", "b", "c"]


def test_built_wheels_go_after_downloads_that_were_used_much_later() -> None:
    kinds = [Kind.BUILT_WHEEL, Kind.DOWNLOAD, Kind.INDEX, Kind.DEBRIS]
    entries = [entry(kind.value, kind=kind, used=age * DAY) for age, kind in zip((90, 3, 2, 1), kinds, strict=True)]
    assert gone(plan(snapshot(cache(*entries)), EVERYTHING)) == ["debris", "index", "download", "built-wheel"]


def test_where_use_is_not_known_the_time_of_writing_stands_in() -> None:
    entries = [entry("a", used=20 * DAY), entry("b", used=None, written=30 * DAY), entry("c", used=40 * DAY)]
    assert gone(plan(snapshot(cache(*entries)), policy(order=Order.LEAST_RECENTLY_USED))) == ["c", "b", "a"]


def test_a_use_at_the_epoch_is_a_use() -> None:
    epoch = entry("a", used=1_700_000_000, written=DAY)
    assert epoch.last_used == 0
    decided = plan(snapshot(cache(epoch, entry("b", used=9 * DAY))), policy(order=Order.LEAST_RECENTLY_USED))
    assert gone(decided) == ["a", "b"]


# What stays


def test_a_hold_is_the_reason() -> None:
    decided = plan(snapshot(cache(entry("a", hold="in use: a pip of ann is running"), entry("b"))), EVERYTHING)
    assert gone(decided) == ["b"]
    assert reasons(decided) == {WHERE + "a": "in use: a pip of ann is running"}


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        pytest.param(HOUR, None, id="an hour ago goes"),
        pytest.param(HOUR - 1, "written 59m59s ago, kept for 1h (keep.newer_than)", id="a second less stays"),
        pytest.param(0, "written 0s ago, kept for 1h (keep.newer_than)", id="now stays"),
        pytest.param(
            -3 * DAY, "written 3d in the future, kept for 1h (keep.newer_than)", id="a date in the future stays"
        ),
    ],
)
def test_what_is_new_is_kept(written: int, reason: str | None) -> None:
    decided = plan(snapshot(cache(entry("a", written=written))), EVERYTHING, newer_than=HOUR)
    assert reasons(decided).get(WHERE + "a") == reason
    assert gone(decided) == ([] if reason else ["a"])


def test_by_hand_nothing_is_too_new_not_even_from_the_future() -> None:
    assert gone(plan(snapshot(cache(entry("a", written=-3 * DAY))), EVERYTHING, newer_than=0)) == ["a"]


@pytest.mark.parametrize(
    ("used", "written", "reason"),
    [
        (60 * DAY, 90 * DAY, None),
        (60 * DAY - 1, 90 * DAY, "last used 8w3d ago, the policy waits for 60d"),
        (None, 60 * DAY, None),
        (None, 30 * DAY, "written 4w2d ago, the policy waits for 60d"),
        (-2 * HOUR, 90 * DAY, "last used 2h in the future, the policy waits for 60d"),
    ],
)
def test_what_was_used_lately_is_left_to_its_user(used: int | None, written: int, reason: str | None) -> None:
    decided = plan(snapshot(cache(entry("a", used=used, written=written))), policy(unused_for=60 * DAY))
    assert reasons(decided).get(WHERE + "a") == reason
    assert gone(decided) == ([] if reason else ["a"])


def test_only_the_kinds_that_are_named_go_and_nothing_is_said_of_the_others() -> None:
    entries = [entry("a", kind=Kind.INDEX), entry("b"), entry("c", kind=Kind.DEBRIS)]
    decided = plan(snapshot(cache(*entries)), policy(kinds=[Kind.INDEX, Kind.DEBRIS]))
    assert gone(decided) == ["c", "a"]
    assert not decided.skips


def test_by_hand_only_the_packages_that_are_named_go() -> None:
    entries = [entry("a", name="Torch-Vision"), entry("b", name="numpy"), entry("c", name=None)]
    assert gone(plan(snapshot(cache(*entries)), policy(packages=("torch*",)))) == ["a"]


# Packages


@pytest.mark.parametrize(
    ("glob", "name", "version", "wanted"),
    [
        ("numpy", "numpy", "1.26.4", True),
        ("numpy", "NumPy", None, True),
        ("numpy", "numpy-financial", "1.0", False),
        ("torch*", "torchvision", "0.1", True),
        ("zope.interface", "zope_interface", "6", True),
        ("Ruamel_Yaml", "ruamel.yaml", "1", True),
        ("a-b", "a__b", "1", True),
        ("a._-b", "a-b", "1", True),
        ("a[-_.]b", "a.b", "1", True),
        ("numpy==1.26.*", "numpy", "1.26.4", True),
        ("numpy==1.26.*", "numpy", "1.27.0", False),
        ("numpy==1.26.*", "numpy", None, False),
        ("numpy==*", "numpy", None, True),
        ("*==2.0", "anything", "2.0", True),
        ("torch==2.0.0+CU118", "torch", "2.0.0+cu118", True),
        ("x==1.0RC1", "x", "1.0rc1", True),
        ("*", None, None, False),
    ],
)
def test_names_in_every_spelling(glob: str, name: str | None, version: str | None, wanted: bool) -> None:
    assert names_match((glob,), entry(name=name, version=version)) == wanted


@pytest.mark.parametrize(
    ("name", "version", "kind", "reason"),
    [
        ("numpy", "1.26.4", Kind.DOWNLOAD, "its package is to be kept (keep.packages)"),
        ("torch_audio", None, Kind.PACKAGE, "its package is to be kept (keep.packages)"),
        ("numpy", "2.0.0", Kind.DOWNLOAD, None),
        (
            "numpy", None, Kind.BUILT_WHEEL,
            "its version is unknown, and some of its package are to be kept (keep.packages)",
        ),
        ("numpy", None, Kind.INDEX, None),
        (None, None, Kind.DOWNLOAD, "its package is unknown, and some are to be kept (keep.packages)"),
        (None, None, Kind.TARBALL, "its package is unknown, and some are to be kept (keep.packages)"),
        (None, None, Kind.INDEX, None),
        (None, None, Kind.DEBRIS, None),
        (None, None, Kind.LOG, None),
    ],
)  # fmt: skip
def test_packages_to_be_kept_stay(name: str | None, version: str | None, kind: Kind, reason: str | None) -> None:
    seen = snapshot(cache(entry("a", name=name, version=version, kind=kind)))
    decided = plan(seen, EVERYTHING, packages=("torch*", "numpy==1.26.*"))
    assert reasons(decided).get(WHERE + "a") == reason
    assert gone(decided) == ([] if reason else ["a"])


# Words


@pytest.mark.parametrize(
    ("used", "written", "reason"),
    [
        (40 * DAY, 90 * DAY, "download, last used 5w5d ago"),
        (None, 90 * DAY, "download, written 12w6d ago"),
        (7 * DAY + 3 * HOUR, 90 * DAY, "download, last used 1w ago"),
        (DAY + 59, 90 * DAY, "download, last used 1d ago"),
        (90 * 60 + 5, 90 * DAY, "download, last used 1h30m ago"),
        (5, 90 * DAY, "download, last used 5s ago"),
        (-5, 90 * DAY, "download, last used 5s in the future"),
    ],
)
def test_each_entry_says_why_it_goes(used: int | None, written: int, reason: str) -> None:
    decided = plan(snapshot(cache(entry("a", used=used, written=written))), EVERYTHING)
    assert purges(decided)[0].entries[0].reason == reason


# Caches


@pytest.mark.parametrize(
    ("glob", "path", "wanted"),
    [
        ("/home/ann/.cache/pip", "/home/ann/.cache/pip", True),
        ("/home/ann/.cache/pip/", "/home/ann/.cache/pip", True),
        ("/home/*/.cache/pip", "/home/ann/.cache/pip", True),
        ("/home/*/pip", "/home/ann/.cache/pip", False),
        ("/home/*", "/home/ann/.cache/pip", False),
        ("/home/**", "/home/ann/.cache/pip", True),
        ("/home/**", "/home", False),
        ("/home/**/pip", "/home/ann/.cache/pip", True),
        ("/home/**/pip", "/home/pip", True),
        ("/home/**/pip", "/home/ann/xpip", False),
        ("/home/ann/**.d/pip", "/home/ann/x/y.d/pip", True),
        ("/opt/conda?/pkgs", "/opt/conda3/pkgs", True),
        ("/opt/conda?/pkgs", "/opt/conda/pkgs", False),
        ("/opt/a.b/pkgs", "/opt/aXb/pkgs", False),
        ("/opt/[ab]/pkgs", "/opt/a/pkgs", False),
        ("~/.cache/pip", "/home/ann/.cache/pip", True),
        ("~/.cache/pip", "/home/bob/.cache/pip", False),
        ("~/**", "/home/ann/.cache/pip", True),
        ("~", "/home/ann", True),
        ("~bob/p", "/home/bob/p", False),
        ("/", "/", True),
        ("/a\nb/*", "/a\nb/c", True),
    ],
)
def test_paths_match_by_component(glob: str, path: str, wanted: bool) -> None:
    assert matches(Match(paths=(glob,)), cache(path=path)) == wanted


def test_a_home_is_no_glob() -> None:
    odd = owner("*")
    assert not matches(Match(paths=("~/p",)), cache(path="/home/ann/p", of=odd))
    assert matches(Match(paths=("~/p",)), cache(path="/home/*/p", of=odd))


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        (Match(), True),
        (Match(ecosystems=("pip",)), True),
        (Match(ecosystems=("conda",)), False),
        (Match(ecosystems=("conda", "pip")), True),
        (Match(owners=("ann",)), True),
        (Match(owners=("bob",)), False),
        (Match(paths=("/x", "~/.cache/*")), True),
        (Match(ecosystems=("pip",), owners=("ann",), paths=("/x",)), False),
    ],
)
def test_every_key_of_a_match_must_hold(match: Match, wanted: bool) -> None:
    assert matches(match, cache()) == wanted


def test_a_cache_that_does_not_match_is_not_touched() -> None:
    bob = cache(entry("b"), path="/home/bob/p", of=owner("bob", uid=1001))
    assert gone(plan(snapshot(cache(entry("a")), bob), policy(match=Match(owners=("bob",))))) == ["b"]
