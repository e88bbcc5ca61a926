"""Screens and JSON of model values: what is shown, what is escaped, which keys there are."""

import io
import json
from dataclasses import replace

import pytest

from cachewarden.cli import figures
from cachewarden.cli.explaining import Explainer
from cachewarden.cli.render import entries, explain, history, outcome, plan, status, tables
from cachewarden.cli.render import json as documents
from cachewarden.cli.render.blocks import Block, Cell, Column, Fit, Grid, Heading, Line
from cachewarden.cli.render.words import View
from cachewarden.model.caches import Kind, Problem, Quota
from cachewarden.model.plans import (
    CycleRecord,
    Failure,
    Holder,
    Outcome,
    Plan,
    Relocate,
    RemovedEntry,
    Shortfall,
    Skip,
)
from cachewarden.model.relocations import Heading as Way
from cachewarden.model.relocations import Method, Phase, Presence, Prospect, RelocationSeen
from cachewarden.model.units import Bytes, Inodes
from cachewarden.model.watching import Extent, Reach, Watched, Why
from cachewarden.model.worth import Signal
from cachewarden.system.memory import PastCycle, PastMove, PastRemoval
from makers import DAY, MIB, NOW, ago, cache, entry, filesystem, marks, policy, settings, share, snapshot
from makers import plan as decided

VIEW = View(NOW)
HOSTILE = "six\x1b[31m\n\u202e\udcff"


def text(blocks: list[Block]) -> str:
    return "\n".join(tables.plain(blocks))


def record(*outcomes: Outcome, of: Plan | None = None) -> CycleRecord:
    before, after = filesystem(free=100 * MIB), filesystem(free=103 * MIB)
    return CycleRecord("id", "by hand", ago(2), NOW, of or Plan(), outcomes, (before,), (after,))


def removed(path: str = "a") -> RemovedEntry:
    return RemovedEntry(path, Kind.DOWNLOAD, "numpy", "1.26.4", Bytes(MIB), "download, last used 7w1d ago")


# JSON


def nothing_beyond(frees: int) -> dict[str, int]:
    return {"frees_bytes": frees, "frees_at_most_bytes": frees, "held_open_bytes": 0}


def test_status_tells_quotas_once_each() -> None:
    quota = Quota(Bytes(100 * MIB), Bytes(95 * MIB))
    one, two = (replace(cache(entry("a"), path=f"/home/ann/{name}"), quota=quota) for name in "xy")
    seen = snapshot(one, two)
    document = json.loads(documents.text(documents.status(seen, decided(seen, policy())), pretty=False))
    assert document["quotas"] == [
        {"owner": "ann", "mount": "/home", "limit_bytes": 100 * MIB, "used_bytes": 95 * MIB}
    ]
    shown = text(status.status(seen, decided(seen, policy()), VIEW))
    assert shown.count("ann on /home: 5 MiB (5%) left of a quota of 100 MiB") == 1


def test_outcome_tells_who_keeps_removed_files_open() -> None:
    gone = replace(removed(), freed=Bytes(MIB), maybe=Bytes(3 * MIB), held_open=Bytes(12 * MIB))
    made = Outcome(
        "p", "purge", cache().cache, (gone,), gone.freed, maybe=gone.maybe, held_open=gone.held_open,
        holders=(Holder(4711, "python3", Bytes(12 * MIB)),),
    )  # fmt: skip
    found = json.loads(documents.text(documents.done(record(made)), pretty=False))
    assert (found["freed_bytes"], found["freed_at_most_bytes"], found["held_open_bytes"]) == (MIB, 4 * MIB, 12 * MIB)
    assert found["outcomes"][0]["held_open_by"] == [{"pid": 4711, "name": "python3", "bytes": 12 * MIB}]
    shown = text(outcome.outcome(record(made), VIEW))
    assert "1 MiB to 4 MiB freed, 1 entry removed." in shown
    assert "12 MiB come back when python3 (pid 4711) closes them" in shown


