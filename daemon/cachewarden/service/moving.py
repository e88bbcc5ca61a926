"""What a worker does about an owner's moves: tell them, and run errands about them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cachewarden.discover import discover
from cachewarden.ecosystems.base import Context, Surroundings
from cachewarden.ecosystems.registry import ECOSYSTEMS
from cachewarden.model.policies import ExtraCache
from cachewarden.model.relocations import Moved, MoveOrder, MoveProgress, Phase, Presence, RelocationSeen
from cachewarden.relocate.records import Records
from cachewarden.system.clock import SystemClock
from cachewarden.system.files import RealFiles
from cachewarden.system.ports import Processes
from cachewarden.system.processes import RealProcesses

if TYPE_CHECKING:
    from cachewarden.relocate.estate import Estate
    from cachewarden.service.worker import Whom

_TOOLS_ENVIRONMENT = ("PIP_", "CONDA", "MAMBA", "XDG_", "LANG", "LC_")
_PATH = "/usr/local/bin:/usr/bin:/bin"


def seen(surroundings: Surroundings, records: Records) -> tuple[RelocationSeen, ...]:
    """The owner's moves as they stand."""
    if not records.any():
        return ()
    from cachewarden.relocate import estate

    return estate.seen(surroundings, records, SystemClock().now())


def left_there(moves: Iterable[RelocationSeen]) -> tuple[ExtraCache, ...]:
    """Destinations that are here and not in use just now: what is on them may still have to be purged."""
    return tuple(
        ExtraCache(each.ecosystem, each.new)
        for each in moves
        if each.phase is Phase.AWAY and each.presence not in (Presence.MISSING, Presence.FAILING)
    )


def move(
    whom: "Whom",
    order: MoveOrder,
    *,
    may_go_on: Callable[[], bool],
    progress: Callable[[MoveProgress], None],
    records: Records | None = None,
    processes: Processes | None = None,
) -> tuple[Moved, ...]:
    """Runs an errand with the rights of this process. Where it may lead was said by who started the worker.

    ``records``: another journal than the owner's own; ``processes``: of another machine than this one.
    """
    if whom.destinations is not None and order.to and order.to.rstrip("/") not in whom.destinations:
        why = f"neither a policy nor a command names {order.to} as a destination"
        return (Moved(order.cache, order.to, Phase.OVER, why, error=why, refused=True),)
    if whom.destinations is not None and order.shared_group and order.shared_group not in whom.groups:
        why = f"no command names {order.shared_group} as a group to share with"
        return (Moved(order.cache, order.to, Phase.OVER, why, error=why, refused=True),)
    from cachewarden.relocate import errands

    own = replace(_estate(whom, may_go_on, progress, processes or RealProcesses()), patience=order.patience)
    return errands.run(replace(own, records=records) if records else own, order)


def _estate(
    whom: "Whom", may_go_on: Callable[[], bool], progress: Callable[[MoveProgress], None], processes: Processes
) -> "Estate":
    from cachewarden.relocate.estate import Estate
    from cachewarden.system import runner

    files = RealFiles(whom.owner)
    surroundings = Surroundings(whom.owner, whom.environ, files)
    moves = seen(surroundings, whom.records)
    found = discover(surroundings, (*whom.extras, *left_there(moves)))
    now = SystemClock().now()
    located = dict(zip((each.name for each in ECOSYSTEMS), found.located, strict=True))
    contexts = {name: Context(surroundings, each, processes, now) for name, each in located.items()}
    environ = _tools_environment(whom.owner.home, whom.owner.name, whom.environ)

    def ask(arguments: tuple[str, ...]) -> str | None:
        if not whom.asks:
            return None  # then our own reading of the configuration counts alone
        try:
            program = files.trusted_path(arguments[0])
        except OSError:
            return None
        return runner.ask_own((program, *arguments[1:]), environ)

    caches = tuple(each.cache for each in found.caches)
    placed = whom.destinations is not None
    return Estate(surroundings, tuple(ECOSYSTEMS), contexts, caches, whom.records, ask, may_go_on, progress, placed)


def _tools_environment(home: str, name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What a tool is asked with: that of a login, with all that may say where its cache is."""
    own = {key: value for key, value in environ.items() if key.startswith(_TOOLS_ENVIRONMENT)}
    return {
        "LANG": "C.UTF-8",
        **own,
        "HOME": environ.get("HOME") or home,
        "USER": name,
        "LOGNAME": name,
        "PATH": _PATH,
    }


def tame(moved: Moved, short: Callable[[str], str]) -> Moved:
    """Texts quote what was found, which may be of any length."""
    prospect = moved.prospect and replace(
        moved.prospect,
        refusal=short(moved.prospect.refusal),
        warnings=tuple(short(each) for each in moved.prospect.warnings),
    )
    notes = tuple(short(each) for each in moved.notes)
    return replace(moved, text=short(moved.text), error=short(moved.error), notes=notes, prospect=prospect)
