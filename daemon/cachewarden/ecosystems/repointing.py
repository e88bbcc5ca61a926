"""What pointing a tool to another folder needs, whichever tool it is."""

import errno
import os

from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.paths import plain_path
from cachewarden.model.errors import RefusedError
from cachewarden.system.ports import Files

OTHERWISE = "or use `--method symlink`"
"""The remedy that needs no configuration: a link at the old place leads to the new one."""


def check_destination(new: str, surroundings: Surroundings) -> None:
    """RefusedError for a folder that a configuration file could not name so that the tool reads the same."""
    try:
        plain = plain_path(new, surroundings)
        new.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused(new, "its name is not valid UTF-8") from None
    except ValueError as error:
        raise _refused(new, str(error)) from None
    if plain != new:
        raise _refused(new, f"write it as {plain}")
    if new != new.strip():
        raise _refused(new, "its name begins or ends with a blank, which is lost when it is read back")


def _refused(new: str, why: str) -> RefusedError:
    return RefusedError(f"{new[:200]!r} cannot be named in a configuration file: {why}; choose another name")


def is_same(files: Files, one: str, other: str) -> bool:
    """Whether two plain paths mean one folder: a cache is known by its real path, tools name it by a link."""
    return one == other or files.real_path(one) == files.real_path(other)


def file_behind(files: Files, path: str) -> str:
    """The file that is to be edited, links resolved; RefusedError for a link that leads to nothing."""
    real = files.real_path(path)
    above, _, name = path.rpartition("/")
    if files.stat(path) is None and real != f"{files.real_path(above).rstrip('/')}/{name}":
        raise RefusedError(f"{path} is a link to {real}, which is not there: remove or mend the link, {OTHERWISE}")
    return real


def read_whole(files: Files, path: str, limit: int) -> bytes | None:
    """A file that is going to be edited; ``None`` when it is not there.

    RefusedError when it cannot be read, or not be replaced: better now than when all is copied.
    """
    data = _read_whole(files, path, limit)
    there = os.path.dirname(path)
    while there != "/" and files.stat(there) is None:
        there = os.path.dirname(there)
    for each in (there, *([] if data is None else [path])):
        if files.stat(each) is not None and not files.may_write(each):
            raise RefusedError(f"{path} cannot be edited: {each} is write-protected; change that, {OTHERWISE}")
    return data


def _read_whole(files: Files, path: str, limit: int) -> bytes | None:
    try:
        return files.read_text(path, limit).encode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RefusedError(f"{path} cannot be edited: {_reason(error, limit)}; repair that, {OTHERWISE}") from None


def _reason(error: OSError | ValueError, limit: int) -> str:
    if isinstance(error, OSError):
        return f"it is larger than {limit} bytes" if error.errno == errno.EFBIG else str(error.strerror)
    return str(error)


def as_text(data: bytes, path: str) -> str:
    """RefusedError when it is not UTF-8: what is read in error would be written in error."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RefusedError(f"{path} cannot be edited: line {line} is not UTF-8; save it as UTF-8") from None