def test_status_has_the_documented_keys() -> None:
    seen = snapshot(cache(entry("a"), entry("b", kind=Kind.INDEX, hold="in use")))
    seen = replace(seen, problems=(Problem("/x", "cannot be read"),))
    document = json.loads(documents.text(documents.status(seen, decided(seen, policy())), pretty=False))
    assert list(document) == [
        "schema", "taken_at", "caches", "filesystems", "quotas", "policies", "forecast", "relocations", "problems",
        "watching",
    ]  # fmt: skip
    assert document["schema"] == 1
    assert document["watching"] is None
    assert document["taken_at"] == "2023-11-14T22:13:20Z"
    (found,) = document["caches"]
    assert set(found) == {
        "ecosystem", "owner", "path", "source", "filesystem", "size_bytes", "frees_bytes", "entries", "kinds",
        "frees_at_most_bytes", "held_open_bytes", "walked_at",
    }  # fmt: skip
    assert (found["filesystem"], found["size_bytes"], found["frees_bytes"]) == ("/home", 2 * MIB, MIB)
    assert found["kinds"] == {
        "index": {"entries": 1, "size_bytes": MIB, **nothing_beyond(0)},
        "download": {"entries": 1, "size_bytes": MIB, **nothing_beyond(MIB)},
    }
    assert set(document["filesystems"][0]) == {
        "mount", "type", "total_bytes", "free_bytes", "inodes_total", "inodes_free", "access_times",
    }  # fmt: skip
    assert set(document["policies"][0]) == {"name", "state", "reason"}
    assert document["problems"] == [{"path": "/x", "reason": "cannot be read"}]


def test_status_tells_when_all_was_walked_last_where_that_is_not_of_just_now() -> None:
    seen = snapshot(replace(cache(entry()), verified=ago(7200)), replace(cache(entry(), path="/x"), verified=ago(1)))
    document = json.loads(documents.text(documents.status(seen, decided(seen)), pretty=False))
    assert [each["walked_at"] for each in document["caches"]] == ["2023-11-14T20:13:20Z", "2023-11-14T22:13:19Z"]
    assert "What has not changed was walked 2h ago" in text(status.status(seen, decided(seen), VIEW))
    fresh = replace(seen, caches=seen.caches[1:])
    assert "was walked" not in text(status.status(fresh, decided(fresh), VIEW))


def watched(path: str, extent: Extent, *, opens: bool = False, why: Why | None = None, uid: int = 1000) -> Watched:
    return Watched(uid, path, extent, opens, why)


def test_status_tells_how_the_running_service_watches_each_cache_that_there_is() -> None:
    seen = snapshot(*(cache(entry(), path=f"/home/ann/{name}") for name in "abcd"))
    reach = Reach(ago(120), 1, 1, (
        watched("/home/ann/a", Extent.WHOLE, opens=True),
        watched("/home/ann/b", Extent.PART, why=Why.FOLDERS),
        watched("/home/ann/c", Extent.WHOLE, uid=1001),
        watched("/home/ann/gone", Extent.WHOLE),
    ))  # fmt: skip
    document = json.loads(documents.text(documents.status(seen, decided(seen), reach=reach), pretty=False))[
        "watching"
    ]
    assert document["since"] == "2023-11-14T22:11:20Z"
    assert [(each["path"][-1], each["extent"], each["opens"]) for each in document["caches"]] == [
        ("a", "whole", True), ("b", "part", False), ("c", "not", False), ("d", "not", False),
    ]  # fmt: skip
    assert document["caches"][1] == {
        "owner": "ann", "path": "/home/ann/b", "extent": "part", "opens": False,
        "reason": "it has more folders than are watched for one owner",
    }  # fmt: skip
    told = "The service watches 1 of 4 caches (as of 2m ago), 1 in part; it sees what is opened in 1."
    assert told in text(status.status(seen, decided(seen), VIEW, reach=reach))
    more = text(status.status(seen, decided(seen), replace(VIEW, verbose=True), reach=reach))
    assert "/home/ann/b: it has more folders than are watched for one owner" in more


