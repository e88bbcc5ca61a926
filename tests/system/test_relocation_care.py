"""What a move must not take for its own, must not lose, and must not leave behind (root)."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builders.disks import why_no_loop_disks
from builders.moves import House, Killed, Meanwhile, fill_conda, fill_pip, house, in_a_child, looks
from builders.siege import wait_until
from builders.synthetic import conda_packages
from cachewarden.model.caches import COPYING, MARKER
from cachewarden.model.relocations import Errand, Heading, Method, MoveOrder, Phase, Relocation
from cachewarden.relocate.records import Records
from cachewarden.service.worker import preload

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
NOBODY = 65_534
SETTLE = MoveOrder(Errand.SETTLE, "pip", by_policy=True)
WHEEL = "wheels/aa/bb/cc/" + "1" * 50 + "/torch-1.0-py3-none-any.whl"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        fill_pip(made.home / ".cache/pip")
        yield made


def files_in(folder: Path | str) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def until_files(folder: Path | str, count: int) -> Callable[[], bool]:
    return lambda: files_in(folder) < count


def killed_with(place: House, order: MoveOrder, when: Callable[[], bool]) -> None:
    """Carries an order out in a process that is killed as soon as ``when`` holds."""

    def kill() -> bool:
        if when():
            os.kill(os.getpid(), 9)
        return True

    assert in_a_child(lambda: place.settle_all(order, may_go_on=kill)) == 9


def killed_at(place: House, order: MoveOrder, phase: Phase, *, after: bool) -> None:
    class Kills(Records):
        def save(self, record: Relocation) -> None:
            if record.phase is phase and not after:
                os.kill(os.getpid(), 9)
            super().save(record)
            if record.phase is phase:
                os.kill(os.getpid(), 9)

    assert in_a_child(lambda: place.settle_all(order, Kills(place.whom().records.folder))) == 9


def killed_before(place: House, order: MoveOrder, phase: Phase) -> None:
    """Carries an order out in a process that is killed when all is done that comes before a phase."""
    killed_at(place, order, phase, after=False)


def killed_after(place: House, order: MoveOrder, phase: Phase) -> None:
    """Carries an order out in a process that is killed when a phase is in the journal, and nothing of it is done."""
    killed_at(place, order, phase, after=True)


def more_responses(cache: Path, count: int = 60) -> None:
    folder = cache / "http-v2/more"
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:03}").write_bytes(os.urandom(500))


def build_wheel(cache: Path) -> Path:
    """What took hours, and is nowhere else."""
    wheel = cache / WHEEL
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"hours of building")
    return wheel


def as_nobody(work: Callable[[], object]) -> None:
    """All is imported before: the interpreter may be where only root can read it."""
    preload()

    def become() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        work()

    assert in_a_child(become) == 0


# -- names --------------------------------------------------------------------------------------------------------


def test_a_folder_that_has_the_name_of_what_was_set_aside_is_not_removed(place: House, tmp_path: Path) -> None:
    """A member of a group renames an owner's private folder, and hopes that root's journal takes it for its own."""
    lab = place.disk.path / "lab"
    lab.mkdir()
    place.run(Errand.RELOCATE, to=str(lab / "pip"))
    (record,) = place.records()
    thesis = Path(record.aside_there)
    thesis.mkdir(mode=0o700)
    (thesis / "chapter1").write_text("years of work")
    old = Path(record.aside)
    old.mkdir()
    (old / "chapter2").write_text("more years")
    moved = place.run(Errand.RESTORE)
    assert not moved.error
    assert (thesis / "chapter1").read_text() == "years of work"
    assert (old / "chapter2").read_text() == "more years"


def test_what_has_the_name_of_a_cache_that_comes_back_is_neither_used_nor_removed(place: House) -> None:
    whole = looks(place.home / ".cache/pip")
    place.run(Errand.RELOCATE)
    (record,) = place.records()
    photos = Path(record.incoming)
    photos.mkdir()
    (photos / "holiday.jpg").write_text("x")
    moved = place.run(Errand.RESTORE)
    assert "is nothing of this move" in moved.error
    assert (photos / "holiday.jpg").exists()
    assert looks(place.to("pip")) == whole
    shutil.rmtree(photos)
    assert not place.run(Errand.RESTORE).error
    assert looks(place.home / ".cache/pip") == whole


def test_a_destination_that_somebody_made_anew_while_it_was_cleared_stays(place: House) -> None:
    place.run(Errand.RELOCATE)
    (record,) = place.records()
    aside, new = Path(record.aside_there), place.to("pip")
    killed_with(place, place.order(Errand.RESTORE, "pip"), lambda: aside.is_dir() and files_in(aside) <= 60)
    new.mkdir()
    (new / "holiday.jpg").write_text("x")
    place.settle()
    assert (new / "holiday.jpg").exists()
    assert not aside.exists()
    assert not place.records()


def test_a_way_that_is_taken_up_already_is_left_for_a_person_to_look_at(place: House) -> None:
    """The link cannot be made: nothing is switched, nothing of the stranger's is touched, the copy goes."""
    records = Meanwhile(place.whom().records.folder, 2, lambda: Path(place.records()[0].aside).mkdir())
    moved = place.settle_all(place.order(Errand.RELOCATE, "pip", method=Method.SYMLINK), records)[0]
    assert "is nothing of this move" in moved.error
    assert records.happened
    assert not place.records()
    assert not place.to("pip").exists()
    assert place.named("pip") == place.home / ".cache/pip"


