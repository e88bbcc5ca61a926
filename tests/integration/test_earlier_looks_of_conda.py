"""Whatever happens to a cache of conda, a look that rests on others finds what a look at all does."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.conda_caches import CondaBase, build_package
from builders.looks import Scene, as_found, look
from cachewarden.ecosystems.base import Located
from cachewarden.ecosystems.conda import Conda
from cachewarden.model.caches import TRASH

NAMES = ("one", "two", "three", "four")


class Walk:
    """A conda that does one thing after another, by chance; ``nested`` as mamba lays its cache out."""

    def __init__(self, folder: Path, chance: random.Random, *, nested: bool) -> None:
        self.home = folder / "home"
        self.chance = chance
        self.base = CondaBase(self.home / "miniforge3", self.home, nested=nested)
        self.built = [
            build_package(folder, name, "1.0", files={f"lib/{name}": name.encode() * 3_000, "lib/same": b"s" * 9_000})
            for name in NAMES
        ]
        self.environments = [self.home / f"env{number}" for number in range(3)]
        located = Located(environments=tuple(map(str, self.environments)))
        for package in self.built:
            self.base.fetch(package, keep_tarball=chance.random() < 0.6)
        self.scene = Scene(Conda(), self.base.pkgs, self.home, located=located)

    def step(self) -> str:
        """Does something, and says what."""
        doings: list[Callable[[], None]] = [
            self.fetch, self.fetch, self.remove, self.replace, self.drop_archive, self.touch_archive, self.link,
            self.link, self.unlink, self.trash, self.share, self.rename, self.damage,
        ]  # fmt: skip
        doing = self.chance.choice(doings)
        doing()
        return doing.__name__

    def _there(self) -> list[str]:
        found = (path.parent.parent for path in self.base.pkgs.rglob("info/index.json"))
        return sorted(path.name for path in found if TRASH not in str(path) and path.name.split("-")[0] in NAMES)

    def _some(self) -> Path | None:
        there = self._there()
        return self.base.extracted(self.chance.choice(there)) if there else None

    def fetch(self) -> None:
        package = self.chance.choice(self.built)
        if f"{package.name.split('-')[0]}-1.0-0" not in self._there():
            self.base.fetch(package, keep_tarball=self.chance.random() < 0.6)

    def remove(self) -> None:
        if package := self._some():
            shutil.rmtree(package)

    def replace(self) -> None:
        if package := self._some():
            shutil.copytree(package, package.with_name("copy"))
            shutil.rmtree(package)
            package.with_name("copy").rename(package)
            (package / "more").write_bytes(b"m" * self.chance.randrange(20_000))

    def _archives(self) -> list[Path]:
        return sorted(self.base.pkgs.rglob("*.conda"))

    def drop_archive(self) -> None:
        if archives := self._archives():
            self.chance.choice(archives).unlink()

    def touch_archive(self) -> None:
        """It is downloaded once more."""
        if archives := self._archives():
            archive = self.chance.choice(archives)
            shutil.copyfile(archive, archive.with_name("new"))
            archive.with_name("new").rename(archive)

    def link(self) -> None:
        environment, there = self.chance.choice(self.environments), self._there()
        if there and not environment.exists():
            chosen = self.chance.sample(there, self.chance.randrange(1, len(there) + 1))
            try:
                self.base.create_env(environment, chosen)
            except FileExistsError:  # both have lib/same
                shutil.rmtree(environment)
            except FileNotFoundError:  # one that is damaged
                shutil.rmtree(environment)

    def unlink(self) -> None:
        shutil.rmtree(self.chance.choice(self.environments), ignore_errors=True)

    def trash(self) -> None:
        if package := self._some():
            (self.base.pkgs / TRASH).mkdir(exist_ok=True)
            package.rename(self.base.pkgs / TRASH / f"{self.chance.random()}-{package.name}")

    def share(self) -> None:
        """A tool that makes one of equal files, in packages that came just now: later see below."""
        one, other = self._some(), self._some()
        if one and other and one != other:
            new = other.with_name("ten-1.0-0")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(other, new)
            (new / "lib/same").unlink()
            os.link(one / "lib/same", new / "lib/same")
            (one / "touched").write_bytes(b"")

    def rename(self) -> None:
        if (package := self._some()) and not package.with_name(f"{package.name}9").exists():
            package.rename(package.with_name(f"{package.name}9"))

    def damage(self) -> None:
        if package := self._some():
            (package / "info/repodata_record.json").unlink(missing_ok=True)
            (package / "damaged").write_text("")


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("seed", [0, 3, 12, 21])
def test_what_rests_on_others_is_what_a_look_at_all_finds(tmp_path: Path, seed: int, *, nested: bool) -> None:
    walk = Walk(tmp_path, random.Random(seed), nested=nested)
    known, done, taken_over = look(walk.scene), [], 0
    for _ in range(14):
        done.append(walk.step())
        before = {part.path: part for part in known.parts}
        known = look(walk.scene, known)
        taken_over += sum(before.get(part.path) == part for part in known.parts)
        assert as_found(known) == as_found(look(walk.scene)), done
    assert taken_over, done
