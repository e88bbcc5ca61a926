"""From the facts of an owner's worker to findings. The remedies are written here, for root types them.

A worker may lie, and its owner may change what is on the disk between the look and the remedy. So a command names
nothing but the owner, as the user database does, and a place in the owner's home; it goes there first, looks whether
it is where it meant to be, and follows no link from there on.
"""

import pwd
import shlex
from collections.abc import Iterable, Iterator

from cachewarden.model.caches import Owner
from cachewarden.model.findings import Fact, FactKind, Finding, Severity
from cachewarden.service import shared_remedies

_BY_HAND = "look at it, and give back what sudo left there; no command is offered for a place outside of a home"


def findings(owner: Owner, facts: Iterable[Fact], watches: int | None) -> Iterator[Finding]:
    """What the facts mean. ``watches`` is the kernel's limit of file watches per user, ``None`` for unknown."""
    facts = list(facts)
    yield from shared_remedies.findings(facts)
    for fact in facts:
        match fact.kind:
            case FactKind.HOME_MISSING | FactKind.HOME_CLOSED:
                yield _home(owner, fact)
            case FactKind.STRANGE_KEY:
                yield _strange_key(fact)
            case FactKind.TAKEN_OVER:
                problem = (
                    f"the cache belongs to {_user(fact.uid)}, not to {owner.name}: neither its tool nor"
                    " cachewarden works in it"
                )
                yield _foreign(owner, fact, problem)
            case FactKind.FOREIGN_FILES:
                problem = (
                    f"{fact.count:,} files or folders in it belong to {_user(fact.uid)} or others (left by"
                    f" sudo?), the first is {fact.detail}: they cannot be removed"
                )
                yield _foreign(owner, fact, problem)
            case FactKind.FOLDERS:
                yield from _watches(owner, fact.count, watches)


def _home(owner: Owner, fact: Fact) -> Finding:
    home, name = shlex.quote(owner.home), shlex.quote(owner.name)
    if fact.kind is FactKind.HOME_MISSING:
        return Finding(
            "owner", Severity.NOTE, owner.name, f"the home {owner.home} is not there: nothing of this user is served",
            "mount or make it; or leave the user out with a list under `owners`",
        )  # fmt: skip
    problem = f"the home {owner.home} cannot be opened by its own user: {fact.detail}"
    return Finding("owner", Severity.WARNING, owner.name, problem, f"chown {name}: {home} && chmod u+rwx {home}")


def _strange_key(fact: Fact) -> Finding:
    tool = "pip" if fact.place.endswith("pip.conf") else "conda"
    remedy = f"{fact.nearest!r} is near: correct it" if fact.nearest else "correct or remove it"
    problem = f"{tool} does not know {fact.detail!r} and ignores it"
    return Finding("configuration", Severity.NOTE, fact.place, problem, remedy)


def _foreign(owner: Owner, fact: Fact, problem: str) -> Finding:
    inside = _is_in_home(owner, fact.place)
    remedy = heal(fact.place, owner) if inside else _BY_HAND
    return Finding("files of others", Severity.WARNING, fact.place, problem, remedy)


def _is_in_home(owner: Owner, place: str) -> bool:
    home = owner.home.rstrip("/")
    plain = place.isprintable() and not {"", ".", ".."} & set(place.split("/")[1:])
    return bool(home) and plain and place.startswith(f"{home}/")


def heal(place: str, owner: Owner) -> str:
    """Gives back what is not the owner's, in the very folder that was meant.

    Not what has other names: those may be an environment's, or of somebody whom the owner has linked.
    """
    path = shlex.quote(place)
    return (
        f'(cd -P {path} && [ "$PWD" = {path} ] && find . -xdev ! -uid {owner.uid}'
        f" '(' -type d -o -links 1 ')' -execdir chown -h {owner.uid}:{owner.gid} '{{}}' ';')"
    )


def _watches(owner: Owner, folders: int, watches: int | None) -> Iterator[Finding]:
    if watches is not None and folders > watches:
        yield Finding(
            "file events", Severity.NOTE, owner.name,
            f"the caches have {folders:,} folders and the kernel allows {watches:,} watches per user: changes below"
            " are seen by the regular look only",
            f"sysctl fs.inotify.max_user_watches={max(2 * folders, 65_536)}, and the same line in /etc/sysctl.d",
        )  # fmt: skip


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"
