"""Which package cache each conda of an owner fills now, and the edit that makes them fill another.

By conda's own rules, see ``conda_config``. An edit is tried on an overlay first: it is handed out only when every
tool that used the old folder then uses the new one.
"""

import os
from collections.abc import Iterator, Sequence

from cachewarden.ecosystems import condarc_edit
from cachewarden.ecosystems.base import Edit, InForce, Surroundings
from cachewarden.ecosystems.conda_config import Base, Search, merged, search_of
from cachewarden.ecosystems.condarc import Condarc, Item
from cachewarden.ecosystems.overlay import with_edit
from cachewarden.ecosystems.repointing import OTHERWISE, as_text, check_destination, file_behind, is_same, read_whole
from cachewarden.model.errors import RefusedError

_LIMIT = 256 * 1024


def in_force(surroundings: Surroundings) -> tuple[InForce, ...]:
    """Of every installation, and of conda without one where its own folder is there; never raises."""
    return _answers(surroundings, None)


def _answers(surroundings: Surroundings, to_be_made: str | None) -> tuple[InForce, ...]:
    """``to_be_made`` counts as writable: a destination may be one that only root can make for the owner."""
    search, bases, variables = search_of(surroundings)
    return tuple(each for base in _or_none(bases) for each in _of_base(search, base, variables, to_be_made))


def _or_none(bases: Sequence[Base]) -> Sequence[Base | None]:
    """conda without a known installation counts where there is none that is known."""
    return bases or (None,)


def _of_base(search: Search, base: Base | None, variables: Condarc, to_be_made: str | None) -> Iterator[InForce]:
    conda, mamba = search.sources(base, variables)
    items = merged(conda)
    name = f" of {base.path}" if base else ""
    first = [f"{base.path}/pkgs"] if base else []
    defaults, mambas = [*first, f"{search.home}/.conda/pkgs"], [*first, f"{search.home}/.mamba/pkgs"]
    if items or base or search.is_folder(defaults[-1]):
        yield _first(search, f"conda{name}", items, defaults, to_be_made)
    if any("pkgs_dirs" in source.lists for source in mamba):
        yield _first(search, f"mamba{name}", _of_mamba(base, conda, mamba, variables), mambas, to_be_made)
    elif not items and search.is_folder(mambas[-1]):
        # mamba's second default is another than conda's (``fallback_pkgs_dirs_hook``); a condarc speaks to both.
        own = _first(search, f"mamba{name}", items, mambas, to_be_made)
        if own.path == mambas[-1]:
            yield own


def _of_mamba(
    base: Base | None, conda: Sequence[Condarc], mamba: Sequence[Condarc], variables: Condarc
) -> tuple[Item, ...]:
    """A user's mambarc comes before all condarcs, a system-wide one behind (``compute_default_rc_sources``)."""
    system = {"/etc/conda/.mambarc", "/var/lib/conda/.mambarc", *([f"{base.path}/.mambarc"] if base else [])}
    weak = [source for source in mamba if source.path in system]
    strong = [source for source in mamba if source.path not in system]
    return (*merged([variables]), *merged(strong), *merged(conda), *merged(weak))


def _first(
    search: Search, tool: str, items: Sequence[Item], defaults: Sequence[str], to_be_made: str | None
) -> InForce:
    """The first folder that can be written gets the downloads (``core/package_cache_data.py:first_writable``)."""
    named = [(path, item) for item in items if (path := search.named(item))]
    if named:
        writable = (each for each in named if each[0] == to_be_made or _writable(search, each[0]))
        path, item = next(writable, named[0])
        return InForce(tool, path, item.place, item.source)
    if items:
        return InForce(tool, None, items[0].place, f"{items[0].source}, which cannot be followed")
    path = next((each for each in defaults if _writable(search, each)), defaults[-1])
    return InForce(tool, search.folder(path, search.home), "", "the default")


def _writable(search: Search, path: str) -> bool:
    files = search.surroundings.files
    while path != "/" and files.stat(path) is None:
        path = os.path.dirname(path)
    return files.may_write(path)


def point(surroundings: Surroundings, old: str, new: str, *, keep: bool) -> Edit:
    """See ``base.Ecosystem.point``."""
    check_destination(new, surroundings)
    if "$" in new or new.startswith("~") or "," in new:
        raise RefusedError(f"{new!r} cannot be named in a condarc: conda gives '$', '~' and ',' a meaning")
    search, bases, variables = search_of(surroundings)
    before = in_force(surroundings)
    users = [each for each in before if each.path and is_same(surroundings.files, each.path, old)]
    if not users:
        told = (
            "; ".join(f"{each.tool}: {each.path or 'none'} by {each.where}" for each in before) or "no conda is here"
        )
        raise RefusedError(f"no conda of {surroundings.owner.name} fills {old} now ({told}); name the one in use")
    path = file_behind(surroundings.files, _file_to_edit(search, bases, users, old))
    data = read_whole(surroundings.files, path, _LIMIT)
    text = as_text(data or b"", path)
    try:
        own = condarc_edit.items_of(text)
        olds = [each for each in own if _means(search, each, old)]
        lost = _would_be_lost(search, bases, variables, path, old)
        first = [new, *([olds[0] if olds else old] if keep else []), *lost]
        edited = condarc_edit.with_items(text, first, [] if keep else olds)
    except ValueError as error:
        raise RefusedError(f"{path} {error}; {OTHERWISE}") from None
    _refuse_what_cannot_be_known(search)
    edit = Edit(path, data, edited.encode())
    _refuse_what_overrides(with_edit(surroundings, edit), users, edit, new)
    return edit


