"""Finding out which package a cached response holds; its own file name is only a hash of the URL.

Three ways (facts: pip's ``network/cache.py`` and ``_vendor/cachecontrol/serialize.py``): the response headers, the
URLs listed by cached index pages, and what the body says of itself.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from cachewarden.ecosystems.msgpack import Blob, Fetch, NotMessagePackError, unpack

_MAGIC = b"cc=4,"
_PAGE_TYPES = ("application/vnd.pypi.simple", "text/html")
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+!-]{0,198}[A-Za-z0-9])?")
_HREF = re.compile(r"""href\s*=\s*["']([^"'<>\s]{1,4096})["']""", re.IGNORECASE)
_DIST_INFO = re.compile(rb"([A-Za-z0-9._]{1,200})-([A-Za-z0-9._+!]{1,100})\.dist-info/[^/]*")
_SDIST_ROOT = re.compile(rb"([A-Za-z0-9._-]{1,200})-([A-Za-z0-9._+!]{1,100})/PKG-INFO")
_OCTAL = re.compile(rb"[0-7]*")
_SDIST_ENDINGS = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
_LONGEST_PAGE = 16 << 20
_TAIL = 65_536
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Named:
    """A package name in its normal form (PEP 503) and a version, as far as known."""

    name: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a cached response, and where its body is when it stands in the same file."""

    headers: dict[str, str]
    body: Blob | bytes


@dataclass(frozen=True, slots=True)
class Body:
    """A way to read a body without holding it."""

    size: int
    fetch: Fetch


def response_of(fetch: Fetch) -> Response | None:
    """Reads the metadata of a response; ``None`` when it is not in the known form."""
    try:
        if fetch(0, len(_MAGIC)) != _MAGIC:
            return None
        whole = unpack(fetch, len(_MAGIC))
    except (NotMessagePackError, OSError):
        return None
    response = whole.get("response") if isinstance(whole, dict) else None
    if not isinstance(response, dict):
        return None
    headers, body = response.get("headers"), response.get("body")
    pairs = headers.items() if isinstance(headers, dict) else ()
    return Response(
        headers={str(key).lower(): value for key, value in pairs if isinstance(value, str)},
        body=body if isinstance(body, Blob | bytes) else b"",
    )


def plain_body(response: Response, body: Body) -> Body:
    """The body without the compression of the transfer: pip keeps what came over the wire.

    Only what an index page may be is unpacked; anything longer or packed otherwise yields an empty body.
    """
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return body
    plain = b""
    if coding in {"gzip", "x-gzip", "deflate"} and body.size <= _LONGEST_PAGE:
        unpacker = zlib.decompressobj(wbits=47)
        with suppress(zlib.error):
            plain = unpacker.decompress(body.fetch(0, body.size), _LONGEST_PAGE)
    if not plain or unpacker.unconsumed_tail:
        plain = b""
    return Body(len(plain), lambda offset, size: plain[offset : offset + size])


def is_page(response: Response) -> bool:
    """Whether the server called it an index page."""
    return response.headers.get("content-type", "").lower().startswith(_PAGE_TYPES)


def named_by_headers(response: Response) -> Named:
    """From the headers that the public index adds to its files."""
    return _named(response.headers.get("x-pypi-file-project"), response.headers.get("x-pypi-file-version"))


def named_by_file(file_name: str) -> Named:
    """``six-1.16.0-py2.py3-none-any.whl`` or ``docopt-0.6.2.tar.gz`` -> name and version."""
    if file_name.endswith(".whl"):
        parts = file_name[:-4].split("-")
        return _named(parts[0], parts[1]) if len(parts) >= 5 else Named()
    for ending in _SDIST_ENDINGS:
        if file_name.lower().endswith(ending):
            name, _, version = file_name[: -len(ending)].rpartition("-")
            return _named(name, version)
    return Named()


def named_distribution(folder: str) -> Named | None:
    """``six-1.16.0.dist-info`` -> name and version: what is installed; ``None`` for any other name."""
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    named = _named(name, version) if folder.endswith(".dist-info") and len(folder) < _LONGEST_NAME else None
    return named if named and named.version else None


def named_by_url(url: str) -> Named:
    """By the file that a URL ends with; nobody for what is no URL."""
    try:
        path = urlsplit(url).path
    except ValueError:  # "http://[": what a page or a file says may be anything
        return Named()
    return named_by_file(unquote(path.rpartition("/")[2]))


