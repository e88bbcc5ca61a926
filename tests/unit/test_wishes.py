"""Of looks that are wanted the first one comes, and no reason for one is lost."""

import pytest

from cachewarden.service.wishes import INTERVAL, Wish, sooner


def wish(when: float, trigger: str) -> Wish:
    return Wish(when, trigger, when)


@pytest.mark.parametrize(
    ("wishes", "comes"),
    [
        ([(5, "start")], "start"),
        ([(5, "file events"), (3, "schedule")], "schedule"),
        ([(3, "file events"), (5, "schedule")], "file events"),
        ([(0, INTERVAL), (1, "schedule")], "schedule"),
        ([(1, "schedule"), (0, INTERVAL)], "schedule"),
        ([(0, INTERVAL), (30, "file events")], INTERVAL),
        ([(0, INTERVAL), (0, INTERVAL)], INTERVAL),
    ],
)
def test_the_regular_look_gives_way_to_one_for_a_reason(wishes: list[tuple[float, str]], comes: str) -> None:
    """In a quiet state it would be left out, and a schedule whose hour has come with it."""
    found: Wish | None = None
    for each in wishes:
        found = sooner(found, wish(*each))
    assert found
    assert found.trigger == comes


def test_new_wishes_for_what_was_put_off_do_not_put_it_off_further() -> None:
    """Disks that are busy for long: what is wanted every second would be done never, what is heard again likewise."""
    for trigger in (INTERVAL, "file events"):
        put_off = Wish(105, trigger, 100, patient=True)
        found = sooner(put_off, Wish(101, trigger, 101, patient=True))
        assert (found.when, found.since) == (101, 100)
        assert sooner(wish(90, "start"), found).since == 90
