"""Which cache each pip uses, and the edit that makes all of them use another, without a pip or a disk."""

import errno
from collections.abc import Mapping

import pytest

from cachewarden.ecosystems.base import Context, Edit, InForce, Located, Surroundings
from cachewarden.ecosystems.overlay import with_edit
from cachewarden.ecosystems.pip import Pip
from cachewarden.ecosystems.pip_config import LIMIT, locate
from cachewarden.model.caches import Cache, Owner
from cachewarden.model.errors import RefusedError
from cachewarden.model.units import Instant
from cachewarden.system.ports import Opened, Process
from fakes import FakeFiles

ALICE = Owner(1000, 1000, "alice", "/home/alice")
ROOT = Owner(0, 0, "root", "/root")
DEFAULT = "/home/alice/.cache/pip"
USER = "/home/alice/.config/pip/pip.conf"
LEGACY = "/home/alice/.pip/pip.conf"
ETC = "/etc/pip.conf"
SITE = "/usr/pip.conf"
NEW = "/media/usb/pip"


def around(files: Mapping[str, str | bytes | OSError] | None = None, /, **environ: str) -> Surroundings:
    return Surroundings(ALICE, environ, FakeFiles(files))


def point(surroundings: Surroundings, old: str = DEFAULT, new: str = NEW) -> Edit:
    return Pip().point(surroundings, old, new, keep=False)


def refusal(surroundings: Surroundings, old: str = DEFAULT, new: str = NEW) -> str:
    with pytest.raises(RefusedError) as caught:
        point(surroundings, old, new)
    return str(caught.value)


class TestWhatIsInForce:
    def test_is_the_default_for_all_commands_when_nothing_is_set(self) -> None:
        assert Pip().in_force(around()) == (InForce("pip install", DEFAULT, "", "the default"),)

    def test_may_be_the_default_at_another_place(self) -> None:
        found = Pip().in_force(around(XDG_CACHE_HOME="/fast"))
        assert found == (InForce("pip install", "/fast/pip", "XDG_CACHE_HOME", "XDG_CACHE_HOME in the environment"),)
        assert Pip().in_force(around(XDG_CACHE_HOME="fast")) == Pip().in_force(around())

    def test_differs_between_commands_that_have_their_own_setting(self) -> None:
        found = Pip().in_force(around({ETC: "[wheel]\ncache_dir = ~/w\n", USER: "[global]\ncache-dir = /u/\n"}))
        assert found == (
            InForce("pip install", "/u", USER, f"{USER} [global] cache-dir"),
            InForce("pip wheel", "/home/alice/w", ETC, f"{ETC} [wheel] cache-dir"),
        )

    def test_differs_between_interpreters_that_have_their_own_file(self) -> None:
        found = Pip().in_force(around({SITE: "[global]\ncache-dir = /s\n"}))
        assert found == (
            InForce("pip install", DEFAULT, "", "the default"),
            InForce("pip install with /usr/pip.conf", "/s", SITE, f"{SITE} [global] cache-dir"),
        )

    def test_is_what_a_variable_says(self) -> None:
        found = Pip().in_force(around({SITE: "[global]\ncache-dir = /s\n"}, PIP_CACHE_DIR="/env"))
        assert found == (InForce("pip install", "/env", "PIP_CACHE_DIR", "PIP_CACHE_DIR in the environment"),)

    def test_is_no_cache_where_it_is_off_or_cannot_be_known(self) -> None:
        off = InForce("pip install", None, ETC, f"{ETC} [install] no-cache-dir")
        assert Pip().in_force(around({ETC: "[install]\nno-cache-dir = false\n"}))[0] == off
        broken = Pip().in_force(around({ETC: "[global]\nno-cache-dir = maybe\n"}))
        assert broken == (InForce("pip install", None, ETC, f"{ETC} [global] no-cache-dir, at which pip stops"),)
        assert Pip().in_force(around(PIP_CACHE_DIR="here"))[0].path is None