def test_status_says_where_access_times_tell_nothing_what_does() -> None:
    disks = [replace(filesystem(), tracks_atime=False), replace(filesystem(device=2, mount="/srv"), atime_daily=True)]
    seen = snapshot(cache(entry()), on=disks)
    shown = text(status.status(seen, decided(seen), VIEW))
    assert "/home is mounted noatime: last use is known by installs alone." in shown
    assert "/srv is mounted" not in shown
    reach = Reach(ago(1), 1, 1, (watched("/home/ann/.cache/pip", Extent.WHOLE, opens=True),))
    assert "by installs, and by what the service sees opened." in text(
        status.status(seen, decided(seen), VIEW, reach=reach)
    )
    document = json.loads(documents.text(documents.status(seen, decided(seen)), pretty=False))
    assert [each["access_times"] for each in document["filesystems"]] == ["never", "daily"]


def test_status_tells_where_a_cache_was_moved_and_whether_that_is_finished() -> None:
    moving = RelocationSeen(
        "id", "pip", "ann", "/home/ann/.cache/pip", "/media/usb/pip", Method.CONFIG, Phase.COPYING, Way.OUT,
        Presence.HERE, ago(1),
    )  # fmt: skip
    seen = replace(snapshot(cache(entry())), relocations=(moving,))
    (found,) = json.loads(documents.text(documents.status(seen, decided(seen, policy())), pretty=False))[
        "relocations"
    ]
    assert set(found) == {
        "ecosystem", "owner", "from", "to", "method", "phase", "unfinished", "disk", "begun_at", "reason",
    }  # fmt: skip
    assert (found["phase"], found["unfinished"], found["disk"], found["reason"]) == ("copying", True, "here", None)


def test_a_move_has_the_documented_keys() -> None:
    known = Prospect(
        "pip", "/home/ann/.cache/pip", "/media/usb/pip", Method.CONFIG, Bytes(MIB), 7, Bytes(MIB), Bytes(9 * MIB),
        "/home/ann/.config/pip/pip.conf", warnings=("modes are lost",),
    )  # fmt: skip
    move = Relocate("to-usb", cache().cache, "/media/usb/pip", Bytes(MIB), "it is full", prospect=known)
    (action,) = json.loads(documents.text(documents.plan(NOW, Plan((move,)), ()), pretty=False))["actions"]
    assert set(action) == {
        "policy", "action", "ecosystem", "owner", "cache", "to", "frees_bytes", "reason", "entries", "method",
        "copies_bytes", "copies_files", "room_bytes", "config", "warnings",
    }  # fmt: skip
    assert (action["copies_files"], action["room_bytes"], action["warnings"]) == (7, 9 * MIB, ["modes are lost"])


def test_plan_has_the_documented_keys_and_absolute_paths() -> None:
    seen = snapshot(cache(entry("http/a"), entry("http/b", hold="in use")))
    document = documents.plan(seen.taken_at, decided(seen, policy()), seen.problems)
    found = json.loads(documents.text(document, pretty=True))
    assert {"schema", "taken_at", "actions", "skips", "shortfall_bytes"} <= set(found)
    (action,) = found["actions"]
    assert set(action) == {
        "policy", "action", "ecosystem", "owner", "cache", "frees_bytes", "reason", "entries", "frees_at_most_bytes",
        "held_open_bytes",
    }  # fmt: skip
    (going,) = action["entries"]
    assert {
        "path", "kind", "name", "version", "size_bytes", "frees_bytes", "last_used", "reason",
    } <= set(going)  # fmt: skip
    assert going["path"] == "/home/ann/.cache/pip/http/a"
    assert going["last_used"] == "2023-09-25T22:13:20Z"
    assert found["skips"] == [{"path": "/home/ann/.cache/pip/http/b", "reason": "in use"}]


def test_done_adds_what_came_of_it() -> None:
    failure, elsewhere = Failure("b", "it is open", busy=True), Failure("/home/ann/.cache/pip", "is gone")
    made = Outcome("p", "purge", cache().cache, (removed(),), Bytes(MIB), (failure, elsewhere))
    found = json.loads(documents.text(documents.done(record(made)), pretty=False))
    assert {"schema", "actions", "skips", "shortfall_bytes", "outcomes", "freed_bytes", "filesystems"} <= set(found)
    (one,) = found["outcomes"]
    assert {"policy", "action", "cache", "freed_bytes", "removed_entries", "failures"} <= set(one)
    assert one["removed_entries"] == 1
    assert [each["path"] for each in one["failures"]] == ["/home/ann/.cache/pip/b", "/home/ann/.cache/pip"]
    assert found["freed_bytes"] == MIB
    assert found["filesystems"] == [{"mount": "/home", "free_before_bytes": 100 * MIB, "free_after_bytes": 103 * MIB}]


