"""The launcher and what a worker is: run as root, with owners that exist nowhere but here."""

import json
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cachewarden.model.caches import Owner
from cachewarden.model.errors import WorkerError
from cachewarden.service.wire import Channel
from cachewarden.service.worker import preload
from cachewarden.service.workers import Hooks, LaunchedWorkers
from cachewarden.system.launcher import fork_launcher

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]

ANN = Owner(61_001, 61_001, "cw-ann", "/nonexistent/ann")
BOB = Owner(61_002, 61_002, "cw-bob", "/nonexistent/bob")
ROOT = Owner(0, 0, "root", "/root")
Work = Callable[[Owner, socket.socket], None]


@contextmanager
def launched(work: Work, *owners: Owner) -> Iterator[LaunchedWorkers]:
    preload()
    channel = fork_launcher(lambda: list(owners), work, switch=True)
    with channel:
        yield LaunchedWorkers(channel)


def tell_about_yourself(owner: Owner, stream: socket.socket) -> None:
    with open("/proc/self/status", encoding="ascii") as lines:
        status = dict(line.split(":", 1) for line in lines.read().splitlines() if ":" in line)
    Channel(stream).send("me", {
        "ids": [*os.getresuid(), *os.getresgid()],
        "groups": os.getgroups(),
        "capabilities": {name: status[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")},
        "no_new_privs": status["NoNewPrivs"].strip(),
        "environ": dict(os.environ),
        "umask": status["Umask"].strip(),
        "here": os.listdir("."),
        "session": os.getsid(0) == os.getpid(),
        "descriptors": [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")],
        "core": resource.getrlimit(resource.RLIMIT_CORE),
    })  # fmt: skip


def about(owner: Owner) -> dict[str, object]:
    with launched(tell_about_yourself, ANN, BOB, ROOT) as workers:
        job = workers.start(owner, 20)
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
        job = workers.start(stranger, 20)
        assert job.channel.receive() is None
        job.close()


def test_the_launcher_believes_its_own_list_and_not_a_request_about_ids() -> None:
    with launched(tell_about_yourself, ANN) as workers:
        job = workers.start(Owner(ANN.uid, 0, "root", "/root"), 20)
        message = job.channel.receive()
        job.close()
    assert message is not None
    assert isinstance(message[1], dict)
    assert message[1]["ids"] == [61_001] * 6


def sleep_for_ever(owner: Owner, stream: socket.socket) -> None:
    time.sleep(600)


def test_a_worker_that_overruns_its_time_is_killed() -> None:
    with launched(sleep_for_ever, ANN) as workers:
        job = workers.start(ANN, 0.3)
        began = time.monotonic()
        assert job.channel.receive() is None
        assert time.monotonic() - began < 5
        job.close()
        assert wait_for_end(workers) == {1: -9}


def wait_for_end(workers: LaunchedWorkers) -> dict[int, int]:
    for _ in range(100):
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
            workers.look(ANN, (), Hooks())
        assert workers.look(BOB, (), Hooks()).caches == ()


def babble(owner: Owner, stream: socket.socket) -> None:
    channel = Channel(stream)
    while True:
        channel.send("problems", [["/x", "y"]] * 100)


def test_a_worker_that_does_not_come_to_an_end_is_cut_off() -> None:
    with launched(babble, ANN) as workers, pytest.raises(WorkerError, match="it does not come to an end"):
        workers.look(ANN, (), Hooks())


def lie(owner: Owner, stream: socket.socket) -> None:
    channel = Channel(stream)
    cache = ["pip", "/home/x/.cache/pip", [0, 0, "root", "/root"], "default"]
    channel.send("cache", [cache, 1, 4096, []])
    entry = [
        "../../etc/passwd",
        "download",
        None,
        None,
        1,
        1,
        1,
        1,
        None,
        [1, 1, 1],
        1,
        None,
        [],
        False,
        0,
        False,
        [],
    ]
    channel.send("entries", [entry])
    channel.send("seen")


def test_a_worker_that_names_an_entry_outside_of_its_cache_is_not_believed() -> None:
    with launched(lie, ANN) as workers, pytest.raises(WorkerError, match="an entry outside of its cache"):
        workers.look(ANN, (), Hooks())


def test_nonsense_on_its_socket_does_not_disturb_the_launcher() -> None:
    with launched(tell_about_yourself, ANN) as workers:
        for nonsense in (
            b"{",
            b"[]",
            b'{"op":"start"}',
            b'{"op":"kill","number":"x"}',
            json.dumps({"op": 7}).encode(),
        ):
            workers.launcher.send(nonsense)
        assert [owner.name for owner in workers.owners()] == ["cw-ann"]


def test_all_workers_end_with_the_service() -> None:
    with launched(sleep_for_ever, ANN) as workers:
        job = workers.start(ANN, 600)
    assert job.channel.receive() is None
    job.close()