def _means(search: Search, text: str, path: str) -> bool:
    named = search.named(Item(text, "", ""))
    return named is not None and is_same(search.surroundings.files, named, path)


def _file_to_edit(search: Search, bases: Sequence[Base], users: Sequence[InForce], old: str) -> str:
    """The file that decides now, where it is the user's or an installation's; else what ``conda config`` edits.

    A default of an installation outside of the home is everybody's: there ``conda config --system`` is meant.
    """
    place = users[0].place
    if place.startswith((f"{search.home}/", *(f"{base.path}/" for base in bases))):
        return place
    if place.startswith("/") and search.surroundings.owner.uid == 0 and not f"{old}/".startswith(f"{search.home}/"):
        raise RefusedError(f"{users[0].where} names {old} for everybody: change it there, {OTHERWISE}")
    for base in bases:
        if is_same(search.surroundings.files, f"{base.path}/pkgs", old) and _is_everybodys(search, base):
            return f"{base.path}/.condarc"
    return f"{search.home}/.condarc"


def _is_everybodys(search: Search, base: Base) -> bool:
    return not f"{base.path}/".startswith(f"{search.home}/")


def _would_be_lost(search: Search, bases: Sequence[Base], variables: Condarc, path: str, old: str) -> dict[str, None]:
    """The first ``pkgs_dirs`` that an installation reads makes conda and mamba forget their defaults: those stay.

    In a file of everybody's that is ``~/.conda/pkgs``, there or not: users who cannot write to the new folder would
    have none left that they can (NoWritablePkgsDirError).
    """
    shared = [base for base in bases if _is_everybodys(search, base) and path.startswith(f"{base.path}/")]
    found: dict[str, None] = {}
    for base in _or_none(shared or bases):
        if merged(search.sources(base, variables)[0]):
            continue
        own = [f"{base.path}/pkgs"] if base else []
        for each in [*own, f"{search.home}/.conda/pkgs", f"{search.home}/.mamba/pkgs"]:
            if not shared and search.is_folder(each) and not is_same(search.surroundings.files, each, old):
                found[each] = None
        if shared:
            found["~/.conda/pkgs"] = None
    return found


def _refuse_what_cannot_be_known(search: Search) -> None:
    """A file that cannot be read may say anything, and conda stops at one that is no YAML."""
    for source in search.reader.known.values():
        if not source.readable:
            raise RefusedError(f"{source.path}: {source.problems[0].reason}; repair that first, {OTHERWISE}")


def _refuse_what_overrides(after: Surroundings, users: Sequence[InForce], edit: Edit, new: str) -> None:
    tools = {each.tool for each in users}
    wrong = [each for each in _answers(after, new) if each.tool in tools and each.path != new]
    if wrong:
        told = "; ".join(f"{each.tool}: {each.path or 'none'} by {each.where}" for each in wrong)
        places = " and ".join(dict.fromkeys(each.where for each in wrong))
        raise RefusedError(
            f"writing {new} to pkgs_dirs of {edit.path} is not enough: {told}; remove {places}, {OTHERWISE}"
        )


def point_back(current: bytes, edit: Edit, old: str, new: str) -> bytes | None:
    """See ``base.Ecosystem.point_back``."""
    if current in (edit.after, edit.before):
        return edit.before
    try:
        now, was, made = (each.decode("utf-8") for each in (current, edit.before or b"", edit.after))
        items = condarc_edit.items_of(now)
        if new not in items:
            return current
        wanted = _before_us(items, condarc_edit.items_of(was), condarc_edit.items_of(made), old, new)
        result = condarc_edit.taken_back(now, was, made, wanted or ([] if condarc_edit.has_key(was) else None))
    except ValueError:  # UnicodeDecodeError is one
        return current
    return None if edit.before is None and not result.strip() else result.encode("utf-8")


def _before_us(now: Sequence[str], was: Sequence[str], made: Sequence[str], old: str, new: str) -> list[str]:
    """The list ``now`` with all that others did since, without what we did to make ``made`` of ``was``.

    Where nothing was listed, what we added are the default folders. They stay when somebody has listed more since:
    without them the tool would forget them, and the old folder too.
    """
    if not was:
        if set(now) <= set(made):
            return []
        return list(dict.fromkeys(old if each == new else each for each in now))
    ours = {each for each in made if each not in was}
    left = _in_order([each for each in now if each not in ours], was, made)
    place = sum(each not in ours for each in now[: now.index(new)]) if new in ours else 0
    for at, each in enumerate(was):
        if each in made or each in left:
            continue
        behind = max((left.index(other) + 1 for other in was[:at] if other in left), default=place)
        left.insert(behind, each)
    return left or [old]


def _in_order(left: list[str], was: Sequence[str], made: Sequence[str]) -> list[str]:
    """What we brought into another order is as before, unless somebody did the same since."""
    moved = [each for each in dict.fromkeys(made) if each in was and each in left]
    if [each for each in left if each in moved] != moved:
        return left
    again = iter([each for each in dict.fromkeys(was) if each in moved])
    return [next(again) if each in moved else each for each in left]
