"""The launcher and what a worker is: run as root, with owners that exist nowhere but here."""

import os
import pickle
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from builders.launched import ENTRY
from cachewarden.model.caches import Cache, Entry, MeasuredCache, Owner
from cachewarden.model.errors import WorkerError
from cachewarden.model.units import Bytes
from cachewarden.service.hooks import Hooks
from cachewarden.service.wire import Channel, encoder
from cachewarden.service.worker import LIMITS as REAL_LIMITS
from cachewarden.service.worker import OWN_LIMITS, preload
from cachewarden.service.workers import LaunchedWorkers, look_at
from cachewarden.system import privileges
from cachewarden.system.launcher import NOT_STARTED, Rules, fork_launcher
from cachewarden.system.runas import Limits, be_service

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]

ANN = Owner(61_001, 61_001, "cw-ann", "/nonexistent/ann")
BOB = Owner(61_002, 61_002, "cw-bob", "/nonexistent/bob")
ROOT = Owner(0, 0, "root", "/root")
SERVICE = Owner(61_004, 61_004, "cw-service", "/")
Work = Callable[[Owner, socket.socket], None]
CAPABILITIES = ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
LIMITS = {
    "look": Limits(20.0),
    "purge": Limits(20.0),
    "watch": Limits(None, threads=True),
    "hurry": Limits(0.3),
    "count": Limits(20.0, processor_seconds=1),
    "hoard": Limits(20.0, memory=1 << 28),
}


@contextmanager
def launched(
    work: Work,
    *owners: Owner,
    service: Owner | None = SERVICE,
    limits: Mapping[str, Limits] = LIMITS,
    switch: bool = True,
) -> Iterator[LaunchedWorkers]:
    preload()
    rules = Rules(lambda: list(owners), lambda owner, stream, _: work(owner, stream), limits, switch, service)
    channel = fork_launcher(rules)
    with channel:
        yield LaunchedWorkers(channel, limits)


