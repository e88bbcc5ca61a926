"""Whether a disk is mounted where a cache is to go, by the table of mounts alone."""

from collections.abc import Mapping

import pytest

from cachewarden.ecosystems.base import Surroundings
from cachewarden.relocate.places import is_for_disks, left_over, no_place_of_roots, not_here, own_mount, share_room
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


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0:33 /@ / rw - btrfs /dev/sda2 rw", "0:33 /@home /home rw - btrfs /dev/sda2 rw", True),
        ("0:33 /@ / rw - btrfs /dev/sda2 rw", "0:34 /@home /home rw - btrfs /dev/sda2 rw", True),
        ("0:33 / / rw - btrfs /dev/sda2 rw", "0:34 / /data rw - btrfs /dev/sdb1 rw", False),
        ("0:40 / / rw - zfs rpool/ROOT/debian rw", "0:41 / /home rw - zfs rpool/home rw", True),
        ("0:40 / / rw - zfs rpool/ROOT/debian rw", "0:41 / /data rw - zfs tank/home rw", False),
        ("8:2 / / rw - ext4 /dev/sda2 rw", "8:2 /data /srv rw - ext4 /dev/sda2 rw", True),
        ("8:2 / / rw - ext4 /dev/sda2 rw", "8:3 / /data rw - ext4 /dev/sda3 rw", False),
        ("0:50 / / rw - overlay overlay rw", "0:51 / /data rw - overlay overlay rw", False),
        ("0:52 / /a rw - tmpfs tmpfs rw", "0:53 / /b rw - tmpfs tmpfs rw", False),
    ],
)
def test_what_shares_its_room_is_one_disk_whatever_stat_says(one: str, other: str, *, same: bool) -> None:
    mounts = [parse_mount(f"1 1 {line}".encode())[1] for line in (one, other)]
    assert share_room(mounts[0], mounts[1]) is share_room(mounts[1], mounts[0]) is same


def test_a_cache_that_is_a_mount_point_is_named_as_such() -> None:
    files = Mounted(
        ROOT, "3 1 8:17 / /home/ann/.cache/pip rw - ext4 /dev/sdb1 rw", "4 1 8:2 /opt /opt rw - ext4 x rw"
    )
    assert "/home/ann/.cache/pip is a mount point (/dev/sdb1)" in str(own_mount(files, "/home/ann/.cache/pip"))
    assert "ReadWritePaths" in str(own_mount(files, "/opt"))
    assert own_mount(files, "/home/ann/.cache") is None


def test_what_a_move_left_beside_a_cache_is_named_and_nothing_else_is_meant() -> None:
    above = "/home/ann/.cache"
    assert left_over(FakeFiles(folders=[f"{above}/pip", f"{above}/pip2.cachewarden-old"]), f"{above}/pip") is None
    for ending in ("old", "incoming", "old-1f3c", "incoming-77"):
        files = FakeFiles(folders=[f"{above}/pip.cachewarden-{ending}"])
        assert f"{above}/pip.cachewarden-{ending} is there" in str(left_over(files, f"{above}/pip"))