class TestTheFileThatIsEdited:
    def test_is_the_users_own_which_is_made_when_it_is_not_there(self) -> None:
        assert point(around()) == Edit(USER, None, f"[global]\ncache-dir = {NEW}\n".encode())

    def test_is_the_one_below_xdg_config_home(self) -> None:
        assert point(around(XDG_CONFIG_HOME="/conf")).path == "/conf/pip/pip.conf"

    def test_is_roots_own_for_root(self) -> None:
        edit = point(Surroundings(ROOT, {}, FakeFiles()), "/root/.cache/pip")
        assert edit.path == "/root/.config/pip/pip.conf"

    @pytest.mark.parametrize("place", [USER, LEGACY])
    def test_is_the_users_file_that_decides_now(self, place: str) -> None:
        text = "# mine\n[global]\nCache_Dir: ~/c\nquiet = 1\n"
        edit = point(around({place: text}), "/home/alice/c")
        assert edit == Edit(place, text.encode(), text.replace("~/c", NEW).encode())

    def test_is_the_usual_one_when_the_legacy_file_says_nothing_of_the_cache(self) -> None:
        assert point(around({LEGACY: "[global]\nquiet = 1\n"})).path == USER

    def test_is_not_one_of_everybodys(self) -> None:
        edit = point(around({ETC: "[global]\ncache-dir = /srv/alice\n"}), "/srv/alice")
        assert (edit.path, edit.before) == (USER, None)

    def test_is_the_one_that_a_variable_names_because_pip_reads_none_of_the_users_then(self) -> None:
        files = {"/my.conf": "[global]\nquiet = 1\n", USER: "[global]\ncache-dir = /u\n"}
        assert point(around(files, PIP_CONFIG_FILE="/my.conf")).path == "/my.conf"
        assert point(around({USER: "[global]\ncache-dir = /u\n"}, PIP_CONFIG_FILE="/my.conf"), "/u").path == USER

    def test_is_found_behind_a_link_that_stays(self) -> None:
        files = FakeFiles({"/dots/pip.conf": "[install]\nuser = yes\n"}, links={USER: "/dots/pip.conf"})
        edit = point(Surroundings(ALICE, {}, files))
        assert edit == Edit(
            "/dots/pip.conf",
            b"[install]\nuser = yes\n",
            f"[install]\nuser = yes\n\n[global]\ncache-dir = {NEW}\n".encode(),
        )

    def test_is_edited_when_the_cache_is_known_by_the_path_behind_a_link(self) -> None:
        files = FakeFiles(folders=["/disk/pip"], links={DEFAULT: "/disk/pip"})
        assert point(Surroundings(ALICE, {}, files), "/disk/pip").path == USER

    def test_names_a_folder_that_is_no_problem_for_pip(self) -> None:
        for new in ("/a b/c#d;e", "/ü/%(x)s", "/$HOME/~x", "/a=b:c"):
            edit = point(around(), new=new)
            located = locate(with_edit(around(), edit))
            assert (located.candidates[0].path, located.candidates[0].configured) == (new, True)


