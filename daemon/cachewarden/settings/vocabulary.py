"""The words of the language and their meanings, for people."""

from cachewarden.ecosystems import registry
from cachewarden.model.caches import Kind
from cachewarden.model.policies import ActionKind, Offline, Order, SpaceOf
from cachewarden.model.relocations import Method

KINDS_OF = {ecosystem.name: ecosystem.kinds for ecosystem in registry.ECOSYSTEMS}
"""Each ecosystem's kinds, cheapest to lose first."""

ECOSYSTEMS = {name: f"Caches of {name} and of what shares them." for name in KINDS_OF}

KINDS = {
    Kind.DEBRIS: "Left-overs of interrupted writes; nobody misses them.",
    Kind.LOG: "conda's logs.",
    Kind.INDEX: "Cached index pages, package metadata and repodata; fetched again when needed.",
    Kind.DOWNLOAD: "Wheels and source archives that pip downloaded.",
    Kind.TARBALL: "Archives that conda downloaded.",
    Kind.PACKAGE: "conda packages that are unpacked and used by no environment.",
    Kind.BUILT_WHEEL: "Wheels that pip built on this machine: minutes to hours to get back.",
}

ORDERS = {
    Order.CHEAPEST_FIRST: "What costs least to lose goes first: the time to get it back, times the chance that it is "
    "wanted again, for each byte freed (docs/judgement.md).",
    Order.LEAST_RECENTLY_USED: "What was not used for the longest time goes first.",
    Order.OLDEST: "What was written first goes first.",
    Order.LARGEST: "What frees most goes first.",
}

OFFLINE = {
    Offline.AS_USUAL: "They may go, at a price: what would have to be downloaded goes last.",
    Offline.KEEP_DOWNLOADS: "Nothing goes that only the network brings back.",
}

ACTIONS = {
    ActionKind.PURGE: "Remove entries until the marks are reached.",
    ActionKind.RELOCATE: "Move the cache to `to` and point the tool there.",
    ActionKind.REPORT: "Only say so.",
}

SPACES = {
    SpaceOf.FILESYSTEM: "What an ordinary user can get of the filesystem that the cache is on.",
    SpaceOf.QUOTA: "What is left of the owner's quota of blocks there; an owner without one is left alone.",
}

METHODS = {
    Method.CONFIG: "The tool's configuration names the new place; comments and all else in it stay.",
    Method.SYMLINK: "A symbolic link at the old place leads to the new one.",
}

OTHERWISE = {kind: ACTIONS[kind] for kind in (ActionKind.PURGE, ActionKind.REPORT)}
