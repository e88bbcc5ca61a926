"""What an entry of a pip cache is worth: when it was really used last, and what it takes to get it back.

Last use is the latest of what can be seen: it was written, it was read (where the mount says so), or its package was
installed after it came (``pip_environments``). None of them is ever later than the truth.
"""

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cachewarden.ecosystems import pip_environments
from cachewarden.ecosystems.base import Context
from cachewarden.ecosystems.direct_url import Origin
from cachewarden.ecosystems.interpreters import Tag, is_orphan, tags_of_python
from cachewarden.ecosystems.pip_environments import Environments, Install
from cachewarden.ecosystems.pip_http import read_tags
from cachewarden.ecosystems.pip_names import Named
from cachewarden.ecosystems.pip_shards import Clues, Draft, Worth
from cachewarden.model.caches import Cache, Kind, is_private
from cachewarden.model.units import NANOSECONDS, Bytes, Instant, Seconds
from cachewarden.model.worth import Facts, Regain, Signal
from cachewarden.system.ports import Folder

MOST_USES = 1_000
MOST_TAGS_READ = 2_000
"""Downloads of one cache that are asked which Python they are for: where the index did not say."""
SHORTEST_BUILD, LONGEST_BUILD = Seconds(1), Seconds(6 * 3600)
"""What is believed of a build's time stamps: a copied tree gives nothing, a second attempt days later too much."""
FIRST_INSTALL = 3600 * NANOSECONDS
"""An installation that follows so soon is the one for which it was cached: no use again."""
_PURE_BUILD = 5
_COMPILED_BUILD, _COMPILED_PER_MIB = 60, 60
_LONGEST_GUESS = 2 * 3600
_MIB = 1 << 20
_NOTHING = Facts(Regain.NOTHING)


