"""What is told of caches fits into messages, whatever things are called."""

from dataclasses import replace

import pytest

import makers
from cachewarden.ecosystems.known import told
from cachewarden.model.caches import Part
from cachewarden.model.units import Bytes
from cachewarden.service.telling import tell_caches
from cachewarden.service.wire import MESSAGE_LIMIT

LONGEST_NAME = 255


@pytest.mark.parametrize(
    "name",
    ["x" * LONGEST_NAME, "\x01" * LONGEST_NAME, '"' * LONGEST_NAME, "\udcff" * LONGEST_NAME, "\U0001f40d" * 63],
    ids=["letters", "control characters", "quotes", "no text", "snakes"],
)
def test_parts_of_whatever_names_fit_into_one_message(name: str) -> None:
    """In a cache that is shared others than the owner name packages: one name too many costs no look."""
    parts = told(Part(name, "f" * 24, Bytes(1 << 40)) for _ in range(60_000))
    (message,) = tell_caches([replace(makers.cache(), parts=parts)])
    assert len(message) < MESSAGE_LIMIT
    assert len(parts) > 1000
