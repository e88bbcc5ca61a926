"""Paths as configuration files write them, for the owner whose files they are."""

import os

from cachewarden.ecosystems.base import Surroundings

_PATH_MAX = 4096
_NEVER_EXACTLY = {"/", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/usr", "/usr/local", "/var"}
_NEVER_EXACTLY |= {"/tmp", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp"}  # noqa: S108 - refused
_NEVER_BELOW: tuple[str, ...] = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin")
_NEVER_BELOW += ("/sys",)
_NEVER_BELOW += ("/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/sbin", "/usr/share")


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


def forbidden(path: str, home: str) -> str | None:
    """Why a path is never a cache, whatever any configuration says."""
    plain = path.rstrip("/") or "/"
    if plain in _NEVER_EXACTLY:
        return "it is a system folder"
    if any(plain == place or plain.startswith(place + "/") for place in _NEVER_BELOW):
        return "it is in a system folder"
    own = home.rstrip("/")
    if plain == own or own.startswith(plain + "/"):
        return "it is a home, or holds one"
    if ".." in plain.split("/"):
        return "it has '..' in it"
    return None
