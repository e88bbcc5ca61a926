"""What of all that is opened in a cache is a use, and what the service takes from those who say so."""

import pytest

from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip
from cachewarden.service.opens import AFTER, BEFORE, EVERY, HOLD, LONGEST, LONGEST_PATH, MOST, Opens, may_be_told

CACHE = "/home/ann/.cache/pip"
KEY = "5" * 56
RESPONSE = f"http-v2/5/5/5/5/5/{KEY}"
WHEEL = f"wheels/ab/cd/ef/{'0' * 50}"


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        (RESPONSE, RESPONSE),
        (f"{RESPONSE}.body", RESPONSE),
        (RESPONSE.replace("http-v2", "http"), RESPONSE.replace("http-v2", "http")),
        (f"{WHEEL}/six-1.0-py3-none-any.whl", WHEEL),
        (f"{WHEEL}/origin.json", None),
        (f"{RESPONSE}abcdefgh.tmp", None),
        (f"{RESPONSE}.body/x", None),
        ("selfcheck.json", None),
        ("http-v2/5/5/5/5/5/../../x", None),
        (f"x/{RESPONSE}", None),
        ("", None),
    ],
)
def test_files_of_pip_are_of_the_entry_that_they_belong_to(path: str, entry: str | None) -> None:
    assert Pip().opened(path) == entry


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("zlib-1.2-0.conda", "zlib-1.2-0.conda"),
        ("zlib-1.2-0.tar.bz2", "zlib-1.2-0.tar.bz2"),
        ("urls.txt", None),
        ("zlib-1.2-0/info/index.json", None),
        ("cache/x.conda", None),
        ("zlib-1.2-0.conda.partial", None),
    ],
)
def test_an_archive_of_conda_is_used_when_it_is_opened_and_nothing_else_is(path: str, entry: str | None) -> None:
    assert Conda().opened(path) == entry


def test_what_is_opened_by_its_name_is_told_once_and_not_at_once() -> None:
    opens = Opens()
    assert opens.note(CACHE, RESPONSE, 100.0)
    assert not opens.note(CACHE, RESPONSE, 100.1)
    assert opens.wait(100.1) == pytest.approx(HOLD)
    assert opens.due(100.1) == {}
    assert opens.due(100.1 + HOLD) == {CACHE: [RESPONSE]}
    assert opens.due(200.0) == {}
    assert opens.wait(200.0) is None


def test_it_tells_no_more_often_than_every_ten_seconds() -> None:
    opens = Opens()
    opens.note(CACHE, RESPONSE, 100.0)
    assert opens.due(103.0)
    opens.note(CACHE, WHEEL, 104.0)
    assert opens.due(108.0) == {}
    assert opens.wait(108.0) == pytest.approx(103.0 + EVERY - 108.0)
    assert opens.due(103.0 + EVERY) == {CACHE: [WHEEL]}


@pytest.mark.parametrize("folder", ["http-v2", "http-v2/5"])
@pytest.mark.parametrize("lag", [-BEFORE, 0.0, 3.0, 20.0, 20.0 + AFTER])
def test_who_lists_a_folder_above_it_looks_however_late_that_or_the_opening_is_known(folder: str, lag: float) -> None:
    opens = Opens()
    if lag < 0:
        opens.note(CACHE, RESPONSE, 100.0 + lag)
    opens.listed(f"{CACHE}/{folder}", 100.0, opened=True)
    if 0 <= lag <= 20:
        opens.note(CACHE, RESPONSE, 100.0 + lag)
    opens.listed(f"{CACHE}/{folder}", 120.0, opened=False)
    if lag > 20:
        opens.note(CACHE, RESPONSE, 100.0 + lag)
    assert opens.due(1000.0) == {}


@pytest.mark.parametrize("when", [100.0 - 2 * BEFORE, 101.0 + AFTER + 0.1])
def test_what_is_opened_well_before_or_after_a_look_is_used(when: float) -> None:
    opens = Opens()
    if when < 100:
        opens.note(CACHE, RESPONSE, when)
    opens.listed(f"{CACHE}/http-v2", 100.0, opened=True)
    opens.listed(f"{CACHE}/http-v2", 101.0, opened=False)
    if when > 100:
        opens.note(CACHE, RESPONSE, when)
    assert opens.due(1000.0) == {CACHE: [RESPONSE]}


def test_a_look_at_one_folder_or_cache_says_nothing_of_another() -> None:
    opens = Opens()
    for folder in (f"{CACHE}/http-v2/6", f"{CACHE}/wheels", "/other/http-v2"):
        opens.listed(folder, 100.0, opened=True)
    opens.note(CACHE, RESPONSE, 100.1)
    assert opens.due(1000.0) == {CACHE: [RESPONSE]}


def test_two_looks_of_which_one_closing_was_not_told_hush_nothing_for_ever() -> None:
    opens = Opens()
    for _ in range(2):
        opens.listed(f"{CACHE}/http-v2", 100.0, opened=True)
    opens.listed(f"{CACHE}/http-v2", 101.0, opened=False)
    opens.note(CACHE, RESPONSE, 110.0)
    assert opens.due(1000.0) == {CACHE: [RESPONSE]}


def test_a_folder_whose_closing_was_never_told_counts_as_closed_in_the_end() -> None:
    opens = Opens()
    opens.listed(f"{CACHE}/http-v2", 100.0, opened=True)
    opens.note(CACHE, RESPONSE, 100.0 + LONGEST)
    assert opens.due(100.0 + LONGEST + HOLD) == {}
    opens.note(CACHE, RESPONSE, 101.0 + LONGEST)
    assert opens.due(101.0 + LONGEST + HOLD) == {CACHE: [RESPONSE]}


def entries(count: int) -> list[str]:
    return [f"{RESPONSE[:-6]}{number:06x}" for number in range(count)]


def test_as_many_as_an_installation_opens_are_told() -> None:
    opens = Opens()
    for entry in entries(MOST):
        opens.note(CACHE, entry, 100.0)
    assert sorted(opens.due(103.0)[CACHE]) == entries(MOST)


def test_who_opens_more_than_any_installation_looks_until_it_is_quiet_again() -> None:
    opens = Opens()
    for number, entry in enumerate(entries(20 * MOST)):
        opens.note(CACHE, entry, 100.0 + number / 100)
    end = 100.0 + 20 * MOST / 100
    assert opens.due(end + 3) == {}
    opens.note(CACHE, RESPONSE, end + 2 * AFTER)
    assert opens.due(end + 3 * AFTER) == {CACHE: [RESPONSE]}


def test_a_path_that_fits_in_no_message_is_not_told() -> None:
    assert may_be_told(CACHE)
    assert not may_be_told("/" + "x" * LONGEST_PATH)
    assert not may_be_told("/" + "\udcff" * (LONGEST_PATH // 6))