def estimated_build(size: int, *, compiled: bool) -> Seconds:
    """Seconds, where no time stamp tells: 5 for pure Python; else a minute, and one per MiB of source, up to 2 h.

    ``size`` is that of the sdist, or of the wheel where that is not known. A rule of thumb for a laptop; small boards
    take a multiple, as they do for all wheels alike.
    """
    if not compiled:
        return Seconds(_PURE_BUILD)
    return Seconds(min(_COMPILED_BUILD + _COMPILED_PER_MIB * size // _MIB, _LONGEST_GUESS))


def measured_build(draft: Draft, sdist: int | None = None) -> Seconds | None:
    """How long building a wheel took, by what pip left behind; ``None`` where that is not to be believed.

    pip makes ``wheels/aa/bb/cc/<key>`` when the build begins (``wheel_builder._build_one``), which moves the mtime of
    ``cc``; the wheel's own is the end. With a second key in ``cc`` its time is another's. Getting the build's own
    dependencies is not in it. Backends that know no metadata without a build (meson-python) build before that, and
    the wheel is copied with its time (``pyproject_hooks/_in_process``): then from when the ``sdist`` came, in ns.
    """
    shard = draft.shard
    if shard.parent is None or shard.entries != 1 or shard.strangers:
        return None
    began = shard.modified
    if began > draft.clues.cached and sdist is not None:
        began = sdist
    took = Seconds((draft.clues.cached - began) // NANOSECONDS)
    return took if SHORTEST_BUILD <= took <= LONGEST_BUILD else None


def appraise(drafts: list[Draft], cache: Cache, folder: Folder, context: Context) -> Iterator[tuple[Draft, Worth]]:
    """Each draft of a whole cache with its worth, taken out of ``drafts``; ``folder`` is its open root."""
    known = _Knowledge.of(drafts, context, private=_is_one_users(cache, folder))
    appraiser = _Appraiser(known, folder, tracks=_tracks_access(folder, context))
    drafts.reverse()
    while drafts:
        draft = drafts.pop()
        yield draft, appraiser.worth(draft)


def _is_one_users(cache: Cache, folder: Folder) -> bool:
    """Others' pips use it only if they may write to it (``utils/filesystem.check_path_owner``)."""
    return is_private(cache) or not folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _tracks_access(cache: Folder, context: Context) -> bool:
    """Whether reading moves the access time here; where that cannot be told it is not believed."""
    try:
        return context.surroundings.files.mount_of(cache.path).tracks_atime
    except OSError:
        return False


def _is_wanted(draft: Draft) -> bool:
    return draft.kind in {Kind.DOWNLOAD, Kind.BUILT_WHEEL} and bool(draft.named.name and draft.named.version)


@dataclass(frozen=True, slots=True)
class _Knowledge:
    """What is to be known of all entries before one can be judged.

    ``built``: when the wheels of a distribution came, that were built here; ``sources``: sdists by their key in the
    cache; ``named_sources``: the same by name.
    """

    environments: Environments
    installs: dict[Named, list[Install]]
    built: dict[Named, list[int]]
    sources: dict[str, Clues]
    named_sources: dict[Named, Clues]

    @classmethod
    def of(cls, drafts: list[Draft], context: Context, *, private: bool) -> "_Knowledge":
        wanted: dict[Named, Instant] = {}
        built: dict[Named, list[int]] = {}
        sources: dict[str, Clues] = {}
        named_sources: dict[Named, Clues] = {}
        for draft in filter(_is_wanted, drafts):
            cached, named = Instant(draft.clues.cached), draft.named
            wanted[named] = min(cached, wanted.get(named, cached))
            if draft.kind is Kind.BUILT_WHEEL:
                built.setdefault(named, []).append(cached)
            elif draft.clues.source:
                sources[draft.names[0]] = named_sources[named] = draft.clues
        if not wanted:
            return cls(Environments(), {}, built, sources, named_sources)
        environments = context.look.once(pip_environments.find, context)
        if not private:  # others install from it too, into what this owner does not see, by Pythons of their own
            environments = replace(environments, pythons=frozenset(), whole=False)
        installs = environments.installs(context.surroundings.files, wanted, context.now)
        return cls(environments, installs, built, sources, named_sources)


class _Appraiser:
    """Judges the entries of one cache one by one; equal facts are one object."""

    def __init__(self, known: _Knowledge, cache: Folder, *, tracks: bool) -> None:
        self._known = known
        self._cache = cache
        self._tracks = tracks
        self._facts: dict[Facts, Facts] = {}
        self._may_read = MOST_TAGS_READ

    def worth(self, draft: Draft) -> Worth:
        """All that is known of one entry."""
        modified, accessed = draft.tally.modified, draft.tally.accessed
        last, signal = max(modified, accessed), Signal.WRITTEN
        if accessed > modified and self._tracks:
            signal = Signal.ACCESSED
        if not _is_wanted(draft):
            return Worth(Instant(last), signal, self._one(_plain_facts(draft)))
        uses = self._uses(draft)
        if uses and max(uses) > last:
            last, signal = max(uses), Signal.INSTALLED
        return Worth(Instant(last), signal, self._one(self._judge(draft, uses)))

    def _one(self, facts: Facts) -> Facts:
        return self._facts.setdefault(facts, facts)

    def _uses(self, draft: Draft) -> list[int]:
        """Times at which it was used after it came. An sdist of which wheels were built here serves for building."""
        cached = draft.clues.cached
        built = self._known.built.get(draft.named) if draft.clues.source else None
        if built:
            return [each for each in built if each > cached]
        installs = self._known.installs.get(draft.named, ())
        return [each.at for each in installs if each.at > cached and _is_of(each.origin, draft)]

    def _judge(self, draft: Draft, uses: list[int]) -> Facts:
        first = bool(uses) and min(uses) - draft.clues.cached <= FIRST_INSTALL
        again = min(len(uses) - first, MOST_USES)
        installed = self._known.environments.has(draft.named)
        orphan = is_orphan(self._tags(draft), self._known.environments.pythons)
        if draft.kind is Kind.DOWNLOAD:
            fetch = Bytes(draft.clues.fetch) if draft.clues.fetch is not None else None
            return Facts(Regain.DOWNLOAD, fetch, uses=again, installed=installed, orphan=orphan)
        sdist = self._sdist(draft)
        source = sdist.fetch if sdist else None
        first_built = min(self._known.built[draft.named]) == draft.clues.cached
        took = measured_build(draft, sdist.cached if sdist and first_built else None)
        compiled = any(tag.abi != "none" for tag in draft.clues.tags)
        origin = draft.clues.origin
        return Facts(
            regain=Regain.NEVER if origin and origin.is_out_of_reach() else Regain.BUILD,
            fetch=None if source is None else Bytes(source),
            build=took or estimated_build(source or draft.tally.size, compiled=compiled),
            measured=took is not None,
            uses=again,
            installed=installed,
            orphan=orphan,
        )

    def _sdist(self, draft: Draft) -> Clues | None:
        """That which a wheel was built from, while the cache has it: by its URL, else by its name."""
        origin = draft.clues.origin
        by_url = self._known.sources.get(key_of(origin.url)) if origin else None
        return by_url or self._known.named_sources.get(draft.named)

    def _tags(self, draft: Draft) -> tuple[Tag, ...]:
        """Of a download only where it could be an orphan: asking each wheel itself would read all of the cache.

        The index says which Python a file is for, and not that it is ``abi3``; the wheel says both.
        """
        clues = draft.clues
        if not clues.wheel:
            return clues.tags
        if clues.python and not is_orphan(tags_of_python(clues.python), self._known.environments.pythons):
            return ()
        self._may_read -= 1
        return read_tags(self._cache, draft) if self._may_read >= 0 else ()


def _plain_facts(draft: Draft) -> Facts:
    """Of what no environment can tell: left-overs, index pages, and what has no name."""
    if draft.kind is Kind.DEBRIS:
        return _NOTHING
    if draft.kind is Kind.BUILT_WHEEL:
        return Facts(Regain.BUILD)
    return Facts(Regain.DOWNLOAD, None if draft.clues.fetch is None else Bytes(draft.clues.fetch))


def key_of(url: str) -> str:
    """The name of a URL's entry in ``http`` and ``http-v2`` (CacheControl's ``FileCache.encode``)."""
    return hashlib.sha224(url.partition("#")[0].encode("utf-8", "replace")).hexdigest()


def _is_of(origin: Origin | None, draft: Draft) -> bool:
    """Whether what was installed is this entry: from an index by name and version, else by the very URL or hash."""
    if origin is None:
        return True
    if draft.kind is Kind.DOWNLOAD:
        return draft.names[0] == key_of(origin.url)
    own = draft.clues.origin
    return own is not None and (own.url == origin.url or (own.sha256 is not None and own.sha256 == origin.sha256))
