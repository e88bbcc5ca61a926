"""Sizes, shares and durations as people write them. Each function raises ``ValueError`` with a reason for people.

kB to TB are powers of 1000, KiB to TiB of 1024, and a bare number is an error: nobody can tell what it counts.
"""

import re

from cachewarden.model.policies import Amount
from cachewarden.model.units import Bytes, Seconds

UNITS = {
    "B": 1,
    "kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
}  # fmt: skip
SPANS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}

_NUMBER = r"[0-9]{1,15}(\.[0-9]{1,9})?"
SIZE_PATTERN = rf"{_NUMBER} *(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)"
SHARE_PATTERN = r"(100(\.0{1,9})?|[0-9]{1,2}(\.[0-9]{1,9})?) *%"
SPEED_PATTERN = rf"(?=.*[1-9]){_NUMBER} *(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB|kbit|Mbit|Gbit)/s"
COUNT_PATTERN = r"(0|[1-9][0-9]{0,17})"
DURATION_PATTERN = r"([0-9]{1,10}w)? *([0-9]{1,10}d)? *([0-9]{1,10}h)? *([0-9]{1,10}m)? *([0-9]{1,10}s)?"

LONGEST = Seconds(5_200 * SPANS["w"])
"""A century: far enough, and no arithmetic with it can overflow a date."""
LARGEST = Bytes(2**63 - 1)
"""What the kernel, and SQLite, can count."""

_LONGEST_TEXT = 80  # many blanks cost the pattern much time
_UNIT_HINT = "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"
_SPAN_HINT = "units are s, m, h, d and w, the longest first: 1h30m"


def size(text: str) -> Bytes:
    """``"1.5 GiB"`` -> bytes; parts of a byte are cut off."""
    if not re.fullmatch(SIZE_PATTERN, text):
        raise ValueError(_lacks_unit(text) or _UNIT_HINT)
    number = text.rstrip("BkKMGTi ")
    whole, _, tail = number.partition(".")
    amount = int(whole + tail) * UNITS[text[len(number) :].strip()] // 10 ** len(tail)
    if amount > LARGEST:
        raise ValueError("at most 8388607 TiB")
    return Bytes(amount)


def speed(text: str) -> Bytes:
    """``"2 MB/s"`` -> bytes a second, ``"16 Mbit/s"`` too: that is how lines are sold."""
    if re.fullmatch(rf"{_NUMBER} *(kbit|Mbit|Gbit)/s", text):
        bits = size(text.removesuffix("/s").replace("bit", "B"))
        found = Bytes(bits // 8)
    elif re.fullmatch(rf"{SIZE_PATTERN}/s", text):
        found = size(text.removesuffix("/s"))
    else:
        raise ValueError("a size or a number of kbit, Mbit or Gbit in a second")
    if not found:
        raise ValueError("more than nothing")
    return found


def size_or_share(text: str) -> Amount:
    """``"1.5 GiB"`` -> bytes, ``"10%"`` -> percent of the filesystem."""
    return _share(text) if text.endswith("%") else Amount(absolute=size(text))


def count_or_share(text: str) -> Amount:
    """``"5000"`` -> that many inodes, ``"5%"`` -> percent of the filesystem's."""
    if text.endswith("%"):
        return _share(text)
    if not re.fullmatch(COUNT_PATTERN, text):
        raise ValueError("a whole number in digits")
    return Amount(absolute=int(text))


def duration(text: str) -> Seconds:
    """``"90s"``, ``"5m"``, ``"1h30m"``, ``"30d"``, ``"8w"`` -> seconds."""
    if not text.strip() or len(text) > _LONGEST_TEXT or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(_lacks_unit(text) or _SPAN_HINT)
    total = sum(int(count) * SPANS[letter] for count, letter in re.findall(r"([0-9]+)([wdhms])", text))
    if total > LONGEST:
        raise ValueError("at most 5200w")
    return Seconds(total)


def _share(text: str) -> Amount:
    if not re.fullmatch(SHARE_PATTERN, text):
        raise ValueError("a share is from 0% to 100%")
    return Amount(percent=float(text[:-1]))


def _lacks_unit(text: str) -> str | None:
    return "a number needs its unit" if re.fullmatch(r"[0-9][0-9_.]*", text) else None
