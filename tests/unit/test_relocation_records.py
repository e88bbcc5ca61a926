"""Records of moves as text, what a move wants, and what a filesystem's type says."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewarden.cli.render import moves
from cachewarden.model.relocations import (
    DISK_FULL,
    Heading,
    Method,
    Phase,
    Presence,
    Relocation,
    RelocationSeen,
)
from cachewarden.model.units import Bytes, Instant
from cachewarden.relocate.records import form, parse
from cachewarden.system.memory import PastMove

RECORD = Relocation(
    "0a", "pip", "/home/ann/.cache/pip", "/media/usb/pip", Method.CONFIG, Phase.REMOVING, Heading.BACK, Instant(7),
    "by-hand", config="/home/ann/.config/pip/pip.conf", original=None, written="eA==", tries=3,
)  # fmt: skip


def test_a_record_is_read_back_as_it_was() -> None:
    assert parse(form(RECORD)) == RECORD
    odd = replace(RECORD, old="/home/\udcff/ä b", original="", go_back=True, mount="/media/u s b")
    assert parse(form(odd)) == odd


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"phase": "flying"},
        {"old": "relative"},
        {"new": "/"},
        {"new": "/a/../etc"},
        {"old": "/a/./b"},
        {"old": 5},
        {"tries": "3"},
        {"tries": True},
        {"written": "no base64!"},
        {"ecosystem": "../pip"},
        {"id": ""},
        {"more": 1},
        {"original": 3},
    ],
)
def test_what_is_no_record_of_ours_is_none(changes: dict[str, object]) -> None:
    plain = json.loads(form(RECORD)) | changes
    assert parse(json.dumps(plain).encode()) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_none(data: bytes) -> None:
    assert parse(data) is None


def test_a_record_that_lacks_what_it_must_have_is_none() -> None:
    plain = json.loads(form(RECORD))
    del plain["new"]
    assert parse(json.dumps(plain).encode()) is None


def seen(phase: Phase, presence: Presence, why: str = "") -> RelocationSeen:
    return RelocationSeen(
        "1", "pip", "ann", "/a/b", "/c/d", Method.CONFIG, phase, Heading.OUT, presence, Instant(0), why
    )


def test_what_is_settled_wants_something_only_when_its_disk_does() -> None:
    assert not seen(Phase.SETTLED, Presence.HERE).wants
    assert not seen(Phase.SETTLED, Presence.FULL).wants
    assert seen(Phase.SETTLED, Presence.HERE, DISK_FULL).wants
    assert all(seen(Phase.SETTLED, each).wants for each in (Presence.MISSING, Presence.READ_ONLY, Presence.FAILING))


def past(phase: Phase, source: str = "/a/b", owner: str = "ann") -> PastMove:
    return PastMove("c", Instant(0), "p", "pip", owner, source, "/c/d", phase.value, Bytes(0), Bytes(0), "text")


def test_only_the_latest_word_on_a_move_says_whether_it_is_finished() -> None:
    assert moves.unfinished([past(Phase.SETTLED), past(Phase.COPYING)]) == []
    assert moves.unfinished([past(Phase.COPYING), past(Phase.SETTLED)]) == [past(Phase.COPYING)]
    assert moves.unfinished([past(Phase.SETTLED, owner="bob"), past(Phase.COPYING)]) == [past(Phase.COPYING)]


def test_a_command_that_was_killed_early_is_unfinished_until_anything_else_is_told_of_its_owner() -> None:
    early = past(Phase.COPYING, source="")
    assert moves.unfinished([early]) == [early]
    assert moves.unfinished([past(Phase.SETTLED), early]) == []
