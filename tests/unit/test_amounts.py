"""How people write sizes, shares and durations."""

import re

import pytest

from cachewarden.model.policies import Amount
from cachewarden.settings import amounts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 B", 0),
        ("1 kB", 1000),
        ("500 MB", 500_000_000),
        ("2GiB", 2 * 1024**3),
        ("1.5 GiB", 1_610_612_736),
        ("0.001 KiB", 1),
        ("1 TB", 10**12),
        ("1 TiB", 1024**4),
        ("8388607 TiB", 8388607 * 1024**4),
    ],
)
def test_sizes_are_bytes(text: str, expected: int) -> None:
    assert amounts.size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 MB/s", 2_000_000), ("2MiB/s", 2 << 20), ("16 Mbit/s", 2_000_000), ("1.5 Gbit/s", 187_500_000),
        ("56 kbit/s", 7000),
    ],
)  # fmt: skip
def test_speeds_are_bytes_a_second_however_the_line_was_sold(text: str, expected: int) -> None:
    assert amounts.speed(text) == expected
    assert re.fullmatch(amounts.SPEED_PATTERN, text)


@pytest.mark.parametrize("text", ["2 MB", "16 Mbit", "2 Mb/s", "0 MB/s", "1 B/m", "16 mbit/s", "1 bit/s", "", "/s"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"second|nothing|units|unit"):
        amounts.speed(text)
    assert not re.fullmatch(amounts.SPEED_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5000", "a number needs its unit"),
        ("1.5", "a number needs its unit"),
        ("2G", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("2 gib", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("-1 GiB", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("1,5 GiB", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("1e3 GiB", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("٣ GiB", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("2 GiB\n", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("", "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"),
        ("8388608 TiB", "at most 8388607 TiB"),
    ],
)
def test_what_is_no_size_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        amounts.size(text)


@pytest.mark.parametrize(
    ("text", "percent"), [("0%", 0.0), ("10%", 10.0), ("12.5 %", 12.5), ("100%", 100.0), ("100.0%", 100.0)]
)
def test_shares_are_percent(text: str, percent: float) -> None:
    assert amounts.size_or_share(text) == Amount(percent=percent)
    assert amounts.count_or_share(text) == Amount(percent=percent)


@pytest.mark.parametrize("text", ["101%", "100.1%", "-5%", "%", "10.%", "1e1%"])
def test_a_share_is_from_0_to_100(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a share is from 0% to 100%$"):
        amounts.size_or_share(text)


def test_inodes_are_counted_without_a_unit() -> None:
    assert amounts.count_or_share("5000") == Amount(absolute=5000)


@pytest.mark.parametrize("text", ["0777", "5_000", "5k", "-1", "1.5", "5 GiB"])
def test_a_count_is_a_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a whole number in digits$"):
        amounts.count_or_share(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("30d", 2_592_000),
        ("8w", 4_838_400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1w2d3h4m5s", 788_645),
        ("5200w", 3_144_960_000),
    ],
)
def test_durations_are_seconds(text: str, seconds: int) -> None:
    assert amounts.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("300", "a number needs its unit"),
        ("1:30", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("30m1h", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("1h1h", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("1.5h", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("-1h", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("5 minutes", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("1y", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("1w" + " " * 100_000 + "x", "units are s, m, h, d and w, the longest first: 1h30m"),
        ("5201w", "at most 5200w"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        amounts.duration(text)
