"""Virtual environments of a home are found within bounds."""

from itertools import count

from cachewarden.ecosystems.venv_search import Reach, venvs_below
from fake_trees import HOME, FakeTree, Thing, folder

USUAL = Reach()


def venv(path: str) -> str:
    return f"{HOME}/{path}/pyvenv.cfg"


def found(things: dict[str, Thing | str], barred: tuple[str, ...] = (), reach: Reach = USUAL) -> list[str]:
    venvs = venvs_below(FakeTree(things), HOME, barred, reach, timer=lambda: 0.0)
    return [path.removeprefix(f"{HOME}/") for path in venvs.paths]


def test_environments_are_found_where_people_make_them_the_nearest_first() -> None:
    things: dict[str, Thing | str] = {
        venv("src/app/.venv"): "", venv("env"): "", venv("src/lib/.tox/py311"): "", f"{HOME}/notes.txt": "",
    }  # fmt: skip
    assert found(things) == ["env", "src/app/.venv", "src/lib/.tox/py311"]


def test_what_is_hidden_barred_or_known_to_be_a_heap_is_not_entered() -> None:
    things: dict[str, Thing | str] = {
        venv(".cache/x"): "", venv("node_modules/x"): "", venv("mine/x"): "", venv("conda/envs/x"): "",
        f"{HOME}/conda/conda-meta/history": "", venv("ok"): "",
    }  # fmt: skip
    assert found(things, barred=(f"{HOME}/mine",)) == ["ok"]


def test_nothing_is_looked_for_inside_an_environment() -> None:
    assert found({venv("a"): "", venv("a/share/b"): ""}) == ["a"]


def test_links_other_disks_and_folders_of_others_are_not_entered() -> None:
    things: dict[str, Thing | str] = {
        f"{HOME}": folder(),
        f"{HOME}/link": Thing(link="/data/venv"),
        "/data/venv/pyvenv.cfg": "",
        f"{HOME}/usb": folder(device=2),
        venv("usb/x"): "",
        f"{HOME}/theirs": folder(uid=7),
        venv("theirs/x"): "",
    }
    assert found(things) == []


def test_the_mark_must_be_a_file() -> None:
    assert found({f"{HOME}/a/pyvenv.cfg": folder(), f"{HOME}/b/pyvenv.cfg": Thing(link="/etc/passwd")}) == []


def test_levels_folders_and_names_are_bounded() -> None:
    deep: dict[str, Thing | str] = {venv("a/b/c/d/e"): "", venv("a/b/c/d"): ""}
    assert found(deep) == ["a/b/c/d"]
    assert found({venv("a/b/c/d/e"): ""}) == []
    assert found({venv("z"): "", venv("a/b"): ""}, reach=Reach(folders=3)) == ["z"]
    heap: dict[str, Thing | str] = {f"{HOME}/heap/{number}": folder() for number in range(11)}
    assert found(heap | {venv("heap/0"): ""}, reach=Reach(names=10)) == []
    assert found(heap | {venv("heap/0"): ""}, reach=Reach(names=11)) == ["heap/0"]


def test_the_search_ends_with_its_time() -> None:
    things: dict[str, Thing | str] = {venv(f"{number:03}"): "" for number in range(100)}
    steps = count()
    venvs = venvs_below(FakeTree(things), HOME, (), Reach(seconds=10.0), timer=lambda: float(next(steps)))
    assert 0 < len(venvs.paths) < 10
    assert not venvs.whole
    assert venvs_below(FakeTree(things), HOME, timer=lambda: 0.0).whole


def test_the_usual_names_in_a_project_are_looked_into_at_once() -> None:
    things: dict[str, Thing | str] = {f"{HOME}/{number}/x/y": "" for number in range(9)}
    assert found(things | {venv("z/.venv"): ""}, reach=Reach(folders=12)) == ["z/.venv"]


def test_a_heap_of_folders_does_not_keep_others_waiting() -> None:
    things: dict[str, Thing | str] = {f"{HOME}/a/{number:03}/x": "" for number in range(100)}
    assert found(things | {venv("z/one"): "", venv("z/two"): ""}, reach=Reach(folders=8)) == ["z/one", "z/two"]


def test_a_home_that_is_not_there_has_none() -> None:
    assert venvs_below(FakeTree({}), HOME).paths == ()