def status_of(pid: int | str) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def tell_about_yourself(owner: Owner, stream: socket.socket) -> None:
    status = status_of("self")
    Channel(stream).send("me", {
        "ids": [*os.getresuid(), *os.getresgid()],
        "groups": os.getgroups(),
        "capabilities": {name: status[name] for name in CAPABILITIES},
        "no_new_privs": status["NoNewPrivs"],
        "environ": dict(os.environ),
        "umask": status["Umask"],
        "first_to_go": Path("/proc/self/oom_score_adj").read_text().strip(),
        "forks": forks(),
        "here": os.listdir("."),
        "session": os.getsid(0) == os.getpid(),
        "descriptors": [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")],
        "core": resource.getrlimit(resource.RLIMIT_CORE),
    })  # fmt: skip


def forks() -> bool:
    try:
        pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def about(owner: Owner, kind: str = "look", limits: Mapping[str, Limits] = LIMITS) -> dict[str, object]:
    with launched(tell_about_yourself, ANN, BOB, ROOT, limits=limits) as workers:
        job = workers.start(owner, kind)
        try:
            message = job.channel.receive()
        finally:
            job.close()
    assert message is not None
    assert isinstance(message[1], dict)
    return message[1]


def test_a_worker_is_its_owner_and_nobody_else() -> None:
    me = about(ANN)
    assert (me["ids"], me["groups"]) == ([61_001] * 6, [61_001])


@pytest.mark.parametrize("owner", [ANN, ROOT], ids=["a user", "root itself"])
def test_a_worker_has_no_capability_and_can_gain_none(owner: Owner) -> None:
    me = about(owner)
    assert me["capabilities"] == dict.fromkeys(("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"), "0" * 16)
    assert me["no_new_privs"] == "1"


@pytest.mark.parametrize("kind", OWN_LIMITS)
def test_each_kind_of_work_on_an_owners_files_is_done_as_that_owner_without_any_capability(kind: str) -> None:
    me = about(ANN, kind, REAL_LIMITS)
    assert (me["ids"], set(me["capabilities"].values())) == ([61_001] * 6, {"0" * 16})  # type: ignore[attr-defined]  # a dict


def test_the_one_kind_that_makes_folders_is_root_with_one_capability() -> None:
    assert set(REAL_LIMITS) - set(OWN_LIMITS) == {"place"}
    me = about(ANN, "place", REAL_LIMITS)
    chown = f"{privileges.CHOWN:016x}"
    assert (me["ids"], me["groups"], me["no_new_privs"]) == ([0] * 6, [0], "1")
    assert me["capabilities"] == dict.fromkeys(CAPABILITIES, "0" * 16) | {"CapEff": chown, "CapPrm": chown}
    assert me["environ"]["HOME"] == ANN.home  # type: ignore[index]  # a dict


def test_where_workers_stay_who_they_are_none_makes_folders_for_others() -> None:
    with launched(tell_about_yourself, ANN, service=None, limits=REAL_LIMITS, switch=False) as workers:
        job = workers.start(ANN, "place")
        assert job.channel.receive() is None
        job.close()
        assert wait_for_end(workers) == {1: 70}


def test_a_worker_has_a_clean_environment_and_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CACHE_DIR", "/of/the/service")
    me = about(ANN)
    environ = me["environ"]
    assert isinstance(environ, dict)
    assert set(environ) == {"HOME", "USER", "LOGNAME", "PATH", "LANG"}
    assert (environ["HOME"], me["session"], me["umask"], me["core"]) == ("/nonexistent/ann", True, "0077", [0, 0])


def test_a_worker_stands_in_an_empty_folder_that_nobody_can_reach() -> None:
    assert about(BOB)["here"] == []


def test_a_worker_holds_no_descriptor_but_its_channel_and_the_null_device() -> None:
    # 0, 1, 2, the channel, and the folder that is being listed is gone when it is looked at again.
    assert len(about(ANN)["descriptors"]) == 4  # type: ignore[arg-type]  # a list, by the worker above


def test_nobody_who_is_not_on_the_launchers_own_list_gets_a_worker() -> None:
    stranger = Owner(61_003, 61_003, "cw-eve", "/nonexistent/eve")
    with launched(tell_about_yourself, ANN) as workers:
        job = workers.start(stranger, "look")
        assert job.channel.receive() is None
        job.close()


def test_the_launcher_believes_its_own_list_and_not_a_request_about_ids() -> None:
    with launched(tell_about_yourself, ANN) as workers:
        job = workers.start(Owner(ANN.uid, 0, "root", "/root"), "look")
        message = job.channel.receive()
        job.close()
    assert message is not None
    assert isinstance(message[1], dict)
    assert message[1]["ids"] == [61_001] * 6


def sleep_for_ever(owner: Owner, stream: socket.socket) -> None:
    time.sleep(600)


def test_a_worker_that_overruns_its_time_is_killed() -> None:
    with launched(sleep_for_ever, ANN) as workers:
        job = workers.start(ANN, "hurry")
        began = time.monotonic()
        assert job.channel.receive() is None
        assert time.monotonic() - began < 15, "the usual limit is longer"
        job.close()
        assert wait_for_end(workers) == {1: -9}


def wait_for_end(workers: LaunchedWorkers) -> dict[int, int]:
    for _ in range(1200):
        if ended := workers.notice():
            return ended
        time.sleep(0.05)
    return {}


def die(owner: Owner, stream: socket.socket) -> None:
    if owner.uid == ANN.uid:
        os.kill(os.getpid(), 11)
    Channel(stream).send("seen")


def test_a_worker_that_crashes_costs_its_owner_only() -> None:
    with launched(die, ANN, BOB) as workers:
        with pytest.raises(WorkerError, match="the worker of cw-ann failed: it ended without an answer"):
            look_at(workers, ANN, Hooks())
        assert look_at(workers, BOB, Hooks()).caches == ()


def babble(owner: Owner, stream: socket.socket) -> None:
    channel = Channel(stream)
    while True:
        channel.send("problems", [["/x", "y"]] * 100)


def test_a_worker_that_does_not_come_to_an_end_is_cut_off() -> None:
    with launched(babble, ANN) as workers, pytest.raises(WorkerError, match="it does not come to an end"):
        look_at(workers, ANN, Hooks())


def lie(owner: Owner, stream: socket.socket) -> None:
    channel = Channel(stream)
    cache = MeasuredCache(Cache("pip", "/home/x/.cache/pip", ROOT, "default"), 1, Bytes(4096), ())
    channel.send("cache", encoder(MeasuredCache)(cache))
    channel.send("entries", [encoder(Entry)(replace(ENTRY, path="../../etc/passwd"))])
    channel.send("seen")


def test_a_worker_that_names_an_entry_outside_of_its_cache_is_not_believed() -> None:
    with launched(lie, ANN) as workers, pytest.raises(WorkerError, match="an entry outside of its cache"):
        look_at(workers, ANN, Hooks())


NONSENSE = [
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    '{"v":2,"op":"owners"}'.encode("utf-16-le"),
    '{"v":2,"op":"owners"}'.encode("utf-32"),
    b"[" * 250,
    b'{"v":2,"op":"start"}',
    b'{"v":2,"op":"kill","number":"x"}',
    b'{"v":2,"op":"kill","number":true}',
    b'{"v":2,"op":"kill","number":-1}',
    b'{"v":2,"op":"kill","number":1e400}',
    b'{"v":2,"op":"start","number":1,"uid":61001,"work":["look"]}',
    b'{"v":2,"op":"start","number":1,"uid":61001,"work":"look","seconds":1}',
    b'{"v":2,"op":"start","number":1,"uid":61001,"work":"look"}',  # without a channel
    b'{"v":1,"op":"owners"}',
    b'{"v":2,"op":7}',
    b'{"v":2,"op":["owners"]}',
    b'{"v":2,"op":"owners","and":"more"}',
    b'{"v":2,"op":"kill","number":1' + b" " * 300 + b"}",  # longer than any request
]


def test_nonsense_on_its_socket_does_not_disturb_the_launcher() -> None:
    with launched(tell_about_yourself, ANN) as workers:
        for nonsense in NONSENSE:
            workers.launcher.send(nonsense)
        assert [owner.name for owner in workers.owners()] == ["cw-ann"]


def test_all_workers_end_with_the_service() -> None:
    with launched(sleep_for_ever, ANN) as workers:
        job = workers.start(ANN, "watch")
    assert job.channel.receive() is None
    job.close()


def launcher_of_this_process() -> int:
    """The latest child: those of earlier tests are gone, and wait to be asked for their status."""
    return int(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1])


