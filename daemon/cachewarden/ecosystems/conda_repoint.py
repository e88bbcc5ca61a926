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
from cachewarden.ecosystems.repointing import OTHERWISE, as_text, check_destination, is_same, read_whole
from cachewarden.model.errors import RefusedError

_LIMIT = 256 * 1024


def in_force(surroundings: Surroundings) -> tuple[InForce, ...]:
    """Of every installation, and of conda without one where its own folder is there; never raises."""
    search, bases, variables = search_of(surroundings)
    found = [each for base in bases for each in _of_base(search, base, variables)]
    if not bases:
        found.extend(_of_base(search, None, variables))
    return tuple(found)


def _of_base(search: Search, base: Base | None, variables: Condarc) -> Iterator[InForce]:
    conda, mamba = search.sources(base, variables)
    items = merged(conda)
    name = f" of {base.path}" if base else ""
    defaults = [*([f"{base.path}/pkgs"] if base else []), f"{search.home}/.conda/pkgs"]
    if items or base or search.is_folder(defaults[-1]):
        yield _first(search, f"conda{name}", items, defaults)
    if own := merged(mamba):
        yield _first(search, f"mamba{name}", (*items, *own), defaults)


def _first(search: Search, tool: str, items: Sequence[Item], defaults: Sequence[str]) -> InForce:
    """The first folder that can be written gets the downloads (``core/package_cache_data.py:writable_caches``)."""
    named = [(path, item) for item in items if (path := search.named(item))]
    if named:
        path, item = next((each for each in named if _writable(search, each[0])), named[0])
        return InForce(tool, path, item.place, item.source)
    if items:
        return InForce(tool, None, items[0].place, f"{items[0].source}, which cannot be followed")
    path = next((each for each in defaults if _writable(search, each)), defaults[-1])
    return InForce(tool, path, "", "the default")


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
    path = surroundings.files.real_path(_file_to_edit(search, bases, old))
    data = read_whole(surroundings.files, path, _LIMIT)
    text = as_text(data or b"", path)
    try:
        own = condarc_edit.items_of(text)
        olds = [each for each in own if _means(search, each, old)]
        first = [new, *([olds[0] if olds else old] if keep else []), *_would_be_lost(search, bases, variables, old)]
        edited = condarc_edit.with_items(text, first, [] if keep else olds)
    except ValueError as error:
        raise RefusedError(f"{path} {error}; {OTHERWISE}") from None
    edit = Edit(path, data, edited.encode())
    _refuse_what_overrides(with_edit(surroundings, edit), users, edit, new)
    return edit


def _means(search: Search, text: str, path: str) -> bool:
    named = search.named(Item(text, "", ""))
    return named is not None and is_same(search.surroundings.files, named, path)


def _file_to_edit(search: Search, bases: Sequence[Base], old: str) -> str:
    """The user's file that lists the old folder, else the one that ``conda config`` edits.

    A default of an installation outside of the home is everybody's: there ``conda config --system`` is meant.
    """
    home = search.home + "/"
    listing = [
        source.path
        for source in search.reader.known.values()
        if "pkgs_dirs" in source.lists
        and source.path.startswith(home)
        and any(_means(search, item.text, old) for item in source.lists["pkgs_dirs"].items)
    ]
    if listing:
        return listing[-1]
    for base in bases:
        if is_same(search.surroundings.files, f"{base.path}/pkgs", old) and not f"{base.path}/".startswith(home):
            return f"{base.path}/.condarc"
    return f"{search.home}/.condarc"


def _would_be_lost(search: Search, bases: Sequence[Base], variables: Condarc, old: str) -> Iterator[str]:
    """The first ``pkgs_dirs`` of all makes conda forget its defaults: those that are there stay listed."""
    if any(merged(search.sources(base, variables)[0]) for base in (*bases, None)):
        return
    for path in dict.fromkeys([*(f"{base.path}/pkgs" for base in bases), f"{search.home}/.conda/pkgs"]):
        if search.is_folder(path) and not is_same(search.surroundings.files, path, old):
            yield path


def _refuse_what_overrides(after: Surroundings, users: Sequence[InForce], edit: Edit, new: str) -> None:
    tools = {each.tool for each in users}
    wrong = [each for each in in_force(after) if each.tool in tools and each.path != new]
    if wrong:
        told = "; ".join(f"{each.tool}: {each.path or 'none'} by {each.where}" for each in wrong)
        places = " and ".join(dict.fromkeys(each.where for each in wrong))
        raise RefusedError(
            f"writing {new} to pkgs_dirs of {edit.path} is not enough: {told}; remove {places}, {OTHERWISE}"
        )


def point_back(current: bytes, original: bytes | None, new: str) -> bytes | None:
    """See ``base.Ecosystem.point_back``."""
    try:
        now, was = current.decode("utf-8"), "" if original is None else original.decode("utf-8")
        items = condarc_edit.items_of(now)
        if new not in items:
            return current
        result = _back(now, was, [each for each in items if each != new], new)
    except (UnicodeDecodeError, ValueError):
        return current
    return None if original is None and not result.strip() else result.encode("utf-8")


def _back(now: str, was: str, left: list[str], new: str) -> str:
    before = condarc_edit.items_of(was)
    lines = condarc_edit.region(was)
    if lines is None and not before:
        if all(each.endswith("/pkgs") for each in left):  # the defaults that had to be named
            after = condarc_edit.without_key(now)
            return was if after.rstrip("\r\n") == was.rstrip("\r\n") else after
        return condarc_edit.with_items(now, [], [new])
    if lines is not None and set(left) <= set(before):
        return condarc_edit.with_region(now, lines)
    missing = [each for each in before if each not in left]
    return condarc_edit.with_items(now, missing, [new])
