"""The order of versions, of pip's and conda's packages alike.

PEP 440 where a version follows it, else as conda does: numbers by value, words by letter, ``dev`` before ``a``, ``b``
and ``rc``, these before the release, ``post`` after it (``conda/models/version.py``). Any text has a place.
"""

import re
from functools import lru_cache

_LONGEST = 200
_MOST_DIGITS = 18
"""Digits of one number that count: a hostile version may have thousands."""
_TOKEN = re.compile(r"[0-9]+|[a-z]+")
_BEFORE = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1, "pre": -1, "preview": -1}
_AFTER = {"post", "rev", "r"}

VersionKey = tuple[tuple[int, int, str], ...]
_END = (0, 0, "")
_NOTHING = (3, 0, "")


def version_key(text: str) -> VersionKey:
    """Sorts as the versions do: ``1.9`` < ``1.10rc1`` < ``1.10`` = ``1.10.0`` < ``1.10.post1`` < ``1!0.1``."""
    return _key(text[:_LONGEST])


@lru_cache(maxsize=4096)
def _key(text: str) -> VersionKey:
    plain = text.strip().lower().removeprefix("v")
    epoch, marked, rest = plain.partition("!")
    if not marked or not epoch.isascii() or not epoch.isdigit():
        epoch, rest = "0", plain
    public, _, local = rest.partition("+")
    return (_number(epoch), *_tokens(public), *_tokens(local))


def _tokens(text: str) -> VersionKey:
    """With an end, which stands before all that makes a version later; zeros before a word or the end are nothing."""
    found: list[tuple[int, int, str]] = []
    for token in _TOKEN.findall(text):
        one = _one(token)
        if one[0] != _NOTHING[0]:
            _drop_zeros(found)
        found.append(one)
    _drop_zeros(found)
    return (*found, _END)


def _drop_zeros(found: list[tuple[int, int, str]]) -> None:
    while found and found[-1] == _NOTHING:
        found.pop()


def _one(token: str) -> tuple[int, int, str]:
    if token[0].isdigit():
        return _number(token)
    if token in _BEFORE:
        return (_BEFORE[token], 0, "")
    return (2, 0, "") if token in _AFTER else (1, 0, token)


def _number(digits: str) -> tuple[int, int, str]:
    return (3, int(digits.lstrip("0")[:_MOST_DIGITS] or "0"), "")
