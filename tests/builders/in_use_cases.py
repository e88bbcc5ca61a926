"""Every case in which somebody may ask whether a conda package is in use, built for real and put to both judges.

The judges: ``conda clean`` by its source (conda ``cli/main_clean.py``: each file of the package has one name), and
cachewarden, by all that it does before it decides (measuring, and what other users' environments record).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from builders.conda_caches import PLACEHOLDER, CondaBase, Link, Linking, build_package
from builders.disks import give_to
from builders.looks import Scene, as_user
from cachewarden.ecosystems.conda import Conda
from cachewarden.model.caches import Entry, Look
from cachewarden.model.policies import Settings
from cachewarden.model.units import Instant
from cachewarden.service.assemble import assemble

LIBFOO, PYTHON, PATCHED, METAONLY = "libfoo-1.0-0", "python-3.12.1-h1_0", "patched-2.0-0", "metaonly-1.0-0"
NOBODY = 54_321


class Truth(StrEnum):
    """What is so."""

    NEEDED = "needed"
    """Something breaks if it goes."""
    USED = "in use"
    """An environment was made of it, and works without it."""
    FREE = "free"


class Says(StrEnum):
    """What a judge says."""

    USED = "stays"
    FREE = "may go"
    UNSEEN = "not seen"
    """It is no package to that judge, and stays."""


def packages(folder: Path) -> list[Path]:
    """A library, a python with hard links in itself, one that is all prefix-replaced, one of metadata only."""
    library: dict[str, bytes | Link] = {
        "lib/libfoo.so.1": b"\x7fELF\0" + b"foo" * 500,
        "include/foo.h": b"int foo;\n",
    }
    python: dict[str, bytes | Link] = {
        "bin/python3.12": b"\x7fELF\0python" * 100,
        "bin/python3": Link("bin/python3.12"),
    }
    patched: dict[str, bytes | Link] = {"bin/tool": f"#!{PLACEHOLDER}/bin/python\nprint(1)\n".encode()}
    return [
        build_package(folder, "libfoo", "1.0", files=library),
        build_package(folder, "python", "3.12.1", "h1_0", files=python),
        build_package(folder, "patched", "2.0", files=patched, prefix_files=tuple(patched)),
        build_package(folder, "metaonly", "1.0"),
    ]


@dataclass
class Bench:
    """One machine for one case. ``subject`` is the entry that is asked about, within ``base.pkgs``."""

    root: Path
    base: CondaBase
    subject: str = LIBFOO
    environ: dict[str, str] = field(default_factory=dict)
    others: list[Look] = field(default_factory=list)
    blind: bool = False
    ordinary: bool = False
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def home(self) -> Path:
        """Of the cache's owner."""
        return self.base.home

    def env(self, link: Linking, where: str = "project/env", *, register: bool = True) -> Path:
        """An environment with the subject in it."""
        return self.base.create_env(self.root / where, [Path(self.subject).name], link=link, register=register)

    def start(self, *arguments: str, code: str = "") -> None:
        """Some program with these arguments, at work until the case is judged."""
        process = subprocess.Popen(
            [*arguments],
            executable=sys.executable,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": ""},
        )
        self.stack.callback(_end, process)
        if process.stdin is None or process.stdout is None:
            raise ValueError("pipes were asked for")
        process.stdin.write(f"{code}\nimport time\nprint(flush=True)\ntime.sleep(600)\n".encode())
        process.stdin.close()
        process.stdout.readline()

    def lock(self, path: Path) -> None:
        """As conda and mamba lock: byte 21."""
        lock = f"import fcntl\nfile = open({str(path)!r}, 'r+b')\nfcntl.lockf(file, fcntl.LOCK_EX, 1, 21)\n"
        self.start("something", "-", code=lock)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


@dataclass(frozen=True, slots=True)
class Case:
    """What there is, and how it is made."""

    title: str
    truth: Truth
    make: Callable[[Bench], object]
    nested: bool = False
    shared: bool = False
    """The cache is outside of its owner's home: others use it."""
    untold: bool = False
    """Nothing that a program could read tells it: no file of the owner, no link count."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with what both judges said, and cachewarden's evidence."""

    case: Case
    conda: Says
    ours: Says
    evidence: str


