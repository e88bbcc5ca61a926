"""Caches that have the form of real ones and any size: for the speed and the interruption of removals."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path


def conda_packages(pkgs: Path, count: int, *, files: int = 10, size: int = 100, folders: int = 0) -> list[Path]:
    """Extracted packages that no environment uses, each with ``files`` files, and the marks of a cache.

    The files lie in ``lib``, or with ``folders`` spread over so many in it.
    """
    pkgs.mkdir(parents=True, exist_ok=True)
    (pkgs / "urls.txt").write_text("")
    return [_conda_package(pkgs, f"made{number}", files, size, folders) for number in range(count)]


def _conda_package(pkgs: Path, name: str, files: int, size: int, folders: int) -> Path:
    package = pkgs / f"{name}-1.0-0"
    (package / "info").mkdir(parents=True)
    places = [package / "lib" / f"d{number}" for number in range(folders)] or [package / "lib"]
    for place in places:
        place.mkdir(parents=True)
    record = {"name": name, "version": "1.0", "build": "0"}
    (package / "info" / "index.json").write_text(json.dumps(record))
    (package / "info" / "repodata_record.json").write_text(json.dumps(record))
    content = os.urandom(size)
    for number in range(files):
        with open(f"{places[number % len(places)]}/f{number}", "wb") as file:
            file.write(content)
    return package


def pip_responses(cache: Path, count: int, *, size: int = 100) -> None:
    """``http-v2`` entries whose metadata is not that of any package: downloads without a name."""
    for number in range(count):
        key = hashlib.sha224(f"https://files.invalid/{number}".encode()).hexdigest()
        shard = cache / "http-v2" / Path(*key[:5])
        for name, content in ((key, b"cc=4,\x81\xa8response\x80"), (f"{key}.body", os.urandom(size))):
            _put(shard / name, content)


def _put(path: Path, content: bytes) -> None:
    """As pip does: a purge may take a folder away that is empty, after it was made and before it is filled."""
    for _ in range(1000):
        with suppress(FileNotFoundError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            return
    raise FileNotFoundError(path)


def half_packages(pkgs: Path, files: int) -> list[str]:
    """Folders that conda takes for whole packages (``info/index.json`` is there) and that lack some of ``files``."""
    return [
        folder.name
        for folder in pkgs.iterdir()
        if (folder / "info" / "index.json").exists() and len(list((folder / "lib").iterdir())) != files
    ]


def bodies(cache: Path) -> list[str]:
    """Names of the responses in a pip cache, which may be purged meanwhile: rglob stops at a folder that goes."""
    return [name for _, _, names in os.walk(cache) for name in names if name.endswith(".body")]
