"""The order of versions: PEP 440 as the ``packaging`` library has it, and conda's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from cachewarden.model.versions import version_key

RELEASES = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
PRE = st.sampled_from(["", "a1", "b2", "rc1", "rc2", ".dev1", "a1.dev2"])
POST = st.sampled_from(["", ".post1", ".post2"])
LOCAL = st.sampled_from(["", "+cpu", "+cu118", "+cu121"])
EPOCH = st.sampled_from(["", "", "1!"])
VERSIONS = st.builds("{}{}{}{}{}".format, EPOCH, RELEASES, PRE, POST, LOCAL).filter(
    lambda text: not (".dev" in text and ".post" in text)
)


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_pep_440_says(one: str, other: str) -> None:
    ours = (version_key(one) > version_key(other)) - (version_key(one) < version_key(other))
    theirs = (Version(one) > Version(other)) - (Version(one) < Version(other))
    assert ours == theirs


@pytest.mark.parametrize(
    "rising",
    [
        ["1.1.1a", "1.1.1w", "1.1.2", "3.0.8"],  # openssl, as conda names it
        ["9d", "9e", "10a"],
        ["2019c", "2024a", "2024b", "2025.1"],
        ["1.0_1", "1.0_2", "1.0_10"],
        ["0.4.9dev", "0.4.9", "0.4.10", "1.0"],
    ],
)
def test_versions_of_conda_have_their_order(rising: list[str]) -> None:
    assert sorted(rising, key=version_key) == rising
    assert len({version_key(each) for each in rising}) == len(rising)


@given(st.text(), st.text(), st.text())
def test_any_text_has_a_place_in_one_order(one: str, other: str, third: str) -> None:
    keys = sorted(map(version_key, (one, other, third)))
    assert keys[0] <= keys[1] <= keys[2]
    assert keys[0] <= keys[2]


def test_a_number_of_thousands_of_digits_costs_nothing() -> None:
    assert version_key("1." + "9" * 100_000) > version_key("1.8")