def test_no_journal_is_made_where_another_user_leads_to(place: House, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    local = place.home / ".local"
    local.mkdir(exist_ok=True)
    (local / "state").symlink_to(etc)
    for path in (place.home, local, local / "state"):
        os.lchown(path, NOBODY, NOBODY)
    assert place.run(Errand.RELOCATE).error
    assert not list(etc.iterdir())


def test_nothing_is_moved_into_a_folder_in_which_a_group_may_change_names(place: House) -> None:
    lab = place.disk.path / "lab"
    lab.mkdir()
    os.chown(lab, 0, NOBODY)
    lab.chmod(0o2775)
    for to in (lab / "pip", lab / "me/pip"):
        moved = place.run(Errand.RELOCATE, to=str(to))
        assert "not to be trusted" in moved.error
    assert not list(lab.iterdir())
    lab.chmod(0o3775)  # sticky: each has the own names alone
    assert not place.run(Errand.RELOCATE, to=str(lab / "pip")).error


# -- places that lie in each other --------------------------------------------------------------------------------


def test_a_cache_is_not_moved_into_the_destination_of_another_that_is_under_way(place: House, tmp_path: Path) -> None:
    fill_conda(place.home, tmp_path)
    to = place.disk.path / "cache"
    place.settle_all(place.order(Errand.RELOCATE, "pip", to=str(to)), may_go_on=until_files(to, 20))
    assert [each.phase for each in place.records()] == [Phase.COPYING]
    for inside in (to / "conda", to, to.parent):
        moved = place.run(Errand.RELOCATE, "conda", to=str(inside))
        assert "lie in each other" in moved.error or "is not empty" in moved.error, moved
    assert len(place.records()) == 1


def test_two_caches_of_one_tool_do_not_get_one_destination(place: House, tmp_path: Path) -> None:
    base = fill_conda(place.home, tmp_path)
    two = place.home / ".conda/pkgs"
    shutil.copytree(base.pkgs, two, symlinks=True)
    to = place.to("conda")
    one = place.order(Errand.RELOCATE, "conda", cache=str(base.pkgs))
    place.settle_all(one, may_go_on=until_files(to, 20))
    moved = place.run(Errand.RELOCATE, "conda", cache=str(two))
    assert moved.error
    assert [each.old for each in place.records()] == [str(base.pkgs)]


# -- a copy that is not whole -------------------------------------------------------------------------------------


def test_a_cache_that_vanished_in_the_middle_of_its_copy_is_not_switched_to(place: House, tmp_path: Path) -> None:
    base = fill_conda(place.home, tmp_path)
    whole = looks(base.pkgs)
    place.settle_all(place.order(Errand.RELOCATE, "conda"), may_go_on=until_files(place.to("conda"), 40))
    base.pkgs.rename(place.home / "elsewhere")
    (moved,) = place.settle()
    assert "only a part of it was copied" in moved.error
    assert place.named("conda") == base.pkgs
    (place.home / "elsewhere").rename(base.pkgs)
    place.settle()
    assert place.named("conda") == place.to("conda")
    assert looks(place.to("conda")) == whole


def test_a_cache_that_vanished_while_it_joined_what_an_earlier_move_left_is_not_switched_from(place: House) -> None:
    cache, to = place.home / ".cache/pip", place.to("pip")
    place.run(Errand.RELOCATE)
    place.run(Errand.RESTORE, leave_data=True)
    more_responses(cache)
    place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=until_files(to, files_in(to) + 8))
    assert [(each.phase, each.adopts) for each in place.records()] == [(Phase.COPYING, True)]
    cache.rename(place.home / "elsewhere")
    (moved,) = place.settle()
    assert "only a part of it was copied" in moved.error
    assert place.named("pip") == cache
    (place.home / "elsewhere").rename(cache)
    whole = looks(cache)
    place.settle()
    assert place.named("pip") == to
    assert whole.keys() <= looks(to).keys()


