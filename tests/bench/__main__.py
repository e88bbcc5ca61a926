"""Side by side with what a user would run instead: ratios of one run, since absolute times differ by the hour.

usage: PYTHONPATH=daemon:tests python -m bench [--quick] [--only PART]... [--minutes N] [--mode MODE]

A full run takes more than an hour; its figures go to docs/performance.json, and from there into the tables of the
documents. ``--quick`` takes a few minutes; its figures go to build/bench.json, and the tables are printed.
Another tree is measured by naming its ``daemon`` first on PYTHONPATH.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import copying, deciding, forecast, idle, judgement, purging, scaling, starting, walking
from bench.described import machine, moment
from bench.parts import Measure, Size
from bench.render import document, table
from bench.results import DOCUMENTS, FILE, ROOT, Found, Part, load, store
from bench.timing import CommandFailedError

PARTS: dict[str, Measure] = {
    "start": starting.measure,
    "walk": walking.measure,
    "purge": purging.measure,
    "decide": deciding.measure,
    "scale": scaling.measure,
    "owners": scaling.measure_owners,
    "copy": copying.measure,
    "judgement": judgement.measure,
    "forecast": forecast.measure,
    "idle": idle.measure,
}


def say(line: str) -> None:
    """What is done at the moment; tables go to standard output."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def measured(name: str, size: Size) -> Part:
    """One part, with all that must be known of it to be believed."""
    about = {"machine": machine(size.place), **moment()}
    found, began = Found(), time.monotonic()
    PARTS[name](size, found, say)
    how = {"took_seconds": round(time.monotonic() - began), "quick": size.quick, "rounds": size.rounds}
    return {**about, **how, "groups": found.groups, "rows": found.rows, "skipped": found.skipped}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller caches, fewer rounds")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; more than once: these")
    parser.add_argument("--rounds", type=int, help="default: 5, quick 3")
    parser.add_argument("--minutes", type=float, help="of the idle service, for each mode; default: 10, quick ½")
    parser.add_argument("--mode", choices=("user", "system"), action="append", help="of the idle service")
    parser.add_argument("--place", type=Path, default=Path("/var/tmp"), help="a folder on the disk to be measured on")
    parser.add_argument("--out", type=Path, help="the file of figures; parts that are not measured stay in it")
    parser.add_argument("--render", action="store_true", help="measure nothing: only make the tables anew")
    return parser.parse_args()


def render() -> None:
    """The tables of all documents, from the committed figures."""
    parts = load(FILE)
    for path in DOCUMENTS:
        path.write_text(document(path.read_text(encoding="utf-8"), parts), encoding="utf-8")


def main() -> int:
    options = arguments()
    if options.render:
        render()
        return 0
    os.chdir(tempfile.gettempdir())
    for number in (signal.SIGINT, signal.SIGTERM):
        # In the background of a shell the first is ignored, and the second would leave disks behind that are mounted.
        signal.signal(number, signal.default_int_handler)
    size = Size(
        options.place,
        options.quick,
        options.rounds or (3 if options.quick else 5),
        options.minutes or (0.5 if options.quick else 10),
        tuple(options.mode or ()),
    )
    out = options.out or (ROOT / "build" / "bench.json" if options.quick else FILE)
    failed = []
    for name in options.only or PARTS:
        try:
            part = measured(name, size)
        except CommandFailedError as error:
            say(f"{name} is not measured: {error}")
            failed.append(name)
            continue
        # At once: what took an hour is not lost by what comes after it.
        store(out, load(out) | {name: part})
        print(f"\n{name}\n\n{table(name, {name: part})}", flush=True)
    if out == FILE:
        render()
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
