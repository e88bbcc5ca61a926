"""The attacks on a worker by a service that somebody has taken over: what ann's worker removes is hers and a cache's.

The launcher and the worker are the real ones; the test is the service, and asks for what it likes.
"""

import dataclasses
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from builders.launched import SERVICE, Homes, fill, give, honest, launched
from builders.siege import KEY, SHARD, WHEEL, fingerprint
from builders.synthetic import conda_packages
from cachewarden.model.caches import Cache, Entry, Identity, Kind, Owner
from cachewarden.model.plans import Chosen, Purge
from cachewarden.model.units import Bytes, Inodes, Instant
from cachewarden.service.hooks import Hooks
from cachewarden.service.wire import HERE, encoder
from cachewarden.service.workers import LaunchedWorkers, look_at
from cachewarden.system.launcher import NOT_STARTED

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
]

PIP, CONDA = ".cache/pip", ".conda/pkgs"
PACKAGE, TRASH = "made0-1.0-0", ".cachewarden-trash"
THESIS = "thesis.tex"
NO_ENTRY = "it is not an entry of this cache"


@pytest.fixture
def mine(homes: Homes) -> Homes:
    """ann's home is full as well, of caches and of what she would miss; bob's is open to her."""
    ann, bob = homes
    fill(ann)
    home = Path(ann.home)
    for place in ("", PIP, CONDA, f"{CONDA}/cache", f"{PIP}/{SHARD}", f"{PIP}/wheels", "Documents"):
        (home / place).mkdir(exist_ok=True)
        (home / place / THESIS).write_text("precious")
    conda_packages(home / CONDA / TRASH, 1)
    conda_packages(home / PIP / TRASH, 1)
    (home / CONDA / "mine" / "lib").mkdir(parents=True)
    (home / PIP / "wheels/aa/bb/cc" / ("e" * 50)).mkdir()
    (home / PIP / "wheels/aa/bb/cc" / ("e" * 50) / THESIS).write_text("precious")
    for name in ("recorded", "hard", "soft"):
        (made,) = conda_packages(home / "stage", 1)
        made.rename(home / CONDA / f"{name}-1.0-0")
    environment = home / "env"
    (environment / "conda-meta").mkdir(parents=True)
    (environment / "conda-meta" / "history").write_text("")
    (environment / "conda-meta" / "recorded-1.0-0.json").write_text("{}")
    os.link(home / CONDA / "hard-1.0-0/lib/f0", environment / "f0")
    (environment / "f1").symlink_to(f"{home}/{CONDA}/soft-1.0-0/lib/f1")
    (home / ".conda" / "environments.txt").write_text(f"{environment}\n")
    give(ann)
    return ann, bob


def entry(path: str, kind: Kind, **changes: object) -> Entry:
    plain = Entry(
        path, kind, None, None, Bytes(1), Bytes(1), Inodes(1), Instant(1), None, Identity(1, 1, Instant(1)), 0
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]  # by name


def identified(root: Path, each: Entry) -> Entry:
    """As if it had been measured: the service may know everything."""
    try:
        status = os.lstat(os.path.join(root, each.path))
    except (OSError, ValueError):
        return each
    return dataclasses.replace(each, identity=Identity(status.st_dev, status.st_ino, Instant(status.st_mtime_ns)))


def ask(
    workers: LaunchedWorkers, owner: Owner, cache: Cache, *wanted: Entry
) -> tuple[list[str], dict[str, str], str]:
    """A purge: what went, why what did not, and the last word when it was no answer."""
    action = Purge("p", cache, (), Bytes(0), Inodes(0), "r")
    job = workers.start(owner, "purge")
    gone: list[str] = []
    try:
        job.channel.send("purge", encoder(Purge)(action))
        entries = [identified(Path(cache.path), each) for each in wanted]
        for start in range(0, len(entries), 500):
            part = tuple(Chosen(each, "r", Bytes(0)) for each in entries[start : start + 500])
            job.channel.send("chosen", encoder(tuple[Chosen, ...])(part))
        job.channel.send("go")
        while message := job.channel.receive():
            word, value = message
            if word == "gone":
                gone.append(value[0])  # type: ignore[index]  # an honest worker's
            if word in {"gone", HERE}:
                continue
            if word == "done":
                failures: Any = value[0][5]  # type: ignore[index]  # an honest worker's
                return gone, {path: reason for path, reason, _ in failures}, ""
            return gone, {}, str(value)
        return gone, {}, "the end"
    finally:
        job.close()


BEGIN = [
    (
        "purge",
        encoder(Purge)(Purge("p", Cache("pip", "/x", Owner(1, 1, "a", "/"), "d"), (), Bytes(0), Inodes(0), "r")),
    )
]