# -- what is written late -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [2, 3, 4, 5, 6])
def test_what_is_stored_at_the_destination_while_the_way_back_was_interrupted_comes_along(
    place: House, entry: int
) -> None:
    cache = place.home / ".cache/pip"
    place.run(Errand.RELOCATE)
    killed = Killed(place.whom().records.folder, entry, after=True)
    in_a_child(lambda: place.settle_all(place.order(Errand.RESTORE, "pip"), records=killed))
    build_wheel(place.named("pip"))
    for _ in range(3):
        place.settle()
    assert not place.records()
    assert (cache / WHEEL).read_bytes() == b"hours of building"
    assert not place.litter()


@pytest.mark.parametrize("method", list(Method))
def test_what_is_stored_at_the_destination_right_after_the_switch_outlives_a_disk_that_goes(
    place: House, method: Method
) -> None:
    """Killed in between, the move knows only that the tool was going to be told."""
    before = looks(place.home / ".cache/pip")
    killed_before(place, place.order(Errand.RELOCATE, "pip", method=method), Phase.REMOVING)
    assert place.named("pip") == place.to("pip")
    build_wheel(place.to("pip"))
    whole = looks(place.to("pip"))
    place.disk.unmount()
    place.settle()
    assert place.named("pip") == place.home / ".cache/pip"
    assert looks(place.home / ".cache/pip") == before
    place.disk.mount()
    place.settle()
    assert looks(place.to("pip")).keys() == whole.keys()
    assert place.named("pip") == place.to("pip")
    assert not place.litter()


@pytest.mark.parametrize("method", list(Method))
def test_what_is_stored_at_the_destination_right_after_the_switch_comes_along_when_the_move_is_taken_back(
    place: House, method: Method
) -> None:
    killed_before(place, place.order(Errand.RELOCATE, "pip", method=method), Phase.REMOVING)
    build_wheel(place.named("pip"))
    assert not place.run(Errand.RESTORE).error
    assert not place.records()
    assert (place.home / ".cache/pip" / WHEEL).read_bytes() == b"hours of building"
    assert not place.litter()


def test_what_is_stored_at_the_destination_right_after_the_switch_is_not_cleared_when_it_is_refused_then(
    place: House,
) -> None:
    killed_before(place, place.order(Errand.RELOCATE, "pip"), Phase.REMOVING)
    build_wheel(place.to("pip"))
    conf = place.home / ".config/pip/pip.conf"
    place.environ["PIP_CACHE_DIR"] = f"{place.home}/.cache/pip"
    (moved,) = place.settle()
    assert "does not use" in moved.error
    assert not conf.exists()
    del place.environ["PIP_CACHE_DIR"]
    assert not place.run(Errand.RESTORE).error
    assert (place.home / ".cache/pip" / WHEEL).read_bytes() == b"hours of building"
    assert not place.records()


