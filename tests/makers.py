"""Makers of the nouns with defaults, for tests of decisions: only what a test is about has to be said.

Times are ages in seconds before ``NOW``; sizes are plain bytes. Every cache is on the filesystem ``/home``
(device 1, 1000 units of 1 MiB) unless told otherwise.
"""

from collections.abc import Iterable, Mapping

from cachewarden.decide.planner import decide
from cachewarden.model.caches import (
    Cache,
    Entry,
    Filesystem,
    Identity,
    Kind,
    MeasuredCache,
    Owner,
    Share,
    Snapshot,
)
from cachewarden.model.plans import Plan, Purge
from cachewarden.model.policies import ActionKind, Amount, Keep, Marks, Match, Order, Policy, Settings
from cachewarden.model.units import NANOSECONDS, Bytes, Inodes, Instant, Seconds

MIB = 1024**2
HOUR, DAY = 3600, 86400
NOW = Instant(1_700_000_000 * NANOSECONDS)
RANKS = {
    Kind.DEBRIS: 0, Kind.LOG: 10, Kind.INDEX: 20, Kind.TARBALL: 30, Kind.DOWNLOAD: 40, Kind.PACKAGE: 50,
    Kind.BUILT_WHEEL: 60,
}  # fmt: skip


def ago(seconds: int) -> Instant:
    """That many seconds before ``NOW``; negative is the future."""
    return Instant(NOW - seconds * NANOSECONDS)


def owner(name: str = "ann", *, uid: int = 1000) -> Owner:
    """A user with a home in ``/home``."""
    return Owner(uid, uid, name, f"/home/{name}")


def entry(
    path: str = "a",
    *,
    kind: Kind = Kind.DOWNLOAD,
    name: str | None = "numpy",
    version: str | None = "1.26.4",
    frees: int = MIB,
    size: int | None = None,
    inodes: int = 1,
    written: int = 100 * DAY,
    used: int | None = 50 * DAY,
    rank: int | None = None,
    hold: str | None = None,
    leftover: bool = False,
    shares: tuple[Share, ...] = (),
    inode: int | None = None,
) -> Entry:
    """A download of numpy 1.26.4, 1 MiB, written 100 days ago, used 50 days ago, free to go."""
    return Entry(
        path=path,
        kind=kind,
        name=name,
        version=version,
        size=Bytes(frees if size is None else size),
        frees=Bytes(frees),
        frees_inodes=Inodes(inodes),
        modified=ago(written),
        last_used=None if used is None else ago(used),
        identity=Identity(1, sum(map(ord, path)) if inode is None else inode, ago(written)),
        rank=RANKS[kind] if rank is None else rank,
        hold=hold,
        leftover=leftover,
        shares=shares,
    )


def share(inode: int, *, needed: int = 2, held: int = 1, frees: int = MIB) -> Share:
    """An inode of device 1 with names in several entries."""
    return Share(1, inode, needed, held, Bytes(frees))


def cache(
    *entries: Entry,
    path: str = "/home/ann/.cache/pip",
    ecosystem: str = "pip",
    of: Owner | None = None,
    device: int = 1,
    size: int | None = None,
) -> MeasuredCache:
    """ann's pip cache on device 1, as large as its entries."""
    return MeasuredCache(
        Cache(ecosystem, path, of or owner(), "a test"),
        device,
        Bytes(sum(each.size for each in entries) if size is None else size),
        entries,
    )


def filesystem(
    *,
    free: int = 500 * MIB,
    total: int = 1000 * MIB,
    mount: str = "/home",
    device: int = 1,
    inodes_free: int = 5000,
    inodes_total: int = 10000,
    read_only: bool = False,
) -> Filesystem:
    """``/home``, 1000 MiB, half free."""
    return Filesystem(
        device, mount, "ext4", Bytes(total), Bytes(free), Inodes(inodes_total), Inodes(inodes_free),
        tracks_atime=True, read_only=read_only,
    )  # fmt: skip


def snapshot(
    *caches: MeasuredCache,
    on: Iterable[Filesystem] = (),
    free: int | None = None,
    due: Iterable[str] = (),
    engaged: Iterable[str] = (),
    fruitless: Mapping[str, str] | None = None,
) -> Snapshot:
    """The caches on ``/home``; ``free`` or ``on`` say how full it is, or what there is instead."""
    filesystems = tuple(on) or (filesystem(free=500 * MIB if free is None else free),)
    return Snapshot(
        NOW, caches, filesystems, due=frozenset(due), engaged=frozenset(engaged), fruitless=fruitless or {}
    )


def amount(value: int | str) -> Amount:
    """``"10%"`` or a number of units."""
    return Amount(percent=float(value[:-1])) if isinstance(value, str) else Amount(absolute=value)


def marks(start: int | str, stop: int | str | None = None) -> Marks:
    """Start and stop, by default the same."""
    return Marks(amount(start), amount(start if stop is None else stop))


def policy(
    name: str = "keep-free",
    *,
    action: ActionKind = ActionKind.PURGE,
    match: Match | None = None,
    free_space: Marks | None = None,
    free_inodes: Marks | None = None,
    size: Marks | None = None,
    schedule: str | None = None,
    unused_for: int | None = None,
    kinds: Iterable[Kind] = (),
    order: Order = Order.CHEAPEST_FIRST,
    to: str | None = None,
    packages: tuple[str, ...] = (),
    to_free: int | None = None,
) -> Policy:
    """A purge of everything, without a mark."""
    return Policy(
        name=name,
        action=action,
        match=match or Match(),
        free_space=free_space,
        free_inodes=free_inodes,
        size=size,
        schedule=schedule,
        unused_for=None if unused_for is None else Seconds(unused_for),
        kinds=frozenset(kinds),
        order=order,
        to=to,
        packages=packages,
        to_free=None if to_free is None else Bytes(to_free),
    )


def settings(*policies: Policy, newer_than: int = 0, packages: tuple[str, ...] = ()) -> Settings:
    """These policies; nothing is kept unless told."""
    return Settings(keep=Keep(Seconds(newer_than), packages), policies=policies)


def plan(seen: Snapshot, *policies: Policy, newer_than: int = 0, packages: tuple[str, ...] = ()) -> Plan:
    """What is decided for these policies."""
    return decide(seen, settings(*policies, newer_than=newer_than, packages=packages))


def purges(decided: Plan) -> list[Purge]:
    """The purges of a plan."""
    return [action for action in decided.actions if isinstance(action, Purge)]


def gone(decided: Plan) -> list[str]:
    """The paths of the entries that a plan purges, in its order."""
    return [chosen.entry.path for purge in purges(decided) for chosen in purge.entries]


def reasons(decided: Plan) -> dict[str, str]:
    """Why each thing stays, by its path."""
    return {skip.path: skip.reason for skip in decided.skips}


def standing(decided: Plan) -> str:
    """``state: reason`` of the only policy, or of the first."""
    first = decided.standings[0]
    return f"{first.state}: {first.reason}"
