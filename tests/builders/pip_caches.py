"""Real pip caches: real pips, real packages, and an index on the loopback that speaks like the public one.

Nothing here imitates pip: a cache is filled by running the wanted pip against `LoopbackIndex`. The pips and
the packages are fetched once, with the ordinary pip and its ordinary configuration, and kept below
`<repository>/.venv` (`test-pips/`, `test-wheelhouse/`) or, where that is not writable, in a folder of the
caller below the temporary directory. After that no network is needed.
"""

import base64
import contextlib
import fcntl
import hashlib
import html
import http.server
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast

from builders.disks import set_age

REPOSITORY = Path(__file__).resolve().parents[2]
DEBIAN_12_PIP = "23.0.1"
"""The pip of Debian 12: writes `http/`, knows nothing of `http-v2/`."""

PipChoice = str | Path | None
"""A pip version, the python that has the pip, or None for the newest."""

OLDER_WHEELS = ("certifi==2024.2.2", "click==8.1.7", "idna==3.6", "packaging==23.2", "six==1.16.0")
NEWER_WHEELS = ("certifi==2025.1.31", "click==8.1.8", "idna==3.10", "packaging==24.2", "six==1.17.0")
# What building an sdist needs, and a pip that the self check can find.
BUILD_WHEELS = ("pip==25.0.1", "setuptools==80.9.0", "wheel==0.45.1")
SOURCES = ("docopt==0.6.2", "termcolor==1.1.0")

_PAGE_JSON = "application/vnd.pypi.simple.v1+json"
_PAGE_CACHE_CONTROL = "max-age=600, public"
_FILE_CACHE_CONTROL = "max-age=365000000, immutable, public"
_FIRST_PIP_WITH_BACKEND_BY_DEFAULT = (23, 1)
_PACKAGE_TYPES = {".whl": "bdist_wheel", ".gz": "sdist"}

# pip < 23.1.2 vendors a pkg_resources that registers pkgutil.ImpImporter, which Python 3.12 removed.
_OLD_PIP_ON_NEW_PYTHON = 'import pkgutil; pkgutil.__dict__.setdefault("ImpImporter", type("ImpImporter", (), {}))\n'


class PipFailedError(RuntimeError):
    """A pip run that a builder needs did not succeed; the message holds its whole output."""


# ---------------------------------------------------------------------------------------------------------
# Things kept between runs


def _own_temporary_root() -> Path:
    """A folder of the caller below the temporary directory; PermissionError if it is another's."""
    root = Path(tempfile.gettempdir()) / f"cachewarden-tests-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    status = root.lstat()
    if root.is_symlink() or status.st_uid != os.getuid():
        raise PermissionError(f"{root}: expected owner {os.getuid()}, found {status.st_uid}; remove it")
    return root


