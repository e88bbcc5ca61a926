"""Tables from results, for the places that documents mark: whoever edits a figure by hand is found out by a test.

A table stands between ``<!-- bench: NAME -->`` and ``<!-- end of bench: NAME -->``; all else is hand-written.
"""

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench.homes import NOTHING, PASS
from bench.results import Part

_MARK = re.compile(r"(<!-- bench: (?P<name>[a-z-]+) -->\n).*?(<!-- end of bench: (?P=name) -->)", re.DOTALL)
_COMPUTED = "judgement", "forecast"
"""Tables in which nothing was timed."""
Lines = Iterator[str]
Column = Sequence[float]


def document(text: str, parts: dict[str, Part]) -> str:
    """``text`` with every marked place filled in. ValueError for a mark that nothing is known of."""

    def fill(found: "re.Match[str]") -> str:
        return f"{found[1]}{table(found['name'], parts)}{found[3]}"

    return _MARK.sub(fill, text)


def table(name: str, parts: dict[str, Part]) -> str:
    """What belongs at a mark: Markdown, with a line on when and how it was measured."""
    if name == "machine":
        return "".join(f"{line}\n" for line in _machines(parts))
    if name not in _TABLES:
        raise ValueError(f"bench: expected one of machine, {', '.join(_TABLES)}, got {name}")
    if name not in parts:
        return "Not measured yet.\n"
    part = parts[name]
    found = [*_TABLES[name](part), ""] if part["groups"] or part["rows"] else []
    lines = [*found, _when(part), *_left_out(part)]
    return "".join(f"{line}\n" for line in lines)


# The head and the foot


def _machines(parts: dict[str, Part]) -> Lines:
    known: dict[str, list[str]] = {}
    for name, part in sorted(parts.items()):
        known.setdefault(_described(part["machine"]), []).append(name)
    for description, names in known.items():
        yield f"- {description}" + (f" ({', '.join(names)})" if len(known) > 1 else "")
    if parts:
        yield ""
        yield f"Measuring all of it took {_span(sum(part['took_seconds'] for part in parts.values()))}."


def _described(machine: dict[str, Any]) -> str:
    memory = f"{machine['memory_bytes'] / 2**30:.1f} GiB"
    where = f"{machine['filesystem']} on {machine['disk']}"
    what = (machine["processor"], f"{machine['cores']} cores", memory, machine["kernel"], where)
    return f"{', '.join(what)}, Python {machine['python']}"


def _when(part: Part) -> str:
    day, clock = part["taken_at"][:10], part["taken_at"][11:16]
    if not part["groups"] and part["rows"] and part["rows"][0]["table"] in _COMPUTED:
        return f"Computed on {day}{' by a short run' if part['quick'] else ''}."
    load = ", ".join(f"{each:.2f}" for each in part["load_before"])
    how = f"a {'short' if part['quick'] else 'full'} run of {_span(part['took_seconds'])}"
    return f"{day} {clock} UTC, load before {load}; {how}."


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _left_out(part: Part) -> Lines:
    for each in part["skipped"]:
        yield f"Not measured: {each['what']}: {each['why']}."


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Lines:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


# Figures


def seconds(value: float) -> str:
    """Three digits at the most, and a unit."""
    if value >= 99.5:
        return f"{value:.0f} s"
    return f"{value:.2f} s" if value >= 0.995 else f"{value * 1000:.3g} ms"


def _mb(value: float) -> str:
    return f"{value / 1e6:.1f} MB"


def ratios(mine: Column, others: Column, less: Column | None = None) -> list[float]:
    """One for each round: both sides of it were measured in turn."""
    taken_off = less or [0.0] * len(mine)
    return [(a - c) / max(b, 1e-4) for a, b, c in zip(mine, others, taken_off, strict=True)]


def _ratio(values: Sequence[float]) -> str:
    """The median, and between what it lay."""
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}–{max(values):.2f})"


def _goal(value: float, goal: float | None) -> str:
    if goal is None:
        return ""
    return f"{goal:.2g}, {'met' if value <= goal else '**missed**'}"


# Tables