def test_the_destination_is_not_cleared_while_a_tool_that_began_before_is_at_work(place: House) -> None:
    whole = looks(place.home / ".cache/pip")
    place.run(Errand.RELOCATE)

    script = place.home / "pip"
    script.write_text("import time; time.sleep(600)\n")
    started: list[subprocess.Popen[bytes]] = []

    class Starts(Records):
        """pip starts in the instant in which the configuration has been switched: it has read the one before."""

        def save(self, record: Relocation) -> None:
            super().save(record)
            if record.phase is Phase.REMOVING and not started:
                started.append(subprocess.Popen(["python3", str(script), "install"], env={"HOME": str(place.home)}))
                command = Path(f"/proc/{started[0].pid}/cmdline")
                wait_until(lambda: str(script).encode() in command.read_bytes(), "it runs")
                time.sleep(1)  # for a moment the processes that were seen last count

    try:
        (moved,) = place.settle_all(place.order(Errand.RESTORE, "pip"), Starts(place.whom().records.folder))
        assert (moved.busy, moved.phase) == (True, Phase.REMOVING), moved
        assert looks(place.to("pip")) == whole
        assert looks(place.home / ".cache/pip") == whole
    finally:
        for each in started:
            each.kill()
            each.wait()
    place.settle()
    assert not place.to("pip").exists()


def test_a_cache_that_comes_back_to_where_nothing_can_be_made_beside_it_keeps_what_is_new_there(place: House) -> None:
    """As an owner of a cache below a folder of root's; pip uses the old place while the disk is away."""
    above = place.home / "above"
    old = above / "pip"
    above.mkdir()
    (place.home / ".cache/pip").rename(old)
    os.chmod(place.home.parent, 0o755)
    os.chmod(place.disk.path.parent, 0o755)
    os.chmod(place.disk.path, 0o1777)
    config = place.home / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"[global]\ncache-dir = {old}\n")
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(place.home)], check=True)
    os.chown(above, 0, 0)
    for step in (place.home, *place.home.parents):
        step.chmod(step.stat().st_mode | 0o011) if step.name.startswith(
            "pytest-"
        ) or step.parent == place.home else None

    def out() -> None:
        assert not place.run(Errand.RELOCATE).error

    def away() -> None:
        place.settle()
        assert place.named("pip") == old
        build_wheel(old)

    def back() -> None:
        place.settle_all(place.order(Errand.RESTORE, "pip"), may_go_on=until_files(old, 20))
        assert (old / WHEEL).exists()
        place.settle()

    as_nobody(out)
    before = looks(place.to("pip"))
    place.disk.unmount()
    as_nobody(away)
    place.disk.mount()
    as_nobody(back)
    assert not place.records()
    assert (old / WHEEL).read_bytes() == b"hours of building"
    assert set(before) <= set(looks(old))


def test_nothing_half_removed_comes_back_after_a_kill(place: House, tmp_path: Path) -> None:
    """The old place was being cleared when the machine went down; conda clean then emptied the new one."""
    base = fill_conda(place.home, tmp_path)
    order = place.order(Errand.RELOCATE, "conda")

    def half() -> bool:
        records = [each for each in place.records() if each.clearing]
        return bool(records) and files_in(records[0].aside) <= 80

    killed_with(place, order, half)
    new = place.to("conda")
    for each in list(new.iterdir()):
        if each.is_dir():
            shutil.rmtree(each)
        elif each.suffix in (".conda", ".bz2"):
            each.unlink()
    place.settle()
    assert place.named("conda") == new
    assert not [each for each in new.iterdir() if each.is_dir()]
    assert not base.pkgs.exists()
    assert not place.litter()