def _writable_root() -> Path:
    shared = REPOSITORY / ".venv"
    with contextlib.suppress(OSError):
        shared.mkdir(exist_ok=True)
    return shared if os.access(shared, os.W_OK | os.X_OK) else _own_temporary_root()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _kept(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name`, built once for all runs; a build that was interrupted starts again from nothing."""
    ready = REPOSITORY / ".venv" / name
    if (ready / ".complete").exists():
        return ready
    root = _writable_root()
    folder = root / name
    with _locked(root / f"{name}.lock"):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            build(folder)
            (folder / ".complete").touch()
    return folder


def _run_or_fail(command: Sequence[str | Path]) -> None:
    """Run with the caller's environment: it knows the mirror and the certificates that reach the index."""
    done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise PipFailedError(f"{command}: rc={done.returncode}\n{done.stdout}{done.stderr}")


def _version_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _make_pip_venv(folder: Path, version: str | None, interpreter: Path) -> None:
    """Always the public index's build: Debian's ensurepip gives a patched one that has no self check."""
    _run_or_fail([interpreter, "-m", "venv", folder])
    python = folder / "bin" / "python"
    wanted = "pip" if version is None else f"pip=={version}"
    options = ["--quiet", "--upgrade", "--force-reinstall", "--disable-pip-version-check"]
    _run_or_fail([python, "-m", "pip", "install", *options, wanted])
    if version is not None and _version_tuple(version) < (23, 1, 2):
        for site_packages in folder.glob("lib/python3*/site-packages"):
            (site_packages / "old_pip_on_new_python.pth").write_text(_OLD_PIP_ON_NEW_PYTHON)


def pip_python(version: str | None, *, interpreter: Path | None = None) -> Path:
    """The python of a venv that holds this pip; None is the newest one there was when the venv was made.

    `interpreter` is the python to build on (default: the running one): a test that drops to another user
    needs one which that user can reach. Raises PipFailedError if the first time there is no network.
    """
    base = (interpreter or Path(sys.executable)).resolve()
    tag = f"{base.name}-{hashlib.sha256(os.fsencode(base)).hexdigest()[:6]}"
    name = f"test-pips/{version or 'newest'}/{tag}"
    return _kept(name, lambda folder: _make_pip_venv(folder, version, base)) / "bin" / "python"


def _download_wheelhouse(folder: Path) -> None:
    command: list[str | Path] = [pip_python(None), "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", folder]
    # One command per generation: pip refuses two versions of one project.
    for generation in (OLDER_WHEELS, NEWER_WHEELS + BUILD_WHEELS):
        _run_or_fail([*command, "--only-binary=:all:", *generation])
    names = ",".join(source.split("==")[0] for source in SOURCES)
    _run_or_fail([*command, f"--no-binary={names}", *SOURCES])


def wheelhouse() -> Path:
    """A folder of real packages (about 4 MB): pure wheels in two versions each, two sdists, build tools."""
    wanted = "\n".join(OLDER_WHEELS + NEWER_WHEELS + BUILD_WHEELS + SOURCES)
    return _kept(f"test-wheelhouse/{hashlib.sha256(wanted.encode()).hexdigest()[:8]}", _download_wheelhouse)


# ---------------------------------------------------------------------------------------------------------
# The index


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One distribution of the index: its name, version and what the pages say about it."""

    path: Path
    project: str
    version: str
    sha256: str
    md5: str
    metadata: bytes | None
    """The PEP 658 document; None for an sdist."""


class Served(NamedTuple):
    """One answered request: the path without the query, and the status."""

    path: str
    status: int


def _normalized(project: str) -> str:
    return re.sub(r"[-_.]+", "-", project).lower()


def _read_distribution(path: Path) -> IndexedFile:
    content = path.read_bytes()
    metadata = None
    if path.suffix == ".whl":
        project, version = path.name.split("-")[:2]
        with zipfile.ZipFile(path) as wheel:
            metadata = wheel.read(f"{project}-{version}.dist-info/METADATA")
    else:
        project, version = path.name.removesuffix(".tar.gz").rsplit("-", 1)
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).hexdigest()
    return IndexedFile(path, _normalized(project), version, sha256, md5, metadata)


def _read_wheelhouse(folder: Path) -> list[IndexedFile]:
    found = [path for pattern in ("*.whl", "*.tar.gz") for path in sorted(folder.glob(pattern))]
    if not found:
        raise FileNotFoundError(f"{folder}: expected wheels or sdists, found none")
    return [_read_distribution(path) for path in found]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    index: "LoopbackIndex"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_GET(self) -> None:
        cast(_Server, self.server).index.answer(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        """Say nothing on stderr: the index keeps its own record."""


class LoopbackIndex:
    """A package index on 127.0.0.1 with the headers that make pip cache what it fetches.

    Pages are PEP 691 JSON, or PEP 503 HTML for a client that does not ask for JSON; files carry their PEP 658
    metadata. `package_headers` adds the `x-pypi-file-*` headers, `core_metadata` announces the metadata, and
    `port` fixes the port: pip's cache is keyed by URL, so only an index on the same port can hit it again.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        package_headers: bool = False,
        core_metadata: bool = True,
        port: int = 0,
    ) -> None:
        self.files = _read_wheelhouse(folder or wheelhouse())
        self.package_headers = package_headers
        self.core_metadata = core_metadata
        self._by_name = {file.path.name: file for file in self.files}
        self._served: list[Served] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.index = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._server.server_address[1])

    @property
    def root(self) -> str:
        """The address without a path, without a final slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """What `--index-url` takes."""
        return f"{self.root}/simple/"

    # What was asked

    def served(self, prefix: str = "/") -> list[Served]:
        """What was answered so far, oldest first, of the paths that begin with `prefix`."""
        with self._lock:
            return [each for each in self._served if each.path.startswith(prefix)]

    def count(self, path: str) -> int:
        """How often exactly this path was asked for."""
        return sum(each.path == path for each in self.served())

    def page_requests(self) -> list[Served]:
        """Requests for index pages, the self check's page of pip included."""
        return self.served("/simple/")

    def file_requests(self) -> list[Served]:
        """Requests for distributions and their metadata: empty means that the cache gave all."""
        return self.served("/files/")

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self._served.clear()

    # Answers

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer one GET: a page, a file, its metadata, or 404."""
        path = request.path.split("?", 1)[0]
        reply = self._page(path, request.headers.get("Accept", "")) or self._file(path)
        body, headers = reply or (b"not found\n", {"Content-Type": "text/plain"})
        status = 404 if reply is None else 200
        if reply is not None and request.headers.get("If-None-Match") == headers["ETag"]:
            status, body = 304, b""
        with self._lock:
            self._served.append(Served(path, status))
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(ConnectionError):  # a client that was killed on purpose
            request.wfile.write(body)

    def _page(self, path: str, accept: str) -> tuple[bytes, dict[str, str]] | None:
        match = re.fullmatch(r"/simple/(?:([^/]+)/)?", path)
        if match is None:
            return None
        project = match[1]
        files = [file for file in self.files if file.project == project]
        if project is not None and not files:
            return None
        as_json = _PAGE_JSON in accept
        if as_json:
            body = json.dumps(self._json_page(project, files) if project else self._json_list()).encode()
        else:
            body = (self._html_page(project, files) if project else self._html_list()).encode()
        return body, {
            "Content-Type": _PAGE_JSON if as_json else "text/html; charset=utf-8",
            "Cache-Control": _PAGE_CACHE_CONTROL,
            "ETag": f'"{base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:16]).decode()}"',
            "Vary": "Accept, Accept-Encoding",
            "X-PyPI-Last-Serial": "1",
        }

    def _file(self, path: str) -> tuple[bytes, dict[str, str]] | None:
        if not path.startswith("/files/"):
            return None
        name = path.removeprefix("/files/")
        file = self._by_name.get(name.removesuffix(".metadata"))
        if file is None:
            return None
        wants_metadata = name.endswith(".metadata")
        body = file.metadata if wants_metadata else file.path.read_bytes()
        if body is None:
            return None
        headers = {
            "Content-Type": "application/octet-stream",
            "Cache-Control": _FILE_CACHE_CONTROL,
            "ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
            "Last-Modified": formatdate(file.path.stat().st_mtime, usegmt=True),
        }
        return body, headers | (self._package_headers(file) if self.package_headers else {})

    def _package_headers(self, file: IndexedFile) -> dict[str, str]:
        return {
            "x-pypi-file-project": file.project,
            "x-pypi-file-version": file.version,
            "x-pypi-file-package-type": _PACKAGE_TYPES[file.path.suffix],
        }

    def _metadata_hash(self, file: IndexedFile) -> str | None:
        if file.metadata is None or not self.core_metadata:
            return None
        return hashlib.sha256(file.metadata).hexdigest()

    def _json_list(self) -> dict[str, object]:
        names = sorted({file.project for file in self.files})
        return {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}

    def _json_page(self, project: str, files: Sequence[IndexedFile]) -> dict[str, object]:
        return {
            "meta": {"api-version": "1.1"},
            "name": project,
            "versions": sorted({file.version for file in files}),
            "files": [self._json_file(file) for file in files],
        }

    def _json_file(self, file: IndexedFile) -> dict[str, object]:
        digest = self._metadata_hash(file)
        announced = False if digest is None else {"sha256": digest}
        return {
            "filename": file.path.name,
            "url": f"{self.root}/files/{file.path.name}",
            "hashes": {"sha256": file.sha256},
            "size": file.path.stat().st_size,
            "upload-time": "2025-02-01T00:00:00.000000Z",
            "yanked": False,
            "core-metadata": announced,
            "data-dist-info-metadata": announced,
        }

    def _html_list(self) -> str:
        names = sorted({file.project for file in self.files})
        return _html_document("Simple index", [f'<a href="/simple/{name}/">{name}</a>' for name in names])

    def _html_page(self, project: str, files: Sequence[IndexedFile]) -> str:
        return _html_document(f"Links for {project}", [self._html_link(file) for file in files])

    def _html_link(self, file: IndexedFile) -> str:
        digest = self._metadata_hash(file)
        keys = ("data-dist-info-metadata", "data-core-metadata") if digest else ()
        announced = "".join(f' {key}="sha256={digest}"' for key in keys)
        name = html.escape(file.path.name)
        return f'<a href="{self.root}/files/{name}#sha256={file.sha256}"{announced}>{name}</a>'


def _html_document(title: str, links: Sequence[str]) -> str:
    lines = "\n".join(f"    {link}<br />" for link in links)
    head = f'<head><meta name="pypi:repository-version" content="1.1"><title>{title}</title></head>'
    return f"<!DOCTYPE html>\n<html>\n  {head}\n  <body>\n    <h1>{title}</h1>\n{lines}\n  </body>\n</html>\n"


# ---------------------------------------------------------------------------------------------------------
# Running pip


def pip_env(home: Path, **extra: str) -> dict[str, str]:
    """A clean environment for a user with this home: nothing of the caller's own pip set-up leaks in."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", **extra}


def _has_own_configuration(home: Path) -> bool:
    return any((home / name / "pip.conf").exists() for name in (".pip", ".config/pip"))


def run_pip(
    home: Path, index: LoopbackIndex, pip: PipChoice, arguments: Sequence[str | Path], **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run a pip for the user of `home` (as the caller's uid) with `index` as its only index; any return code.

    The machine's pip configuration is hidden. If the home has one of its own (PIP_CONFIG_FILE would hide that
    too), only the machine's further indexes are. `extra` are environment variables.
    """
    python = pip if isinstance(pip, Path) else pip_python(pip)
    only = {"PIP_INDEX_URL": index.url, "PIP_EXTRA_INDEX_URL": index.url, "PIP_TRUSTED_HOST": "127.0.0.1"}
    environment = pip_env(home, **only)
    if not _has_own_configuration(home):
        environment["PIP_CONFIG_FILE"] = os.devnull
    command = [str(python), "-m", "pip", *(str(argument) for argument in arguments)]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=home,
        stdin=subprocess.DEVNULL,
        env=environment | extra,
    )


def _build_options(pip: PipChoice) -> list[str]:
    """Before 23.1 pip without `wheel` beside it ran `setup.py install`, which caches no wheel."""
    old = isinstance(pip, str) and _version_tuple(pip) < _FIRST_PIP_WITH_BACKEND_BY_DEFAULT
    return ["--use-pep517"] if old else []


def pip_install(
    home: Path, index: LoopbackIndex, pip: PipChoice, packages: Sequence[str], target: Path, **extra: str
) -> subprocess.CompletedProcess[str]:
    """`pip install --target`, without dependencies; look at the return code and at `index.file_requests()`."""
    options = ["--no-deps", "--no-compile", "--target", str(target), *_build_options(pip)]
    return run_pip(home, index, pip, ["install", *options, *packages], **extra)


def _successful(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        raise PipFailedError(f"{done.args}: rc={done.returncode}\n{done.stdout}{done.stderr}")


def fill_pip_cache(
    home: Path,
    index: LoopbackIndex,
    pip: PipChoice = None,
    packages: Sequence[str] = ("six", "idna", "packaging"),
    build: Sequence[str] = ("docopt",),
) -> Path:
    """Fill `home/.cache/pip` with downloads of `packages` and wheels built of `build`; returns that folder.

    The newest pip gives `http-v2/`, DEBIAN_12_PIP gives `http/`; both give `selfcheck/` and, if `build` is not
    empty, `wheels/` with origin.json. Raises PipFailedError.
    """
    with tempfile.TemporaryDirectory(prefix="fill-pip-cache-") as scratch:
        if packages:
            options = ["--no-deps", "--dest", f"{scratch}/downloads"]
            _successful(run_pip(home, index, pip, ["download", *options, *packages]))
        if build:
            _successful(pip_install(home, index, pip, build, Path(scratch) / "built"))
    return home / ".cache" / "pip"


# ---------------------------------------------------------------------------------------------------------
# What else lies in caches


def add_orphan_tmp(cache: Path, age_seconds: float, *, size: int = 4096) -> Path:
    """What an interrupted write leaves in http-v2: `<key>.bodyXXXXXXXX.tmp`, this old; returns its path."""
    key = hashlib.sha224(secrets.token_bytes(16)).hexdigest()
    folder = cache.joinpath("http-v2", *key[:5])
    folder.mkdir(parents=True, exist_ok=True)
    orphan = folder / f"{key}.body{secrets.token_hex(4)}.tmp"
    orphan.write_bytes(secrets.token_bytes(size))
    orphan.chmod(0o600)
    set_age(orphan, age_seconds)
    return orphan


def add_foreign_file(cache: Path, name: str = "notes-of-the-user.txt") -> Path:
    """A file that no pip wrote; `name` may hold folders (`http-v2/a/mine.txt`)."""
    path = cache / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("kept by the user\n")
    return path
