"""Where something came from, as pip records it (PEP 610): ``direct_url.json`` and the cache's ``origin.json``."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

LONGEST = 65_536
"""Bytes of such a file; a longer one is none of pip's."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Origin:
    """A URL, and the hash of what it led to where that was recorded. ``folder``: it was a project's own folder."""

    url: str
    sha256: str | None = None
    folder: bool = False

    def is_out_of_reach(self) -> bool:
        """Whether its URL alone does not bring it back: a file or folder of this machine, or what asks who you are.

        pip writes the URL without its password, but leaves that there was a name (``models/direct_url.py``).
        """
        try:
            parts = urlsplit(self.url)
            named = parts.username is not None
        except ValueError:
            return True
        scheme = parts.scheme.lower().rpartition("+")[2]
        return self.folder or named or scheme in {"", "file"} or not parts.hostname


def read_origin(read: Callable[[int], bytes]) -> Origin | None:
    """``read`` gives up to so many bytes; ``None`` for what is not of that form or not there."""
    try:
        document = json.loads(read(LONGEST))
    except (OSError, ValueError, RecursionError):
        return None
    url = document.get("url") if isinstance(document, dict) else None
    if not isinstance(url, str) or not url:
        return None
    archive = document.get("archive_info")
    return Origin(url, _sha256(archive) if isinstance(archive, dict) else None, folder="dir_info" in document)


def _sha256(archive: dict[str, object]) -> str | None:
    """Of ``hashes`` or, as older pips wrote it, of ``hash``."""
    hashes, old = archive.get("hashes"), archive.get("hash")
    found = hashes.get("sha256") if isinstance(hashes, dict) else None
    if found is None and isinstance(old, str):
        found = old.removeprefix("sha256=")
    return found.lower() if isinstance(found, str) and _SHA256.fullmatch(found.lower()) else None