def test_the_launcher_is_the_services_user_with_the_rights_to_become_owners_and_no_other() -> None:
    with launched(tell_about_yourself, ANN) as workers:
        workers.owners()  # it is up
        status = status_of(launcher_of_this_process())
    assert status["Uid"].split() == status["Gid"].split() == ["61004"] * 4
    assert status["Groups"].split() == ["61004"]
    kept = f"{1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 0:016x}"  # KILL, SETGID, SETUID, SETPCAP, CHOWN
    assert [status[name] for name in CAPABILITIES] == [kept, kept, "0" * 16, kept, "0" * 16]
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("kind", sorted(set(OWN_LIMITS) - {"watch"}))
def test_a_worker_can_start_nothing_and_goes_first_when_memory_is_short(kind: str) -> None:
    me = about(ANN, kind, REAL_LIMITS)
    assert (me["forks"], me["first_to_go"]) == (False, "1000")


def test_a_kind_of_work_that_there_is_not_is_not_done() -> None:
    with launched(tell_about_yourself, ANN) as workers:
        ours, theirs = socket.socketpair()
        request = b'{"v":2,"op":"start","number":5,"uid":61001,"work":"anything"}'
        socket.send_fds(workers.launcher, [request], [theirs.fileno()])
        theirs.close()
        assert ours.recv(1) == b""
        ours.close()
        assert wait_for_end(workers) == {5: NOT_STARTED}


