"""A machine of many owners who exist nowhere else, each with small real caches, and a launcher that becomes them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.launched import give
from builders.synthetic import conda_packages, pip_responses
from cachewarden.model.caches import Owner

FIRST_UID = 62_000


@contextmanager
def fleet(number: int, *, entries: int = 5, packages: int = 1) -> Iterator[list[Owner]]:
    """So many owners with homes in a folder that everybody can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="cachewarden-fleet-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        owners = [Owner(uid, uid, f"cw{uid}", f"{folder}/cw{uid}") for uid in range(FIRST_UID, FIRST_UID + number)]
        for owner in owners:
            pip_responses(Path(owner.home, ".cache/pip"), entries)
            if packages:
                conda_packages(Path(owner.home, ".conda/pkgs"), packages)
            give(owner)
        yield owners
    finally:
        shutil.rmtree(folder, ignore_errors=True)