def links_of_page(body: Body) -> Iterator[tuple[str, Named]]:
    """``(sha224 of URL, package)`` for each absolute link of a cached index page, metadata files included.

    The cache's key is the hash of the URL without its fragment. Relative links are left out: the page's own
    address is not kept.
    """
    if body.size > _LONGEST_PAGE:
        return
    for url in _urls(body.fetch(0, body.size)):
        plain = url.partition("#")[0]
        named = named_by_url(plain)
        if named.name:
            for each in (plain, plain + ".metadata"):
                yield hashlib.sha224(each.encode("utf-8", "replace")).hexdigest(), named


def _urls(page: bytes) -> Iterator[str]:
    if page.lstrip()[:1] != b"{":
        for found in _HREF.findall(page.decode("utf-8", "replace")):
            if found.startswith(("http://", "https://")):
                yield found.replace("&amp;", "&")
        return
    try:
        document = json.loads(page)
    except (ValueError, RecursionError):
        return
    files = document.get("files") if isinstance(document, dict) else None
    for file in files if isinstance(files, list) else ():
        url = file.get("url") if isinstance(file, dict) else None
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            yield url


def page_name(body: Body) -> Named:
    """The project that an index page is about."""
    head = body.fetch(0, min(body.size, _LONGEST_PAGE))
    if head.lstrip()[:1] == b"{":
        try:
            document = json.loads(head)
        except (ValueError, RecursionError):
            return Named()
        name = document.get("name") if isinstance(document, dict) else None
        return _named(name if isinstance(name, str) else None, None)
    title = re.search(r"<title>\s*Links for ([^<\s]{1,200})", head[:4096].decode("utf-8", "replace"))
    return _named(title.group(1) if title else None, None)


@dataclass(frozen=True, slots=True)
class Nature:
    """What a body is: a page or metadata (``index``), a ``wheel``, an sdist (``source``), and how to name it."""

    index: bool
    name: Callable[[], Named]
    wheel: bool = False
    source: bool = False


def nature_of(body: Body) -> Nature:
    """Decides by the first bytes."""
    head = body.fetch(0, 4096)
    if head[:4] == b"PK\x03\x04":
        return Nature(index=False, name=lambda: _zip_name(body), wheel=True)
    if head[:2] == b"\x1f\x8b":
        return Nature(index=False, name=lambda: _tar_name(head), source=True)
    if head.startswith(b"Metadata-Version:"):
        return Nature(index=True, name=lambda: _metadata_name(head))
    if head.lstrip()[:1] in {b"{", b"<"}:
        return Nature(index=True, name=lambda: page_name(body))
    return Nature(index=False, name=Named)


def _metadata_name(head: bytes) -> Named:
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(":")
        if not colon or line[:1].isspace():
            break
        fields.setdefault(key.lower(), value.strip())
    return _named(fields.get("name"), fields.get("version"))


def _zip_name(body: Body) -> Named:
    """A wheel keeps its ``.dist-info`` last, so the end of the central directory names it.

    Only one at the top counts: setuptools carries those of the packages that it vendors further down.
    """
    size = min(body.size, _TAIL)
    found = None
    for name in _zip_members(body.fetch(body.size - size, size)):
        found = _DIST_INFO.fullmatch(name) or _SDIST_ROOT.fullmatch(name) or found
    return _named(found.group(1).decode(), found.group(2).decode()) if found else Named()


def _zip_members(tail: bytes) -> Iterator[bytes]:
    """File names in (the end of) a central directory: after 46 bytes, their length at 28 (APPNOTE 4.3.12)."""
    begin = tail.find(b"PK\x01\x02")
    while begin >= 0:
        length = int.from_bytes(tail[begin + 28 : begin + 30], "little")
        yield tail[begin + 46 : begin + 46 + length]
        begin = tail.find(b"PK\x01\x02", begin + 46)


def _tar_name(head: bytes) -> Named:
    """An sdist has everything below ``name-version/``; the first plain header of the tar file tells."""
    try:
        plain = zlib.decompressobj(wbits=31).decompress(head, 16_384)
    except zlib.error:
        return Named()
    offset = 0
    while offset + 512 <= len(plain):
        header = plain[offset : offset + 512]
        if header[156:157] not in {b"x", b"g", b"L"}:
            root = header[:100].rstrip(b"\0").decode("utf-8", "replace").removeprefix("./").split("/")[0]
            name, _, version = root.rpartition("-")
            return _named(name, version)
        digits = header[124:136].strip(b"\0 ")
        if not _OCTAL.fullmatch(digits):  # a sign here would lead us round in circles
            return Named()
        size = int(digits or b"0", 8)
        offset += 512 + -(-size // 512) * 512
    return Named()


def _named(name: str | None, version: str | None) -> Named:
    """Only what has the form of a name or a version is taken from a file."""
    if not name or not _WORD.fullmatch(name):
        return Named()
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return Named(normal, version if version and _WORD.fullmatch(version) else None)
