"""Naming a cached response: by headers, by pages, by what the body is."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cachewarden.ecosystems import pip_names
from cachewarden.ecosystems.pip_names import Body, Named, Response

NOTHING = Named()


def body_of(data: bytes) -> Body:
    return Body(len(data), lambda offset, size: data[offset : offset + size])


def wheel(*names: str, padding: int = 0) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            file.writestr(name, "x")
        for number in range(padding):
            file.writestr(f"pad/{number:05}/{'p' * 80}", "")
    return made.getvalue()


def sdist(*names: str, form: int = tarfile.PAX_FORMAT, headers: Mapping[str, str] | None = None) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=form, pax_headers=dict(headers or {})) as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            file.addfile(info, io.BytesIO(b"abc"))
    return made.getvalue()


def name_of(data: bytes) -> Named:
    return pip_names.nature_of(body_of(data)).name()


def response(**headers: str) -> Response:
    return Response({name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("file_name", "named"),
    [
        ("six-1.16.0-py2.py3-none-any.whl", Named("six", "1.16.0")),
        ("Foo_Bar.Baz-1!2.0+local.1-1-cp312-cp312-manylinux_2_17_x86_64.whl", Named("foo-bar-baz", "1!2.0+local.1")),
        ("docopt-0.6.2.tar.gz", Named("docopt", "0.6.2")),
        ("my-long-name-1.0.zip", Named("my-long-name", "1.0")),
        ("x-1.0.TAR.GZ", Named("x", "1.0")),
        ("six-1.16.0.whl", NOTHING),
        ("noversion.tar.gz", NOTHING),
        ("-1.0.tar.gz", NOTHING),
        ("a b-1.0.tar.gz", NOTHING),
        ("\x1b[31m-1.0.tar.gz", NOTHING),
        ("six-\x1b-py3-none-any.whl", Named("six", None)),
        ("six.exe", NOTHING),
    ],
)
def test_file_name_tells_name_and_version(file_name: str, named: Named) -> None:
    assert pip_names.named_by_file(file_name) == named


def test_wheel_is_named_by_its_own_dist_info() -> None:
    assert name_of(wheel("six.py", "six-1.16.0.dist-info/METADATA")) == Named("six", "1.16.0")


def test_vendored_dist_info_does_not_name_the_wheel() -> None:
    vendored = ("setuptools/_vendor/zipp-3.19.2.dist-info/METADATA", "a/b-1.dist-info/RECORD")
    assert name_of(wheel(*vendored, "setuptools-80.9.0.dist-info/RECORD")) == Named("setuptools", "80.9.0")
    assert name_of(wheel("setuptools-80.9.0.dist-info/RECORD", *vendored)) == Named("setuptools", "80.9.0")
    assert name_of(wheel(*vendored)) == NOTHING


def test_wheel_with_a_long_directory_is_named_by_its_end() -> None:
    made = io.BytesIO(wheel(padding=2000))
    with zipfile.ZipFile(made, "a") as file:
        file.writestr("big_one-2.0.dist-info/RECORD", "")
    assert name_of(made.getvalue()) == Named("big-one", "2.0")


def test_offset_that_looks_like_text_is_no_part_of_the_name() -> None:
    # In a wheel of over 16 MB the byte before the file name may be a letter; it belongs to an offset.
    plain = wheel("six-1.16.0.dist-info/METADATA")
    begin = plain.index(b"PK\x01\x02")
    assert name_of(plain[: begin + 45] + b"A" + plain[begin + 46 :]) == Named("six", "1.16.0")


def test_zip_sdist_is_named_by_its_root() -> None:
    assert name_of(wheel("my-pkg-1.0/", "my-pkg-1.0/PKG-INFO", "my-pkg-1.0/a.egg-info/PKG-INFO")) == Named(
        "my-pkg", "1.0"
    )


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar_sdist_is_named_by_its_root(form: int) -> None:
    assert name_of(sdist("docopt-0.6.2/PKG-INFO", "docopt-0.6.2/x", form=form)) == Named("docopt", "0.6.2")
    assert name_of(sdist("./my-pkg-1.0/PKG-INFO", form=form)) == Named("my-pkg", "1.0")


def test_tar_with_long_names_and_global_headers_is_named() -> None:
    long = "pkg-1.0/" + "d" * 90 + "/" + "f" * 90
    assert name_of(sdist(long, form=tarfile.GNU_FORMAT)) == Named("pkg", "1.0")
    assert name_of(sdist("pkg-1.0/x", headers={"comment": "c" * 600})) == Named("pkg", "1.0")


@pytest.mark.parametrize("size", [b"-1000", b"-7777777777", b"+10", b"1_0", b" 10 10", b"\x80" + b"\0" * 10, b"9"])
def test_tar_header_with_a_hostile_size_ends_the_search(size: bytes) -> None:
    header = bytearray(512)
    header[124:136] = size.ljust(12, b"\0")
    header[156:157] = b"x"
    assert name_of(gzip.compress(bytes(header) * 8)) == NOTHING


def test_metadata_is_an_index_entry_with_name_and_version() -> None:
    text = b"Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.2\nSummary: x\n\nName: other\nVersion: 9\n"
    nature = pip_names.nature_of(body_of(text))
    assert (nature.index, nature.name()) == (True, Named("foo-bar", "1.2"))


PAGE = {
    "name": "Foo",
    "files": [
        {"url": "https://files/foo-1.0.tar.gz#sha256=aa"},
        {"url": "relative/foo-2.0.tar.gz"},
        {"url": 7},
        "x",
        {"url": "https://files/%66oo-3.0-py3-none-any.whl"},
    ],
}


def key(url: str) -> str:
    return hashlib.sha224(url.encode()).hexdigest()


def test_json_page_lists_the_keys_of_its_files() -> None:
    found = dict(pip_names.links_of_page(body_of(json.dumps(PAGE).encode())))
    assert found == {
        key("https://files/foo-1.0.tar.gz"): Named("foo", "1.0"),
        key("https://files/foo-1.0.tar.gz.metadata"): Named("foo", "1.0"),
        key("https://files/%66oo-3.0-py3-none-any.whl"): Named("foo", "3.0"),
        key("https://files/%66oo-3.0-py3-none-any.whl.metadata"): Named("foo", "3.0"),
    }


def test_html_page_lists_the_keys_of_its_files() -> None:
    page = (
        b"""<title>Links for foo</title><a href="https://f/foo-1.0.tar.gz?a=1&amp;b=2#sha256=x">f</a><a href='/y'>"""
    )
    assert dict(pip_names.links_of_page(body_of(page)))[key("https://f/foo-1.0.tar.gz?a=1&b=2")] == Named(
        "foo", "1.0"
    )
    assert pip_names.page_name(body_of(page)) == Named("foo", None)


@pytest.mark.parametrize(
    "page", [b"<a href='http://[/six-1.0.zip'>", b'{"files": [{"url": "https://[::1/six-1.0.zip"}]}']
)
def test_link_that_is_no_url_names_nothing(page: bytes) -> None:
    assert list(pip_names.links_of_page(body_of(page))) == []
    assert pip_names.named_by_url("http://[/six-1.0.zip") == NOTHING


@pytest.mark.parametrize(
    "page", [b"{", b"[" * 100_000, b"{}", b'{"files": {}}', b'{"files": [[]], "name": []}', b"", b"\xff"]
)
def test_broken_page_has_no_links_and_no_name(page: bytes) -> None:
    assert list(pip_names.links_of_page(body_of(page))) == []
    assert pip_names.page_name(body_of(page)) == NOTHING


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)  # fmt: skip
def test_page_is_read_through_the_compression_of_the_transfer(coding: str, pack: "type[bytes]") -> None:
    packed = body_of(pack(json.dumps(PAGE).encode()))
    assert pip_names.page_name(pip_names.plain_body(response(content_encoding=coding), packed)) == Named("foo", None)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip"])
def test_what_cannot_be_unpacked_is_an_empty_page(coding: str) -> None:
    assert pip_names.plain_body(response(content_encoding=coding), body_of(b"not packed")).size == 0


def test_compressed_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    assert pip_names.plain_body(response(content_encoding="gzip"), body_of(bomb)).size == 0


def test_headers_name_a_file_only_with_plausible_words() -> None:
    good = response(x_pypi_file_project="Foo_Bar", x_pypi_file_version="1.0")
    assert pip_names.named_by_headers(good) == Named("foo-bar", "1.0")
    assert pip_names.named_by_headers(response(x_pypi_file_project="../../etc")) == NOTHING
    assert pip_names.named_by_headers(response(x_pypi_file_project="a" * 300)) == NOTHING


@pytest.mark.parametrize(
    "data", [b"", b"cc=4", b"cc=4,", b"cc=4,\x80", b"cc=4,\x81\xa8response\x01", b"cc=3,x", b"\x1f\x8b"]
)
def test_unknown_form_is_no_response(data: bytes) -> None:
    assert pip_names.response_of(lambda offset, size: data[offset : offset + size]) is None


@given(
    st.binary(max_size=600),
    st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"Metadata-Version:", b"{", b"<"]),
)
@example(b"PK\x01\x02", b"PK\x03\x04")
@example(b"PK\x01\x02" + b"\xff" * 42 + b"a-1.dist-info/", b"PK\x03\x04")
@settings(max_examples=40)
def test_any_body_is_named_or_not_without_an_error(data: bytes, head: bytes) -> None:
    named = name_of(head + data)
    assert named.name is None or named.name.isprintable()
    list(pip_names.links_of_page(body_of(head + data)))


@given(st.binary(max_size=2000))
@settings(max_examples=30)
def test_any_tar_is_named_or_not_without_an_error(data: bytes) -> None:
    assert isinstance(name_of(gzip.compress(data, mtime=0)), Named)
