"""Lists of lines that two caches of conda have both: in a merge they become one."""

import stat

from cachewarden.system.copies import contents
from cachewarden.system.copies.likeness import status_of
from cachewarden.system.copies.places import Place, located

LISTS = frozenset({"urls.txt", "urls"})
"""At the top of a cache: where its archives came from, one address a line, appended to (conda)."""
_LIMIT = 64 << 20


def united(place: Place, name: str) -> bytes | None:
    """The target's lines, and behind them those of the source that it lacks; empty when it lacks none.

    ``None`` when one of both is no such list, or larger than 64 MiB.
    """
    mine = _lines(place.target_fd, name, place.target_path(name))
    more = _lines(place.source_fd, name, place.source_path(name))
    if mine is None or more is None:
        return None
    known = set(mine)
    lacking = [line for line in dict.fromkeys(more) if line not in known]
    return b"".join(line + b"\n" for line in (*mine, *lacking)) if lacking else b""


def _lines(folder: int, name: str, path: str) -> list[bytes] | None:
    status = status_of(folder, name)
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT:
        return None
    try:
        fd = contents.open_to_read(folder, name)
        with open(fd, "rb") as file:
            return [line for line in file.read(_LIMIT).split(b"\n") if line]
    except OSError as error:
        raise located(error, path) from error
