"""How an entry that is gone comes back: a sentence for people, and where there is one, the command that does it.

Names, versions and paths come from users' files. Into a command goes only what has the strict form of a name or a
version of that tool, quoted for a shell besides; anything else gives no command, and the sentence says why.
"""

import re
import shlex
from dataclasses import dataclass

from cachewarden.model.caches import Kind
from cachewarden.model.worth import Regain

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", re.ASCII)
"""PEP 508 (https://packaging.python.org/en/latest/specifications/name-normalization/), with an end to its length."""
_VERSION = re.compile(
    r"(?:[0-9]{1,9}!)?[0-9]{1,30}(?:\.[0-9]{1,30}){0,20}"
    r"(?:[-_.]?(?:alpha|beta|preview|pre|rc|a|b|c)[-_.]?[0-9]{0,9})?"
    r"(?:-[0-9]{1,9}|[-_.]?(?:post|rev|r)[-_.]?[0-9]{0,9})?"
    r"(?:[-_.]?dev[-_.]?[0-9]{0,9})?"
    r"(?:\+[a-z0-9]{1,40}(?:[-_.][a-z0-9]{1,40}){0,10})?",
    re.ASCII | re.IGNORECASE,
)
"""PEP 440, appendix B, without ``v`` and spaces."""
_DISTRIBUTION = re.compile(
    r"(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_])?)"
    r"-(?P<version>[0-9A-Za-z][0-9A-Za-z_.!+]{0,98})"
    r"-(?P<build>[0-9A-Za-z_][0-9A-Za-z_.+]{0,98})",
    re.ASCII,
)
"""conda's ``name-version-build`` (CEP 26; capitals, which old packages have, besides)."""
_ARCHIVES = (
    ".conda", ".zip", ".whl", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".lz", ".tlz", ".lzma",
)  # fmt: skip
"""What ends so is a file to pip and conda, not a package: ``pip download x==1+a.zip`` looks into the folder."""

_NOBODY = "nobody needs it back: it was left over, or a log"
_NEVER = "it cannot be had again: its source was local, was withdrawn, or is not known"
_UNKNOWN = "how it comes back is not known"
_INDEX = "{tool} fetches it again by itself when it next asks its index"
_DOWNLOAD = "{tool} fetches it again by itself at the next install that wants it"
_EXTRACT = "{tool} unpacks it again by itself from its archive, as long as that is there"
_BUILD = "pip builds it again by itself at the next install that wants it"
_NAMELESS = "no command is shown, for which package and version it was is not known"
_STRANGE = "no command is shown, for its name or version has not the form that {tool} knows"
_USUAL = {
    Kind.DEBRIS: Regain.NOTHING,
    Kind.LOG: Regain.NOTHING,
    Kind.BUILT_WHEEL: Regain.BUILD,
    **dict.fromkeys((Kind.INDEX, Kind.DOWNLOAD, Kind.TARBALL, Kind.PACKAGE), Regain.DOWNLOAD),
}
"""Where nothing was noted when it went, what holds for most of its kind."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What is known of an entry that is gone; ``kind`` is empty or a word of ``Kind``, ``path`` ends with its own."""

    ecosystem: str
    kind: str
    name: str | None
    version: str | None
    path: str
    regain: Regain | None = None


@dataclass(frozen=True, slots=True)
class WayBack:
    """``text`` is a sentence without its full stop; ``command`` one line for a shell, to be run by the owner."""

    text: str
    command: str | None = None


def way_back(lost: Lost) -> WayBack:
    """How to get it back; never raises, whatever the texts are."""
    regain, kind = _regain(lost), _kind(lost.kind)
    if regain is Regain.NOTHING:
        return WayBack(_NOBODY)
    if regain is Regain.NEVER:
        return WayBack(_NEVER)
    if regain is None or lost.ecosystem not in {"pip", "conda"}:
        return WayBack(_UNKNOWN)
    tool = lost.ecosystem
    if kind is Kind.INDEX:
        return WayBack(_INDEX.format(tool=tool))
    if regain is Regain.EXTRACT:
        return WayBack(_EXTRACT.format(tool=tool))
    by_itself = _BUILD if regain is Regain.BUILD else _DOWNLOAD.format(tool=tool)
    line = command(lost)
    if line:
        return WayBack(by_itself, line)
    known = lost.name and lost.version if tool == "pip" else lost.path
    return WayBack(f"{by_itself}; {_STRANGE.format(tool=tool) if known else _NAMELESS}")


def command(lost: Lost) -> str | None:
    """What fetches or builds it again, ``None`` where nothing does or where that is not for certain a package."""
    regain = _regain(lost)
    if regain not in {Regain.DOWNLOAD, Regain.BUILD} or _kind(lost.kind) is Kind.INDEX:
        return None
    if lost.ecosystem == "conda":
        return _by_conda(lost)
    return _by_pip(lost, built=regain is Regain.BUILD) if lost.ecosystem == "pip" else None


def is_package_name(name: str) -> bool:
    """Whether it can stand in a command or a configuration as the name of a package."""
    return _NAME.fullmatch(name) is not None


def _by_pip(lost: Lost, *, built: bool) -> str | None:
    name, version = lost.name or "", lost.version or ""
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version) or version.lower().endswith(_ARCHIVES):
        return None
    verb = ("wheel", "--no-deps", "--no-binary", name) if built else ("download", "--no-deps")
    return shlex.join(("pip", *verb, f"{name}=={version}"))


def _by_conda(lost: Lost) -> str | None:
    """The path is what conda named it by; a record that says otherwise makes it doubtful."""
    last = lost.path.rpartition("/")[2]
    for ending in (".conda", ".tar.bz2"):
        if last.endswith(ending):
            last = last.removesuffix(ending)
            break
    match = _DISTRIBUTION.fullmatch(last)
    if not match or match["build"].lower().endswith(_ARCHIVES):
        return None
    if lost.name not in {None, match["name"]} or lost.version not in {None, match["version"]}:
        return None
    spec = f"{match['name']}={match['version']}={match['build']}"
    return shlex.join(("conda", "install", "--download-only", "--no-deps", spec))


def _kind(word: str) -> Kind | None:
    return next((kind for kind in Kind if kind.value == word), None)


def _regain(lost: Lost) -> Regain | None:
    kind = _kind(lost.kind)
    return lost.regain or (_USUAL.get(kind) if kind else None)
