"""What the guard of conda sees of a package is kept for its removal, as far as that takes little memory."""

import os
import stat
import tracemalloc
from collections.abc import Iterator

from cachewarden.ecosystems.conda_measure import Listing
from cachewarden.ecosystems.trees import Tally
from cachewarden.system.ports import Node
from fake_trees import FakeFolder, FakeTree


class Crowded(FakeFolder):
    """A folder with so many files, which are made as they are listed."""

    def __init__(self, count: int) -> None:
        super().__init__(FakeTree({}), "/")
        self.count = count

    def nodes(self) -> Iterator[Node]:
        for number in range(self.count):
            plain = (stat.S_IFREG | 0o644, number, 1, 1, 0, 0, 0, 0, 0, 0)
            yield Node(f"f{number}", os.stat_result(plain, {"st_mtime_ns": 0, "st_blocks": 8}))


def test_what_is_small_is_listed_once() -> None:
    tally = Tally()
    listed = Listing().of(Crowded(5000), tally)
    assert listed
    assert len(listed.nodes) == tally.frees_inodes == 5000


def test_of_a_folder_with_very_many_files_none_is_kept_and_all_are_counted() -> None:
    """A folder of a million would take the worker's memory: then nothing could ever go from that cache."""
    tally = Tally()
    tracemalloc.start()
    try:
        assert Listing().of(Crowded(60_000), tally) is None
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert tally.frees_inodes == 60_000
    assert most < 6 << 20