def renumbered(folder: Path) -> None:
    """What FAT does to a folder at each mount."""
    copy = folder.with_name("copy")
    subprocess.run(["cp", "-a", str(folder), str(copy)], check=True)
    shutil.rmtree(folder)
    copy.rename(folder)


def test_what_was_set_aside_on_a_disk_that_numbers_its_folders_anew_is_known_again(place: House) -> None:
    """It is killed before what was stored there last came along, and again while it is cleared."""
    place.run(Errand.RELOCATE)
    (record,) = place.records()
    aside = Path(record.aside_there)

    class Stores(Records):
        def save(self, record: Relocation) -> None:
            super().save(record)
            if (record.phase, record.heading) == (Phase.REMOVING, Heading.BACK):
                if not record.set_aside:
                    build_wheel(place.to("pip"))
                elif aside.is_dir():
                    os.kill(os.getpid(), 9)

    journal = Stores(place.whom().records.folder)
    assert in_a_child(lambda: place.settle_all(place.order(Errand.RESTORE, "pip"), journal)) == 9
    renumbered(aside)
    killed_with(place, SETTLE, lambda: 0 < files_in(aside) <= 25)
    assert (place.home / ".cache/pip" / WHEEL).read_bytes() == b"hours of building"
    renumbered(aside)
    place.settle_all(SETTLE)
    assert not place.records()
    assert not place.litter()


def test_what_another_user_put_where_the_destination_is_set_aside_does_not_get_into_the_cache(place: House) -> None:
    """In a folder in which everybody may make names, with a copy of the marker."""
    place.disk.path.chmod(0o1777)
    place.run(Errand.RELOCATE, to=str(place.disk.path / "pip"))
    (record,) = place.records()
    planted = Path(record.aside_there) / WHEEL
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"evil")
    shutil.copy(Path(record.new) / MARKER, Path(record.aside_there) / MARKER)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", record.aside_there], check=True)
    assert not place.run(Errand.RESTORE).error
    assert not (place.home / ".cache/pip" / WHEEL).exists()
    assert planted.exists()
    assert not Path(record.new).exists()


# -- what is left behind ------------------------------------------------------------------------------------------


def test_a_way_back_that_was_given_up_leaves_no_half_copy_behind(place: House) -> None:
    whole = looks(place.home / ".cache/pip")
    place.run(Errand.RELOCATE)
    incoming = place.records()[0].incoming
    place.settle_all(place.order(Errand.RESTORE, "pip"), may_go_on=until_files(incoming, 20))
    assert files_in(incoming) >= 20
    moved = place.run(Errand.RESTORE, leave_data=True)
    assert not moved.error
    assert not place.records()
    assert not place.litter()
    assert looks(place.to("pip")) == whole
    assert place.named("pip") == place.home / ".cache/pip"


def test_what_was_half_removed_when_a_move_was_given_up_goes_whatever_is_to_be_left(place: House) -> None:
    to = place.to("pip")
    place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=until_files(to, 40))
    aside = place.records()[0].aside_there
    killed_with(place, place.order(Errand.RESTORE, "pip"), lambda: 0 < files_in(aside) < 30)
    assert not place.run(Errand.RESTORE, leave_data=True).error
    assert not place.records()
    assert not place.litter()


def test_a_cache_that_was_kept_is_still_linked_into_its_environments_after_the_way_back(
    place: House, tmp_path: Path
) -> None:
    base = fill_conda(place.home, tmp_path)

    def linked() -> list[Path]:
        return sorted(each for each in base.pkgs.rglob("*") if each.is_file() and each.stat().st_nlink > 1)

    before = linked()
    assert before
    checked = place.run(Errand.CHECK, "conda", keep=True)
    assert checked.prospect is not None
    assert checked.prospect.frees == 0, "what is kept frees nothing"
    place.run(Errand.RELOCATE, "conda", keep=True)
    moved = place.run(Errand.RESTORE, "conda")
    assert not moved.error
    assert linked() == before
    assert moved.copied == 0


