"""Real conda packages, package caches and environments, laid out as conda, mamba and rattler lay them out.

Packages are built and extracted by conda-package-handling; environments are linked here, by conda's rules
(`gateways/disk/create.py`, `core/path_actions.py`), or by the real rattler in `rattler_install`.
"""

import asyncio
import hashlib
import importlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

PLACEHOLDER = ("/build/work/_h_env" + "_placehold" * 30)[:255]
"""The prefix that conda-build compiles in; what is prefix-replaced at install time must contain it."""

SUBDIR = {"aarch64": "linux-aarch64", "armv7l": "linux-armv7l"}.get(platform.machine(), "linux-64")
CHANNEL = "https://conda.invalid/main"
"""A channel that cannot exist (RFC 2606): nothing here is ever fetched."""

BUILT_AT = 1_600_000_000
"""The mtime of packed files: extracted packages look years old, as real ones do."""

Linking = Literal["hard", "copy", "soft"]
# conda's LinkType (models/enums.py)
_LINK_TYPES: dict[Linking, int] = {"hard": 1, "soft": 2, "copy": 3}

_PYTHON = "python3.12"


@dataclass(frozen=True, slots=True)
class Link:
    """A packed file that is a link to another: a hard link to a path of the package, or a symlink."""

    target: str
    hard: bool = True