def compared(part: Part) -> Lines:
    """One way beside another: medians of the rounds, and the medians of their ratios."""
    head = ["", "ours", "theirs", "ratio", "beyond start", "beyond an empty look", "processor", "goal"]
    rows = [_compared(group, line) for group in part["groups"] for line in group["lines"]]
    yield from _grid(head, rows)


def _compared(group: dict[str, Any], line: dict[str, Any]) -> list[str]:
    times = group["times"]
    mine, other = times[line["ours"]], times[line["theirs"]]
    plain = ratios(mine["wall"], other["wall"])
    beyond = empty = None
    if PASS in times and line["theirs"] != PASS:
        beyond = ratios(mine["wall"], other["wall"], times[PASS]["wall"])
        empty = ratios(mine["wall"], other["wall"], times[NOTHING]["wall"])
    judged = statistics.median(beyond if line["of"] == "beyond" and beyond else plain)
    return [
        f"{line['ours']} : {line['theirs']}, {group['what']}",
        seconds(statistics.median(mine["wall"])),
        seconds(statistics.median(other["wall"])),
        _ratio(plain),
        _ratio(beyond) if beyond else "",
        f"{statistics.median(empty):.2f}" if empty else "",
        f"{statistics.median(ratios(mine['cpu'], other['cpu'])):.2f}" if any(mine["cpu"]) else "",
        _goal(judged, line["goal"]),
    ]


def plain_seconds(part: Part) -> Lines:
    """Ways with nothing beside them, in processor time."""
    rows = []
    for group in part["groups"]:
        for line in group["lines"]:
            cpu = group["times"][line["ours"]]["cpu"]
            middle = statistics.median(cpu)
            spread = f"{seconds(min(cpu))} to {seconds(max(cpu))}"
            rows.append([f"{line['ours']}, {group['what']}", seconds(middle), spread, _goal(middle, line["goal"])])
    yield from _grid(["", "processor time", "spread", "goal (s)"], rows)


_LOOKS = "status, first", "status, second"


def scale(part: Part) -> Lines:
    """Looks at caches of growing size, the first and the second, beside ``du -s``; peaks of memory."""
    head = ["", "first", "each", "second", "`du -s`", "first : du, beyond start", "second : du, beyond start"]
    head += ["second : du, beyond an empty look", "processor: first", "second", "`du -s`", "peak: first", "second"]
    yield from _grid(head, [_scaled(group) for group in part["groups"]])


def _scaled(group: dict[str, Any]) -> list[str]:
    times = group["times"]
    wall = {name: times[name]["wall"] for name in (*_LOOKS, "du -s", PASS, NOTHING)}
    first, second, du = (statistics.median(wall[name]) for name in (*_LOOKS, "du -s"))
    cells = [group["what"], seconds(first), f"{first / group['count'] * 1e6:.1f} µs", seconds(second), seconds(du)]
    cells += [_ratio(ratios(wall[name], wall["du -s"], wall[PASS])) for name in _LOOKS]
    cells.append(_ratio(ratios(wall[_LOOKS[1]], wall["du -s"], wall[NOTHING])))
    cells += [seconds(statistics.median(times[name]["cpu"])) for name in (*_LOOKS, "du -s")]
    return cells + [_mb(max(times[name]["peak"])) for name in _LOOKS]


def owners(part: Part) -> Lines:
    """A cycle of so many owners, and the next with what it has kept."""
    rows = []
    for group in part["groups"]:
        cells = [group["what"]]
        for name in ("run, first", "run, second"):
            run = group["times"][name]
            wall, cpu = statistics.median(run["wall"]), statistics.median(run["cpu"])
            cells.append(f"{seconds(wall)} ({seconds(min(run['wall']))}–{seconds(max(run['wall']))})")
            cells += [seconds(wall / group["count"]), seconds(cpu), _mb(max(run["peak"]))]
        rows.append(cells)
    columns = ["each", "processor time", "peak of one process"]
    yield from _grid(["", "first cycle", *columns, "second cycle", *columns], rows)
    yield ""
    yield "The same of a service that runs already, without the start of any program, and whose processor time it is:"
    yield ""
    yield from _grid(
        ["owners", "a cycle", "service", "launcher", "workers", "processor, each owner"],
        [_fleet(row) for row in _rows(part, "fleet")],
    )