@pytest.mark.parametrize("entry", [4, 6, 7])
def test_data_that_are_left_after_all_leave_nothing_beside_the_old_place(place: House, entry: int) -> None:
    """The way back was killed: before what is new there was added, after that, and when the names had changed."""
    whole = looks(place.home / ".cache/pip")
    place.run(Errand.RELOCATE)
    kept = build_wheel(place.home / ".cache/pip")
    records = Killed(place.whom().records.folder, entry, after=True)
    assert in_a_child(lambda: place.settle_all(place.order(Errand.RESTORE, "pip"), records)) == 9
    (record,) = place.records()
    assert (record.phase, record.clearing) == (Phase.SWITCHING, entry == 7)
    assert Path(record.incoming).is_dir()
    assert not place.run(Errand.RESTORE, leave_data=True).error
    assert not place.records()
    assert kept.exists()
    assert looks(place.to("pip")) == whole
    assert not place.litter()


def test_a_copy_that_was_half_cleared_is_cleared_although_data_are_left(place: House) -> None:
    to = place.to("pip")
    place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=until_files(to, 30))
    aside = Path(place.records()[0].aside_there)
    killed_with(place, place.order(Errand.RESTORE, "pip"), lambda: aside.is_dir() and files_in(aside) <= 25)
    assert aside.is_dir()
    assert not place.run(Errand.RESTORE, leave_data=True).error
    assert not place.records()
    assert not place.litter()


def test_a_killed_copy_to_a_cache_that_stays_leaves_nothing_in_it(place: House, tmp_path: Path) -> None:
    base = fill_conda(place.home, tmp_path)
    place.run(Errand.RELOCATE, "conda")
    place.run(Errand.RESTORE, "conda", leave_data=True)
    conda_packages(base.pkgs, 12, files=8, size=900)
    room = place.to("conda") / COPYING
    killed_with(place, place.order(Errand.RELOCATE, "conda"), lambda: room.is_dir() and files_in(room) > 20)
    assert files_in(room) > 20
    assert not place.run(Errand.RESTORE, "conda").error
    assert not place.records()
    assert place.to("conda").is_dir()
    assert not room.exists()


# -- what helps when nothing goes on --------------------------------------------------------------------------------


def test_a_disk_that_is_lost_while_its_cache_was_coming_forward_again_can_be_given_up(place: House) -> None:
    place.run(Errand.RELOCATE)
    place.disk.unmount()
    place.settle()
    cache = place.home / ".cache/pip"
    more_responses(cache)
    before = looks(cache)
    place.disk.mount()
    count = files_in(place.to("pip"))
    place.settle_all(MoveOrder(Errand.SETTLE, "pip"), may_go_on=until_files(place.to("pip"), count + 5))
    assert [(each.phase, each.returns) for each in place.records()] == [(Phase.COPYING, True)]
    place.disk.unmount()
    place.settle()
    assert not place.run(Errand.RESTORE, leave_data=True).error
    assert not place.records()
    assert place.named("pip") == cache
    assert looks(cache) == before
    place.disk.mount()


@pytest.mark.parametrize("leave_data", [False, True])
def test_a_cache_that_cannot_come_forward_to_a_full_disk_can_be_taken_back(place: House, leave_data: bool) -> None:
    place.run(Errand.RELOCATE)
    place.disk.unmount()
    place.settle()
    cache = place.home / ".cache/pip"
    build_wheel(cache).write_bytes(os.urandom(3 << 20))
    place.disk.mount()
    records = Meanwhile(place.whom().records.folder, 1, lambda: place.disk.fill(1 << 14, reserve_too=True))
    (moved,) = place.settle_all(MoveOrder(Errand.SETTLE, "pip"), records)
    assert "No space left" in moved.error
    assert not place.run(Errand.RESTORE, leave_data=leave_data).error
    assert not place.records()
    assert (cache / WHEEL).exists()
    assert (cache / "selfcheck").exists() is not leave_data
    assert place.to("pip").exists() is leave_data
    assert not place.litter()