def _subject(path: str, then: Callable[[Bench], object] | None = None) -> Callable[[Bench], object]:
    def make(bench: Bench) -> None:
        bench.subject = path
        if then:
            then(bench)

    return make


def _softlinks(bench: Bench) -> None:
    (bench.base.path / ".condarc").write_text("always_softlink: true\n")


def _softlinks_of_a_stranger(bench: Bench) -> None:
    _softlinks(bench)
    bench.env("soft", register=False)


def _records_gone(bench: Bench) -> None:
    for record in (bench.env("soft") / "conda-meta").glob("*.json"):
        record.unlink()


def _by_another_name(bench: Bench) -> None:
    (bench.root / "alias").symlink_to(bench.base.pkgs)
    env = bench.base.create_env(bench.root / "project/env", [METAONLY])
    (env / "foo.h").symlink_to("../../alias/libfoo-1.0-0/include/foo.h")


def _moved(bench: Bench, link: Linking) -> None:
    bench.env(link).rename(bench.root / "project/renamed")


def _deleted(bench: Bench) -> None:
    shutil.rmtree(bench.env("copy"))


def _updated(bench: Bench) -> None:
    env = bench.env("copy")
    (env / "conda-meta" / f"{LIBFOO}.json").unlink()
    with (env / "conda-meta/history").open("a") as history:
        history.write("# update specs: ['libfoo==1.0']\n")


def _another_user(bench: Bench, link: Linking) -> None:
    """That user's worker tells the records; this one's sees nothing of the other's home."""
    bench.env(link, "other/env", register=False)
    bench.others.append(Look(references=(LIBFOO,)))


def _unseen_user(bench: Bench) -> None:
    bench.env("copy", "other/env", register=False)
    bench.blind = True


def _blind(bench: Bench) -> None:
    bench.blind = True


def _unreadable(bench: Bench, link: Linking, judged: Bench | None = None) -> None:
    """Made by somebody else, for instance by sudo, and registered: its user may not look into it."""
    env = bench.env(link)
    (judged or bench).ordinary = True
    (env / "conda-meta").chmod(0)
    bench.stack.callback((env / "conda-meta").chmod, 0o755)
    env.chmod(0)
    bench.stack.callback(env.chmod, 0o755)


def _active(bench: Bench) -> None:
    bench.environ["CONDA_PREFIX"] = str(bench.env("copy", register=False))


def _envs_dirs(bench: Bench) -> None:
    (bench.home / ".condarc").write_text(f"envs_dirs: [{bench.root / 'envs-of-mine'}]\n")
    bench.env("copy", "envs-of-mine/one", register=False)


def _backup(bench: Bench) -> None:
    subprocess.run(["cp", "-al", bench.base.pkgs, bench.root / "backup"], check=True)


def _twins(bench: Bench) -> None:
    subprocess.run(["cp", "-al", bench.base.pkgs / LIBFOO, bench.base.pkgs / "libfoo-1.0-1"], check=True)


def _partial(bench: Bench) -> None:
    bench.subject = "big-1-0.conda.partial"
    (bench.base.pkgs / bench.subject).write_text("half of it")


def _partial_open(bench: Bench) -> None:
    _partial(bench)
    bench.start("downloader", "-", code=f"file = open({str(bench.base.pkgs / bench.subject)!r})")


def _extracting(bench: Bench) -> None:
    bench.subject = "big-1-0"
    (bench.base.pkgs / bench.subject / "lib").mkdir(parents=True)
    (bench.base.pkgs / bench.subject / "lib/first").write_text("unpacked")


def _mamba_lock(bench: Bench) -> None:
    (bench.base.pkgs / "pkgs.lock").write_text("x" * 40)
    bench.lock(bench.base.pkgs / "pkgs.lock")


