"""The documented JSON, ``schema: 1``: bytes as integers, times as RFC 3339 in UTC, paths absolute.

Keys may be added, never renamed. Text that is no UTF-8 (lone surrogates of file names) is escaped as ``\\udcXX``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from cachewarden.cli import figures
from cachewarden.cli.render import forecast as forecasts
from cachewarden.cli.render import moves, regaining
from cachewarden.cli.render.words import where
from cachewarden.decide.ledger import by_device
from cachewarden.model.caches import Cache, Entry, Filesystem, MeasuredCache, Problem, Snapshot
from cachewarden.model.findings import Finding, Mended
from cachewarden.model.forecasts import Forecast
from cachewarden.model.plans import Action, Chosen, CycleRecord, Outcome, Plan, Purge, RemovedEntry
from cachewarden.model.relocations import Moved, Prospect, RelocationSeen
from cachewarden.model.units import Instant, rfc3339
from cachewarden.model.watching import Reach
from cachewarden.system.memory import PastCycle, PastMove, PastRemoval

Document = Mapping[str, object]
SCHEMA = {"schema": 1}


def text(document: Document, *, pretty: bool) -> str:
    """ASCII only, whatever the names."""
    return json.dumps(document, ensure_ascii=True, indent=2 if pretty else None)


def status(snapshot: Snapshot, plan: Plan, forecast: Forecast | None = None, reach: Reach | None = None) -> Document:
    """What is there, how the policies stand, and what is to be expected."""
    filesystems = by_device(snapshot)
    return {
        **SCHEMA,
        "taken_at": rfc3339(snapshot.taken_at),
        "caches": [_cache(each, filesystems.get(each.device)) for each in snapshot.caches],
        "filesystems": [_filesystem(each) for each in snapshot.filesystems],
        "quotas": [
            {"owner": owner, "mount": mount, "limit_bytes": quota.limit, "used_bytes": quota.used}
            for owner, mount, quota in figures.quotas(snapshot)
        ],
        "policies": _policies(plan),
        "forecast": forecasts.document(forecast),
        "relocations": [_relocation(each) for each in snapshot.relocations],
        "problems": _problems(snapshot.problems),
        "watching": _watching(snapshot, reach) if reach else None,
    }


def _watching(snapshot: Snapshot, reach: Reach) -> Document:
    """How the running service watches each cache that there is now."""
    return {
        "since": rfc3339(reach.since),
        "caches": [
            {
                "owner": cache.cache.owner.name,
                "path": cache.cache.path,
                "extent": each.extent.value,
                "opens": each.opens,
                "reason": each.why.value if each.why else None,
            }
            for cache, each in figures.watched(snapshot.caches, reach)
        ],
    }


def _relocation(each: RelocationSeen) -> Document:
    return {
        "ecosystem": each.ecosystem,
        "owner": each.owner,
        "from": each.old,
        "to": each.new,
        "method": each.method.value,
        "phase": each.phase.value,
        "unfinished": each.unfinished,
        "disk": each.presence.value,
        "begun_at": rfc3339(each.begun),
        "reason": each.why or None,
    }


def _cache(measured: MeasuredCache, filesystem: Filesystem | None) -> Document:
    whole = figures.of_cache(measured)
    return {
        "ecosystem": measured.cache.ecosystem,
        "owner": measured.cache.owner.name,
        "path": measured.cache.path,
        "source": measured.cache.source,
        "filesystem": filesystem.mount if filesystem else None,
        "size_bytes": whole.size,
        "frees_bytes": whole.frees,
        **_beyond(whole),
        "entries": whole.entries,
        "walked_at": None if measured.verified is None else rfc3339(measured.verified),
        "kinds": {
            kind.value: {
                "entries": each.entries,
                "size_bytes": each.size,
                "frees_bytes": each.frees,
                **_beyond(each),
            }
            for kind, each in figures.by_kind(measured).items()
        },
    }


def _beyond(told: figures.Figures | Entry | Purge) -> dict[str, object]:
    """The upper bound of what comes back, and what comes back only when processes close it."""
    return {"frees_at_most_bytes": told.frees + told.maybe, "held_open_bytes": told.held_open}


def _filesystem(filesystem: Filesystem) -> Document:
    return {
        "mount": filesystem.mount,
        "type": filesystem.type,
        "total_bytes": filesystem.total,
        "free_bytes": filesystem.free,
        "inodes_total": filesystem.inodes_total,
        "inodes_free": filesystem.inodes_free,
        "access_times": figures.access_times(filesystem),
    }


def _policies(plan: Plan) -> list[Document]:
    return [{"name": each.policy, "state": each.state.value, "reason": each.reason} for each in plan.standings]


def _problems(problems: Iterable[Problem]) -> list[Document]:
    return [{"path": each.path, "reason": each.reason} for each in problems]


def plan(taken_at: Instant, decided: Plan, problems: Iterable[Problem]) -> Document:
    """What is to be done, what stays, and what will be wanting."""
    return {
        **SCHEMA,
        "taken_at": rfc3339(taken_at),
        "actions": [_action(each) for each in decided.actions],
        "skips": [{"path": each.path, "reason": each.reason} for each in decided.skips],
        "shortfall_bytes": decided.shortfall,
        "shortfalls": [
            {"policy": each.policy, "place": each.place, "bytes": each.lacks, "inodes": each.lacks_inodes}
            for each in decided.shortfalls
        ],
        "policies": _policies(decided),
        "problems": _problems(problems),
    }


def _action(action: Action) -> Document:
    common: dict[str, object] = {
        "policy": action.policy,
        "action": "purge" if isinstance(action, Purge) else "relocate",
        "ecosystem": action.cache.ecosystem,
        "owner": action.cache.owner.name,
        "cache": action.cache.path,
    }
    figures_of: dict[str, object] = {"frees_bytes": action.frees, "reason": action.reason}
    if isinstance(action, Purge):
        figures_of |= _beyond(action)
        return {**common, **figures_of, "entries": [_chosen(action.cache, each) for each in action.entries]}
    return {**common, "to": action.to, **figures_of, "entries": [], **_prospect(action.prospect)}


def _prospect(known: Prospect | None) -> dict[str, object]:
    if known is None:
        return {}
    return {
        "method": known.method.value,
        "copies_bytes": known.contents,
        "copies_files": known.files,
        "room_bytes": known.room,
        "config": known.config or None,
        "warnings": list(known.warnings),
    }


def prospect(moved: Moved) -> Document:
    """What a move would mean, or why it cannot be."""
    known = moved.prospect
    return {
        **SCHEMA,
        "cache": known.source if known else moved.source,
        "to": (known and known.destination) or moved.destination,
        "possible": not moved.error,
        "busy": moved.busy,
        "reason": moved.error or None,
        "frees_bytes": known.frees if known else 0,
        **_prospect(known),
    }


def _chosen(cache: Cache, chosen: Chosen) -> Document:
    """``frees_bytes`` of this entry alone; ``adds_bytes`` of it after those before it."""
    return {**_entry(cache, chosen.entry), "adds_bytes": chosen.adds, "reason": chosen.reason}


def _entry(cache: Cache, entry: Entry) -> dict[str, object]:
    return {
        "path": where(cache, entry.path),
        "kind": entry.kind.value,
        "name": entry.name,
        "version": entry.version,
        "size_bytes": entry.size,
        "frees_bytes": entry.frees,
        **_beyond(entry),
        "last_used": rfc3339(entry.last_used),
    }


def done(record: CycleRecord) -> Document:
    """A cycle: the plan's fields, and what came of it."""
    return {
        **plan(record.started_at, record.plan, record.problems),
        "outcomes": [_outcome(each) for each in record.outcomes],
        "freed_bytes": record.freed,
        "freed_at_most_bytes": record.freed + record.maybe,
        "held_open_bytes": record.held_open,
        "filesystems": _before_and_after(record.before, record.after),
        "cycle": record.id,
    }


