"""What a service that was taken over may ask a worker to remove: nothing but what its tool makes."""

from dataclasses import replace

import pytest

import makers
from cachewarden.ecosystems import conda_shape, pip_shape
from cachewarden.model.caches import Entry, Kind

KEY, SHARD = "a" * 56, "http-v2/a/a/a/a/a"
WHEEL = "wheels/aa/bb/cc/" + "d" * 50


def entry(path: str, kind: Kind, **more: object) -> Entry:
    return replace(makers.entry(path, kind=kind), **more)  # type: ignore[arg-type]  # fields of an Entry


PIP = [
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, parts=(f"{KEY}.body",), prune=5),
    entry(f"{SHARD}/{KEY}", Kind.INDEX, prune=5),
    entry(f"http/a/a/a/a/a/{KEY}", Kind.DOWNLOAD),
    entry(f"{SHARD}/{KEY}.body", Kind.DEBRIS),
    entry(f"{SHARD}/{KEY}abcd1234.tmp", Kind.DEBRIS),
    entry(f"{SHARD}/{KEY}.bodyabcd1234.tmp", Kind.DEBRIS),
    entry("http-v2/a/b", Kind.DEBRIS),
    entry(WHEEL, Kind.BUILT_WHEEL, tree=True, prune=3),
    entry(f"{WHEEL}/tmpabcd1234", Kind.DEBRIS, tree=True),
    entry("selfcheck.json", Kind.INDEX),
    entry(f"selfcheck/{KEY}", Kind.INDEX),
]
NOT_PIP = [
    entry("thesis.tex", Kind.DOWNLOAD),
    entry("thesis", Kind.BUILT_WHEEL, tree=True),
    entry("http-v2", Kind.BUILT_WHEEL, tree=True),
    entry("http-v2", Kind.DEBRIS),
    entry("wheels", Kind.BUILT_WHEEL, tree=True),
    entry(SHARD, Kind.BUILT_WHEEL, tree=True),
    entry(f"{SHARD}/{KEY}", Kind.DEBRIS),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, tree=True),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, parts=("thesis.tex",)),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, prune=9),
    entry(f"{SHARD}/{KEY}", Kind.DOWNLOAD, leftover=True),
    entry(f"{SHARD}/{KEY}abcd1234.tmp", Kind.DOWNLOAD),
    entry(f"{SHARD}/{KEY}\n", Kind.DOWNLOAD),
    entry(WHEEL, Kind.DEBRIS, tree=True),
    entry(WHEEL, Kind.BUILT_WHEEL),
    entry(f"{WHEEL}/x.whl", Kind.BUILT_WHEEL, tree=True),
    entry(f"{WHEEL}/tmpabcd1234", Kind.BUILT_WHEEL, tree=True),
    entry("selfcheck", Kind.DEBRIS, tree=True),
    entry("mine/a/b", Kind.DEBRIS),
]
CONDA = [
    entry("six-1.0-0.conda", Kind.TARBALL),
    entry("six-1.0-0.tar.bz2", Kind.TARBALL),
    entry("six-1.0-0.conda.partial", Kind.DEBRIS),
    entry("six-1.0-0", Kind.PACKAGE, tree=True),
    entry("https/host/channel/noarch/six-1.0-0", Kind.PACKAGE, tree=True),
    entry("https/host/channel/noarch/six-1.0-0.conda", Kind.TARBALL),
    entry("cache/01234567.json", Kind.INDEX, parts=("01234567.info.json",)),
    entry("cache/repodata_shards.db", Kind.INDEX, parts=("repodata_shards.db-wal",)),
    entry(".logs/x.json", Kind.LOG),
    entry(".trash/anything", Kind.DEBRIS, tree=True),
    entry(".cachewarden-trash/x", Kind.DEBRIS, tree=True, leftover=True),
]
NOT_CONDA = [
    entry("thesis.tex", Kind.LOG),
    entry("thesis", Kind.DEBRIS, tree=True),
    entry("six-1.0-0", Kind.DEBRIS, tree=True, leftover=True),
    entry("six-1.0-0", Kind.PACKAGE),
    entry("six-1.0-0", Kind.PACKAGE, tree=True, leftover=True),
    entry("six-1.0-0", Kind.PACKAGE, tree=True, prune=1),
    entry("six-1.0-0/lib", Kind.PACKAGE, tree=True),
    entry("six-1.0-0/lib.conda", Kind.TARBALL),
    entry("six-1.0-0.conda", Kind.TARBALL, parts=("thesis.tex",)),
    entry("six-1.0-0.conda", Kind.TARBALL, tree=True),
    entry("cache", Kind.PACKAGE, tree=True),
    entry("cache/01234567.json", Kind.INDEX, parts=("89abcdef.json",)),
    entry("cache/01234567.json", Kind.INDEX, parts=("thesis.tex",)),
    entry("cache/thesis.tex", Kind.INDEX),
    entry("mine/cache/01234567.json", Kind.INDEX),
    entry(".logs/x", Kind.LOG, tree=True),
    entry(".cachewarden-trash", Kind.PACKAGE, tree=True),
    entry(".cachewarden-trash/x", Kind.PACKAGE, tree=True, leftover=True),
    entry("urls.txt", Kind.INDEX),
]


def label(value: object) -> str:
    return f"{value.kind} {value.path}"[:60] if isinstance(value, Entry) else str(value)


@pytest.mark.parametrize("made", PIP, ids=label)
def test_what_pip_makes_is_an_entry(made: Entry) -> None:
    assert pip_shape.is_an_entry(made)


@pytest.mark.parametrize("forged", NOT_PIP, ids=label)
def test_what_pip_does_not_make_is_none(forged: Entry) -> None:
    assert not pip_shape.is_an_entry(forged)


@pytest.mark.parametrize("made", CONDA, ids=label)
def test_what_conda_makes_is_an_entry(made: Entry) -> None:
    assert conda_shape.is_an_entry(made)


@pytest.mark.parametrize("forged", NOT_CONDA, ids=label)
def test_what_conda_does_not_make_is_none(forged: Entry) -> None:
    assert not conda_shape.is_an_entry(forged)
