"""Whether a disk is mounted where a cache is to go, by the table of mounts alone."""

from collections.abc import Mapping

import pytest

from cachewarden.ecosystems.base import Surroundings
from cachewarden.relocate.places import is_for_disks, no_place_of_roots, not_here
from cachewarden.system.files import parse_mount
from cachewarden.system.ports import Mount
from fakes import FakeFiles
from makers import owner

BARE = "no disk is mounted at {}: it is a folder of the system's own disk"
ROOT = "1 0 8:2 / / rw - ext4 /dev/sda2 rw"
USB = "9 1 8:17 / /media/usb rw - ext4 /dev/sdb1 rw"
SANDBOX = ("2 1 8:2 /media /media rw - ext4 /dev/sda2 rw", "3 1 8:2 /mnt /mnt rw - ext4 /dev/sda2 rw")


class Mounted(FakeFiles):
    """Lines of mountinfo."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self._mounts = {mount.mount: mount for _, mount in (parse_mount(line.encode()) for line in lines)}

    def mounts(self) -> Mapping[str, Mount]:
        return self._mounts


@pytest.mark.parametrize("sandbox", [(), SANDBOX], ids=["outside", "inside of the service's sandbox"])
def test_a_mount_point_without_its_disk_is_told_from_one_with_it(sandbox: tuple[str, ...]) -> None:
    files = Mounted(ROOT, *sandbox, USB)
    assert not_here(files, "/media/usb/pip") is None
    assert not_here(files, "/media/other/pip") == BARE.format("/media/other")
    assert not_here(files, "/mnt/pip") == BARE.format("/mnt/pip")


def test_a_disk_that_is_mounted_as_the_whole_of_mnt_is_one() -> None:
    assert not_here(Mounted(ROOT, "3 1 8:17 / /mnt rw - ext4 /dev/sdb1 rw"), "/mnt/pip") is None


def test_a_folder_of_another_disk_that_is_bound_there_is_one_even_seen_again_in_a_sandbox() -> None:
    bound = "4 1 8:17 /shares/caches /mnt/caches rw - ext4 /dev/sdb1 rw"
    again = "5 4 8:17 /shares/caches/pip /mnt/caches/pip rw - ext4 /dev/sdb1 rw"
    assert not_here(Mounted(ROOT, bound, again), "/mnt/caches/pip/ann") is None


@pytest.mark.parametrize(
    ("to", "lines", "why"),
    [
        ("/media/usb/ann", (USB,), None),
        ("/srv/caches/ann", (), None),
        ("/media/usb/ann", (), BARE.format("/media/usb")),
        ("/media/usb/ann", (USB.replace("ext4", "nfs4"),), "its filesystem may keep everybody waiting"),
        ("/media/usb/sub/ann", (USB.replace("ext4", "fuse.sshfs"), "8 9 8:33 / /media/usb/sub rw - ext4 x rw"),
            "its filesystem may keep everybody waiting"),
        ("/etc/ann", (), "it is in a system folder"),
        ("/home/ann", (), "it is a home, or holds one"),
        ("/run/ann", (), "what is in /run does not last"),
        ("/srv//ann", (), "it is no plain path"),
        ("/srv/../etc", (), "it has .. in it: name the folder itself"),
        ("~/x", (), "it is no plain path"),
    ],
)  # fmt: skip
def test_root_makes_a_folder_only_where_a_cache_may_be_and_nobody_is_kept_waiting(
    to: str, lines: tuple[str, ...], why: str | None
) -> None:
    assert no_place_of_roots(Surroundings(owner("ann"), {}, Mounted(ROOT, *lines)), to) == why


def test_the_folders_for_disks_are_known() -> None:
    assert [is_for_disks(path) for path in ("/media/usb", "/run/media/ann/x", "/mnt", "/srv", "/mnts")] == [
        True, True, True, False, False,
    ]  # fmt: skip