def _outcome(outcome: Outcome) -> Document:
    return {
        "policy": outcome.policy,
        "action": outcome.action,
        "cache": outcome.cache.path,
        "freed_bytes": outcome.freed,
        "freed_at_most_bytes": outcome.freed + outcome.maybe,
        "held_open_bytes": outcome.held_open,
        "held_open_by": [{"pid": each.pid, "name": each.name, "bytes": each.size} for each in outcome.holders],
        "removed_entries": len(outcome.removed),
        "failures": [
            {"path": where(outcome.cache, each.path), "error": each.error, "busy": each.busy}
            for each in outcome.failures
        ],
        "incomplete": outcome.incomplete,
        "removed": [_removed(outcome.cache, each) for each in outcome.removed],
        **_moved(outcome.moved),
    }


def _moved(moved: Moved | None) -> dict[str, object]:
    if moved is None:
        return {}
    return {
        "from": moved.source,
        "to": moved.destination,
        "phase": moved.phase.value,
        "copied_bytes": moved.copied,
        "text": moved.text,
        "notes": list(moved.notes),
    }


def _removed(cache: Cache, gone: RemovedEntry) -> Document:
    return {
        "path": where(cache, gone.path),
        "kind": gone.kind.value,
        "name": gone.name,
        "version": gone.version,
        "freed_bytes": gone.freed,
        "freed_at_most_bytes": gone.freed + gone.maybe,
        "held_open_bytes": gone.held_open,
        "reason": gone.reason,
    }