def _conda_lock(bench: Bench) -> None:
    bench.lock(next(bench.base.pkgs.glob("cache/*.info.json")))


def _nested(bench: Bench, link: Linking | None = None) -> None:
    bench.subject = str(bench.base.extracted(LIBFOO).relative_to(bench.base.pkgs))
    if link:
        bench.env(link)


CASES = (
    Case("hard-linked into a registered environment", Truth.USED, lambda bench: bench.env("hard")),
    Case("copied into a registered environment (another disk, `always_copy`; its record says hard link all the same)",
         Truth.USED, lambda bench: bench.env("copy")),
    Case("symlinked from a registered environment", Truth.NEEDED, lambda bench: bench.env("soft")),
    Case("every file prefix-replaced, so copied, in a registered environment", Truth.USED,
         _subject(PATCHED, lambda bench: bench.env("hard"))),
    Case("metadata only: the environment has nothing but the record", Truth.USED,
         _subject(METAONLY, lambda bench: bench.env("hard"))),
    Case("hard links within the package, in a registered environment", Truth.USED,
         _subject(PYTHON, lambda bench: bench.env("copy"))),
    Case("copied into an environment of the base that is not registered", Truth.USED,
         lambda bench: bench.env("copy", "home/miniforge3/envs/work", register=False)),
    Case("copied into an environment below `envs_dirs` that is not registered", Truth.USED, _envs_dirs),
    Case("copied into the active environment, which is not registered", Truth.USED, _active),
    Case("mamba's nested layout, copied", Truth.USED, lambda bench: _nested(bench, "copy"), nested=True),
    Case("mamba's nested layout, symlinked", Truth.NEEDED, lambda bench: _nested(bench, "soft"), nested=True),
    Case("mamba's nested layout, nothing uses it", Truth.FREE, _nested, nested=True),
    Case("symlinked, and the environment's records are gone", Truth.NEEDED, _records_gone),
    Case("symlinked by another name of the cache, without a record", Truth.NEEDED, _by_another_name),
    Case("softlinks enabled; symlinked from an environment that nobody registered", Truth.NEEDED,
         _softlinks_of_a_stranger),
    Case("softlinks enabled; nothing uses it", Truth.FREE, _softlinks),
    Case("another user's environment, copied", Truth.USED, lambda bench: _another_user(bench, "copy"), shared=True),
    Case("another user's environment, symlinked", Truth.NEEDED, lambda bench: _another_user(bench, "soft"),
         shared=True),
    Case("another user's environment, copied; that user cannot be looked at now", Truth.USED, _unseen_user,
         shared=True),
    Case("another user cannot be looked at now; nothing uses it", Truth.FREE, _blind, shared=True),
    Case("a registered environment that its user cannot read, hard-linked", Truth.USED,
         lambda bench: _unreadable(bench, "hard")),
    Case("a registered environment that its user cannot read, copied", Truth.USED,
         lambda bench: _unreadable(bench, "copy")),
    Case("a registered environment that its user cannot read, symlinked", Truth.NEEDED,
         lambda bench: _unreadable(bench, "soft")),
    Case("a registered environment that its user cannot read; nothing uses it", Truth.FREE,
         lambda bench: _unreadable(replace(bench, subject=METAONLY), "copy", bench)),
    Case("hard-linked into an environment that nobody registered", Truth.USED,
         lambda bench: bench.env("hard", register=False)),
    Case("the environment was moved away, hard-linked", Truth.USED, lambda bench: _moved(bench, "hard")),
    Case("the environment was deleted; environments.txt still names it", Truth.FREE, _deleted),
    Case("named by an environment's history only: it was updated to another version", Truth.FREE, _updated),
    Case("nothing uses it", Truth.FREE, lambda _: None),
    Case("hard links within the package (python, python3), nothing uses it", Truth.FREE, _subject(PYTHON)),
    Case("hard-linked from another package of the cache, nothing uses it", Truth.FREE, _twins),
    Case("hard-linked by a backup (`cp -al`), nothing uses it", Truth.FREE, _backup),
    Case("conda is running", Truth.NEEDED, lambda bench: bench.start("conda", "-", "install")),
    Case("micromamba is running", Truth.NEEDED, lambda bench: bench.start("micromamba", "-", "create")),
    Case("only `conda run` is running, as it does for weeks", Truth.FREE,
         lambda bench: bench.start("conda", "-", "run", "-n", "work", "server")),
    Case("mamba holds its lock", Truth.NEEDED, _mamba_lock),
    Case("conda holds the lock of an index", Truth.NEEDED, _conda_lock),
    Case("being extracted: a folder without its `info/index.json` yet", Truth.NEEDED, _extracting),
    Case("a download under way (`.partial`), open", Truth.NEEDED, _partial_open),
    Case("a download that was broken off (`.partial`)", Truth.FREE, _partial),
    Case("the tarball of a package that an environment uses", Truth.FREE,
         _subject(f"{LIBFOO}.conda", lambda bench: bench.base.create_env(bench.root / "env", [LIBFOO]))),
    Case("the package of a tarball that is there, nothing uses it", Truth.FREE, _subject(LIBFOO)),
    Case("copied into an environment that nobody registered", Truth.USED,
         lambda bench: bench.env("copy", register=False), untold=True),
    Case("the environment was moved away, copied", Truth.USED, lambda bench: _moved(bench, "copy"), untold=True),
    Case("symlinked for one command by a variable (`CONDA_ALWAYS_SOFTLINK`), and the environment is not registered",
         Truth.NEEDED, lambda bench: bench.env("soft", register=False), untold=True),
)  # fmt: skip


