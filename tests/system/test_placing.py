"""Folders that root makes for owners: where only root decides, where the configuration says, and nowhere else."""

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.disks import LoopDisk, unmount, why_no_loop_disks
from builders.launched import launched
from builders.machine import Machine
from builders.synthetic import pip_responses
from cachewarden.model.caches import Owner
from cachewarden.model.errors import RefusedError
from cachewarden.service import placing, worker
from cachewarden.service.wire import Channel
from cachewarden.service.workers import LaunchedWorkers
from cachewarden.system.launcher import NOT_STARTED
from cachewarden.system.placing import give_folder

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="root's own folders are needed"),
]
ANN = Owner(61_001, 61_001, "cw-ann", "/nonexistent/ann")
BOB = Owner(61_002, 61_002, "cw-bob", "/nonexistent/bob")
ROOT = Owner(0, 0, "root", "/root")
NOT_ROOTS = "is a link, or no folder that root owns and nobody else may write to"
UNNAMED = "neither a policy nor a command names it as a destination"


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder to which root alone decides the way; pytest's own are below /tmp, where everybody does."""
    made = Path(tempfile.mkdtemp(prefix="cachewarden-test-", dir="/var/lib"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def give(path: Path, owner: Owner) -> None:
    os.lchown(path, owner.uid, owner.gid)


def all_in(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything in a folder with owner, group and mode."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
    return found


def asked(to: object, *destinations: Path, owner: Owner = ANN, roster: tuple[Owner, ...] = (ANN, BOB)) -> str:
    """What the worker says that is asked to make ``to`` for an owner whose destinations are these."""
    named = tuple(str(each) for each in destinations)
    with placers(*roster, named=named) as workers:
        return ask(workers, to, owner)


@contextmanager
def placers(*roster: Owner, named: tuple[str, ...]) -> Iterator[LaunchedWorkers]:
    def body(owner: Owner, stream: socket.socket, work: str) -> None:
        worker.serve(worker.Whom(owner, {}, destinations=named), stream, work)

    with launched(body, *roster) as workers:
        yield workers


def ask(workers: LaunchedWorkers, to: object, owner: Owner, word: str = "place") -> str:
    job = workers.start(owner, "place")
    try:
        job.channel.send(word, to)
        message = job.channel.receive()
    except ConnectionError:  # there is no worker
        return "no answer"
    finally:
        job.close()
    return f"{message[0]}: {message[1]}" if message else "no answer"


def test_what_only_root_can_make_is_made_and_the_last_folder_is_the_owners_alone(ground: Path) -> None:
    assert asked(str(ground / "cache/cw-ann/conda"), ground / "cache/cw-ann/conda") == "placed: "
    assert all_in(ground) == {
        ".": (0, 0, 0o755),
        "cache": (0, 0, 0o755),
        "cache/cw-ann": (0, 0, 0o755),
        "cache/cw-ann/conda": (ANN.uid, ANN.gid, 0o700),
    }


def test_what_is_there_stays_as_it_is(ground: Path) -> None:
    for name, owner in (("roots", ROOT), ("anns", ANN), ("bobs", BOB)):
        (ground / name).mkdir(mode=0o700)
        give(ground / name, owner)
    (ground / "file").write_text("x")
    (ground / "link").symlink_to("bobs")
    before = all_in(ground)
    for name in ("roots", "anns", "bobs", "file", "link"):
        assert asked(str(ground / name), ground / name) == "placed: "
    assert all_in(ground) == before


def test_a_symbolic_link_on_the_way_is_not_followed_whoever_made_it(ground: Path) -> None:
    (ground / "etc").mkdir()
    (ground / "way").symlink_to("etc")
    before = all_in(ground)
    assert asked(str(ground / "way/pip"), ground / "way/pip") == f"placed: {ground}/way {NOT_ROOTS}"
    os.lchown(ground / "way", ANN.uid, ANN.gid)
    assert asked(str(ground / "way/pip"), ground / "way/pip") == f"placed: {ground}/way {NOT_ROOTS}"
    os.lchown(ground / "way", 0, 0)
    assert all_in(ground) == before


@pytest.mark.parametrize(
    ("owner", "group", "mode"),
    [(ANN.uid, 0, 0o755), (BOB.uid, 0, 0o755), (0, 0, 0o1777), (0, ANN.gid, 0o775), (ANN.uid, ANN.gid, 0o000)],
    ids=["the owner's", "another's", "everybody's", "a group's", "shut"],
)
def test_below_a_folder_that_a_user_decides_about_nothing_is_made(
    ground: Path, owner: int, group: int, mode: int
) -> None:
    (ground / "open/inner").mkdir(parents=True)
    os.chown(ground / "open", owner, group)
    (ground / "open").chmod(mode)
    before = all_in(ground)
    for to in (ground / "open/pip", ground / "open/inner/pip", ground / "open/more/pip"):
        assert asked(str(to), to) == f"placed: {ground}/open {NOT_ROOTS}"
    assert all_in(ground) == before


def test_an_access_list_that_lets_a_user_write_counts_as_that_users_folder(ground: Path) -> None:
    (ground / "listed").mkdir()
    done = subprocess.run(["setfacl", "-m", f"u:{ANN.uid}:rwx", str(ground / "listed")], capture_output=True)
    if done.returncode:
        pytest.skip("this filesystem keeps no access lists")
    assert asked(str(ground / "listed/pip"), ground / "listed/pip") == f"placed: {ground}/listed {NOT_ROOTS}"
    assert os.listdir(ground / "listed") == []


@pytest.mark.parametrize(
    "to", ["/etc/cron.d/x", "/etc", "/", "/root/.ssh", "", "relative", 7, None, ["/x"], "/x\0y", "/../etc/x"]
)
def test_a_request_for_anything_but_a_destination_of_the_owner_is_refused(to: object, ground: Path) -> None:
    assert asked(to, ground / "cw-ann") == f"placed: {UNNAMED}"
    assert os.listdir(ground) == []


def test_a_destination_of_one_owner_is_none_for_another(ground: Path) -> None:
    def body(owner: Owner, stream: socket.socket, work: str) -> None:
        worker.serve(worker.Whom(owner, {}, destinations=(str(ground / owner.name),)), stream, work)

    with launched(body, ANN, BOB) as workers:
        assert ask(workers, str(ground / "cw-ann"), BOB) == f"placed: {UNNAMED}"
        assert ask(workers, str(ground / "cw-bob"), BOB) == "placed: "
    assert all_in(ground) == {".": (0, 0, 0o755), "cw-bob": (BOB.uid, BOB.gid, 0o700)}


@pytest.mark.parametrize("to", ["/etc/cachewarden-test", "/usr/lib/cachewarden-test", "/run/cachewarden-test"])
def test_even_a_configuration_cannot_have_a_system_folder_made(to: str) -> None:
    assert asked(to, Path(to)).startswith("placed: ")
    assert asked(to, Path(to)) != "placed: "
    assert not Path(to).exists()


def test_a_place_is_taken_as_it_stands_and_not_by_another_spelling(ground: Path) -> None:
    for to in (f"{ground}//x", f"{ground}/./x", f"{ground}/y/../x", f"{ground}/x\n"):
        named = worker.Whom(ANN, {}, destinations=(to,))
        assert placing.place(named, to) != ""
    assert os.listdir(ground) == []


def test_nobody_who_is_not_on_the_launchers_list_gets_a_folder(ground: Path) -> None:
    with placers(ANN, named=(str(ground / "x"),)) as workers:
        assert ask(workers, str(ground / "x"), BOB) == "no answer"
        assert workers.notice() == {1: NOT_STARTED}
    assert os.listdir(ground) == []


def test_root_itself_gets_none(ground: Path) -> None:
    assert asked(str(ground / "x"), ground / "x", owner=ROOT, roster=(ROOT,)) != "placed: "
    assert os.listdir(ground) == []


@pytest.mark.parametrize("word", ["look", "purge", "examine", "move", "watch"])
def test_such_a_worker_does_nothing_else(word: str, ground: Path) -> None:
    with placers(ANN, named=(str(ground / "x"),)) as workers:
        assert ask(workers, str(ground / "x"), ANN, word).startswith("failed: started to place")
        job = workers.start(ANN, "look")
        job.channel.send("place", str(ground / "x"))
        message = job.channel.receive()
        job.close()
    assert message is not None
    assert message[0] == "failed"
    assert os.listdir(ground) == []


def test_it_has_uid_0_and_no_capability_but_one_and_can_gain_none() -> None:
    def body(owner: Owner, stream: socket.socket, work: str) -> None:
        with open("/proc/self/status", encoding="ascii") as lines:
            Channel(stream).send("me", dict(line.rstrip().split(":\t", 1) for line in lines if ":\t" in line))

    with launched(body, ANN) as workers:
        job = workers.start(ANN, "place")
        message = job.channel.receive()
        job.close()
    assert message is not None
    told = message[1]
    assert isinstance(told, dict)
    assert (told["Uid"].split(), told["Gid"].split(), told["Groups"].split()) == (["0"] * 4, ["0"] * 4, ["0"])
    assert [told[name] for name in ("CapPrm", "CapEff")] == [f"{1:016x}"] * 2  # CHOWN
    assert [told[name] for name in ("CapInh", "CapBnd", "CapAmb")] == ["0" * 16] * 3
    assert told["NoNewPrivs"] == "1"


def swap(one: Path, other: Path, stop: threading.Event) -> None:
    """As a user does who may: what is at ``one`` is a folder at one time and a link at another."""
    aside = one.with_name("aside")
    while not stop.is_set():
        one.rename(aside)
        other.rename(one)
        one.rename(other)
        aside.rename(one)


def test_a_user_who_swaps_folders_and_links_while_it_runs_gains_nothing(ground: Path) -> None:
    """On ann's own disk stands a folder of root's; she may not write to it, yet put a link in its place."""
    anns, victim = ground / "anns", ground / "victim"
    anns.mkdir()
    victim.mkdir()
    (anns / "way").mkdir()
    (anns / "link").symlink_to(victim)
    give(anns, ANN)
    stop = threading.Event()
    swapping = threading.Thread(target=swap, args=(anns / "way", anns / "link", stop))
    swapping.start()
    try:
        for _ in range(300):
            with pytest.raises(RefusedError, match=NOT_ROOTS):
                give_folder(str(anns / "way" / "pip"), ANN, elsewhere=False)
    finally:
        stop.set()
        swapping.join()
    assert os.listdir(victim) == []
    assert [name for name in all_in(anns) if name.endswith("pip")] == []


def test_a_folder_that_changes_hands_while_it_runs_is_never_one_to_make_something_in(ground: Path) -> None:
    """Root's own scripts may give a folder away at any time: each is judged when it is open, by its descriptor."""
    way, stop = ground / "way", threading.Event()
    way.mkdir()

    def change() -> None:
        while not stop.is_set():
            os.chown(way, ANN.uid, ANN.gid)
            os.chown(way, 0, 0)

    changing = threading.Thread(target=change)
    changing.start()
    made = 0
    try:
        for number in range(300):
            try:
                made += give_folder(str(way / str(number)), ANN, elsewhere=False)
            except RefusedError as error:
                assert NOT_ROOTS in str(error)  # noqa: PT017 - both ends are right
    finally:
        stop.set()
        changing.join()
    assert len(os.listdir(way)) == made
    assert {path.stat().st_uid for path in way.iterdir()} <= {ANN.uid}


def test_one_that_was_killed_in_between_is_no_hindrance(ground: Path) -> None:
    (ground / "between").mkdir()
    (ground / "between/.cachewarden-begun-pip").mkdir(mode=0o700)
    give(ground / "between/.cachewarden-begun-pip", ANN)
    assert give_folder(str(ground / "between/pip"), ANN, elsewhere=False)
    assert os.listdir(ground / "between") == ["pip"]


def test_below_media_nothing_is_made_unless_a_disk_is_mounted_there() -> None:
    bare = Path(tempfile.mkdtemp(prefix="cachewarden-test-", dir="/media"))
    bare.chmod(0o755)
    to = bare / "cache/cw-ann/pip"
    try:
        assert asked(str(to), to) == f"placed: no disk is mounted at {bare}: it is a folder of the system's own disk"
        with pytest.raises(RefusedError, match="no disk is mounted"):
            give_folder(str(to), ANN, elsewhere=True)
        assert os.listdir(bare) == []
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", str(bare)], check=True)
        try:
            assert asked(str(to), to) == "placed: "
            assert to.stat().st_uid == ANN.uid
        finally:
            unmount(bare)
    finally:
        bare.rmdir()


@pytest.mark.skipif(why_no_loop_disks("vfat") is not None, reason=str(why_no_loop_disks("vfat")))
def test_where_a_filesystem_keeps_no_owners_nothing_is_left(ground: Path) -> None:
    with LoopDisk(16, "vfat") as disk:
        subprocess.run(["mount", "--bind", str(disk.path), str(ground)], check=True)
        try:
            answer = asked(str(ground / "cache/pip"), ground / "cache/pip")
            left = os.listdir(ground)
        finally:
            unmount(ground)
    assert answer.endswith("Operation not permitted") or "keeps neither" in answer
    assert left == []


MOVE = """\
version: 1
watch: {interval: 1h}
policies:
  - name: to-usb
    match: {ecosystem: pip, owner: ann}
    size: {above: 1 kB}
    action: relocate
    to: /media/usb/cache/{owner}/pip
"""
TREE = "find /media/usb -printf '%U %m %p\\n' | sort -k3"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tmp_path.chmod(0o755)
    made = Machine(tmp_path)
    pip_responses(made.home("ann") / ".cache" / "pip", 3)
    made.give(made.home("ann"), "ann")
    return made


@pytest.fixture
def plug_in() -> Iterator[str]:
    """The words that put root's disk at /media/usb, where nobody but the machine sees it."""
    if why := why_no_loop_disks():
        pytest.skip(why)
    with LoopDisk(16, mkfs_options=["-m", "0"]) as disk:
        yield f"mount -t tmpfs -o mode=755 none /media && mkdir /media/usb && mount --bind {disk.path} /media/usb"


def shell(machine: Machine, script: str) -> str:
    done = subprocess.run(
        machine.inside("sh", "-c", script), capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr


def words(machine: Machine, *more: str) -> str:
    """The command line, for a shell that is inside already."""
    whole = machine.arguments(*more)
    return " ".join(whole[whole.index(str(machine.folder)) + 1 :])


def test_a_move_by_hand_to_a_disk_of_roots_is_told_and_made(machine: Machine, plug_in: str) -> None:
    command = ("relocate", "pip", "'/media/usb/cache/{owner}/pip'", "--owner", "ann")
    tried = shell(machine, f"{plug_in}; {words(machine, *command, '--dry-run')}; ls /media/usb")
    assert "/media/usb/cache/ann/pip is not there: root makes it and gives it to ann" in tried
    assert tried.splitlines()[-1] == "lost+found"
    done = shell(machine, f"{plug_in}; {words(machine, *command)}; {TREE}")
    assert "moved to /media/usb/cache/ann/pip" in done
    assert [line for line in done.splitlines() if line.endswith(("/usb", "/cache", "/ann", "/pip"))] == [
        "0 755 /media/usb",
        "0 755 /media/usb/cache",
        "0 755 /media/usb/cache/ann",
        "1001 755 /media/usb/cache/ann/pip",  # as the old one was, by now
    ]


def test_a_policy_moves_there_as_well(machine: Machine, plug_in: str) -> None:
    machine.config.write_text(MOVE)
    done = shell(machine, f"{plug_in}; {words(machine, 'run')}; {TREE}")
    assert "1001 755 /media/usb/cache/ann/pip" in done.splitlines()


def test_nothing_is_made_for_a_move_that_is_refused_for_another_reason(machine: Machine, plug_in: str) -> None:
    full = "head -c 100M /dev/zero > /media/usb/all 2> /dev/null"
    command = ("relocate", "pip", "/media/usb/cache/pip", "--owner", "ann")
    done = shell(machine, f"{plug_in}; {full}; {words(machine, *command)}; ls /media/usb")
    assert "not moved: /media/usb has" in done
    assert done.splitlines()[-2:] == ["all", "lost+found"]


def test_without_a_disk_at_the_mount_point_nothing_is_made(machine: Machine) -> None:
    machine.config.write_text(MOVE)
    bare = "mount --bind /media /media && mkdir /media/usb"
    done = shell(machine, f"{bare}; {words(machine, 'run')}; {TREE}; rmdir /media/usb")
    assert done.splitlines()[-1] == "0 755 /media/usb"