class TestItIsRefused:
    def test_when_no_pip_uses_the_old_folder(self) -> None:
        text = refusal(around({ETC: "[install]\ncache-dir = /i\n"}), "/elsewhere")
        assert text == (
            "no pip of alice uses /elsewhere now: pip install: /i by /etc/pip.conf [install] cache-dir; "
            f"pip download, pip wheel, pip lock: {DEFAULT} by the default; name the one in use"
        )

    def test_when_a_variable_overrides_every_file(self) -> None:
        assert refusal(around(PIP_CACHE_DIR="/env"), "/env") == (
            f"writing cache-dir = {NEW} to {USER} is not enough: pip install, pip download, pip wheel, pip lock: "
            "/env by PIP_CACHE_DIR in the environment as now; "
            "remove PIP_CACHE_DIR in the environment, or use `--method symlink`"
        )

    def test_when_a_section_overrides_it_and_says_that_it_does_so_now(self) -> None:
        text = refusal(around({ETC: "[install]\ncache-dir = /i\n"}))
        assert "pip install: /i by /etc/pip.conf [install] cache-dir as now;" in text
        assert text.endswith("remove /etc/pip.conf [install] cache-dir, or use `--method symlink`")

    def test_when_an_interpreter_has_a_file_that_overrides_it(self) -> None:
        text = refusal(around({SITE: "[global]\ncache-dir = /s\n"}))
        assert "pip install with /usr/pip.conf, pip download with /usr/pip.conf" in text

    def test_when_the_default_section_reaches_a_command(self) -> None:
        text = refusal(around({USER: "[DEFAULT]\ncache-dir = /d\n[global]\nquiet=1\n[wheel]\nx=1\n"}), "/d")
        assert f"pip wheel: /d by {USER} [wheel] cache-dir as now" in text

    def test_when_the_cache_is_off(self) -> None:
        assert "no cache by PIP_NO_CACHE_DIR in the environment" in refusal(around(PIP_NO_CACHE_DIR="0"))
        text = refusal(around({USER: "[wheel]\nno-cache-dir = 1\n"}))
        assert f"pip wheel: no cache by {USER} [wheel] no-cache-dir as now" in text

    def test_when_pip_reads_no_file(self) -> None:
        assert refusal(around(PIP_CONFIG_FILE="/dev/null")).startswith("PIP_CONFIG_FILE is /dev/null")

    @pytest.mark.parametrize("place", [USER, ETC])
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("[global\n", "pip stops at this file"),
            (b"# caf\xe9\n", "is not valid UTF-8"),
            ("#" * (LIMIT + 1), "cannot be read (File too large)"),
            (PermissionError(errno.EPERM, "/x belongs to uid 7"), "belongs to uid 7"),
            ("[global]\ncache-dir = here\n", "is relative"),
        ],
    )
    def test_when_a_file_cannot_be_read_as_pip_would(
        self, place: str, content: str | bytes | OSError, why: str
    ) -> None:
        text = refusal(around({place: content}))
        assert text.startswith(f"{place}: ")
        assert why in text

    def test_when_a_relative_variable_names_the_file(self) -> None:
        assert refusal(around(PIP_CONFIG_FILE="my.conf")).startswith("PIP_CONFIG_FILE: 'my.conf' is relative")

    def test_when_the_default_section_would_come_in_force(self) -> None:
        assert refusal(around({USER: "[DEFAULT]\nquiet = 1\n"})).startswith(f"{USER} has [DEFAULT] but no [global]")

    @pytest.mark.parametrize("new", ["rel", "/a/", "/a//b", "/a/../b", "~/x", "/a\nb", "/a ", "/\udcff", "/a\x7f"])
    def test_when_the_new_folder_cannot_be_named(self, new: str) -> None:
        assert "cannot be named in a configuration file" in refusal(around(), new=new)


def test_pointing_back_gives_the_file_as_it_was() -> None:
    surroundings = around({USER: b"[global]\r\ncache-dir = ~/c\r\n"})
    edit = point(surroundings, "/home/alice/c")
    assert Pip().point_back(edit.after, edit, DEFAULT, NEW) == edit.before
    made = point(around())
    assert Pip().point_back(made.after, made, DEFAULT, NEW) is None


def test_pointing_back_leaves_what_cannot_be_read() -> None:
    assert Pip().point_back(b"\xff", Edit(USER, None, b"x"), DEFAULT, NEW) == b"\xff"
    assert Pip().point_back(b"[global]\n", Edit(USER, b"\xff", b"x"), DEFAULT, NEW) == b"[global]\n"


class Running:
    """Processes that were seen once."""

    def __init__(self, *seen: Process) -> None:
        self._seen = seen

    def running(self) -> tuple[Process, ...]:
        return self._seen

    def open_files(self, uid: int) -> frozenset[str]:
        return frozenset()

    def opened(self, uid: int, below: str) -> tuple[Opened, ...]:
        return ()

    def locked_inodes(self) -> frozenset[int]:
        return frozenset()


@pytest.mark.parametrize(("uid", "why"), [(1000, "pip is running (process 7)"), (1001, None), (0, None)])
def test_a_move_waits_for_every_pip_of_the_owner(uid: int, why: str | None) -> None:
    running = Running(Process(7, uid, "python3", ("python3", "-m", "pip", "list")))
    context = Context(around(), Located(), running, Instant(0))
    assert Pip().busy(Cache("pip", DEFAULT, ALICE, ""), context) == why