def told(path: str = "x", **changes: object) -> list[object]:
    """One chosen entry as it goes over the wire."""
    return [encoder(Chosen)(Chosen(entry(path, Kind.LOG, **changes), "r", Bytes(0)))]


def cache_at(owner: Owner, path: str, ecosystem: str = "pip") -> Cache:
    return Cache(ecosystem, path, owner, "default")


OTHER = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")
PARTS = (
    THESIS, OTHER, KEY, f"../{THESIS}", f"../../{THESIS}", "/etc/passwd", "89abcdef.json",
    f"01234567.json/../{THESIS}",
)  # fmt: skip
FORGED_PIP = [
    entry(THESIS, Kind.DOWNLOAD),
    entry(THESIS, Kind.DEBRIS),
    entry("wheels/thesis.tex", Kind.BUILT_WHEEL),
    entry("http-v2", Kind.DEBRIS, tree=True),
    entry("http-v2", Kind.BUILT_WHEEL, tree=True),
    entry("http-v2", Kind.DEBRIS),
    entry("wheels", Kind.BUILT_WHEEL, tree=True),
    entry("wheels/aa", Kind.BUILT_WHEEL, tree=True),
    entry(WHEEL, Kind.DOWNLOAD, tree=True),
    entry(WHEEL, Kind.DEBRIS, tree=True),
    entry(f"{WHEEL}/six-1.0-py3-none-any.whl", Kind.BUILT_WHEEL),
    entry(f"http-v2/{KEY[0]}", Kind.DEBRIS, tree=True),
    entry(SHARD, Kind.DEBRIS, tree=True),
    entry(f"{SHARD}/thesis.tex", Kind.DEBRIS),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, tree=True),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, leftover=True),
    entry(f"{SHARD}/{KEY}", Kind.PACKAGE),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, prune=7),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, prune=2**62),
    *(
        entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, parts=(part,))
        for part in (THESIS, OTHER, KEY, "../../thesis.tex", "/etc/passwd")
    ),
    entry(f"{TRASH}/{PACKAGE}", Kind.DEBRIS, tree=True, leftover=True),
    entry("selfcheck", Kind.INDEX, tree=True),
    entry("selfcheck", Kind.DEBRIS, tree=True),
]
FORGED_CONDA = [
    entry(THESIS, Kind.TARBALL),
    entry(THESIS, Kind.PACKAGE, tree=True),
    entry("urls.txt", Kind.LOG),
    entry("urls.txt", Kind.DEBRIS),
    entry("mine", Kind.PACKAGE, tree=True),
    entry("mine", Kind.DEBRIS, tree=True),
    entry("cache", Kind.PACKAGE, tree=True),
    entry("cache", Kind.INDEX, tree=True),
    entry("cache/thesis.tex", Kind.INDEX),
    *(
        entry("cache/01234567.json", Kind.INDEX, parts=(part,))
        for part in (THESIS, "../thesis.tex", "89abcdef.json", "01234567.json/../thesis.tex")
    ),
    entry(".trash", Kind.DEBRIS, tree=True),
    entry(TRASH, Kind.DEBRIS, tree=True, leftover=True),
    entry(TRASH, Kind.PACKAGE, tree=True),
    entry(PACKAGE, Kind.PACKAGE, tree=True, leftover=True),
    entry(PACKAGE, Kind.PACKAGE, tree=True, parts=(THESIS,)),
    entry(PACKAGE, Kind.PACKAGE, tree=True, prune=1),
    entry(PACKAGE, Kind.PACKAGE),
    entry(PACKAGE, Kind.DEBRIS, tree=True, leftover=True),
    entry(PACKAGE, Kind.DOWNLOAD, tree=True),
    entry(f"{PACKAGE}/lib", Kind.PACKAGE, tree=True),
    entry(f"{PACKAGE}/lib/f0", Kind.LOG),
    entry(f"{PACKAGE}/info/index.json", Kind.INDEX),
    entry(f"{PACKAGE}.conda", Kind.TARBALL, parts=(THESIS,)),
    entry(f"{PACKAGE}.conda", Kind.TARBALL, tree=True),
    entry("recorded-1.0-0", Kind.PACKAGE, tree=True),
    entry("hard-1.0-0", Kind.PACKAGE, tree=True),
    entry("soft-1.0-0", Kind.PACKAGE, tree=True),
]
OUTSIDE = [
    f"../../{THESIS}", "../../../bob/.cache/pip/selfcheck", "/etc/passwd", "..", ".", "", f"./{SHARD}/{KEY}",
    f"{SHARD}//{KEY}", f"{SHARD}/{KEY}/", f"{SHARD}/{KEY}\n", f"{SHARD}/../../../../../../{THESIS}", f"{THESIS}\n",
    f"{PACKAGE}/../{THESIS}", f".logs/../{PACKAGE}.conda", f".trash/../{PACKAGE}", f"{TRASH}/../{PACKAGE}",
]  # fmt: skip
FORMS = [(kind, tree, leftover) for kind in Kind for tree in (False, True) for leftover in (False, True)]
IN_USE = {
    "recorded-1.0-0": r"in use by .*/env \(recorded in its conda-meta\)",
    "hard-1.0-0": "in use: it was linked into an environment since it was measured",
    "soft-1.0-0": r"in use by .*/env \(symbolic links point into it\)",
}


