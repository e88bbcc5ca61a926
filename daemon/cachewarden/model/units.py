"""Quantities with their unit in the type, and how people read them.

Sizes for people are powers of 1024 (``1.5 GiB``), as in the policy language; JSON carries plain bytes.
"""

from datetime import UTC, datetime
from typing import Annotated, NewType

Bytes = NewType("Bytes", int)
Inodes = NewType("Inodes", int)
Seconds = NewType("Seconds", int)
Instant = NewType("Instant", int)
"""Nanoseconds since 1970-01-01T00:00:00Z, as the filesystem gives them."""

Serial = Annotated[int, "64 bits"]
"""The number of an inode or a device: of all 64 bits, where a filesystem makes it of a hash (mergerfs)."""

NANOSECONDS = 1_000_000_000
_LAST = 2**63 - 1
"""In the year 2262. Filesystems go further (ext4 to 2446), the protocol of workers and the state do not."""
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def human_bytes(size: int) -> str:
    """``1536`` -> ``1.5 KiB``; three significant digits, exact below 1024."""
    amount = float(abs(size))
    sign = "-" if size < 0 else ""
    for unit in _BINARY:
        if amount < 999.5 or unit == _BINARY[-1]:
            break
        amount /= 1024
    digits = 0 if unit == "B" or amount >= 99.95 else 1 if amount >= 9.995 else 2
    text = f"{amount:.{digits}f}"
    return f"{sign}{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"


def human_span(seconds: int) -> str:
    """``5400`` -> ``1h30m``; the two largest units of ``w d h m s``."""
    rest, words = abs(int(seconds)), []
    for letter, length in _SPANS:
        count, rest = divmod(rest, length)
        if count:
            words.append(f"{count}{letter}")
    return "".join(words[:2]) or "0s"


def exact_span(seconds: int) -> str:
    """``5184000`` -> ``60d``, as a policy has it: the largest unit of ``w d h m s`` that it is a multiple of."""
    letter, length = next(each for each in _SPANS if seconds % each[1] == 0) if seconds else _SPANS[-1]
    return f"{seconds // length}{letter}"


def within_time(moment: int) -> Instant:
    """The nearest time that can be told and kept: any user can give a file one in the year 9999."""
    return Instant(max(-_LAST, min(moment, _LAST)))


def seconds_between(earlier: Instant, later: Instant) -> Seconds:
    """Whole seconds from ``earlier`` to ``later``; negative when the clock went back."""
    return Seconds((later - earlier) // NANOSECONDS)


def rfc3339(moment: Instant | None) -> str | None:
    """The form of every time in our JSON: RFC 3339, UTC, whole seconds.

    ``None`` for ``None`` and for time stamps no calendar has (a hostile utime can set any).
    """
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment // NANOSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return None
