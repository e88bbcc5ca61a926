"""When conda's packages were linked, and where they can be had again: what is read of others' files is only read."""

import errno
import os
import stat
import time
from collections.abc import Mapping

import pytest

from cachewarden.ecosystems.base import Context, Located, Surroundings
from cachewarden.ecosystems.conda_worth import (
    MOST_USES,
    Addresses,
    Links,
    Origin,
    Worth,
    distribution_of,
    is_remote,
    links_of_history,
    origin_of,
)
from cachewarden.model.caches import Cache, Owner
from cachewarden.model.units import NANOSECONDS, Bytes, Instant
from cachewarden.model.worth import Facts, Regain, Signal
from fake_trees import NoProcesses
from fakes import FakeFiles
from makers import NOW, ago, owner

DAY = 86_400
ZLIB = "zlib-1.2.11-h7f98852_0"


def local(moment: int) -> str:
    """As conda writes it: ``time.strftime("%Y-%m-%d %H:%M:%S")``."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment // NANOSECONDS))


class Dated(FakeFiles):
    """Files with a time."""

    def __init__(self, contents: Mapping[str, str | bytes | OSError], times: Mapping[str, int]) -> None:
        super().__init__(contents)
        self._times = times

    def stat(self, path: str) -> os.stat_result | None:
        if super().stat(path) is None:
            return None
        seconds, rest = divmod(self._times.get(path, 0), NANOSECONDS)
        plain = (stat.S_IFREG | 0o644, 1, 1, 1, 0, 0, 0, seconds, seconds, seconds)
        # The times in nanoseconds come after those in whole and in broken seconds.
        return os.stat_result((*plain, *[float(seconds)] * 3, *[seconds * NANOSECONDS + rest] * 3))


def links(
    files: FakeFiles, *prefixes: str, of: Owner | None = None, path: str = "/home/ann/.conda/pkgs", dist: str = ZLIB
) -> Links:
    whom = of or owner()
    context = Context(Surroundings(whom, {}, files), Located(environments=prefixes), NoProcesses(), NOW)
    return Links(Cache("conda", path, whom, "a test"), context, {dist})


@pytest.mark.parametrize(
    "line",
    [
        f"+defaults/linux-64::{ZLIB}",
        f"+defaults::{ZLIB}",
        f"+https://conda.anaconda.org/conda-forge/linux-64::{ZLIB}",
        f"+conda-forge::{ZLIB}",
        f"+{ZLIB}",
        f"+https://conda.invalid/main/{ZLIB}.tar.bz2",
        f"+{ZLIB}.conda  ",
    ],
)
def test_every_form_of_a_line_that_conda_and_mamba_write_is_understood(line: str) -> None:
    text = f'==> 2021-11-29 11:06:19 <==\n# cmd: mamba\n# conda version: 3.8.0\n{line}\n# update specs: ["zlib"]\n'
    when = int(time.mktime((2021, 11, 29, 11, 6, 19, 0, 0, -1))) * NANOSECONDS
    assert list(links_of_history(text, {ZLIB})) == [(when, ZLIB)]


@pytest.mark.parametrize(
    "text",
    [
        f"+{ZLIB}\n",
        f"==> 2021-11-29 11:06:19 <==\n-{ZLIB}\n",
        f"==> 2021-13-29 11:06:19 <==\n+{ZLIB}\n",
        f"==> yesterday <==\n+{ZLIB}\n",
        f"==> 2021-11-29 11:06:19 <==\n==> \n+{ZLIB}\n",
        f"==> 2021-11-29 11:06:19 <==\n+{ZLIB}-more\n+\n++\n+::\n",
        "==> 2021-11-29 11:06:19 <==\n" + "+" * 100_000,
        "\0\udcff\n==>",
    ],
)
def test_what_is_no_link_with_a_time_tells_nothing(text: str) -> None:
    assert list(links_of_history(text, {ZLIB})) == []


def test_a_long_hostile_line_takes_no_time_to_speak_of() -> None:
    text = "==> 2021-11-29 11:06:19 <==\n" + ("+" + "a::/" * 250_000 + "\n") * 4
    assert list(links_of_history(text, {ZLIB})) == []


def test_a_record_says_to_the_nanosecond_when_an_environment_was_given_a_package() -> None:
    linked = Instant(ago(3 * DAY) + 7)
    record = f"/envs/a/conda-meta/{ZLIB}.json"
    found = links(Dated({record: "{}"}, {record: linked}), "/envs/a").of(ZLIB)
    assert (found.latest(), found.installed) == (linked, True)


def test_a_package_that_was_removed_from_its_environment_was_used_when_the_history_says() -> None:
    history = f"==> {local(ago(9 * DAY))} <==\n+main::{ZLIB}\n==> {local(ago(5 * DAY))} <==\n-main::{ZLIB}\n"
    found = links(FakeFiles({"/envs/a/conda-meta/history": history}), "/envs/a").of(ZLIB)
    assert (found.latest(), found.installed) == (ago(9 * DAY), False)


def test_the_first_link_is_the_one_for_which_it_was_cached_and_the_others_are_uses() -> None:
    history = "".join(f"==> {local(ago(days * DAY))} <==\n+main::{ZLIB}\n" for days in (90, 20, 10))
    record = f"/envs/b/conda-meta/{ZLIB}.json"
    contents = {"/envs/a/conda-meta/history": history, record: "{}"}
    found = links(Dated(contents, {record: ago(5 * DAY)}), "/envs/a", "/envs/b").of(ZLIB)
    assert found.times == (ago(90 * DAY), ago(20 * DAY), ago(10 * DAY), ago(5 * DAY))
    assert (found.uses_since(ago(21 * DAY)), found.uses_since(ago(100 * DAY)), found.uses_since(NOW)) == (2, 3, 0)


def test_a_link_is_counted_once_though_record_and_history_tell_of_it() -> None:
    record, history = (f"/envs/a/conda-meta/{name}" for name in (f"{ZLIB}.json", "history"))
    contents = {record: "{}", history: f"==> {local(ago(5 * DAY))} <==\n+main::{ZLIB}\n"}
    assert links(Dated(contents, {record: Instant(ago(5 * DAY) + 1)}), "/envs/a").of(ZLIB).times == (
        ago(5 * DAY) + 1,
    )


def test_times_in_the_future_are_now() -> None:
    record, history = f"/envs/a/conda-meta/{ZLIB}.json", "/envs/b/conda-meta/history"
    contents = {record: "{}", history: f"==> 9999-12-31 23:59:59 <==\n+main::{ZLIB}\n"}
    found = links(Dated(contents, {record: ago(-DAY)}), "/envs/a", "/envs/b").of(ZLIB)
    assert found.times == (NOW, NOW)


def test_a_history_of_any_number_of_links_counts_to_a_bound() -> None:
    history = f"==> {local(ago(5 * DAY))} <==\n" + f"+main::{ZLIB}\n" * 5000
    found = links(FakeFiles({"/envs/a/conda-meta/history": history}), "/envs/a").of(ZLIB)
    assert found.uses_since(ago(6 * DAY)) == MOST_USES - 1


def test_a_history_that_is_too_long_or_not_the_owners_is_left_aside_and_records_still_tell() -> None:
    record, history = (f"/envs/a/conda-meta/{name}" for name in (f"{ZLIB}.json", "history"))
    for content in ("x" * ((4 << 20) + 1), PermissionError(errno.EPERM, "not the owner's")):
        files = Dated({record: "{}", history: content}, {record: ago(DAY)})
        assert links(files, "/envs/a").of(ZLIB).times == (ago(DAY),)


def test_whether_it_is_installed_is_unknown_where_not_all_environments_can_be_seen() -> None:
    there = {"/envs/a/conda-meta/history": ""}
    shut: dict[str, str | bytes | OSError] = {
        **there, "/envs/shut/conda-meta": PermissionError(errno.EACCES, "no")
    }  # fmt: skip
    assert links(FakeFiles(there), "/envs/a", "/envs/gone").of(ZLIB).installed is False
    assert links(FakeFiles(shut), "/envs/a", "/envs/shut").of(ZLIB).installed is None
    assert links(FakeFiles(there)).of(ZLIB).installed is None
    assert links(FakeFiles(there), "/envs/a", path="/opt/conda/pkgs").of(ZLIB).installed is None


@pytest.mark.parametrize("prefix", ["/envs/\0", "/envs/\udcff", "/" + "x" * 5000])
def test_a_prefix_that_no_folder_can_have_is_no_matter(prefix: str) -> None:
    assert links(FakeFiles({}), prefix).of(ZLIB).times == ()


# ---------------------------------------------------------------------------------------------------------
# Where it comes from


@pytest.mark.parametrize(
    ("record", "remote"),
    [
        ({"url": "https://conda.anaconda.org/main/a.conda"}, True),
        ({"url": "s3://bucket/main/a.conda", "channel": "<unknown>"}, True),
        ({"url": "file:///home/ann/a.conda", "channel": "main"}, False),
        ({"url": "FILE:///home/ann/a.conda"}, False),
        ({"url": "/home/ann/a.conda"}, False),
        ({"channel": "<unknown>"}, False),
        ({"channel": "local"}, False),
        ({"channel": "/home/ann/conda-bld/linux-64"}, False),
        ({"channel": "file:///home/ann/conda-bld"}, False),
        ({"url": "", "channel": "https://conda.anaconda.org/main"}, True),
        ({"channel": "conda-forge"}, True),
        ({"url": 7, "channel": ["x"]}, None),
        ({}, None),
    ],
)
def test_where_a_package_comes_from_is_said_by_its_url_then_by_its_channel(
    record: dict[str, object], remote: bool | None
) -> None:
    assert origin_of(record) == Origin(remote)


@pytest.mark.parametrize(
    ("size", "fetch"),
    [(1, 1), (100_000_000_000, 100_000_000_000), (0, None), (-1, None), (100_000_000_001, None), (True, None),
     (1.5, None), ("7", None), (None, None), (float("inf"), None)],
)  # fmt: skip
def test_only_a_sane_size_is_one(size: object, fetch: int | None) -> None:
    assert origin_of({"url": "https://x.invalid/a", "size": size}).size == fetch


def worth(listed: Addresses | None = None, times: tuple[Instant, ...] = ()) -> Worth:
    record = f"/envs/a/conda-meta/{ZLIB}.json"
    files = Dated({record: "{}"}, {record: times[-1]}) if times else FakeFiles({"/envs/a/conda-meta/history": ""})
    return Worth(listed or Addresses(), links(files, "/envs/a"))


def test_a_package_whose_archive_stands_is_extracted_again_wherever_it_came_from() -> None:
    facts = worth().of_package(ZLIB, Origin(remote=False), 0, archived=True)
    assert facts == Facts(Regain.EXTRACT, Bytes(0), installed=False)


def test_a_package_without_its_archive_is_downloaded_again_and_its_size_is_the_archives() -> None:
    facts = worth().of_package(ZLIB, Origin(remote=True, size=Bytes(70)), 0, archived=False)
    assert facts == Facts(Regain.DOWNLOAD, Bytes(70), installed=False)


def test_what_came_from_a_file_cannot_be_had_again() -> None:
    known = worth(Addresses({ZLIB: True}, whole=True))
    assert known.of_package(ZLIB, Origin(remote=False), 0, archived=False).regain is Regain.NEVER
    assert known.of_archive(ZLIB, Origin(remote=False), 0, 70).regain is Regain.NEVER


def test_what_has_no_record_is_known_by_the_list_of_addresses() -> None:
    for listed, regain in [
        (Addresses({ZLIB: True}, whole=True), Regain.DOWNLOAD),
        (Addresses({ZLIB: False}, whole=True), Regain.NEVER),
        (Addresses({}, whole=True), Regain.NEVER),
        (Addresses({}, whole=False), Regain.DOWNLOAD),
    ]:
        assert worth(listed).of_package(ZLIB, Origin(), 0, archived=False).regain is regain
        assert worth(listed).of_archive(ZLIB, Origin(), 0, 70).regain is regain


def test_equal_facts_are_one_object() -> None:
    one = worth()
    first, second = (one.of_package(ZLIB, Origin(remote=True), 0, archived=False) for _ in range(2))
    assert first is second


def test_the_latest_sign_of_use_counts_and_is_named() -> None:
    linked = worth(times=(ago(5 * DAY),))
    assert linked.last_use(ZLIB, ago(6 * DAY), ago(7 * DAY)) == (ago(5 * DAY), Signal.INSTALLED)
    assert linked.last_use(ZLIB, ago(4 * DAY), ago(7 * DAY)) == (ago(4 * DAY), Signal.ACCESSED)
    assert linked.last_use(ZLIB, ago(9 * DAY), ago(2 * DAY)) == (ago(2 * DAY), Signal.WRITTEN)
    assert linked.last_use(None, ago(9 * DAY), ago(8 * DAY)) == (ago(8 * DAY), Signal.WRITTEN)


def test_names_of_archives_and_folders_are_of_one_distribution() -> None:
    assert {distribution_of(name) for name in (ZLIB, f"{ZLIB}.conda", f"{ZLIB}.tar.bz2")} == {ZLIB}
    assert not is_remote("zlib.conda")