def test_list_says_by_what_sign_a_last_use_is_known() -> None:
    measured = cache(*(replace(entry(sign.value), signal=sign) for sign in Signal))
    shown = [(measured, each) for each in measured.entries]
    told = [
        each["last_used_by"] for each in json.loads(documents.text(documents.listing(shown), pretty=False))["entries"]
    ]
    assert told == ["written", "accessed", "opened", "installed"]
    lines = text(entries.entries(shown, shown, VIEW)).splitlines()
    assert "KNOWN BY" in lines[0]
    assert [line.split("7w1d ago")[1].split()[0] for line in lines[1:5]] == told


def test_list_and_history_have_the_documented_keys() -> None:
    measured = cache(entry(used=None))
    (listed,) = json.loads(documents.text(documents.listing([(measured, measured.entries[0])]), pretty=False))[
        "entries"
    ]
    assert list(listed) == [
        "ecosystem", "owner", "cache", "path", "kind", "name", "version", "size_bytes", "frees_bytes",
        "frees_at_most_bytes", "held_open_bytes", "last_used", "hold", "last_used_by",
    ]  # fmt: skip
    assert (listed["last_used"], listed["last_used_by"]) == (None, None)
    assert listed["hold"] is None
    past = PastCycle("id", "timer", ago(5), ago(3), Bytes(7), 1, 0)
    move = PastMove("id", ago(3), "to-usb", "pip", "ann", "/a", "/b", "copying", Bytes(7), Bytes(0), "unfinished")
    found = json.loads(documents.text(documents.history([past], [move]), pretty=False))
    (cycle,) = found["cycles"]
    assert {"started_at", "finished_at", "trigger", "freed_bytes", "actions", "failures"} <= set(cycle)
    (moved,) = found["moves"]
    assert set(moved) == {
        "at", "policy", "ecosystem", "owner", "from", "to", "phase", "unfinished", "copied_bytes", "freed_bytes",
        "text", "cycle",
    }  # fmt: skip
    assert moved["unfinished"]


def test_json_is_ascii_whatever_the_names() -> None:
    measured = cache(entry(HOSTILE, name=HOSTILE))
    written = documents.text(documents.listing([(measured, measured.entries[0])]), pretty=False)
    assert written.isascii()
    assert "\\udcff" in written
    assert json.loads(written)["entries"][0]["name"] == HOSTILE


# Figures


def test_what_a_cache_frees_is_of_the_set_and_without_what_must_stay() -> None:
    shared = (share(9, needed=2, held=1, frees=5 * MIB),)
    first = entry("a", size=6 * MIB, frees=MIB, shares=shared)
    second = entry("b", size=6 * MIB, frees=MIB, shares=shared)
    assert figures.of_cache(cache(first, second)).frees == 7 * MIB
    assert figures.of_cache(cache(first, replace(second, hold="in use"))).frees == MIB
    assert figures.size_of((first, second)) == 7 * MIB


def test_a_kind_never_frees_more_than_it_takes() -> None:
    lone = entry("a", size=MIB, frees=MIB + 4096)  # its folder goes with it
    (kind,) = figures.by_kind(cache(lone)).values()
    assert kind.size == kind.frees == MIB + 4096


# Screens


def test_hostile_text_is_escaped_everywhere() -> None:
    bad = replace(entry(HOSTILE, name=HOSTILE), version=HOSTILE)
    measured = cache(bad, entry("b", hold=HOSTILE), path=f"/home/ann/{HOSTILE}")
    seen = replace(snapshot(measured), problems=(Problem(HOSTILE, HOSTILE),))
    made = decided(seen, policy())
    done = Outcome("p", "purge", measured.cache, (removed(HOSTILE),), Bytes(1), (Failure(HOSTILE, HOSTILE),))
    screens = [
        status.status(seen, made, replace(VIEW, verbose=True)),
        plan.plan(made, seen.problems, VIEW),
        plan.plan(made, seen.problems, replace(VIEW, verbose=True)),
        outcome.outcome(record(done, of=made), replace(VIEW, verbose=True)),
        entries.entries([(measured, bad)], [(measured, bad)], VIEW),
        explain.explain([], [], Explainer(seen, made, settings(policy())).entries("b"), [], VIEW),
        explain.not_found(HOSTILE),
    ]
    for screen in screens:
        for line in tables.plain(screen):
            assert line.isprintable(), line
        shown = io.StringIO()
        tables.show_on_terminal(screen, shown)
        assert all(line.isprintable() for line in shown.getvalue().split("\n"))