def test_what_was_stored_late_and_does_not_fit_does_not_keep_a_move_from_being_given_up(place: House) -> None:
    cache = place.home / ".cache/pip"
    killed_after(place, place.order(Errand.RELOCATE, "pip"), Phase.REMOVING)
    build_wheel(cache).write_bytes(os.urandom(3 << 20))
    whole = looks(cache)
    place.disk.fill(1 << 14, reserve_too=True)
    assert "No space left" in place.run(Errand.RESTORE).error
    assert not place.run(Errand.RESTORE, leave_data=True).error
    assert not place.records()
    assert place.named("pip") == cache
    assert looks(cache) == whole
    assert not place.litter()


def test_a_way_back_that_waited_for_its_disk_is_not_forgotten_by_a_kill(place: House) -> None:
    whole = looks(place.home / ".cache/pip")
    place.run(Errand.RELOCATE)
    records = Meanwhile(place.whom().records.folder, 1, place.disk.unmount)
    place.settle_all(place.order(Errand.RESTORE, "pip"), records)
    place.disk.mount()
    killed_after(place, MoveOrder(Errand.SETTLE, "pip"), Phase.SETTLED)
    place.settle_all(SETTLE)
    assert not place.records()
    assert looks(place.home / ".cache/pip") == whole
    assert place.named("pip") == place.home / ".cache/pip"


# -- what the tool is told ------------------------------------------------------------------------------------------


def pip_conf(place: House, *, dotfiles: bool) -> Path:
    """Where the user's pip.conf is to be: not there yet, or a link into the user's dot files."""
    conf = place.home / ".config/pip/pip.conf"
    conf.parent.mkdir(parents=True)
    if dotfiles:
        conf.symlink_to(place.home / "dot.conf")
        (place.home / "dot.conf").write_text("[global]\n")
    return conf


@pytest.mark.parametrize("dotfiles", [False, True])
def test_a_line_that_names_the_destination_by_hand_while_it_was_away_is_no_third_place(
    place: House, dotfiles: bool
) -> None:
    """What was stored at the old place meanwhile would stay there, unseen by pip."""
    conf = pip_conf(place, dotfiles=dotfiles)
    place.run(Errand.RELOCATE)
    place.disk.unmount()
    place.settle()
    build_wheel(place.home / ".cache/pip")
    conf.write_text(f"[global]\ncache-dir = {place.to('pip')}\n")
    place.disk.mount()
    place.settle()
    assert [each.phase for each in place.records()] == [Phase.SETTLED]
    assert (place.to("pip") / WHEEL).read_bytes() == b"hours of building"
    assert not (place.home / ".cache/pip").exists()
    assert not place.run(Errand.RESTORE).error
    assert conf.exists() is dotfiles, "where there was none there is none"
    assert place.named("pip") == place.home / ".cache/pip"


def test_a_shell_with_a_variable_of_before_neither_forgets_a_move_nor_is_taken_for_the_configuration(
    place: House,
) -> None:
    """As `cachewarden env` printed it; no other program has that variable."""
    place.run(Errand.RELOCATE)
    place.disk.unmount()
    place.settle()
    place.disk.mount()
    place.environ["PIP_CACHE_DIR"] = str(place.to("pip"))
    (moved,) = place.settle()
    assert "PIP_CACHE_DIR" in moved.error
    del place.environ["PIP_CACHE_DIR"]
    place.settle()
    assert [each.phase for each in place.records()] == [Phase.SETTLED]
    assert place.named("pip") == place.to("pip")


@pytest.mark.parametrize("dotfiles", [False, True])
def test_a_second_line_of_the_file_that_names_the_destination_keeps_it_from_being_cleared(
    place: House, dotfiles: bool
) -> None:
    conf = pip_conf(place, dotfiles=dotfiles)
    place.run(Errand.RELOCATE)
    conf.write_text(conf.read_text() + f"[install]\ncache-dir = {place.to('pip')}\n")
    assert "remove that" in place.run(Errand.RESTORE).error
    assert looks(place.to("pip"))