def _fleet(row: dict[str, Any]) -> list[str]:
    wall, *used = (statistics.median(row[name]) for name in ("wall", "service", "launcher", "workers"))
    spread = f"{seconds(wall)} ({seconds(min(row['wall']))}–{seconds(max(row['wall']))})"
    return [str(row["owners"]), spread, *map(seconds, used), seconds(sum(used) / row["owners"])]


def idle(part: Part) -> Lines:
    """The whole, then each process, then what its threads sleep in."""
    for whole in _rows(part, "idle-whole"):
        yield from _idle_mode(whole, [row for row in _rows(part, "idle") if row["mode"] == whole["mode"]])
    for each in _rows(part, "explained"):
        watched = f"while strace looked on for {_span(each['seconds'])} after that"
        yield f"Sleeps that ended in {each['mode']} mode {watched}: {each['sleeps'] or 'none'}."
        yield ""
    sleeps = _rows(part, "sleeps")
    if sleeps:
        rows = [_sleep(row) for row in sorted(sleeps, key=lambda row: (row["mode"], -row["per_minute"]))]
        head = ["mode", "process", "thread", "sleeps in", "woken by", "times a minute", "after (median)"]
        yield from _grid(head, rows)


def _idle_mode(whole: dict[str, Any], processes: list[dict[str, Any]]) -> Lines:
    took = whole["seconds"]
    yield f"{whole['mode'].capitalize()} mode, {_span(took)}; the processes were {_same(whole)} at the end:"
    yield ""
    head = [
        "",
        "PSS, before",
        "PSS, after",
        "times bare",
        "processor",
        "of its children",
        "written",
        "wake-ups a minute",
    ]
    rows = []
    for row in processes:
        if row.get("gone"):
            rows.append([row["process"], "gone", *[""] * 6])
            continue
        cells = [_mb(row["pss_before"]), _mb(row["pss"]), "", f"{row['cpu_seconds'] / took:.4%}"]
        cells += [f"{row['cpu_of_children'] / took:.4%}", f"{row['written']} B", f"{row['wakeups'] * 60 / took:.1f}"]
        rows.append([row["process"], *cells])
    times = f"**{whole['pss'] / whole['bare_pss']:.2f}** (goal: 1.25)"
    share = f"**{max(0.0, whole['cpu_seconds']) / took:.4%}**, children included (goal: 0.05 %)"
    rows.append(["together", _mb(whole["pss_before"]), _mb(whole["pss"]), times, share, "", "", ""])
    rows.append(["bare", _mb(whole["bare_pss"]), "", "1", "", "", "", ""])
    yield from _grid(head, rows)
    yield ""
    yield (
        f"Processes begun: {_known(whole['processes_begun'])}; threads: {_known(whole['threads_begun'])}; bytes that "
        f"reached the disk of home and state: {_known(whole['disk_written'])}."
    )
    yield ""


def _same(whole: dict[str, Any]) -> str:
    return "the same" if whole["same_processes"] else "**not** the same"


def _known(value: int | None) -> str:
    return "not counted" if value is None else f"{value:,}"


def _sleep(row: dict[str, Any]) -> list[str]:
    woken = "its time limit" if row["ended_by_time"] else "somebody"
    thread = "main" if row["main"] else "another"
    times = [f"{row['per_minute']:.1f}", seconds(row["seconds"])]
    return [row["mode"], row["process"], thread, row["call"], woken, *times]


def _rows(part: Part, name: str) -> list[dict[str, Any]]:
    return [row for row in part["rows"] if row["table"] == name]


def as_rows(part: Part) -> Lines:
    """Rows whose cells are ready: what is computed and not timed."""
    names = list(part["rows"][0])[1:]
    yield from _grid(names, [[str(row[name]) for name in names] for row in part["rows"]])


_TABLES: dict[str, Callable[[Part], Lines]] = {
    "start": compared,
    "walk": compared,
    "purge": compared,
    "copy": compared,
    "decide": plain_seconds,
    "scale": scale,
    "owners": owners,
    "idle": idle,
    "judgement": as_rows,
    "forecast": as_rows,
}