def test_plain_text_is_aligned_and_uncut() -> None:
    long = "/" + "x" * 300
    grid = Grid((Column("A", fit=Fit.CUT), Column("N", right=True)), ((long, "1"), ("b", Cell("100"))))
    header, first, second = tables.plain([grid])
    assert first == f"  {long}    1"
    assert second == "  b" + " " * 300 + "  100"
    assert header.endswith("  N")


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_a_table_fits_its_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    held = entry("b", name="a-long-name-of-a-package", hold="in use by /home/ann/miniforge3/envs/science")
    measured = cache(entry("a"), held)
    found = [(measured, each) for each in measured.entries]
    shown = io.StringIO()
    tables.show_on_terminal(entries.entries(found, found, VIEW), shown)
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    if width >= 60:
        assert lines[0].split()[-1] == "HOLD"
        assert sum("1 MiB" in line for line in lines[:3]) == 2


def test_columns_are_left_out_from_the_highest_spare() -> None:
    columns = (Column("PATH", fit=Fit.CUT), Column("ONE", spare=1), Column("TWO", spare=2))
    rows = [["p" * 40, "1" * 10, "2" * 10]]
    assert list(tables.fitted(columns, rows, 80)) == [0, 1, 2]
    assert list(tables.fitted(columns, rows, 30)) == [0, 1]
    assert tables.fitted(columns, rows, 20) == {0: 20}


def test_what_gives_way() -> None:
    assert tables.shortened("/home/ann/.cache/pip", Fit.CUT, 11) == "/home/ann/.cache/pip"[:4] + "…" + "he/pip"
    assert tables.shortened("in use by an environment", Fit.END, 7) == "in use…"
    assert tables.shortened("short", Fit.CUT, 5) == "short"


def test_a_home_is_a_tilde_for_people_only() -> None:
    assert View(NOW, "/home/ann").path("/home/ann/.cache") == "~/.cache"
    assert View(NOW, "/home/ann").path("/home/anna") == "/home/anna"
    assert View(NOW, "").path("/home/ann") == "/home/ann"
    assert View(NOW, "/").path("/home") == "/home"


def test_a_plan_shows_the_largest_and_how_many_more() -> None:
    many = [entry(f"e{n}", name=f"p{n}", version=None, frees=n * MIB) for n in range(1, 21)]
    seen = snapshot(cache(*many))
    made = decided(seen, policy())
    shown = text(plan.plan(made, (), VIEW))
    assert "removes 20 entries of pip of ann, /home/ann/.cache/pip, frees 210 MiB" in shown
    assert "p20" in shown
    assert "p3 " not in shown
    assert "and 12 more; --verbose shows all" in shown
    assert "more" not in text(plan.plan(made, (), replace(VIEW, verbose=True)))


def test_skips_of_one_reason_are_one_line_whatever_their_ages() -> None:
    reasons = (f"written {age} ago, kept for 1h (keep.newer_than)" for age in ("3s", "59m1s", "1m"))
    skips = [Skip(f"/c/{n}", reason) for n, reason in enumerate(reasons)]
    shown = text(list(plan.skips([*skips, Skip("/c/x", "in use")], VIEW)))
    assert "3  written too recently, kept for 1h (keep.newer_than)" in shown
    assert "1  in use: /c/x" in shown
    assert "/c/0" in text(list(plan.skips(skips, replace(VIEW, verbose=True))))


def test_nothing_to_do_is_said() -> None:
    seen = snapshot(cache())
    made = decided(seen, policy(free_space=marks("10%")))
    assert "Nothing to do" in text(plan.plan(made, (), VIEW))
    assert "Nothing to do" in text(outcome.outcome(record(of=made), VIEW))
    assert "none found" in text(status.status(snapshot(), decided(snapshot()), VIEW))