def test_a_channel_that_the_service_has_not_made_gets_no_worker(tmp_path: Path) -> None:
    """A worker of root would speak to whoever listens there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    named = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    named.connect(str(tmp_path / "socket"))
    datagrams, messages = (
        socket.socketpair(socket.AF_UNIX, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
    )
    with launched(tell_about_yourself, ANN) as workers, open("/dev/null", "rb") as file:
        for number, attached in enumerate(
            (named.fileno(), datagrams[0].fileno(), messages[0].fileno(), file.fileno())
        ):
            request = f'{{"v":2,"op":"start","number":{90 + number},"uid":61001,"work":"look"}}'.encode()
            socket.send_fds(workers.launcher, [request], [attached])
        workers.owners()
        assert workers.notice() == {}
        accepted, _ = listener.accept()
        accepted.settimeout(0.3)
        with pytest.raises(TimeoutError):
            accepted.recv(10)
    for each in (listener, named, accepted, *datagrams, *messages):
        each.close()


def test_one_owner_cannot_have_all_the_workers() -> None:
    with launched(sleep_for_ever, ANN, BOB) as workers:
        jobs = [workers.start(ANN, "watch") for _ in range(5)]
        workers.owners()  # answered after what came before
        assert workers.notice() == {4: NOT_STARTED, 5: NOT_STARTED}
        jobs.append(workers.start(BOB, "watch"))
        workers.owners()
        assert workers.notice() == {}
        for job in jobs:
            job.close()


def use_the_processor(owner: Owner, stream: socket.socket) -> None:
    while True:
        pass


def use_the_memory(owner: Owner, stream: socket.socket) -> None:
    Channel(stream).send("failed", str(len(b"x" * (1 << 29))))


@pytest.mark.parametrize(
    ("work", "kind", "status"), [(use_the_processor, "count", -9), (use_the_memory, "hoard", 70)]
)
def test_a_worker_that_takes_too_much_is_ended(work: Work, kind: str, status: int) -> None:
    with launched(work, ANN) as workers:
        job = workers.start(ANN, kind)
        assert job.channel.receive() is None
        job.close()
        assert wait_for_end(workers) == {1: status}


def test_a_worker_that_ignores_everything_but_kill_is_ended_with_all_that_it_started() -> None:
    def stubborn(owner: Owner, stream: socket.socket) -> None:
        for number in range(1, 32):
            if number not in {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
        time.sleep(600)

    with launched(stubborn, ANN) as workers:
        job = workers.start(ANN, "hurry")
        assert job.channel.receive() is None
        job.close()
        assert wait_for_end(workers) == {1: -9}


def test_the_service_gives_up_all_its_rights_and_cannot_reach_into_the_launcher() -> None:
    def service() -> dict[str, object]:
        with launched(tell_about_yourself, ANN) as workers:
            be_service(SERVICE)
            workers.owners()
            launcher = launcher_of_this_process()
            reached = []
            for name in ("mem", "environ", "fd", "maps"):
                try:
                    os.close(os.open(f"/proc/{launcher}/{name}", os.O_RDONLY))
                    reached.append(name)
                except OSError:
                    continue
            job = workers.start(ANN, "look")
            message = job.channel.receive()
            job.close()
            status = status_of("self")
            return {"status": status, "reached": reached, "worker": message and message[1]["ids"]}  # type: ignore[index]  # a dict

    told = in_a_child(service)
    assert told["status"]["Uid"].split() == ["61004"] * 4
    assert [told["status"][name] for name in CAPABILITIES] == ["0" * 16] * 5
    assert (told["reached"], told["worker"]) == ([], [61_001] * 6)


def in_a_child(work: Callable[[], dict[str, object]]) -> Any:  # noqa: ANN401 - whatever the work tells
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        data = answer.read()
    os.waitpid(pid, 0)
    return pickle.loads(data)


def tell_whose_turn(owner: Owner, stream: socket.socket) -> None:
    Channel(stream).send("turn", int(psutil.Process().ionice().ioclass))


@pytest.mark.parametrize(("work", "turn"), [("look", 3), ("purge", 2)])
def test_who_looks_waits_for_the_disks_and_who_purges_does_not(work: str, turn: int) -> None:
    """Idle and best-effort (``linux/ioprio.h``)."""
    with launched(tell_whose_turn, ANN, limits=REAL_LIMITS) as workers:
        job = workers.start(ANN, work)
        assert job.channel.receive(seconds=60) == ("turn", turn)
        job.close()