# -- when it is tried again ---------------------------------------------------------------------------------------


def test_what_failed_before_a_move_succeeded_does_not_delay_what_its_disk_needs(place: House) -> None:
    fifo = place.home / ".cache/pip/http-v2/fifo"
    to = place.to("pip")
    place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=until_files(to, 20))
    os.mkfifo(fifo)
    for _ in range(4):
        place.settle()
    assert place.records()[0].not_before > 0
    assert not place.settle_all(SETTLE), "it is put off"
    fifo.unlink()
    assert not place.run(Errand.RELOCATE).error
    place.disk.unmount()
    place.settle_all(SETTLE)
    assert place.named("pip") == place.home / ".cache/pip"
    place.disk.mount()


def test_a_clock_that_was_wrong_once_puts_nothing_off_for_years(place: House) -> None:
    to = place.to("pip")
    place.settle_all(place.order(Errand.RELOCATE, "pip"), may_go_on=until_files(to, 20))
    records = place.whom().records
    (record,) = records.all()
    records.save(replace(record, not_before=type(record.begun)(record.begun + 10**18)))
    place.settle_all(SETTLE)
    assert place.named("pip") == to


def test_a_person_who_repeats_the_command_while_the_disk_is_away_hears_so(place: House) -> None:
    place.run(Errand.RELOCATE)
    place.disk.unmount()
    moved = place.run(Errand.RELOCATE)
    assert "there already" not in moved.text
    assert place.named("pip") == place.home / ".cache/pip"
    again = place.run(Errand.RELOCATE)
    assert "not here" in again.error
    place.disk.mount()


def test_a_move_with_little_patience_comes_to_an_end_after_a_kill(place: House) -> None:
    """What is there is compared by its contents then, which may take longer than a policy's move has of a cycle."""
    to = place.to("pip")
    fill_pip(place.home / ".cache/more", 150)
    shutil.move(place.home / ".cache/more/http-v2", place.home / ".cache/pip/http-v2/more")
    killed_with(place, place.order(Errand.RELOCATE, "pip"), lambda: files_in(to) >= 300)
    impatient = replace(SETTLE, patience=1)
    cycles = 0
    while place.records()[0].phase is not Phase.SETTLED:
        place.settle_all(impatient)
        cycles += 1
        assert cycles < 60
    assert place.named("pip") == to


# -- two caches that become one -------------------------------------------------------------------------------------


def test_two_packages_of_one_name_do_not_become_a_mixture(place: House, tmp_path: Path) -> None:
    """One of another channel was fetched while the disk was away."""
    base = fill_conda(place.home, tmp_path)
    (place.home / ".condarc").write_text("channels:\n  - a\n")
    (base.pkgs / "urls.txt").write_text("https://files.invalid/a/made3-1.0-0.conda\n")
    place.run(Errand.RELOCATE, "conda")
    place.disk.unmount()
    place.settle()
    package = base.pkgs / "made3-1.0-0"
    (package / "info").mkdir(parents=True)
    (package / "lib").mkdir()
    (package / "lib/f0").write_text("channel B")
    os.utime(package / "lib/f0", (10**9, 10**9))
    for name in ("index.json", "repodata_record.json", "paths.json"):
        (package / "info" / name).write_text('{"channel": "B"}')
    (base.pkgs / "urls.txt").write_text("https://files.invalid/b/made3-1.0-0.conda\n")
    whole = looks(package)
    place.disk.mount()
    place.settle()
    assert place.named("conda") == place.to("conda")
    assert looks(place.to("conda") / "made3-1.0-0") == whole
    urls = [f"https://files.invalid/{channel}/made3-1.0-0.conda" for channel in "ab"]
    assert (place.to("conda") / "urls.txt").read_text().splitlines() == urls
    assert not base.pkgs.exists()
