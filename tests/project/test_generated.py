"""What is generated is up to date, and what we ship is good by the schema and by the loader."""

import dataclasses
import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from cachewarden.model.policies import Keep, Policy, Settings, Watch
from cachewarden.settings import amounts, keys
from cachewarden.settings.loader import builtin, load
from cachewarden.settings.schema import schema
from cachewarden.settings.shapes import Key, ListOf, Section
from fakes import FakeFiles

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "config" / "cachewarden.yaml"
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.yaml"))
SHIPPED = [DEFAULT, *EXAMPLES]


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def loaded(path: Path) -> Settings:
    text = path.read_text(encoding="utf-8")
    return load(FakeFiles({str(path): text}), config=str(path), folder="/nowhere")


def all_keys(section: Section) -> list[Key[object]]:
    found = list(section.keys)
    for key in section.keys:
        shape: object = key.shape.item if isinstance(key.shape, ListOf) else key.shape
        found += all_keys(shape) if isinstance(shape, Section) else []
    return found


def test_the_generated_files_are_up_to_date() -> None:
    from project.regenerate import generated  # tests/ is on the path

    for path, content in generated().items():
        assert path.read_text(encoding="utf-8") == content, f"run make generate: {path} is stale"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("path", SHIPPED, ids=names(SHIPPED))
def test_what_we_ship_is_good_by_the_schema(path: Path) -> None:
    jsonschema.Draft7Validator(schema()).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SHIPPED, ids=names(SHIPPED))
def test_what_we_ship_loads(path: Path) -> None:
    assert loaded(path).policies


@pytest.mark.parametrize("path", SHIPPED, ids=names(SHIPPED))
def test_editors_find_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    target = os.path.normpath(path.parent / first.removeprefix(prefix))
    assert target == str(ROOT / "config" / "policy.schema.json")


def test_there_are_examples() -> None:
    assert names(EXAMPLES) == ["lab-server.yaml", "laptop-conda.yaml", "raspberry-pi.yaml"]


def test_the_shipped_default_is_the_builtin() -> None:
    assert dataclasses.replace(loaded(DEFAULT), files=()) == builtin()


def test_the_shipped_default_explains_every_key() -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    assert [key.name for key in all_keys(keys.MAIN) if key.name not in text] == []


def test_the_defaults_in_the_table_are_those_of_the_model() -> None:
    assert amounts.duration(str(keys.INTERVAL.default)) == Watch().interval
    assert keys.REACT.default == str(Watch().react).lower()
    assert amounts.duration(str(keys.HORIZON.default)) == Watch().horizon
    assert keys.TRACE.default == str(Watch().trace).lower()
    assert keys.TRACE_NAMES.default == str(Watch().trace_names).lower()
    assert amounts.duration(str(keys.NEWER_THAN.default)) == Keep().newer_than
    plain = {field.name: field.default for field in dataclasses.fields(Policy)}
    assert keys.ORDER.default == plain["order"]
    assert keys.OTHERWISE_KEY.default == plain["otherwise"]


@pytest.mark.parametrize(
    "text",
    [
        "policies: []",
        "version: 2",
        "version: 1\nunknown: 1",
        "version: 1\npolicies: [{name: a}]",
        "version: 1\npolicies: [{name: a, action: relocate}]",
        "version: 1\npolicies: [{name: a, action: purge, to: /a}]",
        "version: 1\npolicies: [{name: a, action: purge, free_space: {below: 10}}]",
        "version: 1\npolicies: [{name: a, action: purge, free_space: {below: 101%}}]",
        "version: 1\npolicies: [{name: a, action: purge, unused_for: 0d}]",
        "version: 1\npolicies: [{name: a, action: purge, kinds: [wheel]}]",
        "version: 1\npolicies: [{name: a, action: relocate, to: '/{user}'}]",
        "version: 1\nwatch: {interval: 300}",
        "version: 1\nowners: []",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    assert not jsonschema.Draft7Validator(schema()).is_valid(yaml.safe_load(text))