@dataclass(frozen=True, slots=True)
class _Recipe:
    name: str
    version: str
    build: str
    noarch: Literal["generic", "python"] | None
    depends: tuple[str, ...]
    prefix_files: tuple[str, ...]

    @property
    def dist(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def subdir(self) -> str:
        return SUBDIR if self.noarch is None else "noarch"


# ---------------------------------------------------------------------------------------------------------
# Packages


def build_package(
    folder: Path,
    name: str,
    version: str,
    build: str = "0",
    files: Mapping[str, bytes | Link] | None = None,
    fmt: Literal[".conda", ".tar.bz2"] = ".conda",
    prefix_files: Sequence[str] = (),
    noarch: Literal["generic", "python"] | None = None,
    depends: Sequence[str] = (),
) -> Path:
    """Build `folder/<name>-<version>-<build><fmt>` from file contents and links; returns its path.

    No `files` gives a metadata-only package. A name in `prefix_files` is prefix-replaced on installation: its
    content must hold PLACEHOLDER, and is "binary" if it holds a NUL byte. Files in bin/ are executable.
    """
    recipe = _Recipe(name, version, build, noarch, tuple(depends), tuple(prefix_files))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-package-") as scratch:
        root = Path(scratch)
        contents = files or {}
        _write_contents(root, contents)
        _write_info(root, recipe, sorted(contents))
        packed = sorted(str(path.relative_to(root)) for path in root.rglob("*") if not _is_folder(path))
        for path in packed:
            os.utime(root / path, (BUILT_AT, BUILT_AT), follow_symlinks=False)
        _packer().create(str(root), packed, f"{recipe.dist}{fmt}", str(folder))
    return folder / f"{recipe.dist}{fmt}"


def _packer() -> ModuleType:
    """Untyped, and needed by few tests: imported when first used."""
    return importlib.import_module("conda_package_handling.api")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _write_contents(root: Path, files: Mapping[str, bytes | Link]) -> None:
    """Write plain files before links: a link needs its target."""
    for name, content in sorted(files.items(), key=lambda item: isinstance(item[1], Link)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
            path.chmod(0o755 if name.startswith(("bin/", "python-scripts/")) else 0o644)
        elif content.hard:
            path.hardlink_to(root / content.target)
        else:
            path.symlink_to(content.target)


def _write_info(root: Path, recipe: _Recipe, names: Sequence[str]) -> None:
    """What conda-build's post.py and build.py write below info/."""
    info = root / "info"
    info.mkdir()
    _write_json(info / "index.json", _index(recipe))
    paths = [_path_entry(root, name, recipe) for name in names]
    _write_json(info / "paths.json", {"paths": paths, "paths_version": 1})
    _write_json(info / "about.json", {"home": "", "license": "MIT", "summary": f"test package {recipe.name}"})
    (info / "files").write_text("".join(f"{name}\n" for name in names))
    prefixes = [f"{PLACEHOLDER} {path['file_mode']} {path['_path']}\n" for path in paths if "file_mode" in path]
    if prefixes:
        (info / "has_prefix").write_text("".join(prefixes))
    if recipe.noarch == "python":
        _write_json(info / "link.json", {"noarch": {"type": "python"}, "package_metadata_version": 1})


def _index(recipe: _Recipe) -> dict[str, object]:
    native = {"arch": platform.machine(), "platform": "linux"}
    place = native if recipe.noarch is None else {"noarch": recipe.noarch}
    return place | {
        "build": recipe.build,
        "build_number": 0,
        "depends": list(recipe.depends),
        "license": "MIT",
        "name": recipe.name,
        "subdir": recipe.subdir,
        "timestamp": BUILT_AT * 1000,
        "version": recipe.version,
    }


def _path_entry(root: Path, name: str, recipe: _Recipe) -> dict[str, object]:
    path = root / name
    content = path.read_bytes() if path.is_file() else b""
    entry: dict[str, object] = {
        "_path": name,
        "path_type": "softlink" if path.is_symlink() else "hardlink",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }
    if name not in recipe.prefix_files:
        return entry
    if PLACEHOLDER.encode() not in content:
        raise ValueError(f"{name}: a prefix file must hold PLACEHOLDER")
    return entry | {"file_mode": "binary" if b"\0" in content else "text", "prefix_placeholder": PLACEHOLDER}


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    if not isinstance(value, dict):
        raise TypeError(f"{path}: expected an object")
    return value


def _without_extension(file_name: str) -> str:
    return file_name.removesuffix(".conda").removesuffix(".tar.bz2")


# ---------------------------------------------------------------------------------------------------------
# A base prefix and its package cache


class CondaBase:
    """A conda installation without the program: `conda-meta/history`, `pkgs/`, `envs/`, and its user's `~/.conda`.

    `nested` lays packages out as mamba >= 2.6: `pkgs/<scheme>/<host>/<channel>/<subdir>/<package>`
    (libmamba core/package_cache.cpp, package_cache_folder_relative_path). `pkgs` puts the cache elsewhere.
    """

    def __init__(
        self, path: Path, home: Path, *, channel: str = CHANNEL, nested: bool = False, pkgs: Path | None = None
    ) -> None:
        self.path = path
        self.home = home
        self.channel = channel
        self.nested = nested
        self.pkgs = pkgs or path / "pkgs"
        _write_history(path, [])
        (path / "envs").mkdir(exist_ok=True)
        (self.pkgs / "cache").mkdir(parents=True, exist_ok=True)
        for name in ("urls", "urls.txt"):
            (self.pkgs / name).touch()
        for subdir in (SUBDIR, "noarch"):
            self._write_repodata(subdir)

    @property
    def environments_txt(self) -> Path:
        """Where conda registers environments: one prefix per line."""
        return self.home / ".conda" / "environments.txt"

    def package_folder(self, subdir: str) -> Path:
        """The folder that holds the packages of a subdir ("noarch", SUBDIR)."""
        if not self.nested:
            return self.pkgs
        url = urllib.parse.urlsplit(f"{self.channel}/{subdir}")
        parts = [url.scheme, url.netloc.replace(":", "_"), *url.path.split("/")]
        return self.pkgs.joinpath(*(part for part in parts if part))

    def extracted(self, dist: str) -> Path:
        """The extracted folder of `<name>-<version>-<build>`; FileNotFoundError if it was not fetched."""
        for subdir in (SUBDIR, "noarch"):
            folder = self.package_folder(subdir) / dist
            if (folder / "info" / "index.json").exists():
                return folder
        raise FileNotFoundError(f"{self.pkgs}: no extracted package {dist}")

    def fetch(self, package: Path, *, extract: bool = True, keep_tarball: bool = True) -> Path:
        """Put a package into the cache as a download would; returns its extracted folder (which `extract` makes)."""
        index = _packed_index(package)
        folder = self.package_folder(str(index["subdir"]))
        folder.mkdir(parents=True, exist_ok=True)
        tarball = Path(shutil.copyfile(package, folder / package.name))
        url = f"{self.channel}/{index['subdir']}/{package.name}"
        with (self.pkgs / "urls.txt").open("a") as urls:
            urls.write(f"{url}\n")
        extracted = folder / _without_extension(package.name)
        if extract:
            _packer().extract(str(tarball), str(extracted))
            _write_json(extracted / "info" / "repodata_record.json", self._record(index, tarball, url))
        if not keep_tarball:
            tarball.unlink()
        return extracted

    def create_env(self, prefix: Path, dists: Sequence[str], link: Linking = "hard", register: bool = True) -> Path:
        """Link fetched packages into a new environment; returns `prefix`.

        As in conda: prefix-replaced files are always copies, packed symlinks are made anew, and a hard link that
        the filesystem refuses silently becomes a copy that conda-meta still calls a hard link.
        """
        for dist in dists:
            extracted = self.extracted(dist)
            paths = _link_package(extracted, prefix, link)
            _write_json(prefix / "conda-meta" / f"{dist}.json", _prefix_record(extracted, paths, link))
        _write_history(prefix, [f"+{self.channel}/{dist}" for dist in dists])
        if register:
            self.environments_txt.parent.mkdir(parents=True, exist_ok=True)
            with self.environments_txt.open("a") as registered:
                registered.write(f"{prefix}\n")
        return prefix

    def _record(self, index: Mapping[str, object], tarball: Path, url: str) -> dict[str, object]:
        content = tarball.read_bytes()
        return {
            **index,
            "channel": f"{self.channel}/{index['subdir']}",
            "fn": tarball.name,
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "url": url,
        }

    def _write_repodata(self, subdir: str) -> None:
        """`cache/<md5(url)[:8]>.json` and its state (conda gateways/repodata, cache_fn_url)."""
        url = f"{self.channel}/{subdir}"
        key = hashlib.md5(f"{url}/".encode(), usedforsecurity=False).hexdigest()[:8]
        repodata = self.pkgs / "cache" / f"{key}.json"
        _write_json(repodata, {"info": {"subdir": subdir}, "packages": {}, "packages.conda": {}})
        status = repodata.stat()
        state = {"etag": '"1"', "mod": "", "cache_control": "public, max-age=30", "url": url}
        _write_json(
            self.pkgs / "cache" / f"{key}.info.json",
            {**state, "mtime_ns": status.st_mtime_ns, "size": status.st_size, "refresh_ns": status.st_mtime_ns},
        )


def _packed_index(package: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="packed-index-") as scratch:
        components = ["info"] if package.name.endswith(".conda") else None
        _packer().extract(str(package), scratch, components=components)
        return _read_json(Path(scratch) / "info" / "index.json")


def _write_history(prefix: Path, lines: Sequence[str]) -> None:
    meta = prefix / "conda-meta"
    meta.mkdir(parents=True, exist_ok=True)
    head = ["==> 2026-01-01 00:00:00 <==", f"# cmd: conda create -p {prefix}", "# conda version: 26.7.1"]
    (meta / "history").write_text("".join(f"{line}\n" for line in (*head, *lines)))


# ---------------------------------------------------------------------------------------------------------
# Linking


def _link_package(extracted: Path, prefix: Path, link: Linking) -> list[dict[str, Any]]:
    """Link all files of a package; returns its paths_data, with what they are in the prefix."""
    noarch_python = _read_json(extracted / "info" / "index.json").get("noarch") == "python"
    linked = []
    for path in _read_json(extracted / "info" / "paths.json")["paths"]:
        name = _noarch_target(path["_path"]) if noarch_python else path["_path"]
        target = prefix / name
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = _link_file(extracted / path["_path"], target, path, link, prefix)
        linked.append({**path, "_path": name, "sha256_in_prefix": digest})
    return linked


def _noarch_target(name: str) -> str:
    if name.startswith("site-packages/"):
        return f"lib/{_PYTHON}/{name}"
    return re.sub(r"^python-scripts/", "bin/", name)


def _link_file(source: Path, target: Path, path: Mapping[str, Any], link: Linking, prefix: Path) -> str:
    """Make one file of an environment; returns the sha256 of its content there."""
    if "prefix_placeholder" in path:
        content = _replace_prefix(source.read_bytes(), path["file_mode"], prefix)
        target.write_bytes(content)
        target.chmod(stat.S_IMODE(source.stat().st_mode))
        return hashlib.sha256(content).hexdigest()
    if path["path_type"] == "softlink":
        target.symlink_to(os.readlink(source))
    elif link == "soft":
        target.symlink_to(source)
    elif link == "copy" or not _hard_linked(source, target):
        shutil.copy2(source, target)
    return str(path["sha256"])


def _hard_linked(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError:  # another filesystem, or fs.protected_hardlinks
        return False
    return True


def _replace_prefix(content: bytes, mode: str, prefix: Path) -> bytes:
    """Conda's core/portability.py: in a binary the string's end is padded with NULs, so that no offset moves."""
    old, new = PLACEHOLDER.encode(), os.fsencode(prefix)
    if mode == "text":
        return content.replace(old, new)

    def padded(match: re.Match[bytes]) -> bytes:
        return match[0].replace(old, new).ljust(len(match[0]), b"\0")

    return re.sub(re.escape(old) + rb"[^\0]*", padded, content)


def _prefix_record(extracted: Path, paths: Sequence[Mapping[str, Any]], link: Linking) -> dict[str, Any]:
    """conda-meta/<dist>.json: the repodata record and how the package was linked."""
    record = _read_json(extracted / "info" / "repodata_record.json")
    return record | {
        "extracted_package_dir": str(extracted),
        "files": [path["_path"] for path in paths],
        "link": {"source": str(extracted), "type": _LINK_TYPES[link]},
        "package_tarball_full_path": str(extracted.parent / record["fn"]),
        "paths_data": {"paths": list(paths), "paths_version": 1},
        "requested_spec": str(record["name"]),
    }


# ---------------------------------------------------------------------------------------------------------
# Rattler


def rattler_install(packages: Sequence[Path], prefix: Path, cache_dir: Path, channel: Path) -> Path:
    """Let the real rattler solve for and install these packages, from a local channel that it indexes itself.

    `channel` becomes a channel folder with the packages and repodata. `cache_dir` is what RATTLER_CACHE_DIR is to
    rattler's own programs: packages land in `cache_dir/pkgs`, with no info/repodata_record.json; a local channel
    leaves nothing in `cache_dir/repodata`. Returns `prefix`.
    """
    for subdir in (SUBDIR, "noarch"):
        (channel / subdir).mkdir(parents=True, exist_ok=True)
    names = []
    for package in packages:
        index = _packed_index(package)
        shutil.copyfile(package, channel / str(index["subdir"]) / package.name)
        names.append(f"{index['name']} =={index['version']} {index['build']}")
    asyncio.run(_rattler_install(names, prefix, cache_dir, channel))
    return prefix


async def _rattler_install(specs: Sequence[str], prefix: Path, cache_dir: Path, channel: Path) -> None:
    import rattler
    from rattler.index import index_fs

    await index_fs(channel)
    records = await rattler.solve(
        [rattler.Channel(channel.as_uri())],
        list(specs),
        gateway=rattler.Gateway(cache_dir=cache_dir / "repodata"),
    )
    await rattler.install(records, target_prefix=prefix, cache_dir=cache_dir / "pkgs", show_progress=False)


# ---------------------------------------------------------------------------------------------------------
# Proofs


def tree_digest(path: Path) -> dict[str, tuple[int, int, str | None, str | None]]:
    """All below `path`: (mode, size, link target, sha256) by relative name, to prove that nothing changed.

    Links are not followed, folders have size 0, and reading moves no atime where the caller may say so.
    """
    found = {}
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            each = Path(folder, name)
            found[str(each.relative_to(path))] = _digest(each)
    return found


def _digest(path: Path) -> tuple[int, int, str | None, str | None]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return status.st_mode, status.st_size, os.readlink(path), None
    if stat.S_ISREG(status.st_mode):
        return status.st_mode, status.st_size, None, hashlib.sha256(_read_quietly(path)).hexdigest()
    return status.st_mode, 0, None, None


def _read_quietly(path: Path) -> bytes:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # only the owner may ask for O_NOATIME
        descriptor = os.open(path, flags)
    with open(descriptor, "rb") as file:
        return file.read()


# A program of its own, so that it sees the environment with fresh eyes, as a user of it would.
_CHECK_ENVIRONMENT = """\
import hashlib, json, os, pathlib
prefix = pathlib.Path.cwd()
records = sorted(prefix.glob("conda-meta/*.json"))
if not records:
    print("conda-meta: holds no package")
for record in records:
    value = json.loads(record.read_text())
    paths = {path["_path"]: path for path in value["paths_data"]["paths"]}
    for name in sorted({*value["files"], *paths}):
        path = paths.get(name, {})
        try:
            content = (prefix / name).read_bytes()
        except OSError as error:
            print(f"{name}: {error.strerror}")
            continue
        digests = {hashlib.sha256(content).hexdigest()}
        if path.get("path_type") == "softlink":  # rattler notes the link's text, conda the content behind it
            behind = os.path.relpath(os.path.realpath(name))
            digests |= {hashlib.sha256(os.readlink(name).encode()).hexdigest(), paths.get(behind, {}).get("sha256")}
        wanted = path.get("sha256_in_prefix") or path.get("sha256")
        if wanted and wanted not in digests:
            print(f"{name}: sha256 differs")
        fixed_size = path.get("path_type") == "hardlink" and not path.get("prefix_placeholder")
        if fixed_size and path.get("size_in_bytes", len(content)) != len(content):
            print(f"{name}: expected {path['size_in_bytes']} bytes, found {len(content)}")
"""


def environment_problems(prefix: Path) -> list[str]:
    """What is wrong with an environment: each file of conda-meta that is missing, unreadable or changed."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", _CHECK_ENVIRONMENT],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=prefix,
    )
    return done.stdout.splitlines()


def environment_works(prefix: Path) -> bool:
    """Whether all files of all packages of the environment can be read and are what conda-meta says."""
    return not environment_problems(prefix)