@contextmanager
def bench_of(case: Case, built: Sequence[Path]) -> Iterator[Bench]:
    """The machine of a case, in a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="in-use-") as folder, ExitStack() as stack:
        root = Path(folder).resolve()
        root.chmod(0o755)
        home = root / "home"
        base = CondaBase((root if case.shared else home) / "miniforge3", home, nested=case.nested)
        for package in built:
            base.fetch(package)
        bench = Bench(root, base, stack=stack)
        case.make(bench)
        yield bench


def judge(case: Case, built: Sequence[Path]) -> Judged:
    """Builds a case and asks both."""
    with bench_of(case, built) as bench:
        ours, evidence = _cachewarden_says(bench)
        return Judged(case, conda_clean_says(bench.base.pkgs, bench.subject), ours, evidence)


def conda_clean_says(pkgs: Path, subject: str) -> Says:
    """As conda 26.7: only what is at the top of a writable cache, unused when every file has one name."""
    path = pkgs / subject
    if "/" in subject or not (pkgs / "urls.txt").exists():
        return Says.UNSEEN
    if path.is_dir():
        if not (path / "info/index.json").exists():
            return Says.UNSEEN
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
        return Says.FREE if all(file.lstat().st_nlink == 1 for file in files) else Says.USED
    return Says.FREE if path.lstat().st_nlink == 1 else Says.USED


def _cachewarden_says(bench: Bench) -> tuple[Says, str]:
    scene = Scene(Conda(), bench.base.pkgs, bench.home, bench.environ)
    if bench.ordinary and os.geteuid() == 0:
        give_to(bench.root, NOBODY, NOBODY)
        owned = replace(scene)
        entries = as_user(NOBODY, lambda: _entries(owned, bench))
    else:
        entries = _entries(scene, bench)
    entry = entries.get(bench.subject)
    if entry is None:
        return Says.UNSEEN, "no package yet: it is no entry"
    if entry.hold is None:
        return Says.FREE, ""
    text = entry.hold.replace(str(bench.root), "…")
    return Says.USED, re.sub(r"\(process \d+\)", "(process N)", text)


def _entries(scene: Scene, bench: Bench) -> dict[str, Entry]:
    look = Look(caches=(scene.measure().cache,))
    seen = assemble([look, *bench.others], [], Settings(), Instant(0), blind=bench.blind)
    return {entry.path: entry for cache in seen.caches for entry in cache.entries}
