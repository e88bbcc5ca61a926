"""Where an owner's pip installs, and what it installed there since."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from cachewarden.ecosystems.direct_url import Origin
from cachewarden.ecosystems.pip_environments import Environments, Install, find
from cachewarden.ecosystems.pip_names import Named, named_distribution
from cachewarden.model.units import Instant
from fake_trees import HOME, SECOND, FakeTree, Thing, context, folder, installed, venv

VENV = f"{HOME}/app/.venv/lib/python3.11/site-packages"
SIX = Named("six", "1.16.0")


def sites(environments: Environments) -> set[str]:
    return {site.path for site in environments.sites}


def installs(things: Mapping[str, Thing | str], since: int = 100, now: int = 1000) -> list[Install]:
    files = FakeTree(things)
    found = find(context(files, now=now))
    return found.installs(files, {SIX: Instant(since * SECOND)}, Instant(now * SECOND)).get(SIX, [])


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("six-1.16.0.dist-info", SIX),
        ("Zope.Interface-6.0.dist-info", Named("zope-interface", "6.0")),
        ("ruamel_yaml-0.18.dist-info", Named("ruamel-yaml", "0.18")),
        ("torch-2.1.0+cu118.dist-info", Named("torch", "2.1.0+cu118")),
        ("six-1.16.0-py3.11.egg-info", None),
        ("six.dist-info", None),
        ("-1.dist-info", None),
        ("six-.dist-info", None),
        ("si\nx-1.dist-info", None),
        ("six-1.0\udc80.dist-info", None),
        ("~ix-1.16.0.dist-info", None),
        ("s" * 250 + "-1.dist-info", None),
    ],
)
def test_the_name_of_a_distribution_is_read_strictly(name: str, named: Named | None) -> None:
    assert named_distribution(name) == named


def test_environments_are_found_in_all_the_usual_places() -> None:
    places = [
        f"{HOME}/app/.venv", f"{HOME}/.virtualenvs/a", f"{HOME}/.pyenv/versions/3.12.1",
        f"{HOME}/.local/share/pipx/venvs/black", f"{HOME}/.local/pipx/venvs/old",
        f"{HOME}/.cache/pypoetry/virtualenvs/x-py3.11", f"{HOME}/.local/share/virtualenvs/y-abc", "/opt/conda/envs/z",
    ]  # fmt: skip
    things: dict[str, Thing | str] = {}
    for place in places:
        things |= venv(place)
    things[f"{HOME}/.local/lib/python3.9/site-packages"] = folder()
    found = find(context(FakeTree(things), environments=("/opt/conda/envs/z",)))
    wanted = {f"{place}/lib/python3.11/site-packages" for place in places}
    assert sites(found) == wanted | {f"{HOME}/.local/lib/python3.9/site-packages"}


def test_variables_move_the_places() -> None:
    things = venv("/data/envs/a") | venv("/data/pyenv/versions/3.12.1", "python3.12") | venv("/data/x/venvs/b")
    environ = {"WORKON_HOME": "/data/envs", "PYENV_ROOT": "/data/pyenv", "PIPX_HOME": "relative"}
    assert len(find(context(FakeTree(things), environ=environ)).sites) == 2


def test_the_machines_own_packages_count_for_root_alone() -> None:
    things: dict[str, Thing | str] = {
        "/usr/local/lib/python3.11/dist-packages": folder(),
        "/root/x": "",
        f"{HOME}/x": "",
    }
    assert sites(find(context(FakeTree(things), uid=0))) == {"/usr/local/lib/python3.11/dist-packages"}
    assert not find(context(FakeTree(things))).sites


def test_interpreters_are_those_of_the_system_and_of_environments_but_not_of_a_user_site() -> None:
    things = venv(f"{HOME}/.pyenv/versions/3.12.1", "python3.12") | {
        "/usr/bin/python3.9": "",
        f"{HOME}/.local/lib/python3.8/site-packages": folder(),
        f"{HOME}/.local/share/uv/python/cpython-3.13.0-linux-x86_64-gnu/bin/x": "",
        f"{HOME}/.local/bin/python3.14": "",
        "/data/bin/python3.7": "",
    }
    found = find(context(FakeTree(things), environ={"PATH": "/data/bin:relative:"}))
    assert found.pythons == {(3, 7), (3, 9), (3, 12), (3, 13), (3, 14)}


def test_nothing_is_entered_that_somebody_else_laid_the_way_to() -> None:
    things = venv("/data/theirs") | {f"{HOME}/.virtualenvs/a": Thing(link="/data/theirs")}
    files = FakeTree(things, distrusted=(f"{HOME}/.virtualenvs/a",))
    assert not find(context(files)).sites
    assert sites(find(context(FakeTree(things)))) == {"/data/theirs/lib/python3.11/site-packages"}


def test_no_link_and_no_other_disk_is_entered_below_an_environment() -> None:
    base = f"{HOME}/a"
    things: dict[str, Thing | str] = {
        f"{base}/pyvenv.cfg": "",
        f"{base}/lib/python3.11": Thing(link="/data/lib"),
        f"{base}/lib64": Thing(link=f"{base}/lib"),
        f"{base}/lib/python3.12": folder(device=2),
        f"{base}/lib/python3.12/site-packages/x": "",
        "/data/lib/site-packages/x": "",
        f"{base}/lib/python3.10/site-packages": Thing(link="/data/lib/site-packages"),
    }
    assert not find(context(FakeTree(things))).sites


def test_the_search_is_done_once_for_all_caches_of_a_look() -> None:
    files = FakeTree(venv(f"{HOME}/a"))
    around = context(files)
    first = around.look.once(find, around)
    opened = len(files.opened)
    assert around.look.once(find, around) is first
    assert len(files.opened) == opened


def test_an_installation_by_pip_after_the_time_is_found_with_its_time() -> None:
    assert installs(installed(VENV, "six-1.16.0", 500)) == []  # nothing says that it is an environment
    things = venv(f"{HOME}/app/.venv") | installed(VENV, "six-1.16.0", 500)
    assert installs(things) == [Install(Instant(500 * SECOND))]
    assert installs(things, since=500) == []
    assert installs(things, since=600) == []


def test_a_time_to_come_counts_as_now() -> None:
    things = venv(f"{HOME}/app/.venv") | installed(VENV, "six-1.16.0", 9_999_999)
    assert installs(things, now=1000) == [Install(Instant(1000 * SECOND))]


@pytest.mark.parametrize("installer", ["uv", "conda", "debian", "", "pip\nuv", "pip" + "x" * 1_000_000])
def test_what_another_tool_installed_used_no_cache_of_pip(installer: str) -> None:
    assert installs(venv(f"{HOME}/app/.venv") | installed(VENV, "six-1.16.0", 500, installer=installer)) == []


def test_where_it_came_from_is_told_when_that_was_no_index() -> None:
    there = '{"url": "https://example.org/six.whl", "archive_info": {}}'
    things = venv(f"{HOME}/app/.venv") | installed(VENV, "six-1.16.0", 500, direct_url=there)
    assert installs(things) == [Install(Instant(500 * SECOND), Origin("https://example.org/six.whl"))]


def test_half_a_distribution_or_a_link_for_one_is_no_installation() -> None:
    base = f"{VENV}/six-1.16.0.dist-info"
    for things in (
        {base: folder(500)},
        {base: Thing(link="/data/six")},
        {base: Thing(b"", 500)},
        {base: folder(500), f"{base}/INSTALLER": Thing(link="/etc/hostname")},
        {base: folder(500), f"{base}/INSTALLER": folder(500)},
    ):
        assert installs(venv(f"{HOME}/app/.venv") | things) == []


def test_having_is_told_only_where_something_can_be_seen() -> None:
    files = FakeTree(venv(f"{HOME}/app/.venv") | installed(VENV, "six-1.16.0", 500))
    found = find(context(files))
    assert found.has(SIX) is True
    assert found.has(Named("six", "1.17.0")) is False
    assert found.has(Named("six")) is None
    assert Environments().has(SIX) is None


def test_what_was_not_seen_in_a_part_of_the_environments_is_not_said_to_be_nowhere() -> None:
    files = FakeTree(venv(f"{HOME}/app/.venv") | installed(VENV, "six-1.16.0", 500))
    part = replace(find(context(files)), whole=False)
    assert (part.has(SIX), part.has(Named("six", "1.17.0"))) == (True, None)
