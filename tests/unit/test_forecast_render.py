"""The forecast on the screen of ``status`` and in its JSON."""

import json

import pytest

import makers
from cachewarden.cli.render import forecast as render
from cachewarden.cli.render import json as documents
from cachewarden.cli.render.blocks import Grid, Heading, Line
from cachewarden.cli.render.words import View
from cachewarden.model.forecasts import (
    CacheForecast,
    DiskForecast,
    Forecast,
    Growth,
    PolicyForecast,
    Trend,
    When,
)
from cachewarden.model.plans import Plan

MIB = makers.MIB
GROWS = Trend(30, Growth(120.0 * MIB, 80.0 * MIB, 160.0 * MIB))
LEFT = Trend(30, Growth(100.0 * MIB, 60.0 * MIB, 140.0 * MIB))
CACHE = makers.cache()
SOON, LATER, NEVER, FAR = When(14, 21, 35), When(28, 35, 63), When(), When(200, 500, None)


def disk(
    fills: When | None, anyway: When | None = None, *, trend: Trend = GROWS, free: int = 500, mount: str = "/home"
) -> DiskForecast:
    return DiskForecast(makers.filesystem(free=free * MIB, mount=mount), trend, LEFT, fills, anyway or fills)


def lines(*disks: DiskForecast, policies: tuple[PolicyForecast, ...] = (), verbose: bool = False) -> list[str]:
    caches = (CacheForecast(CACHE.cache, GROWS), CacheForecast(makers.cache(path="/new").cache, Trend(2)))
    blocks = list(
        render.section(Forecast(makers.NOW, disks, caches, policies), View(makers.NOW, "/home/ann", verbose))
    )
    assert isinstance(blocks[0], Heading)
    rows = [" ".join(map(str, row)) for block in blocks if isinstance(block, Grid) for row in block.rows]
    return [block.text for block in blocks if isinstance(block, Line)] + rows


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (disk(SOON), "/home: fills in about 3 weeks (2 to 5), +120 MiB a day"),
        (disk(SOON, NEVER), "/home: would fill in about 3 weeks (2 to 5), +120 MiB a day; the policies prevent it"),
        (
            disk(SOON, LATER),
            "/home: fills in about 5 weeks (4 to 9) in spite of the policies, which leave +100 MiB a day",
        ),
        (disk(NEVER), "/home: does not fill, +120 MiB a day"),
        (disk(FAR), "/home: does not fill within a year, +120 MiB a day"),
        (disk(SOON, free=0), "/home: is full, +120 MiB a day"),
        (disk(None), "/home: +120 MiB a day"),
        (disk(NEVER, trend=Trend(9, Growth(-5.0 * MIB, -6.0, 1.0))), "/home: does not fill, -5 MiB a day"),
    ],
)
def test_a_disk_is_one_line(found: DiskForecast, text: str) -> None:
    assert lines(found) == [text]


def test_less_than_a_week_is_said_once_for_all_and_of_one_disk_by_itself() -> None:
    fresh, older = disk(None, trend=Trend(3)), disk(None, trend=Trend(5), mount="/srv")
    assert lines(fresh, older) == ["not known yet: 5 days of a week recorded"]
    assert lines(disk(SOON), older)[1] == "/srv: not known yet: 5 days of a week recorded"


def test_policies_that_act_within_a_year_are_a_line_each_and_no_other() -> None:
    policies = (
        PolicyForecast("keep-free", "/home", 30, SOON), PolicyForecast("cap", CACHE.cache.path, 30, LATER),
        PolicyForecast("now", "/home", 30, When(0, 0, 0)), PolicyForecast("never", "/home", 30, NEVER),
        PolicyForecast("far", "/home", 30, FAR), PolicyForecast("unknown", "/home", 3),
    )  # fmt: skip
    assert lines(disk(SOON), policies=policies)[1:] == [
        "keep-free: acts in about 3 weeks (2 to 5), on /home",
        "cap: acts in about 5 weeks (4 to 9), on ~/.cache/pip",
    ]


def test_the_growth_of_caches_is_for_those_who_want_to_see_all() -> None:
    assert lines(disk(SOON), verbose=True)[1:] == ["+120 MiB +80 MiB and +160 MiB ~/.cache/pip"]


def test_without_a_disk_there_is_no_section() -> None:
    assert list(render.section(Forecast(makers.NOW), View(makers.NOW))) == []


def test_the_document_has_its_keys_dates_and_nulls() -> None:
    found = Forecast(
        makers.NOW,
        (disk(SOON, NEVER), disk(None, trend=Trend(3), mount="/srv")),
        (CacheForecast(CACHE.cache, GROWS),),
        (PolicyForecast("keep-free", "/home", 30, When(1, 2, 1e300)),),
    )
    text = documents.text(documents.status(makers.snapshot(CACHE), Plan(), found), pretty=False)
    document = json.loads(text)["forecast"]
    assert document["filesystems"][0] == {
        "mount": "/home", "days_recorded": 30, "grows_bytes_per_day": 120 * MIB,
        "grows_at_least": 80 * MIB, "grows_at_most": 160 * MIB,
        "earliest": "2023-11-28T22:13:20Z", "expected": "2023-12-05T22:13:20Z", "latest": "2023-12-19T22:13:20Z",
        "in_spite_of_policies": {
            "grows_bytes_per_day": 100 * MIB, "earliest": None, "expected": None, "latest": None,
        },
    }  # fmt: skip
    unknown = document["filesystems"][1]
    assert (unknown["days_recorded"], unknown["grows_bytes_per_day"], unknown["expected"]) == (3, None, None)
    assert document["caches"] == [
        {
            "ecosystem": "pip", "owner": "ann", "path": CACHE.cache.path, "days_recorded": 30,
            "grows_bytes_per_day": 120 * MIB, "grows_at_least": 80 * MIB, "grows_at_most": 160 * MIB,
        }
    ]  # fmt: skip
    assert document["policies"] == [
        {
            "name": "keep-free", "place": "/home", "days_recorded": 30,
            "earliest": "2023-11-15T22:13:20Z", "expected": "2023-11-16T22:13:20Z", "latest": None,
        }
    ]  # fmt: skip
