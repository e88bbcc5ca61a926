"""Texts with rules: names, paths, globs. Each function returns the text or raises ``ValueError`` with a reason."""

import re

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
OWNER_PATTERN = r"[^\s/:,*?\[\]{}-][^\s/:,*?\[\]{}]{0,255}"
ABSOLUTE_PATTERN = r"/[^\x00-\x1f]*"
PACKAGE_PATTERN = r"[A-Za-z0-9._*?\[\]!-]+(==[A-Za-z0-9._+*?\[\]!-]+)?"
DESTINATION_PATTERN = r"/([^\x00-\x1f{}]|\{owner\}|\{ecosystem\})+"
_LONGEST_PATH = 4095


def policy_name(text: str) -> str:
    """What a policy is called in plans, logs and history."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise ValueError("at most 64 letters, digits, dots, underscores and dashes, the first a letter or digit")
    return text


def owner_name(text: str) -> str:
    """A user's login name; no glob, for one that matches nobody would go unnoticed."""
    if not re.fullmatch(OWNER_PATTERN, text):
        raise ValueError("one login name, no pattern")
    return text


def absolute_path(text: str) -> str:
    """An absolute path without ``..``, so that what is read is what is meant."""
    if text.startswith("~"):
        raise ValueError("~ is not expanded, for there are many homes")
    if not text.startswith("/"):
        raise ValueError("a path must be absolute")
    if not re.fullmatch(ABSOLUTE_PATTERN, text) or len(text.encode("utf-8")) > _LONGEST_PATH:
        raise ValueError("at most 4095 bytes, and no control characters")
    if ".." in text.split("/"):
        raise ValueError("a path must not contain ..")
    return text


def path_glob(text: str) -> str:
    """A glob over absolute paths: ``*`` does not cross a ``/``, ``**`` does."""
    return absolute_path(text)


def destination(text: str) -> str:
    """Where a relocation goes: an absolute path with the placeholders ``{owner}`` and ``{ecosystem}``."""
    absolute_path(text)
    if not text.strip("/"):
        raise ValueError("a folder of its own, not the root")
    if not re.fullmatch(DESTINATION_PATTERN, text):
        raise ValueError("the only placeholders are {owner} and {ecosystem}")
    return text


def package_glob(text: str) -> str:
    """A glob over ``name``, or over both sides of ``name==version``."""
    if re.fullmatch(PACKAGE_PATTERN, text):
        return text
    if re.fullmatch(r"[^\s<>=~]+=[^\s<>=~]+", text):
        raise ValueError("with two equal signs: " + text.replace("=", "=="))
    raise ValueError("globs with * ? [ ] over a name and, after ==, a version")


FEW_PATTERN = r"0|[1-9][0-9]{0,2}|1000"


def few(text: str) -> int:
    """A small whole number."""
    if not re.fullmatch(FEW_PATTERN, text):
        raise ValueError("a whole number in digits, at most 1000")
    return int(text)
