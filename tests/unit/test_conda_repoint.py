"""Which package cache each conda fills, and the edit that makes them fill another, without a conda or a disk."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import pytest

from cachewarden.ecosystems.base import Edit, Surroundings
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.condarc_edit import items_of, with_items
from cachewarden.ecosystems.overlay import with_edit
from cachewarden.model.caches import Owner
from cachewarden.model.errors import RefusedError
from fakes import FakeFiles

ALICE = Owner(1000, 1000, "alice", "/home/alice")
ROOT = Owner(0, 0, "root", "/root")
HOME = "/home/alice"
FORGE = f"{HOME}/miniforge3"
OLD = f"{HOME}/old"
NEW = "/media/usb/pkgs"


def around(
    files: Mapping[str, str | bytes], owner: Owner = ALICE, barred: Iterable[str] = (), /, **environ: str
) -> Surroundings:
    return Surroundings(owner, environ, FakeFiles(files, barred=barred))


def base(path: str) -> dict[str, str | bytes]:
    return {f"{path}/conda-meta/history": "", f"{path}/pkgs/urls.txt": ""}


def point(surroundings: Surroundings, old: str, *, keep: bool = False) -> Edit:
    return Conda().point(surroundings, old, NEW, keep=keep)


def fills(surroundings: Surroundings) -> dict[str, str | None]:
    return {each.tool: each.path for each in Conda().in_force(surroundings)}


class TestASystemWideInstallation:
    def test_still_lists_a_folder_that_each_user_can_write_to(self) -> None:
        edit = point(around(base("/opt/forge"), ROOT), "/opt/forge/pkgs")
        assert edit.path == "/opt/forge/.condarc"
        assert items_of(edit.after.decode()) == [NEW, "~/.conda/pkgs"]
        files = base("/opt/forge") | {edit.path: edit.after, f"{NEW}/urls.txt": ""}
        alice = around(files, ALICE, ["/opt", "/media"])
        assert fills(alice) == {"conda of /opt/forge": f"{HOME}/.conda/pkgs"}

    def test_is_edited_in_its_own_file_where_that_decides(self) -> None:
        files = base("/opt/forge") | {"/opt/forge/condarc": "pkgs_dirs: [/data/p]\n", "/data/p/urls.txt": ""}
        assert point(around(files, ROOT), "/data/p").path == "/opt/forge/condarc"

    def test_is_left_alone_where_a_file_for_everybody_decides(self) -> None:
        files = base("/opt/forge") | {"/etc/conda/condarc": "pkgs_dirs: [/data/p]\n", "/data/p/urls.txt": ""}
        with pytest.raises(RefusedError, match="pkgs_dirs in /etc/conda/condarc names /data/p for everybody"):
            point(around(files, ROOT), "/data/p")


def test_the_file_of_the_user_that_decides_now_is_edited() -> None:
    place = f"{HOME}/.config/conda/condarc"
    edit = point(around(base(FORGE) | {place: f"pkgs_dirs: [{OLD}]\n", f"{OLD}/urls.txt": ""}), OLD)
    assert (edit.path, edit.after) == (place, f"pkgs_dirs: [{NEW}]\n".encode())


def test_the_default_of_another_installation_stays_listed_whatever_a_third_one_is_told() -> None:
    files = base(FORGE) | base(f"{HOME}/miniconda3") | base(f"{HOME}/conda")
    files[f"{HOME}/conda/.condarc"] = "pkgs_dirs: [/data/p]\n"
    edit = point(around(files), f"{FORGE}/pkgs")
    assert items_of(edit.after.decode()) == [NEW, f"{HOME}/miniconda3/pkgs"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_destination_that_only_root_can_make_is_no_obstacle(keep: bool) -> None:
    files = base(FORGE) | {f"{HOME}/.conda/pkgs/urls.txt": ""}
    edit = point(around(files, ALICE, ["/media"]), f"{FORGE}/pkgs", keep=keep)
    assert items_of(edit.after.decode())[0] == NEW


def test_a_users_mambarc_is_stronger_than_every_condarc() -> None:
    line = f"pkgs_dirs: [{OLD}]\n"
    files = base(FORGE) | {f"{HOME}/.mambarc": line, f"{HOME}/.condarc": line, f"{OLD}/urls.txt": ""}
    with pytest.raises(RefusedError, match=f"mamba of {FORGE}: {OLD} by pkgs_dirs in {HOME}/.mambarc"):
        point(around(files), OLD)


def test_every_conda_that_used_the_old_folder_uses_the_new_one() -> None:
    surroundings = around(base(FORGE))
    edit = point(surroundings, f"{FORGE}/pkgs")
    assert fills(with_edit(surroundings, edit)) == {f"conda of {FORGE}": NEW}
    assert any(
        each.path == NEW and each.configured for each in Conda().locate(with_edit(surroundings, edit)).candidates
    )


@pytest.mark.parametrize("original", ["pkgs_dirs:\n  - /old", "pkgs_dirs: [/old]"])
def test_taking_back_a_file_without_a_last_newline_to_which_lines_were_added_breaks_nothing(original: str) -> None:
    made = with_items(original, [NEW], ["/old"])
    current = made + ("" if made.endswith("\n") else "\n") + "channels: [a]\n"
    edit = Edit("", original.encode(), made.encode())
    assert Conda().point_back(current.encode(), edit, "/old", NEW) == f"{original}\nchannels: [a]\n".encode()


class TestMambasOwnDefault:
    MAMBA: ClassVar = {f"{HOME}/.mamba/pkgs/urls.txt": ""}

    def test_is_in_force_beside_condas_where_the_installation_cannot_be_written(self) -> None:
        files = base("/opt/forge") | self.MAMBA | {f"{HOME}/.conda/pkgs/urls.txt": ""}
        assert fills(around(files, ALICE, ["/opt"])) == {
            "conda of /opt/forge": f"{HOME}/.conda/pkgs",
            "mamba of /opt/forge": f"{HOME}/.mamba/pkgs",
        }

    def test_is_not_where_mamba_fills_the_folder_of_the_installation_or_a_list_says_otherwise(self) -> None:
        assert fills(around(base(FORGE) | self.MAMBA)) == {f"conda of {FORGE}": f"{FORGE}/pkgs"}
        named = {f"{HOME}/.condarc": f"pkgs_dirs: [{OLD}]\n", f"{OLD}/urls.txt": ""}
        assert set(fills(around(self.MAMBA | named)).values()) == {OLD}

    def test_can_be_moved_and_mamba_uses_the_new_place(self) -> None:
        surroundings = around(self.MAMBA)
        assert fills(surroundings) == {"mamba": f"{HOME}/.mamba/pkgs"}
        edit = point(surroundings, f"{HOME}/.mamba/pkgs")
        assert edit.path == f"{HOME}/.condarc"
        assert set(fills(with_edit(surroundings, edit)).values()) == {NEW}

    def test_stays_listed_when_condas_is_moved(self) -> None:
        assert items_of(point(around(base(FORGE) | self.MAMBA), f"{FORGE}/pkgs").after.decode()) == [
            NEW,
            f"{HOME}/.mamba/pkgs",
        ]

    @pytest.mark.parametrize(
        ("root", "environ"),
        [
            (f"{HOME}/micromamba", {}),
            (f"{HOME}/.local/share/mamba", {}),
            ("/data/mamba", {"MAMBA_ROOT_PREFIX": "/data/mamba"}),
        ],
    )
    def test_of_a_root_prefix_is_in_force_until_a_condarc_that_it_reads_names_another(
        self, root: str, environ: dict[str, str]
    ) -> None:
        surroundings = around({f"{root}/pkgs/urls.txt": ""}, **environ)
        assert fills(surroundings) == {f"conda of {root}": f"{root}/pkgs"}
        edit = Edit(f"{HOME}/.condarc", None, f"pkgs_dirs: [{NEW}]\n".encode())
        assert fills(with_edit(surroundings, edit)) == {f"conda of {root}": NEW}

    def test_of_micromamba_goes_on_when_an_installation_is_told_in_its_own_file(self) -> None:
        files = base("/opt/forge") | {"/root/micromamba/pkgs/urls.txt": ""}
        surroundings = around(files, ROOT)
        edit = point(surroundings, "/opt/forge/pkgs")
        assert fills(with_edit(surroundings, edit)) == {
            "conda of /opt/forge": NEW,
            "conda of /root/micromamba": "/root/micromamba/pkgs",
        }