@contextmanager
def harmless(*homes: Owner) -> Iterator[LaunchedWorkers]:
    """With real workers; in the end all homes are as they were."""
    before = [fingerprint(Path(owner.home)) for owner in homes]
    with launched(honest, *homes) as workers:
        yield workers
    assert [fingerprint(Path(owner.home)) for owner in homes] == before


@pytest.mark.parametrize(("place", "ecosystem", "forged"), [(PIP, "pip", FORGED_PIP), (CONDA, "conda", FORGED_CONDA)])
def test_a_worker_removes_nothing_but_entries_of_its_cache(
    mine: Homes, place: str, ecosystem: str, forged: list[Entry]
) -> None:
    ann, bob = mine
    cache = cache_at(ann, f"{ann.home}/{place}", ecosystem)
    with harmless(ann, bob) as workers:
        for each in forged:
            gone, failures, word = ask(workers, ann, cache, each)
            assert (gone, list(failures), word) == ([], [each.path], ""), each
            words = IN_USE.get(each.path, f"{NO_ENTRY}|it cannot be seen whole: Not a directory")
            assert re.fullmatch(words, failures[each.path]), each
        everything = [
            entry(path, kind, tree=tree, leftover=leftover) for path in OUTSIDE for kind, tree, leftover in FORMS
        ]
        gone, failures, word = ask(workers, ann, cache, *everything)
        assert (gone, word) == ([], "")
        assert set(failures.values()) <= {
            NO_ENTRY,
            "not a single name",
            "Not a directory",
            "it is no longer an empty folder",
        }


@pytest.mark.parametrize("ecosystem", ["pip", "conda"])
def test_a_worker_removes_nothing_where_its_owner_has_no_cache(mine: Homes, ecosystem: str) -> None:
    ann, bob = mine
    entries = [
        entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD), entry(PACKAGE, Kind.PACKAGE, tree=True),
        entry(f"{PACKAGE}.conda", Kind.TARBALL), entry("selfcheck/" + "a" * 56, Kind.INDEX),
    ]  # fmt: skip
    with harmless(ann, bob) as workers:
        for path in (
            ann.home, f"{ann.home}/Documents", f"{ann.home}/.cache", f"{ann.home}/.conda", f"{ann.home}/{PIP}/",
            f"{ann.home}/{CONDA}/../pkgs", f"{bob.home}/{PIP}", f"{bob.home}/{CONDA}", "/", "/etc", "", PIP,
            f"/proc/self/root{ann.home}/{PIP}", f"{ann.home}/../bob/{PIP}",
        ):  # fmt: skip
            gone, failures, word = ask(workers, ann, cache_at(ann, path, ecosystem), *entries)
            assert (gone, failures, word) == ([], {path: "it is no longer found to be a cache"}, ""), path
        # The owner that a request names means nothing either.
        gone, failures, word = ask(workers, ann, cache_at(bob, f"{bob.home}/{PIP}", ecosystem), *entries)
        assert gone == []
        # Nor does the ecosystem: a cache is what it was found to be.
        for place, other in ((PIP, entries[1:3]), (CONDA, entries[:1])):
            gone, failures, word = ask(workers, ann, cache_at(ann, f"{ann.home}/{place}", ecosystem), *other)
            assert gone == []


