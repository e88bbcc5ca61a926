"""Destinations that only root can make: a worker of a kind of its own makes the folder, and nothing else.

Whom it may be for the launcher knows, and where it may be the launcher's own configuration: a service that was taken
over can have a folder made that would be made anyway.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from cachewarden.ecosystems.base import Surroundings
from cachewarden.ecosystems.trees import reason
from cachewarden.model.errors import RefusedError, WorkerError
from cachewarden.model.relocations import Moved
from cachewarden.relocate import places
from cachewarden.service.wire import Message
from cachewarden.system.files import RealFiles
from cachewarden.system.placing import give_folder

if TYPE_CHECKING:
    from cachewarden.service.worker import Whom


def place(whom: "Whom", to: object) -> str:
    """Makes a destination of the owner's as uid 0; why it did not, empty when the folder is there now."""
    if not isinstance(to, str) or whom.destinations is None or to not in whom.destinations:
        return "neither a policy nor a command names it as a destination"
    if whom.owner.uid == 0 or "/" in whom.owner.name or whom.owner.name in {"", ".", ".."}:
        return "its owner has no place of that kind"
    surroundings = Surroundings(whom.owner, {}, RealFiles())
    if why := places.no_place_of_roots(surroundings, to):
        return why
    try:
        give_folder(to, whom.owner, elsewhere=places.is_for_disks(to))
    except RefusedError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or to}: {reason(error)}"
    return ""


def hear_placed(hear: Callable[[], Message]) -> str:
    """The answer of such a worker, as ``place`` gives it; WorkerError for any other word."""
    word, value = hear()
    if word != "placed":
        raise WorkerError(f"an unexpected word, {word[:80]!r}")
    return str(value)


def wants_root(moved: Iterable[Moved]) -> bool:
    """Whether all is in order but that root has to make the destination first."""
    return any(each.refused and each.prospect is not None and each.prospect.rooted for each in moved)


def refused(moved: Iterable[Moved], why: str) -> tuple[Moved, ...]:
    """The answers to an errand, with the reason why root did not make the folder either."""
    return tuple(replace(each, error=f"{each.error}; root did not make it: {why}") for each in moved)
