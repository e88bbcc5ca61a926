"""What a worker tells of a look is bounded, each field of it."""

from dataclasses import replace
from typing import Any

import pytest

import makers
from cachewarden.model.caches import Entry, Look, MeasuredCache, Part
from cachewarden.model.errors import WorkerError
from cachewarden.model.units import Bytes
from cachewarden.service.collecting import Collector
from cachewarden.service.wire import Message, encoder
from cachewarden.system.collector import no_search_for_cycles

TELL_CACHE, TELL_ENTRIES = encoder(MeasuredCache), encoder(tuple[Entry, ...])


def hear(*messages: Message) -> Look | None:
    """The look, if the messages are a whole one."""
    collecting = Collector(makers.owner()).collect()
    next(collecting)
    for message in messages:
        try:
            collecting.send(message)
        except StopIteration as end:
            found: Look = end.value
            return found
    return None


@pytest.mark.parametrize("field", ["path", "name", "version", "hold", "own_hold"])
def test_no_text_of_an_entry_is_told_without_bound(field: str) -> None:
    text: dict[str, Any] = {field: "x" * 65_000}
    many = TELL_ENTRIES((replace(makers.entry("a"), **text),) * 50)
    with pytest.raises(WorkerError, match="does not come to an end"):
        hear(("cache", TELL_CACHE(makers.cache())), *[("entries", many)] * 50)


def test_parts_of_caches_are_told_within_bounds() -> None:
    """Small ones, with no text to weigh."""
    parts = (Part("", "", Bytes(0)),) * 40_000
    with no_search_for_cycles(), pytest.raises(WorkerError, match="more parts than any cache has"):
        hear(*[("cache", TELL_CACHE(replace(makers.cache(), parts=parts)))] * 8)


def test_a_cache_with_its_parts_is_heard_as_it_was_told() -> None:
    cache = replace(makers.cache(), parts=(Part("a", "mark", Bytes(4096)),))
    seen = hear(("cache", TELL_CACHE(cache)), ("entries", TELL_ENTRIES((makers.entry("a"),))), ("seen", None))
    assert seen == Look((replace(cache, entries=(makers.entry("a"),)),))