REQUESTS: dict[str, tuple[list[tuple[str, object]], str]] = {
    "no purge": ([("purge", None)], f"expected the {len(dataclasses.fields(Purge))} fields of Purge"),
    "a look": ([("look", None)], "started to purge, and asked to 'look'"),
    "a watch": ([("watch", [])], "started to purge, and asked to 'watch'"),
    "another work": ([("rm -rf", "/")], "started to purge, and asked to 'rm -rf'"),
    "a name with NUL": ([*BEGIN, ("chosen", told(f"{THESIS}\0"))], "expected a text without NUL"),
    "a part with NUL": ([*BEGIN, ("chosen", told(parts=["a\0"]))], "expected a text without NUL"),
    "prune below nothing": ([*BEGIN, ("chosen", told(prune=-1))], "expected a number from 0 to 2^63"),
    "no entries": ([*BEGIN, ("chosen", "x")], "expected a list"),
    "no end": ([*BEGIN, ("chosen", told())], ""),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_worker_refuses_what_is_no_request(mine: Homes, kind: str) -> None:
    ann, bob = mine
    messages, words = REQUESTS[kind]
    with harmless(ann, bob) as workers:
        job = workers.start(ann, "purge")
        for message in messages:
            job.channel.send(*message)
        job.stream.shutdown(socket.SHUT_WR)
        answer = job.channel.receive()
        job.close()
    assert answer is not None
    assert (answer[0], words in str(answer[1])) == ("failed", True), answer


# ---------------------------------------------------------------------------------------------------------
# The launcher


def test_the_launcher_starts_nobody_else_and_nothing_else(mine: Homes) -> None:
    ann, bob = mine
    with launched(honest, ann) as workers:
        wanted = [(uid, "purge") for uid in (0, bob.uid, SERVICE.uid, 65534, 2**53 - 1)]
        wanted += [(ann.uid, work) for work in ("", "serve", "look\0", "purge ", "../look")]
        for number, (uid, work) in enumerate(wanted, 1000):
            request(workers, number, uid, work)
        workers.owners()  # answered after what came before
        assert workers.notice() == dict.fromkeys(range(1000, 1000 + len(wanted)), NOT_STARTED)


def request(workers: LaunchedWorkers, number: int, uid: int, work: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        data = json.dumps({"v": 2, "op": "start", "number": number, "uid": uid, "work": work}).encode()
        socket.send_fds(workers.launcher, [data], [theirs.fileno()])


def proper(workers: LaunchedWorkers, owner: Owner) -> None:
    """A request as it should be, after all the others: it is obeyed."""
    seen = look_at(workers, owner, Hooks())
    (pip,) = [cache for cache in seen.caches if cache.cache.ecosystem == "pip"]
    gone, failures, word = ask(workers, owner, pip.cache, *(each for each in pip.entries if each.name == "six"))
    assert (gone, failures, word) == ([WHEEL], {}, "")


Flood = Callable[[LaunchedWorkers, Owner, int], object]


@pytest.mark.parametrize(
    "flood",
    [
        lambda workers, ann, number: workers.launcher.send(b'{"v":2,"op":"owners"}'),
        lambda workers, ann, number: workers.launcher.send(b'{"v":2,"op":"kill","number":%d}' % number),
        lambda workers, ann, number: workers.launcher.send(b"[" * 200),
        lambda workers, ann, number: request(workers, number, 0, "purge"),
        lambda workers, ann, number: request(workers, number, ann.uid, "nonsense"),
    ],
    ids=["owners", "kill", "nonsense", "start root", "start nonsense"],
)
def test_ten_thousand_requests_leave_the_launcher_as_it_was(mine: Homes, flood: Flood) -> None:
    ann, bob = mine
    with launched(honest, ann, bob) as workers:
        for number in range(10_000, 20_000):
            flood(workers, ann, number)
        proper(workers, ann)
        proper(workers, bob)


def test_ten_thousand_workers_of_one_owner_that_are_asked_for_keep_nobody_waiting(mine: Homes) -> None:
    ann, bob = mine

    def body(owner: Owner, stream: socket.socket, work: str) -> None:
        if work == "watch":
            time.sleep(600)
        honest(owner, stream, work)

    with launched(body, ann, bob) as workers:
        jobs = [workers.start(ann, "watch") for _ in range(2)]
        for number in range(10_000, 20_000):
            request(workers, number, ann.uid, "look")
        proper(workers, bob)
        for job in jobs:
            workers.kill(job)
        proper(workers, ann)


def test_a_purge_of_many_thousand_forged_entries_is_answered_in_short_and_the_next_one_is_served(mine: Homes) -> None:
    ann, bob = mine
    cache = cache_at(ann, f"{ann.home}/{PIP}")
    forged = [entry(f"{SHARD}/{THESIS}", Kind.DEBRIS, size=Bytes(number)) for number in range(30_000)]
    with harmless(ann, bob) as workers:
        gone, failures, word = ask(workers, ann, cache, *forged)
        assert (gone, word, failures[f"{SHARD}/{THESIS}"]) == ([], "", NO_ENTRY)
        assert re.fullmatch("[0-9]+ more could not be removed", failures[cache.path])
    with launched(honest, ann) as workers:
        proper(workers, ann)