def test_a_shortfall_is_said_in_bytes_and_inodes() -> None:
    short = Shortfall("keep-free", "/home", Bytes(3 * MIB), Inodes(1))
    shown = text(list(plan.shortfalls([short], "is")))
    assert "keep-free is 3 MiB and 1 inode short at /home: nothing more may be removed" in shown


def test_rounds_are_told_as_one_and_failures_with_their_reason() -> None:
    measured = cache()
    outcomes = [
        Outcome(
            "p", "purge", measured.cache, (removed(path),), Bytes(MIB), (Failure(f"{path}x", "is open", busy=True),)
        )
        for path in ("a", "b")
    ]
    shown = text(outcome.outcome(record(*outcomes), VIEW))
    assert "pip        ann          2  2 MiB  p       /home/ann/.cache/pip" in shown
    assert "/home/ann/.cache/pip/ax: is open (busy: tried again in the next cycle)" in shown
    assert "2 MiB freed, 2 entries removed." in shown
    assert "Stopped" not in shown
    assert "Stopped before the end" in text(outcome.outcome(record(replace(outcomes[0], incomplete=True)), VIEW))


def test_list_sums_up_what_was_found() -> None:
    measured = cache(entry("a"), entry("b", hold="in use"))
    found = [(measured, each) for each in measured.entries]
    shown = text(entries.entries(found[:1], found, VIEW))
    assert "and 1 more" in shown
    assert "2 entries, 2 MiB; removing what may go frees 1 MiB." in shown
    assert "No entry matches" in text(entries.entries([], [], VIEW))


def test_history_says_when_and_how_much() -> None:
    past = PastCycle("id", "by hand", ago(DAY), ago(DAY - 61), Bytes(3 * MIB), 2, 1)
    line = text(history.history([past], [], VIEW)).splitlines()[1]
    assert line.split("  ")[0] == "2023-11-13 22:13:20"
    assert "1d" in line
    assert "1m1s" in line
    assert "3 MiB" in line


# Explanations


def test_explain_tells_what_goes_what_stays_and_why() -> None:
    seen = snapshot(
        cache(entry("http/a", name="torch"), entry("http/b", name="six"), entry("http/c", name="six", hold="in use")),
    )
    only = policy("only-torch", packages=("torch",))
    explainer = Explainer(seen, decided(seen, only), settings(only))
    (torch,) = explainer.entries("Torch")
    assert torch.policy == "only-torch"
    free, held = explainer.entries("six==1.26.*")
    assert free.policy is None
    assert free.reasons == ("only-torch: is not about this package",)
    assert held.reasons == ("in use",)
    assert explainer.entries("six==2.*") == []
    assert explainer.entries("/home/ann/.cache/pip/http/b") == [free]
    assert explainer.entries("http/b") == [free]
    assert explainer.entries("/home/ann/.cache/pip") == []
    (root,) = explainer.caches("/home/ann/.cache/pip")
    assert root.reasons[0].startswith("only-torch removes 1 of its entries")


def test_explain_knows_a_path_within_a_package() -> None:
    package = replace(entry("numpy-1.26.4-0", kind=Kind.PACKAGE), tree=True)
    seen = snapshot(cache(package, path="/opt/conda/pkgs", ecosystem="conda"))
    explainer = Explainer(seen, decided(seen), settings())
    assert explainer.entries("/opt/conda/pkgs/numpy-1.26.4-0/lib/x.so")
    assert not explainer.entries("/opt/conda/pkgs/numpy-1.26.4-01")


def test_explain_shows_what_is_gone() -> None:
    past = PastRemoval(
        "c1", ago(60), "p", "pip", "ann", "/c/a", "six", "1.17", Bytes(MIB), "download, last used 1w ago"
    )
    shown = text(explain.explain([], [], [], [past], VIEW))
    assert "six 1.17: removed 1m ago" in shown
    assert "1 MiB freed, under p (pip of ann)" in shown
    assert "download, last used 1w ago; cycle c1" in shown


def test_a_heading_opens_with_an_empty_line_but_for_the_first() -> None:
    assert list(tables.plain([Heading("A"), Line("x", indent=2), Heading("B")])) == ["A", "  x", "", "B"]
