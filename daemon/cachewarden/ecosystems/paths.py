"""Paths as configuration files write them, for the owner whose files they are."""

import os

from cachewarden.ecosystems.base import Surroundings

_PATH_MAX = 4096


def home_of(surroundings: Surroundings) -> str:
    """``$HOME``, or the owner's home where it is unset or empty."""
    return (surroundings.environ.get("HOME") or surroundings.owner.home).rstrip("/")


def plain_path(text: str, surroundings: Surroundings) -> str:
    """An absolute path with ``~`` expanded and ``//``, ``.`` and a trailing ``/`` gone; links stay as they are.

    ``ValueError``, whose text goes on after a subject, for what cannot be a folder that is safe to work in.
    """
    path = _expand_home(text, surroundings)
    if not path.startswith("/"):
        raise ValueError("is relative: it depends on the tool's working folder; name an absolute path")
    if any(character < " " or character == "\x7f" for character in path):
        raise ValueError("has control characters in it")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError("has characters that no file name can have") from None
    if len(path) > _PATH_MAX:
        raise ValueError("is longer than a path can be")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("has .. in it: name the folder itself")
    return "/" + "/".join(parts)


def _expand_home(text: str, surroundings: Surroundings) -> str:
    """``~`` and the owner's own ``~name``, as ``os.path.expanduser``."""
    if not text.startswith("~"):
        return text
    name, slash, rest = text[1:].partition("/")
    if not name:
        return home_of(surroundings) + slash + rest
    if name == surroundings.owner.name:
        return surroundings.owner.home.rstrip("/") + slash + rest
    raise ValueError(f"is in the home of {name}: name an absolute path")
