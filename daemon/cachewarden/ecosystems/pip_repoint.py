"""Which cache each pip of an owner uses now, and the edit that makes all of them use another.

By pip's own rules, see ``pip_config``. An edit is tried on an overlay first: it is handed out only when every
interpreter's pip and every command then uses the new folder.
"""

from collections.abc import Iterator, Sequence

from cachewarden.ecosystems.base import Edit, InForce, Surroundings
from cachewarden.ecosystems.overlay import with_edit
from cachewarden.ecosystems.pip_conf import with_cache_dir, without_cache_dir
from cachewarden.ecosystems.pip_config import (
    COMMANDS,
    ENVIRONMENT,
    LIMIT,
    Answer,
    Search,
    Setting,
    default,
    merge,
    resolve,
    stacks,
    user_files,
)
from cachewarden.ecosystems.repointing import OTHERWISE, as_text, check_destination, file_behind, is_same, read_whole
from cachewarden.model.errors import RefusedError


def in_force(surroundings: Surroundings) -> tuple[InForce, ...]:
    """Each different answer once, under the first command that gives it: ``install`` before the others."""
    first: dict[tuple[str | None, str, str], InForce] = {}
    for each in _tools(Search(surroundings)):
        first.setdefault((each.path, each.place, each.where), each)
    return tuple(first.values())


def what_pip_cache_dir_says(surroundings: Surroundings) -> str | None:
    """``pip cache`` reads a section of its own (``commands/cache.py``): it may say what no other command does."""
    search = Search(surroundings)
    stack = next(stacks(search))
    return _in_force(search, "", resolve(merge(stack.settings), "cache")).path


def point(surroundings: Surroundings, old: str, new: str) -> Edit:
    """See ``base.Ecosystem.point``; pip has one cache: there is nothing to keep ``old`` listed in."""
    check_destination(new, surroundings)
    search = Search(surroundings)
    before = list(_tools(search))
    _refuse_what_cannot_be_known(search)
    users = [each for each in before if each.path and is_same(surroundings.files, each.path, old)]
    if not users:
        raise RefusedError(
            f"no pip of {surroundings.owner.name} uses {old} now: {_told(before)}; name the one in use"
        )
    path = file_behind(surroundings.files, _file_to_edit(search))
    data = read_whole(surroundings.files, path, LIMIT)
    try:
        text = with_cache_dir(as_text(data or b"", path), new)
    except ValueError as error:
        raise RefusedError(f"{path} {error}; {OTHERWISE}") from None
    edit = Edit(path, data, text.encode())
    _refuse_what_overrides(with_edit(surroundings, edit), before, edit, new)
    return edit


def point_back(current: bytes, edit: Edit, new: str) -> bytes | None:
    """See ``base.Ecosystem.point_back``."""
    if current == edit.after:
        return edit.before
    try:
        before = None if edit.before is None else edit.before.decode("utf-8")
        after = without_cache_dir(current.decode("utf-8"), before, new)
    except UnicodeDecodeError:
        return current
    return None if after is None else after.encode("utf-8")


def _tools(search: Search) -> Iterator[InForce]:
    """Every command of every interpreter."""
    for stack in stacks(search):
        table = merge(stack.settings)
        for command in COMMANDS:
            tool = f"pip {command}" + (f" with {stack.site}" if stack.site else "")
            yield _in_force(search, tool, resolve(table, command))


def _in_force(search: Search, tool: str, answer: Answer) -> InForce:
    if answer.broken:
        return InForce(tool, None, answer.broken[0].place, f"{_where(answer.broken[0])}, at which pip stops")
    if answer.off:
        return InForce(tool, None, answer.off.place, _where(answer.off))
    if answer.directory:
        return InForce(tool, search.path(answer.directory), answer.directory.place, _where(answer.directory))
    usual = next(iter(default(search)), None)
    if usual and usual.source == "default":
        return InForce(tool, usual.path, "", "the default")
    return InForce(tool, usual.path if usual else None, "XDG_CACHE_HOME", "XDG_CACHE_HOME in the environment")


def _where(setting: Setting) -> str:
    return setting.where if setting.section == ENVIRONMENT else f"{setting.where} {setting.key}"


def _file_to_edit(search: Search) -> str:
    """The user's file that decides now, else the one that ``pip config set --user`` edits.

    ``configuration.py:get_file_to_edit`` takes the last of the user's files. Where ``PIP_CONFIG_FILE`` names a file,
    pip reads none of those.
    """
    surroundings = search.surroundings
    named = surroundings.environ.get("PIP_CONFIG_FILE", "")
    if named == "/dev/null":
        raise RefusedError(f"PIP_CONFIG_FILE is /dev/null: pip reads no configuration; unset it, {OTHERWISE}")
    if named and surroundings.files.stat(named) is not None:
        return named
    legacy, usual = user_files(surroundings)
    deciding = merge(next(stacks(search)).settings).get(("global", "cache-dir"))
    return legacy if deciding and deciding.place == legacy else usual


def _refuse_what_cannot_be_known(search: Search) -> None:
    """A file that pip stops at, or that cannot be read, may say anything."""
    if search.problems:
        problem = next(iter(search.problems))
        raise RefusedError(f"{problem.path}: {problem.reason}; repair that first, {OTHERWISE}")


def _refuse_what_overrides(after: Surroundings, before: Sequence[InForce], edit: Edit, new: str) -> None:
    """Every pip must use the new folder: one that does not would fill the old place again."""
    wrong = [each for each in _tools(Search(after)) if each.path != new]
    if not wrong:
        return
    places = " and ".join(dict.fromkeys(each.where for each in wrong))
    raise RefusedError(
        f"writing cache-dir = {new} to {edit.path} is not enough: {_told(wrong, before)}; "
        f"remove {places}, {OTHERWISE}"
    )


def _told(tools: Sequence[InForce], before: Sequence[InForce] = ()) -> str:
    """``pip install, pip wheel: /x by /etc/pip.conf [global] cache-dir``; with a word on what was so ``before``."""
    grouped: dict[str, list[str]] = {}
    for each in tools:
        text = f"{each.path or 'no cache'} by {each.where}{' as now' if each in before else ''}"
        grouped.setdefault(text, []).append(each.tool)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in grouped.items())