def _before_and_after(before: Sequence[Filesystem], after: Sequence[Filesystem]) -> list[Document]:
    later = {each.device: each.free for each in after}
    return [
        {
            "mount": each.mount,
            "free_before_bytes": each.free,
            "free_after_bytes": later.get(each.device, each.free),
        }
        for each in before
    ]


def listing(found: Iterable[tuple[MeasuredCache, Entry]]) -> Document:
    """Entries with the cache that they are in."""
    return {**SCHEMA, "entries": [listed(cache.cache, entry) for cache, entry in found]}


def listed(cache: Cache, entry: Entry) -> Document:
    return {
        "ecosystem": cache.ecosystem,
        "owner": cache.owner.name,
        "cache": cache.path,
        **_entry(cache, entry),
        "hold": entry.hold,
        "last_used_by": None if entry.last_used is None else entry.signal.value,
    }


def history(cycles: Iterable[PastCycle], past: Sequence[PastMove]) -> Document:
    """The latest first."""
    open_moves = {id(each) for each in moves.unfinished(past)}
    return {
        **SCHEMA,
        "cycles": [
            {
                "started_at": rfc3339(each.started_at),
                "finished_at": rfc3339(each.finished_at),
                "trigger": each.trigger,
                "freed_bytes": each.freed,
                "actions": each.actions,
                "failures": each.failures,
                "id": each.id,
            }
            for each in cycles
        ],
        "moves": [
            {
                "at": rfc3339(each.at),
                "policy": each.policy,
                "ecosystem": each.ecosystem,
                "owner": each.owner,
                "from": each.source,
                "to": each.destination,
                "phase": each.phase,
                "unfinished": id(each) in open_moves,
                "copied_bytes": each.copied,
                "freed_bytes": each.freed,
                "text": each.text,
                "cycle": each.cycle,
            }
            for each in past
        ],
    }


def gone(removal: PastRemoval) -> Document:
    """An entry that went, when and why."""
    return {
        "path": removal.path,
        "at": rfc3339(removal.at),
        "policy": removal.policy,
        "ecosystem": removal.ecosystem,
        "owner": removal.owner,
        "name": removal.name,
        "version": removal.version,
        "freed_bytes": removal.freed,
        "reason": removal.reason,
        "cycle": removal.cycle,
        "kind": removal.kind or None,
        **regaining.document(removal),
    }


def fixed(done: Iterable[Mended], failed: Iterable[Problem]) -> dict[str, object]:
    """What ``doctor --fix`` did, beside the findings that are left."""
    return {
        "fixed": [
            {
                "path": each.path,
                "folders": each.folders,
                "files": each.files,
                "left": each.left,
                "linked": each.linked,
                "reason": each.why or None,
            }
            for each in done
        ],
        "problems": _problems(failed),
    }


def findings(found: Iterable[Finding]) -> dict[str, object]:
    """What stands in the way."""
    return {
        **SCHEMA,
        "findings": [
            {
                "check": each.check,
                "severity": each.severity.value,
                "subject": each.subject,
                "problem": each.problem,
                "remedy": each.remedy,
            }
            for each in found
        ],
    }
