"""Where pip recorded that something came from."""

import json

import pytest

from cachewarden.ecosystems.direct_url import LONGEST, Origin, read_origin

HASH = "a" * 64


def read(content: str | bytes) -> Origin | None:
    data = content.encode() if isinstance(content, str) else content
    return read_origin(lambda most: data[:most])


def test_url_and_hash_are_read_in_the_old_form_too() -> None:
    for archive in ({"hashes": {"sha256": HASH}}, {"hash": f"sha256={HASH}"}, {"hashes": {"sha256": HASH.upper()}}):
        assert read(json.dumps({"url": "https://x/a.tar.gz", "archive_info": archive})) == Origin(
            "https://x/a.tar.gz", HASH
        )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"url": 3}', b'{"url": ""}', b"\xff\xfe", b"[" * 60_000,
     b" " * (LONGEST + 10) + b"{}"],
    ids=["empty", "half", "list", "null", "number", "no-url", "bytes", "deep", "long"],
)  # fmt: skip
def test_what_is_not_of_that_form_says_nothing(content: bytes) -> None:
    assert read(content) is None


@pytest.mark.parametrize("archive", [{"hashes": []}, {"hashes": {"sha256": "x"}}, {"hash": "md5=1"}, [], "x", None])
def test_a_hash_that_is_none_is_left_out(archive: object) -> None:
    assert read(json.dumps({"url": "https://x/a", "archive_info": archive})) == Origin("https://x/a")


def test_a_file_that_cannot_be_read_says_nothing() -> None:
    def refuse(most: int) -> bytes:
        raise PermissionError

    assert read_origin(refuse) is None


@pytest.mark.parametrize(
    ("url", "out_of_reach"),
    [
        ("https://files.example.org/a-1.tar.gz", False),
        ("http://127.0.0.1:3141/a-1.tar.gz", False),
        ("git+https://example.org/a.git", False),
        ("https://example.org/a.git", False),
        ("file:///home/ann/a-1.tar.gz", True),
        ("git+file:///srv/a.git", True),
        ("/home/ann/a", True),
        ("https://ann@example.org/a-1.tar.gz", True),
        ("https://${USER}:${PASSWORD}@example.org/a", True),
        ("git+ssh://git@example.org/a.git", True),
        ("http://[", True),
        ("https:///a", True),
    ],
)
def test_what_only_this_machine_or_this_user_can_fetch_is_out_of_reach(url: str, out_of_reach: bool) -> None:
    assert Origin(url).is_out_of_reach() is out_of_reach


def test_a_projects_own_folder_is_out_of_reach() -> None:
    origin = read(json.dumps({"url": "https://x/y", "dir_info": {"editable": True}}))
    assert origin is not None
    assert origin.is_out_of_reach()
